using System.CommandLine;
using System.CommandLine.Parsing;
using Decart.Inference;
using Samples;

namespace Generate;

/// <summary>What the command line asks for.</summary>
internal sealed record CommandLine(string Model, string Prompt, Device Device, GenerationOptions Options)
{
    private const string Description = """
        Continues a prompt.

        The prompt is given to the model as it stands. A chat model expects the turns of its template around it: write them out, or it continues the text instead of answering.

        The text goes to standard output, progress and figures to standard error. Exit codes: 0 when the completion is complete, 1 when the model or the options cannot be used, 2 when the command line is not understood, 130 when stopped by Ctrl+C.
        """;

    /// <summary>The command, which runs an action with what its command line asks for.</summary>
    public static RootCommand Create(Func<CommandLine, CancellationToken, Task<int>> action)
    {
        Argument<string> model = new("model")
        {
            Description = "A folder with config.json and safetensors files, or a .gguf file; without it, the storyteller of the samples",
            Arity = ArgumentArity.ZeroOrOne,
        };
        Argument<string> prompt = new("prompt") { Description = "The text to continue, in quotation marks", DefaultValueFactory = _ => "Once upon a time" };
        Option<Device> device = new("--device") { Description = "cpu, cuda:0 or auto; a GPU if there is one unless given", CustomParser = ParseDevice };
        Option<int> maxTokens = new("--max-tokens") { Description = "The most tokens to generate", DefaultValueFactory = _ => new GenerationOptions().MaxTokens };
        Option<float?> temperature = new("--temperature")
        {
            Description = "0 for the most probable token each time, 1 for the model's own probabilities; the model's default unless given",
        };
        Option<long?> seed = new("--seed") { Description = "A number that makes the answer the same each time" };
        RootCommand command = new(Description) { model, prompt, device, maxTokens, temperature, seed };
        command.Validators.Add(result =>
        {
            foreach (Token token in result.Tokens.Where(token => token.Value.StartsWith("--", StringComparison.Ordinal))) result.AddError($"{token.Value} is not an option.");
            if (result.GetValue(model) is null && Storyteller.Find() is null) result.AddError("The storyteller model is not here: name a model.");
        });
        command.SetAction((parsed, cancellationToken) =>
        {
            GenerationOptions options = new() { MaxTokens = parsed.GetValue(maxTokens), Temperature = parsed.GetValue(temperature), Seed = parsed.GetValue(seed) };
            return action(new CommandLine(parsed.GetValue(model) ?? Storyteller.Find()!, parsed.GetValue(prompt)!, parsed.GetValue(device), options), cancellationToken);
        });
        return command;
    }

    private static Device ParseDevice(ArgumentResult result)
    {
        if (!Device.TryParse(result.Tokens[0].Value, null, out Device device))
            result.AddError($"\"{result.Tokens[0].Value}\" names no device: expected \"auto\", \"cpu\" or \"cuda:0\".");
        return device;
    }
}
