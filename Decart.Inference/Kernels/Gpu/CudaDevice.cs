using System.Diagnostics.CodeAnalysis;
using System.Runtime.ExceptionServices;
using System.Text;
using Decart.Inference.Kernels.Gpu.Compilation;
using Decart.Inference.Memory;
using Decart.Inference.Native.Cuda;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>A GPU through the CUDA driver. Kernels are compiled when they are first launched, or all at once by <see cref="Prepare"/>.</summary>
[RequiresUnreferencedCode(GpuSupport.NeedsAllCode)]
[RequiresDynamicCode(GpuSupport.NeedsAllCode)]
internal sealed class CudaDevice : IGpuDevice
{
    /// <summary>The oldest architecture that the intrinsics exist on, and the oldest driver: PTX ISA 8.0 came with CUDA 12.0, 8.3 with 12.3.</summary>
    private const int MinArchitecture = 80, MinDriverVersion = 12000, MinHopperDriverVersion = 12030;

    /// <summary>Far beyond what there is: whoever answers more answers nonsense.</summary>
    private const int MostArchitecture = 1000, MostMultiprocessors = 1 << 16, MostSharedBytes = 1 << 26, MostDriverVersion = 1_000_000;

    /// <summary>What kernels have at least, and pages of memory at most.</summary>
    private const long LeastSharedBytes = 48 << 10, MostPageBytes = 1L << 32, MostMemoryBytes = 1L << 48;

    /// <summary>Pinned buffers that uploads go through in turn: two for large ones, and more for those of steps that follow each other closely.</summary>
    private const int StagingBytes = 16 << 20, StagingCount = 2, SmallBytes = 128 << 10, SmallCount = 8;

    private readonly CudaContext _context;
    private readonly CudaStream _stream, _recorder, _aside;
    private readonly CudaEvent _fork, _join;
    private readonly KernelCache? _cache;
    private readonly int _architecture, _driverVersion;
    private readonly Dictionary<GpuKernel, CudaFunction> _functions = [];
    private readonly List<CudaModule> _modules = [];
    private readonly CudaPinnedRing _staging, _smallStaging;
    private readonly int _maxSharedBytes;
    private PtxCompiler? _compiler;
    private bool _recording;

    /// <summary>Opens a GPU.</summary>
    /// <param name="index">The driver's number of the GPU, from 0.</param>
    /// <param name="cache">Where compiled kernels are looked for and kept; null for nowhere.</param>
    /// <exception cref="CudaUnavailableException">There is no driver, no such GPU, or one of them is too old.</exception>
    public CudaDevice(int index, KernelCache? cache = null)
    {
        _cache = cache;
        _context = CudaContext.Open(index);
        try
        {
            (_architecture, _driverVersion) = CheckVersions(index);
            Multiprocessors = _context.GetAttribute(CudaDeviceAttribute.Multiprocessors);
            _maxSharedBytes = _context.GetAttribute(CudaDeviceAttribute.MaxSharedBytesOfGroup);
            Memory = new CudaMemory(_context);
            CheckAnswers();
            _stream = new CudaStream(_context);
            // The default stream, which other threads may copy on, must have nothing to do with a stream that is being recorded.
            _recorder = new CudaStream(_context, independent: true);
            _aside = new CudaStream(_context, independent: true);
            (_fork, _join) = (new CudaEvent(_context), new CudaEvent(_context));
            _staging = new CudaPinnedRing(_context, StagingCount, StagingBytes);
            _smallStaging = new CudaPinnedRing(_context, SmallCount, SmallBytes);
        }
        catch
        {
            _context.Dispose();
            throw;
        }
    }

    public IDeviceMemory Memory { get; }

    public int MaxGroupSize => 1024;

    /// <summary>Whether to use them; every GPU that is not too old has them.</summary>
    public bool HasTensorCores { get; init; } = true;

    public bool PacksWeights { get; init; } = GpuSupport.PacksWeights;

    /// <summary>As many as there are, unless work is to be divided for another number.</summary>
    public int Multiprocessors { get; init; }

    /// <summary>Kernels that need a later architecture are not used.</summary>
    public int LatestArchitecture { get; init; } = int.MaxValue;

    /// <summary>Lets kernels use the memory of another GPU.</summary>
    /// <exception cref="CudaException">They cannot; see <see cref="CudaTeam"/>.</exception>
    public void EnablePeer(CudaDevice other) => _context.EnablePeer(other._context);

