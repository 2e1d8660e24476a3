using System.Globalization;
using System.Text.RegularExpressions;
using Decart.Inference.Benchmarks.Commands;
using Decart.Inference.Tests.Checkpoints;

namespace Decart.Inference.Tests.Benchmarks;

[CancelAfter(120_000)]
internal sealed class PerplexityTests
{
    [Test]
    public async Task Each_form_of_keys_and_values_is_tried_on_all_texts()
    {
        const string First = "Once upon a time there was a little dragon who lived on a hill.", Second = "One day the dragon found a small boat and sailed away.";
        string model = Path.Combine(Fixtures.RepositoryRoot()!, "samples", "models", "storyteller");
        using TemporaryFolder folder = new();
        folder.Write("texts.txt", $"{First}\n\n* * *\n\n{Second}");
        using StringWriter output = new();
        int code = await BenchmarkCommands.RunAsync(["perplexity", model, Path.Combine(folder.Path, "texts.txt"), "--device", "cpu", "--piece", "9"], output);
        Assert.That(code, Is.Zero, output.ToString());
        MatchCollection lines = Regex.Matches(output.ToString(), @"^(\w+): ([\d.]+) \((\d+) tokens, cpu\)", RegexOptions.Multiline);
        Assert.That(lines.Select(line => line.Groups[1].Value), Is.EqualTo(Enum.GetNames<KvCacheType>()));

        await using LlmSession session = await LlmSession.LoadAsync(model, new() { Device = Device.Cpu });
        List<double> losses = [];
        foreach (int[] piece in ((string[])[First, Second]).SelectMany(text => session.Tokenizer.Encode(text).Chunk(9)))
            if (piece.Length > 1) losses.AddRange((await session.ScoreAsync(piece)).Select(score => -(double)score.Logprob));
        double whole = double.Parse(lines[0].Groups[2].Value, CultureInfo.InvariantCulture), fp8 = double.Parse(lines[1].Groups[2].Value, CultureInfo.InvariantCulture);
        Assert.That(whole, Is.EqualTo(Math.Exp(losses.Average())).Within(1e-6).Percent);
        Assert.That(fp8, Is.EqualTo(whole).Within(0.05 * whole).And.Not.EqualTo(whole));
        Assert.That(lines[0].Groups[3].Value, Is.EqualTo(losses.Count.ToString(CultureInfo.InvariantCulture)));
    }
}
