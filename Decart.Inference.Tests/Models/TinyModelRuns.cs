using System.Text.Json.Nodes;
using Decart.Inference.Kernels;
using Decart.Inference.Models;

namespace Decart.Inference.Tests.Models;

/// <summary>The logits of a few prompts on tiny models with random weights, computed together or one by one.</summary>
internal static class TinyModelRuns
{
    private const int MaxBatchTokens = 16;

    private static readonly int[][] Prompts = [[5, 17, 90, 3, 3, 41, 8], [2], [11, 64]];

    /// <summary>Loads a model on a device, which it disposes of, and runs the prompts.</summary>
    public static float[][] Run(string model, IBackend owned, Func<Decoder, KvRanges, float[][]> run) => Run(TinyModels.Config(model), owned, run);

    /// <inheritdoc cref="Run(string, IBackend, Func{Decoder, KvRanges, float[][]})"/>
    public static float[][] Run(JsonNode config, IBackend owned, Func<Decoder, KvRanges, float[][]> run)
    {
        using IBackend backend = owned;
        string folder = TinyModels.WriteFolder(config);
        try
        {
            using Decoder decoder = Decoders.LoadRandom(folder, backend, MaxBatchTokens, Prompts.Length, seed: 5);
            using KvRanges ranges = new(backend, decoder.KvLayout, Prompts.Length, MaxBatchTokens);
            return run(decoder, ranges);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>
    /// The logits after the first prompt; then, in one batch, after the second prompt, one more token of the first, and the third prompt.
    /// </summary>
    public static float[][] Together(Decoder decoder, KvRanges ranges)
    {
        float[] first = decoder.Prefill(ranges[0], Prompts[0]);
        Batch batch = new();
        batch.Add(ranges[1], Prompts[1], 0, wantsLogits: true);
        batch.Add(ranges[0], [7], Prompts[0].Length, wantsLogits: true);
        batch.Add(ranges[2], Prompts[2], 0, wantsLogits: true);
        decoder.Forward(batch);
        return [first, decoder.Logits(0), decoder.Logits(1), decoder.Logits(2)];
    }

    /// <summary>The same, one prompt at a time and in chunks.</summary>
    public static float[][] Alone(Decoder decoder, KvRanges ranges) =>
    [
        decoder.Prefill(ranges[0], Prompts[0], chunk: 3),
        decoder.Prefill(ranges[1], Prompts[1]),
        decoder.Prefill(ranges[0], [7], firstPosition: Prompts[0].Length),
        decoder.Prefill(ranges[2], Prompts[2], chunk: 1),
    ];
}
