using System.Runtime.InteropServices;
using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Native.Cuda;

namespace Decart.Inference.Tests.Kernels.Gpu;

/// <summary>What came with sm_90, emulated and on a GPU that has it.</summary>
[TestFixtureSource(typeof(GpuDevices), nameof(GpuDevices.Fixtures))]
internal sealed class HopperTests(string device)
{
    private IGpuDevice _device = null!;

    [OneTimeSetUp]
    public void Open() => _device = GpuDevices.Create(device, tensorCores: true);

    [OneTimeTearDown]
    public void Close() => _device?.Dispose();

    [TestCase(1)]
    [TestCase(HopperKernels.Stages)]
    [TestCase((5 * HopperKernels.Stages) + 2)]
    public void A_ring_of_bulk_copies_goes_round(int chunks)
    {
        int[] words = [.. Enumerable.Range(0, chunks * HopperKernels.Threads).Select(i => i * 7919)];
        int[] found = Run(HopperKernels.RingKernel, 1, words, words.Length, chunks);
        Assert.That(found, Is.EqualTo(words.Select(word => word + 1)));
    }

    [TestCase(0, 0)]
    [TestCase(8, 2)]
    [TestCase(8, 7)]
    [TestCase(-8, -1)]
    [TestCase(40, 0)]
    public void A_box_of_rows_is_copied_and_zero_outside(int x, int y) => CheckBox([13, 9], [32], [8, 4], [x, y], CudaTensorSwizzle.None);

    [TestCase(0, 0, 0)]
    [TestCase(8, 3, 1)]
    [TestCase(-8, -1, -1)]
    [TestCase(8, 4, 2)]
    public void A_box_of_planes_is_copied_and_zero_outside(int x, int y, int z) =>
        CheckBox([13, 5, 3], [32, 160], [16, 2, 2], [x, y, z], CudaTensorSwizzle.None);

    [TestCase(CudaTensorSwizzle.Bytes32, 16)]
    [TestCase(CudaTensorSwizzle.Bytes64, 32)]
    [TestCase(CudaTensorSwizzle.Bytes128, 64)]
    public void Swizzled_boxes_have_their_pieces_exchanged(CudaTensorSwizzle swizzle, int columns) =>
        CheckBox([70, 20], [160], [columns, 16], [8, 3], swizzle);

    [Test]
    public void Kernels_that_start_early_see_what_the_one_in_front_wrote()
    {
        const int Count = 8 * HopperKernels.Threads, Launches = 50;
        SkipUnlessRunnable(HopperKernels.RelayKernel);
        int[] words = [.. Enumerable.Range(0, Count)];
        using GpuBuffer even = Send(words), odd = Send(words);
        for (int i = 0; i < Launches; i++)
        {
            (GpuBuffer source, GpuBuffer destination) = i % 2 == 0 ? (even, odd) : (odd, even);
            WordArguments arguments = new() { Source = source.Address, Destination = destination.Address, Count = Count };
            _device.Launch(HopperKernels.RelayKernel, new GpuGrid(Count / HopperKernels.Threads), arguments);
        }
        Assert.That(Receive<int>(Launches % 2 == 0 ? even : odd, Count), Is.EqualTo(words.Select(word => word + Launches)));
    }

    [TestCase(1)]
    [TestCase(HopperKernels.ClusterGroups)]
    public void Groups_of_a_cluster_read_and_write_each_others_shared_memory(int size)
    {
        const int Groups = 2 * HopperKernels.ClusterGroups, Threads = HopperKernels.Threads;
        SkipUnlessRunnable(HopperKernels.ClusterKernel);
        if (size > 1 && device == "emulated") Assert.Ignore("Clusters of several groups are not emulated.");
        float[] values = [.. Enumerable.Range(0, Groups * Threads).Select(i => i * i / 4f)];
        using GpuBuffer source = Send(values), destination = new(_device.Memory, 2 * values.Length * sizeof(float));
        WordArguments arguments = new() { Source = source.Address, Destination = destination.Address };

        _device.Launch(HopperKernels.ClusterKernel, new GpuGrid(Groups, ClusterSize: size), arguments);

        float[] found = Receive<float>(destination, 2 * values.Length);
        for (int group = 0; group < Groups; group++)
        {
            int first = group / size * size, next = first + ((group + 1) % size);
            for (int i = 0; i < Threads; i++)
            {
                int place = 2 * ((group * Threads) + i);
                float sum = Enumerable.Range(first, size).Sum(other => values[(other * Threads) + i]);
                Assert.That((found[place], found[place + 1]), Is.EqualTo((sum, values[(next * Threads) + i])), $"group {group}, value {i}");
            }
        }
    }

