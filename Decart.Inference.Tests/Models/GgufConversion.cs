using System.Runtime.InteropServices;
using Decart.Inference.Checkpoints;
using Decart.Inference.Models;
using Decart.Inference.Tests.Checkpoints;
using Decart.Inference.Tests.Kernels;

namespace Decart.Inference.Tests.Models;

/// <summary>
/// Turns a Hugging Face checkpoint into a GGUF file of float32 tensors, with the names, the metadata and the order of rows of
/// llama.cpp's converter.
/// </summary>
internal sealed class GgufConversion(string architecture, ModelConfig config, TensorSource source)
{
    private readonly GgufBytes _file = new();
    private readonly List<float> _data = [];

    /// <summary>Experts as one tensor each, as files of 2023 have them.</summary>
    public bool SeparateExperts { get; init; }

    /// <summary>Factor on cosines and sines beside that of YaRN; 1 is not written.</summary>
    public float AttentionFactor { get; init; } = 1;

    /// <summary>Adds further metadata.</summary>
    public Action<GgufBytes>? More { get; init; }

    public byte[] Convert()
    {
        WriteMetadata();
        WeightNames names = config.Names;
        Copy("token_embd.weight", names.Embedding + ".weight", config.VocabularySize, config.HiddenSize);
        if (!config.TiedEmbeddings) Copy("output.weight", names.Output + ".weight", config.VocabularySize, config.HiddenSize);
        CopyNorm("output_norm", names.FinalNorm, config.HiddenSize);
        if (config.Rotary?.Scaling == RotaryScaling.Llama3) WriteFrequencyDivisors(config.Rotary);
        for (int layer = 0; layer < config.Layers; layer++) WriteLayer($"blk.{layer}.", names.InLayer(layer, ""));
        byte[] file = _file.Compose(_data.Count * sizeof(float));
        MemoryMarshal.AsBytes(CollectionsMarshal.AsSpan(_data)).CopyTo(file.AsSpan(file.Length - _data.Count * sizeof(float)));
        return file;
    }

