using System.Net;

namespace Decart.Inference.Tests.Server;

/// <summary>Many short requests one after the other: memory stays what it is.</summary>
public class ServerSoakTests
{
    public const string Category = "Soak";

    private const int Callers = 8;

    [Test, CancelAfter(120_000)]
    public Task A_few_requests_leave_no_memory_behind() => RunAsync(500);

    [Test, Explicit("It takes minutes."), Category(Category)]
    public Task Many_requests_leave_no_memory_behind() => RunAsync(20_000);

    private static async Task RunAsync(int requests)
    {
        await using RunningServer server = await RunningServer.StartChatAsync();
        await CallAsync(server, requests / 5);
        (long managed, long total) = await MeasureAsync(server);
        await CallAsync(server, requests);
        (long managedAfter, long totalAfter) = await MeasureAsync(server);
        TestContext.Out.WriteLine($"After {requests / 5} requests {managed >> 10:N0} KiB of objects and {total >> 20:N0} MiB in all, after {requests} more {managedAfter >> 10:N0} KiB and {totalAfter >> 20:N0} MiB.");
        Assert.That(managedAfter - managed, Is.LessThan(2 << 20));
        Assert.That(totalAfter - total, Is.LessThan(64 << 20));
    }

    private static Task CallAsync(RunningServer server, int requests) => Parallel.ForEachAsync(Enumerable.Range(0, requests), new ParallelOptions { MaxDegreeOfParallelism = Callers }, async (number, cancellation) =>
    {
        (string path, object body) = (number % 4) switch
        {
            0 => ("v1/chat/completions", (object)new { model = "chatty", messages = new[] { new { role = "user", content = $"Story {number}" } }, max_tokens = 3 }),
            1 => ("v1/chat/completions", new { model = "chatty", messages = new[] { new { role = "user", content = "Hi" } }, max_tokens = 3, stream = true, logprobs = true, n = 2 }),
            2 => ("v1/responses", new { model = "chatty", input = $"Story {number}", max_output_tokens = 3, stream = true }),
            _ => ("v1/completions", new { model = "chatty", prompt = $"Once, {number}", max_tokens = 3, logprobs = 2 }),
        };
        using HttpResponseMessage response = await server.SendAsync(path, body, cancellation);
        string answer = await response.Content.ReadAsStringAsync(cancellation);
        Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.OK), answer);
    });

    private static async Task<(long Managed, long Total)> MeasureAsync(RunningServer server)
    {
        await server.UntilIdleAsync();
        for (int i = 0; i < 3; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }
        return (GC.GetTotalMemory(forceFullCollection: true), Environment.WorkingSet);
    }
}
