namespace Decart.Inference.Tests.Session;

/// <summary>A few seconds of a busy service over the storyteller: what callers do by chance must not show in anybody's answer.</summary>
[CancelAfter(120_000)]
public class SoakTests
{
    private const int Requests = 150;

    private static readonly string[] Beginnings = ["Once upon a time", "One morning, a little fox", "The clever girl said", "", "👋 It was"];

    [Test]
    public async Task Answers_are_those_given_alone_whatever_others_do([Values(1, 2)] int seed)
    {
        string storyteller = Path.Combine(Fixtures.RepositoryRoot()!, "samples", "models", "storyteller");
        await using LlmSession session = await LlmSession.LoadAsync(storyteller, new() { MaxConcurrentSequences = 6, MaxBatchTokens = 24 });
        Random random = new(seed);
        Request[] requests = [.. Enumerable.Range(0, Requests).Select(_ => Request.Draw(random))];

        Answer?[] together = await Task.WhenAll(requests.Select(request => Task.Run(() => request.RunAsync(session))));
        await SessionFixture.Until(() => session.GetStatistics() is { RunningSequences: 0, WaitingSequences: 0 });

        Assert.That(together.Count(answer => answer is null), Is.InRange(1, Requests / 2), "some are cancelled, most are not");
        for (int i = 0; i < Requests; i++)
        {
            if (together[i] is not { } answer) continue;
            GenerationResult alone = await session.GenerateAsync(requests[i].Prompt, requests[i].Options);
            Assert.That(answer.Tokens, Is.EqualTo(alone.TokenIds));
            Assert.That(answer.Text, Is.EqualTo(alone.Text));
        }
    }

    /// <summary>What a caller got; one that was cancelled or left early gets nothing to compare.</summary>
    private sealed record Answer(IReadOnlyList<int> Tokens, string Text);

    /// <param name="Prompt">What to continue.</param>
    /// <param name="Options">How; always with a seed.</param>
    /// <param name="Streams">Whether the caller reads token by token.</param>
    /// <param name="Delay">Time before the request is made.</param>
    /// <param name="Cancellation">Time from there to its cancellation, if it is to be cancelled.</param>
    /// <param name="LeavesAfter">After how many updates a streaming caller leaves.</param>
    private sealed record Request(string Prompt, GenerationOptions Options, bool Streams, TimeSpan Delay, TimeSpan? Cancellation, int LeavesAfter)
    {
        public static Request Draw(Random random) => new(
            string.Concat(Enumerable.Repeat(Beginnings[random.Next(Beginnings.Length)] + " ", 1 + random.Next(12))),
            new GenerationOptions
            {
                Seed = random.Next(),
                MaxTokens = 1 + random.Next(60),
                Temperature = random.Next(3) * 0.6f,
                TopK = random.Next(2) * 30,
                TopP = random.Next(2) == 0 ? 1 : 0.8f,
                RepetitionPenalty = random.Next(2) == 0 ? 1 : 1.2f,
                TopLogprobs = random.Next(4) == 0 ? 3 : null,
                StopSequences = random.Next(3) == 0 ? [". ", "said"] : [],
                IgnoreEndOfText = random.Next(2) == 0,
            },
            Streams: random.Next(2) == 0,
            Delay: TimeSpan.FromMilliseconds(random.Next(300)),
            Cancellation: random.Next(4) == 0 ? TimeSpan.FromMilliseconds(random.Next(150)) : null,
            LeavesAfter: random.Next(6) == 0 ? 1 + random.Next(10) : int.MaxValue);

        public async Task<Answer?> RunAsync(LlmSession session)
        {
            await Task.Delay(Delay);
            using var cancellation = new CancellationTokenSource();
            if (Cancellation is { } after) cancellation.CancelAfter(after);
            try
            {
                if (Streams) return await StreamAsync(session, cancellation.Token);
                GenerationResult result = await session.GenerateAsync(Prompt, Options, cancellation.Token);
                return new Answer(result.TokenIds, result.Text);
            }
            catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
            {
                return null;
            }
        }

        private async Task<Answer?> StreamAsync(LlmSession session, CancellationToken cancellationToken)
        {
            List<GenerationUpdate> updates = [];
            await foreach (GenerationUpdate update in session.StreamAsync(Prompt, Options, CancellationToken.None).WithCancellation(cancellationToken))
            {
                updates.Add(update);
                if (updates.Count == LeavesAfter) return null;
            }
            return new Answer([.. updates.SelectMany(update => update.TokenIds)], string.Concat(updates.Select(update => update.Text)));
        }
    }
}
