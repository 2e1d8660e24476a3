using System.Collections.Concurrent;

namespace Soak;

/// <summary>What callers count. Any thread.</summary>
internal sealed class Tally
{
    private const int MostMessages = 20;

    private long _done, _cancelled, _left, _checked;
    private int _failures;

    public long Done => Interlocked.Read(ref _done);

    public long Cancelled => Interlocked.Read(ref _cancelled);

    /// <summary>Answers whose enumeration was left before the end.</summary>
    public long Left => Interlocked.Read(ref _left);

    public long Checked => Interlocked.Read(ref _checked);

    /// <summary>Wrong answers and exceptions that nobody asked for.</summary>
    public int Failures => Volatile.Read(ref _failures);

    /// <summary>The first of them in words.</summary>
    public ConcurrentQueue<string> Messages { get; } = [];

    public void CountDone() => Interlocked.Increment(ref _done);

    public void CountCancelled() => Interlocked.Increment(ref _cancelled);

    public void CountLeft() => Interlocked.Increment(ref _left);

    public void Check(string what, string found, string expected)
    {
        Interlocked.Increment(ref _checked);
        if (found != expected) Fail($"{what}: expected \"{expected}\", found \"{found}\"");
    }

    public void Fail(string message)
    {
        if (Interlocked.Increment(ref _failures) <= MostMessages) Messages.Enqueue(message);
    }
}
