using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Memory;
using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.CPU;

namespace Decart.Inference.Tests.Kernels.Gpu;

/// <summary>
/// Kernels on ILGPU's CPU accelerator: every thread of a group is a thread of the operating system, so groups are small. With tensor cores warps have
/// 32 lanes, and the intrinsics' emulations run.
/// </summary>
internal sealed unsafe class EmulatedDevice(bool tensorCores = false, int multiprocessors = 1) : IGpuDevice
{
    private static readonly Lazy<Runner> Small = new(() => new Runner(lanes: 4, warps: 2)), Wide = new(() => new Runner(lanes: 32, warps: 4));

    private readonly EmulatedMemory _memory = new();
    private readonly Runner _runner = (tensorCores ? Wide : Small).Value;

    public IDeviceMemory Memory => _memory;

    public int MaxGroupSize => _runner.GroupSize;

    public bool HasTensorCores => tensorCores;

    public int Multiprocessors => multiprocessors;

    public void Launch<TArguments>(GpuKernel<TArguments> kernel, GpuGrid grid, in TArguments arguments)
        where TArguments : unmanaged => _runner.Run(kernel, grid, arguments);

    public void Upload(nint destination, ReadOnlySpan<byte> source) => source.CopyTo(new Span<byte>((void*)destination, source.Length));

    public void Download(nint source, Span<byte> destination) => new ReadOnlySpan<byte>((void*)source, destination.Length).CopyTo(destination);

    public void Clear(nint destination, long bytes) => NativeMemory.Clear((void*)destination, (nuint)bytes);

    public void Synchronize() { }

    public GpuReadback CreateReadback(int bytes) => new Readback(bytes);

    public void Dispose() => _memory.Dispose();

    /// <summary>Everything is done when it is started.</summary>
    private sealed class Readback(int bytes) : GpuReadback(bytes)
    {
        private byte[] _copy = [];

        public override void Start(nint source, int bytes) => _copy = new ReadOnlySpan<byte>((void*)source, bytes).ToArray();

        public override ReadOnlySpan<byte> Wait() => _copy;

        public override void Dispose() { }
    }

    /// <summary>An accelerator for the whole run, its kernels compiled once.</summary>
    private sealed class Runner
    {
        private readonly Accelerator _accelerator;
        private readonly ConcurrentDictionary<GpuKernel, Delegate> _kernels = [];

        public Runner(int lanes, int warps)
        {
            GroupSize = lanes * warps;
            Context context = Context.Create(builder => builder.CPU(new CPUDevice(lanes, warps, numMultiprocessors: 1)));
            _accelerator = context.CreateCPUAccelerator(0);
        }

        public int GroupSize { get; }

        public void Run<TArguments>(GpuKernel<TArguments> kernel, GpuGrid grid, TArguments arguments)
            where TArguments : unmanaged
        {
            lock (_accelerator)
            {
                var entry = (Action<KernelConfig, TArguments>)_kernels.GetOrAdd(kernel, _ => _accelerator.LoadStreamKernel(kernel.Entry));
                entry(new KernelConfig(new Index3D(grid.X, grid.Y, grid.Z), new Index3D(Math.Min(kernel.GroupSize, GroupSize), 1, 1)), arguments);
                _accelerator.Synchronize();
            }
        }
    }
}
