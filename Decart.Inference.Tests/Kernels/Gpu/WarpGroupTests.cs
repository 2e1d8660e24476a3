using System.Runtime.InteropServices;
using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Native.Cuda;

namespace Decart.Inference.Tests.Kernels.Gpu;

/// <summary>Products of warp groups against double precision.</summary>
[TestFixtureSource(typeof(GpuDevices), nameof(GpuDevices.Fixtures))]
internal sealed class WarpGroupTests(string device)
{
    private IGpuDevice _device = null!;

    [OneTimeSetUp]
    public void Open() => _device = GpuDevices.Create(device, tensorCores: true);

    [OneTimeTearDown]
    public void Close() => _device?.Dispose();

    [Test]
    public void Tiles_are_products_of_halves([Values(64, 128, 256)] int n, [Values(1, 5)] int boxes)
    {
        GpuKernel<WarpGroupArguments> kernel =
            n == 64 ? WarpGroupKernels.Halves64 : n == 128 ? WarpGroupKernels.Halves128 : WarpGroupKernels.Halves256;
        Check(kernel, n, boxes, CudaTensorSwizzle.Bytes128, bfloats: false);
    }

    [Test]
    public void Tiles_are_products_of_bfloats([Values(64, 128, 256)] int n)
    {
        GpuKernel<WarpGroupArguments> kernel =
            n == 64 ? WarpGroupKernels.BFloats64 : n == 128 ? WarpGroupKernels.BFloats128 : WarpGroupKernels.BFloats256;
        Check(kernel, n, 2, CudaTensorSwizzle.Bytes128, bfloats: true);
    }

    [Test]
    public void Matrices_may_be_swizzled_in_any_way(
        [Values(CudaTensorSwizzle.None, CudaTensorSwizzle.Bytes32, CudaTensorSwizzle.Bytes64)] CudaTensorSwizzle swizzle)
    {
        GpuKernel<WarpGroupArguments> kernel = swizzle switch
        {
            CudaTensorSwizzle.None => WarpGroupKernels.Plain,
            CudaTensorSwizzle.Bytes32 => WarpGroupKernels.Swizzle32,
            _ => WarpGroupKernels.Swizzle64,
        };
        Check(kernel, 64, 4, swizzle, bfloats: false);
    }

    [TestCase(CudaTensorSwizzle.None, 0x00000008_00400140)]
    [TestCase(CudaTensorSwizzle.Bytes32, unchecked((long)0xC0000010_00010140))]
    [TestCase(CudaTensorSwizzle.Bytes64, unchecked((long)0x80000020_00010140))]
    [TestCase(CudaTensorSwizzle.Bytes128, 0x40000040_00010140)]
    public void Descriptors_have_the_fields_of_the_manual(CudaTensorSwizzle swizzle, long descriptor) =>
        Assert.That(MatrixDescriptor.Create(0x1400, swizzle, leadingBytes: 0x400), Is.EqualTo(descriptor));

    private void Check(GpuKernel<WarpGroupArguments> kernel, int n, int boxes, CudaTensorSwizzle swizzle, bool bfloats)
    {
        if (!_device.CanRun(kernel)) Assert.Ignore($"{device} cannot run {kernel.Name}");
        // Without swizzle a box of 16 columns is two of 8.
        int columns = swizzle == CudaTensorSwizzle.None ? 16 : 8 << (int)swizzle, k = boxes * columns;
        Random random = new(n + boxes);
        float[] a = Values(WarpGroup.Rows * k), b = Values(n * k);
        using GpuBuffer left = Send(a.Select(Bits).ToArray()), right = Send(b.Select(Bits).ToArray());
        using GpuBuffer leftMap = SendMap(left, WarpGroup.Rows), rightMap = SendMap(right, n);
        using GpuBuffer product = new(_device.Memory, WarpGroup.Rows * n * sizeof(float));

        WarpGroupArguments arguments = new() { A = leftMap.Address, B = rightMap.Address, C = product.Address, Boxes = boxes };
        _device.Launch(kernel, new GpuGrid(1), arguments);

        float[] found = Receive(product, WarpGroup.Rows * n);
        for (int row = 0; row < WarpGroup.Rows; row++)
        {
            for (int column = 0; column < n; column++)
            {
                double sum = 0, magnitude = 0;
                for (int i = 0; i < k; i++)
                {
                    double term = (double)a[(row * k) + i] * b[(column * k) + i];
                    sum += term;
                    magnitude += Math.Abs(term);
                }
                Assert.That(found[(row * n) + column], Is.EqualTo(sum).Within(1e-5 * magnitude), $"row {row}, column {column}");
            }
        }

        float[] Values(int count) => [.. Enumerable.Range(0, count).Select(_ => Round((2 * random.NextSingle()) - 1))];
        float Round(float value) => bfloats
            ? BitConverter.UInt32BitsToSingle(BitConverter.SingleToUInt32Bits(value) & 0xFFFF0000)
            : (float)(Half)value;
        ushort Bits(float value) => bfloats ? (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16) : BitConverter.HalfToUInt16Bits((Half)value);
        GpuBuffer SendMap(GpuBuffer matrix, int rows)
        {
            byte[] map = new byte[CudaTensorMap.Bytes];
            CudaTensorMap description = new()
            {
                Address = matrix.Address,
                Element = bfloats ? CudaTensorElement.BFloat16 : CudaTensorElement.Float16,
                Sizes = [k, rows],
                Strides = [k * sizeof(ushort)],
                Box = [swizzle == CudaTensorSwizzle.None ? 8 : columns, rows],
                Swizzle = swizzle,
            };
            _device.EncodeTensorMap(description, map);
            return Send(map);
        }
    }

    private GpuBuffer Send<T>(T[] values)
        where T : unmanaged
    {
        ReadOnlySpan<byte> bytes = MemoryMarshal.AsBytes(values.AsSpan());
        GpuBuffer buffer = new(_device.Memory, bytes.Length);
        _device.Upload(buffer.Address, bytes);
        return buffer;
    }

    private float[] Receive(GpuBuffer buffer, int count)
    {
        float[] values = new float[count];
        _device.Download(buffer.Address, MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }
}
