using Decart.Inference.Memory;
using ILGPU;
using ILGPU.IR.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Intrinsics;

/// <summary>Floats of 8 bits (e4m3), two or four in a register, and halves, which have all their numbers (PTX ISA, "cvt"; here from sm_90 on).</summary>
internal static class E4M3
{
    /// <summary>Codes whose bits stand where those of halves do count 2^-8 of what they stand for.</summary>
    private const float Moved = 256;

    /// <summary>For emulations: what each code stands for.</summary>
    internal static readonly float[] Numbers = [.. Enumerable.Range(0, 256).Select(code => (code & 0x7F) == 0x7F ? float.NaN : Halves.Low(Low((uint)code)))];

    /// <summary>Two numbers in the lower bytes, rounded to nearest, saturated.</summary>
    [IntrinsicImplementation, Ptx("{ .reg .b16 c; cvt.rn.satfinite.e4m3x2.f32 c, $1, $0; cvt.u32.u16 $r, c; }", MinArchitecture = 90)]
    public static uint Round(float low, float high) => (uint)(Fp8Codes.Round((int)Interop.FloatAsInt(low)) | (Fp8Codes.Round((int)Interop.FloatAsInt(high)) << 8));

    /// <summary>The numbers of the two lowest codes.</summary>
    [IntrinsicImplementation, Ptx("{ .reg .b16 l, h; mov.b32 {l, h}, $0; cvt.rn.f16x2.e4m3x2 $r, l; }", MinArchitecture = 90)]
    public static uint Low(uint codes) => Halves.Multiply(Place(codes << 8) | (Place(codes) << 16), Halves.Round(Moved, Moved));

    /// <summary>The numbers of the two highest codes.</summary>
    [IntrinsicImplementation, Ptx("{ .reg .b16 l, h; mov.b32 {l, h}, $0; cvt.rn.f16x2.e4m3x2 $r, h; }", MinArchitecture = 90)]
    public static uint High(uint codes) => Low(codes >> 16);

    /// <summary>The code in the second byte, moved to its place in a half.</summary>
    private static uint Place(uint codes) => (codes & 0x8000) | ((codes >> 1) & 0x3F80);
}
