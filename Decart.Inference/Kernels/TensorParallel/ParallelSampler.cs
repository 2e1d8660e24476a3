using Decart.Inference.Sampling;

namespace Decart.Inference.Kernels.TensorParallel;

/// <summary>The first rank samples, as it has the whole logits; the others are sent the tokens. The host waits for the first alone.</summary>
/// <param name="first">Its sampler.</param>
/// <param name="exchange">Sends.</param>
/// <param name="inStep">Has every rank do something.</param>
/// <param name="check">Throws where a check has found that ranks have failed.</param>
internal sealed class ParallelSampler(IDeviceSampler first, IRankExchange exchange, Action<Action<int>> inStep, Action<int> check) : IDeviceSampler
{
    public SequenceSampler? CreateSampler(SamplingParameters parameters, ReadOnlySpan<int> prompt, int vocabularySize) =>
        first.CreateSampler(parameters, prompt, vocabularySize);

    public SampledTokens Sample(Activations logits, ReadOnlySpan<SampledRow> rows)
    {
        SampledTokens tokens = first.Sample(((ParallelActivations)logits)[0], rows);
        int sent = rows[^1].LogitRow + 1;
        inStep(rank => exchange.SendTokens(rank, sent));
        return new Tokens(tokens, exchange.StartCheck(), check);
    }

    private sealed class Tokens(SampledTokens tokens, int found, Action<int> check) : SampledTokens
    {
        public override ReadOnlySpan<int> Wait()
        {
            ReadOnlySpan<int> ids = tokens.Wait();
            check(found);
            return ids;
        }
    }
}
