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
    private List<Action>? _recorded;

    public IDeviceMemory Memory => _memory;

    public int MaxGroupSize => _runner.GroupSize;

    public bool HasTensorCores => tensorCores;

    public int Multiprocessors => multiprocessors;

    /// <summary>The kernels that were started, in order.</summary>
    public List<string> Launched { get; } = [];

    /// <summary>How often recorded launches were repeated.</summary>
    public int Replays { get; private set; }

    public void Launch<TArguments>(GpuKernel<TArguments> kernel, GpuGrid grid, in TArguments arguments)
        where TArguments : unmanaged
    {
        TArguments copy = arguments;
        if (_recorded is null) Start();
        else _recorded.Add(Start);

        void Start()
        {
            Launched.Add(kernel.Name);
            _runner.Run(kernel, grid, copy);
        }
    }

    public IGpuRecording Record(Action launches)
    {
        AssertNotRecording();
        List<Action> recorded = _recorded = [];
        _memory.IsClosed = true;
        launches();
        _memory.IsClosed = false;
        _recorded = null;
        return new Recording(recorded, this);
    }

    public void Upload(nint destination, ReadOnlySpan<byte> source)
    {
        AssertNotRecording();
        source.CopyTo(new Span<byte>((void*)destination, source.Length));
    }

    public void Download(nint source, Span<byte> destination) => new ReadOnlySpan<byte>((void*)source, destination.Length).CopyTo(destination);

    public void Clear(nint destination, long bytes)
    {
        AssertNotRecording();
        NativeMemory.Clear((void*)destination, (nuint)bytes);
    }

    public void Synchronize() { }

    public void Dispose() => _memory.Dispose();

    private void AssertNotRecording() => Assert.That(_recorded, Is.Null, "only launches are recorded");

    private sealed class Recording(List<Action> launches, EmulatedDevice device) : IGpuRecording
    {
        public void Replay()
        {
            device.Replays++;
            foreach (Action launch in launches) launch();
        }

        public void Dispose() => launches.Clear();
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
