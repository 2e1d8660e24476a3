namespace Decart.Inference.Native.Cuda;

/// <summary><c>CUresult</c>: the values that the code decides by; the driver knows the names of all.</summary>
internal enum CudaResult
{
    Success = 0,
    OutOfMemory = 2,
    PeerAccessAlreadyEnabled = 704,
}
