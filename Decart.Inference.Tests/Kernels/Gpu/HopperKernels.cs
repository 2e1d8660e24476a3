using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Kernels.Gpu.Intrinsics;
using ILGPU;

namespace Decart.Inference.Tests.Kernels.Gpu;

/// <summary>A box of a tensor.</summary>
internal struct BoxArguments
{
    public long Map, Destination;
    public int X, Y, Z, Bytes;
}

/// <summary>Kernels that use what came with sm_90, but not its matrix operations.</summary>
internal static class HopperKernels
{
    public const int Threads = 128, ChunkBytes = Threads * sizeof(int), Stages = 3, MaxBoxBytes = 16 << 10, LargeBytes = 96 << 10;

    public const int ClusterGroups = 4;

    /// <summary>Adds 1 to each word of <see cref="WordArguments.Count"/> chunks, which pass through a ring of bulk copies.</summary>
    public static readonly GpuKernel<WordArguments> RingKernel = new(Ring, Threads)
    {
        MinArchitecture = 90,
        SharedBytes = ((Stages + 1) * ChunkBytes) + (2 * Stages * MBarrier.Bytes),
    };

    /// <summary>Copies a box of a tensor of two or three dimensions as it comes to lie in shared memory.</summary>
    public static readonly GpuKernel<BoxArguments> Box2Kernel = CreateBox(Box2), Box3Kernel = CreateBox(Box3);

    /// <summary>
    /// Word i becomes word <see cref="WordArguments.Count"/> - 1 - i plus 1, which another group of the kernel in front wrote, unless it was the
    /// first.
    /// </summary>
    public static readonly GpuKernel<WordArguments> RelayKernel = new(Relay, Threads) { MinArchitecture = 90, StartsEarly = true };

    /// <summary>
    /// Each group takes <see cref="Threads"/> float32. Value 2i of the result is the sum of values i of the groups of the cluster, value 2i + 1 is
    /// value i of the next group of the cluster. Clusters of one group are emulated.
    /// </summary>
    public static readonly GpuKernel<WordArguments> ClusterKernel = new(ExchangeInCluster, Threads) { MinArchitecture = 90, SharedBytes = 2 * ChunkBytes };

    /// <summary>
    /// Reverses <see cref="WordArguments.Count"/> words, a multiple of 4, by way of the last bytes of more shared memory than is granted without asking.
    /// </summary>
    public static readonly GpuKernel<WordArguments> LargeKernel = new(UseLast, Threads) { SharedBytes = LargeBytes };

    public static GpuKernel[] All => [RingKernel, Box2Kernel, Box3Kernel, RelayKernel, ClusterKernel, LargeKernel];

    private static GpuKernel<BoxArguments> CreateBox(Action<BoxArguments> run) =>
        new(run, Threads) { MinArchitecture = 90, SharedBytes = MaxBoxBytes + MBarrier.Bytes };

    private static void Ring(WordArguments a)
    {
        int data = Shared.Base(), results = data + (Stages * ChunkBytes), full = results + ChunkBytes, empty = full + (Stages * MBarrier.Bytes);
        int thread = Group.IdxX;
        if (thread == 0)
        {
            for (int stage = 0; stage < Stages; stage++)
            {
                MBarrier.Init(full + (stage * MBarrier.Bytes), 1);
                MBarrier.Init(empty + (stage * MBarrier.Bytes), Group.DimX);
            }
            MBarrier.PublishInit();
        }
        Group.Barrier();
        if (thread == 0)
        {
            for (int chunk = 0; chunk < Stages && chunk < a.Count; chunk++) Fill(a, data, full, chunk, chunk);
        }
        for (int chunk = 0, stage = 0, parity = 0; chunk < a.Count; chunk++)
        {
            MBarrier.Wait(full + (stage * MBarrier.Bytes), parity);
            int word = Shared.LoadInt(data + (stage * ChunkBytes) + (thread * sizeof(int)));
            MBarrier.Arrive(empty + (stage * MBarrier.Bytes));
            if (thread == 0)
            {
                if (chunk + Stages < a.Count)
                {
                    MBarrier.Wait(empty + (stage * MBarrier.Bytes), parity);
                    Fill(a, data, full, chunk + Stages, stage);
                }
                BulkCopy.WaitRead(0);
            }
            Group.Barrier();
            Shared.StoreInt(results + (thread * sizeof(int)), word + 1);
            BulkCopy.Fence();
            Group.Barrier();
            if (thread == 0)
            {
                BulkCopy.Store(a.Destination + (chunk * ChunkBytes), results, ChunkBytes);
                BulkCopy.Commit();
            }
            stage++;
            if (stage == Stages)
            {
                stage = 0;
                parity ^= 1;
            }
        }
        if (thread == 0) BulkCopy.Wait(0);
    }

