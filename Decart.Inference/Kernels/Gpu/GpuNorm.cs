using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Tiles;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>Strides count elements. Rows and vectors are padded with zeros to a multiple of 128 elements.</summary>
internal struct NormArguments
{
    /// <summary>Address of the number of rows (int).</summary>
    public long Count;

    /// <summary>Address of the rows of x to take (int), or 0 for all in order.</summary>
    public long Order;

    public long X, Scale;

    /// <summary>0 for none.</summary>
    public long Bias;

    public long Y;
    public int XStride, YStride, Columns;
    public float Epsilon, InverseColumns;
    public int RemoveMean;

    /// <summary>Rows of a block of y when that is an operand, which becomes norm(x), up to the stride; 0: y, float32, becomes y + norm(x).</summary>
    public int YBlockRows;

    /// <summary>Where the scales of rows go, float32, when the operand is one of codes, see <see cref="ByteTiles"/>; else 0.</summary>
    public long CodeScales;
}

/// <summary>
/// norm(x) = (x - mean) / sqrt(mean of (x - mean)^2 + epsilon) * scale + bias, the mean taken as 0 in an RMSNorm. A thread keeps a row of a core matrix in
/// registers, so that x is read once. Sums are chains over a thread's elements, then trees over lanes and over warps. The number of rows decides which kernel is
/// the fastest, but on no bit.
/// </summary>
internal static class GpuNorm
{
    /// <summary>One group a row: for few rows, whose time is that of one.</summary>
    public static readonly GpuKernel<NormArguments> Kernel = new(Run, MaxGroupSize) { StartsEarly = true };

    /// <summary>
    /// For RMSNorms of many rows in order to an operand: groups take pairs of neighbours in turn, load the next while they are at one, and write 32 neighbouring bytes at once (of codes 8).
    /// </summary>
    public static readonly GpuKernel<NormArguments> PairKernel = new(RunPairs, MaxGroupSize) { StartsEarly = true };

    /// <summary>For rows that are longer than a group's threads can hold, nor does a cluster take them: they are read again.</summary>
    public static readonly GpuKernel<NormArguments> LongKernel = new(RunLong, MaxGroupSize) { StartsEarly = true };

    /// <summary>To an operand, a cluster of groups a row: for rows that are longer than a group's threads can hold.</summary>
    public static readonly GpuKernel<NormArguments> ClusterKernel = ForClusters(RunCluster);

    /// <summary>The same to an operand of floats of 8 bits, see <see cref="ByteTiles"/>.</summary>
    public static readonly GpuKernel<NormArguments> FloatCodesKernel = ForCodes(RunFloatCodes), PairFloatCodesKernel = ForCodes(RunPairFloatCodes), ClusterFloatCodesKernel = ForClusters(RunClusterFloatCodes);

    /// <summary>The same to an operand of integers of 8 bits.</summary>
    public static readonly GpuKernel<NormArguments> IntegerCodesKernel = ForCodes(RunIntegerCodes), PairIntegerCodesKernel = ForCodes(RunPairIntegerCodes),
        ClusterIntegerCodesKernel = ForClusters(RunClusterIntegerCodes);

    private const int MaxGroupSize = 1024, Lanes = 32;

    /// <summary>Threads of a group of a cluster, and groups.</summary>
    private const int ClusterThreads = 256, ClusterSize = 8;

    /// <summary>Bytes of what a cluster's warps tell each other at once.</summary>
    private const int ClusterBytes = ClusterSize * ClusterThreads / Lanes * sizeof(float);

    /// <summary>Groups of a multiprocessor; where there are more rows they are taken in pairs.</summary>
    private const int GroupsPerMultiprocessor = 2;

