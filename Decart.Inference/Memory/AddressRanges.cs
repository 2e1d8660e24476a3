using System.Globalization;

namespace Decart.Inference.Memory;

/// <summary>
/// The account of the address ranges that the system describes for the process. Linux allows <c>vm.max_map_count</c> of them; at that limit nothing works any
/// more: unmapping fails too, and the garbage collector cannot grow. All sessions of the process share one account. Any thread may call.
/// </summary>
/// <param name="limit">The most ranges that sessions may take together.</param>
/// <remarks>
/// Neighbouring addresses make one range while nothing is mapped there, or while they show consecutive pages: the system merges them. See
/// <see cref="Seam"/>.
/// </remarks>
internal sealed class AddressRanges(int limit)
{
    /// <summary>No page is mapped.</summary>
    public const int Unmapped = -1;

    private const int LinuxDefault = 65_530;
    private const int MinLimit = 1_024;

    private readonly Lock _lock = new(); // guards _shares
    private AddressRangeShare[] _shares = []; // replaced as a whole, so that readers need no lock
    private int _taken;

    /// <summary>Where the system sets no limit, and where no pages are mapped.</summary>
    public static AddressRanges Unlimited { get; } = new(int.MaxValue);

    /// <summary>
    /// Those of this process. On Linux everything else in the process has those that it had at the first use of this, and an eighth of all; elsewhere there
    /// is no limit.
    /// </summary>
    public static AddressRanges OfProcess { get; } = OperatingSystem.IsLinux() ? new(Math.Max(MinLimit, (ReadLimit() / 8 * 7) - CountOthers())) : Unlimited;

    public int Limit => limit;

    /// <summary>Ranges that all sessions have taken.</summary>
    public int Taken => Volatile.Read(ref _taken);

    /// <summary>Ranges that are left; negative where fixed ones have gone beyond the limit.</summary>
    public int Available => limit - Taken;

    private AddressRangeShare[] Shares => Volatile.Read(ref _shares);

    /// <summary>How many ranges end between two neighbouring pages of addresses: 0 where the system merges them.</summary>
    /// <param name="left">The page that is mapped at the lower address; <see cref="Unmapped"/> where none is.</param>
    /// <param name="right">The page at the higher.</param>
    public static int Seam(int left, int right) => right == (left == Unmapped ? Unmapped : left + 1) ? 0 : 1;

    /// <summary>The part of one session, to be disposed of with it.</summary>
    /// <param name="fixedCount">Ranges that it has from the start, whatever the limit says.</param>
    public AddressRangeShare Open(int fixedCount)
    {
        AddressRangeShare share = new(this, fixedCount);
        Interlocked.Add(ref _taken, fixedCount);
        lock (_lock) Volatile.Write(ref _shares, [.. _shares, share]);
        return share;
    }

    internal bool TryTake(int count)
    {
        int taken = Taken;
        while (count <= limit - taken)
        {
            int found = Interlocked.CompareExchange(ref _taken, taken + count, taken);
            if (found == taken) return true;
            taken = found;
        }
        return false;
    }

    internal void Return(int count)
    {
        Interlocked.Add(ref _taken, -count);
        foreach (AddressRangeShare share in Shares) share.OnReturned();
    }

    internal void Close(AddressRangeShare share, int count)
    {
        lock (_lock) Volatile.Write(ref _shares, [.. _shares.Where(other => other != share)]);
        Return(count);
    }

    /// <summary>Asks all other sessions to give up what they do not need at the moment.</summary>
    internal void Ask(AddressRangeShare asking, int count)
    {
        foreach (AddressRangeShare share in Shares)
        {
            if (share != asking) share.OnAsked(count);
        }
    }

    /// <summary>Whether others hold ranges that they will give back.</summary>
    internal bool AreHeldByOthers(AddressRangeShare share) => Array.Exists(Shares, other => other != share && other.Taken > other.Fixed);

    /// <summary>Whether a session waits that holds less than an equal share, while this one holds more.</summary>
    internal bool AreOwed(AddressRangeShare share)
    {
        AddressRangeShare[] shares = Shares;
        int equal = limit / shares.Length;
        return share.Taken > equal && Array.Exists(shares, other => other.IsWaiting && other.Taken < equal);
    }

    private static int ReadLimit() => Read(
        () => (int)Math.Min(long.Parse(File.ReadAllText("/proc/sys/vm/max_map_count"), NumberStyles.AllowTrailingWhite, CultureInfo.InvariantCulture), int.MaxValue),
        LinuxDefault);

    private static int CountOthers() => Read(() => File.ReadLines("/proc/self/maps").Count(), 0);

    /// <summary>A number that the system publishes, or a default where it cannot be read.</summary>
    private static int Read(Func<int> read, int otherwise)
    {
        try
        {
            return read();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or FormatException or OverflowException)
        {
            return otherwise;
        }
    }
}
