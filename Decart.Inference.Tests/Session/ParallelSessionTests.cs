using System.Diagnostics;
using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Cpu;
using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Kernels.TensorParallel;
using Decart.Inference.Loading;
using Decart.Inference.Memory;
using Decart.Inference.Models;
using Decart.Inference.Tests.Kernels.Gpu;
using Decart.Inference.Tests.Memory;
using Decart.Inference.Tests.Models;
using Microsoft.Extensions.Logging.Abstractions;

namespace Decart.Inference.Tests.Session;

/// <summary>Sessions over several devices.</summary>
[CancelAfter(60_000)]
internal sealed class ParallelSessionTests
{
    private static readonly GenerationOptions Greedy = new() { Temperature = 0, MaxTokens = 12, IgnoreEndOfText = true };

    private string _folder = null!;

    [SetUp]
    public void WriteFolder() => _folder = TinyModels.WriteFolder(TinyModels.Config("llama"));

    [TearDown]
    public void DeleteFolder() => Directory.Delete(_folder, recursive: true);

    [Test]
    public async Task Requests_get_the_tokens_of_one_device([Values(2, 4)] int ranks)
    {
        int[][] expected = await AnswersAsync(new CpuBackend(threads: 1)), found = await AnswersAsync(ParallelDevices.Cpu(ranks));
        Assert.That(found, Is.EqualTo(expected));
    }

    [Test]
    public void A_rank_that_fails_ends_its_requests_and_the_model_is_gone([Values] bool gpus)
    {
        FailingBackend failing;
        ParallelBackend backend;
        if (gpus)
        {
            GpuBackend[] devices = [new(new EmulatedDevice(rank: 0)), new(new EmulatedDevice(rank: 1))];
            failing = new FailingBackend(devices[1]);
            backend = new ParallelBackend([devices[0], failing], new GpuRankExchange(devices, looks: 1 << 12), ["gpu 0", "gpu 1"]);
        }
        else
        {
            failing = new FailingBackend(new CpuBackend(threads: 1));
            backend = ParallelDevices.Cpu([new CpuBackend(threads: 1), failing]);
        }
        using (backend)
        {
            using Decoder decoder = Decoders.LoadRandom(_folder, backend, maxBatchTokens: 16, maxBatchSequences: 4, seed: 5);
            using KvRanges ranges = new(backend, decoder.KvLayout, sequences: 1, tokens: 16);
            Batch batch = new();
            batch.Add(ranges[0], [5, 6, 7], 0, wantsLogits: true);
            decoder.Forward(batch);

            failing.Fails = true;
            Assert.That(() => decoder.Forward(batch), Throws.InvalidOperationException.With.Message.Contains("Injected"));
            failing.Fails = false;
            string gone = $"The model is gone from its 2 devices, {(gpus ? "gpu" : "cpu")} 1 has failed: Injected";
            Assert.That(() => decoder.Forward(batch), Throws.InvalidOperationException.With.Message.StartsWith(gone));
            Assert.That(decoder.Wait, Throws.InvalidOperationException.With.Message.StartsWith(gone));
        }
    }

    [Test]
    public async Task A_session_says_that_its_devices_are_gone()
    {
        FailingBackend failing = new(new CpuBackend(threads: 1));
        using ParallelBackend backend = ParallelDevices.Cpu([new CpuBackend(threads: 1), failing]);
        await using LlmSession session = GpuSessions.OpenRandom(_folder, backend, tokens: 256, paging: PagingMode.Hardware);
        Assert.That((await session.GenerateAsync(new[] { 5 }, Greedy)).TokenIds, Has.Count.EqualTo(12));
        failing.Fails = true;
        Task<GenerationResult>[] requests = [.. Enumerable.Range(0, 3).Select(i => session.GenerateAsync(new[] { 5, i }, Greedy))];
        foreach (Task<GenerationResult> request in requests) Assert.That(async () => await request, Throws.InvalidOperationException);
        Assert.That(
            async () => await session.GenerateAsync(new[] { 9 }, Greedy),
            Throws.InvalidOperationException.With.Message.Contains("The model is gone from its 2 devices, cpu 1 has failed: Injected"));
    }

