using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Kernels.Gpu.Compilation;
using Decart.Inference.Memory;
using Decart.Inference.Native.Cuda;
using Decart.Inference.Tests.Checkpoints;
using Decart.Inference.Tests.Kernels.Gpu;

namespace Decart.Inference.Tests.Native;

/// <summary>The driver's calls for streams, events, graphs and modules on a GPU.</summary>
[Cuda]
internal sealed class CudaTests
{
    private const int Count = 5;

    private CudaContext _context = null!;
    private CudaMemory _memory = null!;

    [OneTimeSetUp]
    public void Open()
    {
        try
        {
            _context = CudaContext.Open(0);
        }
        catch (CudaUnavailableException exception)
        {
            Assert.Ignore(exception.Message);
        }
        _memory = new CudaMemory(_context);
    }

    [OneTimeTearDown]
    public void Close() => _context?.Dispose();

    [Test]
    public void Code_that_is_wrong_is_refused_with_the_compilers_words()
    {
        const string Ptx = ".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry broken()\n{\n\tnonsense.f32 %f1;\n\tret;\n}\n";
        Assert.That(
            () => Module(Ptx),
            Throws.TypeOf<CudaException>().With.Message.Contains("CUDA_ERROR_INVALID_PTX").And.Message.Contains("line 6"));
    }

    [Test]
    public void A_tensor_map_that_is_wrong_is_refused_with_the_drivers_words()
    {
        CudaTensorMap map = new() { Address = 1 << 20, Element = CudaTensorElement.Float16, Sizes = [64, 8], Strides = [128], Box = [64, 8] };
        Assert.That(() => map.Encode(new byte[CudaTensorMap.Bytes]), Throws.Nothing);
        Assert.That(
            () => (map with { Strides = [120] }).Encode(new byte[CudaTensorMap.Bytes]),
            Throws.TypeOf<CudaException>().With.Message.Contains("CUDA_ERROR_INVALID_VALUE").And.Message.Contains("64 x 8 Float16"));
    }

    [Test]
    public void A_kernel_that_a_module_lacks_is_named()
    {
        using CudaModule module = Module(".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry empty()\n{\n\tret;\n}\n");
        Assert.That(() => module.GetFunction("absent"), Throws.TypeOf<CudaException>().With.Message.Contains("absent"));
        Assert.That(module.GetFunction("empty").LocalBytes, Is.Zero);
    }

    [Test]
    public void A_captured_graph_does_its_work_each_time_it_is_launched()
    {
        using CudaStream stream = new(_context);
        using CudaPinnedMemory input = new(_context, Count * sizeof(float)), output = new(_context, Count * IntrinsicKernels.ConvertedWords * sizeof(float));
        using PtxCompiler compiler = new(80);
        PtxModule ptx = compiler.Compile(IntrinsicKernels.ConvertKernel);
        using CudaModule module = Module(ptx.Text);
        CudaFunction function = module.GetFunction(ptx.EntryPoint);
        nint source = _memory.Allocate(input.Bytes), destination = _memory.Allocate(output.Bytes);
        try
        {
            WordArguments arguments = new() { Source = source, Destination = destination, Count = Count };
            using CudaGraph graph = stream.Capture(() =>
            {
                stream.Copy(source, input.Address, input.Bytes);
                stream.Fill(destination, 0xFF, output.Bytes);
                function.Launch(stream, (1, 1, 1), clusterSize: 1, IntrinsicKernels.ConvertKernel.GroupSize, arguments);
                stream.Copy(output.Address, destination, output.Bytes);
            });
            for (int round = 0; round < 3; round++)
            {
                Span<float> values = MemoryMarshal.Cast<byte, float>(input.Span);
                for (int i = 0; i < Count; i++) values[i] = i + (10 * round);
                graph.Launch(stream);
                stream.Synchronize();
                Span<float> results = MemoryMarshal.Cast<byte, float>(output.Span);
                for (int i = 0; i < Count; i++)
                    Assert.That(results[(i * IntrinsicKernels.ConvertedWords) + 1], Is.EqualTo(values[i]), $"round {round}, value {i}");
            }
        }
        finally
        {
            _memory.Free(source);
            _memory.Free(destination);
        }
    }

    [Test]
    public void The_driver_keeps_kernels_in_registers()
    {
        using PtxCompiler compiler = new(90);
        foreach (GpuKernel kernel in GpuKernels.All.Where(kernel => kernel.RunsOn(90)))
        {
            // A text that the driver has not compiled before.
            using CudaModule module = Module($"// {Guid.NewGuid()}\n{compiler.Compile(kernel).Text}");
            string report = string.Join(", ", Regex.Matches(module.Report, @"Used \d+ registers|[1-9]\d* bytes spill \w+|C75\d\d").Select(match => match.Value));
            TestContext.Out.WriteLine($"{kernel.Name}: {report}");
            if (Regex.IsMatch(kernel.Name, "MatMul|DecodeAttention|Fp8Round")) Assert.That(report, Does.Not.Contain("spill").And.Not.Contain("C75"), kernel.Name);
        }
    }

    [Test]
    public void Kernels_are_found_in_the_cache_at_the_next_start()
    {
        using TemporaryFolder folder = new();
        KernelCache cache = new(folder.Path);
        DateTime[] written = [];
        for (int start = 0; start < 2; start++)
        {
            using CudaDevice device = new(0, cache);
            device.Prepare(GpuKernels.All);
            DateTime[] files = [.. Directory.GetFiles(folder.Path).Order().Select(File.GetLastWriteTimeUtc)];
            Assert.That(files, Has.Length.EqualTo(GpuKernels.All.Count(device.CanRun)));
            if (start > 0) Assert.That(files, Is.EqualTo(written));
            written = files;
        }
    }

    [Test]
    public void What_throws_during_a_capture_leaves_the_stream_usable()
    {
        using CudaStream stream = new(_context);
        Assert.That(() => stream.Capture(() => throw new InvalidOperationException("no")), Throws.InvalidOperationException);
        stream.Synchronize();
    }

    [Test]
    public void Events_measure_what_lies_between_them()
    {
        const int Bytes = 64 << 20;
        using CudaStream stream = new(_context);
        using CudaEvent start = new(_context), end = new(_context);
        nint memory = _memory.Allocate(Bytes);
        start.Record(stream);
        for (int i = 0; i < 20; i++) stream.Fill(memory, (byte)i, Bytes);
        end.Record(stream);
        end.Synchronize();
        _memory.Free(memory);
        Assert.That(end.Since(start).TotalMilliseconds, Is.InRange(0.05, 1000));
    }

    [Test]
    public void Memory_that_is_not_pinned_may_change_once_a_small_upload_returns()
    {
        using CudaDevice device = new(0);
        foreach (int bytes in (int[])[40, 64 << 10, (64 << 10) + 4, 40_000_000])
        {
            nint memory = device.Memory.Allocate(bytes);
            byte[] source = new byte[bytes], expected = new byte[bytes], found = new byte[bytes];
            new Random(bytes).NextBytes(source);
            source.CopyTo(expected, 0);
            device.Upload(memory, source);
            Array.Clear(source);
            device.Download(memory, found);
            device.Memory.Free(memory);
            Assert.That(found.AsSpan().SequenceEqual(expected), $"{bytes} bytes");
        }
    }

    private CudaModule Module(string ptx) => new(_context, ptx);
}
