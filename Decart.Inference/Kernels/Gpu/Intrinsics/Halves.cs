using ILGPU.IR.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Intrinsics;

/// <summary>IEEE half, alone in the low half of a register or two in one (PTX ISA, "cvt", "prmt").</summary>
internal static class Halves
{
    /// <summary>The largest finite half.</summary>
    public const float Max = 65504;

    [IntrinsicImplementation, Ptx("{ .reg .b16 h, l; mov.b32 {l, h}, $0; cvt.f32.f16 $r, l; }")]
    public static float Low(uint pair) => (float)BitConverter.UInt16BitsToHalf((ushort)pair);

    [IntrinsicImplementation, Ptx("{ .reg .b16 h, l; mov.b32 {l, h}, $0; cvt.f32.f16 $r, h; }")]
    public static float High(uint pair) => (float)BitConverter.UInt16BitsToHalf((ushort)(pair >> 16));

    /// <summary>Both rounded to nearest; beyond <see cref="Max"/> infinite.</summary>
    [IntrinsicImplementation, Ptx("cvt.rn.f16x2.f32 $r, $1, $0;")]
    public static uint Round(float low, float high) =>
        BitConverter.HalfToUInt16Bits((Half)low) | ((uint)BitConverter.HalfToUInt16Bits((Half)high) << 16);

    /// <summary>Both rounded to nearest, or the nearest finite half (PTX ISA, "cvt", ".satfinite"). What is not a number stays so.</summary>
    [IntrinsicImplementation, Ptx("cvt.rn.satfinite.f16x2.f32 $r, $1, $0;", MinArchitecture = 90)]
    public static uint RoundFinite(float low, float high) => Round(Clamp(low), Clamp(high));

    /// <summary>a - b of both, rounded to nearest.</summary>
    [IntrinsicImplementation, Ptx("sub.rn.f16x2 $r, $0, $1;")]
    public static uint Subtract(uint a, uint b) => Round(Low(a) - Low(b), High(a) - High(b));

    /// <summary>a * b of both, rounded to nearest; beyond <see cref="Max"/> infinite.</summary>
    [IntrinsicImplementation, Ptx("mul.rn.f16x2 $r, $0, $1;")]
    public static uint Multiply(uint a, uint b) => Round(Low(a) * Low(b), High(a) * High(b));

    /// <summary>a * b + c of both, rounded once.</summary>
    [IntrinsicImplementation, Ptx("fma.rn.f16x2 $r, $0, $1, $2;")]
    public static uint Fma(uint a, uint b, uint c) =>
        BitConverter.HalfToUInt16Bits((Half)(((double)Low(a) * Low(b)) + Low(c))) | ((uint)BitConverter.HalfToUInt16Bits((Half)(((double)High(a) * High(b)) + High(c))) << 16);

    /// <summary>1024 + the lowest byte of a register, and 1024 + the next: numbers of 8 bits behind the exponent of 1024.</summary>
    [IntrinsicImplementation, Ptx("prmt.b32 $r, $0, 0x64646464, 0x4140;")]
    public static uint LowBytes(uint bytes) => 0x64006400 | (bytes & 0xFF) | ((bytes & 0xFF00) << 8);

    /// <summary>As <see cref="LowBytes"/>, of the two highest bytes.</summary>
    [IntrinsicImplementation, Ptx("prmt.b32 $r, $0, 0x64646464, 0x4342;")]
    public static uint HighBytes(uint bytes) => LowBytes(bytes >> 16);

    /// <summary>The low halves of two pairs.</summary>
    [IntrinsicImplementation, Ptx("prmt.b32 $r, $0, $1, 0x5410;")]
    public static uint Lows(uint first, uint second) => (first & 0xFFFF) | (second << 16);

    /// <summary>The high halves of two pairs.</summary>
    [IntrinsicImplementation, Ptx("prmt.b32 $r, $0, $1, 0x7632;")]
    public static uint Highs(uint first, uint second) => (first >> 16) | (second & 0xFFFF0000);

    /// <summary>One value in the low half, rounded to nearest and saturated at <see cref="Max"/>. What is not a number stays so.</summary>
    public static uint Saturate(float value) => Round(Clamp(value), 0);

    /// <summary>Two values, rounded and saturated as one is.</summary>
    public static uint SaturatePair(float low, float high) => Round(Clamp(low), Clamp(high));

    /// <summary>The value, or the nearest of -<see cref="Max"/> and <see cref="Max"/> beyond them; without the branches that a comparison becomes.</summary>
    [IntrinsicImplementation, Ptx("{ .reg .f32 least; max.NaN.f32 least, $0, 0fC77FE000; min.NaN.f32 $r, least, 0f477FE000; }")]
    public static float Clamp(float value) => value > Max ? Max : value < -Max ? -Max : value;
}
