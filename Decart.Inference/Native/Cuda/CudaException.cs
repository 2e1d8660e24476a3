namespace Decart.Inference.Native.Cuda;

/// <summary>The CUDA driver reported an error; the message has the operation and the driver's own name and text for it.</summary>
internal sealed class CudaException(CudaResult result, string operation)
    : Exception($"The CUDA driver refused {operation}: {CudaDriver.Describe(result)}.")
{
    public CudaResult Result => result;
}
