using Decart.Inference.Engine;
using Decart.Inference.Kernels;
using Decart.Inference.Memory;
using Decart.Inference.Models;
using Microsoft.Extensions.Logging.Abstractions;

namespace Decart.Inference.Tests.Engine;

internal sealed class EngineLoopTests
{
    private const int Sequences = 100, MinPrompt = 16, MostTokens = 256;

    private static readonly KvLayout Layout = new(Layers: 1, KvHeads: 1, HeadDim: Environment.SystemPageSize / 16 / (2 * sizeof(float)), sizeof(float));

    [Test]
    public void A_step_allocates_nothing_while_pages_are_known_taken_and_mapped([Values(PagingMode.Hardware, PagingMode.Table)] PagingMode paging)
    {
        if (paging == PagingMode.Hardware && !OperatingSystem.IsLinux()) Assert.Ignore("Hardware paging is needed; this test takes Linux's.");
        using KvMemory memory = CreateMemory(paging);
        EngineLoop engine = CreateEngine(memory);
        long inSteps = 0;
        // From the third on every page has been known for other tokens, and lists are as long as they get, but for the queues that change places with the thread that maps pages: each grows once, when that
        // thread first falls so far behind while it is the one that is filled.
        for (int round = 0; round < 3 || (round < 6 && inSteps > 0); round++)
        {
            Growing[] sequences = [.. Enumerable.Range(0, Sequences).Select(i => new Growing((round * Sequences) + i, MinPrompt + (i % MinPrompt)))];
            foreach (Growing sequence in sequences) engine.Submit(sequence);
            engine.RunOnce();
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int step = 0; step < 200; step++) engine.RunOnce();
            inSteps = GC.GetAllocatedBytesForCurrentThread() - before;
            Assert.That(sequences.Select(sequence => sequence.CompletionLength), Is.All.EqualTo(201));
            foreach (Growing sequence in sequences) engine.Cancel(sequence);
            engine.RunOnce();
        }
        Assert.That(inSteps, Is.Zero, "bytes in 200 steps");
        Assert.That(memory.Pool.Cached, Is.GreaterThan(Sequences), "the pages were known");
    }

    /// <summary>Also where the engine has it before its caller goes on.</summary>
    [Test]
    public void A_token_cancels_a_sequence_from_its_submission_on()
    {
        using KvMemory memory = CreateMemory(PagingMode.Table);
        EngineLoop engine = CreateEngine(memory);
        using CancellationTokenSource before = new(), meanwhile = new(), after = new();
        Growing[] sequences = [.. Enumerable.Range(0, 3).Select(number => new Growing(number, MinPrompt))];
        before.Cancel();
        engine.Submit(sequences[0], before.Token);
        engine.Submit(sequences[1], meanwhile.Token);
        engine.Submit(sequences[2], after.Token).Dispose();
        meanwhile.Cancel();
        after.Cancel();
        for (int step = 0; step < 10; step++) engine.RunOnce();
        Assert.That(sequences.Select(sequence => sequence.CompletionLength > 0), Is.EqualTo((bool[])[false, false, true]), "what was given up cancels nothing");
        engine.Cancel(sequences[2]);
        engine.RunOnce();
        Assert.That(memory.Pool.InUse, Is.Zero);
    }

    private static KvMemory CreateMemory(PagingMode paging)
    {
        HostMemory host = new();
        PageGeometry geometry = paging == PagingMode.Table
            ? PageGeometry.ForTable(Layout.TokenBytes)
            : PageGeometry.ForHardware(Layout.TokenBytes, host.PageGranularity);
        int pages = Sequences * geometry.PagesFor(MostTokens);
        KvMemoryPlan plan = new(Layout, paging, geometry, pages, Slots: Sequences, MinSlots: Sequences, SlotTokens: MostTokens);
        return plan.Create(host, prefixCaching: true, NullLogger.Instance);
    }

    private static EngineLoop CreateEngine(KvMemory memory) =>
        new(new NoModel(), memory, new Scheduler(memory, Sequences * 2 * MinPrompt, Sequences), NullLogger.Instance, "a test");

    private sealed class Growing(int number, int prompt) : Sequence([number, .. Enumerable.Repeat(7, prompt - 1)], MostTokens)
    {
        public override bool Accept(Span<float> logits)
        {
            Append(CompletionLength);
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

    private sealed class NoModel : IDecoder
    {
        public int VocabularySize => 1;

        public int ContextLength => MostTokens;

        public int MaxBatchTokens => Sequences * 2 * MinPrompt;

        public int MaxBatchSequences => Sequences;

        public KvLayout KvLayout => Layout;

        public void Forward(Batch batch)
        {
        }

        public void ReadLogits(int index, Span<float> destination)
        {
        }

        public void Dispose()
        {
        }
    }
}