    /// <summary>Normalises.</summary>
    /// <param name="device">Where.</param>
    /// <param name="arguments">The operation.</param>
    /// <param name="rows">Rows that the launch is sized for.</param>
    /// <param name="integers">Whether codes are integers.</param>
    public static void Launch(IGpuDevice device, in NormArguments arguments, int rows, bool integers = false)
    {
        int cores = CoreTiles.PaddedColumns(arguments.Columns) / CoreRow.Columns, threads = (cores + Lanes - 1) / Lanes * Lanes;
        int groups = GroupsPerMultiprocessor * device.Multiprocessors;
        if (arguments.YBlockRows != 0 && TakesClusters(device, cores))
        {
            LaunchClusters(device, arguments, rows, ClusterSize, integers);
            return;
        }
        (GpuKernel<NormArguments> kernel, GpuKernel<NormArguments> pairs) = arguments.CodeScales == 0 ? (Kernel, PairKernel)
            : integers ? (IntegerCodesKernel, PairIntegerCodesKernel) : (FloatCodesKernel, PairFloatCodesKernel);
        if (threads > Math.Min(MaxGroupSize, device.MaxGroupSize)) device.Launch(LongKernel, new GpuGrid(rows), arguments);
        else if (rows <= groups || !IsPlain(arguments)) device.Launch(kernel, new GpuGrid(rows) { GroupSize = threads }, arguments);
        else device.Launch(pairs, new GpuGrid(Math.Min((rows + 1) / 2, groups)) { GroupSize = threads }, arguments);
    }

    /// <summary>Whether rows of so many columns can become an operand of codes: where the threads of a group, or of a cluster, hold them.</summary>
    public static bool MakesCodes(IGpuDevice device, int columns)
    {
        int cores = CoreTiles.PaddedColumns(columns) / CoreRow.Columns;
        return cores <= Math.Min(MaxGroupSize, device.MaxGroupSize) || TakesClusters(device, cores);
    }

    /// <summary>Normalises to an operand, a cluster a row.</summary>
    /// <param name="device">Where.</param>
    /// <param name="arguments">The operation.</param>
    /// <param name="rows">Rows that the launch is sized for.</param>
    /// <param name="size">Groups of a cluster.</param>
    /// <param name="integers">Whether codes are integers.</param>
    internal static void LaunchClusters(IGpuDevice device, in NormArguments arguments, int rows, int size, bool integers)
    {
        GpuKernel<NormArguments> kernel = arguments.CodeScales == 0 ? ClusterKernel : integers ? ClusterIntegerCodesKernel : ClusterFloatCodesKernel;
        device.Launch(kernel, new GpuGrid(rows * size, ClusterSize: size), arguments);
    }

    /// <summary>Whether a row is longer than a group's threads can hold, and not than a cluster's.</summary>
    private static bool TakesClusters(IGpuDevice device, int cores) =>
        cores > MaxGroupSize && cores <= ClusterSize * ClusterThreads && device.MaxGroupSize >= MaxGroupSize && device.CanRun(ClusterKernel);

    private static GpuKernel<NormArguments> ForClusters(Action<NormArguments> entry) => new(entry, ClusterThreads)
    {
        MinArchitecture = 90,
        StartsEarly = true,
        SharedBytes = 3 * ClusterBytes,
    };

    private static bool IsPlain(in NormArguments a) => a is { Order: 0, Bias: 0, RemoveMean: 0, YBlockRows: > 0 };

    private static GpuKernel<NormArguments> ForCodes(Action<NormArguments> entry) => new(entry, MaxGroupSize) { MinArchitecture = 90, StartsEarly = true };

    private static void Run(NormArguments a) => Run<FloatCodes>(a, codes: false);

    private static void RunFloatCodes(NormArguments a) => Run<FloatCodes>(a, codes: true);

    private static void RunIntegerCodes(NormArguments a) => Run<IntegerCodes>(a, codes: true);

    private static void RunPairs(NormArguments a) => RunPairs<FloatCodes>(a, codes: false);

    private static void RunPairFloatCodes(NormArguments a) => RunPairs<FloatCodes>(a, codes: true);

    private static void RunPairIntegerCodes(NormArguments a) => RunPairs<IntegerCodes>(a, codes: true);

    private static void RunCluster(NormArguments a) => RunCluster<FloatCodes>(a, codes: false);

    private static void RunClusterFloatCodes(NormArguments a) => RunCluster<FloatCodes>(a, codes: true);

    private static void RunClusterIntegerCodes(NormArguments a) => RunCluster<IntegerCodes>(a, codes: true);

