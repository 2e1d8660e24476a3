using System.Text.Json.Nodes;
using Decart.Inference.Tests.Models;

namespace Decart.Inference.Tests.Session;

/// <summary>A thousand callers at once on a tiny checkpoint: each gets precisely the tokens that it gets alone.</summary>
[CancelAfter(300_000)]
[TestFixtureSource(typeof(SessionDevices), nameof(SessionDevices.Fixtures))]
internal sealed class ThousandRequestsTests(string deviceName)
{
    private const int Requests = 1000;

    private Device _device;
    private string _folder = null!;
    private long _tokenBytes;
    private GenerationResult[] _alone = null!;

    [OneTimeSetUp]
    public async Task Answer_one_by_one()
    {
        _device = SessionDevices.Get(deviceName);
        JsonObject config = TinyModels.Config("llama");
        // The pages of a GPU have 2 MiB: with tokens of 64 KiB a sequence needs several.
        if (_device.Kind == DeviceKind.Cuda)
            (config["num_hidden_layers"], config["num_attention_heads"], config["num_key_value_heads"], config["head_dim"]) = (8, 8, 8, 256);
        _folder = TinyModels.WriteFolder(config);
        await using LlmSession session = await LlmSession.LoadAsync(
            _folder, new() { Device = _device, RandomWeights = true, MaxConcurrentSequences = 1, PrefixCaching = false, Paging = HasTables ? PagingMode.Table : PagingMode.Hardware });
        _alone = new GenerationResult[Requests];
        for (int i = 0; i < Requests; i++) _alone[i] = await session.GenerateAsync(Prompt(i), Options(i));
        Assert.That(session.GetStatistics().PrefixHitTokens, Is.Zero);
        _tokenBytes = (await session.GetKvMapAsync()).TokenBytes;
    }

    private bool HasTables => _device.Indices.Count <= 1;

    [OneTimeTearDown]
    public void Delete()
    {
        if (_folder is not null) Directory.Delete(_folder, recursive: true);
    }

    [Test]
    public async Task Together(
        [Values(PagingMode.Hardware, PagingMode.Table)] PagingMode paging, [Values] bool cancelSome, [Values] bool fewPages, [Values] bool prefixCaching)
    {
        if (paging == PagingMode.Table && !HasTables) Assert.Ignore("Several devices share the numbers of pages by hardware paging only.");
        await using LlmSession session = await LlmSession.LoadAsync(_folder, new()
        {
            Device = _device,
            RandomWeights = true,
            Paging = paging,
            PrefixCaching = prefixCaching,
            MaxConcurrentSequences = 64,
            MaxBatchTokens = 96,
            KvCacheBytes = fewPages ? 160 * _tokenBytes : null,
        });
        IReadOnlyList<int>?[] together = await Task.WhenAll(Enumerable.Range(0, Requests).Select(i => Task.Run(() => StreamAsync(session, i, cancelSome && i % 3 == 0))));
        await SessionFixture.Until(() => session.GetStatistics() is { KvPagesInUse: 0, RunningSequences: 0, WaitingSequences: 0 });

        SessionStatistics statistics = session.GetStatistics();
        TestContext.Out.WriteLine($"{statistics.Preemptions} preemptions, {statistics.PrefixHitTokens} tokens found, {statistics.KvPagesTotal} pages");
        int finished = 0;
        for (int i = 0; i < Requests; i++)
        {
            if (together[i] is not { } tokens) continue;
            finished++;
            Assert.That(tokens, Is.EqualTo(_alone[i].TokenIds), $"request {i}");
        }
        Assert.That(finished, cancelSome ? Is.InRange(Requests * 2 / 3, Requests - 1) : Is.EqualTo(Requests));
        if (fewPages) Assert.That(statistics.Preemptions, Is.GreaterThan(100));
        Assert.That(statistics.PrefixHitTokens, prefixCaching ? Is.GreaterThan(1000) : Is.Zero);
    }

    /// <summary>The tokens, or null when the caller has gone at a random moment.</summary>
    private static async Task<IReadOnlyList<int>?> StreamAsync(LlmSession session, int i, bool leaves)
    {
        Random random = new(i);
        using var cancellation = new CancellationTokenSource();
        int left = random.Next(20);
        if (leaves && random.Next(2) == 0) cancellation.CancelAfter(random.Next(500));
        List<int> tokens = [];
        try
        {
            await foreach (GenerationUpdate update in session.StreamAsync(Prompt(i), Options(i), cancellation.Token))
            {
                if (leaves && tokens.Count >= left) return null;
                tokens.AddRange(update.TokenIds);
            }
        }
        catch (OperationCanceledException)
        {
            return null;
        }
        return tokens;
    }

    /// <summary>One of five beginnings, then tokens of its own.</summary>
    private static int[] Prompt(int i)
    {
        Random random = new(i);
        return [.. Enumerable.Range(0, random.Next(60)).Select(token => (token * 3 + i % 5) % 40), .. Enumerable.Range(0, 1 + random.Next(8)).Select(_ => random.Next(40))];
    }

    private static GenerationOptions Options(int i) => new()
    {
        MaxTokens = 1 + i % 60,
        Temperature = i % 2,
        Seed = i,
        TopP = i % 4 == 1 ? 0.9f : 1,
        RepetitionPenalty = i % 5 == 0 ? 1.3f : 1,
        IgnoreEndOfText = true,
    };
}
