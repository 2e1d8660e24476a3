using System.Diagnostics;
using System.Runtime.InteropServices;
using Decart.Inference.Benchmarks.Devices;
using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Kernels.Gpu.Compilation;
using Decart.Inference.Kernels.Gpu.Packed;
using Decart.Inference.Kernels.Gpu.Tiles;

namespace Decart.Inference.Benchmarks;

/// <summary>
/// Time of the GPU's matmuls on random data, as a chain of recorded launches over more weights than the second-level cache has: bytes of weights a second and
/// their share of the copy bandwidth, and operations a second.
/// </summary>
internal sealed class GpuMatMulTimes : IDisposable
{
    private const long WeightBytes = 1L << 30;
    private const int Repetitions = 5;

    private static readonly (string Name, int Outputs, int Inputs)[] Shapes =
    [
        ("7B q/k/v", 12288, 4096), ("7B o", 4096, 4096), ("7B gate/up", 22016, 4096), ("7B down", 4096, 11008), ("8B q/k/v", 6144, 4096),
        ("8B gate/up", 28672, 4096), ("70B q/k/v", 10240, 8192), ("70B o", 8192, 8192), ("70B gate/up", 57344, 8192), ("70B down", 8192, 28672),
    ];

    private readonly CudaDevice _device = new(index: 0, KernelCache.Default);
    private readonly GpuMatMulLauncher _launcher;
    private readonly GpuBuffer _weights, _x, _y, _count;

    private GpuMatMulTimes()
    {
        _launcher = new GpuMatMulLauncher(_device);
        _weights = new GpuBuffer(_device.Memory, 2 * WeightBytes);
        _x = new GpuBuffer(_device.Memory, 256L << 20);
        _y = new GpuBuffer(_device.Memory, 1L << 30);
        _count = new GpuBuffer(_device.Memory, 256);
        FillRandom(_weights);
        FillRandom(_x);
    }

    /// <summary>Prints a table.</summary>
    /// <param name="arguments">
    /// Numbers of rows with commas between, unless the defaults are right; then "plans", for a column for each division of the work that is worth a try, or a type of weights that
    /// stay packed (Q4_K) and how they are scaled (Halves), unless as most of them, or "fp8" or "int8" for floats or integers of 8 bits on both sides, "int4" for integers of 4 bits and 8 (then "zeros", unless their zeros are 8), activations rounded within the time.
    /// </param>
    public static void Run(string[] arguments)
    {
        int[] rows = [.. (arguments.Length > 0 ? arguments[0] : "1,16,32,64,128,256,2048").Split(',').Select(int.Parse)];
        bool all = arguments is [_, "plans"];
        CodeScaling? codes = arguments.ElementAtOrDefault(1) switch
        {
            "fp8" => CodeScaling.FloatRows,
            "int8" => CodeScaling.IntegerRows,
            "int4" => arguments is [_, _, "zeros"] ? CodeScaling.NibbleZeros : CodeScaling.NibblePieces,
            _ => null,
        };
        PackedFormat? format = all || codes is not null || arguments.Length < 2 ? null : PackedFormat.Of(Enum.Parse<TensorType>(arguments[1]));
        PackedScaling scaling = codes is null && arguments.Length > 2 ? Enum.Parse<PackedScaling>(arguments[2]) : UsualScaling(format);
        using GpuMatMulTimes times = new();
        double bandwidth = CopyBandwidth.Measure(times._device.Memory);
        Console.WriteLine(FormattableString.Invariant($"copy {bandwidth / 1e12:F2} TB/s (read + write)"));
        foreach (int count in rows)
        {
            Console.WriteLine($"| {count} rows: TB/s (share of the copy), TFLOP/s |{(all ? " other divisions: rows of a block x groups of a share" : "")} |");
            Console.WriteLine("|---|---|");
            foreach ((string name, int outputs, int inputs) in Shapes)
            {
                int stride = codes is not null ? ByteTiles.HalfStride(inputs) : inputs;
                IPackedTiles? packed = codes?.AreNibbles() == true ? GpuNibbleMatMul.Tiles : format;
                GpuRingPlan best = GpuRingPlan.Best(count, outputs, stride, times._device.Multiprocessors, packed);
                Console.Write($"| {name}, {outputs} x {inputs}: {best.BlockRows} x {best.GroupsPerBlock} x {best.TilesPerPass} ");
                foreach (GpuRingPlan plan in (GpuRingPlan[])[best, .. all ? times.Plans(count, outputs, inputs).Where(plan => plan != best) : []])
                {
                    double seconds = times.Measure(name, outputs, inputs, count, plan, format, scaling, codes), bytes = Bytes(outputs, stride, packed);
                    Console.Write(FormattableString.Invariant(
                        $"| {(plan == best ? "" : $"{plan.BlockRows} x {plan.GroupsPerBlock}{(plan.ClusterSize > 1 ? " pairs" : "")}: ")}{bytes / seconds / 1e12:F2} ({bytes / seconds / bandwidth:F2}), {2.0 * outputs * inputs * count / seconds / 1e12:F0} "));
                }
                Console.WriteLine("|");
            }
        }
    }

