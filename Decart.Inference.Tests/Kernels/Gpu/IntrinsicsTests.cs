using System.Runtime.InteropServices;
using Decart.Inference.Kernels.Gpu;

namespace Decart.Inference.Tests.Kernels.Gpu;

[TestFixtureSource(typeof(GpuDevices), nameof(GpuDevices.Fixtures))]
internal sealed class IntrinsicsTests(string device)
{
    private IGpuDevice _device = null!;

    [OneTimeSetUp]
    public void Open() => _device = GpuDevices.Create(device, tensorCores: true);

    [OneTimeTearDown]
    public void Close() => _device?.Dispose();

    [Test]
    public void Fragments_multiply_as_matrices([Values] bool bfloats)
    {
        Random random = new(1);
        float[] a = Quarters(256), b = Quarters(128);
        using GpuBuffer left = Send(a.Select(Bits).ToArray()), right = Send(b.Select(Bits).ToArray()), product = new(_device.Memory, 128 * sizeof(float));

        _device.Launch(
            IntrinsicKernels.MultiplyKernel, new GpuGrid(1),
            new MultiplyArguments { A = left.Address, B = right.Address, C = product.Address, BFloats = bfloats ? 1 : 0 });

        float[] expected = new float[128];
        for (int row = 0; row < 16; row++)
        {
            for (int column = 0; column < 8; column++)
                expected[(row * 8) + column] = 1 + Enumerable.Range(0, 16).Sum(k => a[(row * 16) + k] * b[(column * 16) + k]);
        }
        Assert.That(Receive<float>(product, 128), Is.EqualTo(expected));

        float[] Quarters(int count) => [.. Enumerable.Range(0, count).Select(_ => random.Next(-8, 9) / 4f)];
        ushort Bits(float value) => bfloats ? (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16) : BitConverter.HalfToUInt16Bits((Half)value);
    }

    [Test]
    public void Matrices_are_copied_to_shared_memory_and_loaded_as_fragments()
    {
        uint[] words = [.. Enumerable.Range(0, 128).Select(i => (uint)(i * 7919))];
        using GpuBuffer source = Send(words), destination = new(_device.Memory, 128 * sizeof(uint));

        _device.Launch(IntrinsicKernels.LoadMatricesKernel, new GpuGrid(1), new WordArguments { Source = source.Address, Destination = destination.Address });

        uint[] expected = [.. from lane in Enumerable.Range(0, 32) from matrix in Enumerable.Range(0, 4) select words[(matrix * 32) + lane]];
        Assert.That(Receive<uint>(destination, 128), Is.EqualTo(expected));
    }

    [Test]
    public void Conversions_round_to_nearest_even()
    {
        float[] values =
        [
            0, -0f, 1, -1, 1 + (1f / 256), 1 + (3f / 256), 1 + (1f / 2048), 1 + (3f / 2048), 65504, 65519, 65520, 1e-7f, 3e-8f, -6e-5f, 1e30f,
            float.PositiveInfinity, float.NegativeInfinity, 3.1415927f, -126.5f, 0.1f,
        ];
        using GpuBuffer source = Send(values), destination = new(_device.Memory, values.Length * IntrinsicKernels.ConvertedWords * sizeof(uint));

        _device.Launch(
            IntrinsicKernels.ConvertKernel, new GpuGrid(1),
            new WordArguments { Source = source.Address, Destination = destination.Address, Count = values.Length });

        uint[] words = Receive<uint>(destination, values.Length * IntrinsicKernels.ConvertedWords);
        for (int i = 0; i < values.Length; i++)
        {
            Span<uint> found = words.AsSpan(i * IntrinsicKernels.ConvertedWords, IntrinsicKernels.ConvertedWords);
            Half half = (Half)values[i];
            Assert.That((ushort)(found[0] >> 16), Is.EqualTo(BitConverter.HalfToUInt16Bits(half)), $"half of {values[i]:r}");
            Assert.That(BitConverter.UInt32BitsToSingle(found[1]), Is.EqualTo((float)half), $"half of {values[i]:r}, widened");
            float bfloat = BitConverter.UInt32BitsToSingle(found[2]);
            Assert.That(BitConverter.SingleToUInt32Bits(bfloat), Is.EqualTo(found[0] << 16), $"bfloat16 of {values[i]:r}, widened");
            if (float.IsFinite(values[i])) Assert.That(bfloat, Is.EqualTo(values[i]).Within(1).Percent, $"bfloat16 of {values[i]:r}");
            else Assert.That(bfloat, Is.EqualTo(values[i]));
            Assert.That(BitConverter.UInt32BitsToSingle(found[3]), Is.EqualTo(float.Exp2(values[i])).Within(1e-4).Percent.Or.EqualTo(0).Within(1e-37f));
            Assert.That(BitConverter.UInt32BitsToSingle(found[4]), Is.EqualTo(MathF.FusedMultiplyAdd(values[i], values[i], values[i])), $"{values[i]:r}");
        }
        Assert.That(words[4 * IntrinsicKernels.ConvertedWords] & 0xFFFF, Is.EqualTo(0x3F80), "a tie goes down to even");
        Assert.That(words[5 * IntrinsicKernels.ConvertedWords] & 0xFFFF, Is.EqualTo(0x3F82), "a tie goes up to even");
    }

    private GpuBuffer Send<T>(T[] values)
        where T : unmanaged
    {
        ReadOnlySpan<byte> bytes = MemoryMarshal.AsBytes(values.AsSpan());
        GpuBuffer buffer = new(_device.Memory, bytes.Length);
        _device.Upload(buffer.Address, bytes);
        return buffer;
    }

    private T[] Receive<T>(GpuBuffer buffer, int count)
        where T : unmanaged
    {
        T[] values = new T[count];
        _device.Download(buffer.Address, MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }
}
