using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Tiles;
using Decart.Inference.Memory;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// Normalises and rotates query and key heads, leaves queries as halves, and writes keys and values where attention reads them: eight elements a thread. For
/// heads of up to 128 elements, a multiple of 8. A group takes heads of one row, whose angles it computes before the kernel in front has ended.
/// </summary>
internal static class GpuHeads
{
    /// <summary>For heads without norms that have a multiple of four pairs, as those that are rotated whole; and for all.</summary>
    public static readonly GpuKernel<AttentionArguments> Kernel = Create(RunPlain, groupsPerMultiprocessor: 4), GeneralKernel = Create(RunGeneral);

    /// <summary>The same where keys and values become <see cref="KvCodes"/>.</summary>
    public static readonly GpuKernel<AttentionArguments> CodesKernel = Create(RunCodes, groupsPerMultiprocessor: 4), GeneralCodesKernel = Create(RunGeneralCodes);

    private const int Warps = 8, Lanes = 32, MaxHeadDim = 128;

    /// <summary>Groups of a multiprocessor; where there are more rows than that a group takes all heads of a row.</summary>
    private const int GroupsPerMultiprocessor = 8;

    /// <summary>Warps of a group where so small ones, of which a multiprocessor has no more than so many, are enough: they are spread over more of them.</summary>
    private const int FewWarps = 2, FewGroupsPerMultiprocessor = 3;

    /// <summary>Launches the kernel for the rows of a step: groups are rows, by as many as divide the heads.</summary>
    /// <param name="device">Where.</param>
    /// <param name="arguments">The operation.</param>
    /// <param name="rows">Rows that the launch is sized for.</param>
    /// <param name="codes">Whether keys and values become codes.</param>
    public static void Launch(IGpuDevice device, in AttentionArguments arguments, int rows, bool codes)
    {
        int heads = arguments.Heads + (2 * arguments.KvHeads), perWarp = Lanes >> HeadShift(arguments.HeadDim), warps = Math.Min(Warps, device.MaxGroupSize / Lanes);
        if (rows * Groups(FewWarps) <= FewGroupsPerMultiprocessor * device.Multiprocessors) warps = Math.Min(warps, FewWarps);
        GpuGrid grid = new(rows, Math.Clamp(GroupsPerMultiprocessor * device.Multiprocessors / rows, 1, Groups(warps))) { GroupSize = warps * Lanes };
        bool isPlain = arguments.QueryNorm == 0 && arguments.KeyNorm == 0 && (arguments.Pairs % 4 == 0 || arguments.Interleaved != 0);
        device.Launch(codes ? isPlain ? CodesKernel : GeneralCodesKernel : isPlain ? Kernel : GeneralKernel, grid, arguments);

        int Groups(int size) => (heads + (size * perWarp) - 1) / (size * perWarp);
    }

    /// <summary>Where the halves of a query lie.</summary>
    public static long QueryAddress(AttentionArguments a, int row, int head) =>
        a.Queries + ((((long)row * a.Heads) + head) * a.HeadDim * sizeof(ushort));

    private static GpuKernel<AttentionArguments> Create(Action<AttentionArguments> run, int groupsPerMultiprocessor = 1) => new(run, Warps * Lanes)
    {
        MinArchitecture = 90,
        StartsEarly = true,
        GroupsPerMultiprocessor = groupsPerMultiprocessor,
    };

    private static void RunPlain(AttentionArguments a) => Run(a, general: false, codes: false);

    private static void RunGeneral(AttentionArguments a) => Run(a, general: true, codes: false);

    private static void RunCodes(AttentionArguments a) => Run(a, general: false, codes: true);

    private static void RunGeneralCodes(AttentionArguments a) => Run(a, general: true, codes: true);

