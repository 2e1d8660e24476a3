using System.Globalization;
using System.Text;
using Decart.Inference;
using Generate;

// Continues a prompt: the text goes to standard output as it is generated, progress and figures to standard error.

Console.OutputEncoding = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false);
if (args.Contains("--help"))
{
    Console.WriteLine(CommandLine.Help);
    return 0;
}

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
    await using LlmSession session = await LoadAsync(commandLine.Model, commandLine.Device, interrupted.Token);
    ModelInfo model = session.Model;
    Console.Error.WriteLine($"{model.Architecture}, vocabulary of {model.VocabularySize}, context of {model.ContextLength} tokens, on {model.Device}.\n");
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
catch (Exception e) when (e is ModelLoadException or ArgumentException or ContextLengthExceededException or NotSupportedException or OutOfMemoryException)
{
    Console.Error.WriteLine($"\n{e.Message}");
    return 1;
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
