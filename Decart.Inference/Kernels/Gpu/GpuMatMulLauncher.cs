namespace Decart.Inference.Kernels.Gpu;

/// <summary>Picks the variant of the matmul. Which one a device uses never depends on the operation's rows, unless their bits are the same.</summary>
internal sealed class GpuMatMulLauncher(IGpuDevice device)
{
    /// <summary>Starts a product, or one for each expert.</summary>
    public void Launch(MatMulArguments arguments, int experts = 1)
    {
        int groupSize = Math.Min(GpuMatMul.Kernel.GroupSize, device.MaxGroupSize);
        device.Launch(
            GpuMatMul.Kernel,
            new GpuGrid(CeilingDivide(arguments.Columns, groupSize), CeilingDivide(arguments.Rows, GpuMatMul.TileRows), experts),
            arguments);
    }

    private static int CeilingDivide(int a, int b) => (a + b - 1) / b;
}
