using System.Diagnostics;
using System.Runtime.InteropServices;
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
/// What the engine adds to one decode step: all sequences are scheduled, their pages reserved and waited for, the batch is filled and the new tokens are
/// recorded. Prefix caching is on and every page of the pool is known by its tokens: a sequence's next page is taken from the cached ones, as in a session
/// that has run for a while. The model computes nothing and takes as long as mapping ahead does on the helper thread; its time is not counted, nor that of
/// the beginning and end of sequences.
/// </summary>
[MemoryDiagnoser]
[Config(typeof(EngineTime))]
public partial class SchedulerBenchmarks
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
        _engine = new EngineLoop(new MappingTime(_memory, layout, Sequences), _memory, new Scheduler(_memory, Sequences * MaxPrompt, Sequences), NullLogger.Instance, "a benchmark");
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
        private readonly int _first = prompt[0];

        public override bool Accept(Span<float> logits)
        {
            Append(_first ^ (CompletionLength << 24));
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

    /// <summary>
    /// Stands still while the model computes. On Linux it counts the engine thread's time on a processor, which others on the machine do not lengthen; elsewhere
    /// time as it passes. For one thread.
    /// </summary>
    private sealed partial class EngineClock : IClock
    {
        private const int ThreadProcessorTime = 3; // CLOCK_THREAD_CPUTIME_ID
        private const long Second = 1_000_000_000;

        private static long _stopped, _since;

        public string Title => nameof(EngineClock);

        public bool IsAvailable => true;

        public Frequency Frequency => new(Second);

        public static void Stop() => _since = Nanoseconds();

        public static void Go() => _stopped += Nanoseconds() - _since;

        public long GetTimestamp() => Nanoseconds() - _stopped;

        private static long Nanoseconds() =>
            OperatingSystem.IsLinux() && GetTime(ThreadProcessorTime, out TimeSpec time) == 0
                ? (time.Seconds * Second) + time.Nanoseconds
                : Stopwatch.GetElapsedTime(0).Ticks * TimeSpan.NanosecondsPerTick;

        [LibraryImport("libc", EntryPoint = "clock_gettime")]
        private static partial int GetTime(int clock, out TimeSpec time);

        private struct TimeSpec
        {
            public long Seconds, Nanoseconds;
        }
    }
}
