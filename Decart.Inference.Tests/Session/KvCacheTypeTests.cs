using System.Numerics.Tensors;
using Decart.Inference.Kernels.Cpu;
using Decart.Inference.Tests.Models;

namespace Decart.Inference.Tests.Session;

/// <summary>Sessions whose keys and values take 8 bits.</summary>
[CancelAfter(120_000)]
internal sealed class KvCacheTypeTests
{
    private static readonly GenerationOptions Story = new() { MaxTokens = 60, Temperature = 1, Seed = 5 };

    private static string Storyteller => Path.Combine(Fixtures.RepositoryRoot()!, "samples", "models", "storyteller");

    /// <summary>Of a trained model; docs/paging.md has perplexities.</summary>
    [Test]
    public async Task Probabilities_are_near_those_of_whole_keys_and_values()
    {
        await using LlmSession whole = await OpenAsync(), fp8 = await OpenAsync(KvCacheType.Fp8);
        int[] story = [.. (await whole.GenerateAsync("Once upon a time", Story with { MaxTokens = 200 })).TokenIds];
        double expected = await LossAsync(whole), found = await LossAsync(fp8);
        Assert.That(found, Is.EqualTo(expected).Within(0.01).And.Not.EqualTo(expected));

        async Task<double> LossAsync(LlmSession session) => -(await session.ScoreAsync(story)).Average(score => score.Logprob);
    }

    [Test]
    public async Task The_same_memory_holds_more_tokens()
    {
        await using LlmSession whole = await OpenAsync(), fp8 = await OpenAsync(KvCacheType.Fp8);
        long expected = (await whole.GetKvMapAsync()).TokenBytes, found = (await fp8.GetKvMapAsync()).TokenBytes;
        Assert.That((double)expected / found, Is.InRange(3.5, 4), "a byte and little more instead of four");
    }

    [Test]
    public async Task Conversations_that_fork_and_go_back_have_the_answers_that_they_have_alone([Values(PagingMode.Hardware, PagingMode.Table)] PagingMode paging)
    {
        await using LlmSession session = await OpenAsync(KvCacheType.Fp8, paging), other = await OpenAsync(KvCacheType.Fp8);
        int[] prompt = [.. session.Tokenizer.Encode("Once upon a time there was a little dragon who lived on a hill and")];
        IReadOnlyList<int> first = (await other.GenerateAsync(prompt, Story)).TokenIds;
        int[] continued = [.. prompt, .. first, 5, 17];
        IReadOnlyList<int> second = (await other.GenerateAsync(continued, Story)).TokenIds;

        using Conversation conversation = session.StartConversation();
        Assert.That((await conversation.GenerateAsync(prompt, Story)).TokenIds, Is.EqualTo(first));
        using Conversation fork = conversation.Fork();
        Task<GenerationResult>[] both = [conversation.GenerateAsync((int[])[5, 17], Story), fork.GenerateAsync((int[])[5, 17], Story)];
        foreach (GenerationResult result in await Task.WhenAll(both)) Assert.That(result.TokenIds, Is.EqualTo(second));
    }

    [Test]
    public void Several_devices_keep_those_of_their_heads([Values("llama", "gemma2")] string model)
    {
        float[][] one = TinyModelRuns.Run(model, Backend(), TinyModelRuns.Together), two = TinyModelRuns.Run(model, ParallelDevices.Cpu([Backend(), Backend()]), TinyModelRuns.Together);
        for (int i = 0; i < one.Length; i++) Assert.That(TensorPrimitives.CosineSimilarity<float>(two[i], one[i]), Is.GreaterThan(0.999f), $"answer {i}");
        Assert.That(TinyModelRuns.Run(model, ParallelDevices.Cpu([Backend(), Backend()]), TinyModelRuns.Alone), Is.EqualTo(two));

        static CpuBackend Backend() => new(threads: 1, keysAndValues: KvCacheType.Fp8);
    }

    private static Task<LlmSession> OpenAsync(KvCacheType keysAndValues = KvCacheType.Default, PagingMode paging = PagingMode.Auto) =>
        LlmSession.LoadAsync(Storyteller, new() { Device = Device.Cpu, KvCacheType = keysAndValues, Paging = paging });
}
