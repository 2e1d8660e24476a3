namespace Decart.Inference.Memory;

/// <summary>The operating system or the driver refused a virtual memory operation; the message says which, for how many bytes, and why.</summary>
internal sealed class VirtualMemoryException(string message, Exception? innerException = null) : Exception(message, innerException);
