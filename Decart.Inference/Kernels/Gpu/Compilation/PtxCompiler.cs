using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Decart.Inference.Kernels.Gpu.Intrinsics;
using ILGPU;
using ILGPU.Backends.EntryPoints;
using ILGPU.Backends.PTX;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;

namespace Decart.Inference.Kernels.Gpu.Compilation;

/// <summary>A kernel in PTX.</summary>
/// <param name="EntryPoint">The name to launch it by.</param>
/// <param name="Text">The module.</param>
internal sealed record PtxModule(string EntryPoint, string Text);

/// <summary>Compiles kernels from IL to PTX, with or without a GPU at hand. Called by one thread at a time.</summary>
[RequiresUnreferencedCode(GpuSupport.NeedsAllCode)]
[RequiresDynamicCode(GpuSupport.NeedsAllCode)]
internal sealed class PtxCompiler : IDisposable
{
    /// <summary>The oldest architecture whose kernels are written in PTX ISA 8.3.</summary>
    public const int HopperArchitecture = 90;

    private readonly Context _context;
    private readonly PTXBackend _backend;
    private readonly int _architecture;
    private readonly string _target;

    /// <summary>Prepares the compiler.</summary>
    /// <param name="architecture">Compute capability times ten, at least 80.</param>
    public PtxCompiler(int architecture)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(architecture, 80);
        _architecture = architecture;
        // O1 emits calls in program order; O2 may move the last memory operation of a block behind a call.
        _context = Context.Create(builder =>
        {
            PtxIntrinsics.Register(builder.EnableAlgorithms());
            builder.Optimize(OptimizationLevel.O1).Inlining(InliningMode.Aggressive);
        });
        // The suffix allows what only that very architecture has (wgmma), and no later one runs such code.
        _target = architecture switch
        {
            < 90 => $"sm_{architecture}",
            90 => "sm_90a",
            _ => "sm_90",
        };
        CudaArchitecture ilgpu = architecture < 90 ? CudaArchitecture.SM_80 : CudaArchitecture.SM_90;
        _backend = new PTXBackend(_context, ilgpu, CudaInstructionSet.ISA_80, nvvmAPI: null!);
    }

    /// <exception cref="NotSupportedException">The kernel is not for the architecture, or uses what cannot be compiled.</exception>
    public PtxModule Compile(GpuKernel kernel)
    {
        if (!kernel.RunsOn(_architecture))
        {
            string needed = $"sm_{kernel.MinArchitecture}{(kernel.ForOneArchitecture ? "a, and no other," : " or later")}";
            throw new NotSupportedException($"Kernel {kernel.Name} needs {needed}; this is for sm_{_architecture}.");
        }
        EntryPointDescription entryPoint = EntryPointDescription.FromExplicitlyGroupedKernel(kernel.Method);
        KernelSpecialization specialization = new(kernel.GroupSize, kernel.GroupsPerMultiprocessor);
        PTXCompiledKernel compiled;
        try
        {
            KernelParts.Compile(_context, kernel);
            compiled = (PTXCompiledKernel)_backend.Compile(entryPoint, specialization);
        }
        catch (InternalCompilerException e)
        {
            throw new NotSupportedException($"Kernel {kernel.Name} cannot be compiled: {e.InnerException?.Message ?? e.Message}", e);
        }
        string text = compiled.PTXAssembly.Replace($".entry {compiled.Name}(", $".entry {kernel.EntryPoint}(", StringComparison.Ordinal);
        text = DeclareShared(kernel, text);
        return new PtxModule(kernel.EntryPoint, Finish(kernel, text));
    }

    public void Dispose()
    {
        _backend.Dispose();
        _context.Dispose();
    }

    /// <summary>
    /// Declares the memory that a launch adds. ILGPU can, but aligned for single registers only, and its emulation gives each call other memory.
    /// </summary>
    private static string DeclareShared(GpuKernel kernel, string text)
    {
        bool used = text.Contains(Shared.Symbol, StringComparison.Ordinal);
        if (used != kernel.SharedBytes > 0)
            throw new NotSupportedException($"Kernel {kernel.Name} {(used ? "uses" : "does not use")} dynamic shared memory and says otherwise.");
        string declaration = string.Create(CultureInfo.InvariantCulture, $".extern .shared .align {Shared.Alignment} .b8 {Shared.Symbol}[];\n\n");
        return used ? text.Insert(text.IndexOf(".visible .entry ", StringComparison.Ordinal), declaration) : text;
    }

    /// <summary>Replaces a directive's line.</summary>
    private static string Replace(string text, string directive, string value)
    {
        int start = text.IndexOf(directive, StringComparison.Ordinal), end = text.IndexOf('\n', start);
        return string.Concat(text.AsSpan(0, start), directive, value, text.AsSpan(end));
    }

    /// <summary>
    /// Names the target, for which ILGPU always writes sm_80, and asks for rounding after each operation: the driver's compiler fuses products and
    /// sums as it sees fit otherwise, and one expression could give different bits in two kernels. Accumulators of integers are floats in IL: registers without a type hold either.
    /// </summary>
    private string Finish(GpuKernel kernel, string text)
    {
        if (kernel.MinArchitecture >= HopperArchitecture) text = Replace(text, ".version ", "8.3");
        if (text.Contains(WarpGroup.IntegerProducts, StringComparison.Ordinal)) text = text.Replace(".reg .f32", ".reg .b32", StringComparison.Ordinal);
        return Replace(text, ".target ", _target)
            .Replace("\tmul.f32\t", "\tmul.rn.f32\t", StringComparison.Ordinal)
            .Replace("\tadd.f32\t", "\tadd.rn.f32\t", StringComparison.Ordinal)
            .Replace("\tsub.f32\t", "\tsub.rn.f32\t", StringComparison.Ordinal);
    }
}
