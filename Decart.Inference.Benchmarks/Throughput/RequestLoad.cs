using System.Diagnostics;

namespace Decart.Inference.Benchmarks;

/// <summary>
/// Prefill and decode of a model in tokens a second, measured the way peers measure themselves: some rounds of whole requests in one
/// process, no harness around them, so that runs of both can alternate on a machine that is not quiet.
/// </summary>
internal static class GenerationThroughput
{
    private const int Rounds = 5;
    private const int MeasuredVocabulary = 20_000;

    /// <summary>Prints a line for each round, after one that does not count.</summary>
    /// <param name="arguments">The model, and unless the defaults are right: prompt tokens, generated tokens, callers at once, threads.</param>
    public static async Task RunAsync(string[] arguments)
    {
        string model = arguments[0];
        int prompt = Argument(1, 256), generated = Argument(2, 64), callers = Argument(3, 1), threads = Argument(4, Environment.ProcessorCount);
        await using LlmSession session = await LlmSession.LoadAsync(model, new LlmSessionOptions
        {
            Threads = threads,
            MaxConcurrentSequences = callers,
            PrefixCaching = false, // every round computes the same prompts
        });
        await MeasureAsync(session, prompt, generated, callers);
        for (int round = 0; round < Rounds; round++)
        {
            (double prefill, double decode) = await MeasureAsync(session, prompt, generated, callers);
            Console.WriteLine(FormattableString.Invariant(
                $"decart {Path.GetFileName(model)} threads {threads} callers {callers}: prefill {prefill:F1} tok/s, decode {decode:F2} tok/s"));
        }

        int Argument(int index, int otherwise) => arguments.Length > index ? int.Parse(arguments[index]) : otherwise;
    }

    /// <summary>Prefill lasts until every caller has its first token; decode counts the tokens after that, of all callers together.</summary>
    private static async Task<(double Prefill, double Decode)> MeasureAsync(LlmSession session, int promptTokens, int generatedTokens, int callers)
    {
        int vocabulary = Math.Min(session.Model.VocabularySize, MeasuredVocabulary);
        GenerationOptions options = new() { Temperature = 0, MaxTokens = generatedTokens + 1, IgnoreEndOfText = true };
        long start = Stopwatch.GetTimestamp();
        List<TimeSpan>[] arrivals = await Task.WhenAll(Enumerable.Range(0, callers).Select(async caller =>
        {
            int[] prompt = [.. Enumerable.Range(0, promptTokens).Select(i => (300 + caller + (i * 7919)) % vocabulary)];
            List<TimeSpan> times = [];
            await foreach (GenerationUpdate update in session.StreamAsync(prompt, options))
            {
                times.Add(Stopwatch.GetElapsedTime(start));
                if (update.Usage is { CachedPromptTokens: > 0 } usage) throw new InvalidOperationException($"{usage.CachedPromptTokens} prompt tokens were not computed.");
            }
            return times;
        }));
        TimeSpan prefilled = arrivals.Max(times => times[0]), end = arrivals.Max(times => times[^1]);
        int decoded = arrivals.Sum(times => times.Count(time => time > prefilled));
        return (callers * promptTokens / prefilled.TotalSeconds, decoded / (end - prefilled).TotalSeconds);
    }
}
