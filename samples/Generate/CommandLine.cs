using System.CommandLine;
using System.CommandLine.Parsing;
using Decart.Inference;
using Samples;

namespace Generate;

/// <summary>What the command line asks for.</summary>
/// <param name="Model">The model.</param>
/// <param name="Prompt">The text to continue, or the only question; null when none is given.</param>
/// <param name="System">What a chat begins with; null for nothing.</param>
/// <param name="Raw">Whether a chat model continues texts.</param>
/// <param name="Device">Where to compute.</param>
/// <param name="MaxTokens">The most tokens of an answer; null for the default.</param>
/// <param name="Temperature">How to sample; null for the model's default.</param>
/// <param name="Seed">What makes answers the same each time.</param>
internal sealed record CommandLine(string Model, string? Prompt, string? System, bool Raw, Device Device, int? MaxTokens, float? Temperature, long? Seed)
{
    private const string Description = """
        Chats with a chat model, and continues texts with any other.

        With a prompt, a chat model answers it and the program ends. Without one, questions are read from standard input, one a line; at a terminal /help lists what else can be typed there. Ctrl+C stops an answer, and the program while it waits for a question.

        What the model says goes to standard output; its thoughts, progress and figures go to standard error. Exit codes: 0 when all is answered, 1 when the model or the options cannot be used, 2 when the command line is not understood, 130 when stopped by Ctrl+C.
        """;

    /// <summary>The command, which runs an action with what its command line asks for.</summary>
    public static RootCommand Create(Func<CommandLine, Task<int>> action)
    {
        Argument<string> model = new("model")
        {
            Description = "A folder with config.json and safetensors files, a .gguf file, or the name of a model on the Hugging Face Hub (org/name, org/name:Q4_K_M); without it, the storyteller of the samples",
            Arity = ArgumentArity.ZeroOrOne,
        };
        Argument<string> prompt = new("prompt") { Description = "The question, or the text to continue, in quotation marks", Arity = ArgumentArity.ZeroOrOne };
        Option<string> system = new("--system") { Description = "What a chat model is told before the first question" };
        Option<bool> raw = new("--raw") { Description = "Continue the prompt as it stands, also with a chat model" };
        Option<Device> device = new("--device") { Description = "cpu, cuda:0, cuda:0,1, cuda:all or auto; a GPU if there is one unless given", CustomParser = ParseDevice };
        Option<int?> maxTokens = new("--max-tokens")
        {
            Description = $"The most tokens of an answer; unless given, {new GenerationOptions().MaxTokens} for a text and no limit but the model's context in a chat",
        };
        Option<float?> temperature = new("--temperature")
        {
            Description = "0 for the most probable token each time, 1 for the model's own probabilities; the model's default unless given",
        };
        Option<long?> seed = new("--seed") { Description = "A number that makes the answers the same each time" };
        RootCommand command = new(Description) { model, prompt, system, raw, device, maxTokens, temperature, seed };
        command.Validators.Add(result =>
        {
            foreach (Token token in result.Tokens.Where(token => token.Value.StartsWith("--", StringComparison.Ordinal))) result.AddError($"{token.Value} is not an option.");
            if (result.GetValue(model) is null && Storyteller.Find() is null) result.AddError("The storyteller model is not here: name a model.");
            if (result.GetValue(raw) && result.GetValue(system) is not null) result.AddError("--system is for chats, --raw for everything else: give one of them.");
        });
        command.SetAction(parsed => action(new CommandLine(
            parsed.GetValue(model) ?? Storyteller.Find()!,
            parsed.GetValue(prompt),
            parsed.GetValue(system),
            parsed.GetValue(raw),
            parsed.GetValue(device),
            parsed.GetValue(maxTokens),
            parsed.GetValue(temperature),
            parsed.GetValue(seed))));
        return command;
    }

    private static Device ParseDevice(ArgumentResult result)
    {
        if (!Device.TryParse(result.Tokens[0].Value, null, out Device device))
            result.AddError($"\"{result.Tokens[0].Value}\" names no device: expected \"auto\", \"cpu\", \"cuda:0\", \"cuda:0,1\" or \"cuda:all\".");
        return device;
    }
}
