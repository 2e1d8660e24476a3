using System.Diagnostics;
using BenchmarkDotNet.Attributes;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Toolchains.InProcess.Emit;
using Decart.Inference.Engine;
using Decart.Inference.Kernels;
using Decart.Inference.Memory;
using Decart.Inference.Models;
using Microsoft.Extensions.Logging.Abstractions;
using Perfolizer.Horology;

namespace Decart.Inference.Benchmarks;

/// <summary>
/// What the engine adds to one decode step: the step of all sequences is scheduled, its pages are reserved and waited for, its batch is filled, and its tokens are
/// recorded, while the model computes nothing. Prefix caching is on and every page of the pool has a content that is known: a sequence's next page is
/// taken from the cached ones, as in a session that has run for a while. Sequences begin and end outside of what is measured.
/// </summary>
[MemoryDiagnoser]
[Config(typeof(EngineTime))]
public class SchedulerBenchmarks
{
    private const int Steps = 128, MinPrompt = 16, TokensPerPage = 16, MaxPrompt = MinPrompt + TokensPerPage, MaxTokens = MaxPrompt + Steps;

    private readonly List<GrowingSequence> _sequences = [];
    private KvMemory _memory = null!;
    private EngineLoop _engine = null!;
    private int _nextToken;

    [Params(250, 1000, 4000)]
    public int Sequences { get; set; }

    [Params(PagingMode.Hardware, PagingMode.Table)]
    public PagingMode Paging { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        HostMemory host = new();
        KvLayout layout = new(Layers: 1, KvHeads: 1, HeadDim: Environment.SystemPageSize / TokensPerPage / (2 * sizeof(float)), sizeof(float));
        PageGeometry geometry = Paging == PagingMode.Table
            ? PageGeometry.ForTable(layout.TokenBytes)
            : PageGeometry.ForHardware(layout.TokenBytes, host.PageGranularity);
        int pages = Sequences * geometry.PagesFor(MaxTokens);
        KvMemoryPlan plan = new(layout, Paging, geometry, pages, Slots: Sequences, MinSlots: Sequences, SlotTokens: MaxTokens);
        _memory = plan.Create(host, prefixCaching: true, NullLogger.Instance);
        _engine = new EngineLoop(new MappingTime(_memory, layout, Sequences), _memory, new Scheduler(_memory, Sequences * MaxPrompt, Sequences), NullLogger.Instance);
    }

    [GlobalCleanup]
    public void Dispose() => _memory.Dispose();

    /// <summary>New sequences take the place of the previous ones. Their prompts end anywhere on a page, so that every step needs pages for some.</summary>
    [IterationSetup]
    public void Begin()
    {
        foreach (GrowingSequence sequence in _sequences) _engine.Cancel(sequence);
        _engine.RunOnce();
        _sequences.Clear();
        for (int i = 0; i < Sequences; i++)
        {
            int[] prompt = [.. Enumerable.Range(0, MinPrompt + (i % TokensPerPage)).Select(_ => _nextToken++)];
            _sequences.Add(new GrowingSequence(prompt, MaxTokens));
            _engine.Submit(_sequences[i]);
        }
        _engine.RunOnce();
    }

    [Benchmark(OperationsPerInvoke = Steps)]
    public void DecodeStep()
    {
        for (int i = 0; i < Steps; i++) _engine.RunOnce();
    }

    /// <summary>Gets a token with every step and never ends by itself.</summary>
    private sealed class GrowingSequence(int[] prompt, int maxTokens) : Sequence(prompt, maxTokens)
    {
        public override bool Accept(Span<float> logits)
        {
            Append(Tokens[0] ^ (CompletionLength << 24));
            return false;
        }

        public override void Publish()
        {
        }

        public override void Fail(Exception error) => throw error;

        public override void Abandon()
        {
        }
    }

    /// <summary>A model that computes nothing; its time is as long as it takes to map what the scheduler has asked for.</summary>
    private sealed class MappingTime(KvMemory memory, KvLayout layout, int sequences) : IDecoder
    {
        public int VocabularySize => 1;

        public int ContextLength => MaxTokens;

        public int MaxBatchTokens => sequences * MaxPrompt;

        public int MaxBatchSequences => sequences;

        public KvLayout KvLayout => layout;

        public void Forward(Batch batch)
        {
            EngineClock.Stop();
            memory.Map.Wait(slot: 0, since: long.MaxValue, memory.Map.LastTicket);
            EngineClock.Go();
        }

        public void ReadLogits(int index, Span<float> destination)
        {
        }

        public void Dispose()
        {
        }
    }

    private sealed class EngineTime : ManualConfig
    {
        public EngineTime() => AddJob(Job.Default
            .WithToolchain(new InProcessEmitToolchain(new()))
            .WithClock(new EngineClock())
            .WithInvocationCount(1)
            .WithUnrollFactor(1)
            .WithWarmupCount(40)
            .WithIterationCount(40));
    }

    /// <summary>Stands still while the model computes. For one thread.</summary>
    private sealed class EngineClock : IClock
    {
        private static long _stopped, _since;

        public string Title => nameof(EngineClock);

        public bool IsAvailable => true;

        public Frequency Frequency => new(Stopwatch.Frequency);

        public static void Stop() => _since = Stopwatch.GetTimestamp();

        public static void Go() => _stopped += Stopwatch.GetTimestamp() - _since;

        public long GetTimestamp() => Stopwatch.GetTimestamp() - _stopped;
    }
}
