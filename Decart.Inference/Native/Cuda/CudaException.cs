namespace Decart.Inference.Native.Cuda;

/// <summary>The CUDA driver reported an error; the message has the operation and the driver's own name and text for it.</summary>
internal sealed class CudaException : Exception
{
    public CudaException(CudaResult result, string operation)
        : base($"The CUDA driver refused {operation}: {CudaDriver.Describe(result)}.") => Result = result;

    /// <summary>The driver did not report the error.</summary>
    public CudaException(string message)
        : base(message)
    {
    }

    public CudaResult Result { get; }
}
