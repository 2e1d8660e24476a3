using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using System.Runtime.ExceptionServices;
using ILGPU;
using ILGPU.Frontend;

namespace Decart.Inference.Kernels.Gpu.Compilation;

/// <summary>Compiles <see cref="GpuKernel.Parts"/>.</summary>
[RequiresUnreferencedCode(GpuSupport.NeedsAllCode)]
[RequiresDynamicCode(GpuSupport.NeedsAllCode)]
internal static class KernelParts
{
    /// <summary>Has ILGPU know the parts as it will inline them.</summary>
    /// <exception cref="InternalCompilerException">A part uses what cannot be compiled.</exception>
    public static void Compile(Context context, GpuKernel kernel)
    {
        foreach (MethodInfo part in kernel.Parts)
        {
            using ContextCodeGenerationPhase phase = context.BeginCodeGeneration();
            using (CodeGenerationPhase frontend = phase.BeginFrontendCodeGeneration()) frontend.GenerateCode(part);
            if (phase.LastException is { } error) ExceptionDispatchInfo.Throw(error);
            phase.Optimize();
        }
    }
}