    /// <param name="a">The operation.</param>
    /// <param name="general">A constant: whether there may be norms, and pairs that are no multiple of four.</param>
    /// <param name="codes">See <see cref="GpuKv"/>.</param>
    private static void Run(AttentionArguments a, bool general, bool codes)
    {
        ArrayView<float> angles = SharedMemory.Allocate1D<float>(2 * MaxHeadDim).BaseView;
        GridDependency.LaunchDependents();
        int rowNumber = Grid.IdxX;
        bool used = rowNumber < Global.LoadInt(a.Count);
        GpuRow row = GpuRow.Load(a.Rows, rowNumber);
        if (used) StoreAngles(a, row, angles);
        Group.Barrier();
        int shift = HeadShift(a.HeadDim), column = (Warp.LaneIdx & ((1 << shift) - 1)) * CoreRow.Columns, perWarp = Lanes >> shift;
        CoreRow cosines = LoadAngles(angles, column), sines = LoadAngles(angles, MaxHeadDim + column);
        // Elements of the row: its queries, keys and values. Those of the thread's head, from which it goes on in steps, and where heads of a kind end.
        int firstHead = (((Grid.IdxY * Group.DimX) + Group.IdxX) >> 5) * perWarp, step = ((Grid.DimY * Group.DimX) >> 5) * perWarp * a.HeadDim;
        int first = firstHead * a.HeadDim, head = first + ((Warp.LaneIdx >> shift) * a.HeadDim);
        int queryEnd = a.Heads * a.HeadDim, keyEnd = queryEnd + (a.KvHeads * a.HeadDim), valueEnd = keyEnd + keyEnd - queryEnd;
        int end = used && column < a.HeadDim ? valueEnd : 0, rotatedEnd = a.Pairs != 0 ? keyEnd : 0;
        long source = a.Qkv + ((((long)rowNumber * a.QkvStride) + column) * sizeof(float)), queries = QueryAddress(a, rowNumber, 0) + (column * sizeof(ushort));
        // Keys and values follow each other where attention reads them, too.
        long keys = column * sizeof(ushort);
        int kvHead = 0, headStep = 0;
        if (codes)
        {
            kvHead = firstHead + (Warp.LaneIdx >> shift) - a.Heads;
            headStep = ((Grid.DimY * Group.DimX) >> 5) * perWarp;
            if (used) keys = GpuRow.TokenAddress(row, row.Position);
        }
        else if (used)
        {
            keys += GpuRow.TokenAddress(row, row.Position) + ((((long)a.Layer * 2 * a.KvHeads) - a.Heads) * a.HeadDim * sizeof(ushort));
        }
        GridDependency.Wait();
        CoreRow values = LoadIf(head < end, source, head);
        for (; first < valueEnd; first += step)
        {
            CoreRow next = LoadIf(head + step < end, source, head + step);
            float factor = 1;
            long scales = 0;
            if (general)
            {
                if (head < keyEnd) scales = head < queryEnd ? a.QueryNorm : a.KeyNorm;
                factor = Factor(a, values, shift, head < queryEnd ? a.QueryEpsilon : a.KeyEpsilon);
                if (scales != 0) values = Scale(values, factor, CoreRow.Load(scales + (column * sizeof(float))));
            }
            if (head < end)
            {
                if (head < rotatedEnd)
                {
                    CoreRow partners = CoreRow.SwapNeighbours(values);
                    if (a.Interleaved == 0)
                    {
                        partners = LoadPartners(a, source + (head * sizeof(float)), column, general);
                        if (general && scales != 0) partners = Scale(partners, factor, LoadPartners(a, scales + (column * sizeof(float)), column, general));
                    }
                    values = CoreRow.Add(CoreRow.Multiply(values, cosines), CoreRow.Multiply(partners, sines));
                }
                if (!codes) Global.Store16((head < queryEnd ? queries : keys) + (head * sizeof(ushort)), CoreRow.Saturate(values));
                else if (head < queryEnd) Global.Store16(queries + (head * sizeof(ushort)), CoreRow.Saturate(values));
            }
            if (codes)
            {
                StoreCodes(a, keys, values, kvHead, column, shift, used);
                kvHead += headStep;
            }
            values = next;
            head += step;
        }
    }

    /// <summary>Stores a thread's elements of keys or values as codes; the lanes of a head do it together, and those of queries only take part.</summary>
    /// <param name="a">The operation.</param>
    /// <param name="token">Where the token begins.</param>
    /// <param name="values">The elements; behind a head's end anything.</param>
    /// <param name="kvHead">The number of the head among those of keys and those of values behind them.</param>
    /// <param name="column">The first of the elements in the head.</param>
    /// <param name="shift">Logarithm of the lanes of a head.</param>
    /// <param name="used">Whether there is a row.</param>
    private static void StoreCodes(AttentionArguments a, long token, CoreRow values, int kvHead, int column, int shift, bool used)
    {
        if (column >= a.HeadDim) values = default;
        int largest = CoreRow.LargestMagnitude(values);
        for (int distance = (1 << shift) >> 1; distance > 0; distance >>= 1) largest = Math.Max(largest, Warp.ShuffleXor(largest, distance));
        int scale = Fp8Codes.ScaleOf(largest);
        CoreRow numbers = CoreRow.Multiply(values, Interop.IntAsFloat((uint)Fp8Codes.InverseOf(scale)));
        uint first = CoreRow.Codes(numbers.Left), second = CoreRow.Codes(numbers.Right);
        // Two lanes have a block: one stores elements 0 to 3 beside 8 to 11, the other 4 to 7 beside 12 to 15.
        bool isUpper = (column & 8) != 0;
        uint other = Warp.ShuffleXor(isUpper ? first : second, 1), left = isUpper ? other : first, right = isUpper ? second : other;
        if (!used || kvHead < 0 || kvHead >= 2 * a.KvHeads) return;
        ulong codes = Integers.ChooseBytes(left, right, 0x5140) | ((ulong)Integers.ChooseBytes(left, right, 0x7362) << 32);
        if (column < a.HeadBytes) Global.StoreLong(token + GpuKv.KeyOffset(a, kvHead, codes: true) + column, (long)codes);
        int place = kvHead < a.KvHeads ? 2 * kvHead : (2 * (kvHead - a.KvHeads)) + 1;
        if (column == 0) Global.Store2(token + GpuKv.ScaleOffset(a, 0) + (place * KvCodes.ScaleBytes), (uint)scale);
    }

