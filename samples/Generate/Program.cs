using System.CommandLine;
using System.Globalization;
using System.Text;
using Decart.Inference;
using Generate;
using Samples;

// Continues a prompt: the text goes to standard output as it is generated, progress and figures to standard error.

Console.OutputEncoding = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false);
ParseResult parsed = CommandLine.Create(RunAsync).Parse(args);
foreach (var error in parsed.Errors) Console.Error.WriteLine(error.Message);
if (parsed.Errors.Count > 0)
{
    Console.Error.WriteLine("--help lists what can be given.");
    return 2;
}
return await parsed.InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false });

static async Task<int> RunAsync(CommandLine commandLine, CancellationToken cancellationToken)
{
    try
    {
        if (commandLine.Model == Storyteller.Find()) Console.Error.WriteLine("The storyteller, a small model that comes with the samples, tells a story.");
        await using LlmSession session = await LoadAsync(commandLine.Model, commandLine.Device, cancellationToken);
        ModelInfo model = session.Model;
        Console.Error.WriteLine($"{model.Architecture}, vocabulary of {model.VocabularySize}, context of {model.ContextLength} tokens, on {model.Device}.");
        if (ChatModel.HasTemplate(commandLine.Model))
            Console.Error.WriteLine("This is a chat model. It gets the prompt as it stands, without the turns of its template, and may continue the prompt instead of answering.");
        Console.Error.WriteLine();
        Console.Write(commandLine.Prompt);
        await foreach (GenerationUpdate update in session.StreamAsync(commandLine.Prompt, commandLine.Options, cancellationToken))
        {
            Console.Write(update.Text);
            if (update.Usage is { } usage) Report(usage);
        }
        return 0;
    }
    catch (OperationCanceledException)
    {
        Console.Error.WriteLine("\nStopped.");
        return 130;
    }
    catch (Exception e) when (e is ModelLoadException or ArgumentException or ContextLengthExceededException or NotSupportedException or InvalidOperationException or OutOfMemoryException)
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

static void Report(Usage usage)
{
    Console.WriteLine();
    string rate = usage.TimePerOutputToken > TimeSpan.Zero
        ? string.Create(CultureInfo.InvariantCulture, $", then {1 / usage.TimePerOutputToken.TotalSeconds:F1} tokens/s")
        : "";
    Console.Error.WriteLine(string.Create(
        CultureInfo.InvariantCulture,
        $"\n{usage.PromptTokens} prompt tokens, {usage.CompletionTokens} generated: the first after {usage.TimeToFirstToken.TotalMilliseconds:F0} ms{rate}."));
}
