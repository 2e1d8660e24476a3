namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// Picks the matmul's variant. A device has tensor cores or not; within those families the number of rows decides, and the bits are the same.
/// </summary>
internal sealed class GpuMatMulLauncher(IGpuDevice device) : IDisposable
{
    /// <summary>
    /// Rows up to which a matmul normalises its input itself. Every group reads all of x, 16 KiB a row of 4,096 float32: from more than four rows on that
    /// takes longer than the two or three microseconds of a kernel for the norm (computed, see docs/gpu.md).
    /// </summary>
    public const int MaxNormedRows = 4;

    private readonly GpuBuffer _operand = new(device.Memory);

    /// <summary>How often memory that launches use has moved.</summary>
    public int Moves => _operand.Moves;

    /// <summary>Starts a product.</summary>
    /// <param name="arguments">The operation.</param>
    /// <param name="rows">Rows that the launch is sized for.</param>
    public void Launch(in MatMulArguments arguments, int rows) => Launch(arguments, rows, experts: 1, rows);

    /// <summary>Starts a product of normalised rows.</summary>
    /// <param name="arguments">The operation without x.</param>
    /// <param name="norm">The norm, without where to store.</param>
    /// <param name="rows">Rows that the launch is sized for.</param>
    public void LaunchNormed(MatMulArguments arguments, in NormArguments norm, int rows)
    {
        if (!device.HasTensorCores || rows > MaxNormedRows)
        {
            arguments.X = Normalise(norm, rows);
            Launch(arguments, rows);
            return;
        }
        arguments.X = norm.X;
        arguments.Sources = norm.Order;
        arguments.NormScale = norm.Scale;
        arguments.NormBias = norm.Bias;
        arguments.NormColumns = norm.Columns;
        arguments.NormEpsilon = norm.Epsilon;
        arguments.RemoveMean = norm.RemoveMean;
        GpuGrid grid = new(1, CeilingDivide(arguments.Columns, GpuTensorMatMul.PairColumns(arguments.Gated != 0)));
        device.Launch(GpuTensorMatMul.Normed8, grid, arguments);
    }

    /// <summary>Normalises rows to an operand, which is valid until the next one is made.</summary>
    /// <param name="norm">The norm, without where to store.</param>
    /// <param name="rows">Rows that the launch is sized for.</param>
    public nint Normalise(NormArguments norm, int rows)
    {
        norm.YStride = GpuWeight.AlignedStride(norm.Columns);
        norm.HalfY = 1;
        norm.Y = Reserve(rows, norm.YStride);
        device.Launch(GpuNorm.Kernel, new GpuGrid(rows), norm);
        return _operand.Address;
    }

    /// <summary>Rounds rows of float32 to an operand, which is valid until the next one is made.</summary>
    /// <param name="x">The rows.</param>
    /// <param name="count">Address of their number.</param>
    /// <param name="rows">Rows that the launch is sized for.</param>
    public nint Round(GpuActivations x, nint count, int rows)
    {
        RoundArguments arguments = new() { Count = count, X = x.Address, XStride = x.Stride, YStride = GpuWeight.AlignedStride(x.Columns), Columns = x.Columns };
        arguments.Y = Reserve(rows, arguments.YStride);
        device.Launch(GpuRound.Kernel, new GpuGrid(rows), arguments);
        return _operand.Address;
    }

    /// <summary>Starts a product for each expert.</summary>
    /// <param name="arguments">The operation.</param>
    /// <param name="rows">The most rows that one expert may have.</param>
    /// <param name="experts">Number of experts.</param>
    /// <param name="typicalRows">Rows that an expert may be expected to have.</param>
    public void Launch(in MatMulArguments arguments, int rows, int experts, int typicalRows)
    {
        if (!device.HasTensorCores)
        {
            int groupSize = Math.Min(GpuMatMul.Kernel.GroupSize, device.MaxGroupSize);
            GpuGrid grid = new(CeilingDivide(arguments.Columns, groupSize), CeilingDivide(rows, GpuMatMul.TileRows), experts);
            device.Launch(GpuMatMul.Kernel, grid, arguments);
            return;
        }
        if (TryLaunchTiled(arguments, rows, experts, typicalRows)) return;
        bool gated = arguments.Gated != 0;
        GpuGrid wide = new(CeilingDivide(rows, GpuTensorMatMul.WideRows), CeilingDivide(arguments.Columns, GpuTensorMatMul.WideColumns(gated)), experts);
        if (typicalRows > 32 && (long)CeilingDivide(typicalRows, GpuTensorMatMul.WideRows) * wide.Y * experts >= 2 * device.Multiprocessors)
        {
            device.Launch(GpuTensorMatMul.Wide, wide, arguments);
            return;
        }
        (GpuKernel<MatMulArguments> kernel, int groupRows) = typicalRows switch
        {
            <= 8 => (GpuTensorMatMul.Narrow8, 8),
            <= 16 => (GpuTensorMatMul.Narrow16, 16),
            _ => (GpuTensorMatMul.Narrow32, 32),
        };
        GpuGrid narrow = new(CeilingDivide(rows, groupRows), CeilingDivide(arguments.Columns, GpuTensorMatMul.PairColumns(gated)), experts);
        device.Launch(kernel, narrow, arguments);
    }

    public void Dispose() => _operand.Dispose();

    /// <summary>Starts the kernel for many rows where its large groups are enough for the device, and it has the shared memory for them.</summary>
    private bool TryLaunchTiled(in MatMulArguments arguments, int rows, int experts, int typicalRows)
    {
        if (typicalRows < GpuTiledMatMul.Rows || !device.CanRun(GpuTiledMatMul.Kernel)) return false;
        int columnGroups = CeilingDivide(arguments.Columns, GpuTiledMatMul.GroupColumns(arguments.Gated != 0));
        if ((long)CeilingDivide(typicalRows, GpuTiledMatMul.Rows) * columnGroups * experts < device.Multiprocessors) return false;
        device.Launch(GpuTiledMatMul.Kernel, new GpuGrid(CeilingDivide(rows, GpuTiledMatMul.Rows), columnGroups, experts), arguments);
        return true;
    }

    private nint Reserve(int rows, int stride)
    {
        _operand.Reserve((long)rows * stride * sizeof(ushort));
        return _operand.Address;
    }

    private static int CeilingDivide(int a, int b) => (a + b - 1) / b;
}
