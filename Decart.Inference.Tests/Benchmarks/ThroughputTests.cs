using System.Text.Json.Nodes;
using Decart.Inference.Benchmarks.Commands;
using Decart.Inference.Benchmarks.Reports;
using Decart.Inference.Benchmarks.Throughput;
using Decart.Inference.Tests.Checkpoints;
using Decart.Inference.Tests.Models;
using Decart.Inference.Tests.Tokenization;

namespace Decart.Inference.Tests.Benchmarks;

[CancelAfter(120_000)]
internal sealed class ThroughputTests
{
    [Test]
    public async Task The_command_tries_every_concurrency_and_writes_a_report()
    {
        using TemporaryFolder folder = new();
        folder.Write("config.json", TinyModels.Config("llama").ToJsonString());
        using StringWriter output = new();
        int code = await BenchmarkCommands.RunAsync(
            [
                "throughput", folder.Path, "--device", "cpu", "--threads", "1", "--requests", "12", "--prompt", "3-30", "--output", "2-9", "--concurrency", "2", "16",
                "--batch-tokens", "16", "64", "--price", "36", "--check", "5", "--rounds", "2", "--weights", "int4", "--kv-cache", "fp8", "--out", Path.Combine(folder.Path, "out"), "--name", "tiny",
            ],
            output);
        Assert.That(code, Is.Zero, output.ToString());
        ThroughputReport report = ReportFiles.Read<ThroughputReport>(Path.Combine(folder.Path, "out", "throughput-tiny.json"));
        Assert.That((report.RandomWeights, report.Weights, report.KvCacheType), Is.EqualTo((true, (WeightFormat?)WeightFormat.Int4, KvCacheType.Fp8)));
        Assert.That(report.Load, Does.Contain("random weights in Int4, Fp8 keys and values;"));
        Assert.That(report.Rows.Select(row => (row.Concurrency, row.BatchTokens)), Is.EqualTo(new[] { (2, 16), (2, 64), (16, 16), (16, 64) }));
        foreach (ThroughputRow row in report.Rows)
        {
            Assert.That((row.PromptTokens, row.OutputTokens), Is.EqualTo((report.Rows[0].PromptTokens, report.Rows[0].OutputTokens)));
            Assert.That((row.Checked, row.Different), Is.EqualTo((5, 0)));
            Assert.That(row.FirstTokenP50, Is.GreaterThan(0).And.LessThanOrEqualTo(row.FirstTokenP99!.Value));
            Assert.That(row.PerTokenP50, Is.GreaterThan(0).And.LessThanOrEqualTo(row.PerTokenP99!.Value));
            Assert.That(row.DollarsPerMillionTokens, Is.EqualTo(1e6 * 0.01 / row.OutputPerSecond).Within(1e-6).Percent, "36 dollars an hour are a cent a second");
            Assert.That(row.PrefillPerSecond is null, Is.EqualTo(row.Concurrency == 2), "only where no request waits for another to end");
            Assert.That((row.Joules, row.JoulesPerToken), Is.EqualTo(((double?)null, (double?)null)));
            Assert.That(row.LoadSeconds, Is.GreaterThan(0));
        }
        string markdown = await File.ReadAllTextAsync(Path.Combine(folder.Path, "out", "throughput-tiny.md"));
        foreach (ThroughputRow row in report.Rows) Assert.That(markdown, Does.Contain(ThroughputReport.Table.Row(row)).And.Contain("5 of 5"));
        Assert.That(output.ToString(), Does.Contain($"Best: {report.Rows.Max(row => row.OutputPerSecond):N0} output tok/s"));
        ReportTests.AssertDrawn(Path.Combine(folder.Path, "out", "throughput-tiny.png"), output.ToString());
    }

    [Test]
    public async Task Answers_with_a_form_stand_beside_those_without([Values] bool ownTokenizer)
    {
        using TemporaryFolder folder = new();
        JsonObject config = TinyModels.Config("llama");
        config["vocab_size"] = 600;
        folder.Write("config.json", config.ToJsonString());
        using TemporaryFolder other = new();
        other.Write("tokenizer.json", TinyTokenizer.ByteLevel("a b", "c d").ToJsonString());
        using StringWriter output = new();
        string[] tokenizer = ownTokenizer ? ["--tokenizer", other.Path] : [];
        int code = await BenchmarkCommands.RunAsync(
            [
                "throughput", folder.Path, "--device", "cpu", "--threads", "1", "--requests", "6", "--prompt", "3-9", "--output", "20-30", "--concurrency", "4", "--check", "3",
                "--temperature", "1", "--response-format", "text", "json", "schema", "--out", Path.Combine(folder.Path, "out"), "--name", "tiny", .. tokenizer,
            ],
            output);
        Assert.That(code, Is.Zero, output.ToString());
        ThroughputReport report = ReportFiles.Read<ThroughputReport>(Path.Combine(folder.Path, "out", "throughput-tiny.json"));
        Assert.That(report.Load, Does.Contain("temperature 1,"));
        Assert.That(report.Rows.Select(row => row.Form), Is.EqualTo(Enum.GetValues<AnswerForm>()));
        Assert.That(report.Rows.Select(row => (row.Checked, row.Different)), Is.All.EqualTo((3, 0)));
        Assert.That(report.Rows.Select(row => row.OutputTokens), Is.All.InRange(6 * 15, report.Rows[0].OutputTokens), "texts of a form may end a little earlier");
        Assert.That(ThroughputReport.Table.Row(report.Rows[1]), Does.StartWith("| 4 | default | json |"));
    }

