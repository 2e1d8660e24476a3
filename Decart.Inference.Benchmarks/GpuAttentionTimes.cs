using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using Decart.Inference.Benchmarks.Devices;
using Decart.Inference.Benchmarks.Latency;
using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Kernels.Gpu.Compilation;
using Decart.Inference.Memory;

namespace Decart.Inference.Benchmarks;

/// <summary>
/// Time of attention on the first GPU, rotation included: of decode steps beside the time that copying the keys and values would take, as the launches
/// of all layers in one graph, and of prompts. Keys and values lie on pages, token by token with those of all layers side by side, as sequences have them.
/// </summary>
internal sealed class GpuAttentionTimes : IDisposable
{
    private const int MostLayers = 32, Repetitions = 9;
    private const long PatternBytes = 64 << 20;
    private const double KvShare = 0.9; // of the free memory

    private static readonly AttentionShape Grouped = new(Heads: 32, KvHeads: 8, HeadDim: 128, Scale: 0.088f), Plain = new(Heads: 32, KvHeads: 32, HeadDim: 128, Scale: 0.088f);

    private static readonly AttentionShape GroupedByEight = new(Heads: 64, KvHeads: 8, HeadDim: 128, Scale: 0.088f);

    private static readonly (string Name, AttentionShape Shape, int Batch, int Context)[] Steps =
    [
        ("8B", Grouped, 1, 1024), ("8B", Grouped, 8, 1024), ("8B", Grouped, 32, 1024), ("8B", Grouped, 64, 1024), ("8B", Grouped, 256, 1024),
        ("8B", Grouped, 1, 8192), ("8B", Grouped, 8, 8192), ("8B", Grouped, 32, 8192), ("8B", Grouped, 64, 8192), ("8B", Grouped, 1, 131_072),
        ("8B", Grouped, 64, 2048), ("8B", Grouped, 64, 16_384),
        ("7B", Plain, 1, 1024), ("7B", Plain, 16, 1024), ("7B", Plain, 64, 1024),
        ("70B", GroupedByEight, 64, 1024), ("70B", GroupedByEight, 192, 1024),
    ];

    private static readonly (string Name, AttentionShape Shape, int Tokens)[] Prompts =
        [("8B", Grouped, 2048), ("8B", Grouped, 8192), ("7B", Plain, 2048), ("7B", Plain, 8192)];

    private readonly GpuBackend _backend;
    private readonly CudaDevice _device;
    private readonly GpuBuffer _pattern;
    private readonly double _bandwidth;

    private readonly PagingMode _paging;

    private GpuAttentionTimes(int latestArchitecture, PagingMode paging, KvCacheType keysAndValues)
    {
        _paging = paging;
        _device = new CudaDevice(index: 0, KernelCache.Default) { LatestArchitecture = latestArchitecture };
        _backend = new GpuBackend(_device, keysAndValues);
        _pattern = new GpuBuffer(_device.Memory, PatternBytes);
        Half[] values = new Half[PatternBytes / sizeof(ushort)];
        Random random = new(1);
        // Powers of two, whose bytes are codes and which are scales.
        bool hasCodes = keysAndValues == KvCacheType.Fp8;
        for (int i = 0; i < values.Length; i++) values[i] = hasCodes ? (Half)MathF.ScaleB(1, random.Next(-14, 1)) : (Half)((random.NextSingle() * 2) - 1);
        _device.Upload(_pattern.Address, MemoryMarshal.AsBytes(values.AsSpan()));
        _bandwidth = CopyBandwidth.Measure(_device.Memory);
    }

    /// <summary>Prints tables.</summary>
    /// <param name="arguments">Unless the defaults are right, the latest architecture whose kernels are used (90), and how they find pages (hardware), and the form of keys and values (default).</param>
    public static void Print(string[] arguments)
    {
        int latestArchitecture = arguments.Length > 0 ? int.Parse(arguments[0], CultureInfo.InvariantCulture) : 90;
        PagingMode paging = arguments.Length > 1 ? Enum.Parse<PagingMode>(arguments[1], ignoreCase: true) : PagingMode.Hardware;
        KvCacheType keysAndValues = arguments.Length > 2 ? Enum.Parse<KvCacheType>(arguments[2], ignoreCase: true) : KvCacheType.Default;
        using GpuAttentionTimes times = new(latestArchitecture, paging, keysAndValues);
        Console.WriteLine(FormattableString.Invariant($"copy {times._bandwidth / 1e9:f0} GB/s (read + write)"));
        Console.WriteLine(FormattableString.Invariant($"kernels up to sm_{latestArchitecture}, {paging} paging, {keysAndValues} keys and values"));
        Console.WriteLine("| decode | layers | µs a layer | GB/s | share of the copy | TFLOP/s |");
        Console.WriteLine("|---|---|---|---|---|---|");
        foreach ((string name, AttentionShape shape, int batch, int context) in Steps) times.Decode(name, shape, batch, context);
        Console.WriteLine("| prompt | layers | µs a layer | TFLOP/s |");
        Console.WriteLine("|---|---|---|---|");
        foreach ((string name, AttentionShape shape, int tokens) in Prompts) times.Prompt(name, shape, tokens);
    }

