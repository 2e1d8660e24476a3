using System.Globalization;
using Decart.Inference.Engine;
using Decart.Inference.Memory;

namespace Decart.Inference.Benchmarks;

/// <summary>
/// Memory that a sequence holds and has not written, by its length, in three layouts: pages as the library lays them, the page ahead of need included;
/// the whole context reserved at the start; blocks of 16 tokens. Arithmetic only: nothing is measured.
/// </summary>
internal static class WasteTable
{
    private const int Context = 4096, BlockTokens = 16;
    private const long CudaGranularity = 2 << 20;

    private static readonly int[] Lengths = [1, 16, 100, 512, 1000, 2048, 4096];

    private static readonly (string Model, KvLayout Layout)[] Models =
    [
        ("Llama-3-8B", new KvLayout(Layers: 32, KvHeads: 8, HeadDim: 128, ElementBytes: 2)),
        ("Llama-2-7B", new KvLayout(Layers: 32, KvHeads: 32, HeadDim: 128, ElementBytes: 2)),
        ("Llama-2-70B", new KvLayout(Layers: 80, KvHeads: 8, HeadDim: 128, ElementBytes: 2)),
    ];

    /// <summary>Prints a Markdown table in KiB: for each model on CUDA (16-bit) and on the CPU (float32) a row for each layout, a column for each length.</summary>
    public static void Print()
    {
        Console.WriteLine($"| model | layout | {string.Join(" | ", Lengths.Select(length => length.ToString("N0", CultureInfo.InvariantCulture)))} |");
        Console.WriteLine($"|---|---|{string.Concat(Enumerable.Repeat("---:|", Lengths.Length))}");
        foreach ((string model, KvLayout layout) in Models)
        {
            PrintRows($"{model}, 16-bit, CUDA", PageGeometry.ForHardware(layout.TokenBytes, CudaGranularity));
            long floatBytes = (layout with { ElementBytes = sizeof(float) }).TokenBytes;
            PrintRows($"{model}, float32, CPU", PageGeometry.ForHardware(floatBytes, Environment.SystemPageSize));
        }
    }

    private static void PrintRows(string model, PageGeometry geometry)
    {
        string tokensOfPage = ((double)geometry.PageBytes / geometry.TokenBytes).ToString("0.#", CultureInfo.InvariantCulture);
        PrintRow($"{model}: token {KiB(geometry.TokenBytes)}", $"pages of {KiB(geometry.PageBytes)} ({tokensOfPage} tokens)", Pages);
        PrintRow("", $"blocks of {BlockTokens} tokens", Blocks);
        PrintRow("", "whole context", tokens => Context * geometry.TokenBytes);

        long Pages(int tokens) => geometry.PagesFor(Math.Min(tokens + Scheduler.TokensAhead, Context)) * geometry.PageBytes;

        long Blocks(int tokens) => (tokens + BlockTokens - 1) / BlockTokens * BlockTokens * geometry.TokenBytes;

        void PrintRow(string first, string second, Func<int, long> held) =>
            Console.WriteLine($"| {first} | {second} | {string.Join(" | ", Lengths.Select(tokens => KiB(held(tokens) - (tokens * geometry.TokenBytes))))} |");
    }

    private static string KiB(long bytes) => (bytes / 1024).ToString("N0", CultureInfo.InvariantCulture);
}
