using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Kernels.Cpu.Formats;

/// <summary>
/// Five digits 0, 1, 2 in a byte, which is <c>ceil(256 / 243 * number)</c>: 32 bytes with digit n of weight 32 n + i in byte i, 16 bytes with the next 80 weights, 4 bytes
/// with four digits for the last 16, f16 d: weight <c>d * (digit - 1)</c>.
/// </summary>
internal readonly unsafe struct TQ1_0Format : ITableFormat<TQ1_0Format>
{
    public static TensorType Type => TensorType.TQ1_0;

    public static int BlockLength => 256;

    public static int BlockBytes => 54;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Unpack(byte* block, sbyte* values, float* scales)
    {
        for (int digit = 0; digit < 5; digit++)
        {
            StoreDigits(Vector128.Load(block), digit, values + (32 * digit));
            StoreDigits(Vector128.Load(block + 16), digit, values + (32 * digit) + 16);
            StoreDigits(Vector128.Load(block + 32), digit, values + 160 + (16 * digit));
        }
        Vector128<byte> last = Vector128.Create(Unsafe.ReadUnaligned<uint>(block + 48)).AsByte();
        for (int digit = 0; digit < 4; digit++) StoreDigits(last, digit, values + 240 + (4 * digit));
        new Span<float>(scales, 16).Fill(HalfTable.Load(block + 52));
    }

    /// <summary>Stores one digit of 16 bytes, less 1: multiplied by 3^digit modulo 256 a byte is a fraction whose first digit is wanted.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreDigits(Vector128<byte> bytes, int digit, sbyte* values)
    {
        ReadOnlySpan<byte> powers = [1, 3, 9, 27, 81];
        Vector128<ushort> power = Vector128.Create((ushort)powers[digit]), fraction = Vector128.Create((ushort)255);
        Vector128<ushort> low = (Vector128.WidenLower(bytes) * power) & fraction, high = (Vector128.WidenUpper(bytes) * power) & fraction;
        (Vector128.Narrow((low + low + low) >>> 8, (high + high + high) >>> 8) - Vector128<byte>.One).AsSByte().Store(values);
    }
}
