using ILGPU.IR.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Intrinsics;

/// <summary>Operations on integers (PTX ISA, "mul", "prmt", "lop3", "cvt.pack").</summary>
internal static class Integers
{
    /// <summary>The upper 64 bits of the product of two numbers without sign.</summary>
    [IntrinsicImplementation, Ptx("mul.hi.u64 $r, $0, $1;")]
    public static ulong MultiplyHigh(ulong a, ulong b) => Math.BigMul(a, b, out _);

    /// <summary>Four of the eight bytes of two registers, those of <paramref name="first"/> being 0 to 3.</summary>
    /// <param name="first">A register.</param>
    /// <param name="second">Another.</param>
    /// <param name="choice">Which, in the lowest 16 bits: four bits a byte, 0 to 7.</param>
    [IntrinsicImplementation, Ptx("prmt.b32 $r, $0, $1, $2;")]
    public static uint ChooseBytes(uint first, uint second, uint choice)
    {
        ulong both = first | ((ulong)second << 32);
        uint chosen = 0;
        for (int i = 0; i < 4; i++) chosen |= (uint)((both >> (int)(((choice >> (4 * i)) & 7) * 8)) & 0xFF) << (8 * i);
        return chosen;
    }

    /// <summary>Some bits of a number, and those of another: one instruction.</summary>
    /// <param name="bits">The number.</param>
    /// <param name="mask">Which of its bits.</param>
    /// <param name="others">What they are added to.</param>
    [IntrinsicImplementation, Ptx("lop3.b32 $r, $0, $1, $2, 0xEA;")]
    public static uint Merge(uint bits, uint mask, uint others) => (bits & mask) | others;

    /// <summary>Some bits of a number, those turned over that another one has: one instruction, where the driver's compiler would make two of it.</summary>
    /// <param name="bits">The number.</param>
    /// <param name="turned">Which of its bits are turned over.</param>
    /// <param name="mask">Which of its bits.</param>
    [IntrinsicImplementation, Ptx("lop3.b32 $r, $0, $1, $2, 0x28;")]
    public static uint Toggle(uint bits, uint turned, uint mask) => (bits ^ turned) & mask;

    /// <summary>Four numbers as signed bytes, rounded to nearest (of two to the even one) and saturated, the first in the lowest; 0 for what is no number.</summary>
    [IntrinsicImplementation, Ptx("{ .reg .b32 a, b, c, d; cvt.rni.s32.f32 a, $0; cvt.rni.s32.f32 b, $1; cvt.rni.s32.f32 c, $2; cvt.rni.s32.f32 d, $3; cvt.pack.sat.s8.s32.b32 d, d, c, 0; cvt.pack.sat.s8.s32.b32 $r, b, a, d; }")]
    public static uint RoundBytes(float a, float b, float c, float d) => RoundByte(a) | (RoundByte(b) << 8) | (RoundByte(c) << 16) | (RoundByte(d) << 24);

    private static uint RoundByte(float x) => float.IsNaN(x) ? 0u : (byte)(sbyte)Math.Clamp(MathF.Round(x), sbyte.MinValue, sbyte.MaxValue);
}