    /// <summary>Logarithm of the lanes that a head takes.</summary>
    private static int HeadShift(int headDim) => headDim <= 4 * CoreRow.Columns ? 2 : headDim <= 8 * CoreRow.Columns ? 3 : 4;

    /// <summary>Leaves in shared memory what each element of a head is multiplied with, and behind that what the one that it rotates with is.</summary>
    private static void StoreAngles(AttentionArguments a, GpuRow row, ArrayView<float> memory)
    {
        long frequencies = GpuRotary.Frequencies(a, row);
        for (int i = Group.IdxX; i < MaxHeadDim; i += Group.DimX)
        {
            float cosine = 1, sine = 0;
            bool isSecond = a.Interleaved != 0 ? (i & 1) != 0 : i >= a.Pairs;
            if (i < 2 * a.Pairs) GpuRotary.Angle(a, row, frequencies, a.Interleaved != 0 ? i >> 1 : isSecond ? i - a.Pairs : i, out sine, out cosine);
            memory[i] = cosine;
            memory[MaxHeadDim + i] = isSecond ? sine : -sine;
        }
    }

    private static CoreRow LoadAngles(ArrayView<float> memory, int i) => new()
    {
        Left = new Float4 { A = memory[i], B = memory[i + 1], C = memory[i + 2], D = memory[i + 3] },
        Right = new Float4 { A = memory[i + 4], B = memory[i + 5], C = memory[i + 6], D = memory[i + 7] },
    };

    private static CoreRow LoadIf(bool condition, long source, int place)
    {
        CoreRow values = default;
        if (condition) values = CoreRow.Load(source + ((long)place * sizeof(float)));
        return values;
    }

    /// <summary>What a norm multiplies a head with besides its scales; the lanes of the head compute it together.</summary>
    private static float Factor(AttentionArguments a, CoreRow values, int shift, float epsilon)
    {
        float squares = CoreRow.Squares(values);
        for (int distance = (1 << shift) >> 1; distance > 0; distance >>= 1) squares += Warp.ShuffleXor(squares, distance);
        return Float32.ReciprocalSqrt(Float32.Divide(squares, a.HeadDim) + epsilon);
    }

    private static CoreRow Scale(CoreRow values, float factor, CoreRow scales) => CoreRow.Multiply(CoreRow.Multiply(values, factor), scales);

    /// <summary>Loads what the thread's elements rotate with where pairs are not neighbours, of a head or of a norm's scales.</summary>
    private static CoreRow LoadPartners(AttentionArguments a, long own, int column, bool general)
    {
        if (!general || (a.Pairs & 3) == 0) return new CoreRow { Left = LoadFour(own, Distance(a, column)), Right = LoadFour(own, 4 + Distance(a, column + 4)) };
        CoreRow partners = default;
        for (int i = 0; i < Pinned.Int(CoreRow.Columns); i++)
            partners = CoreRow.Append(partners, Global.LoadFloat(own + ((i + Distance(a, column + i)) * sizeof(float))));
        return partners;
    }

    private static Float4 LoadFour(long own, int distance) => Global.LoadFloat4(own + (distance * sizeof(float)));

    /// <summary>From an element to the one that it rotates with; 0 where it does not.</summary>
    private static int Distance(AttentionArguments a, int i)
    {
        int distance = i < a.Pairs ? a.Pairs : -a.Pairs;
        return i < 2 * a.Pairs ? distance : 0;
    }
}
