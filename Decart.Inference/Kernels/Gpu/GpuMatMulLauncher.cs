namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// Picks the matmul's variant. A device has tensor cores or not; within those families the number of rows decides, and the bits are the same.
/// </summary>
internal sealed class GpuMatMulLauncher(IGpuDevice device)
{
    /// <summary>Starts a product.</summary>
    public void Launch(MatMulArguments arguments) => Launch(arguments, experts: 1, arguments.Rows);

    /// <summary>Starts a product for each expert.</summary>
    /// <param name="arguments">The operation; its rows are the most that one expert may have.</param>
    /// <param name="experts">Number of experts.</param>
    /// <param name="typicalRows">Rows that an expert may be expected to have.</param>
    public void Launch(MatMulArguments arguments, int experts, int typicalRows)
    {
        if (!device.HasTensorCores)
        {
            int groupSize = Math.Min(GpuMatMul.Kernel.GroupSize, device.MaxGroupSize);
            GpuGrid grid = new(CeilingDivide(arguments.Columns, groupSize), CeilingDivide(arguments.Rows, GpuMatMul.TileRows), experts);
            device.Launch(GpuMatMul.Kernel, grid, arguments);
            return;
        }
        bool gated = arguments.Gated != 0;
        GpuGrid wide = new(
            CeilingDivide(arguments.Rows, GpuTensorMatMul.WideRows), CeilingDivide(arguments.Columns, GpuTensorMatMul.WideColumns(gated)), experts);
        if (typicalRows > 32 && (long)CeilingDivide(typicalRows, GpuTensorMatMul.WideRows) * wide.Y * experts >= 2 * device.Multiprocessors)
        {
            device.Launch(GpuTensorMatMul.Wide, wide, arguments);
            return;
        }
        (GpuKernel<MatMulArguments> kernel, int rows) = typicalRows switch
        {
            <= 8 => (GpuTensorMatMul.Narrow8, 8),
            <= 16 => (GpuTensorMatMul.Narrow16, 16),
            _ => (GpuTensorMatMul.Narrow32, 32),
        };
        GpuGrid narrow = new(CeilingDivide(arguments.Rows, rows), CeilingDivide(arguments.Columns, GpuTensorMatMul.PairColumns(gated)), experts);
        device.Launch(kernel, narrow, arguments);
    }

    private static int CeilingDivide(int a, int b) => (a + b - 1) / b;
}