    [Test]
    public void Shared_memory_may_exceed_what_is_granted_without_asking()
    {
        int[] words = [.. Enumerable.Range(0, 1000)];
        Assert.That(Run(HopperKernels.LargeKernel, 1, words, words.Length, words.Length), Is.EqualTo(words.Reverse()));
    }

    [Test]
    public void A_tensor_map_has_as_many_strides_as_it_needs()
    {
        CudaTensorMap map = new() { Address = 0, Element = CudaTensorElement.Float16, Sizes = [64, 8], Strides = [], Box = [64, 8] };
        Assert.That(() => map.Encode(new byte[CudaTensorMap.Bytes]), Throws.ArgumentException.With.Message.Contains("2 sizes need 1 strides"));
    }

    /// <summary>Copies a box of a tensor of halves whose elements are their own index plus 1.</summary>
    private void CheckBox(long[] sizes, long[] strides, int[] box, int[] corner, CudaTensorSwizzle swizzle)
    {
        GpuKernel<BoxArguments> kernel = box.Length == 2 ? HopperKernels.Box2Kernel : HopperKernels.Box3Kernel;
        SkipUnlessRunnable(kernel);
        long bytes = strides[^1] * sizes[^1];
        int elements = box.Aggregate(1, (product, length) => product * length);
        using GpuBuffer tensor = Send(Enumerable.Range(1, (int)(bytes / sizeof(ushort))).Select(i => (ushort)i).ToArray());
        using GpuBuffer map = SendMap(tensor, sizes, strides, box, swizzle), found = new(_device.Memory, elements * sizeof(ushort));
        BoxArguments arguments = new()
        {
            Map = map.Address,
            Destination = found.Address,
            X = corner[0],
            Y = corner[1],
            Z = corner.Length > 2 ? corner[2] : 0,
            Bytes = elements * sizeof(ushort),
        };

        _device.Launch(kernel, new GpuGrid(1), arguments);

        ushort[] expected = new ushort[elements];
        for (int i = 0; i < elements; i++)
        {
            long[] place = [i % box[0], i / box[0] % box[1], i / box[0] / box[1]];
            long offset = 0;
            bool inside = true;
            for (int dimension = 0; dimension < box.Length; dimension++)
            {
                long coordinate = corner[dimension] + place[dimension];
                inside &= coordinate >= 0 && coordinate < sizes[dimension];
                offset += coordinate * (dimension == 0 ? sizeof(ushort) : strides[dimension - 1]);
            }
            // Piece p of row r lies where piece p ^ (r % 8) would, for rows of 128 bytes; in shorter rows, r counts rows of 128 bytes.
            int piece = i * sizeof(ushort) / 16, exchanged = piece ^ (piece / 8 % (1 << (int)swizzle));
            expected[(exchanged * 8) + (i % 8)] = inside ? (ushort)((offset / sizeof(ushort)) + 1) : (ushort)0;
        }
        Assert.That(Receive<ushort>(found, elements), Is.EqualTo(expected));
    }

    private T[] Run<T>(GpuKernel<WordArguments> kernel, int groups, T[] words, int results, int count)
        where T : unmanaged
    {
        SkipUnlessRunnable(kernel);
        using GpuBuffer source = Send(words), destination = new(_device.Memory, results * sizeof(int));
        _device.Launch(kernel, new GpuGrid(groups), new WordArguments { Source = source.Address, Destination = destination.Address, Count = count });
        return Receive<T>(destination, results);
    }

    private void SkipUnlessRunnable(GpuKernel kernel)
    {
        if (!_device.CanRun(kernel)) Assert.Ignore($"{device} cannot run {kernel.Name}");
    }

    private GpuBuffer SendMap(GpuBuffer tensor, long[] sizes, long[] strides, int[] box, CudaTensorSwizzle swizzle)
    {
        byte[] map = new byte[CudaTensorMap.Bytes];
        CudaTensorMap description = new()
        {
            Address = tensor.Address,
            Element = CudaTensorElement.Float16,
            Sizes = [.. sizes],
            Strides = [.. strides],
            Box = [.. box],
            Swizzle = swizzle,
        };
        _device.EncodeTensorMap(description, map);
        return Send(map);
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