    public bool CanRun(GpuKernel kernel) =>
        kernel.RunsOn(_architecture) && kernel.MinArchitecture <= LatestArchitecture && kernel.SharedBytes <= _maxSharedBytes
        && (kernel.MinArchitecture < PtxCompiler.HopperArchitecture || _driverVersion >= MinHopperDriverVersion);

    public void EncodeTensorMap(CudaTensorMap map, Span<byte> destination) => map.Encode(destination);

    /// <summary>Compiles those kernels that run here, so that their first launch does not wait for it.</summary>
    public void Prepare(IEnumerable<GpuKernel> kernels)
    {
        GpuKernel[] missing = [.. kernels.Where(kernel => CanRun(kernel) && !_functions.ContainsKey(kernel)).Distinct()];
        missing = [.. missing.Where(kernel => LoadCached(kernel) is null)];
        // The driver's compiler takes most of the time and runs on any number of threads, ILGPU on one.
        PtxModule[] ptx = [.. missing.Select(CompileToPtx)];
        CudaModule[] modules = new CudaModule[missing.Length];
        try
        {
            Parallel.For(0, missing.Length, i => modules[i] = new CudaModule(_context, ptx[i].Text));
        }
        catch (AggregateException failures)
        {
            foreach (CudaModule? module in modules) module?.Dispose();
            ExceptionDispatchInfo.Throw(failures.InnerExceptions[0]);
        }
        for (int i = 0; i < missing.Length; i++) Keep(missing[i], ptx[i], modules[i]);
    }

    public void Launch<TArguments>(GpuKernel<TArguments> kernel, GpuGrid grid, in TArguments arguments)
        where TArguments : unmanaged =>
        GetFunction(kernel).Launch(
            _recording ? _recorder : _stream, (grid.X, grid.Y, grid.Z), grid.ClusterSize, Math.Min(grid.GroupSize, Math.Min(kernel.GroupSize, MaxGroupSize)), arguments);

    public IGpuRecording Record(Action launches)
    {
        ThrowIfRecording();
        _recording = true;
        try
        {
            return new Recording(_recorder.Capture(launches), _stream);
        }
        finally
        {
            _recording = false;
        }
    }

    public void Upload(nint destination, ReadOnlySpan<byte> source)
    {
        ThrowIfRecording();
        CudaPinnedRing ring = source.Length <= SmallBytes ? _smallStaging : _staging;
        while (!source.IsEmpty)
        {
            int bytes = Math.Min(source.Length, ring.Bytes);
            ring.Copy(_stream, destination, source[..bytes]);
            source = source[bytes..];
            destination += bytes;
        }
    }

    public unsafe void Download(nint source, Span<byte> destination)
    {
        ThrowIfRecording();
        fixed (byte* address = destination)
        {
            _stream.Copy((nint)address, source, destination.Length);
            _stream.Synchronize();
        }
    }

    public void Copy(nint destination, nint source, long bytes)
    {
        ThrowIfRecording();
        _stream.Copy(destination, source, bytes);
    }

    public void Fork()
    {
        ThrowIfRecording();
        _fork.Record(_stream);
        _aside.WaitFor(_fork);
    }

    public void CopyAside(nint destination, nint source, long bytes)
    {
        ThrowIfRecording();
        _aside.Copy(destination, source, bytes);
    }

    public void Join()
    {
        ThrowIfRecording();
        _join.Record(_aside);
        _stream.WaitFor(_join);
    }

    public void Clear(nint destination, long bytes)
    {
        ThrowIfRecording();
        _stream.Fill(destination, 0, bytes);
    }

    public void Synchronize()
    {
        _stream.Synchronize();
        _aside.Synchronize();
    }

    public GpuReadback CreateReadback(int bytes) => new CudaReadback(_context, _stream, bytes);

    public void Dispose()
    {
        if (_context.IsClosed) return;
        _context.MakeCurrent();
        _staging.Dispose();
        _smallStaging.Dispose();
        _recorder.Dispose();
        _aside.Dispose();
        _fork.Dispose();
        _join.Dispose();
        _stream.Dispose();
        foreach (CudaModule module in _modules) module.Dispose();
        _compiler?.Dispose();
        _context.Dispose();
    }

