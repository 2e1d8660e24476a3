using System.Runtime.InteropServices;
using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Kernels.Gpu.Tiles;
using Decart.Inference.Memory;

namespace Decart.Inference.Tests.Kernels.Gpu;

/// <summary>Rounding of operands to codes by itself: every code and every scale, wherever the largest element of a row lies.</summary>
[TestFixtureSource(typeof(GpuDevices), nameof(GpuDevices.Fixtures))]
internal sealed class GpuCodeRoundTests(string device)
{
    /// <summary>What no code's pattern and no scale's is, repeated.</summary>
    private const byte Poison = 0x7F;

    /// <summary>Rows that fill no eight, in launches for more; on a GPU eight groups take a row together, 4,096 columns each at a time.</summary>
    [Test]
    public void Codes_and_scales_are_those_of_each_row(
        [Values("1 of 1, 128", "5 of 8, 384", "9 of 16, 1280", "17 of 32, 8320", "3 of 4, 4352", "2 of 2, 53248")] string @case, [Values] bool integers, [Values] bool known)
    {
        string[] parts = @case.Split([" of ", ", "], StringSplitOptions.None);
        (int rows, int capacity, int stride) = (int.Parse(parts[0]), int.Parse(parts[1]), int.Parse(parts[2]));
        using IGpuDevice gpu = GpuDevices.Create(device, tensorCores: true, hopper: true);
        if (!GpuMatMulLauncher.MultipliesCodes(gpu)) Assert.Ignore("The GPU does not multiply codes.");
        Random random = new(stride + rows);
        Half[,] elements = new Half[rows, stride];
        for (int row = 0; row < rows; row++)
        {
            for (int column = 0; column < stride; column++) elements[row, column] = (Half)((random.NextSingle() * 2) - 1);
            // The first, the last, and some between, each in another group's part.
            elements[row, (int)((long)(stride - 1) * row / Math.Max(rows - 1, 1))] = (Half)(-1000 * (row + 1));
        }
        int blockRows = CoreTiles.OperandBlockRows(capacity);
        byte[] halves = new byte[GpuActivations.OperandBytes(capacity, stride)];
        for (int row = 0; row < rows; row++)
        {
            for (int column = 0; column < stride; column++)
                MemoryMarshal.Write(halves.AsSpan((int)CoreTiles.OperandOffset(row, column, stride, blockRows)), elements[row, column]);
        }
        using GpuBuffer x = Filled(gpu, halves), y = Filled(gpu, Poisoned(halves.Length / 2)), scales = Filled(gpu, Poisoned(capacity * sizeof(float))), count = Filled(gpu, BitConverter.GetBytes(rows));
        byte[] maxima = new byte[RowMaxima.PlaceBytes], ones = new byte[RowMaxima.PlaceBytes];
        ones.AsSpan().Fill(1);
        for (int row = 0; row < rows && known; row++)
        {
            int largest = Enumerable.Range(0, stride).Max(column => BitConverter.HalfToUInt16Bits(elements[row, column]) & 0x7FFF);
            MemoryMarshal.Write(maxima.AsSpan((int)RowMaxima.AddressOf(0, row)), largest);
        }
        using GpuBuffer place = Filled(gpu, maxima), spent = Filled(gpu, ones);
        CodeRoundArguments arguments = new()
        {
            Maxima = known ? place.Address : 0,
            SpentMaxima = spent.Address,
            Count = count.Address,
            X = x.Address,
            Y = y.Address,
            Scales = scales.Address,
            Stride = stride,
            XBlockRows = blockRows,
            YBlockRows = blockRows,
        };
        if (integers) GpuCodeRound<IntegerCodes>.Launch(gpu, arguments, capacity);
        else GpuCodeRound<FloatCodes>.Launch(gpu, arguments, capacity);
        byte[] codes = new byte[halves.Length / 2], found = new byte[capacity * sizeof(float)], expected = Poisoned(codes.Length);
        gpu.Download(y.Address, codes);
        gpu.Download(scales.Address, found);
        for (int row = 0; row < rows; row++)
        {
            float[] own = [.. Enumerable.Range(0, stride).Select(column => (float)elements[row, column])];
            float largest = own.Max(MathF.Abs);
            int half = Fp8Codes.ScaleOf(BitConverter.SingleToInt32Bits(largest));
            float scale = integers ? largest / 127 : (float)BitConverter.UInt16BitsToHalf((ushort)half), inverse = integers ? 127 / largest : BitConverter.Int32BitsToSingle(Fp8Codes.InverseOf(half));
            Assert.That(BitConverter.ToSingle(found, row * sizeof(float)), Is.EqualTo(scale), $"scale of row {row}");
            for (int column = 0; column < stride; column++)
            {
                float number = own[column] * inverse;
                expected[ByteTiles.OperandOffset(row, column, stride, blockRows)] = integers ? (byte)(sbyte)MathF.Round(number) : (byte)Fp8Codes.Round(BitConverter.SingleToInt32Bits(number));
            }
        }
        Assert.That(codes.AsSpan().SequenceEqual(expected), "codes, and nothing beside them");
        gpu.Download(spent.Address, ones);
        for (int row = 0; row < RowMaxima.Rows; row++)
            Assert.That(BitConverter.ToInt32(ones, (int)RowMaxima.AddressOf(0, row)), row < rows ? Is.Zero : Is.Not.Zero, $"the spent maximum of row {row}");
        Assert.That(found.AsSpan(rows * sizeof(float)).ContainsAnyExcept(Poison), Is.False, "scales of rows that are not there");
    }

    /// <summary>A launch of more rows than places have would clear what lies behind them.</summary>
    [TestCase(1, true)]
    [TestCase(RowMaxima.Rows, true)]
    [TestCase(RowMaxima.Rows + 1, false)]
    public void As_many_rows_as_places_have_clear_one(int rows, bool clear)
    {
        using IGpuDevice gpu = GpuDevices.Create(device);
        using RowMaxima maxima = new(gpu.Memory);
        (nint own, nint spent) = maxima.Take(operand: 1, rows);
        Assert.That((own, spent != 0), Is.EqualTo(((nint)0, clear)));
        Assert.That(maxima.Begin(), Is.Not.Zero, "there is something to be rounded from now on");
    }

    private static GpuBuffer Filled(IGpuDevice gpu, ReadOnlySpan<byte> bytes)
    {
        GpuBuffer buffer = new(gpu.Memory, bytes.Length);
        gpu.Upload(buffer.Address, bytes);
        return buffer;
    }

    private static byte[] Poisoned(int bytes)
    {
        byte[] poisoned = new byte[bytes];
        poisoned.AsSpan().Fill(Poison);
        return poisoned;
    }
}
