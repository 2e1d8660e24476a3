using System.Runtime.Intrinsics;
using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels.Cpu;
using Decart.Inference.Kernels.Cpu.Formats;

namespace Decart.Inference.Tests.Kernels.Formats;

/// <summary>Every block format against its definition, on random bytes with finite scales of every magnitude.</summary>
[TestFixture(typeof(Q4_0Format))]
[TestFixture(typeof(Q4_1Format))]
[TestFixture(typeof(Q5_0Format))]
[TestFixture(typeof(Q5_1Format))]
[TestFixture(typeof(Q8_0Format))]
[TestFixture(typeof(Q2_KFormat))]
[TestFixture(typeof(Q3_KFormat))]
[TestFixture(typeof(Q4_KFormat))]
[TestFixture(typeof(Q5_KFormat))]
[TestFixture(typeof(Q6_KFormat))]
[TestFixture(typeof(IQ4_NLFormat))]
[TestFixture(typeof(IQ4_XSFormat))]
[TestFixture(typeof(IQ3_SFormat))]
[TestFixture(typeof(IQ3_XXSFormat))]
[TestFixture(typeof(IQ2_SFormat))]
[TestFixture(typeof(IQ2_XSFormat))]
[TestFixture(typeof(IQ2_XXSFormat))]
[TestFixture(typeof(IQ1_SFormat))]
[TestFixture(typeof(IQ1_MFormat))]
[TestFixture(typeof(Q8_KFormat))]
[TestFixture(typeof(TQ1_0Format))]
[TestFixture(typeof(TQ2_0Format))]
[TestFixture(typeof(MXFP4Format))]
[TestFixture(typeof(Int4Format<Group32>))]
[TestFixture(typeof(Int4Format<Group64>))]
[TestFixture(typeof(Int8Format<Group32>))]
[TestFixture(typeof(Int8Format<Group64>))]
[TestFixture(typeof(E4M3Format<Group32>))]
[TestFixture(typeof(E4M3Format<Group64>))]
[TestFixture(typeof(Float4Format<NormalFloat4>))]
[TestFixture(typeof(Float4Format<BitsAndBytesFloat4>))]
internal sealed unsafe class BlockFormatTests<TFormat>
    where TFormat : struct, IWeightFormat
{
    private const int Blocks = 400;

    private readonly Random _random = new(7);

    [Test]
    public void Sizes_are_those_of_the_encoding() =>
        Assert.That((TFormat.BlockLength, TFormat.BlockBytes), Is.EqualTo((TFormat.Type.BlockLength(), TFormat.Type.BlockBytes())));

    [Test]
    public void Decode_rounds_the_exact_weight_once()
    {
        for (int n = 0; n < Blocks; n++)
        {
            byte[] block = RandomBlock();
            Assert.That(Decode(block), Is.EqualTo(Array.ConvertAll(ReferenceWeights.Decode(TFormat.Type, block), w => (float)w)), Convert.ToHexString(block));
        }
    }

    [Test]
    public void One_hot_activations_pick_the_decoded_weights_lane_by_lane()
    {
        byte[] block = RandomBlock();
        float[] weights = Decode(block);
        float[] x = new float[TFormat.BlockLength];
        for (int i = 0; i < x.Length; i++)
        {
            x[i] = 1;
            Assert.That(MultiplyAdd512(block, x, new float[16]), Is.EqualTo(OneHot(16, i % 16, weights[i])));
            Assert.That(MultiplyAdd256(block, x, new float[8]), Is.EqualTo(OneHot(8, i % 8, weights[i])));
            Assert.That(MultiplyAdd128(block, x, new float[4]), Is.EqualTo(OneHot(4, i % 4, weights[i])));
            x[i] = 0;
        }
    }

    [Test]
    public void Lanes_accumulate_in_ascending_order_fused_where_the_processor_can()
    {
        for (int n = 0; n < Blocks; n++)
        {
            byte[] block = RandomBlock();
            float[] x = RandomFloats(TFormat.BlockLength);
            float[] start16 = RandomFloats(16), start8 = RandomFloats(8), start4 = RandomFloats(4);
            float[] weights = Decode(block);
            Assert.That(MultiplyAdd512(block, x, start16), Is.EqualTo(ScalarLanes(weights, x, start16, MathF.FusedMultiplyAdd)));
            Assert.That(MultiplyAdd256(block, x, start8), Is.EqualTo(ScalarLanes(weights, x, start8, float.MultiplyAddEstimate)));
            Assert.That(MultiplyAdd128(block, x, start4), Is.EqualTo(ScalarLanes(weights, x, start4, float.MultiplyAddEstimate)));
        }
    }

    private static float[] ScalarLanes(float[] weights, float[] x, float[] start, Func<float, float, float, float> multiplyAdd)
    {
        float[] lanes = [.. start];
        for (int i = 0; i < weights.Length; i++) lanes[i % lanes.Length] = multiplyAdd(weights[i], x[i], lanes[i % lanes.Length]);
        return lanes;
    }

    private static float[] Decode(byte[] block)
    {
        float[] weights = new float[TFormat.BlockLength];
        fixed (byte* source = block)
        fixed (float* destination = weights) TFormat.Decode(source, destination);
        return weights;
    }

    private static float[] MultiplyAdd512(byte[] block, float[] x, float[] start)
    {
        float[] lanes = new float[16];
        fixed (byte* source = block)
        fixed (float* elements = x) TFormat.MultiplyAdd(Vector512.Create(start), source, elements).CopyTo(lanes);
        return lanes;
    }

    private static float[] MultiplyAdd256(byte[] block, float[] x, float[] start)
    {
        float[] lanes = new float[8];
        fixed (byte* source = block)
        fixed (float* elements = x) TFormat.MultiplyAdd(Vector256.Create(start), source, elements).CopyTo(lanes);
        return lanes;
    }

    private static float[] MultiplyAdd128(byte[] block, float[] x, float[] start)
    {
        float[] lanes = new float[4];
        fixed (byte* source = block)
        fixed (float* elements = x) TFormat.MultiplyAdd(Vector128.Create(start), source, elements).CopyTo(lanes);
        return lanes;
    }

    private static float[] OneHot(int length, int index, float value)
    {
        float[] result = new float[length];
        result[index] = value;
        return result;
    }

    private byte[] RandomBlock()
    {
        byte[] block = new byte[TFormat.BlockBytes];
        _random.NextBytes(block);
        foreach (int offset in ReferenceWeights.HalfOffsets(TFormat.Type))
        {
            while (!Half.IsFinite(BitConverter.ToHalf(block, offset))) _random.NextBytes(block.AsSpan(offset, 2));
        }
        if (ReferenceWeights.HalfOffsets(TFormat.Type).Length == 0) ReferenceWeights.MakeFinite(TFormat.Type, block);
        return block;
    }

    private float[] RandomFloats(int count)
    {
        float[] values = new float[count];
        for (int i = 0; i < count; i++) values[i] = _random.NextSingle() * 2 - 1;
        return values;
    }
}
