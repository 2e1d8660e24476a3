using Decart.Inference.Engine;
using Decart.Inference.Memory;
using Microsoft.Extensions.Logging.Abstractions;

namespace Decart.Inference.Tests.Engine;

internal sealed class SchedulerTests
{
    private readonly List<KvMemory> _memories = [];

    [TearDown]
    public void Free() => _memories.ForEach(memory => memory.Dispose());

    [Test]
    public void Decoding_comes_before_prompts_and_prompts_in_the_order_of_arrival()
    {
        Scheduler scheduler = Create(pages: 100, maxBatchTokens: 10, maxConcurrentSequences: 3);
        Sequence first = Prompt(25), decoding = Prompt(1), second = Prompt(4), third = Prompt(1);
        foreach (Sequence sequence in (Sequence[])[first, decoding, second, third]) scheduler.Add(sequence);

        Assert.That(Step(scheduler), Is.EqualTo(new[] { (first, 10) }), "the others have to wait for tokens");
        Assert.That(Step(scheduler), Is.EqualTo(new[] { (first, 10) }));
        Assert.That(Step(scheduler), Is.EqualTo(new[] { (first, 5), (decoding, 1), (second, 4) }), "the third waits for a place");
        Assert.That((scheduler.RunningCount, scheduler.WaitingCount), Is.EqualTo((3, 1)));
        scheduler.Free(decoding);
        Assert.That(Step(scheduler), Is.EqualTo(new[] { (third, 1) }), "the first and the second wait for their next tokens");
    }

    [Test]
    public void A_long_prompt_leaves_running_sequences_their_token_in_every_step()
    {
        Scheduler scheduler = Create(pages: 100, maxBatchTokens: 8, maxConcurrentSequences: 3);
        Growing decoding = new(1, 100), late = new(1, 100);
        scheduler.Add(decoding);
        Step(scheduler);
        scheduler.Add(new Growing(60, 61));
        scheduler.Add(late);
        for (int i = 0; i < 8; i++) Assert.That(Step(scheduler)[0], Is.EqualTo(((Sequence)decoding, 1)));
        Assert.That(Step(scheduler).Select(chunk => chunk.Item1), Has.Member(late), "no later than the prompt before it is done");
    }

    [Test]
    public void Higher_priority_goes_first_whenever_it_came()
    {
        Scheduler scheduler = Create(pages: 100, maxBatchTokens: 10, maxConcurrentSequences: 2);
        Sequence usual = Prompt(4), unimportant = new Growing(4, 4, priority: -1), urgent = new Growing(4, 4, priority: 5);
        foreach (Sequence sequence in (Sequence[])[unimportant, usual, urgent]) scheduler.Add(sequence);
        Assert.That(Step(scheduler), Is.EqualTo(new[] { (urgent, 4), (usual, 4) }));
    }

    [Test]
    public void When_pages_run_out_the_last_gives_its_own_up_and_goes_on_later()
    {
        Scheduler scheduler = Create(pages: 5, maxBatchTokens: 64, maxConcurrentSequences: 8);
        Growing first = new(30, 64), second = new(16, 40), third = new(10, 16);
        foreach (Growing sequence in (Growing[])[first, second, third]) scheduler.Add(sequence);
        Step(scheduler);
        Assert.That((first.Kv!.Pages, second.Kv!.Pages, third.Kv!.Pages), Is.EqualTo((3, 1, 1)), "the first has a page ahead of need");
        Step(scheduler);
        Assert.That(third.Kv, Is.Null, "the second needs a page for its 17th token");
        Assert.That((first.Kv.Pages, second.Kv.Pages, scheduler.Preemptions, scheduler.WaitingCount), Is.EqualTo((3, 2, 1, 1)));
        StepUntil(scheduler, () => second.Kv is null);
        Assert.That((second.Tokens.Length, first.Kv.Tokens, scheduler.Preemptions), Is.EqualTo((33, 47, 2)), "the last who runs is the second itself");
        scheduler.Free(first);
        Step(scheduler);
        Assert.That((second.Computed, third.Computed), Is.EqualTo((33, 11)), "both compute again what they had");
    }

