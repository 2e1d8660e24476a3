using System.CommandLine;
using System.Text;
using Decart.Inference;
using Generate;
using Microsoft.Extensions.AI;
using Samples;

// A chat on chat models, else the completion of a text. What the model says goes to standard output, progress and figures to standard error.

Console.OutputEncoding = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false);
ParseResult parsed = CommandLine.Create(RunAsync).Parse(args);
foreach (var error in parsed.Errors) Console.Error.WriteLine(error.Message);
if (parsed.Errors.Count > 0)
{
    Console.Error.WriteLine("--help lists what can be given.");
    return 2;
}
return await parsed.InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null });

static async Task<int> RunAsync(CommandLine commandLine)
{
    using Interrupt interrupt = new();
    try
    {
        if (commandLine.Model == Storyteller.Find()) Console.Error.WriteLine("The storyteller, a small model that comes with the samples, tells a story.");
        LlmSession? loaded = null;
        await interrupt.RunAsync(async cancellationToken => loaded = await LoadAsync(commandLine.Model, commandLine.Device, cancellationToken));
        await using LlmSession session = loaded!;
        ModelInfo model = session.Model;
        Console.Error.WriteLine($"{model.Architecture}, vocabulary of {model.VocabularySize}, context of {model.ContextLength} tokens, on {model.Device}.");
        bool chats = !commandLine.Raw && session.ChatTemplate is not null;
        if (chats) await ChatAsync(session, commandLine, interrupt);
        else if (commandLine.System is null) await interrupt.RunAsync(cancellationToken => CompleteAsync(session, commandLine, cancellationToken));
        else throw new NotSupportedException("This model has no chat template, so there is nothing that --system could begin.");
        return 0;
    }
    catch (OperationCanceledException)
    {
        Console.Error.WriteLine("\nStopped.");
        return 130;
    }
    catch (Exception e) when (e is ModelLoadException or ModelHubException or ChatTemplateException or ArgumentException or ContextLengthExceededException
        or NotSupportedException or InvalidOperationException or OutOfMemoryException)
    {
        Console.Error.WriteLine($"\n{e.Message}");
        return 1;
    }
}

static async Task<LlmSession> LoadAsync(string model, Device device, CancellationToken cancellationToken)
{
    var progress = new ConsoleProgress();
    try
    {
        return await LlmSession.LoadAsync(model, new() { Device = device }, progress, cancellationToken: cancellationToken);
    }
    finally
    {
        progress.Clear();
    }
}

static async Task ChatAsync(LlmSession session, CommandLine commandLine, Interrupt interrupt)
{
    ChatOptions options = new() { MaxOutputTokens = commandLine.MaxTokens, Temperature = commandLine.Temperature, Seed = commandLine.Seed };
    Chat chat = new(session.AsChatClient(), options, commandLine.System, Console.Out, Console.Error);
    if (commandLine.Prompt is { } question)
    {
        await interrupt.RunAsync(cancellationToken => chat.AskAsync(question, cancellationToken));
        return;
    }
    if (!Console.IsInputRedirected) Console.Error.WriteLine("Ask something; /help lists what else can be typed.");
    await chat.RunAsync(Console.In, !Console.IsInputRedirected, interrupt);
}

static async Task CompleteAsync(LlmSession session, CommandLine commandLine, CancellationToken cancellationToken)
{
    string prompt = commandLine.Prompt ?? "Once upon a time";
    GenerationOptions options = new() { Temperature = commandLine.Temperature, Seed = commandLine.Seed };
    if (commandLine.MaxTokens is { } most) options = options with { MaxTokens = most };
    Figures figures = new();
    Console.Error.WriteLine();
    Console.Write(prompt);
    await foreach (GenerationUpdate update in session.StreamAsync(prompt, options, cancellationToken))
    {
        figures.Count();
        Console.Write(update.Text);
        if (update.Usage is not { } usage) continue;
        Console.WriteLine();
        Console.Error.WriteLine($"\n{figures.Describe(usage.PromptTokens, usage.CachedPromptTokens, usage.CompletionTokens)}");
    }
}
