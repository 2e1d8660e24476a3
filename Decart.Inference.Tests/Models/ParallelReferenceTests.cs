using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Cpu;
using Decart.Inference.Kernels.TensorParallel;
using Decart.Inference.Models;

namespace Decart.Inference.Tests.Models;

/// <summary>Checkpoints that are divided among ranks give the tokens of one device, whatever their weights are stored in.</summary>
[TestFixture(2)]
[TestFixture(3)]
[TestFixture(4)]
internal sealed class ParallelReferenceTests(int ranks)
{
    private const int MaxBatchTokens = 256;

    /// <summary>Of all the logits of these models the largest differ by less: sums are taken in another order.</summary>
    private const float Tolerance = 5e-4f;

    [TestCaseSource(typeof(ReferenceAnswers), nameof(ReferenceAnswers.Cases))]
    public void Checkpoints_of_every_family(string folder) => Check(ReferenceAnswers.Read(folder), change: null);

    [TestCaseSource(typeof(ReferenceAnswers), nameof(ReferenceAnswers.QuantisedCases))]
    public void Quantised_folders(string folder)
    {
        if (!Directory.Exists(folder)) Assert.Ignore(Fixtures.Absent);
        Check(ReferenceAnswers.Read(folder), ReferenceTests.RoundedFrequencies(folder));
    }

    [TestCaseSource(nameof(GgufFiles))]
    public void Gguf_files(object answers)
    {
        GoldenAnswers golden = (GoldenAnswers)answers;
        using ParallelBackend several = ParallelDevices.Cpu(ranks);
        if (IsRefused(golden.Checkpoint, () => Decoders.Load(golden.Checkpoint, several, MaxBatchTokens, 1))) return;
        using CpuBackend one = new(threads: 1);
        (int[] tokens, float[] logits) expected = Generate(golden.Checkpoint, one, golden.Prompt, golden.Greedy.Length);
        (int[] tokens, float[] logits) found = Generate(golden.Checkpoint, several, golden.Prompt, golden.Greedy.Length);
        Assert.That(DecoderRuns.MaxDifference(expected.logits, found.logits), Is.LessThanOrEqualTo(Tolerance));
        Assert.That(found.tokens, Is.EqualTo(expected.tokens));
    }

    /// <summary>One prompt of each file.</summary>
    public static IEnumerable<TestCaseData> GgufFiles() => GoldenAnswers.All()
        .Where(answers => answers.Checkpoint.EndsWith(".gguf", StringComparison.Ordinal))
        .DistinctBy(answers => answers.Checkpoint)
        .Select(answers => new TestCaseData(answers).SetArgDisplayNames(Path.GetFileName(answers.Checkpoint)));

    private void Check(ReferenceAnswers answers, Func<ModelConfig, ModelConfig>? change)
    {
        using ParallelBackend backend = ParallelDevices.Cpu(ranks);
        if (IsRefused(answers.Folder, () => answers.Load(backend, MaxBatchTokens, 1))) return;
        using Decoder decoder = answers.Load(backend, MaxBatchTokens, answers.Prompts.Length, change);
        for (int i = 0; i < answers.Prompts.Length; i++)
        {
            using KvRanges ranges = new(backend, decoder.KvLayout, sequences: 1, answers.Prompts[i].Length + answers.Greedy[i].Length);
            (int[] tokens, float[] logits) = decoder.Generate(ranges[0], answers.Prompts[i], answers.Greedy[i].Length);
            Assert.That(DecoderRuns.MaxDifference(logits, answers.LogitsLast[i]), Is.LessThanOrEqualTo(Tolerance));
            Assert.That(tokens, Is.EqualTo(answers.Greedy[i]), $"prompt {i}");
        }
    }

    /// <summary>Whether the model's heads cannot be divided among so many ranks; loading it then says so.</summary>
    private bool IsRefused(string path, Func<Decoder> load)
    {
        using TensorSource source = ModelLoader.Open(path);
        ModelConfig config = ModelLoader.ReadConfig(source);
        if (config.KvHeads % ranks == 0 || (ranks % config.KvHeads == 0 && ranks <= config.Heads)) return false;
        Assert.That(load, Throws.TypeOf<NotSupportedException>().With.Message.Contains($"cannot be divided among {ranks} devices"));
        return true;
    }

    private static (int[] Tokens, float[] Logits) Generate(string file, IBackend backend, int[] prompt, int count)
    {
        using Decoder decoder = Decoders.Load(file, backend, MaxBatchTokens, 1);
        using KvRanges ranges = new(backend, decoder.KvLayout, sequences: 1, prompt.Length + count);
        return decoder.Generate(ranges[0], prompt, count);
    }
}
