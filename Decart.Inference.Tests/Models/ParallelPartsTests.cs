using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Kernels.TensorParallel;
using Decart.Inference.Models;
using Decart.Inference.Tests.Kernels.Gpu;

namespace Decart.Inference.Tests.Models;

/// <summary>Products of long steps on several GPUs, whose sums are sent in parts while others are multiplied.</summary>
[TestFixtureSource(typeof(ParallelDevices), nameof(ParallelDevices.Gpus))]
[CancelAfter(120_000)]
internal sealed class ParallelPartsTests(string kind, int count)
{
    /// <summary>Two parts, of which the second fills no block.</summary>
    private const int Tokens = 400;

    /// <summary>Sums that norms and products read, that other operations read, and of two products at once: with the bits of sums of all rows.</summary>
    [Test]
    public void Parts_change_no_bit()
    {
        float[][] expected = Run(leastPartedRows: int.MaxValue, out int none), found = Run(leastPartedRows: 1, out int copies);
        for (int row = 0; row < expected.Length; row++) Assert.That(found[row], Is.EqualTo(expected[row]).And.Some.Not.Zero.And.None.NaN, $"row {row}");
        // Three sums are sent, in two parts, with a flag each, by each rank to each other one.
        if (kind == "emulated") Assert.That((none, copies), Is.EqualTo((0, 3 * 2 * 2 * count * (count - 1))));
    }

    /// <summary>The residual after some products, and how often something was copied beside.</summary>
    private float[][] Run(int leastPartedRows, out int copies)
    {
        var json = TinyModels.Config("llama");
        (json["num_hidden_layers"], json["hidden_size"], json["intermediate_size"], json["num_attention_heads"], json["num_key_value_heads"]) = (1, 96, 192, 12, 12);
        ModelConfig config = TinyCheckpoint.Read(json);
        using ParallelBackend backend = (ParallelBackend)ParallelDevices.Create(kind, count);
        ((GpuRankExchange)backend.Exchange).LeastPartedRows = leastPartedRows;
        backend.Divide(new ModelShape(config.Heads, config.KvHeads, config.HeadDim, BlockLength: 1));
        using RandomTensors source = new("random", seed: 5);
        using DecoderWeights weights = new(source, config, backend.Tensors, CancellationToken.None);
        using Activations residual = backend.Tensors.CreateActivations(Tokens, config.HiddenSize), normalised = backend.Tensors.CreateActivations(Tokens, config.HiddenSize, operand: true);
        using Activations inner = backend.Tensors.CreateActivations(Tokens, config.IntermediateSize, operand: true, Split.Features);
        Batch batch = new();
        batch.Add(default, [.. Enumerable.Range(0, Tokens).Select(i => i * 7 % config.VocabularySize)], firstPosition: 0, wantsLogits: false);
        backend.BeginStep(batch);
        backend.Run(() =>
        {
            LayerWeights layer = weights.Layers[0];
            backend.Kernels.Embed(weights.Embedding, scale: 1, residual);
            for (int i = 0; i < 2; i++)
            {
                GateUp();
                Down(more: false);
            }
            GateUp();
            Down(more: true);
            Down(more: false);
            GateUp();
            Down(more: false);
            backend.Kernels.Normalise(layer.FeedForwardNorm!, residual, normalised);

            void GateUp() => backend.Kernels.MatMul(residual, layer.FeedForwardNorm, layer.FeedForward!.GateUp, new Epilogue(null, config.Activation, config.Gated), inner);
            void Down(bool more) => backend.Kernels.MatMul(inner, norm: null, layer.FeedForward!.Down, new Epilogue(Accumulate: true, More: more), residual);
        });
        backend.Wait();
        float[][] rows = new float[Tokens][];
        for (int row = 0; row < Tokens; row++) backend.Read(residual, row, rows[row] = new float[config.HiddenSize]);
        copies = backend.Ranks.Sum(rank => ((GpuBackend)rank).Device is EmulatedDevice device ? device.Copies : 0);
        return rows;
    }
}
