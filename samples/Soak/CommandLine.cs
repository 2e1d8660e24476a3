using System.CommandLine;
using Samples;

namespace Soak;

/// <summary>What the command line asks for.</summary>
/// <param name="Model">A folder with config.json and safetensors files, or a .gguf file, with a tokenizer.</param>
/// <param name="Duration">How long the load lasts.</param>
/// <param name="KvBytes">Memory for keys and values.</param>
/// <param name="Callers">Requests and conversations at once; half as many run together.</param>
/// <param name="Seed">Makes what callers do the same each time, but not when they do it.</param>
internal sealed record CommandLine(string Model, TimeSpan Duration, long KvBytes, int Callers, int Seed)
{
    /// <summary>About 680 tokens of the storyteller: its running requests need more.</summary>
    private const long StorytellerKvBytes = 4 << 20;

    /// <summary>The command, which runs an action with what its command line asks for.</summary>
    public static RootCommand Create(Func<CommandLine, Task<int>> action)
    {
        Option<double> minutes = new("--minutes") { Description = "How long the load lasts", DefaultValueFactory = _ => 10 };
        Option<string?> model = new("--model") { Description = "A folder or a .gguf file with a tokenizer; the storyteller of the samples unless given" };
        Option<long> kvBytes = new("--kv-bytes") { Description = "Memory for keys and values", DefaultValueFactory = _ => StorytellerKvBytes };
        Option<int> callers = new("--callers") { Description = "Requests and conversations at once; half as many run together", DefaultValueFactory = _ => 24 };
        Option<int> seed = new("--seed") { Description = "Makes what callers do the same each time, but not when they do it", DefaultValueFactory = _ => 1 };
        RootCommand command = new("Keeps a session under random load for minutes and says whether anything grew or any answer was wrong.") { minutes, model, kvBytes, callers, seed };
        command.Validators.Add(result =>
        {
            if (result.GetValue(model) is null && Storyteller.Find() is null) result.AddError("The storyteller model is not here: name one with --model.");
        });
        command.SetAction(parsed => action(new CommandLine(
            parsed.GetValue(model) ?? Storyteller.Find()!,
            TimeSpan.FromMinutes(parsed.GetValue(minutes)),
            parsed.GetValue(kvBytes),
            Math.Max(2, parsed.GetValue(callers)),
            parsed.GetValue(seed))));
        return command;
    }
}
