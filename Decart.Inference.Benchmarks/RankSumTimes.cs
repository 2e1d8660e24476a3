using System.Diagnostics;
using System.Globalization;
using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Kernels.TensorParallel;
using Decart.Inference.Loading;
using Microsoft.Extensions.Logging.Abstractions;

namespace Decart.Inference.Benchmarks;

/// <summary>Time of a sum over several GPUs, as layers end with it, by the number of rows: many of them in a graph, one after the other.</summary>
internal static class RankSumTimes
{
    private const int SumsOfGraph = 100, Repetitions = 20;

    private static readonly int[] Batches = [1, 4, 16, 64, 256, 1024, 2048];

    /// <param name="arguments">The devices, "cuda:all" unless given, and the columns, 8,192 unless given.</param>
    public static void Print(string[] arguments)
    {
        Device device = arguments.Length > 0 ? Device.Parse(arguments[0]) : Device.AllCuda;
        int columns = arguments.Length > 1 ? int.Parse(arguments[1], CultureInfo.InvariantCulture) : 8192;
        DeviceChoice choice = DeviceChoice.Open(new LlmSessionOptions { Device = device }, NullLogger.Instance);
        using IBackend backend = choice.Backend;
        if (backend is not ParallelBackend several) throw new NotSupportedException($"{choice.Device} is one device, whose sums are its own.");
        Console.WriteLine($"{choice.Device}, {columns} columns");
        Console.WriteLine("| sum of | one shot, us | GB/s from each device | two shots, us | GB/s from each device | chosen |");
        Console.WriteLine("|---|---|---|---|---|---|");
        int ranks = several.Ranks.Count;
        foreach (int rows in Batches)
        {
            double halves = 2.0 * rows * columns, one = Measure(several, rows, columns, twoShot: false), two = Measure(several, rows, columns, twoShot: true);
            string chosen = GpuTwoShotSum.Pays((long)rows * columns * sizeof(ushort) / GpuMailbox.VectorBytes, ranks) ? "two" : "one";
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"| rows: {rows} | {one:f2} | {halves * (ranks - 1) / one / 1e3:f0} | {two:f2} | {3 * halves * (ranks - 1) / ranks / two / 1e3:f0} | {chosen} |"));
        }
    }

    /// <summary>Microseconds of a sum.</summary>
    private static double Measure(ParallelBackend backend, int rows, int columns, bool twoShot)
    {
        ((GpuRankExchange)backend.Exchange).TwoShotSums = twoShot;
        using ParallelActivations partial = (ParallelActivations)backend.Tensors.CreateActivations(rows, columns), sum = (ParallelActivations)backend.Tensors.CreateActivations(rows, columns);
        Batch batch = new();
        for (int row = 0; row < rows; row++) batch.Add(default, tokenId: 0, position: 0, wantsLogits: false);
        double best = double.MaxValue;
        for (int i = -2; i < Repetitions; i++)
        {
            backend.BeginStep(batch);
            backend.Wait();
            long start = Stopwatch.GetTimestamp();
            backend.Run(Sums);
            backend.Wait();
            if (i >= 0) best = Math.Min(best, Stopwatch.GetElapsedTime(start).TotalMicroseconds / SumsOfGraph);
        }
        return best;

        void Sums()
        {
            int rank = RankTeam.Current;
            for (int i = 0; i < SumsOfGraph; i++) backend.Exchange.Sum(rank, partial[rank], sum[rank], accumulate: true);
        }
    }
}
