using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels;
using Decart.Inference.Memory;

namespace Decart.Inference.Tests.Kernels;

/// <summary>Every operation as plain loops over doubles: what the devices' kernels are measured against.</summary>
internal sealed class ReferenceBackend : IBackend, ITensorFactory, IKernels
{
    private Batch _batch = new();

    public IDeviceMemory Memory { get; } = new HostMemory();

    public bool ReadsWeightsInPlace => true;

    public int KvElementBytes => sizeof(double);

    public ITensorFactory Tensors => this;

    public IKernels Kernels => this;

    public Weight CreateWeight(WeightParts parts) => new ReferenceWeight([.. parts.Tensors]);

    public WeightVector CreateVector(VectorParts parts, float offset = 0)
    {
        List<double> values = [];
        foreach (StoredTensor part in parts.Tensors)
        {
            for (long row = 0; row < part.Rows; row++) values.AddRange(ReferenceWeight.Widen(part, row).Select(value => value + offset));
        }
        return new ReferenceVector([.. values]);
    }

    public RotaryTable CreateRotary(RotaryParameters parameters) => new ReferenceRotary(parameters);

    public Activations CreateActivations(int rows, int columns, bool operand = false, Split split = Split.None) => new ReferenceActivations(rows, columns);

    public void BeginStep(Batch batch) => _batch = batch;

    public void Read(WeightVector vector, Span<float> destination)
    {
        for (int i = 0; i < vector.Length; i++) destination[i] = (float)((ReferenceVector)vector).Values[i];
    }

    public void Embed(Weight table, float scale, Activations x)
    {
        for (int row = 0; row < _batch.TokenCount; row++)
        {
            double[] embedding = ((ReferenceWeight)table).Row(_batch.TokenIds[row]);
            for (int i = 0; i < embedding.Length; i++) Row(x, row)[i] = embedding[i] * scale;
        }
    }

    public void Normalise(Norm norm, Activations x, Activations y)
    {
        for (int row = 0; row < _batch.TokenCount; row++) Normalise(norm, Row(x, row), Row(y, row));
    }

    public void NormaliseAdd(Norm norm, Activations delta, Activations residual)
    {
        double[] normalised = new double[delta.Columns];
        for (int row = 0; row < _batch.TokenCount; row++)
        {
            Normalise(norm, Row(delta, row), normalised);
            for (int i = 0; i < normalised.Length; i++) Row(residual, row)[i] += normalised[i];
        }
    }

    public void MatMul(Activations x, Norm? norm, Weight weight, in Epilogue epilogue, Activations y) =>
        MatMul(Normalised(norm, x, [.. Enumerable.Range(0, _batch.TokenCount)]), weight, epilogue, y);

    public void Logits(Activations x, Norm norm, Weight weight, in Epilogue epilogue, Activations y) =>
        MatMul(Normalised(norm, x, _batch.LogitRows), weight, epilogue, y);

    public void Attend(Activations qkv, int layer, AttentionShape shape, RotaryTable? rotary, Norm? queryNorm, Norm? keyNorm, Activations y)
    {
        RotaryStore(qkv, layer, shape, rotary, queryNorm, keyNorm);
        Attend(qkv, layer, shape, y);
    }

    public void MixExperts(Activations x, Activations routerLogits, Experts experts, Activations y)
    {
        double[][] rows = Normalised(norm: null, x, [.. Enumerable.Range(0, _batch.TokenCount)]);
        for (int row = 0; row < rows.Length; row++)
        {
            double[] probabilities = Row(routerLogits, row).ToArray();
            Softmax(probabilities);
            int[] chosen = [.. Enumerable.Range(0, probabilities.Length).OrderByDescending(e => probabilities[e]).ThenBy(e => e).Take(experts.ExpertsPerToken)];
            double sum = experts.Renormalise ? chosen.Sum(e => probabilities[e]) : 1;
            foreach (int expert in chosen)
            {
                double[] hidden = new double[experts.Down[expert].Columns];
                Finish(Multiply(experts.GateUp[expert], rows[row]), new Epilogue(Function: experts.Function, Gated: true), hidden);
                double[] output = Multiply(experts.Down[expert], hidden);
                for (int i = 0; i < output.Length; i++) Row(y, row)[i] += probabilities[expert] / sum * output[i];
            }
        }
    }

