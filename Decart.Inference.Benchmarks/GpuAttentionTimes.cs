using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Kernels.Gpu.Compilation;
using Decart.Inference.Memory;

namespace Decart.Inference.Benchmarks;

/// <summary>
/// Time of attention on the first GPU, rotation included: of decode steps beside the time that copying the keys and values would take, as the launches
/// of all layers in one graph, and of prompts. Keys and values lie token by token with those of all layers side by side, as sequences have them.
/// </summary>
internal sealed class GpuAttentionTimes : IDisposable
{
    private const int Layers = 32, Repetitions = 9;
    private const long PatternBytes = 64 << 20;

    private static readonly AttentionShape Grouped = new(Heads: 32, KvHeads: 8, HeadDim: 128, Scale: 0.088f), Plain = new(Heads: 32, KvHeads: 32, HeadDim: 128, Scale: 0.088f);

    private static readonly (string Name, AttentionShape Shape, int Batch, int Context)[] Steps =
    [
        ("8B", Grouped, 1, 1024), ("8B", Grouped, 8, 1024), ("8B", Grouped, 32, 1024), ("8B", Grouped, 64, 1024), ("8B", Grouped, 256, 1024),
        ("8B", Grouped, 1, 8192), ("8B", Grouped, 8, 8192), ("8B", Grouped, 32, 8192), ("8B", Grouped, 64, 8192), ("8B", Grouped, 1, 131_072),
        ("7B", Plain, 1, 1024), ("7B", Plain, 16, 1024), ("7B", Plain, 64, 1024),
    ];

    private static readonly (string Name, AttentionShape Shape, int Tokens)[] Prompts =
        [("8B", Grouped, 2048), ("8B", Grouped, 8192), ("7B", Plain, 2048), ("7B", Plain, 8192)];

    private readonly GpuBackend _backend;
    private readonly CudaDevice _device;
    private readonly GpuBuffer _pattern;
    private readonly double _bandwidth;

    private GpuAttentionTimes(int latestArchitecture)
    {
        _device = new CudaDevice(index: 0, KernelCache.Default) { LatestArchitecture = latestArchitecture };
        _backend = new GpuBackend(_device);
        _pattern = new GpuBuffer(_device.Memory, PatternBytes);
        Half[] values = new Half[PatternBytes / sizeof(ushort)];
        Random random = new(1);
        for (int i = 0; i < values.Length; i++) values[i] = (Half)((random.NextSingle() * 2) - 1);
        _device.Upload(_pattern.Address, MemoryMarshal.AsBytes(values.AsSpan()));
        _bandwidth = CopyBandwidth.Measure(_device.Memory);
    }

    /// <summary>Prints tables.</summary>
    /// <param name="arguments">The latest architecture whose kernels are used, 90 unless it is there.</param>
    public static void Print(string[] arguments)
    {
        using GpuAttentionTimes times = new(arguments.Length > 0 ? int.Parse(arguments[0], CultureInfo.InvariantCulture) : 90);
        Console.WriteLine(FormattableString.Invariant($"copy {times._bandwidth / 1e9:f0} GB/s (read + write)"));
        Console.WriteLine("| decode | µs a layer | GB/s | share |");
        Console.WriteLine("|---|---|---|---|");
        foreach ((string name, AttentionShape shape, int batch, int context) in Steps) times.Decode(name, shape, batch, context);
        Console.WriteLine("| prompt | µs a layer | TFLOP/s |");
        Console.WriteLine("|---|---|---|");
        foreach ((string name, AttentionShape shape, int tokens) in Prompts) times.Prompt(name, shape, tokens);
    }

    public void Dispose()
    {
        _pattern.Dispose();
        _backend.Dispose();
    }

    private void Decode(string name, AttentionShape shape, int batch, int context)
    {
        KvLayout layout = new(Layers, shape.KvHeads, shape.HeadDim, GpuKernels.KvBytes);
        double bytes = (double)batch * context * layout.TokenBytes / Layers;
        double seconds = Measure(shape, layout, [.. Enumerable.Repeat((context - 1, 1), batch)]);
        Console.WriteLine(FormattableString.Invariant(
            $"| {name}, batch {batch}, context {context} | {seconds * 1e6:f1} | {bytes / seconds / 1e9:f0} | {bytes / seconds / _bandwidth:f2} |"));
    }

    private void Prompt(string name, AttentionShape shape, int tokens)
    {
        double operations = 4.0 * shape.Heads * shape.HeadDim * tokens * (tokens + 1) / 2;
        double seconds = Measure(shape, new KvLayout(Layers, shape.KvHeads, shape.HeadDim, GpuKernels.KvBytes), [(0, tokens)]);
        Console.WriteLine(FormattableString.Invariant($"| {name}, {tokens} tokens | {seconds * 1e6:f1} | {operations / seconds / 1e12:f0} |"));
    }

    /// <summary>Median seconds a layer for chunks of sequences of their own (first position, tokens).</summary>
    private double Measure(AttentionShape shape, KvLayout layout, (int First, int Length)[] chunks)
    {
        int rows = chunks.Sum(chunk => chunk.Length), tokens = chunks.Max(chunk => chunk.First + chunk.Length);
        using GpuBuffer memory = new(_device.Memory, chunks.Length * tokens * layout.TokenBytes);
        using Activations qkv = _backend.Tensors.CreateActivations(rows, (shape.Heads + (2 * shape.KvHeads)) * shape.HeadDim);
        using Activations y = _backend.Tensors.CreateActivations(rows, shape.Heads * shape.HeadDim, operand: true);
        Fill(memory.Address, memory.Bytes);
        Fill(((GpuActivations)qkv).Address, ((GpuActivations)qkv).RowBytes * rows);
        Batch batch = new();
        for (int i = 0; i < chunks.Length; i++)
            batch.Add(new KvView(memory.Address + (nint)(i * tokens * layout.TokenBytes), layout.TokenStride), new int[chunks[i].Length], chunks[i].First, wantsLogits: true);
        void Attend()
        {
            for (int layer = 0; layer < Layers; layer++) _backend.Kernels.Attend(qkv, layer, shape, null, null, null, y);
        }
        Action operations = Attend;
        double[] times = new double[Repetitions];
        for (int i = -2; i < Repetitions; i++)
        {
            _backend.BeginStep(batch);
            _device.Synchronize();
            long start = Stopwatch.GetTimestamp();
            _backend.Run(operations);
            _device.Synchronize();
            if (i >= 0) times[i] = Stopwatch.GetElapsedTime(start).TotalSeconds / Layers;
        }
        Array.Sort(times);
        return times[Repetitions / 2];
    }

    /// <summary>Fills with random halves, or numbers that these are pairs of.</summary>
    private void Fill(nint address, long bytes)
    {
        for (long offset = 0; offset < bytes; offset += PatternBytes)
            _device.Memory.Copy(address + (nint)offset, _pattern.Address, Math.Min(PatternBytes, bytes - offset));
    }
}
