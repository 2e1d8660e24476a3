namespace Decart.Inference.Benchmarks.Profiles;

/// <summary>When a kernel ran.</summary>
/// <param name="Name">The kernel's.</param>
/// <param name="Start">Nanoseconds of the GPU's clock.</param>
/// <param name="End">Likewise.</param>
/// <param name="Device">The number of the GPU.</param>
internal readonly record struct KernelSpan(string Name, long Start, long End, int Device);