    /// <summary>Compute capability times ten, and the CUDA version that the driver is for.</summary>
    private (int Architecture, int Driver) CheckVersions(int index)
    {
        CudaDriver.Check(CudaDriver.GetVersion(out int version), "its version");
        Check("its version", version, 0, MostDriverVersion);
        if (version < MinDriverVersion)
        {
            throw new CudaUnavailableException(
                $"A driver for CUDA {MinDriverVersion / 1000}.0 or later is needed, this one is for {version / 1000}.{version % 1000 / 10}.");
        }
        int major = _context.GetAttribute(CudaDeviceAttribute.ComputeCapabilityMajor);
        int minor = _context.GetAttribute(CudaDeviceAttribute.ComputeCapabilityMinor);
        Check("a compute capability, times ten", (10L * major) + minor, 0, MostArchitecture);
        if ((10 * major) + minor < MinArchitecture)
        {
            throw new CudaUnavailableException(
                $"A GPU of compute capability {MinArchitecture / 10}.{MinArchitecture % 10} or later is needed, GPU {index} has {major}.{minor}.");
        }
        return ((10 * major) + minor, version);
    }

    /// <summary>What sizes are computed from must be possible.</summary>
    private void CheckAnswers()
    {
        Check("a number of multiprocessors", Multiprocessors, 1, MostMultiprocessors);
        Check("shared memory of a group, in bytes", _maxSharedBytes, LeastSharedBytes, MostSharedBytes);
        Check("a granularity of memory, in bytes", Memory.PageGranularity, 0, MostPageBytes);
        if ((Memory.PageGranularity & (Memory.PageGranularity - 1)) != 0)
            throw new CudaUnavailableException($"The CUDA driver answers {Memory.PageGranularity} for a granularity of memory; a power of two was expected.");
        Check("free memory, in bytes", Memory.MeasureFree(), 0, MostMemoryBytes);
    }

    private static void Check(string what, long found, long least, long most)
    {
        if (found < least || found > most) throw new CudaUnavailableException($"The CUDA driver answers {found} for {what}; {least} to {most} were expected.");
    }

    private void ThrowIfRecording()
    {
        if (_recording) throw new InvalidOperationException("Only launches can be recorded.");
    }

    private CudaFunction GetFunction(GpuKernel kernel)
    {
        if (_functions.TryGetValue(kernel, out CudaFunction? function)) return function;
        if (LoadCached(kernel) is { } cached) return cached;
        PtxModule ptx = CompileToPtx(kernel);
        return Keep(kernel, ptx, new CudaModule(_context, ptx.Text));
    }

    private string Key(GpuKernel kernel) => KernelCache.Key(kernel, _architecture, _driverVersion);

    private PtxModule CompileToPtx(GpuKernel kernel)
    {
        _compiler ??= new PtxCompiler(_architecture);
        PtxModule module = _compiler.Compile(kernel);
        return CanRun(kernel) ? module : throw new NotSupportedException(
            $"Kernel {kernel.Name} needs {kernel.SharedBytes} bytes of shared memory, of which the GPU has {_maxSharedBytes}, or a driver for CUDA 12.3 or later.");
    }

    /// <summary>The kernel as the cache has it; null where it does not, or has what this GPU refuses: another driver of the same version may have left that.</summary>
    private CudaFunction? LoadCached(GpuKernel kernel)
    {
        if (_cache?.Find(Key(kernel)) is not { } text) return null;
        try
        {
            return Add(kernel, new CudaModule(_context, Encoding.ASCII.GetString(text)));
        }
        catch (CudaException)
        {
            return null;
        }
    }

    private CudaFunction Keep(GpuKernel kernel, PtxModule ptx, CudaModule module)
    {
        _cache?.Store(Key(kernel), Encoding.ASCII.GetBytes(ptx.Text));
        return Add(kernel, module);
    }

    private CudaFunction Add(GpuKernel kernel, CudaModule module)
    {
        _modules.Add(module);
        bool startsEarly = kernel.StartsEarly && _architecture >= PtxCompiler.HopperArchitecture;
        return _functions[kernel] = module.GetFunction(kernel.EntryPoint, kernel.SharedBytes, startsEarly);
    }

    private sealed class Recording(CudaGraph graph, CudaStream stream) : IGpuRecording
    {
        public void Replay() => graph.Launch(stream);

        public void Dispose() => graph.Dispose();
    }
}