    public void Dispose()
    {
        _pattern.Dispose();
        _backend.Dispose();
    }

    private void Decode(string name, AttentionShape shape, int batch, int context)
    {
        double bytes = (double)new KvLayout(1, shape.KvHeads, shape.HeadDim, _backend.KvElementBytes).LayerBytes * batch * context, operations = 4.0 * shape.Heads * shape.HeadDim * batch * context;
        (int layers, double seconds) = Measure(shape, [.. Enumerable.Repeat((context - 1, 1), batch)]);
        Console.WriteLine(FormattableString.Invariant(
            $"| {name}, batch {batch}, context {context} | {layers} | {seconds * 1e6:f1} | {bytes / seconds / 1e9:f0} | {bytes / seconds / _bandwidth:f2} | {operations / seconds / 1e12:f0} |"));
    }

    private void Prompt(string name, AttentionShape shape, int tokens)
    {
        double operations = 4.0 * shape.Heads * shape.HeadDim * tokens * (tokens + 1) / 2;
        (int layers, double seconds) = Measure(shape, [(0, tokens)]);
        Console.WriteLine(FormattableString.Invariant($"| {name}, {tokens} tokens | {layers} | {seconds * 1e6:f1} | {operations / seconds / 1e12:f0} |"));
    }

    /// <summary>Median seconds a layer, of as many layers as there is memory for, for chunks of sequences of their own (first position, tokens).</summary>
    private (int Layers, double Seconds) Measure(AttentionShape shape, (int First, int Length)[] chunks)
    {
        int rows = chunks.Sum(chunk => chunk.Length), tokens = chunks.Max(chunk => chunk.First + chunk.Length);
        KvLayout layout = new(MostLayers, shape.KvHeads, shape.HeadDim, _backend.KvElementBytes);
        long free = (long)(_device.Memory.MeasureFree() * KvShare);
        while (layout.Layers > 1 && Bytes() > free) layout = layout with { Layers = layout.Layers / 2 };
        using SequenceMemory memory = new(_device.Memory, layout, _paging, chunks.Length, tokens, Bytes());
        using Activations qkv = _backend.Tensors.CreateActivations(rows, (shape.Heads + (2 * shape.KvHeads)) * shape.HeadDim);
        using Activations y = _backend.Tensors.CreateActivations(rows, shape.Heads * shape.HeadDim, operand: true);
        Fill(((GpuActivations)qkv).Address, ((GpuActivations)qkv).RowBytes * rows);
        Batch batch = new();
        foreach ((int first, int length) in chunks)
        {
            KvCache sequence = memory.Rent(tokens);
            memory.Repeat(sequence, tokens, _pattern.Address, (int)(PatternBytes / layout.TokenBytes));
            batch.Add(sequence.View, new int[length], first, wantsLogits: true);
        }
        void Attend()
        {
            for (int layer = 0; layer < layout.Layers; layer++) _backend.Kernels.Attend(qkv, layer, shape, null, null, null, y);
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
            if (i >= 0) times[i] = Stopwatch.GetElapsedTime(start).TotalSeconds / layout.Layers;
        }
        Array.Sort(times);
        return (layout.Layers, times[Repetitions / 2]);

        long Bytes() => SequenceMemory.Bytes(_device.Memory, layout, _paging, chunks.Length, tokens);
    }

    /// <summary>Fills with random halves, or numbers that these are pairs of.</summary>
    private void Fill(nint address, long bytes)
    {
        for (long offset = 0; offset < bytes; offset += PatternBytes)
            _device.Memory.Copy(address + (nint)offset, _pattern.Address, Math.Min(PatternBytes, bytes - offset));
    }
}