    private IEnumerable<GpuRingPlan> Plans(int rows, int outputs, int inputs)
    {
        for (int block = Math.Min(CoreTiles.OperandBlockRows(rows), 64); block <= CoreTiles.OperandBlockRows(rows); block *= 2)
        {
            if (GpuRingPlan.Shared(rows, block, outputs / CoreTiles.TileRows, inputs / CoreTiles.PieceColumns, _device.Multiprocessors) is { } shared) yield return shared;
            yield return GpuRingPlan.InTurn(rows, block, outputs / CoreTiles.TileRows, _device.Multiprocessors);
        }
    }

    public void Dispose()
    {
        _launcher.Dispose();
        _weights.Dispose();
        _x.Dispose();
        _y.Dispose();
        _count.Dispose();
        _device.Dispose();
    }

    /// <summary>FP8's scales are seldom halves.</summary>
    private static PackedScaling UsualScaling(PackedFormat? format) =>
        format is null or { Type: TensorType.E4M3x32 or TensorType.E4M3x64 } ? PackedScaling.Floats : format.Scalings[^1];

    /// <summary>Bytes of a weight, which is a whole number of tiles.</summary>
    private static long Bytes(int outputs, int stride, IPackedTiles? packed) =>
        (long)(outputs / CoreTiles.TileRows) * (stride / CoreTiles.PieceColumns) * (packed?.PieceBytes ?? CoreTiles.TileBytes);

    private double Measure(string name, int outputs, int inputs, int rows, GpuRingPlan plan, PackedFormat? format, PackedScaling scaling, CodeScaling? codes)
    {
        _device.Upload(_count.Address, BitConverter.GetBytes(rows));
        long bytes = codes is null ? Bytes(outputs, inputs, format) : Bytes(outputs, ByteTiles.HalfStride(inputs), codes.Value.AreNibbles() ? GpuNibbleMatMul.Tiles : null);
        int copies = (int)Math.Max(1, WeightBytes / bytes), launches = Math.Max(copies, 8);
        bool gated = name.EndsWith("gate/up", StringComparison.Ordinal);
        MatMulArguments arguments = new()
        {
            Count = _count.Address,
            X = _x.Address,
            Y = _y.Address,
            Columns = gated ? outputs / 2 : outputs,
            WeightRows = outputs,
            Stride = inputs,
            YStride = gated ? outputs / 2 : outputs,
            XBlockRows = CoreTiles.OperandBlockRows(rows),
            YBlockRows = CoreTiles.OperandBlockRows(rows),
            Gated = gated ? 1 : 0,
            HalfY = gated ? 1 : 0,
            Scaling = scaling,
            Function = (int)(gated ? ActivationFunction.Silu : ActivationFunction.None),
            Accumulate = outputs <= inputs ? 1 : 0,
            Scales = _x.Address,
        };
        void Launch()
        {
            for (int i = 0; i < launches; i++)
            {
                arguments.Weight = _weights.Address + (nint)(i % copies * bytes);
                if (codes is { } kind) _launcher.LaunchCodes(arguments, _launcher.RoundToCodes(_x.Address, maxima: default, _count.Address, rows, outputs, inputs, kind), rows, kind);
                else _launcher.LaunchRing(arguments, plan, format);
            }
        }
        Launch();
        using IGpuRecording recording = _device.Record(Launch);
        double[] seconds = new double[Repetitions];
        for (int i = 0; i < Repetitions; i++)
        {
            _device.Synchronize();
            long start = Stopwatch.GetTimestamp();
            for (int r = 0; r < 3; r++) recording.Replay();
            _device.Synchronize();
            seconds[i] = Stopwatch.GetElapsedTime(start).TotalSeconds / 3 / launches;
        }
        Array.Sort(seconds);
        return seconds[Repetitions / 2];
    }

    private void FillRandom(GpuBuffer buffer)
    {
        Random random = new(1);
        Half[] values = new Half[8 << 20];
        foreach (ref Half value in values.AsSpan()) value = (Half)((random.NextSingle() - 0.5f) / 8);
        for (long offset = 0; offset < buffer.Bytes; offset += values.Length * sizeof(ushort))
            _device.Upload(buffer.Address + (nint)offset, MemoryMarshal.AsBytes(values.AsSpan(0, (int)Math.Min(values.Length, (buffer.Bytes - offset) / sizeof(ushort)))));
    }
}
