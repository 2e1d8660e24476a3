using Decart.Inference.Kernels;
using Decart.Inference.Memory;
using Decart.Inference.Models;
using Decart.Inference.Tests.Kernels;

namespace Decart.Inference.Tests.Models;

/// <summary>Ways to run a decoder over token ids.</summary>
internal static class DecoderRuns
{
    /// <summary>The logits after the last token, the prompt taken in chunks.</summary>
    public static float[] Prefill(this Decoder decoder, KvView kv, ReadOnlySpan<int> tokens, int chunk = int.MaxValue, int firstPosition = 0)
    {
        Batch batch = new();
        for (int start = 0; start < tokens.Length; start += Math.Min(chunk, tokens.Length))
        {
            ReadOnlySpan<int> part = tokens[start..(int)Math.Min(tokens.Length, (long)start + chunk)];
            batch.Clear();
            batch.Add(kv, part, firstPosition + start, wantsLogits: start + part.Length == tokens.Length);
            decoder.Forward(batch);
        }
        return decoder.Logits(0);
    }

    public static float[] Logits(this Decoder decoder, int index)
    {
        float[] logits = new float[decoder.VocabularySize];
        decoder.ReadLogits(index, logits);
        return logits;
    }

    /// <summary>The hidden state of each token of a prompt, which is one batch.</summary>
    public static float[][] HiddenStates(this Decoder decoder, ReadOnlySpan<int> prompt)
    {
        using TestKv kv = new(decoder.KvLayout, prompt.Length);
        decoder.Prefill(kv.View, prompt);
        float[][] rows = [.. Enumerable.Range(0, prompt.Length).Select(_ => new float[decoder.Config.HiddenSize])];
        for (int row = 0; row < rows.Length; row++) decoder.ReadHidden(row, rows[row]);
        return rows;
    }

    /// <summary>The greedy continuation of one prompt and the logits after it.</summary>
    public static (int[] Tokens, float[] FirstLogits) Generate(
        this Decoder decoder, ReadOnlySpan<int> prompt, int count, int chunk = int.MaxValue, int tokensPerPage = 0)
    {
        using TestKv kv = new(decoder.KvLayout, prompt.Length + count, tokensPerPage);
        return decoder.Generate(kv.View, prompt, count, chunk);
    }

    /// <summary>The same with keys and values that lie elsewhere.</summary>
    public static (int[] Tokens, float[] FirstLogits) Generate(this Decoder decoder, KvView kv, ReadOnlySpan<int> prompt, int count, int chunk = int.MaxValue)
    {
        float[] first = decoder.Prefill(kv, prompt, chunk), logits = first;
        int[] tokens = new int[count];
        for (int i = 0; i < count; i++)
        {
            tokens[i] = ArgMax(logits);
            if (i + 1 < count) logits = decoder.Prefill(kv, [tokens[i]], firstPosition: prompt.Length + i);
        }
        return (tokens, first);
    }

    /// <summary>
    /// The greedy continuations of all prompts together: sequence i joins at step i, its prompt cut into chunks of
    /// <paramref name="chunk"/> tokens, so that batches mix prompt chunks and single tokens; with the logits after each prompt.
    /// </summary>
    public static (int[][] Tokens, float[][] FirstLogits) GenerateTogether(this Decoder decoder, int[][] prompts, int count, int chunk, int tokensPerPage = 0)
    {
        TestKv[] ranges = [.. prompts.Select(prompt => new TestKv(decoder.KvLayout, prompt.Length + count, tokensPerPage))];
        List<int>[] sequences = [.. prompts.Select(prompt => prompt.ToList())];
        int[] done = new int[prompts.Length];
        float[][] first = new float[prompts.Length][];
        Batch batch = new();
        for (int step = 0; Enumerable.Range(0, prompts.Length).Any(Unfinished); step++)
        {
            batch.Clear();
            List<int> asking = [];
            foreach (int i in Enumerable.Range(0, Math.Min(step + 1, prompts.Length)).Where(Unfinished))
            {
                int[] tokens = [.. sequences[i].Skip(done[i]).Take(chunk)];
                bool last = done[i] + tokens.Length == sequences[i].Count;
                batch.Add(ranges[i].View, tokens, done[i], last);
                done[i] += tokens.Length;
                if (last) asking.Add(i);
            }
            decoder.Forward(batch);
            for (int row = 0; row < asking.Count; row++)
            {
                float[] logits = decoder.Logits(row);
                first[asking[row]] ??= logits;
                sequences[asking[row]].Add(ArgMax(logits));
            }
        }
        foreach (TestKv range in ranges) range.Dispose();
        return ([.. sequences.Select((sequence, i) => sequence.Skip(prompts[i].Length).ToArray())], first);

        bool Unfinished(int i) => sequences[i].Count < prompts[i].Length + count;
    }

    public static float MaxDifference(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        Assert.That(a.Length, Is.EqualTo(b.Length));
        float largest = 0;
        for (int i = 0; i < a.Length; i++)
        {
            float difference = Math.Abs(a[i] - b[i]);
            if (!(difference <= largest)) largest = difference;
        }
        return largest;
    }

    public static int ArgMax(ReadOnlySpan<float> values)
    {
        int best = 0;
        for (int i = 1; i < values.Length; i++) if (values[i] > values[best]) best = i;
        return best;
    }
}
