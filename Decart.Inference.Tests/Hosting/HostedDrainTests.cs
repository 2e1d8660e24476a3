using System.Diagnostics;
using Decart.Inference.Tests.Session;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using static Decart.Inference.Tests.Hosting.TestHost;

namespace Decart.Inference.Tests.Hosting;

/// <summary>A host that stops while requests run.</summary>
[CancelAfter(120_000)]
public class HostedDrainTests
{
    private const int Streams = 50;

    [Test]
    public async Task Streams_that_are_read_too_slowly_end_with_a_reason_when_the_time_is_up()
    {
        using var log = new RecordingLog();
        using IHost host = Create(
            builder =>
            {
                builder.Services.AddDecartInference(Small(options => options.DrainTimeout = TimeSpan.FromMilliseconds(500)));
                builder.Services.Configure<HostOptions>(options => options.ShutdownTimeout = TimeSpan.FromSeconds(20));
            },
            log);
        await host.StartAsync();
        ILlmSession session = host.Services.GetRequiredService<ILlmSession>();
        await host.Services.GetRequiredService<ILlmSessionProvider>().GetAsync();
        using var stopped = new ManualResetEventSlim();
        Task<List<GenerationUpdate>>[] readers = await OpenStreams(session, _ => stopped.IsSet ? Task.CompletedTask : Task.Delay(50));

        long start = Stopwatch.GetTimestamp();
        Task stop = host.StopAsync();
        await Assert.ThrowsAsync<SessionDrainingException>(() => session.GenerateAsync("Once"), "while the others go on");
        await stop;
        TimeSpan elapsed = Stopwatch.GetElapsedTime(start);
        stopped.Set();
        List<GenerationUpdate>[] streams = await Task.WhenAll(readers);
        Assert.Multiple(() =>
        {
            Assert.That(elapsed, Is.InRange(TimeSpan.FromMilliseconds(400), TimeSpan.FromSeconds(15)));
            Assert.That(streams.Select(stream => stream[^1].FinishReason), Has.Some.EqualTo(FinishReason.Cancelled).And.All.Not.Null);
            Assert.That(streams.Select(stream => stream.Sum(update => update.TokenIds.Count)), Is.EqualTo(streams.Select(stream => stream[^1].Usage!.CompletionTokens)), "nothing is lost");
            Assert.That(log.Messages(LogLevel.Information), Has.One.Contains("takes no more requests; "));
            Assert.That(log.Messages(LogLevel.Warning), Has.One.Contains("the time is up"));
        });
    }

    [Test]
    public async Task Streams_that_end_in_time_are_whole()
    {
        using var log = new RecordingLog();
        using IHost host = Create(builder => builder.Services.AddDecartInference(Small()), log);
        await host.StartAsync();
        ILlmSession session = host.Services.GetRequiredService<ILlmSession>();
        await host.Services.GetRequiredService<ILlmSessionProvider>().GetAsync();
        Task<List<GenerationUpdate>>[] readers = await OpenStreams(session, _ => Task.CompletedTask);
        await host.StopAsync();
        foreach (List<GenerationUpdate> stream in await Task.WhenAll(readers))
        {
            Assert.That(stream[^1].FinishReason, Is.EqualTo(FinishReason.Length));
            Assert.That(stream.Sum(update => update.TokenIds.Count), Is.EqualTo(200));
        }
        Assert.That(log.Messages(LogLevel.Warning), Is.Empty);
    }

    [Test]
    public async Task A_hosts_own_time_ends_streams_that_have_more()
    {
        using IHost host = Create(builder =>
        {
            builder.Services.AddDecartInference(Small(options => options.DrainTimeout = TimeSpan.FromHours(1)));
            builder.Services.Configure<HostOptions>(options => options.ShutdownTimeout = TimeSpan.FromMilliseconds(300));
        });
        await host.StartAsync();
        ILlmSession session = host.Services.GetRequiredService<ILlmSession>();
        await host.Services.GetRequiredService<ILlmSessionProvider>().GetAsync();
        await using IAsyncEnumerator<GenerationUpdate> stream = session.StreamAsync("Once", new() { MaxTokens = 200, IgnoreEndOfText = true }).GetAsyncEnumerator();
        await stream.MoveNextAsync();
        await host.StopAsync();
        GenerationUpdate last = stream.Current;
        while (await stream.MoveNextAsync()) last = stream.Current;
        Assert.That(last.FinishReason, Is.EqualTo(FinishReason.Cancelled));
    }

    /// <summary>Streams that have begun, each with its reader.</summary>
    private static async Task<Task<List<GenerationUpdate>>[]> OpenStreams(ILlmSession session, Func<GenerationUpdate, Task> read)
    {
        using var begun = new CountdownEvent(Streams);
        Task<List<GenerationUpdate>>[] readers = [.. Enumerable.Range(0, Streams).Select(async seed =>
        {
            List<GenerationUpdate> updates = [];
            GenerationOptions options = new() { Seed = seed, MaxTokens = 200, IgnoreEndOfText = true };
            await foreach (GenerationUpdate update in session.StreamAsync("Once upon a time", options))
            {
                if (updates.Count == 0) begun.Signal();
                updates.Add(update);
                await read(update);
            }
            return updates;
        })];
        await Task.Run(begun.Wait);
        return readers;
    }
}
