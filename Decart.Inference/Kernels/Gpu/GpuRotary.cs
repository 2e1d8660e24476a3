using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Memory;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// Normalises and rotates the query and key heads, leaves the queries in place and writes keys and values: one group a row, one warp a head. For batches
/// with chunks, whose queries see keys of other rows; for single tokens attention does the same by the way, with the functions that are public here.
/// </summary>
internal static class GpuRotary
{
    public static readonly GpuKernel<AttentionArguments> Kernel = new(Run);

    /// <summary>The same where keys and values become <see cref="KvCodes"/>.</summary>
    public static readonly GpuKernel<AttentionArguments> CodesKernel = new(RunCodes);

    /// <summary>Leaves the cosines of a row's position in shared memory, and behind them the sines; some threads divide the work.</summary>
    public static void Angles(AttentionArguments a, GpuRow row, int thread, int threads, ArrayView<float> memory, int place)
    {
        long frequencies = Frequencies(a, row);
        for (int pair = thread; pair < a.Pairs; pair += threads)
        {
            Angle(a, row, frequencies, pair, out float sine, out float cosine);
            memory[place + pair] = cosine;
            memory[place + a.Pairs + pair] = sine;
        }
    }

    /// <summary>Address of the frequencies of a row.</summary>
    public static long Frequencies(AttentionArguments a, GpuRow row)
    {
        int length = row.Position + 1 > row.RotaryLength ? row.Position + 1 : row.RotaryLength, set = length - a.FirstSetLength;
        if (set > a.FrequencySets - 1) set = a.FrequencySets - 1;
        if (set < 0) set = 0;
        return a.InverseFrequencies + ((long)set * a.Pairs * sizeof(float));
    }

    /// <summary>Sine and cosine of a pair at a row's position.</summary>
    public static void Angle(AttentionArguments a, GpuRow row, long frequencies, int pair, out float sine, out float cosine)
    {
        GpuMath.SinCos(row.Position * Global.LoadFloat(frequencies + (pair * sizeof(float))), out sine, out cosine);
        sine *= a.RotaryScale;
        cosine *= a.RotaryScale;
    }

    /// <summary>What the elements of a head are multiplied with besides their scales: 1 without scales. The warp computes it together.</summary>
    public static float NormFactor(long head, long scales, int headDim, float epsilon)
    {
        if (scales == 0) return 1;
        float squares = 0;
        for (int i = Warp.LaneIdx; i < headDim; i += Warp.WarpSize)
        {
            float value = Global.LoadFloat(head + (i * sizeof(float)));
            squares = Float32.Fma(value, value, squares);
        }
        return 1 / MathF.Sqrt((Reduce.WarpSum(squares) / headDim) + epsilon);
    }

    /// <summary>Element i of a head, normalised and rotated.</summary>
    public static float Rotated(AttentionArguments a, long head, long scales, float factor, ArrayView<float> memory, int angles, int i)
    {
        float own = Load(head, scales, i, factor);
        if (i >= 2 * a.Pairs) return own;
        bool interleaved = a.Interleaved != 0, second = interleaved ? (i & 1) != 0 : i >= a.Pairs;
        int pair = interleaved ? i / 2 : second ? i - a.Pairs : i, other = interleaved ? i ^ 1 : second ? i - a.Pairs : i + a.Pairs;
        float partner = Load(head, scales, other, factor), cosine = memory[angles + pair], sine = memory[angles + a.Pairs + pair];
        return second ? (own * cosine) + (partner * sine) : (own * cosine) - (partner * sine);
    }

