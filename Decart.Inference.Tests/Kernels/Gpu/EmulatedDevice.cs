using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Kernels.Gpu.Compilation;
using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Memory;
using Decart.Inference.Native.Cuda;
using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.CPU;

namespace Decart.Inference.Tests.Kernels.Gpu;

/// <summary>
/// Kernels on ILGPU's CPU accelerator: every thread of a group is a thread of the operating system, so groups are small. With tensor cores warps have
/// 32 lanes, and the intrinsics' emulations run.
/// </summary>
/// <param name="tensorCores">See above.</param>
/// <param name="multiprocessors">How many it pretends to have.</param>
/// <param name="rank">Kernels of devices of different ranks run at the same time, but those with dynamic shared memory.</param>
internal sealed unsafe class EmulatedDevice(bool tensorCores = false, int multiprocessors = 1, int rank = 0) : IGpuDevice
{
    private const int MaxRanks = 4, WideWarps = 4, LargeWarps = 16, LargestWarps = 32, Lanes = 32;

    private static readonly Lazy<Runner>[] Small = Runners(lanes: 4, warps: 2), Wide = Runners(Lanes, WideWarps);

    /// <summary>For groups of a team of four warps and one that copies; numbers of warps are powers of two.</summary>
    private static readonly Lazy<Runner> Doubled = new(() => new Runner(Lanes, warps: 2 * WideWarps));

    /// <summary>For kernels whose warps have different parts to play, which want as many threads as they say.</summary>
    private static readonly Lazy<Runner> Large = new(() => new Runner(Lanes, warps: LargeWarps)), Largest = new(() => new Runner(Lanes, warps: LargestWarps));

    private static readonly Lock SharedLock = new();

    private readonly EmulatedMemory _memory = new();
    private readonly Runner _runner = (tensorCores ? Wide : Small)[rank].Value;
    private List<Action>? _recorded;

    public IDeviceMemory Memory => _memory;

    /// <summary>What the device's runner has, unless a test wants more: launches that ask for more threads than that get a larger runner.</summary>
    public int MaxGroupSize { get; init; } = ((tensorCores ? Wide : Small)[rank]).Value.GroupSize;

    public bool HasTensorCores => tensorCores;

    public bool PacksWeights { get; init; }

    public int Multiprocessors => multiprocessors;

    /// <summary>The kernels that were started, in order.</summary>
    public List<string> Launched { get; } = [];

    /// <summary>How often recorded launches were repeated.</summary>
    public int Replays { get; private set; }

    /// <summary>How often something was copied beside what else was done.</summary>
    public int Copies { get; private set; }

    /// <summary>Whether kernels are used that only Hopper GPUs have, besides those that any GPU has.</summary>
    public bool IsHopper { get; init; }

    public bool CanRun(GpuKernel kernel) => IsHopper || !IsLarge(kernel);

    private static bool IsLarge(GpuKernel kernel) => kernel.GroupSize > WideWarps * Lanes && kernel.ForOneArchitecture;

    /// <summary>One for each rank.</summary>
    private static Lazy<Runner>[] Runners(int lanes, int warps) => [.. Enumerable.Range(0, MaxRanks).Select(rank => new Lazy<Runner>(() => new Runner(lanes, warps, rank)))];

    public void EncodeTensorMap(CudaTensorMap map, Span<byte> destination) => EmulatedTensorMap.Encode(map, destination);

    public void Launch<TArguments>(GpuKernel<TArguments> kernel, GpuGrid grid, in TArguments arguments)
        where TArguments : unmanaged
    {
        if (!CanRun(kernel)) throw new NotSupportedException($"{kernel.Name} is not emulated here.");
        TArguments copy = arguments;
        if (_recorded is null) Start();
        else _recorded.Add(Start);

        void Start()
        {
            Launched.Add(kernel.Name);
            RunnerOf(kernel, grid).Run(kernel, grid, copy);
        }
    }

    private Runner RunnerOf(GpuKernel kernel, GpuGrid grid)
    {
        if (tensorCores && grid.GroupSize > _runner.GroupSize && grid.GroupSize < int.MaxValue) return grid.GroupSize <= Doubled.Value.GroupSize ? Doubled.Value : Large.Value;
        if (!IsLarge(kernel) || 2 * kernel.GroupSize <= LargeWarps * Lanes) return _runner;
        return kernel.GroupSize <= LargeWarps * Lanes ? Large.Value : Largest.Value;
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

    public void Copy(nint destination, nint source, long bytes)
    {
        AssertNotRecording();
        _memory.Copy(destination, source, bytes);
    }

    public void Fork() => AssertNotRecording();

    /// <summary>Done at once; others see it after what was copied before.</summary>
    public void CopyAside(nint destination, nint source, long bytes)
    {
        AssertNotRecording();
        Copies++;
        new ReadOnlySpan<byte>((void*)source, checked((int)bytes)).CopyTo(new Span<byte>((void*)destination, (int)bytes));
        Thread.MemoryBarrier();
    }

    public void Join() => AssertNotRecording();

    public void Clear(nint destination, long bytes)
    {
        AssertNotRecording();
        NativeMemory.Clear((void*)destination, (nuint)bytes);
    }

    public void Synchronize() { }

    public GpuReadback CreateReadback(int bytes) => new Readback(bytes);

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

        public Runner(int lanes, int warps, int rank = 0)
        {
            GroupSize = lanes * warps;
            Context context = Context.Create(builder => builder.EnableAlgorithms().CPU(new CPUDevice(lanes, warps, numMultiprocessors: 1)));
            _accelerator = OneCore.Create(() => context.CreateCPUAccelerator(0), rank);
        }

        public int GroupSize { get; }

        public void Run<TArguments>(GpuKernel<TArguments> kernel, GpuGrid grid, TArguments arguments)
            where TArguments : unmanaged
        {
            lock (_accelerator)
            {
                var entry = (Action<KernelConfig, TArguments>)_kernels.GetOrAdd(kernel, _ => Load(kernel));
                int groupSize = Math.Min(grid.GroupSize, Math.Min(kernel.GroupSize, GroupSize));
                KernelConfig groups = new(new Index3D(grid.X, grid.Y, grid.Z), new Index3D(groupSize, 1, 1));
                if (kernel.SharedBytes > 0) RunWithShared(kernel, groupSize, () => entry(groups, arguments));
                else entry(groups, arguments);
                _accelerator.Synchronize();
            }
        }

        private Action<KernelConfig, TArguments> Load<TArguments>(GpuKernel<TArguments> kernel)
            where TArguments : unmanaged
        {
            KernelParts.Compile(_accelerator.Context, kernel);
            return _accelerator.LoadStreamKernel(kernel.Entry);
        }

        private void RunWithShared(GpuKernel kernel, int groupSize, Action launch)
        {
            // Smaller groups would run several at a time.
            if (2 * groupSize <= GroupSize)
                throw new NotSupportedException($"Groups with dynamic shared memory have more than {GroupSize / 2} threads here.");
            lock (SharedLock)
            {
                Shared.Emulated = (byte*)NativeMemory.AlignedAlloc((nuint)kernel.SharedBytes, Shared.Alignment);
                try
                {
                    launch();
                    _accelerator.Synchronize();
                }
                finally
                {
                    NativeMemory.AlignedFree(Shared.Emulated);
                    NamedBarrier.Reset();
                }
            }
        }
    }
}