    /// <param name="a">The operation.</param>
    /// <param name="codes">A constant: whether y is an operand of codes.</param>
    private static void Run<TCodes>(NormArguments a, bool codes)
        where TCodes : IRowCodes
    {
        ArrayView<float> memory = SharedMemory.Allocate1D<float>(3 * Reduce.MaxWarps).BaseView;
        GridDependency.LaunchDependents();
        int row = Grid.IdxX, rows = Global.LoadInt(a.Count), column = Group.IdxX * CoreRow.Columns;
        bool used = column < End(a);
        long x = Source(a, row);
        CoreRow scale = LoadIf(used, a.Scale, column), bias = LoadIf(used && a.Bias != 0, a.Bias, column);
        GridDependency.Wait();
        if (row >= rows) return;
        CoreRow values = LoadIf(used, x, column), before = LoadBefore(a, row, column);
        if (a.RemoveMean != 0) values = Subtract(a, values, Reduce.GroupSum(CoreRow.Sum(values), memory, 0) * a.InverseColumns, column);
        float factor = Factor(a, Reduce.GroupSum(CoreRow.Squares(values), memory, Reduce.MaxWarps));
        values = Apply(a, values, factor, scale, bias);
        if (codes) StoreCodes<TCodes>(a, row, column, values, used, memory, 2 * Reduce.MaxWarps);
        else if (used) Store(a, row, column, before, values);
    }

    /// <inheritdoc cref="Run{TCodes}(NormArguments, bool)"/>
    private static void RunCluster<TCodes>(NormArguments a, bool codes)
        where TCodes : IRowCodes
    {
        GridDependency.LaunchDependents();
        // Nobody stores in another group's memory before that has begun.
        Cluster.Arrive();
        int size = Cluster.Size(), row = Grid.IdxX / size, column = ((Cluster.Rank() * Group.DimX) + Group.IdxX) * CoreRow.Columns;
        bool used = row < Global.LoadInt(a.Count) && column < a.YStride;
        CoreRow scale = LoadIf(used, a.Scale, column);
        Cluster.Wait();
        GridDependency.Wait();
        CoreRow values = LoadIf(used, used ? Source(a, row) : 0, column);
        if (a.RemoveMean != 0) values = Subtract(a, values, ClusterSum(CoreRow.Sum(values), 0) * a.InverseColumns, column);
        values = Apply(values, Factor(a, ClusterSum(CoreRow.Squares(values), ClusterBytes)), scale);
        if (a.Bias != 0) values = CoreRow.Add(values, LoadIf(used, a.Bias, column));
        if (!codes)
        {
            if (used) Global.Store16(a.Y + CoreTiles.OperandOffset(row, column, a.YStride, a.YBlockRows), CoreRow.Saturate(values));
            return;
        }
        int largest = ClusterMax(CoreRow.LargestMagnitude(values), 2 * ClusterBytes);
        if (used) StoreCodes<TCodes>(a, row, column, values, largest);
    }

    private static void RunLong(NormArguments a)
    {
        ArrayView<float> memory = SharedMemory.Allocate1D<float>(2 * Reduce.MaxWarps).BaseView;
        GridDependency.LaunchDependents();
        int row = Grid.IdxX, rows = Global.LoadInt(a.Count), first = Group.IdxX * CoreRow.Columns, step = Group.DimX * CoreRow.Columns;
        GridDependency.Wait();
        if (row >= rows) return;
        long x = Source(a, row);
        float sum = 0, mean = 0, squares = 0;
        if (a.RemoveMean != 0)
        {
            for (int column = first; column < a.Columns; column += step) sum += CoreRow.Sum(LoadIf(true, x, column));
            mean = Reduce.GroupSum(sum, memory, 0) * a.InverseColumns;
        }
        for (int column = first; column < a.Columns; column += step) squares += CoreRow.Squares(Subtract(a, LoadIf(true, x, column), mean, column));
        float factor = Factor(a, Reduce.GroupSum(squares, memory, Reduce.MaxWarps));
        for (int column = first; column < End(a); column += step)
        {
            CoreRow values = Subtract(a, LoadIf(true, x, column), mean, column);
            values = Apply(a, values, factor, LoadIf(true, a.Scale, column), LoadIf(a.Bias != 0, a.Bias, column));
            Store(a, row, column, LoadBefore(a, row, column), values);
        }
    }