    [TestCase(AnswerForm.Json, "{\"a\": [1]}\n{}\n", "[1]\n")]
    [TestCase(AnswerForm.Schema, "{\"property_1\": 5}\n{}\n", "{\"a\": 1}\n")]
    public void Forms_are_lines_of_objects(AnswerForm form, string text, string other)
    {
        Assert.That(form.Grammar()!.IsMatch(text));
        Assert.That(form.Grammar()!.IsMatch(other), Is.False);
    }

    [Test]
    public void A_made_up_vocabulary_has_all_bytes_and_no_token_twice()
    {
        using TemporaryFolder folder = new();
        folder.Write("tokenizer.json", MadeUpTokenizer.Json(20_000));
        ITokenizer tokenizer = Tokenizer.Load(folder.Path);
        Assert.That(tokenizer.VocabularySize, Is.EqualTo(20_000));
        string[] tokens = [.. Enumerable.Range(0, 19_999).Select(id => Convert.ToHexString(tokenizer.GetTokenBytes(id).Span))];
        Assert.That(tokens, Is.Unique);
        Assert.That(tokens.Count(token => token.Length == 2), Is.EqualTo(256));
    }

    [Test]
    public async Task Requests_that_the_context_cannot_hold_are_said()
    {
        using TemporaryFolder folder = new();
        folder.Write("config.json", TinyModels.Config("llama").ToJsonString());
        using StringWriter output = new();
        int code = await BenchmarkCommands.RunAsync(["throughput", folder.Path, "--device", "cpu", "--requests", "2", "--prompt", "120", "--output", "20"], output);
        Assert.That(code, Is.Not.Zero);
        Assert.That(output.ToString(), Does.Contain("A request for 9 tokens after 120 got 8").Or.Contain("A request for 20 tokens after 120 got 8"));
    }

    [TestCase("--prompt", "none")]
    [TestCase("--requests", "0")]
    [TestCase("--concurrency", "0")]
    public async Task What_cannot_be_measured_is_said(string option, string value)
    {
        using StringWriter output = new();
        Assert.That(await BenchmarkCommands.RunAsync(["throughput", "folder", option, value], output), Is.Not.Zero);
        Assert.That(output.ToString(), Does.Contain(option));
    }

    [Test]
    public void No_two_prompts_are_alike_and_the_same_seed_gives_the_same()
    {
        ThroughputOptions options = new() { Model = "", Requests = 200, Prompt = new(5, 9), Output = new(1, 40) };
        RequestLoad load = new(options, vocabularySize: 1000), same = new(options, 1000), other = new(options with { Seed = 2 }, 1000);
        int[][] prompts = [.. load.Round(0).Concat(load.Round(1)).Concat(load.WarmUpRound(50)).Concat(other.Round(0)).Select(request => request.Prompt)];
        Assert.That(prompts.Select(prompt => string.Join(' ', prompt)), Is.Unique);
        Assert.That(prompts.SelectMany(prompt => prompt), Is.All.InRange(0, 999));
        Assert.That(prompts.Select(prompt => prompt.Length), Is.All.InRange(5, 9));
        Assert.That(same.Round(1).Select(request => request.Prompt), Is.EqualTo(load.Round(1).Select(request => request.Prompt)));
        Assert.That(load.Round(1).Select(request => (request.Prompt.Length, request.Output)), Is.EqualTo(load.Round(0).Select(request => (request.Prompt.Length, request.Output))), "rounds are equal work");
        Assert.That(load.WarmUpRound(50), Has.Length.EqualTo(50));
        Assert.That(load.WarmUpRound(50).Select(request => request.Output), Is.All.InRange(1, 16));
    }

    [Test]
    public void A_row_says_what_callers_saw()
    {
        Round round = new()
        {
            Requests = [Times(10, 1, 2, 3), Times(30, 2, 6, 10), Times(20, 4)],
            Elapsed = TimeSpan.FromSeconds(10),
            Joules = 21,
            AllocatedBytes = 700,
            Pauses = TimeSpan.FromSeconds(1),
            Threads = 8,
        };
        ThroughputRow row = new ThroughputRow(3, BatchTokens: null) { PricePerHour = 7.2 }.With(round);
        Assert.That((row.PromptTokens, row.OutputTokens, row.OutputPerSecond, row.TotalPerSecond), Is.EqualTo((60, 7, 0.7, 6.7)));
        Assert.That((row.FirstTokenP50, row.FirstTokenP99), Is.EqualTo((2000, 3960)));
        Assert.That((row.PerTokenP50, row.PerTokenP99), Is.EqualTo((2500, 3970)), "a request of one token has no time between tokens");
        Assert.That(row.PrefillPerSecond, Is.EqualTo(15), "until the last request had its first token");
        Assert.That(row.DecodePerSecond, Is.EqualTo(2 / 6.0), "two tokens came after that");
        Assert.That((row.JoulesPerToken, row.AllocatedBytesPerToken, row.PauseShare), Is.EqualTo((3.0, 100.0, 0.1)));
        Assert.That(row.DollarsPerMillionTokens, Is.EqualTo(7.2 / 3600 / 0.7 * 1e6).Within(1e-9));
        Assert.That((row with { Concurrency = 2 }).With(round).PrefillPerSecond, Is.Null);
    }

    private static RequestTimes Times(int promptTokens, params int[] seconds) => new(promptTokens, [.. seconds.Select(second => TimeSpan.FromSeconds(second))]);
}
