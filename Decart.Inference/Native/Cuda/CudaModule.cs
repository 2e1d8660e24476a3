using System.Runtime.InteropServices;
using System.Text;

namespace Decart.Inference.Native.Cuda;

/// <summary>Code on a GPU.</summary>
internal sealed unsafe class CudaModule : SafeHandle
{
    private const int LogBytes = 16 * 1024;

    private readonly CudaContext _context;

    /// <summary>Compiles PTX for the GPU.</summary>
    /// <exception cref="CudaException">The driver refuses it; the message ends with the compiler's log.</exception>
    public CudaModule(CudaContext context, string ptx)
        : base(0, ownsHandle: true)
    {
        _context = context;
        context.MakeCurrent();
        byte[] image = new byte[Encoding.ASCII.GetByteCount(ptx) + 1], info = new byte[LogBytes], errors = new byte[LogBytes];
        Encoding.ASCII.GetBytes(ptx, image);
        fixed (byte* imageAddress = image, infoAddress = info, errorsAddress = errors)
        {
            CudaJitOption* options = stackalloc[]
            {
                CudaJitOption.InfoLog, CudaJitOption.InfoLogBytes, CudaJitOption.ErrorLog, CudaJitOption.ErrorLogBytes, CudaJitOption.LogVerbose,
            };
            nint* values = stackalloc nint[] { (nint)infoAddress, LogBytes, (nint)errorsAddress, LogBytes, 1 };
            CudaResult result = CudaDriver.LoadModule(out nint module, imageAddress, 5, options, values);
            if (result != CudaResult.Success) throw new CudaException(result, $"a module ({Text(errors)})");
            SetHandle(module);
        }
        Log = Text(info);
    }

    public override bool IsInvalid => handle == 0;

    /// <summary>What the driver's compiler says of it: registers, spills, warnings. Empty when the driver had it in its cache.</summary>
    public string Log { get; }

    public CudaFunction GetFunction(string name)
    {
        _context.MakeCurrent();
        CudaDriver.Check(CudaDriver.GetFunction(out nint function, this, name), $"finding kernel {name}");
        return new CudaFunction(_context, this, function);
    }

    protected override bool ReleaseHandle() => CudaDriver.UnloadModule(handle) == CudaResult.Success;

    private static string Text(byte[] log) => Encoding.ASCII.GetString(log).TrimEnd('\0', '\n', ' ');
}