    /// <summary>A kernel that waits for a rank that does not come gives up, and every later step says so.</summary>
    [Test]
    public void A_device_that_waits_in_vain_gives_up()
    {
        GpuBackend[] devices = [new(new EmulatedDevice(rank: 0)), new(new EmulatedDevice(rank: 1))];
        using GpuBackend first = devices[0], second = devices[1];
        using GpuRankExchange exchange = new(devices, looks: 1 << 12);
        first.BeginStep(OneToken());
        using Activations partial = first.Tensors.CreateActivations(1, 32), sum = first.Tensors.CreateActivations(1, 32);
        Assert.That(exchange.FindFailure(), Is.Null);
        exchange.Sum(rank: 0, partial, sum, accumulate: false);
        Assert.That(exchange.FindFailure(), Is.EqualTo("a device has waited in vain for rank 1"));
    }

    /// <summary>The same of a part of a long step, which the other has not sent.</summary>
    [Test]
    public void A_device_that_waits_for_a_part_in_vain_gives_up()
    {
        const int Tokens = 400;
        GpuBackend[] devices = [new(new EmulatedDevice(rank: 0)), new(new EmulatedDevice(rank: 1))];
        using GpuBackend first = devices[0], second = devices[1];
        using GpuRankExchange exchange = new(devices, looks: 1 << 12) { LeastPartedRows = 1 };
        Batch batch = new();
        batch.Add(default, new int[Tokens], firstPosition: 0, wantsLogits: false);
        first.BeginStep(batch);
        using Activations partial = first.Tensors.CreateActivations(Tokens, 32, operand: true), sum = first.Tensors.CreateActivations(Tokens, 32);
        exchange.BeginParts(rank: 0, partial);
        RowPart part = exchange.Parts(rank: 0)[1];
        exchange.Send(rank: 0, partial, part);
        Assert.That(exchange.FindFailure(), Is.Null);
        exchange.AddSent(rank: 0, partial, sum, part);
        Assert.That(exchange.FindFailure(), Is.EqualTo("a device has waited in vain for rank 1"));
    }

    [Test]
    public void Pages_of_all_devices_are_mapped_or_of_none()
    {
        FaultPlan faults = new();
        ParallelMemory memory = new([new HostMemory(), new FaultyDeviceMemory(new HostMemory(), faults)]);
        long bytes = memory.PageGranularity;
        using IVirtualMemory pages = memory.CreateVirtualMemory(bytes, maxPages: 2);
        nint address = pages.Reserve(2 * bytes), page = pages.CreatePage();
        faults.Fail(MemoryOperation.Map);
        Assert.That(() => pages.Map(address, page), Throws.TypeOf<VirtualMemoryException>());
        faults.Clear();
        pages.Map(address, page); // had the first kept its mapping, this would be refused
        Assert.That(memory.Translate(address + 5, 1), Is.Not.EqualTo(address + 5));
        pages.Unmap(address, bytes);
        pages.Free(address, 2 * bytes);
        Assert.That(memory.Translate(address + 5, 1), Is.EqualTo(address + 5));
    }

    [Test]
    public void A_page_is_created_on_all_devices_or_on_none()
    {
        FaultPlan faults = new();
        ParallelMemory memory = new([new HostMemory(), new FaultyDeviceMemory(new HostMemory(), faults)]);
        using IVirtualMemory pages = memory.CreateVirtualMemory(memory.PageGranularity, maxPages: 1);
        faults.Fail(MemoryOperation.CreatePage);
        Assert.That(pages.CreatePage, Throws.TypeOf<VirtualMemoryException>());
        faults.Clear();
        Assert.That(pages.CreatePage, Throws.Nothing, "had the first kept its page, there would be no other");
    }

    [Test]
    public async Task Scores_and_embeddings_are_those_of_one_device()
    {
        (float[] scores, float[] embedding) expected = await AnswersAsync(new CpuBackend(threads: 1)), found = await AnswersAsync(ParallelDevices.Cpu(2));
        Assert.That(DecoderRuns.MaxDifference(expected.scores, found.scores), Is.LessThanOrEqualTo(1e-5f));
        Assert.That(DecoderRuns.MaxDifference(expected.embedding, found.embedding), Is.LessThanOrEqualTo(1e-5f));

        async Task<(float[] Scores, float[] Embedding)> AnswersAsync(IBackend owned)
        {
            using IBackend backend = owned;
            await using LlmSession session = GpuSessions.OpenRandom(_folder, backend, tokens: 512, paging: PagingMode.Hardware);
            int[] prompt = [.. Enumerable.Range(3, 40)]; // of several steps
            Task<float[]> embedding = session.EmbedAsync(prompt);
            return ([.. (await session.ScoreAsync(prompt)).Select(score => score.Logprob)], await embedding);
        }
    }