    public void Read(Activations x, int row, Span<float> destination)
    {
        for (int i = 0; i < x.Columns; i++) destination[i] = (float)Row(x, row)[i];
    }

    public void Dispose() { }

    private void RotaryStore(Activations qkv, int layer, AttentionShape shape, RotaryTable? rotary, Norm? queryNorm, Norm? keyNorm)
    {
        foreach (BatchChunk chunk in _batch.Chunks)
        {
            for (int i = 0; i < chunk.Length; i++)
            {
                Span<double> row = Row(qkv, chunk.FirstRow + i);
                for (int head = 0; head < shape.Heads + shape.KvHeads; head++)
                {
                    Span<double> values = row.Slice(head * shape.HeadDim, shape.HeadDim);
                    Norm? norm = head < shape.Heads ? queryNorm : keyNorm;
                    if (norm is not null) Normalise(norm, values, values);
                    if (rotary is not null) Rotate(((ReferenceRotary)rotary).Parameters, chunk.FirstPosition + i, chunk.Kv.RotaryLength, values);
                }
                ReferenceKv kv = new(chunk.Kv, layer, shape);
                for (int head = 0; head < shape.KvHeads; head++)
                {
                    Span<double> key = row.Slice((shape.Heads + head) * shape.HeadDim, shape.HeadDim);
                    Span<double> value = row.Slice((shape.Heads + shape.KvHeads + head) * shape.HeadDim, shape.HeadDim);
                    key.CopyTo(kv.Head(chunk.FirstPosition + i, head, value: false));
                    value.CopyTo(kv.Head(chunk.FirstPosition + i, head, value: true));
                }
            }
        }
    }

    private void Attend(Activations qkv, int layer, AttentionShape shape, Activations y)
    {
        foreach (BatchChunk chunk in _batch.Chunks)
        {
            for (int i = 0; i < chunk.Length; i++)
            {
                for (int head = 0; head < shape.Heads; head++)
                {
                    Span<double> query = Row(qkv, chunk.FirstRow + i).Slice(head * shape.HeadDim, shape.HeadDim);
                    Span<double> output = Row(y, chunk.FirstRow + i).Slice(head * shape.HeadDim, shape.HeadDim);
                    Attend(query, chunk.FirstPosition + i, new ReferenceKv(chunk.Kv, layer, shape), head, shape, output);
                }
            }
        }
    }

    private static void MatMul(double[][] rows, Weight weight, in Epilogue epilogue, Activations y)
    {
        double[][] products = [.. rows.Select(_ => new double[weight.Rows])];
        for (int column = 0; column < weight.Rows; column++)
        {
            double[] weights = ((ReferenceWeight)weight).Row(column);
            for (int row = 0; row < rows.Length; row++) products[row][column] = Dot(rows[row], weights);
        }
        for (int row = 0; row < rows.Length; row++) Finish(products[row], epilogue, Row(y, row));
    }

    private static double[][] Normalised(Norm? norm, Activations x, ReadOnlySpan<int> rows)
    {
        double[][] result = new double[rows.Length][];
        for (int i = 0; i < rows.Length; i++)
        {
            result[i] = Row(x, rows[i]).ToArray();
            if (norm is not null) Normalise(norm, result[i], result[i]);
        }
        return result;
    }

    private static Span<double> Row(Activations x, int row) => ((ReferenceActivations)x).Row(row);

    private static double Dot(ReadOnlySpan<double> a, ReadOnlySpan<double> b)
    {
        double sum = 0;
        for (int i = 0; i < a.Length; i++) sum += a[i] * b[i];
        return sum;
    }

    private static double[] Multiply(Weight weight, ReadOnlySpan<double> x)
    {
        double[] sums = new double[weight.Rows];
        for (int row = 0; row < sums.Length; row++) sums[row] = Dot(x, ((ReferenceWeight)weight).Row(row));
        return sums;
    }

    private static void Finish(double[] sums, in Epilogue epilogue, Span<double> y)
    {
        if (epilogue.Bias is not null)
        {
            for (int i = 0; i < sums.Length; i++) sums[i] += ((ReferenceVector)epilogue.Bias).Values[i];
        }
        int columns = epilogue.Gated ? sums.Length / 2 : sums.Length;
        for (int i = 0; i < columns; i++)
        {
            double value = Activate(epilogue.Function, sums[i]);
            if (epilogue.Gated) value *= sums[columns + i];
            if (epilogue.SoftCap != 0) value = epilogue.SoftCap * Math.Tanh(value / epilogue.SoftCap);
            y[i] = epilogue.Accumulate ? y[i] + value : value;
        }
    }

