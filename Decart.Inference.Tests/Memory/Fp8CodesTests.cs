using Decart.Inference.Memory;
using Decart.Inference.Tests.Kernels;

namespace Decart.Inference.Tests.Memory;

internal sealed class Fp8CodesTests
{
    [Test]
    public void A_number_becomes_the_nearest_code_and_of_two_the_even_one()
    {
        for (int code = 0; code < RoundedHeads.Codes.Length; code++)
        {
            float number = (float)RoundedHeads.Codes[code], next = code + 1 < RoundedHeads.Codes.Length ? (float)RoundedHeads.Codes[code + 1] : 480, middle = (number + next) / 2;
            foreach (float tried in (float[])[number, float.BitIncrement(number), middle, float.BitDecrement(middle), float.BitIncrement(middle)])
            {
                Assert.That(Round(tried), Is.EqualTo(RoundedHeads.Nearest(tried)), $"{tried:r}");
                Assert.That(Round(-tried), Is.EqualTo(RoundedHeads.Nearest(-tried)), $"{-tried:r}");
            }
        }
    }

    [Test]
    public void Numbers_of_any_size_become_codes()
    {
        Random random = new(1);
        for (int i = 0; i < 20_000; i++)
        {
            float number = BitConverter.Int32BitsToSingle(random.Next(int.MinValue, int.MaxValue));
            if (float.IsFinite(number)) Assert.That(Round(number), Is.EqualTo(RoundedHeads.Nearest(number)), $"{number:r}");
        }
        Assert.That(Round(float.PositiveInfinity), Is.EqualTo(0x7E));
        Assert.That(Round(float.NegativeInfinity), Is.EqualTo(0xFE));
    }

    [TestCase(0f, -14)]
    [TestCase(1e-30f, -14)]
    [TestCase(448f / 16384, -14)]
    [TestCase(449f / 16384, -13)]
    [TestCase(1f, -8)]
    [TestCase(1.75f, -8)]
    [TestCase(1.7500001f, -7)]
    [TestCase(448f, 0)]
    [TestCase(448.00003f, 1)]
    [TestCase(57344f, 7)]
    [TestCase(1e30f, 7)]
    [TestCase(float.PositiveInfinity, 7)]
    public void The_scale_is_the_least_power_of_two_that_reaches_the_largest_element(float largest, int exponent)
    {
        int scale = Fp8Codes.ScaleOf(BitConverter.SingleToInt32Bits(largest));
        Assert.That((float)BitConverter.UInt16BitsToHalf((ushort)scale), Is.EqualTo(MathF.ScaleB(1, exponent)));
        Assert.That(BitConverter.Int32BitsToSingle(Fp8Codes.InverseOf(scale)), Is.EqualTo(MathF.ScaleB(1, -exponent)));
    }

    [Test]
    public void What_is_not_a_number_has_no_scale([Values(0x7F80_0001, 0x7FC0_0000, 0x7FFF_FFFF)] int bits)
    {
        int scale = Fp8Codes.ScaleOf(bits);
        Assert.That(Half.IsNaN(BitConverter.UInt16BitsToHalf((ushort)scale)));
        Assert.That(float.IsFinite(BitConverter.Int32BitsToSingle(Fp8Codes.InverseOf(scale))));
    }

    [Test]
    public void Every_code_times_every_scale_is_a_half()
    {
        for (int exponent = Fp8Codes.LeastExponent; exponent <= Fp8Codes.LargestExponent; exponent++)
        {
            foreach (double code in RoundedHeads.Codes) Assert.That((double)(Half)Math.ScaleB(code, exponent), Is.EqualTo(Math.ScaleB(code, exponent)));
        }
    }

    [Test]
    public void A_token_takes_a_byte_for_each_element_and_a_scale_for_each_head()
    {
        KvLayout llama3 = new(Layers: 32, KvHeads: 8, HeadDim: 128, KvCodes.Bytes), odd = new(Layers: 3, KvHeads: 5, HeadDim: 20, KvCodes.Bytes);
        Assert.That(llama3.TokenBytes, Is.EqualTo(32 * ((2 * 8 * 128) + (2 * 8 * 2))));
        Assert.That(odd.TokenBytes, Is.EqualTo((3 * 2 * 5 * 32) + (8 * 32)), "heads take whole blocks of 16 bytes, and there is room for the scales of eight layers");
        KvLayout halves = llama3 with { ElementBytes = 2 };
        Assert.That((double)halves.TokenBytes / llama3.TokenBytes, Is.GreaterThan(1.96));
    }

    [TestCase(32, 8, 128)]
    [TestCase(80, 8, 128)]
    [TestCase(61, 3, 64)]
    [TestCase(3, 5, 20)]
    [TestCase(1, 1, 128)]
    public void Keys_values_and_scales_of_all_layers_lie_apart_and_heads_at_lines_of_caches(int layers, int kvHeads, int headDim)
    {
        KvLayout layout = new(layers, kvHeads, headDim, KvCodes.Bytes);
        bool[] taken = new bool[layout.TokenBytes];
        for (int layer = 0; layer < layers; layer++)
        {
            Take(layout.LayerOffset(layer), 2 * layout.ValueOffset);
            Take(layout.ScaleOffset(layer), 2 * kvHeads * KvCodes.ScaleBytes);
            if (layout.HeadBytes % 128 == 0) Assert.That(layout.LayerOffset(layer) % 128, Is.Zero);
        }
        KvLayout longer = layout with { Layers = layers + 100 };
        Assert.That((longer.LayerOffset(layers - 1), longer.ScaleOffset(layers - 1)), Is.EqualTo((layout.LayerOffset(layers - 1), layout.ScaleOffset(layers - 1))), "layers behind change nothing");

        void Take(int offset, int bytes)
        {
            Assert.That(taken.AsSpan(offset, bytes).Contains(true), Is.False);
            taken.AsSpan(offset, bytes).Fill(true);
        }
    }

    private static int Round(float number) => Fp8Codes.Round(BitConverter.SingleToInt32Bits(number));
}
