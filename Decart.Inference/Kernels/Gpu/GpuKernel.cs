using System.Reflection;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>A method that runs on the device, in groups of threads; see docs/gpu.md for what it may do.</summary>
/// <param name="method">Static, with one struct of arguments.</param>
/// <param name="groupSize">Threads of a group, unless the device has fewer: kernels ask.</param>
internal abstract class GpuKernel(MethodInfo method, int groupSize)
{
    public MethodInfo Method { get; } = method;

    public int GroupSize { get; } = groupSize;

    /// <summary>
    /// Bytes of dynamic shared memory of a group, which <see cref="Intrinsics.Shared"/> reaches; above 48 KiB as far as the GPU has them.
    /// </summary>
    public int SharedBytes { get; init; }

    /// <summary>Groups that a multiprocessor's registers are to be enough for; more than 1 where it must hide the latency of memory by having many.</summary>
    public int GroupsPerMultiprocessor { get; init; } = 1;

    /// <summary>
    /// Whether it may start before the kernel in front of it has ended, on architectures that can do that; see <see cref="Intrinsics.GridDependency"/>.
    /// </summary>
    public bool StartsEarly { get; init; }

    /// <summary>
    /// The oldest architecture it runs on, compute capability times ten. From 90 on it is PTX ISA 8.3, of drivers for CUDA 12.3 and later.
    /// </summary>
    public int MinArchitecture { get; init; } = 80;

    /// <summary>Whether it runs on no later architecture either, for <see cref="Intrinsics.WarpGroup"/>.</summary>
    public bool ForOneArchitecture { get; init; }

    /// <summary>
    /// Methods that it calls, each of which is compiled before it and then inlined in its final form. For long code without branches that a kernel has several times, between loops:
    /// compiled together, every variable of it is looked for in every block. What a kernel computes does not depend on it.
    /// </summary>
    public IReadOnlyList<MethodInfo> Parts { get; init; } = [];

    /// <summary>Its name in PTX.</summary>
    public string EntryPoint => $"{TypeName(Method.DeclaringType!, '_', "")}_{Method.Name}";

    public string Name => $"{TypeName(Method.DeclaringType!, '<', ">")}.{Method.Name}";

    /// <summary>A type's name, with its type arguments where it is generic.</summary>
    private static string TypeName(Type type, char open, string close)
    {
        string name = type.Name.Split('`')[0];
        return type.IsGenericType ? $"{name}{open}{string.Join(open, type.GetGenericArguments().Select(argument => TypeName(argument, open, close)))}{close}" : name;
    }

    /// <summary>Whether a GPU of that architecture has what it uses.</summary>
    public bool RunsOn(int architecture) => ForOneArchitecture ? architecture == MinArchitecture : architecture >= MinArchitecture;
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