    [Test]
    public async Task Sessions_over_their_own_ranks_compute_at_the_same_time()
    {
        int[][][] answers = await Task.WhenAll(Enumerable.Range(0, 2).Select(_ => Task.Run(() => AnswersAsync(ParallelDevices.Cpu(2)))));
        Assert.That(answers[0], Is.EqualTo(answers[1]));
    }

    /// <summary>Loads that succeed, that are cancelled and that fail leave no thread and no memory behind.</summary>
    [Test]
    public void Threads_and_memory_do_not_grow([Values] bool whole)
    {
        const int Cycles = 50, Warm = 10, FewThreads = 4;
        const long FewBytes = 32 << 20;
        int threads = 0;
        long bytes = 0;
        for (int cycle = 0; cycle < Warm + Cycles; cycle++)
        {
            if (cycle == Warm) (threads, bytes) = Measure();
            using ParallelBackend backend = ParallelDevices.Cpu(4);
            using CancellationTokenSource cancelled = new();
            if (!whole) cancelled.Cancel();
            try
            {
                using Decoder decoder = Decoders.LoadRandom(_folder, backend, maxBatchTokens: 16, maxBatchSequences: 4, seed: 5, cancelled.Token);
                using KvRanges ranges = new(backend, decoder.KvLayout, sequences: 1, tokens: 16);
                decoder.Prefill(ranges[0], [5, 6, 7]);
            }
            catch (OperationCanceledException) when (!whole)
            {
            }
        }
        (int threadsAfter, long bytesAfter) = Measure();
        Assert.That(threadsAfter, Is.LessThanOrEqualTo(threads + FewThreads));
        Assert.That(bytesAfter - bytes, Is.LessThan(FewBytes));

        static (int Threads, long Bytes) Measure()
        {
            GC.Collect();
            using Process process = Process.GetCurrentProcess();
            return (process.Threads.Count, process.PrivateMemorySize64);
        }
    }

    [Test]
    public void Page_tables_are_refused()
    {
        using ParallelBackend backend = ParallelDevices.Cpu(2);
        KvLayout layout = new(1, 1, 8, sizeof(float));
        Assert.That(
            () => KvMemoryPlan.For(backend.Memory, layout, contextLength: 16, sequences: 1, bytes: 4096, PagingMode.Table),
            Throws.TypeOf<NotSupportedException>().With.Message.Contains("hardware paging"));
    }

    [TestCase(PagingMode.Table, 32, "share the numbers of pages by hardware paging only")]
    [TestCase(PagingMode.Auto, 7, "7 heads, 7 of keys and values, cannot be divided among 2 devices: expected a number that divides 7.")]
    public void What_several_gpus_cannot_do_is_refused_before_any_is_looked_for(PagingMode paging, int heads, string reason)
    {
        LlmSessionOptions options = new() { Device = Device.Cuda(0, 1), Paging = paging };
        ModelNeed model = new(1 << 20, 1 << 20, new ModelShape(heads, heads, HeadDim: 64, BlockLength: 1));
        Assert.That(
            () => DeviceChoice.Open(options, NullLogger.Instance, model: model),
            Throws.TypeOf<NotSupportedException>().With.Message.StartsWith("The device cuda:0,1 cannot be used. ").And.Message.Contains(reason));
    }

    [Test]
    public void A_model_that_does_not_fit_is_told_what_each_device_has()
    {
        using ParallelBackend two = ParallelDevices.Cpu(2);
        using CpuBackend one = new(threads: 1);
        Assert.That(SessionLoader.DescribeFree(two), Does.Match("^each of 2 devices takes a part; bytes were free: [0-9]+ on cpu 0, [0-9]+ on cpu 1$"));
        Assert.That(SessionLoader.DescribeFree(one), Does.Match("^[0-9]+ bytes were free$"));
    }

    private static Batch OneToken()
    {
        Batch batch = new();
        batch.Add(default, 1, 0, wantsLogits: false);
        return batch;
    }

    private async Task<int[][]> AnswersAsync(IBackend owned)
    {
        using IBackend backend = owned;
        await using LlmSession session = GpuSessions.OpenRandom(_folder, backend, tokens: 512, paging: PagingMode.Hardware);
        Task<GenerationResult>[] requests = [.. Enumerable.Range(0, 12).Select(i => session.GenerateAsync(Enumerable.Range(3, 1 + (i % 5)).ToArray(), Greedy))];
        return [.. (await Task.WhenAll(requests)).Select(result => result.TokenIds.ToArray())];
    }
}
