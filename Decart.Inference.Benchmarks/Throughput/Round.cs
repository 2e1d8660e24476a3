using System.Diagnostics;
using Decart.Inference.Benchmarks.Devices;

namespace Decart.Inference.Benchmarks.Throughput;

/// <summary>What a caller saw of one request.</summary>
/// <param name="PromptTokens">Tokens of the prompt.</param>
/// <param name="Arrivals">When each token came, from the start of the round; at least one.</param>
internal readonly record struct RequestTimes(int PromptTokens, TimeSpan[] Arrivals)
{
    public TimeSpan First => Arrivals[0];

    public TimeSpan Last => Arrivals[^1];

    /// <summary>Between two tokens on average; null of a request of one.</summary>
    public TimeSpan? PerToken => Arrivals.Length > 1 ? (Last - First) / (Arrivals.Length - 1) : null;
}

/// <summary>Requests that were submitted at once and have all been answered.</summary>
internal sealed record Round
{
    public required RequestTimes[] Requests { get; init; }

    public required TimeSpan Elapsed { get; init; }

    /// <summary>What the GPU has used; null where it does not tell.</summary>
    public double? Joules { get; init; }

    /// <summary>What the whole process has allocated on the managed heap.</summary>
    public long AllocatedBytes { get; init; }

    /// <summary>Pauses for garbage collection.</summary>
    public TimeSpan Pauses { get; init; }

    /// <summary>Threads of the process at the end.</summary>
    public int Threads { get; init; }

    public long OutputTokens => Requests.Sum(request => (long)request.Arrivals.Length);

    public long PromptTokens => Requests.Sum(request => (long)request.PromptTokens);

    /// <summary>Submits requests and waits for their answers.</summary>
    /// <param name="session">Who answers.</param>
    /// <param name="requests">The requests.</param>
    /// <param name="answers">The numbers of the requests whose tokens are kept, with room for them.</param>
    /// <exception cref="InvalidOperationException">A request got fewer tokens than it asked for.</exception>
    public static async Task<Round> RunAsync(LlmSession session, Request[] requests, IReadOnlyDictionary<int, List<int>> answers)
    {
        Device device = session.Model.Device;
        double? joules = EnergyOf(device);
        long allocated = GC.GetTotalAllocatedBytes(precise: true);
        TimeSpan pauses = GC.GetTotalPauseDuration();
        Task<RequestTimes>[] tasks = new Task<RequestTimes>[requests.Length];
        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < tasks.Length; i++) tasks[i] = AnswerAsync(session, requests[i], start, answers.GetValueOrDefault(i));
        RequestTimes[] times = await Task.WhenAll(tasks).ConfigureAwait(false);
        return new Round
        {
            Requests = times,
            Elapsed = times.Max(request => request.Last),
            Joules = joules is null ? null : EnergyOf(device) - joules,
            AllocatedBytes = GC.GetTotalAllocatedBytes(precise: true) - allocated,
            Pauses = GC.GetTotalPauseDuration() - pauses,
            Threads = Process.GetCurrentProcess().Threads.Count,
        };
    }

    private static double? EnergyOf(Device device) =>
        device.Kind == DeviceKind.Cuda ? device.Indices.DefaultIfEmpty(device.Index).Select(Nvml.Joules).Aggregate((sum, joules) => sum + joules) : null;

    private static async Task<RequestTimes> AnswerAsync(LlmSession session, Request request, long start, List<int>? answer)
    {
        TimeSpan[] arrivals = new TimeSpan[request.Output];
        int tokens = 0;
        await foreach (GenerationUpdate update in session.StreamAsync(request.Prompt, request.Options).ConfigureAwait(false))
        {
            arrivals.AsSpan(tokens, update.TokenIds.Count).Fill(Stopwatch.GetElapsedTime(start));
            tokens += update.TokenIds.Count;
            answer?.AddRange(update.TokenIds);
        }
        // A text that must end complete may end a few tokens before its limit.
        if (tokens != request.Output && request.Options.Grammar is null)
            throw new InvalidOperationException($"A request for {request.Output} tokens after {request.Prompt.Length} got {tokens}: does the model's context hold them?");
        return new RequestTimes(request.Prompt.Length, arrivals[..tokens]);
    }
}
