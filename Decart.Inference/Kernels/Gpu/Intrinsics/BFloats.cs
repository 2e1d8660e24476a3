using ILGPU.IR.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Intrinsics;

/// <summary>bfloat16, the upper half of a float32, alone in the low half of a register or two in one (PTX ISA, "cvt").</summary>
internal static class BFloats
{
    [IntrinsicImplementation, Ptx("{ .reg .b32 t; shl.b32 t, $0, 16; mov.b32 $r, t; }")]
    public static float Low(uint pair) => BitConverter.UInt32BitsToSingle(pair << 16);

    [IntrinsicImplementation, Ptx("{ .reg .b32 t; and.b32 t, $0, 0xffff0000; mov.b32 $r, t; }")]
    public static float High(uint pair) => BitConverter.UInt32BitsToSingle(pair & 0xFFFF0000);

    /// <summary>Both rounded to nearest, ties to even.</summary>
    [IntrinsicImplementation, Ptx("cvt.rn.bf16x2.f32 $r, $1, $0;")]
    public static uint Round(float low, float high) => RoundBits(low) | (RoundBits(high) << 16);

    private static uint RoundBits(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        return float.IsNaN(value) ? 0x7FFF : (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16;
    }
}
