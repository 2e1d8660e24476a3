using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Kernels.Gpu.Compilation;
using Decart.Inference.Sampling;

namespace Decart.Inference.Benchmarks;

/// <summary>
/// Time to choose the tokens of one step on the first GPU, from logits of a vocabulary of 128,256 (Llama 3), by what is asked and the number of rows; on
/// peaked distributions (some hundred tokens matter) and flat ones (all do).
/// </summary>
internal static class GpuSamplingTimes
{
    private const int Vocabulary = 128_256, Repetitions = 200;

    private static readonly int[] Batches = [1, 16, 64, 256];

    private static readonly (string Name, GenerationOptions Options)[] Settings =
    [
        ("greedy", new() { Temperature = 0 }),
        ("temperature", new()),
        ("top-k 40", new() { TopK = 40 }),
        ("top-k 2000", new() { TopK = 2000 }),
        ("top-p 0.95", new() { TopP = 0.95f }),
        ("min-p 0.05", new() { MinP = 0.05f }),
        ("top-k 40, top-p 0.9, penalties", new() { TopK = 40, TopP = 0.9f, RepetitionPenalty = 1.01f }),
    ];

    public static void Print()
    {
        using CudaDevice device = new(index: 0, KernelCache.Default);
        using GpuSampler sampler = new(device);
        Console.WriteLine($"| µs a step | {string.Join(" | ", Batches.Select(rows => $"{rows} rows"))} |");
        Console.WriteLine($"|---|{string.Concat(Batches.Select(_ => "---|"))}");
        foreach ((string kind, float spread) in (ReadOnlySpan<(string, float)>)[("peaked", 2), ("flat", 0.1f)])
        {
            using GpuActivations logits = Logits(device, spread, Batches.Max());
            foreach ((string name, GenerationOptions options) in Settings)
            {
                IEnumerable<double> times = Batches.Select(rows => Measure(device, sampler, logits, options, rows));
                Console.WriteLine($"| {kind}, {name} | {string.Join(" | ", times.Select(time => time.ToString("f1", CultureInfo.InvariantCulture)))} |");
            }
        }
    }

    /// <summary>Microseconds a step of many that are started one after the other.</summary>
    private static double Measure(CudaDevice device, GpuSampler sampler, GpuActivations logits, GenerationOptions options, int rows)
    {
        SamplingParameters parameters = SamplingParameters.Resolve(options with { Seed = 1 }, new());
        SampledRow[] sampled = [.. from row in Enumerable.Range(0, rows) select new SampledRow(row, sampler.CreateSampler(parameters, [1], Vocabulary)!, 0)];
        long start = 0;
        for (int i = -10; i < Repetitions; i++)
        {
            if (i == 0)
            {
                device.Synchronize();
                start = Stopwatch.GetTimestamp();
            }
            sampler.Sample(logits, sampled);
        }
        device.Synchronize();
        double time = Stopwatch.GetElapsedTime(start).TotalMicroseconds / Repetitions;
        foreach (SampledRow row in sampled) row.Sampler.Dispose();
        return time;
    }

    private static GpuActivations Logits(CudaDevice device, float spread, int rows)
    {
        Random random = new(1);
        GpuActivations logits = new(device, rows, Vocabulary, operand: false);
        float[] row = new float[Vocabulary];
        for (int i = 0; i < rows; i++)
        {
            foreach (ref float logit in row.AsSpan()) logit = (random.NextSingle() + random.NextSingle() + random.NextSingle() - 1.5f) * 2 * spread;
            for (int j = 0; j < 50; j++) row[random.Next(Vocabulary)] += spread * (3 + (6 * random.NextSingle()));
            device.Upload(logits.Address + (nint)(i * logits.RowBytes), MemoryMarshal.AsBytes(row.AsSpan()));
        }
        return logits;
    }
}
