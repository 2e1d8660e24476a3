using System.Diagnostics;
using Decart.Inference.Benchmarks.Reports;

namespace Decart.Inference.Benchmarks.Throughput;

/// <summary>
/// Requests through a session, all submitted at once: how many tokens a second, how long each waits, what it costs. Several concurrencies are tried, each with a session of
/// its own; without the prefix cache, which the peers are measured without.
/// </summary>
/// <param name="options">What to measure.</param>
/// <param name="arguments">How the command was called, for the report.</param>
/// <param name="output">Told each row as soon as it is measured.</param>
internal sealed class ThroughputBenchmark(ThroughputOptions options, IReadOnlyList<string> arguments, TextWriter output)
{
    private static readonly Dictionary<int, List<int>> NoAnswers = [];

    private readonly List<ThroughputRow> _rows = [];
    private readonly Dictionary<AnswerForm, List<int>[]> _alone = []; // by the place in _checked
    private readonly int[] _checked = Sample(options);

    /// <summary>Measures everything.</summary>
    /// <param name="files">Written again after each row; null for none.</param>
    public async Task<ThroughputReport> RunAsync(ReportFiles? files)
    {
        ThroughputReport? report = null;
        using ModelFolder folder = new(options);
        foreach (int concurrency in options.Concurrencies)
        {
            foreach (int? batchTokens in options.BatchTokens.Select(tokens => (int?)tokens).DefaultIfEmpty(null))
            {
                ThroughputRow row = new(concurrency, batchTokens is { } tokens ? Math.Max(tokens, concurrency) : null) { PricePerHour = options.PricePerHour };
                long start = Stopwatch.GetTimestamp();
                await using LlmSession session = await LlmSession.LoadAsync(folder.Path, SessionOptions(row)).ConfigureAwait(false);
                row = row with { LoadSeconds = Stopwatch.GetElapsedTime(start).TotalSeconds };
                if (report is null)
                {
                    report = Begin(session);
                    await output.WriteLineAsync(string.Join(Environment.NewLine + Environment.NewLine, report.Head.Markdown, report.Load, ThroughputReport.Table.Head)).ConfigureAwait(false);
                }
                foreach (AnswerForm form in options.Forms)
                {
                    _rows.Add(await MeasureAsync(session, row with { Form = form }).ConfigureAwait(false));
                    await output.WriteLineAsync(ThroughputReport.Table.Row(_rows[^1])).ConfigureAwait(false);
                    files?.Write(report);
                }
            }
        }
        await output.WriteLineAsync(Environment.NewLine + report!.Result).ConfigureAwait(false);
        return report;
    }

    private LlmSessionOptions SessionOptions(ThroughputRow row) => new()
    {
        Device = options.Device,
        Threads = options.Threads,
        RandomWeights = options.RandomWeights,
        Quantize = options.Weights,
        MaxConcurrentSequences = row.Concurrency,
        MaxBatchTokens = row.BatchTokens,
        KvCacheType = options.KvCacheType,
        EightBitActivations = options.EightBitActivations,
        Paging = options.Paging,
        KvCacheBytes = options.KvCacheBytes,
        PrefixCaching = false,
    };

    private ThroughputReport Begin(LlmSession session) => new(
        ReportHead.Of("throughput", arguments, options.Model, session.Model.Device),
        options.Requests,
        options.Prompt.ToString(),
        options.Output.ToString(),
        options.RandomWeights,
        options.Rounds,
        _rows)
    {
        Weights = options.Weights,
        KvCacheType = options.KvCacheType,
        EightBitActivations = options.EightBitActivations,
        Temperature = options.Temperature,
    };

    /// <summary>The median round, and how many of the first one's answers are those that the requests get alone.</summary>
    private async Task<ThroughputRow> MeasureAsync(LlmSession session, ThroughputRow row)
    {
        RequestLoad load = new(options, session.Model.VocabularySize, row.Form.Grammar());
        await Round.RunAsync(session, load.WarmUpRound(row.Concurrency), NoAnswers).ConfigureAwait(false);
        Dictionary<int, List<int>> answers = _checked.ToDictionary(request => request, _ => new List<int>());
        long preemptions = session.GetStatistics().Preemptions;
        List<Round> rounds = [];
        for (int i = 0; i < options.Rounds; i++) rounds.Add(await Round.RunAsync(session, load.Round(i), i == 0 ? answers : NoAnswers).ConfigureAwait(false));
        preemptions = session.GetStatistics().Preemptions - preemptions;
        if (!_alone.TryGetValue(row.Form, out List<int>[]? alone)) _alone.Add(row.Form, alone = await AnswerAloneAsync(session, load).ConfigureAwait(false));
        Round median = rounds.OrderBy(round => round.Elapsed).ElementAt(rounds.Count / 2);
        return row.With(median) with
        {
            Preemptions = preemptions / options.Rounds,
            Checked = _checked.Length,
            Different = _checked.Where((request, place) => !answers[request].SequenceEqual(alone[place])).Count(),
        };
    }

    private async Task<List<int>[]> AnswerAloneAsync(LlmSession session, RequestLoad load)
    {
        Request[] requests = load.Round(0);
        List<int>[] answers = [.. _checked.Select(_ => new List<int>())];
        for (int i = 0; i < answers.Length; i++)
            await Round.RunAsync(session, [requests[_checked[i]]], new Dictionary<int, List<int>> { [0] = answers[i] }).ConfigureAwait(false);
        return answers;
    }

    /// <summary>Numbers of the requests that are checked, spread over all.</summary>
    private static int[] Sample(ThroughputOptions options)
    {
        int[] requests = [.. Enumerable.Range(0, options.Requests)];
        new Random(options.Seed).Shuffle(requests);
        return [.. requests.Take(options.Checked).Order()];
    }
}
