using System.Runtime.InteropServices;
using System.Text;

namespace Decart.Inference.Native.Cuda;

/// <summary>Code on a GPU.</summary>
internal sealed unsafe class CudaModule : SafeHandle
{
    private const int LogBytes = 16 * 1024;

    private readonly CudaContext _context;

    /// <summary>
    /// Compiles a module and loads it. The driver keeps what it compiled in a cache of its own on disk. It does not go through the driver's linker, whose code can be
    /// kept elsewhere, because code that may be linked with other code does without what Hopper's matrix operations need: registers given and taken at run time, and
    /// operations under way while others start.
    /// </summary>
    /// <param name="context">The GPU.</param>
    /// <param name="ptx">The module's text.</param>
    /// <exception cref="CudaException">The module is refused; the message ends with the compiler's log.</exception>
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
            CudaDriver.Check(result, module, $"compiling a module ({Text(errors)})");
            SetHandle(module);
            Report = Text(info);
        }
    }

    /// <summary>What the compiler says of the code: registers, spills, warnings. Empty where the driver had it in its cache.</summary>
    public string Report { get; }

    public override bool IsInvalid => handle == 0;

    /// <summary>A kernel by its entry point, with what its launches need.</summary>
    public CudaFunction GetFunction(string name, int dynamicSharedBytes = 0, bool startsEarly = false)
    {
        _context.MakeCurrent();
        CudaDriver.Check(CudaDriver.GetFunction(out nint function, this, name), function, $"finding kernel {name}");
        return new CudaFunction(_context, this, function)
        {
            DynamicSharedBytes = dynamicSharedBytes,
            StartsEarly = startsEarly,
        };
    }

    protected override bool ReleaseHandle() => CudaDriver.UnloadModule(handle) == CudaResult.Success;

    private static string Text(byte[] log) => Encoding.ASCII.GetString(log).TrimEnd('\0', '\n', ' ');
}