    /// <inheritdoc cref="Run{TCodes}(NormArguments, bool)"/>
    private static void RunPairs<TCodes>(NormArguments a, bool codes)
        where TCodes : IRowCodes
    {
        ArrayView<float> memory = SharedMemory.Allocate1D<float>(6 * Reduce.MaxWarps).BaseView;
        GridDependency.LaunchDependents();
        int row = 2 * Grid.IdxX, step = 2 * Grid.DimX, rows = Global.LoadInt(a.Count), column = Group.IdxX * CoreRow.Columns, place = 0;
        bool used = column < a.YStride;
        long x = Source(a, row), stride = (long)a.XStride * sizeof(float);
        CoreRow scale = LoadIf(used, a.Scale, column);
        GridDependency.Wait();
        CoreRow upper = LoadIf(used && row < rows, x, column), lower = LoadIf(used && row + 1 < rows, x + stride, column);
        for (; row < rows; row += step)
        {
            x += step * stride;
            CoreRow nextUpper = LoadIf(used && row + step < rows, x, column), nextLower = LoadIf(used && row + step + 1 < rows, x + stride, column);
            float upperSquares = CoreRow.Squares(upper), lowerSquares = CoreRow.Squares(lower);
            Reduce.GroupSums(ref upperSquares, ref lowerSquares, memory, place);
            // Between what is read here and what is stored in the same place the time after next there is a barrier.
            place ^= 2 * Reduce.MaxWarps;
            upper = Apply(upper, Factor(a, upperSquares), scale);
            lower = Apply(lower, Factor(a, lowerSquares), scale);
            if (codes)
            {
                StoreCodes<TCodes>(a, row, column, upper, used, memory, 4 * Reduce.MaxWarps);
                StoreCodes<TCodes>(a, row + 1, column, lower, used && row + 1 < rows, memory, 5 * Reduce.MaxWarps);
            }
            else
            {
                StorePair(a, row, rows, column, CoreRow.Saturate(upper), CoreRow.Saturate(lower));
            }
            upper = nextUpper;
            lower = nextLower;
        }
    }

    /// <summary>The sum over a cluster, in the order of <see cref="Reduce.GroupSum"/>, as if its groups were one.</summary>
    /// <param name="value">The thread's.</param>
    /// <param name="place">Where <see cref="ClusterBytes"/> are that were not used before.</param>
    private static float ClusterSum(float value, int place)
    {
        int warps = Tell(Reduce.WarpSum(value), place);
        value = Told(place, Warp.LaneIdx, warps);
        if (warps > Lanes) value += Told(place, Warp.LaneIdx + Lanes, warps);
        return Reduce.WarpSum(value);
    }

    /// <inheritdoc cref="ClusterSum"/>
    private static int ClusterMax(int value, int place)
    {
        int warps = Tell(Interop.IntAsFloat((uint)Reduce.WarpMax(value)), place);
        value = (int)Interop.FloatAsInt(Told(place, Warp.LaneIdx, warps));
        if (warps > Lanes) value = Math.Max(value, (int)Interop.FloatAsInt(Told(place, Warp.LaneIdx + Lanes, warps)));
        return Reduce.WarpMax(value);
    }

    /// <summary>Each warp leaves a value in the memory of all groups; returns how many there are.</summary>
    private static int Tell(float value, int place)
    {
        int size = Cluster.Size(), warps = Group.DimX >> 5, own = Shared.Base() + place + (((Cluster.Rank() * warps) + (Group.IdxX >> 5)) * sizeof(float));
        if (Warp.LaneIdx < size) Cluster.StoreFloat(Cluster.Map(own, Warp.LaneIdx), value);
        Cluster.Arrive();
        Cluster.Wait();
        return size * warps;
    }

    /// <summary>What a warp has left, or 0.</summary>
    private static float Told(int place, int warp, int warps) => warp < warps ? Shared.LoadFloat(Shared.Base() + place + (warp * sizeof(float))) : 0;

    /// <summary>Where columns end: of an operand behind its padding.</summary>
    private static int End(NormArguments a) => a.YBlockRows != 0 ? a.YStride : a.Columns;

    /// <summary>Where a row of x begins.</summary>
    private static long Source(NormArguments a, int row)
    {
        int source = a.Order != 0 ? Global.LoadInt(a.Order + ((long)row * sizeof(int))) : row;
        return a.X + ((long)source * a.XStride * sizeof(float));
    }

