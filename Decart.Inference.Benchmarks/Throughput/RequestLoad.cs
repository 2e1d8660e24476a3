namespace Decart.Inference.Benchmarks.Throughput;

/// <summary>One request.</summary>
/// <param name="Prompt">Its tokens.</param>
/// <param name="Options">How it is answered.</param>
internal readonly record struct Request(int[] Prompt, GenerationOptions Options)
{
    /// <summary>Tokens to generate.</summary>
    public int Output => Options.MaxTokens;
}

/// <summary>
/// Requests with prompts of random tokens. No two prompts are alike, those of other rounds included, but the same seed, round and number give the same request.
/// </summary>
/// <param name="options">How many requests, of which lengths.</param>
/// <param name="vocabularySize">Tokens that are drawn from.</param>
/// <param name="grammar">What answers must look like; null for anything.</param>
internal sealed class RequestLoad(ThroughputOptions options, int vocabularySize, Grammar? grammar = null)
{
    private const int WarmUp = -1, WarmUpOutputs = 16, SeedsOfRounds = 1_000_003;

    /// <summary>Prompt and output tokens of each request, the same in all rounds: these are equal work.</summary>
    private readonly (int Prompt, int Output)[] _lengths = DrawLengths(options);

    /// <summary>A round: every request that is measured, each with its prompt and its number of tokens to generate.</summary>
    public Request[] Round(int round)
    {
        Random random = new(unchecked((options.Seed * SeedsOfRounds) + round));
        return [.. _lengths.Select((lengths, i) => new Request([.. Enumerable.Range(0, lengths.Prompt).Select(_ => random.Next(vocabularySize))], Answer(lengths.Output, i)))];
    }

    /// <summary>
    /// As many requests as run at once, of which each ends a little later than the one before, so that steps of all sizes are done once.
    /// </summary>
    public Request[] WarmUpRound(int concurrency) =>
        [.. Round(WarmUp).Take(concurrency).Select((request, i) => request with { Options = request.Options with { MaxTokens = Math.Min(request.Output, Shortest + (i % WarmUpOutputs)) } })];

    /// <summary>The shortest text of a form must have room.</summary>
    private int Shortest => grammar is null ? 1 : WarmUpOutputs;

    private GenerationOptions Answer(int output, int seed) => new() { Temperature = options.Temperature, Seed = seed, MaxTokens = output, IgnoreEndOfText = true, Grammar = grammar };

    private static (int Prompt, int Output)[] DrawLengths(ThroughputOptions options)
    {
        Random random = new(options.Seed);
        return [.. Enumerable.Range(0, options.Requests).Select(_ => (options.Prompt.Draw(random), options.Output.Draw(random)))];
    }
}
