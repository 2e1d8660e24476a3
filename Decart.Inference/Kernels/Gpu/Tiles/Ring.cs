using Decart.Inference.Kernels.Gpu.Intrinsics;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu.Tiles;

/// <summary>What a ring is made of.</summary>
internal interface IRingShape
{
    /// <summary>Stages, and bytes of each; or the most, and the least of one, of <see cref="Ring{TShape}.WithStages"/>.</summary>
    static abstract int Stages { get; }

    static abstract int StageBytes { get; }

    /// <summary>Arrivals at <see cref="Ring{TShape}.Full"/> that make a stage full, besides the bytes of copies.</summary>
    static abstract int Writers { get; }

    /// <summary>Warps that read, each of which releases every stage.</summary>
    static abstract int Readers { get; }
}

/// <summary>
/// Stages of shared memory that some warps fill by asynchronous copies while others read those that are full. Both sides go through the same stages; a value is one
/// side's place in the ring.
/// </summary>
internal struct Ring<TShape>
    where TShape : IRingShape
{
    private int _memory, _stages, _stageBytes, _stage, _parity;

    /// <summary>Shared memory that a ring takes, its barriers included.</summary>
    public static int Bytes => TShape.Stages * (TShape.StageBytes + (2 * MBarrier.Bytes));

    /// <summary>Makes a ring; all threads of the group take part.</summary>
    /// <param name="memory">Address in shared memory.</param>
    public static Ring<TShape> Create(int memory)
    {
        if (Group.IdxX == 0) Initialize(memory);
        Group.Barrier();
        return At(memory);
    }

    /// <summary>Makes a ring, by one thread; the others know of it after a barrier of the group.</summary>
    /// <param name="memory">Address in shared memory.</param>
    public static void Initialize(int memory)
    {
        Ring<TShape> ring = At(memory);
        for (int stage = 0; stage < TShape.Stages; stage++)
        {
            ring._stage = stage;
            MBarrier.Init(Full(ring), TShape.Writers);
            MBarrier.Init(Empty(ring), TShape.Readers);
        }
        MBarrier.PublishInit();
    }

    /// <summary>The beginning of a ring that was made there.</summary>
    public static Ring<TShape> At(int memory) => new() { _memory = memory, _stages = TShape.Stages, _stageBytes = TShape.StageBytes };

    /// <summary>The same memory in larger stages, as many as there is room for, and no more. All who use the ring choose the same.</summary>
    /// <param name="ring">The ring, which nobody has used.</param>
    /// <param name="stageBytes">Bytes of a stage.</param>
    public static Ring<TShape> WithStages(Ring<TShape> ring, int stageBytes)
    {
        int stages = TShape.Stages * TShape.StageBytes / stageBytes;
        ring._stages = stages < TShape.Stages ? stages : TShape.Stages;
        ring._stageBytes = stageBytes;
        return ring;
    }

    /// <summary>Stages of the ring.</summary>
    public static int Count(Ring<TShape> ring) => ring._stages;

    /// <summary>Address of the stage.</summary>
    public static int Stage(Ring<TShape> ring) => ring._memory + (ring._stage * ring._stageBytes);

    /// <summary>The barrier that copies into the stage report to.</summary>
    public static int Full(Ring<TShape> ring) => ring._memory + (TShape.Stages * TShape.StageBytes) + (ring._stage * MBarrier.Bytes);

    /// <summary>A filling warp waits until the stage may be filled, and announces how many bytes will come; each does, one of them for all.</summary>
    public static void BeginFill(Ring<TShape> ring, int bytes)
    {
        MBarrier.Wait(Empty(ring), ring._parity ^ 1);
        if (Warp.LaneIdx == 0) MBarrier.ArriveExpecting(Full(ring), bytes);
        Warp.Barrier();
    }

    /// <summary>
    /// Waits until the stage may be filled, for a warp whose threads write it themselves, or copy piece by piece; then as many of them as <see cref="IRingShape.Writers"/> says arrive at <see cref="Full"/>.
    /// </summary>
    public static void AwaitEmpty(Ring<TShape> ring) => MBarrier.Wait(Empty(ring), ring._parity ^ 1);

    /// <summary>A reader waits until the stage is full.</summary>
    public static void Await(Ring<TShape> ring) => MBarrier.Wait(Full(ring), ring._parity);

    /// <summary>A reading warp is done with the stage, all its lanes.</summary>
    public static void Release(Ring<TShape> ring)
    {
        Warp.Barrier();
        if (Warp.LaneIdx == 0) MBarrier.Arrive(Empty(ring));
    }

    /// <summary>A reading warp that has nothing to do with so many stages: it sees their phases all the same, as a barrier's parity tells two neighbouring ones apart and no more.</summary>
    public static Ring<TShape> LetPass(Ring<TShape> ring, int stages)
    {
        for (int stage = 0; stage < stages; stage++)
        {
            Await(ring);
            Release(ring);
            ring = Next(ring);
        }
        return ring;
    }

    public static Ring<TShape> Next(Ring<TShape> ring)
    {
        ring._stage++;
        if (ring._stage == ring._stages)
        {
            ring._stage = 0;
            ring._parity ^= 1;
        }
        return ring;
    }

    /// <summary>The place some stages further, at most as many as there are.</summary>
    public static Ring<TShape> Skip(Ring<TShape> ring, int stages)
    {
        ring._stage += stages;
        if (ring._stage >= ring._stages)
        {
            ring._stage -= ring._stages;
            ring._parity ^= 1;
        }
        return ring;
    }

    /// <summary>The place that many stages behind the ring's beginning.</summary>
    public static Ring<TShape> After(Ring<TShape> ring, int stages)
    {
        int rounds = stages / ring._stages;
        ring._stage = stages - (rounds * ring._stages);
        ring._parity = rounds & 1;
        return ring;
    }

    /// <summary>The barrier that whoever is done with the stage arrives at.</summary>
    public static int Empty(Ring<TShape> ring) => Full(ring) + (TShape.Stages * MBarrier.Bytes);
}
