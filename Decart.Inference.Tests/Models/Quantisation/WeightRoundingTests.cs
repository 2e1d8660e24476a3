using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels.Cpu;
using Decart.Inference.Models.Quantisation;

namespace Decart.Inference.Tests.Models.Quantisation;

/// <summary>Weights of 16 and 32 bits that are rounded to few bits when they are loaded.</summary>
internal sealed unsafe class WeightRoundingTests
{
    private const string Name = "model.layers.0.mlp.gate_proj.weight";

    /// <summary>All numbers of 8 bits from 0 on.</summary>
    private static readonly float[] Numbers = [.. Enumerable.Range(0, 127).Select(code => MathF.ScaleB(code < 8 ? code : 8 + (code & 7), (code < 8 ? 0 : (code >> 3) - 1) - 9))];

    [Test]
    public void Numbers_of_8_bits_are_their_own_codes_and_those_between_are_the_nearest()
    {
        Assert.That(Numbers[^1], Is.EqualTo(448f));
        for (int code = 0; code < Numbers.Length; code++)
        {
            Assert.That(E4M3Rounding.Code(Numbers[code], 1, 0), Is.EqualTo(code));
            Assert.That(E4M3Rounding.Code(-Numbers[code] * 4, 4, 0), Is.EqualTo(code | 0x80), $"{Numbers[code]}");
            if (code == 0) continue;
            float middle = (Numbers[code] + Numbers[code - 1]) / 2;
            Assert.That(E4M3Rounding.Code(MathF.BitIncrement(middle), 1, 0), Is.EqualTo(code), $"above {middle}");
            Assert.That(E4M3Rounding.Code(MathF.BitDecrement(middle), 1, 0), Is.EqualTo(code - 1), $"below {middle}");
            Assert.That(E4M3Rounding.Code(middle, 1, 0), Is.EqualTo(code & ~1), "the even one");
        }
        Assert.That(E4M3Rounding.Code(1e30f, 1, 0), Is.EqualTo(126), "no larger than the largest");
        Assert.That(E4M3Rounding.Scale([1, -896, 3]), Is.EqualTo((2f, 0)));
    }

    [Test]
    public void Integers_reach_from_the_least_weight_to_the_greatest()
    {
        (float scale, int zero) = Int4Rounding.Scale([-1, 0.25f, 2.75f]);
        Assert.That((scale, zero), Is.EqualTo((0.25f, 4)));
        Assert.That(Enumerable.Range(0, 16).Select(code => (int)Int4Rounding.Code((code - zero) * scale, scale, zero)), Is.EqualTo(Enumerable.Range(0, 16)));
        Assert.That((Int4Rounding.Code(0.12f, scale, zero), Int4Rounding.Code(0.13f, scale, zero)), Is.EqualTo(((byte)4, (byte)5)));
        Assert.That((Int4Rounding.Code(-9, scale, zero), Int4Rounding.Code(9, scale, zero)), Is.EqualTo(((byte)0, (byte)15)));
        Assert.That((Int4Rounding.Scale([1, 15]), Int4Rounding.Scale([-1, -15])), Is.EqualTo(((1f, 0), (1f, 15))), "0 is a number of every group");
    }

    [Test]
    public void Bytes_reach_as_far_on_both_sides()
    {
        (float scale, int zero) = Int8Rounding.Scale([-254, 0.25f, 2.75f]);
        Assert.That((scale, zero), Is.EqualTo((2f, 128)));
        Assert.That(Enumerable.Range(1, 255).Select(code => (int)Int8Rounding.Code((code - zero) * scale, scale, zero)), Is.EqualTo(Enumerable.Range(1, 255)));
        Assert.That((Int8Rounding.Code(1, scale, zero), Int8Rounding.Code(3, scale, zero), Int8Rounding.Code(3.1f, scale, zero)), Is.EqualTo(((byte)128, (byte)130, (byte)130)), "the even one");
        Assert.That((Int8Rounding.Code(-999, scale, zero), Int8Rounding.Code(999, scale, zero)), Is.EqualTo(((byte)1, (byte)255)));
    }

    [Test]
    public void Groups_of_zeros_and_of_tiny_numbers_stay_small([Values(WeightFormat.Fp8, WeightFormat.Int8, WeightFormat.Int4)] WeightFormat format, [Values(0f, 1e-45f, -1e-44f, 3e-41f)] float weight)
    {
        float[] weights = new float[256];
        weights.AsSpan(128).Fill(weight);
        weights[200] = -3 * weight;
        foreach (float rounded in Round(weights, rows: 1, format).Weights) Assert.That(rounded, Is.Zero.Within(4 * Math.Abs(weight)));
    }

