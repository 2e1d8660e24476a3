using ILGPU.IR.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Intrinsics;

/// <summary>
/// Barriers in shared memory, 8 bytes each, that count arrivals of threads and bytes of asynchronous copies (PTX ISA, "mbarrier"; sm_90). A phase
/// ends when all its arrivals and all bytes that were announced have come; the next begins at once, with as many arrivals. Phases have parities 0, 1,
/// 0, ...; whoever waits for a phase must do so before the next one ends.
/// </summary>
/// <remarks>The emulation keeps, from the low end: arrivals to come, arrivals of a phase, bytes to come (with a sign), the phase's parity.</remarks>
internal static unsafe class MBarrier
{
    public const int Bytes = sizeof(ulong);

    /// <summary>Emulated threads sleep while they wait: hundreds of them share a processor's few cores.</summary>
    private static readonly object[] Waiters = [.. Enumerable.Range(0, 64).Select(_ => new object())];

    private const int CountBits = 20, ByteShift = 2 * CountBits, ParityShift = 63;
    private const ulong CountMask = (1UL << CountBits) - 1, ByteMask = (1UL << (ParityShift - ByteShift)) - 1;

    /// <summary>Makes a barrier; one thread does, and others use it after <see cref="PublishInit"/> and a barrier of the group or cluster.</summary>
    /// <param name="barrier">Its address, a multiple of 8.</param>
    /// <param name="arrivals">Arrivals of a phase, 1 to 2^20 - 1.</param>
    [IntrinsicImplementation, Ptx("mbarrier.init.shared::cta.b64 [$0], $1;", MinArchitecture = 90)]
    public static void Init(int barrier, int arrivals) => *Word(barrier) = ((ulong)arrivals << CountBits) | (uint)arrivals;

    /// <summary>Makes barriers known to asynchronous copies and to the other groups of the cluster ("fence.mbarrier_init").</summary>
    [IntrinsicImplementation, Ptx("fence.mbarrier_init.release.cluster;", MinArchitecture = 90)]
    public static void PublishInit() { }

    /// <summary>Arrives; what the thread has read and written comes before what others do after waiting.</summary>
    [IntrinsicImplementation, Ptx("mbarrier.arrive.shared::cta.b64 _, [$0];", MinArchitecture = 90)]
    public static void Arrive(int barrier) => Update(barrier, 1, 0);

    /// <summary>Arrives and announces bytes of copies that belong to the phase. Those are started after this.</summary>
    [IntrinsicImplementation, Ptx("mbarrier.arrive.expect_tx.shared::cta.b64 _, [$0], $1;", MinArchitecture = 90)]
    public static void ArriveExpecting(int barrier, int bytes) => Update(barrier, 1, bytes);

    /// <summary>Waits until the phase of that parity, the current one or the one before, has ended ("mbarrier.try_wait").</summary>
    [IntrinsicImplementation, Ptx(
        "{ .reg .pred done; TRY: mbarrier.try_wait.parity.shared::cta.b64 done, [$0], $1; @!done bra TRY; }", MinArchitecture = 90)]
    public static void Wait(int barrier, int parity)
    {
        if (!IsIn(barrier, parity)) return;
        object waiters = WaitersFor(barrier);
        lock (waiters)
        {
            while (IsIn(barrier, parity)) Monitor.Wait(waiters);
        }
    }

    private static bool IsIn(int barrier, int parity) => (int)(Volatile.Read(ref *Word(barrier)) >> ParityShift) == parity;

    private static object WaitersFor(int barrier) => Waiters[barrier / Bytes % Waiters.Length];

    /// <summary>For emulations of copies: bytes have come.</summary>
    internal static void Complete(int barrier, int bytes) => Update(barrier, 0, -bytes);

    private static ulong* Word(int barrier) => (ulong*)Shared.Pointer(barrier);

    private static void Update(int barrier, int arrivals, int bytes)
    {
        ulong* word = Word(barrier);
        ulong before, after;
        do
        {
            before = Volatile.Read(ref *word);
            ulong count = (before >> CountBits) & CountMask, parity = before >> ParityShift;
            ulong pending = (before & CountMask) - (uint)arrivals, pendingBytes = ((before >> ByteShift) + (ulong)(long)bytes) & ByteMask;
            if (pending == 0 && pendingBytes == 0) (pending, parity) = (count, parity ^ 1);
            after = (pending & CountMask) | (count << CountBits) | (pendingBytes << ByteShift) | (parity << ParityShift);
        }
        while (Interlocked.CompareExchange(ref *word, after, before) != before);
        if (before >> ParityShift == after >> ParityShift) return;
        object waiters = WaitersFor(barrier);
        lock (waiters) Monitor.PulseAll(waiters);
    }
}