    [Test]
    public void Nobody_overtakes_the_first_who_waits_for_pages()
    {
        Scheduler scheduler = Create(pages: 4, maxBatchTokens: 64, maxConcurrentSequences: 8);
        Growing running = new(33, 40), large = new(40, 48), small = new(2, 4);
        foreach (Growing sequence in (Growing[])[running, large, small]) scheduler.Add(sequence);
        for (int i = 0; i < 5; i++) Assert.That(Step(scheduler).Select(chunk => chunk.Item1), Is.EqualTo(new[] { running }));
        scheduler.Free(running);
        Assert.That(Step(scheduler)[0].Item1, Is.EqualTo(large));
    }

    [Test]
    public void A_sequence_whose_reader_lags_behind_makes_way_and_keeps_its_pages_while_they_are_not_needed()
    {
        Scheduler scheduler = Create(pages: 4, maxBatchTokens: 64, maxConcurrentSequences: 1);
        Growing lagging = new(20, 60), other = new(20, 60);
        scheduler.Add(lagging);
        scheduler.Add(other);
        Step(scheduler);
        lagging.Reads = false;
        Assert.That(Step(scheduler)[0].Item1, Is.EqualTo(other));
        Assert.That((lagging.Kv!.Tokens, scheduler.WaitingCount), Is.EqualTo((20, 1)));
        StepUntil(scheduler, () => other.Tokens.Length >= 50);
        Assert.That(lagging.Kv, Is.Null);
        scheduler.Free(other);
        Assert.That(scheduler.HasWork, Is.False);
        lagging.Reads = true;
        Assert.That(scheduler.HasWork);
        Assert.That(Step(scheduler), Is.EqualTo(new[] { ((Sequence)lagging, 21) }));
    }

    [Test]
    public void Sequences_are_removed_wherever_they_are()
    {
        Scheduler scheduler = Create(pages: 100, maxBatchTokens: 10, maxConcurrentSequences: 1);
        Sequence running = Prompt(2), waiting = Prompt(2), last = Prompt(2);
        foreach (Sequence sequence in (Sequence[])[running, waiting, last]) scheduler.Add(sequence);
        Step(scheduler);
        running.Cancel();
        waiting.Cancel();
        Assert.That(scheduler.Sequences.Where(sequence => sequence.IsCancelled), Is.EqualTo(new[] { running, waiting }));
        scheduler.Free(running);
        scheduler.Free(waiting);
        Assert.That((scheduler.RunningCount, scheduler.WaitingCount, running.Kv), Is.EqualTo((0, 1, (KvCache?)null)));
        scheduler.Free(last);
        Assert.That(scheduler.HasWork, Is.False);
    }

    private static LogitsSequence Prompt(int tokens) => new(new int[tokens]);

    /// <summary>A scheduler over pages of 16 tokens, without prefix caching.</summary>
    private Scheduler Create(int pages, int maxBatchTokens, int maxConcurrentSequences)
    {
        KvLayout layout = new(1, 1, 1, sizeof(float));
        KvMemoryPlan plan = new(layout, PagingMode.Table, PageGeometry.ForTable(layout.TokenBytes), pages, 64, 8, 128);
        _memories.Add(plan.Create(new HostMemory(), prefixCaching: false, NullLogger.Instance));
        return new Scheduler(_memories[^1], maxBatchTokens, maxConcurrentSequences);
    }

    private static (Sequence, int)[] Step(Scheduler scheduler)
    {
        EngineStep next = new();
        Assert.That(scheduler.Schedule(next, settled: true), Is.EqualTo(Scheduling.Scheduled));
        (Sequence, int)[] step = [.. next.Scheduled.ToArray().Select(chunk => (chunk.Sequence, chunk.Length))];
        foreach ((Sequence sequence, int length) in step)
        {
            sequence.Start(ref sequence.Kv!.Extent, length);
            sequence.Finish(length, chosen: false);
            if (sequence.Remaining == 0) sequence.Accept([0]);
        }
        return step;
    }

    private static void StepUntil(Scheduler scheduler, Func<bool> condition)
    {
        for (int steps = 0; !condition(); steps++)
        {
            Assert.That(steps, Is.LessThan(200), "it does not come to that");
            Step(scheduler);
        }
    }

    /// <summary>Gets a token with every step once its prompt is computed.</summary>
    private sealed class Growing(int prompt, int maxTokens, int priority = 0) : Sequence(new int[prompt], maxTokens, priority)
    {
        public bool Reads { get; set; } = true;

        public override bool HasRoom => Reads;

        public override bool Accept(Span<float> logits)
        {
            Append(0);
            return false;
        }

        public override void Publish()
        {
        }

        public override void Fail(Exception error)
        {
        }

        public override void Abandon()
        {
        }
    }
}
