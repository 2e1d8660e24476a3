using System.Reflection;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>A method that runs on the device, in groups of threads; see docs/gpu.md for what it may do.</summary>
/// <param name="method">Static, with one struct of arguments.</param>
/// <param name="groupSize">Threads of a group, unless the device has fewer: kernels ask.</param>
internal abstract class GpuKernel(MethodInfo method, int groupSize)
{
    public MethodInfo Method { get; } = method;

    public int GroupSize { get; } = groupSize;

    /// <summary>Its name in PTX.</summary>
    public string EntryPoint => $"{Method.DeclaringType!.Name}_{Method.Name}";

    public string Name => $"{Method.DeclaringType!.Name}.{Method.Name}";
}

/// <summary>A kernel that takes <typeparamref name="TArguments"/>.</summary>
/// <param name="entry">The method.</param>
/// <param name="groupSize">See <see cref="GpuKernel"/>.</param>
internal sealed class GpuKernel<TArguments>(Action<TArguments> entry, int groupSize = GpuKernel<TArguments>.DefaultGroupSize)
    : GpuKernel(entry.Method, groupSize)
    where TArguments : unmanaged
{
    private const int DefaultGroupSize = 128;

    public Action<TArguments> Entry { get; } = entry;
}
