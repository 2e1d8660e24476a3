namespace Decart.Inference.Native.Cuda;

/// <summary>This machine has no CUDA driver, or the driver not the GPU that was asked for; the message says what was looked for.</summary>
internal sealed class CudaUnavailableException(string message, Exception? innerException = null) : Exception(message, innerException);
