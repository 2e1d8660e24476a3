using System.Runtime.InteropServices;
using System.Text;

namespace Decart.Inference.Native.Cuda;

/// <summary>The driver's compiler from PTX to a GPU's own code.</summary>
internal static unsafe class CudaCompiler
{
    private const int LogBytes = 16 * 1024, MaxCodeBytes = 1 << 28, InputPtx = 1;

    /// <summary>Compiles for the context's GPU.</summary>
    /// <param name="context">The GPU.</param>
    /// <param name="ptx">A module.</param>
    /// <param name="log">What the compiler says of it: registers, spills, warnings.</param>
    /// <returns>Code for <see cref="CudaModule"/>, which this GPU runs under any driver that is not older.</returns>
    /// <exception cref="CudaException">The module is refused; the message ends with the compiler's log.</exception>
    public static byte[] Compile(CudaContext context, string ptx, out string log)
    {
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
            CudaDriver.Check(CudaDriver.CreateLink(5, options, values, out nint handle), handle, "compiling a module");
            using Link link = new(handle);
            CudaResult result = CudaDriver.AddToLink(handle, InputPtx, imageAddress, (nuint)image.Length, "kernel.ptx", 0, null, null);
            if (result != CudaResult.Success) throw new CudaException(result, $"a module ({Text(errors)})");
            result = CudaDriver.CompleteLink(handle, out byte* code, out nuint bytes);
            if (result != CudaResult.Success) throw new CudaException(result, $"a module ({Text(errors)})");
            if (code == null || bytes is 0 or > MaxCodeBytes) throw new CudaException($"The CUDA driver reports success and gives {bytes} bytes of code for a module.");
            log = Text(info);
            return new ReadOnlySpan<byte>(code, checked((int)bytes)).ToArray();
        }
    }

    private static string Text(byte[] log) => Encoding.ASCII.GetString(log).TrimEnd('\0', '\n', ' ');

    /// <summary>A compilation under way, to which the code belongs.</summary>
    private sealed class Link : SafeHandle
    {
        public Link(nint link)
            : base(0, ownsHandle: true) => SetHandle(link);

        public override bool IsInvalid => handle == 0;

        protected override bool ReleaseHandle() => CudaDriver.DestroyLink(handle) == CudaResult.Success;
    }
}
