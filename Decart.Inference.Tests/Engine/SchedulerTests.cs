using Decart.Inference.Engine;

namespace Decart.Inference.Tests.Engine;

public class SchedulerTests
{
    [Test]
    public void Decoding_comes_before_prompts_and_prompts_in_the_order_of_arrival()
    {
        var scheduler = new Scheduler(maxBatchTokens: 10, maxConcurrentSequences: 3);
        Sequence first = Prompt(25), decoding = Prompt(1), second = Prompt(4), third = Prompt(1);
        foreach (Sequence sequence in (Sequence[])[first, decoding, second, third]) scheduler.Add(sequence);

        Assert.That(Step(scheduler), Is.EqualTo(new[] { (decoding, 1), (first, 9) }), "the second has to wait for tokens, the third for a place");
        Assert.That((scheduler.RunningCount, scheduler.WaitingCount), Is.EqualTo((3, 1)));
        scheduler.Remove(decoding);
        Assert.That(Step(scheduler), Is.EqualTo(new[] { (third, 1), (first, 9) }));
        scheduler.Remove(third);
        Assert.That(Step(scheduler), Is.EqualTo(new[] { (first, 7), (second, 3) }));
        Assert.That(Step(scheduler), Is.EqualTo(new[] { (second, 1) }), "the first waits for its next token");
    }

    [Test]
    public void Sequences_are_removed_wherever_they_are()
    {
        var scheduler = new Scheduler(maxBatchTokens: 10, maxConcurrentSequences: 1);
        Sequence running = Prompt(2), waiting = Prompt(2), last = Prompt(2);
        foreach (Sequence sequence in (Sequence[])[running, waiting, last]) scheduler.Add(sequence);
        scheduler.Schedule();
        running.Cancel();
        waiting.Cancel();
        Assert.That(scheduler.RemoveAll(sequence => sequence.IsCancelled), Is.EqualTo(new[] { running, waiting }));
        Assert.That((scheduler.RunningCount, scheduler.WaitingCount), Is.EqualTo((0, 1)));
        scheduler.Remove(last);
        Assert.That(scheduler.HasWork, Is.False);
    }

    private static LogitsSequence Prompt(int tokens) => new(new int[tokens]);

    private static (Sequence, int)[] Step(Scheduler scheduler)
    {
        (Sequence, int)[] step = [.. scheduler.Schedule().ToArray().Select(chunk => (chunk.Sequence, chunk.Length))];
        foreach ((Sequence sequence, int length) in step) sequence.Advance(length);
        return step;
    }
}