    /// <summary>Stores the key, normalised and rotated, and the value of a row's key/value head; the calling warp does it together.</summary>
    /// <param name="a">The operation.</param>
    /// <param name="heads">Address of the row's heads.</param>
    /// <param name="kvHead">Which.</param>
    /// <param name="token">Where the token's keys and values begin.</param>
    /// <param name="thread">The number of the calling thread among those that divide the elements.</param>
    /// <param name="threads">Their number.</param>
    /// <param name="memory">Shared memory.</param>
    /// <param name="angles">See <see cref="Angles"/>.</param>
    /// <param name="codes">See <see cref="GpuKv"/>.</param>
    public static void StoreKeyValue(
        AttentionArguments a, long heads, int kvHead, long token, int thread, int threads, ArrayView<float> memory, int angles, bool codes)
    {
        long key = heads + (((long)a.Heads + kvHead) * a.HeadDim * sizeof(float)), value = key + ((long)a.KvHeads * a.HeadDim * sizeof(float));
        long destination = token + GpuKv.KeyOffset(a, kvHead, codes), valueDestination = destination + GpuKv.ValueBytes(a, codes);
        float factor = NormFactor(key, a.KeyNorm, a.HeadDim, a.KeyEpsilon);
        if (codes)
        {
            int largestKey = 0, largestValue = 0;
            for (int i = Warp.LaneIdx; i < a.HeadDim; i += Warp.WarpSize)
            {
                largestKey = Math.Max(largestKey, GpuKv.Magnitude(Rotated(a, key, a.KeyNorm, factor, memory, angles, i)));
                largestValue = Math.Max(largestValue, GpuKv.Magnitude(Global.LoadFloat(value + (i * sizeof(float)))));
            }
            int keyScale = Fp8Codes.ScaleOf(Reduce.WarpMax(largestKey)), valueScale = Fp8Codes.ScaleOf(Reduce.WarpMax(largestValue));
            for (int i = thread; i < a.HeadBytes; i += threads)
            {
                float keyElement = 0, valueElement = 0;
                if (i < a.HeadDim)
                {
                    keyElement = Rotated(a, key, a.KeyNorm, factor, memory, angles, i);
                    valueElement = Global.LoadFloat(value + (i * sizeof(float)));
                }
                GpuKv.StoreElement(destination, i, keyElement, keyScale);
                GpuKv.StoreElement(valueDestination, i, valueElement, valueScale);
            }
            if (thread != 0) return;
            Global.Store2(token + GpuKv.ScaleOffset(a, kvHead), (uint)keyScale);
            Global.Store2(token + GpuKv.ScaleOffset(a, kvHead) + KvCodes.ScaleBytes, (uint)valueScale);
            return;
        }
        for (int i = thread; i < a.HeadDim; i += threads)
        {
            Global.Store2(destination + (i * sizeof(ushort)), Halves.Saturate(Rotated(a, key, a.KeyNorm, factor, memory, angles, i)));
            Global.Store2(valueDestination + (i * sizeof(ushort)), Halves.Saturate(Global.LoadFloat(value + (i * sizeof(float)))));
        }
    }

    private static void Run(AttentionArguments a) => Run(a, codes: false);

    private static void RunCodes(AttentionArguments a) => Run(a, codes: true);

    /// <param name="a">The operation.</param>
    /// <param name="codes">See <see cref="GpuKv"/>.</param>
    private static void Run(AttentionArguments a, bool codes)
    {
        ArrayView<float> angles = SharedMemory.Allocate1D<float>(GpuAttention.MaxHeadDim).BaseView;
        if (Grid.IdxX >= Global.LoadInt(a.Count)) return;
        GpuRow row = GpuRow.Load(a.Rows, Grid.IdxX);
        Angles(a, row, Group.IdxX, Group.DimX, angles, 0);
        Group.Barrier();
        long heads = a.Qkv + ((long)Grid.IdxX * a.QkvStride * sizeof(float));
        long token = GpuRow.TokenAddress(row, row.Position);
        for (int head = Group.IdxX / Warp.WarpSize; head < a.Heads + a.KvHeads; head += Group.DimX / Warp.WarpSize)
        {
            if (head < a.Heads)
            {
                RotateQuery(a, heads + ((long)head * a.HeadDim * sizeof(float)), angles);
            }
            else
            {
                StoreKeyValue(a, heads, head - a.Heads, token, Warp.LaneIdx, Warp.WarpSize, angles, 0, codes);
            }
        }
    }

    /// <summary>In place, so a lane takes both elements of a pair.</summary>
    private static void RotateQuery(AttentionArguments a, long head, ArrayView<float> angles)
    {
        float factor = NormFactor(head, a.QueryNorm, a.HeadDim, a.QueryEpsilon);
        for (int pair = Warp.LaneIdx; pair < a.Pairs; pair += Warp.WarpSize)
        {
            int i = a.Interleaved != 0 ? 2 * pair : pair, j = a.Interleaved != 0 ? i + 1 : pair + a.Pairs;
            float x = Rotated(a, head, a.QueryNorm, factor, angles, 0, i), y = Rotated(a, head, a.QueryNorm, factor, angles, 0, j);
            Global.StoreFloat(head + (i * sizeof(float)), x);
            Global.StoreFloat(head + (j * sizeof(float)), y);
        }
        for (int i = (2 * a.Pairs) + Warp.LaneIdx; i < a.HeadDim; i += Warp.WarpSize)
            Global.StoreFloat(head + (i * sizeof(float)), Load(head, a.QueryNorm, i, factor));
    }

    private static float Load(long head, long scales, int i, float factor)
    {
        float value = Global.LoadFloat(head + (i * sizeof(float)));
        return scales == 0 ? value : value * factor * Global.LoadFloat(scales + (i * sizeof(float)));
    }
}
