using System.Globalization;
using Decart.Inference;
using Generate;

// Continues a prompt: the text goes to standard output as it is generated, progress and figures to standard error.

CommandLine commandLine;
try
{
    commandLine = CommandLine.Parse(args);
}
catch (FormatException e)
{
    Console.Error.WriteLine($"{e.Message}\n{CommandLine.Usage}");
    return 2;
}

using var interrupted = new CancellationTokenSource();
Console.CancelKeyPress += (_, key) =>
{
    key.Cancel = true;
    interrupted.Cancel();
};

try
{
    await using LlmSession session = await LlmSession.LoadAsync(commandLine.Model, progress: new ConsoleProgress(), cancellationToken: interrupted.Token);
    ModelInfo model = session.Model;
    Console.Error.WriteLine($"{model.Architecture}, vocabulary of {model.VocabularySize}, context of {model.ContextLength} tokens, on {model.Device}.");
    Console.Write(commandLine.Prompt);
    await foreach (GenerationUpdate update in session.StreamAsync(commandLine.Prompt, commandLine.Options, interrupted.Token))
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
catch (Exception e) when (e is ModelLoadException or ArgumentException or ContextLengthExceededException or NotSupportedException)
{
    Console.Error.WriteLine($"\n{e.Message}");
    return 1;
}

static void Report(Usage usage)
{
    Console.WriteLine();
    double prefill = usage.PromptTokens / usage.TimeToFirstToken.TotalSeconds;
    string decode = usage.TimePerOutputToken > TimeSpan.Zero
        ? string.Create(CultureInfo.InvariantCulture, $", {1 / usage.TimePerOutputToken.TotalSeconds:F1} tokens/s")
        : "";
    Console.Error.WriteLine(string.Create(
        CultureInfo.InvariantCulture,
        $"\nPrompt: {usage.PromptTokens} tokens, {prefill:F1} tokens/s. Completion: {usage.CompletionTokens} tokens{decode}."));
}
