using Decart.Inference.Kernels.Gpu.Packed;
using Decart.Inference.Kernels.Gpu.Tiles;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// Picks the matmul's kernel: by <c>wgmma</c> on Hopper GPUs, by <c>mma.sync</c> where there are other tensor cores and for experts, else the portable one.
/// The first two have the same bits for any number of rows.
/// </summary>
internal sealed class GpuMatMulLauncher(IGpuDevice device) : IDisposable
{
    private readonly GpuBuffer _operand = new(device.Memory);
    private readonly bool _hasRing = device.HasTensorCores && device.CanRun(GpuRingMatMul<Sums256>.Kernel);

    /// <summary>Every kernel, for whoever compiles them ahead of need.</summary>
    public static IReadOnlyList<GpuKernel> All { get; } =
    [
        GpuNorm.Kernel, GpuNorm.PairKernel, GpuNorm.LongKernel, GpuRound.Kernel, GpuPadding.Kernel, GpuMatMul.Kernel,
        GpuTensorMatMul<Sums8>.Kernel, GpuTensorMatMul<Sums16>.Kernel, GpuTensorMatMul<Sums32>.Kernel, GpuTensorMatMul<Sums64>.Kernel,
        GpuRingMatMul<Sums8>.Kernel, GpuRingMatMul<Sums16>.Kernel, GpuRingMatMul<Sums32>.Kernel, GpuRingMatMul<Sums64>.Kernel,
        GpuRingMatMul<Sums128>.Kernel, GpuRingMatMul<Sums256>.Kernel,
    ];

    /// <summary>How often memory that launches use has moved.</summary>
    public int Moves => _operand.Moves;

    /// <summary>Whether weights may stay in few bits.</summary>
    public static bool MultipliesPacked(IGpuDevice device) =>
        device.PacksWeights && device.HasTensorCores && device.CanRun(GpuPackedMatMul<PackedQ8_0, Sums256>.Kernel);

    /// <summary>Starts a product.</summary>
    /// <param name="arguments">The operation, without how x and y lie.</param>
    /// <param name="rows">Rows that the launch is sized for.</param>
    /// <param name="format">How the weight is packed; null for halves.</param>
    public void Launch(MatMulArguments arguments, int rows, PackedFormat? format = null)
    {
        arguments.XBlockRows = arguments.YBlockRows = CoreTiles.OperandBlockRows(rows);
        arguments.RowsPerSource = 1;
        if (_hasRing) LaunchRing(arguments, GpuRingPlan.Best(rows, arguments.WeightRows, arguments.Stride, device.Multiprocessors), format);
        else LaunchPlain(arguments, rows, experts: 1, rows);
        if (arguments.HalfY != 0) ClearPadding(arguments.Count, arguments.Y, arguments.Columns, rows);
    }

    /// <summary>Starts a product for each expert.</summary>
    /// <param name="arguments">The operation.</param>
    /// <param name="rows">The most rows that one expert may have.</param>
    /// <param name="experts">Number of experts.</param>
    /// <param name="typicalRows">Rows that an expert may be expected to have.</param>
    public void LaunchExperts(in MatMulArguments arguments, int rows, int experts, int typicalRows) => LaunchPlain(arguments, rows, experts, typicalRows);

    /// <summary>Normalises rows to an operand, which is valid until the next one is made.</summary>
    /// <param name="norm">The norm, without where to store.</param>
    /// <param name="rows">Rows that the launch is sized for.</param>
    public nint Normalise(NormArguments norm, int rows)
    {
        norm.YStride = CoreTiles.PaddedColumns(norm.Columns);
        norm.YBlockRows = CoreTiles.OperandBlockRows(rows);
        _operand.Reserve(GpuActivations.OperandBytes(rows, norm.Columns));
        norm.Y = _operand.Address;
        GpuNorm.Launch(device, norm, rows);
        return _operand.Address;
    }

