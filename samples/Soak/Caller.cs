using System.Text;
using Decart.Inference;

namespace Soak;

/// <summary>A user of the session who does one thing after another, patiently or not.</summary>
internal sealed class Caller(LlmSession session, KnownAnswers known, Tally tally, Random random)
{
    /// <summary>Acts until the end; what has begun then is finished.</summary>
    public async Task RunAsync(CancellationToken ending)
    {
        await Task.Yield();
        while (!ending.IsCancellationRequested)
        {
            try
            {
                await ActAsync();
            }
            catch (Exception error)
            {
                tally.Fail($"{error.GetType().Name}: {error.Message}");
            }
            await Task.Delay(random.Next(40), CancellationToken.None);
        }
    }

    private Task ActAsync() => random.Next(10) switch
    {
        < 3 => GenerateAsync(),
        < 5 => StreamSlowlyAsync(),
        5 => LeaveEarlyAsync(),
        < 8 => CancelAsync(),
        _ => ConverseAsync(),
    };

    private async Task GenerateAsync()
    {
        (Request request, string expected) = known.Draw(random);
        GenerationResult answer = await session.GenerateAsync(request.Prompt, request.Options);
        tally.Check("a whole answer", answer.Text, expected);
        tally.CountDone();
    }

    /// <summary>Now and then so slowly that the request has to wait for its reader.</summary>
    private async Task StreamSlowlyAsync()
    {
        (Request request, string expected) = known.Draw(random);
        var text = new StringBuilder();
        await foreach (GenerationUpdate update in session.StreamAsync(request.Prompt, request.Options))
        {
            text.Append(update.Text);
            if (random.Next(8) == 0) await Task.Delay(random.Next(200));
        }
        tally.Check("a streamed answer", text.ToString(), expected);
        tally.CountDone();
    }

    private async Task LeaveEarlyAsync()
    {
        Request request = Request.Draw(random);
        int left = random.Next(1, 40);
        await foreach (GenerationUpdate _ in session.StreamAsync(request.Prompt, request.Options))
        {
            if (--left > 0) continue;
            tally.CountLeft();
            return;
        }
        tally.CountDone();
    }

    private async Task CancelAsync()
    {
        Request request = Request.Draw(random);
        using var cancellation = new CancellationTokenSource(random.Next(400));
        try
        {
            await session.GenerateAsync(request.Prompt, request.Options, cancellation.Token);
            tally.CountDone();
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            tally.CountCancelled();
        }
    }

    /// <summary>A first turn, then the second in a fork, in the conversation itself, and again after going back: always the same answer.</summary>
    private async Task ConverseAsync()
    {
        using Conversation conversation = session.StartConversation();
        Request first = Request.Draw(random);
        await conversation.GenerateAsync(first.Prompt, first.Options with { MaxTokens = 1 + random.Next(60) });
        int tokens = conversation.TokenCount;
        using Conversation fork = conversation.Fork();
        GenerationOptions options = first.Options with { MaxTokens = 1 + random.Next(60) };
        const string Turn = " Then the little mouse";

        string inFork = (await fork.GenerateAsync(Turn, options)).Text;
        await Task.Delay(random.Next(100));
        tally.Check("a turn after a fork", (await conversation.GenerateAsync(Turn, options)).Text, inFork);
        conversation.Rewind(tokens);
        tally.Check("a turn after going back", (await conversation.GenerateAsync(Turn, options)).Text, inFork);
        tally.CountDone();
    }
}
