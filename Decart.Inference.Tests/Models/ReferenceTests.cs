using System.Text.Json;
using Decart.Inference.Kernels;
using Decart.Inference.Models;

namespace Decart.Inference.Tests.Models;

/// <summary>Every checkpoint with a reference gives the logits and the greedy tokens that transformers gives.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.Names))]
public sealed class ReferenceTests(string device)
{
    private const float Tolerance = 5e-4f;
    private const int MaxBatchTokens = 256;

    [TestCaseSource(typeof(ReferenceAnswers), nameof(ReferenceAnswers.Cases))]
    public void Logits_and_greedy_tokens_are_those_of_transformers(string folder) => Check(ReferenceAnswers.Read(folder));

    /// <remarks>The answers are those of dequantised weights, with rotary frequencies that their script had rounded to the type of the other weights.</remarks>
    [TestCaseSource(typeof(ReferenceAnswers), nameof(ReferenceAnswers.QuantisedCases))]
    public void Quantised_weights_give_what_they_stand_for(string folder)
    {
        if (!Directory.Exists(folder)) Assert.Ignore(Fixtures.Absent);
        Check(ReferenceAnswers.Read(folder), RoundedFrequencies(folder));
    }

    /// <summary>The change of a quantised folder's model that its answers are those of.</summary>
    internal static Func<ModelConfig, ModelConfig> RoundedFrequencies(string folder)
    {
        using JsonDocument config = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder, "config.json")));
        bool half = config.RootElement.GetProperty("dtype").GetString() == "float16";
        return model => model with { Rotary = WithRoundedFrequencies(model.Rotary!, half) };
    }

    private static RotaryConfig WithRoundedFrequencies(RotaryConfig rotary, bool half)
    {
        IEnumerable<float> rounded = rotary.ToParameters().InverseFrequencies.Select(frequency => half ? (float)(Half)frequency : RoundToBF16(frequency));
        return rotary with { FrequencyDivisors = [.. rounded.Select((frequency, i) => 1 / frequency / (float)Math.Pow((float)rotary.Theta, 2f * i / rotary.Dimensions))] };
    }

    private static float RoundToBF16(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        return BitConverter.UInt32BitsToSingle(bits + 0x7FFF + (bits >> 16 & 1) & 0xFFFF_0000);
    }

    private void Check(ReferenceAnswers answers, Func<ModelConfig, ModelConfig>? change = null)
    {
        using IBackend backend = Devices.Create(device);
        using Decoder decoder = answers.Load(backend, MaxBatchTokens, answers.Prompts.Length, change);
        float largest = 0;
        for (int i = 0; i < answers.Prompts.Length; i++)
        {
            (int[] tokens, float[] logits) = decoder.Generate(answers.Prompts[i], answers.Greedy[i].Length);
            largest = Math.Max(largest, DecoderRuns.MaxDifference(logits, answers.LogitsLast[i]));
            Assert.That(tokens, Is.EqualTo(answers.Greedy[i]), $"prompt {i}");
        }
        TestContext.Out.WriteLine($"largest logit difference {largest:g3}");
        Assert.That(largest, Is.LessThanOrEqualTo(Tolerance));
    }
}
