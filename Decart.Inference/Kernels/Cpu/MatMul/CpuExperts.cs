using System.Numerics.Tensors;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>
/// Mixture of experts: tokens are gathered by expert, so that each expert's weights are read once a step, and each token's outputs are
/// added in ascending order of its experts, whatever the other tokens chose.
/// </summary>
internal sealed unsafe class CpuExperts(CpuMatMul matMul) : IDisposable
{
    private readonly CpuBuffer<float> _inputs = new(0);
    private readonly CpuBuffer<float> _hidden = new(0);
    private readonly CpuBuffer<float> _outputs = new(0);
    private float[] _probabilities = [];

    /// <summary>The experts of each token, one token after another, and the same ordered by expert and then by token.</summary>
    private Choice[] _choices = [], _byExpert = [];

    /// <summary>Where the tokens of each expert begin in <see cref="_byExpert"/>, and after the last where they end.</summary>
    private int[] _starts = [];

    private readonly record struct Choice(int Row, int Expert, float Weight);

    /// <summary>See <see cref="IKernels.MixExperts"/>.</summary>
    public void Mix(int rows, CpuRows x, CpuActivations routerLogits, Experts experts, CpuActivations y)
    {
        int count = rows * experts.ExpertsPerToken;
        if (_choices.Length < count) (_choices, _byExpert) = (new Choice[count], new Choice[count]);
        if (_starts.Length <= experts.Down.Length) (_starts, _probabilities) = (new int[experts.Down.Length + 1], new float[experts.Down.Length]);
        for (int row = 0; row < rows; row++) Choose(new ReadOnlySpan<float>(Row(routerLogits, row), experts.Down.Length), row, experts);
        GroupByExpert(_choices.AsSpan(0, count), experts.Down.Length);
        for (int expert = 0; expert < experts.Down.Length; expert++)
        {
            ReadOnlySpan<Choice> tokens = _byExpert.AsSpan(_starts[expert], _starts[expert + 1] - _starts[expert]);
            if (!tokens.IsEmpty) AddExpert(tokens, x, (CpuWeight)experts.GateUp[expert], (CpuWeight)experts.Down[expert], experts.Function, y);
        }
    }

    public void Dispose()
    {
        _inputs.Dispose();
        _hidden.Dispose();
        _outputs.Dispose();
    }

    private static float* Row(CpuActivations activations, int row) => activations.Pointer + ((long)row * activations.Stride);

    /// <summary>The most probable experts of one token; of equally probable ones the first.</summary>
    private void Choose(ReadOnlySpan<float> logits, int row, Experts experts)
    {
        Span<float> probabilities = _probabilities.AsSpan(0, logits.Length);
        TensorPrimitives.Subtract(logits, TensorPrimitives.Max(logits), probabilities);
        TensorPrimitives.Exp(probabilities, probabilities);
        double sum = 0, chosenSum = 0;
        foreach (float probability in probabilities) sum += probability;
        Span<Choice> choices = _choices.AsSpan(row * experts.ExpertsPerToken, experts.ExpertsPerToken);
        for (int rank = 0; rank < choices.Length; rank++)
        {
            int best = TensorPrimitives.IndexOfMax<float>(probabilities);
            choices[rank] = new Choice(row, best, probabilities[best]);
            chosenSum += probabilities[best];
            probabilities[best] = float.NegativeInfinity;
        }
        float factor = (float)(1 / (experts.Renormalise ? chosenSum : sum));
        foreach (ref Choice choice in choices) choice = choice with { Weight = choice.Weight * factor };
    }

    /// <summary>A counting sort, which keeps the tokens of an expert in order.</summary>
    private void GroupByExpert(ReadOnlySpan<Choice> choices, int experts)
    {
        Span<int> starts = _starts.AsSpan(0, experts + 1);
        starts.Clear();
        foreach (Choice choice in choices) starts[choice.Expert + 1]++;
        for (int expert = 0; expert < experts; expert++) starts[expert + 1] += starts[expert];
        foreach (Choice choice in choices) _byExpert[starts[choice.Expert]++] = choice;
        for (int expert = experts; expert > 0; expert--) starts[expert] = starts[expert - 1];
        starts[0] = 0;
    }

    private void AddExpert(ReadOnlySpan<Choice> tokens, CpuRows x, CpuWeight gateUp, CpuWeight down, ActivationFunction function, CpuActivations y)
    {
        int count = tokens.Length, inputs = gateUp.Columns, hidden = down.Columns, outputs = down.Rows;
        _inputs.Reserve((long)count * inputs);
        _hidden.Reserve((long)count * hidden);
        _outputs.Reserve((long)count * outputs);
        for (int i = 0; i < count; i++)
        {
            new ReadOnlySpan<float>(x.Pointer + ((long)tokens[i].Row * x.Stride), inputs).CopyTo(new Span<float>(_inputs.Pointer + ((long)i * inputs), inputs));
        }
        matMul.Multiply(_inputs.Pointer, inputs, count, gateUp, new Epilogue(Function: function, Gated: true), null, _hidden.Pointer, hidden);
        matMul.Multiply(_hidden.Pointer, hidden, count, down, new Epilogue(), null, _outputs.Pointer, outputs);
        for (int i = 0; i < count; i++) CpuRowMath.AddScaled(Row(y, tokens[i].Row), _outputs.Pointer + ((long)i * outputs), tokens[i].Weight, outputs);
    }
}