    private static CoreRow LoadIf(bool condition, long start, int column)
    {
        CoreRow row = default;
        if (condition) row = CoreRow.Load(start + ((long)column * sizeof(float)));
        return row;
    }

    /// <summary>Behind the columns there are zeros.</summary>
    private static CoreRow Subtract(NormArguments a, CoreRow values, float mean, int column) => CoreRow.First(CoreRow.Add(values, -mean), a.Columns - column);

    private static float Factor(NormArguments a, float squares) => Float32.ReciprocalSqrt(Float32.Fma(squares, a.InverseColumns, a.Epsilon));

    /// <summary>Behind the columns scale and bias, and so the results, are zeros.</summary>
    private static CoreRow Apply(NormArguments a, CoreRow values, float factor, CoreRow scale, CoreRow bias)
    {
        values = Apply(values, factor, scale);
        if (a.Bias != 0) values = CoreRow.Add(values, bias);
        return values;
    }

    private static CoreRow Apply(CoreRow values, float factor, CoreRow scale) => CoreRow.Multiply(CoreRow.Multiply(values, factor), scale);

    /// <summary>What is added to, where y is float32.</summary>
    private static CoreRow LoadBefore(NormArguments a, int row, int column) => LoadIf(a.YBlockRows == 0 && column < a.Columns, Floats(a, row), column);

    private static void Store(NormArguments a, int row, int column, CoreRow before, CoreRow values)
    {
        if (a.YBlockRows != 0) Global.Store16(a.Y + CoreTiles.OperandOffset(row, column, a.YStride, a.YBlockRows), CoreRow.Saturate(values));
        else CoreRow.Store(Floats(a, row) + (column * sizeof(float)), CoreRow.Add(before, values));
    }

    /// <summary>Stores a row as codes; the group finds its scale together.</summary>
    private static void StoreCodes<TCodes>(NormArguments a, int row, int column, CoreRow values, bool used, ArrayView<float> memory, int place)
        where TCodes : IRowCodes
    {
        int largest = Reduce.GroupMax(CoreRow.LargestMagnitude(values), memory, place);
        if (used) StoreCodes<TCodes>(a, row, column, values, largest);
    }

    private static void StoreCodes<TCodes>(NormArguments a, int row, int column, CoreRow values, int largest)
        where TCodes : IRowCodes
    {
        long codes = (long)TCodes.Round(CoreRow.Multiply(values, TCodes.Inverse(largest)));
        Global.StoreLong(a.Y + ByteTiles.OperandOffset(row, column, a.YStride, a.YBlockRows), codes);
        if (column == 0) Global.StoreFloat(a.CodeScales + ((long)row * sizeof(float)), TCodes.Scale(largest));
    }

    /// <summary>Where a row of y begins that is float32.</summary>
    private static long Floats(NormArguments a, int row) => a.Y + ((long)row * a.YStride * sizeof(float));

    /// <summary>Stores two rows of an operand: neighbouring threads exchange, so that together they store 32 bytes at a time.</summary>
    private static void StorePair(NormArguments a, int row, int rows, int column, UInt4 upper, UInt4 lower)
    {
        bool odd = (column & CoreRow.Columns) != 0;
        UInt4 other = ShuffleNeighbours(Choose(odd, upper, lower));
        if (column >= a.YStride || row + (odd ? 1 : 0) >= rows) return;
        long left = a.Y + CoreTiles.OperandOffset(row + (odd ? 1 : 0), column & ~CoreRow.Columns, a.YStride, a.YBlockRows);
        Global.Store16(left, Choose(odd, other, upper));
        Global.Store16(left + CoreTiles.CoreBytes, Choose(odd, lower, other));
    }

    private static UInt4 Choose(bool condition, UInt4 yes, UInt4 no) => new()
    {
        A = condition ? yes.A : no.A,
        B = condition ? yes.B : no.B,
        C = condition ? yes.C : no.C,
        D = condition ? yes.D : no.D,
    };

    private static UInt4 ShuffleNeighbours(UInt4 value) => new()
    {
        A = Warp.ShuffleXor(value.A, 1),
        B = Warp.ShuffleXor(value.B, 1),
        C = Warp.ShuffleXor(value.C, 1),
        D = Warp.ShuffleXor(value.D, 1),
    };
}
