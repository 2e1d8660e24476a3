namespace Decart.Inference.Benchmarks.Throughput;

/// <summary>
/// Requests with prompts of random tokens. No two prompts are alike, those of other rounds included, but the same seed, round and number give the same request.
/// </summary>
/// <param name="options">How many requests, of which lengths.</param>
/// <param name="vocabularySize">Tokens that are drawn from.</param>
internal sealed class RequestLoad(ThroughputOptions options, int vocabularySize)
{
    private const int WarmUp = -1, WarmUpOutputs = 16, SeedsOfRounds = 1_000_003;

    /// <summary>Prompt and output tokens of each request, the same in all rounds: these are equal work.</summary>
    private readonly (int Prompt, int Output)[] _lengths = DrawLengths(options);

    /// <summary>A round: every request that is measured, each with its prompt and its number of tokens to generate.</summary>
    public (int[] Prompt, int Output)[] Round(int round)
    {
        Random random = new(unchecked((options.Seed * SeedsOfRounds) + round));
        return [.. _lengths.Select(lengths => (Enumerable.Range(0, lengths.Prompt).Select(_ => random.Next(vocabularySize)).ToArray(), lengths.Output))];
    }

    /// <summary>
    /// As many requests as run at once, of which each ends a little later than the one before, so that steps of all sizes are done once.
    /// </summary>
    public (int[] Prompt, int Output)[] WarmUpRound(int concurrency) =>
        [.. Round(WarmUp).Take(concurrency).Select((request, i) => (request.Prompt, Math.Min(request.Output, 1 + (i % WarmUpOutputs))))];

    private static (int Prompt, int Output)[] DrawLengths(ThroughputOptions options)
    {
        Random random = new(options.Seed);
        return [.. Enumerable.Range(0, options.Requests).Select(_ => (options.Prompt.Draw(random), options.Output.Draw(random)))];
    }
}
