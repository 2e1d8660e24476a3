using Decart.Inference;
using Microsoft.Extensions.AI;

namespace Generate;

/// <summary>A conversation with a chat model: keeps what was said, and writes answers as they are generated.</summary>
/// <param name="client">The model.</param>
/// <param name="options">How to answer.</param>
/// <param name="system">What the model is told before the first question; null for nothing.</param>
/// <param name="output">Where answers go.</param>
/// <param name="notes">Where thoughts, figures and what the program itself says go.</param>
internal sealed class Chat(IChatClient client, ChatOptions options, string? system, TextWriter output, TextWriter notes)
{
    private const string Help = """
        /reset  forget what was said
        /help   show this
        /exit   end, as does the end of the input
        Everything else is a question. Ctrl+C stops an answer.
        """;

    private readonly List<ChatMessage> _history = Beginning(system);

    /// <summary>Answers a question. If it is stopped, what has been said until then stays in the conversation; if it fails, the question does not.</summary>
    public async Task AskAsync(string question, CancellationToken cancellationToken)
    {
        ChatMessage asked = new(ChatRole.User, question);
        List<ChatResponseUpdate> answer = [];
        Figures figures = new();
        _history.Add(asked);
        try
        {
            await foreach (ChatResponseUpdate update in client.GetStreamingResponseAsync(_history, options, cancellationToken))
            {
                figures.Count();
                answer.Add(update);
                foreach (AIContent content in update.Contents) Write(content, figures);
            }
            _history.AddMessages(answer);
        }
        catch (OperationCanceledException)
        {
            output.WriteLine();
            if (answer.Count > 0) _history.AddMessages(answer);
            else _history.Remove(asked);
            throw;
        }
        catch
        {
            _history.Remove(asked);
            throw;
        }
    }

    /// <summary>Answers questions, one a line, until there are no more.</summary>
    /// <param name="questions">Where they come from.</param>
    /// <param name="interactive">Whether somebody types them: then there is a sign to type after, and what fails or is stopped does not end the conversation.</param>
    /// <param name="interrupt">Stops answers.</param>
    public async Task RunAsync(TextReader questions, bool interactive, Interrupt interrupt)
    {
        while (Read(questions, interactive)?.Trim() is { } line)
        {
            switch (line)
            {
                case "":
                    continue;
                case "/exit":
                    return;
                case "/help":
                    notes.WriteLine(Help);
                    continue;
                case "/reset":
                    _history.Clear();
                    _history.AddRange(Beginning(system));
                    notes.WriteLine("What was said is forgotten.");
                    continue;
            }
            try
            {
                await interrupt.RunAsync(cancellationToken => AskAsync(line, cancellationToken));
            }
            catch (OperationCanceledException) when (interactive)
            {
                notes.WriteLine("Stopped.");
            }
            catch (Exception e) when (interactive && e is ContextLengthExceededException or ChatTemplateException or InvalidOperationException)
            {
                notes.WriteLine($"{e.Message} (/reset begins again.)");
            }
        }
    }

    private string? Read(TextReader questions, bool interactive)
    {
        if (interactive) notes.Write("> ");
        return questions.ReadLine();
    }

    private void Write(AIContent content, Figures figures)
    {
        switch (content)
        {
            case TextReasoningContent thought:
                notes.Write(thought.Text);
                break;
            case TextContent text:
                output.Write(text.Text);
                break;
            case UsageContent { Details: var usage }:
                output.WriteLine();
                notes.WriteLine($"\n{figures.Describe(usage.InputTokenCount ?? 0, usage.CachedInputTokenCount ?? 0, usage.OutputTokenCount ?? 0)}");
                break;
        }
    }

    private static List<ChatMessage> Beginning(string? system) => system is null ? [] : [new ChatMessage(ChatRole.System, system)];
}
