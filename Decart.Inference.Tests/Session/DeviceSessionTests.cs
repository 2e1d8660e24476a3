using System.Text.Json;

namespace Decart.Inference.Tests.Session;

/// <summary>Sessions over real checkpoints on every device: what is promised of answers holds on each.</summary>
[CancelAfter(300_000)]
[TestFixtureSource(typeof(SessionDevices), nameof(SessionDevices.Fixtures))]
internal sealed class DeviceSessionTests(string deviceName)
{
    private const long GpuPageBytes = 2 << 20;

    private static readonly GenerationOptions Greedy = new() { Temperature = 0, IgnoreEndOfText = true, MaxTokens = 24 };

    private Device _device;

    /// <summary>In the repository, or among the fixtures where the tests run elsewhere.</summary>
    private static string Storyteller =>
        Fixtures.RepositoryRoot() is { } root ? Path.Combine(root, "samples", "models", "storyteller") : Fixtures.Path("storyteller");

    private static IEnumerable<string> Folders() => Fixtures.Folder is null
        ? []
        : Directory.GetDirectories(Fixtures.Folder).Where(folder => File.Exists(Path.Combine(folder, "reference.json"))).Select(Path.GetFileName).Order()!;

    [OneTimeSetUp]
    public void Open() => _device = SessionDevices.Get(deviceName);

    [Test]
    public async Task Paging_caching_chunks_and_preemption_leave_every_bit_as_it_is([ValueSource(nameof(Folders))] string name, [Values] KvCacheType keysAndValues)
    {
        int[][] prompts = Prompts(name);
        int[] longest = prompts.MaxBy(prompt => prompt.Length)!;
        prompts = [.. prompts, [.. longest, 1], [.. longest, 2, 3], longest[..(longest.Length / 2)]];
        GenerationOptions sampled = Greedy with { Temperature = 1, Seed = 3 };
        List<float[]> logits = [];
        List<IReadOnlyList<int>> tokens = [];
        List<IReadOnlyList<TokenLogprobs>> scores = [];
        List<float[]> embeddings = [];
        int tokenBytes;
        PagingMode[] pagings = _device.Indices.Count > 1 ? [PagingMode.Hardware] : [PagingMode.Hardware, PagingMode.Table]; // several devices have no tables
        await using (LlmSession plain = await LlmSession.LoadAsync(
            Fixtures.Path(name), new() { Device = _device, KvCacheType = keysAndValues, Paging = pagings[^1], PrefixCaching = false, MaxConcurrentSequences = 1 }))
        {
            foreach (int[] prompt in prompts)
            {
                logits.Add(await plain.NextTokenLogitsAsync(prompt));
                tokens.Add((await plain.GenerateAsync(prompt, sampled)).TokenIds);
                scores.Add(await plain.ScoreAsync(prompt, 1));
                embeddings.Add(await plain.EmbedAsync(prompt));
            }
            tokenBytes = (int)(await plain.GetKvMapAsync()).TokenBytes;
        }
        foreach (PagingMode paging in pagings)
        {
            int room = Math.Max(longest.Length + 2 + Greedy.MaxTokens, 64) + 48; // for one sequence and a little
            bool largePages = _device.Kind == DeviceKind.Cuda && paging == PagingMode.Hardware;
            await using LlmSession session = await LlmSession.LoadAsync(Fixtures.Path(name), new()
            {
                Device = _device,
                KvCacheType = keysAndValues,
                Paging = paging,
                MaxBatchTokens = 13,
                MaxConcurrentSequences = 5,
                KvCacheBytes = largePages ? 3 * GpuPageBytes : room * tokenBytes,
            });
            for (int round = 0; round < 2; round++)
            {
                Task<float[]>[] allLogits = [.. prompts.Select(prompt => session.NextTokenLogitsAsync(prompt))];
                Task<IReadOnlyList<TokenLogprobs>>[] allScores = [.. prompts.Select(prompt => session.ScoreAsync(prompt, 1))];
                Task<float[]>[] allEmbeddings = [.. prompts.Select(prompt => session.EmbedAsync(prompt))];
                GenerationResult[] results = await Task.WhenAll(prompts.Select(prompt => session.GenerateAsync(prompt, sampled)));
                Assert.That(await Task.WhenAll(allScores), Is.EqualTo(scores), "to the last bit");
                Assert.That(await Task.WhenAll(allEmbeddings), Is.EqualTo(embeddings), "to the last bit");
                Assert.That(await Task.WhenAll(allLogits), Is.EqualTo(logits), "to the last bit");
                Assert.That(results.Select(result => result.TokenIds), Is.EqualTo(tokens));
            }
            SessionStatistics statistics = session.GetStatistics();
            Assert.That(statistics.KvPagesInUse, Is.Zero);
            if (!largePages) Assert.That((statistics.Preemptions > 0, statistics.PrefixHitTokens > 0), Is.EqualTo((true, true)));
        }
    }