    private void WriteMetadata()
    {
        _file.Add("general.architecture", GgufValueKind.String, writer => GgufBytes.WriteString(writer, architecture));
        _file.AddArray("tokenizer.ggml.tokens", GgufValueKind.String, (ulong)config.VocabularySize, writer =>
        {
            for (int i = 0; i < config.VocabularySize; i++) GgufBytes.WriteString(writer, $"token {i}");
        });
        More?.Invoke(_file);
        Integer("context_length", config.ContextLength);
        Integer("embedding_length", config.HiddenSize);
        Integer("feed_forward_length", config.IntermediateSize);
        Integer("block_count", config.Layers);
        Integer("attention.head_count", config.Heads);
        Integer("attention.head_count_kv", config.KvHeads);
        Integer("attention.key_length", config.HeadDim);
        Integer("attention.value_length", config.HeadDim);
        Number(config.LayerNorm ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon", config.NormEpsilon);
        if (config.Windows[0] != 0) Integer("attention.sliding_window", config.Windows[0]);
        if (config.AttentionSoftCap != 0) Number("attn_logit_softcapping", config.AttentionSoftCap);
        if (config.LogitSoftCap != 0) Number("final_logit_softcapping", config.LogitSoftCap);
        if (config.Rotary is { } rotary) WriteRotary(rotary);
        if (config.Experts is not { } experts) return;
        Integer("expert_count", experts.Count);
        Integer("expert_used_count", experts.PerToken);
        if (architecture != "llama") Integer("expert_feed_forward_length", experts.IntermediateSize);
    }

    private void WriteRotary(RotaryConfig rotary)
    {
        Number("rope.freq_base", (float)rotary.Theta);
        Integer("rope.dimension_count", rotary.Dimensions);
        if (AttentionFactor != 1) Number("rope.scaling.attn_factor", AttentionFactor);
        if (rotary.Scaling is not (RotaryScaling.Linear or RotaryScaling.Yarn)) return;
        string type = rotary.Scaling == RotaryScaling.Yarn ? "yarn" : "linear";
        _file.Add($"{architecture}.rope.scaling.type", GgufValueKind.String, writer => GgufBytes.WriteString(writer, type));
        Number("rope.scaling.factor", (float)rotary.Factor);
        Integer("rope.scaling.original_context_length", rotary.OriginalContextLength);
    }

    private void WriteFrequencyDivisors(RotaryConfig rotary)
    {
        float[] scaled = rotary.ToParameters().InverseFrequencies;
        float[] plain = (rotary with { Scaling = RotaryScaling.None }).ToParameters().InverseFrequencies;
        Write("rope_freqs.weight", [.. plain.Zip(scaled, (a, b) => a / b)], scaled.Length);
    }

    private void WriteLayer(string to, string from)
    {
        WeightNames names = config.Names;
        bool sandwich = config.Arrangement == BlockArrangement.Sandwich, twoNorms = config.Arrangement == BlockArrangement.ParallelTwoNorms;
        CopyNorm(to + (twoNorms ? "attn_norm_2" : "attn_norm"), from + names.AttentionNorm, config.HiddenSize);
        if (config.Arrangement != BlockArrangement.Parallel)
        {
            CopyNorm(to + (twoNorms ? "attn_norm" : "ffn_norm"), from + names.FeedForwardNorm, config.HiddenSize);
        }
        if (sandwich)
        {
            CopyNorm(to + "post_attention_norm", from + names.PostAttentionNorm, config.HiddenSize);
            CopyNorm(to + "post_ffw_norm", from + names.PostFeedForwardNorm, config.HiddenSize);
        }
        if (config.QueryKeyNorm)
        {
            CopyNorm(to + "attn_q_norm", from + names.QueryNorm, config.HeadDim);
            CopyNorm(to + "attn_k_norm", from + names.KeyNorm, config.HeadDim);
        }
        WriteQueryKeyValue(to, from);
        CopyLinear(to + "attn_output", from + names.AttentionOutput, config.HiddenSize, config.Heads * config.HeadDim, config.AttentionOutputBias);
        if (config.Experts is { } experts) WriteExperts(to, from, experts);
        else WriteFeedForward(to, from);
    }

    private void WriteQueryKeyValue(string to, string from)
    {
        int[] rows = [config.Heads * config.HeadDim, config.KvHeads * config.HeadDim, config.KvHeads * config.HeadDim];
        if (config.Names.QueryKeyValue.Length == 1)
        {
            Func<int, int>? order = config.Names.GroupedQueryKeyValue ? UngroupedRow : null;
            CopyLinear(to + "attn_qkv", from + config.Names.QueryKeyValue[0], rows.Sum(), config.HiddenSize, config.QueryKeyValueBias, order);
            return;
        }
        string[] stems = ["attn_q", "attn_k", "attn_v"];
        for (int i = 0; i < stems.Length; i++)
        {
            Func<int, int>? order = architecture == "llama" && i < 2 ? InterleavedRow : null;
            CopyLinear(to + stems[i], from + config.Names.QueryKeyValue[i], rows[i], config.HiddenSize, config.QueryKeyValueBias, order);
        }
    }

    /// <summary>Row r of a head in the file is row r / 2 of its first half for even r, of its second half for odd r.</summary>
    private int InterleavedRow(int row)
    {
        int head = row / config.HeadDim, within = row % config.HeadDim;
        return head * config.HeadDim + within % 2 * (config.HeadDim / 2) + within / 2;
    }

    /// <summary>All queries, all keys, all values, from groups of queries, key and value.</summary>
    private int UngroupedRow(int row)
    {
        int head = row / config.HeadDim, within = row % config.HeadDim, perGroup = config.Heads / config.KvHeads;
        (int group, int place) = head < config.Heads
            ? (head / perGroup, head % perGroup)
            : ((head - config.Heads) % config.KvHeads, perGroup + (head - config.Heads) / config.KvHeads);
        return (group * (perGroup + 2) + place) * config.HeadDim + within;
    }

    private void WriteFeedForward(string to, string from)
    {
        bool fused = config.Gated && config.Names.GateUp.Length == 1;
        string[] stems = config.Names.GateUp.Length == 1 ? ["ffn_up"] : ["ffn_gate", "ffn_up"];
        for (int i = 0; i < stems.Length; i++)
        {
            int rows = config.IntermediateSize * (fused ? 2 : 1);
            CopyLinear(to + stems[i], from + config.Names.GateUp[i], rows, config.HiddenSize, config.FeedForwardBias);
        }
        CopyLinear(to + "ffn_down", from + config.Names.Down, config.HiddenSize, config.IntermediateSize, config.FeedForwardBias);
    }

    private void WriteExperts(string to, string from, ExpertsConfig experts)
    {
        Copy(to + "ffn_gate_inp.weight", from + config.Names.Router + ".weight", experts.Count, config.HiddenSize);
        string[] stems = ["ffn_gate", "ffn_up", "ffn_down"];
        for (int part = 0; part < stems.Length; part++)
        {
            (int rows, int columns) = part < 2 ? (experts.IntermediateSize, config.HiddenSize) : (config.HiddenSize, experts.IntermediateSize);
            float[][] tensors = [.. Enumerable.Range(0, experts.Count).Select(expert => Read(
                from + string.Format(null, config.Names.ExpertGateUpDown[part], expert) + ".weight", rows, columns))];
            if (!SeparateExperts) Write($"{to}{stems[part]}_exps.weight", [.. tensors.SelectMany(tensor => tensor)], experts.Count, rows, columns);
            else for (int expert = 0; expert < experts.Count; expert++) Write($"{to}{stems[part]}.{expert}.weight", tensors[expert], rows, columns);
        }
    }

    private void CopyLinear(string to, string from, int rows, int columns, bool bias, Func<int, int>? order = null)
    {
        Copy(to + ".weight", from + ".weight", rows, columns, order);
        if (bias) Write(to + ".bias", Reordered(Read(from + ".bias", rows), 1, order), rows);
    }

    private void CopyNorm(string to, string from, int length)
    {
        Write(to + ".weight", [.. Read(from + ".weight", length).Select(scale => scale + config.NormOffset)], length);
        if (config.LayerNorm) Write(to + ".bias", Read(from + ".bias", length), length);
    }

    private void Copy(string to, string from, int rows, int columns, Func<int, int>? order = null) =>
        Write(to, Reordered(Read(from, rows, columns), columns, order), rows, columns);

    private static float[] Reordered(float[] values, int columns, Func<int, int>? order) => order is null
        ? values
        : [.. Enumerable.Range(0, values.Length / columns).SelectMany(row => values.Skip(order(row) * columns).Take(columns))];

    private float[] Read(string name, params long[] shape)
    {
        StoredTensor tensor = source.Require(name, shape);
        return [.. Enumerable.Range(0, (int)tensor.Rows).SelectMany(row => ReferenceWeight.Widen(tensor, row)).Select(value => (float)value)];
    }

    private void Write(string name, float[] values, params int[] shape)
    {
        const uint F32 = 0;
        _file.AddTensor(name, F32, (ulong)_data.Count * sizeof(float), [.. shape.Reverse().Select(dimension => (ulong)dimension)]);
        _data.AddRange(values);
        while (_data.Count % (_file.Alignment / sizeof(float)) != 0) _data.Add(0);
    }

    private void Integer(string field, int value) => _file.Add($"{architecture}.{field}", GgufValueKind.UInt32, writer => writer.Write(value));

    private void Number(string field, float value) => _file.Add($"{architecture}.{field}", GgufValueKind.Single, writer => writer.Write(value));
}