    private static void Fill(WordArguments a, int data, int full, int chunk, int stage)
    {
        MBarrier.ArriveExpecting(full + (stage * MBarrier.Bytes), ChunkBytes);
        BulkCopy.Load(data + (stage * ChunkBytes), a.Source + (chunk * ChunkBytes), ChunkBytes, full + (stage * MBarrier.Bytes));
    }

    private static void Box2(BoxArguments a)
    {
        int data = Shared.Base(), barrier = data + MaxBoxBytes;
        if (Group.IdxX == 0)
        {
            BeginBox(a, barrier);
            TensorCopy.Load2(data, a.Map, a.X, a.Y, barrier);
        }
        EndBox(a, data, barrier);
    }

    private static void Box3(BoxArguments a)
    {
        int data = Shared.Base(), barrier = data + MaxBoxBytes;
        if (Group.IdxX == 0)
        {
            BeginBox(a, barrier);
            TensorCopy.Load3(data, a.Map, a.X, a.Y, a.Z, barrier);
        }
        EndBox(a, data, barrier);
    }

    private static void BeginBox(BoxArguments a, int barrier)
    {
        TensorCopy.Acquire(a.Map);
        TensorCopy.Prefetch(a.Map);
        MBarrier.Init(barrier, 1);
        MBarrier.PublishInit();
        MBarrier.ArriveExpecting(barrier, a.Bytes);
    }

    private static void EndBox(BoxArguments a, int data, int barrier)
    {
        Group.Barrier();
        MBarrier.Wait(barrier, 0);
        for (int offset = 16 * Group.IdxX; offset < a.Bytes; offset += 16 * Group.DimX)
            Global.Store16(a.Destination + offset, Shared.Load16(data + offset));
    }

    private static void Relay(WordArguments a)
    {
        GridDependency.LaunchDependents();
        int i = (Grid.IdxX * Group.DimX) + Group.IdxX;
        GridDependency.Wait();
        if (i < a.Count) Global.StoreInt(a.Destination + (i * sizeof(int)), Global.LoadInt(a.Source + ((a.Count - 1 - i) * sizeof(int))) + 1);
    }

    private static void ExchangeInCluster(WordArguments a)
    {
        int thread = Group.IdxX, own = Shared.Base() + (thread * sizeof(float)), received = own + ChunkBytes;
        int rank = Cluster.Rank(), size = Cluster.Size(), i = (Grid.IdxX * Group.DimX) + thread;
        Shared.StoreFloat(own, Global.LoadFloat(a.Source + (i * sizeof(float))));
        Cluster.Arrive();
        Cluster.Wait();
        float sum = 0;
        for (int other = 0; other < size; other++) sum += Cluster.LoadFloat(Cluster.Map(own, other));
        Cluster.StoreFloat(Cluster.Map(received, (rank + size - 1) % size), Shared.LoadFloat(own));
        Cluster.Arrive();
        Cluster.Wait();
        Global.StoreFloat(a.Destination + (2 * i * sizeof(float)), sum);
        Global.StoreFloat(a.Destination + (((2 * i) + 1) * sizeof(float)), Shared.LoadFloat(received));
    }

    private static void UseLast(WordArguments a)
    {
        int first = Shared.Base() + LargeBytes - (a.Count * sizeof(int));
        for (int offset = 16 * Group.IdxX; offset < a.Count * sizeof(int); offset += 16 * Group.DimX)
            Shared.Store16(first + offset, Global.Load16(a.Source + offset));
        Group.Barrier();
        for (int i = Group.IdxX; i < a.Count; i += Group.DimX)
            Global.StoreInt(a.Destination + (i * sizeof(int)), Shared.LoadInt(first + ((a.Count - 1 - i) * sizeof(int))));
    }
}