    [Test]
    public async Task The_device_that_was_chosen_is_named_and_automatic_choice_prefers_a_gpu()
    {
        await using LlmSession session = await LlmSession.LoadAsync(Storyteller, new() { Device = _device });
        Assert.That(session.Model.Device, Is.EqualTo(_device));
        await using LlmSession automatic = await LlmSession.LoadAsync(Storyteller);
        if (_device.Kind == DeviceKind.Cuda) Assert.That(automatic.Model.Device, Is.EqualTo(Device.Cuda(0)));
        else Assert.That(automatic.Model.Device.Kind, Is.Not.EqualTo(DeviceKind.Auto));
    }

    [Test]
    public async Task Greedy_stories_are_those_of_float64_arithmetic()
    {
        JsonElement[] cases = [.. JsonDocument.Parse(await File.ReadAllBytesAsync(Path.Combine(Storyteller, "golden.json"))).RootElement.GetProperty("cases").EnumerateArray()];
        await using LlmSession session = await LlmSession.LoadAsync(Storyteller, new() { Device = _device });
        GenerationResult[] results = await Task.WhenAll(cases.Select(story => session.GenerateAsync(
            story.GetProperty("prompt").GetString()!, new() { Temperature = 0, MaxTokens = story.GetProperty("max_new_tokens").GetInt32() })));
        for (int i = 0; i < cases.Length; i++)
            Assert.That(results[i].TokenIds, Is.EqualTo(cases[i].GetProperty("generated_ids").Deserialize<int[]>()));
    }

    [Test]
    public async Task A_request_has_the_same_bits_alone_and_among_any_number_of_others([Values(2, 3, 7, 16, 33, 64, 128, 256)] int together)
    {
        await using LlmSession session = await LlmSession.LoadAsync(
            Storyteller, new() { Device = _device, MaxConcurrentSequences = 256, PrefixCaching = false, MaxBatchTokens = 1024 });
        int[] prompt = [.. Enumerable.Range(5, 43)];
        float[] alone = await session.NextTokenLogitsAsync(prompt);
        IReadOnlyList<int> tokens = (await session.GenerateAsync(prompt, Greedy with { Temperature = 1, Seed = 9 })).TokenIds;
        Task<GenerationResult>[] others =
            [.. Enumerable.Range(1, together - 1).Select(i => session.GenerateAsync(Enumerable.Range(i, 1 + i % 60).ToArray(), Greedy with { Seed = i, Temperature = 1 }))];
        Task<GenerationResult> request = session.GenerateAsync(prompt, Greedy with { Temperature = 1, Seed = 9 });
        Assert.That(await session.NextTokenLogitsAsync(prompt), Is.EqualTo(alone));
        Assert.That((await request).TokenIds, Is.EqualTo(tokens));
        await Task.WhenAll(others);
    }

    [Test]
    public async Task Memory_that_the_device_does_not_have_is_refused_with_its_figures()
    {
        string model = Storyteller;
        await Assert.ThatAsync(
            () => LlmSession.LoadAsync(model, new() { Device = _device, KvCacheBytes = 1L << 50 }),
            Throws.TypeOf<InsufficientMemoryException>().With.Message.Contains("1125899906842624"));
        await Assert.ThatAsync(
            () => LlmSession.LoadAsync(model, new() { Device = _device, MaxBatchTokens = _device == Device.Cpu ? int.MaxValue : 1 << 30 }),
            Throws.TypeOf<InsufficientMemoryException>().With.Message.Contains("does not fit").And.Message.Contains("bytes were free"));
        await using LlmSession session = await LlmSession.LoadAsync(model, new() { Device = _device });
        Assert.That((await session.GenerateAsync(new[] { 1 }, Greedy)).TokenIds, Has.Count.EqualTo(24), "nothing is left of the first attempt");
    }

    [Test]
    public async Task Cancelled_requests_free_their_pages_and_others_go_on()
    {
        await using LlmSession session = await LlmSession.LoadAsync(Storyteller, new() { Device = _device });
        GenerationResult alone = await session.GenerateAsync(new[] { 3 }, Greedy with { MaxTokens = 200 });
        Task<GenerationResult> other = session.GenerateAsync(new[] { 3 }, Greedy with { MaxTokens = 200 });
        for (int i = 0; i < 20; i++)
        {
            using var cancellation = new CancellationTokenSource();
            cancellation.CancelAfter(i);
            await Assert.CatchAsync<OperationCanceledException>(() => session.GenerateAsync(new[] { 4, i }, Greedy with { MaxTokens = 500 }, cancellation.Token));
        }
        Assert.That((await other).TokenIds, Is.EqualTo(alone.TokenIds));
        await SessionFixture.UntilPagesAreFree(session);
    }

    private static int[][] Prompts(string folder) =>
        JsonDocument.Parse(File.ReadAllBytes(Fixtures.Path(folder, "reference.json"))).RootElement.GetProperty("prompts").Deserialize<int[][]>()!;
}
