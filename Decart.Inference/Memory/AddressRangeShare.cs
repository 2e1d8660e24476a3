namespace Decart.Inference.Memory;

/// <summary>
/// What one session has taken of the process's <see cref="AddressRanges"/>. The session's thread takes and waits; any thread may give back.
/// </summary>
internal sealed class AddressRangeShare : IDisposable
{
    private readonly AddressRanges _ranges;
    private int _taken;
    private int _asked;
    private volatile bool _waiting;

    internal AddressRangeShare(AddressRanges ranges, int fixedCount)
    {
        _ranges = ranges;
        _taken = Fixed = fixedCount;
    }

    /// <summary>Ranges that it has as long as it lives.</summary>
    public int Fixed { get; }

    public int Taken => Volatile.Read(ref _taken);

    /// <summary>Ranges that are left to all sessions.</summary>
    public int Available => _ranges.Available;

    /// <summary>Called, on any thread, when ranges that the session waits for have come back, or when others ask for some.</summary>
    public Action? Wake { get; set; }

    /// <summary>Whether nothing of the session runs until ranges come back.</summary>
    public bool IsWaiting => _waiting;

    /// <summary>Whether other sessions ask for more ranges than are left.</summary>
    public bool IsAsked => Volatile.Read(ref _asked) > _ranges.Available;

    /// <summary>Whether this session should begin nothing new, since it has more than an equal share and one that has less waits.</summary>
    public bool AreOwed => _ranges.AreOwed(this);

    /// <summary>Takes ranges for what will be mapped.</summary>
    /// <returns>False when too few are left.</returns>
    public bool TryTake(int count)
    {
        if (!_ranges.TryTake(count)) return false;
        Interlocked.Add(ref _taken, count);
        return true;
    }

    /// <summary>Gives ranges back that the system no longer describes.</summary>
    public void Return(int count)
    {
        Interlocked.Add(ref _taken, -count);
        _ranges.Return(count);
    }

    /// <summary>Asks other sessions to give up what they do not need at the moment.</summary>
    public void Ask(int count) => _ranges.Ask(this, count);

    /// <summary>Waits until ranges come back: <see cref="Wake"/> is called then. Returns at once.</summary>
    /// <param name="count">How many are wanted.</param>
    /// <returns>False when there is nothing to wait for: enough are there by now, or others hold none that they will give back.</returns>
    public bool Wait(int count)
    {
        _waiting = true; // first, so that none comes back unnoticed
        if (_ranges.Available < count && _ranges.AreHeldByOthers(this)) Ask(count);
        else _waiting = false;
        return _waiting;
    }

    /// <summary>Forgets what was waited for.</summary>
    public void StopWaiting() => _waiting = false;

    /// <summary>Others have been given what there was.</summary>
    public void EndAsked() => Volatile.Write(ref _asked, 0);

    public void Dispose() => _ranges.Close(this, Interlocked.Exchange(ref _taken, 0));

    internal void OnReturned()
    {
        if (!_waiting) return;
        _waiting = false;
        Wake?.Invoke();
    }

    internal void OnAsked(int count)
    {
        Volatile.Write(ref _asked, Math.Max(_asked, count));
        if (Taken > Fixed && IsAsked) Wake?.Invoke();
    }
}
