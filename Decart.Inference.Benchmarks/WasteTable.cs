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
    private const double KiB = 1024;

    private static readonly int[] Lengths = [1, 16, 100, 512, 1000, 2048, 4096];

    private static readonly (string Model, KvLayout Layout)[] Models =
    [
        ("Llama-3-8B", new KvLayout(Layers: 32, KvHeads: 8, HeadDim: 128, ElementBytes: 2)),
        ("Llama-2-7B", new KvLayout(Layers: 32, KvHeads: 32, HeadDim: 128, ElementBytes: 2)),
        ("Llama-2-70B", new KvLayout(Layers: 80, KvHeads: 8, HeadDim: 128, ElementBytes: 2)),
    ];

    /// <summary>Prints a table for each model on CUDA (16-bit) and on the CPU (float32), as Markdown.</summary>
    public static void Print()
    {
        foreach ((string model, KvLayout layout) in Models)
        {
            Print($"{model}, 16-bit, CUDA", PageGeometry.ForHardware(layout.TokenBytes, CudaGranularity));
            long floatBytes = (layout with { ElementBytes = sizeof(float) }).TokenBytes;
            Print($"{model}, float32, CPU", PageGeometry.ForHardware(floatBytes, Environment.SystemPageSize));
        }
    }

    private static void Print(string title, PageGeometry geometry)
    {
        Write($"**{title}**: a token takes {geometry.TokenBytes / KiB:N0} KiB, a page {geometry.PageBytes / KiB:N0} KiB ({(double)geometry.PageBytes / geometry.TokenBytes:0.#} tokens)\n");
        Write($"| tokens | pages | wasted: pages here, KiB | whole context, KiB | blocks of {BlockTokens}, KiB | pages here, share of what is held |");
        Write($"|---:|---:|---:|---:|---:|---:|");
        foreach (int tokens in Lengths)
        {
            long written = tokens * geometry.TokenBytes;
            int pages = geometry.PagesFor(Math.Min(tokens + Scheduler.TokensAhead, Context));
            long held = pages * geometry.PageBytes;
            long context = Context * geometry.TokenBytes;
            long blocks = (tokens + BlockTokens - 1) / BlockTokens * BlockTokens * geometry.TokenBytes;
            Write($"| {tokens:N0} | {pages:N0} | {(held - written) / KiB:N0} | {(context - written) / KiB:N0} | {(blocks - written) / KiB:N0} | {(double)(held - written) / held:P1} |");
        }
        Console.WriteLine();
    }

    private static void Write(FormattableString line) => Console.WriteLine(line.ToString(CultureInfo.InvariantCulture));
}