    /// <summary>Rounds rows of float32 to an operand, which is valid until the next one is made.</summary>
    /// <param name="x">The rows.</param>
    /// <param name="count">Address of their number.</param>
    /// <param name="rows">Rows that the launch is sized for.</param>
    public nint Round(GpuActivations x, nint count, int rows)
    {
        _operand.Reserve(GpuActivations.OperandBytes(rows, x.Columns));
        RoundArguments arguments = new()
        {
            Count = count,
            X = x.Address,
            Y = _operand.Address,
            XStride = x.Stride,
            YStride = CoreTiles.PaddedColumns(x.Columns),
            YBlockRows = CoreTiles.OperandBlockRows(rows),
            Columns = x.Columns,
        };
        device.Launch(GpuRound.Kernel, new GpuGrid(rows), arguments);
        return _operand.Address;
    }

    /// <summary>Makes the padding of an operand's columns zeros.</summary>
    /// <param name="count">Address of the number of rows.</param>
    /// <param name="y">The operand.</param>
    /// <param name="columns">Its columns.</param>
    /// <param name="rows">Rows that the launch is sized for.</param>
    public void ClearPadding(long count, long y, int columns, int rows)
    {
        int stride = CoreTiles.PaddedColumns(columns);
        if (columns == stride) return;
        PaddingArguments arguments = new()
        {
            Count = count,
            Y = y,
            Columns = columns,
            Stride = stride,
            BlockRows = CoreTiles.OperandBlockRows(rows),
        };
        device.Launch(GpuPadding.Kernel, new GpuGrid(CeilingDivide(rows, GpuPadding.Rows)), arguments);
    }

    public void Dispose() => _operand.Dispose();

    /// <summary>Starts a product by <see cref="GpuRingMatMul{TSums}"/> or <see cref="GpuPackedMatMul{TFormat, TSums}"/>.</summary>
    /// <param name="arguments">The operation, without how work is divided.</param>
    /// <param name="plan">How it is.</param>
    /// <param name="format">How the weight is packed; null for halves.</param>
    public void LaunchRing(MatMulArguments arguments, GpuRingPlan plan, PackedFormat? format = null)
    {
        GpuKernel<MatMulArguments> kernel = format is not null ? format.MatMul(plan.BlockRows) : plan.BlockRows switch
        {
            8 => GpuRingMatMul<Sums8>.Kernel,
            16 => GpuRingMatMul<Sums16>.Kernel,
            32 => GpuRingMatMul<Sums32>.Kernel,
            64 => GpuRingMatMul<Sums64>.Kernel,
            128 => GpuRingMatMul<Sums128>.Kernel,
            _ => GpuRingMatMul<Sums256>.Kernel,
        };
        arguments.XBlocks = plan.Blocks;
        arguments.GroupsPerBlock = plan.GroupsPerBlock;
        arguments.TilesPerPass = plan.TilesPerPass;
        arguments.TilesPerUnit = plan.TilesPerUnit;
        device.Launch(kernel, new GpuGrid(plan.Groups, ClusterSize: plan.ClusterSize), arguments);
    }

    private void LaunchPlain(in MatMulArguments arguments, int rows, int experts, int typicalRows)
    {
        if (!device.HasTensorCores)
        {
            int groupSize = Math.Min(GpuMatMul.Kernel.GroupSize, device.MaxGroupSize);
            device.Launch(
                GpuMatMul.Kernel, new GpuGrid(CeilingDivide(arguments.Columns, groupSize), CeilingDivide(rows, GpuMatMul.TileRows), experts), arguments);
            return;
        }
        (GpuKernel<MatMulArguments> kernel, int groupRows) = typicalRows switch
        {
            <= 8 => (GpuTensorMatMul<Sums8>.Kernel, 8),
            <= 16 => (GpuTensorMatMul<Sums16>.Kernel, 16),
            <= 32 => (GpuTensorMatMul<Sums32>.Kernel, 32),
            _ => (GpuTensorMatMul<Sums64>.Kernel, 64),
        };
        GpuGrid grid = new(CeilingDivide(rows, groupRows), CeilingDivide(arguments.WeightRows, GpuTensorMatMul<Sums8>.WeightRows), experts);
        device.Launch(kernel, grid, arguments);
    }

    private static int CeilingDivide(int a, int b) => (a + b - 1) / b;
}
