namespace Decart.Inference.Kernels.Gpu.Intrinsics;

/// <summary>Four 32-bit registers: 16 bytes of memory, or a matrix fragment of eight halves.</summary>
internal struct UInt4
{
    public uint A, B, C, D;
}

/// <summary>Four float32 registers: 16 bytes of memory, or an accumulator fragment.</summary>
internal struct Float4
{
    public float A, B, C, D;
}
