using System.Text.Json;
using System.Text.Json.Nodes;
using Decart.Inference.Tests.Checkpoints;
using Decart.Inference.Tests.Models;

namespace Decart.Inference.Tests.Session;

/// <summary>
/// Where the length of a sequence decides how its keys are rotated (longrope, dynamic NTK), every answer is that of a model that knows only this
/// length, whatever was computed before, in which chunks and beside whom.
/// </summary>
[CancelAfter(120_000)]
internal sealed class RotaryLengthTests
{
    private const int Original = 32, DynamicOriginal = 128;

    private static readonly GenerationOptions Greedy = new() { Temperature = 0, IgnoreEndOfText = true };

    private TemporaryFolder _folder = null!;

    [SetUp]
    public void CreateFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void DeleteFolder() => _folder.Dispose();

    [TestCase("hf")]
    [TestCase("model.gguf")]
    public async Task The_long_context_Phi3_answers_as_llama_cpp_does(string model)
    {
        JsonElement expected = JsonDocument.Parse(File.ReadAllText(Fixtures.Field("phi3-longrope", "expected.json"))).RootElement;
        int[] prompt = expected.GetProperty("prompt").Deserialize<int[]>()!, greedy = expected.GetProperty("greedy").Deserialize<int[]>()!;
        await using LlmSession session = await LlmSession.LoadAsync(Fixtures.Field("phi3-longrope", model), new() { Device = Device.Cpu });
        Assert.That((await session.GenerateAsync(prompt, Greedy with { MaxTokens = greedy.Length })).TokenIds, Is.EqualTo(greedy));
    }

    [TestCase(Original - 1, "short_factor")]
    [TestCase(Original, "short_factor")]
    [TestCase(Original + 1, "long_factor")]
    [TestCase(100, "long_factor")]
    public async Task The_length_of_a_prompt_chooses_its_factors(int length, string factors)
    {
        JsonObject plain = TinyModels.Config("phi3 longrope");
        JsonNode scaling = plain["rope_scaling"]!;
        scaling["short_factor"] = scaling[factors]!.DeepClone();
        scaling["long_factor"] = scaling[factors]!.DeepClone();
        await using LlmSession session = await LoadAsync(TinyModels.Config("phi3 longrope"), maxBatchTokens: 7), expected = await LoadAsync(plain);
        Assert.That(await session.NextTokenLogitsAsync(Prompt(length)), Is.EqualTo(await expected.NextTokenLogitsAsync(Prompt(length))));
    }

    /// <summary>transformers: base (factor L / max - (factor - 1))^(d / (d - 2)) for a prompt of L tokens, from <c>max_position_embeddings</c> on.</summary>
    [TestCase(DynamicOriginal)]
    [TestCase(DynamicOriginal + 1)]
    [TestCase(200)]
    public async Task Beyond_its_context_dynamic_NTK_raises_the_base_with_the_length(int length)
    {
        const double Theta = 10000, Factor = 2, Dimensions = 12;
        JsonObject plain = TinyModels.Config("llama dynamic");
        plain.Remove("rope_scaling");
        plain["rope_theta"] = Theta * Math.Pow(Factor * length / DynamicOriginal - (Factor - 1), Dimensions / (Dimensions - 2));
        plain["max_position_embeddings"] = 2 * DynamicOriginal;
        await using LlmSession session = await LoadAsync(TinyModels.Config("llama dynamic"), maxBatchTokens: 7), expected = await LoadAsync(plain);
        Assert.That(session.Model.ContextLength, Is.EqualTo(2 * DynamicOriginal));
        Assert.That(await session.NextTokenLogitsAsync(Prompt(length)), Is.EqualTo(await expected.NextTokenLogitsAsync(Prompt(length))).Within(1e-5f));
    }

    [Test]
    public async Task A_sequence_that_outgrows_the_short_factors_goes_on_with_the_long_ones([Values] bool prefixCaching, [Values(3, 64)] int maxBatchTokens)
    {
        JsonObject config = TinyModels.Config("phi3 longrope");
        await using LlmSession session = await LoadAsync(config, maxBatchTokens, prefixCaching), fresh = await LoadAsync(config);
        int[] lengths = [Original - 20, Original - 3, Original, Original + 5];
        GenerationResult[] results = await Task.WhenAll(lengths.Select(length => session.GenerateAsync(Prompt(length), Greedy with { MaxTokens = 30 })));
        for (int i = 0; i < lengths.Length; i++) await CheckEachTokenAsync(fresh, Prompt(lengths[i]), results[i].TokenIds);
        Assert.That(session.GetStatistics().Preemptions, Is.Zero);
    }

    [Test]
    public async Task Keys_that_were_rotated_for_another_length_are_not_shared()
    {
        JsonObject config = TinyModels.Config("phi3 longrope");
        await using LlmSession session = await LoadAsync(config), fresh = await LoadAsync(config);
        await session.GenerateAsync(Prompt(Original), Greedy with { MaxTokens = 1 });
        GenerationResult longer = await session.GenerateAsync(Prompt(60), Greedy with { MaxTokens = 8 });
        Assert.That(longer.Usage.CachedPromptTokens, Is.Zero);
        await CheckEachTokenAsync(fresh, Prompt(60), longer.TokenIds);
        GenerationResult again = await session.GenerateAsync(Prompt(60), Greedy with { MaxTokens = 8 });
        Assert.That(again.Usage.CachedPromptTokens, Is.GreaterThan(0));
        Assert.That(again.TokenIds, Is.EqualTo(longer.TokenIds));
    }

    [TestCase("phi3 longrope", 20)]
    [TestCase("llama dynamic", 70)]
    public async Task A_conversation_answers_as_to_one_prompt(string model, int length)
    {
        JsonObject config = TinyModels.Config(model);
        await using LlmSession session = await LoadAsync(config), fresh = await LoadAsync(config, prefixCaching: false);
        using Conversation conversation = session.StartConversation();
        List<int> history = [];
        for (int turn = 0; turn < 3; turn++)
        {
            history.AddRange(Prompt(length));
            IReadOnlyList<int> answer = (await conversation.GenerateAsync(Prompt(length), Greedy with { MaxTokens = 4 })).TokenIds;
            Assert.That(answer, Is.EqualTo((await fresh.GenerateAsync(history.ToArray(), Greedy with { MaxTokens = 4 })).TokenIds), $"turn {turn}");
            history.AddRange(answer);
        }
    }

    private static int[] Prompt(int length) => [.. Enumerable.Range(0, length).Select(i => (7 * i + i / 5) % 90 + 4)];

    private Task<LlmSession> LoadAsync(JsonObject config, int maxBatchTokens = 64, bool prefixCaching = true)
    {
        _folder.Write("config.json", config.ToJsonString());
        LlmSessionOptions options = new()
        {
            Device = Device.Cpu,
            RandomWeights = true,
            MaxBatchTokens = maxBatchTokens,
            MaxConcurrentSequences = 3,
            PrefixCaching = prefixCaching,
        };
        return LlmSession.LoadAsync(_folder.Path, options);
    }

    /// <summary>Each token is the most probable one after all before it as one prompt.</summary>
    private static async Task CheckEachTokenAsync(LlmSession session, int[] prompt, IReadOnlyList<int> tokens)
    {
        for (int i = 0; i < tokens.Count; i++)
        {
            float[] logits = await session.NextTokenLogitsAsync((int[])[.. prompt, .. tokens.Take(i)]);
            Assert.That(tokens[i], Is.EqualTo(DecoderRuns.ArgMax(logits)), $"token {i} after {prompt.Length}");
        }
    }
}
