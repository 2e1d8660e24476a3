using System.Runtime.InteropServices;

namespace Decart.Inference.Native.Cuda;

// Tensor maps; no context needs to be current.
internal static unsafe partial class CudaDriver
{
    [LibraryImport(Library, EntryPoint = "cuTensorMapEncodeTiled")]
    public static partial CudaResult EncodeTensorMap(
        byte* map,
        CudaTensorElement element,
        uint rank,
        nint address,
        long* sizes,
        long* strides,
        int* box,
        uint* steps,
        int interleave,
        CudaTensorSwizzle swizzle,
        CudaTensorPromotion promotion,
        int fill);
}