    [Test]
    public void Weights_are_rounded_by_half_a_step_at_most(
        [Values(WeightFormat.Fp8, WeightFormat.Int8, WeightFormat.Int4)] WeightFormat format, [Values(64, 96, 128, 320, 576)] int columns, [Values(TensorType.F32, TensorType.F16, TensorType.BF16)] TensorType type)
    {
        const int Rows = 37;
        Random random = new(columns);
        float[] drawn = [.. Enumerable.Range(0, Rows * columns).Select(_ => (random.NextSingle() - 0.4f) * MathF.ScaleB(1, random.Next(-8, 1)))];
        (TensorType found, float[] weights, float[] rounded) = Round(drawn, Rows, format, type);
        Assert.That(found, Is.EqualTo((format, columns % 64) switch
        {
            (WeightFormat.Fp8, 0) => TensorType.E4M3x64,
            (WeightFormat.Fp8, _) => TensorType.E4M3x32,
            (WeightFormat.Int8, 0) => TensorType.Int8x64,
            (WeightFormat.Int8, _) => TensorType.Int8x32,
            (_, 0) => TensorType.Int4x64,
            _ => TensorType.Int4x32,
        }));
        for (int row = 0; row < Rows; row++)
        {
            int group = format == WeightFormat.Int8 ? columns : 128;
            for (int start = 0; start < columns; start += group)
            {
                int first = (row * columns) + start, end = (row * columns) + Math.Min(columns, start + group);
                float least = MathF.Min(0, weights[first..end].Min()), greatest = MathF.Max(0, weights[first..end].Max()), most = MathF.Max(-least, greatest);
                for (int i = first; i < end; i++)
                {
                    // A scale of 11 bits may leave the ends of the range out by as little.
                    float step = format switch
                    {
                        WeightFormat.Int4 => (greatest - least) / 15 * 1.01f,
                        WeightFormat.Int8 => most / 127 * 1.001f,
                        _ => MathF.Max(MathF.Abs(weights[i]) / 8, most / 448 / 512) * 1.001f,
                    };
                    Assert.That(rounded[i], Is.EqualTo(weights[i]).Within(step / 2), $"row {row}, column {i - (row * columns)}");
                }
            }
        }
    }

    /// <summary>Among them the one whose bits are all set, as in memory that was never written.</summary>
    private static float[] NoNumbers => [float.NaN, float.PositiveInfinity, float.NegativeInfinity, BitConverter.UInt32BitsToSingle(uint.MaxValue), BitConverter.UInt32BitsToSingle(int.MaxValue)];

    [Test]
    public void What_is_no_number_is_refused([Values(WeightFormat.Fp8, WeightFormat.Int8, WeightFormat.Int4)] WeightFormat format, [ValueSource(nameof(NoNumbers))] float wrong)
    {
        float[] weights = new float[3 * 256];
        weights[(2 * 256) + 200] = wrong;
        ModelLoadException error = Assert.Throws<ModelLoadException>(() => Round(weights, 3, format))!;
        Assert.That(error.Message, Does.Contain("expected finite numbers to quantise, found others in row 2"));
        Assert.That(error.Field, Is.EqualTo(Name));
    }

    /// <summary>The type of a rounded matrix, what was stored of it and what has become of that.</summary>
    private static (TensorType Type, float[] Stored, float[] Weights) Round(float[] weights, int rows, WeightFormat format, TensorType type = TensorType.F32)
    {
        int columns = weights.Length / rows;
        using TensorMemory memory = new();
        byte* data = memory.Allocate(weights.Length * type.BlockBytes());
        for (int i = 0; i < weights.Length; i++)
        {
            if (type == TensorType.F32) ((float*)data)[i] = weights[i];
            else if (type == TensorType.F16) ((Half*)data)[i] = (Half)weights[i];
            else ((ushort*)data)[i] = (ushort)(BitConverter.SingleToUInt32Bits(weights[i]) >> 16);
        }
        StoredTensor stored = new(Name, type, [rows, columns], (nint)data), rounded = WeightPacker.Pack("folder", WeightRounding.Round("folder", stored, format), memory);
        return (rounded.Type, Decode(stored), Decode(rounded));
    }

    private static float[] Decode(StoredTensor tensor)
    {
        float[] weights = new float[tensor.Rows * tensor.Columns];
        fixed (float* destination = weights)
        {
            for (long row = 0; row < tensor.Rows; row++) TensorDecoder.DecodeRow(tensor, row, destination + (row * tensor.Columns));
        }
        return weights;
    }
}
