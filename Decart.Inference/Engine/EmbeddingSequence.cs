using Decart.Inference.Sampling;

namespace Decart.Inference.Engine;

/// <summary>A request for the hidden state of a prompt's last token, or for the mean of all of its hidden states, added up in order.</summary>
/// <param name="prompt">At least one token.</param>
/// <param name="mean">Whether all tokens count.</param>
/// <param name="hiddenSize">Elements of a hidden state.</param>
internal sealed class EmbeddingSequence(ReadOnlySpan<int> prompt, bool mean, int hiddenSize) : ResultSequence<double[]>(prompt)
{
    private readonly float[] _hidden = new float[hiddenSize];
    private readonly double[] _sum = new double[hiddenSize];
    private int _done;

    public override RowOutput Rows => RowOutput.HiddenStates;

    public override int ReusableTokens => mean ? _done : base.ReusableTokens;

    public override bool Accept(ComputedRows rows)
    {
        if (!mean) _done = Math.Min(rows.EndPosition, Length - 1);
        for (; _done < rows.EndPosition; _done++)
        {
            rows.ReadHidden(_done, _hidden);
            for (int i = 0; i < hiddenSize; i++) _sum[i] += _hidden[i];
        }
        if (_done < Length) return false;
        if (Array.Exists(_sum, value => !double.IsFinite(value))) throw new NonFiniteLogitsException("The model's hidden states are not finite numbers.");
        return true;
    }

    protected override double[] Complete() => mean ? Array.ConvertAll(_sum, value => value / Length) : _sum;
}
