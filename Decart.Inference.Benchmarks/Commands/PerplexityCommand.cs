using System.CommandLine;
using System.Globalization;

namespace Decart.Inference.Benchmarks.Commands;

/// <summary>What rounding costs: the perplexity of texts, exp of the average loss of a token, with each form of keys and values.</summary>
internal static class PerplexityCommand
{
    /// <summary>Between the texts of a file.</summary>
    private const string Separator = "\n\n* * *\n\n";

    public static Command Create()
    {
        Argument<string> model = new("model") { Description = "A folder or a .gguf file" };
        Argument<FileInfo[]> files = new("files") { Description = "Texts; a file may have several, with lines of * * * between", Arity = ArgumentArity.OneOrMore };
        Option<Device> device = Arguments.Device();
        Option<int> piece = Arguments.Count("--piece", "Most tokens of a text that see each other", 512);
        Option<int> most = Arguments.Count("--tokens", "Tokens that are scored at most", int.MaxValue);
        Option<WeightFormat?> weights = Arguments.Weights();
        Option<bool> eightBitActivations = Arguments.EightBitActivations();
        Option<KvCacheType[]> kvCaches = Arguments.Several("--kv-cache", "The forms of keys and values that are tried", Enum.GetValues<KvCacheType>());
        Command command = new("perplexity", "Perplexity of texts with each form of keys and values.") { model, files, device, piece, most, weights, eightBitActivations, kvCaches };
        command.SetAction(async (parsed, cancellation) =>
        {
            TextWriter output = parsed.InvocationConfiguration.Output;
            foreach (KvCacheType keysAndValues in parsed.GetRequiredValue(kvCaches))
            {
                LlmSessionOptions options = new()
                {
                    Device = parsed.GetValue(device),
                    Quantize = parsed.GetValue(weights),
                    EightBitActivations = parsed.GetValue(eightBitActivations),
                    KvCacheType = keysAndValues,
                };
                await using LlmSession session = await LlmSession.LoadAsync(Arguments.Model(parsed.GetRequiredValue(model)), options, cancellationToken: cancellation).ConfigureAwait(false);
                (int tokens, double perplexity) = await MeasureAsync(session, parsed.GetRequiredValue(files), parsed.GetValue(piece), parsed.GetValue(most), cancellation).ConfigureAwait(false);
                await output.WriteLineAsync(string.Create(CultureInfo.InvariantCulture, $"{keysAndValues}: {perplexity:F5} ({tokens} tokens, {session.Model.Device})")).ConfigureAwait(false);
            }
            return 0;
        });
        return command;
    }

    private static async Task<(int Tokens, double Perplexity)> MeasureAsync(LlmSession session, FileInfo[] files, int piece, int most, CancellationToken cancellation)
    {
        int tokens = 0;
        double loss = 0;
        foreach (FileInfo file in files)
        {
            string texts = await File.ReadAllTextAsync(file.FullName, cancellation).ConfigureAwait(false);
            foreach (string text in texts.ReplaceLineEndings("\n").Split(Separator, StringSplitOptions.RemoveEmptyEntries))
            {
                foreach (int[] ids in session.Tokenizer.Encode(text, cancellationToken: cancellation).Take(most - tokens).Chunk(piece))
                {
                    if (ids.Length > 1) loss -= (await session.ScoreAsync(ids, cancellationToken: cancellation).ConfigureAwait(false)).Sum(score => (double)score.Logprob);
                    tokens += ids.Length - 1;
                }
            }
        }
        return (tokens, Math.Exp(loss / tokens));
    }
}
