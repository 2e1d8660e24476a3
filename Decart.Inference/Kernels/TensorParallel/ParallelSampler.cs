using Decart.Inference.Sampling;

namespace Decart.Inference.Kernels.TensorParallel;

/// <summary>The first rank samples, as it has the whole logits; the others are sent the tokens. The host waits for the first alone.</summary>
/// <param name="first">Its sampler.</param>
/// <param name="exchange">Sends.</param>
/// <param name="check">Throws where ranks have failed meanwhile.</param>
internal sealed class ParallelSampler(IDeviceSampler first, IRankExchange exchange, Action check) : IDeviceSampler
{
    public SequenceSampler? CreateSampler(SamplingParameters parameters, ReadOnlySpan<int> prompt, int vocabularySize) =>
        first.CreateSampler(parameters, prompt, vocabularySize);

    public SampledTokens Sample(Activations logits, ReadOnlySpan<SampledRow> rows)
    {
        SampledTokens tokens = first.Sample(((ParallelActivations)logits)[0], rows);
        exchange.SendTokens(rows[^1].LogitRow + 1);
        return new Tokens(tokens, check);
    }

    private sealed class Tokens(SampledTokens tokens, Action check) : SampledTokens
    {
        public override ReadOnlySpan<int> Wait()
        {
            ReadOnlySpan<int> found = tokens.Wait();
            check();
            return found;
        }
    }
}
