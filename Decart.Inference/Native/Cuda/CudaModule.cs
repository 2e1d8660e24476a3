using System.Runtime.InteropServices;

namespace Decart.Inference.Native.Cuda;

/// <summary>Code on a GPU.</summary>
internal sealed unsafe class CudaModule : SafeHandle
{
    private readonly CudaContext _context;

    /// <summary>Loads what <see cref="CudaCompiler"/> made.</summary>
    /// <exception cref="CudaException">The code is not for this GPU, or damaged.</exception>
    public CudaModule(CudaContext context, byte[] code)
        : base(0, ownsHandle: true)
    {
        _context = context;
        context.MakeCurrent();
        fixed (byte* address = code)
        {
            CudaDriver.Check(CudaDriver.LoadModule(out nint module, address, 0, null, null), module, "loading a module");
            SetHandle(module);
        }
    }

    public override bool IsInvalid => handle == 0;

    /// <summary>A kernel by its entry point, with what its launches need.</summary>
    public CudaFunction GetFunction(string name, int dynamicSharedBytes = 0, int clusterSize = 1, bool startsEarly = false)
    {
        _context.MakeCurrent();
        CudaDriver.Check(CudaDriver.GetFunction(out nint function, this, name), function, $"finding kernel {name}");
        return new CudaFunction(_context, this, function)
        {
            DynamicSharedBytes = dynamicSharedBytes,
            ClusterSize = clusterSize,
            StartsEarly = startsEarly,
        };
    }

    protected override bool ReleaseHandle() => CudaDriver.UnloadModule(handle) == CudaResult.Success;
}