    private static double Activate(ActivationFunction function, double x) => function switch
    {
        ActivationFunction.None => x,
        ActivationFunction.Silu => x / (1 + Math.Exp(-x)),
        ActivationFunction.Gelu => 0.5 * x * (1 + ErrorFunction(x / Math.Sqrt(2))),
        ActivationFunction.GeluTanh => 0.5 * x * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (x + (0.044715 * x * x * x)))),
        _ => throw new ArgumentOutOfRangeException(nameof(function), function, null),
    };

    /// <summary>erf(x) = 2/sqrt(pi) exp(-x^2) sum of 2^n x^(2n+1) / (2n+1)!!, whose terms all have one sign (Abramowitz and Stegun 7.1.6).</summary>
    private static double ErrorFunction(double x)
    {
        if (Math.Abs(x) > 6) return Math.Sign(x);
        double term = x, sum = x;
        for (int n = 1; n < 200; n++)
        {
            term *= 2 * x * x / ((2 * n) + 1);
            sum += term;
        }
        return 2 / Math.Sqrt(Math.PI) * Math.Exp(-x * x) * sum;
    }

    private static void Normalise(Norm norm, ReadOnlySpan<double> x, Span<double> y)
    {
        double mean = 0, variance = 0;
        if (norm.RemoveMean)
        {
            foreach (double value in x) mean += value / x.Length;
        }
        foreach (double value in x) variance += (value - mean) * (value - mean) / x.Length;
        double factor = 1 / Math.Sqrt(variance + norm.Epsilon);
        for (int i = 0; i < x.Length; i++)
        {
            double bias = norm.Bias is null ? 0 : ((ReferenceVector)norm.Bias).Values[i];
            y[i] = ((x[i] - mean) * factor * ((ReferenceVector)norm.Scale).Values[i]) + bias;
        }
    }

    /// <summary>The angle is rounded to float32 as in the implementations that models are trained with; all else is exact.</summary>
    private static void Rotate(RotaryParameters rotary, int position, int rotaryLength, Span<double> head)
    {
        ReadOnlySpan<float> frequencies = rotary.Frequencies(position, rotaryLength);
        int pairs = frequencies.Length;
        for (int i = 0; i < pairs; i++)
        {
            double angle = (float)(position * frequencies[i]);
            double cos = Math.Cos(angle) * rotary.Scale, sin = Math.Sin(angle) * rotary.Scale;
            ref double a = ref head[rotary.Interleaved ? 2 * i : i];
            ref double b = ref head[rotary.Interleaved ? (2 * i) + 1 : i + pairs];
            (a, b) = ((a * cos) - (b * sin), (b * cos) + (a * sin));
        }
    }

    private static void Attend(ReadOnlySpan<double> query, int position, ReferenceKv kv, int head, AttentionShape shape, Span<double> output)
    {
        int kvHead = head / (shape.Heads / shape.KvHeads);
        int first = shape.Window == 0 ? 0 : Math.Max(0, position - shape.Window + 1);
        double[] scores = new double[position - first + 1];
        for (int j = first; j <= position; j++)
        {
            double score = Dot(query, kv.Head(j, kvHead, value: false)) * shape.Scale;
            if (shape.SoftCap != 0) score = shape.SoftCap * Math.Tanh(score / shape.SoftCap);
            if (shape.AlibiSlopes is not null) score += shape.AlibiSlopes[head] * (j - position);
            scores[j - first] = score;
        }
        Softmax(scores);
        output.Clear();
        for (int j = first; j <= position; j++)
        {
            ReadOnlySpan<double> value = kv.Head(j, kvHead, value: true);
            for (int i = 0; i < output.Length; i++) output[i] += scores[j - first] * value[i];
        }
    }

    private static void Softmax(Span<double> values)
    {
        double max = double.NegativeInfinity, sum = 0;
        foreach (double value in values) max = Math.Max(max, value);
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = Math.Exp(values[i] - max);
            sum += values[i];
        }
        for (int i = 0; i < values.Length; i++) values[i] /= sum;
    }
}
