using System.CommandLine;
using System.Diagnostics;
using Decart.Inference;
using Soak;

// Keeps a session with little memory for keys and values under random load and watches the process: nothing may grow, no answer may be wrong.

ParseResult parsed = CommandLine.Create(RunAsync).Parse(args);
foreach (var error in parsed.Errors) Console.Error.WriteLine(error.Message);
return parsed.Errors.Count > 0 ? 2 : await parsed.InvokeAsync();

static async Task<int> RunAsync(CommandLine commandLine)
{
    await using LlmSession session = await LlmSession.LoadAsync(commandLine.Model, new()
    {
        KvCacheBytes = commandLine.KvBytes,
        MaxConcurrentSequences = commandLine.Callers / 2,
        MaxBatchTokens = 64 + commandLine.Callers,
    });
    Console.WriteLine($"{session.Model.Architecture} on {session.Model.Device}, {session.GetStatistics().KvPagesTotal} pages for keys and values, {commandLine.Callers} callers, seed {commandLine.Seed}.");

    var tally = new Tally();
    KnownAnswers known = await KnownAnswers.AskAloneAsync(session, new Random(commandLine.Seed));
    using var ending = new CancellationTokenSource();
    Task[] callers = [.. Enumerable.Range(1, commandLine.Callers).Select(i => new Caller(session, known, tally, new Random(commandLine.Seed + i)).RunAsync(ending.Token))];

    List<ProcessSample> samples = [];
    var watch = Stopwatch.StartNew();
    Console.WriteLine(ProgressTable.Head);
    var table = new ProgressTable(session, tally);
    while (watch.Elapsed < commandLine.Duration)
    {
        await Task.Delay(TimeSpan.FromSeconds(2));
        samples.Add(ProcessSample.Take());
        table.WriteRowIfDue(watch.Elapsed, samples[^1]);
    }

    await ending.CancelAsync();
    await Task.WhenAll(callers);
    return await Verdict.WriteAsync(session, tally, samples) ? 0 : 1;
}
