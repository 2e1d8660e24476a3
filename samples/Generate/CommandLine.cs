using System.Globalization;
using Decart.Inference;

namespace Generate;

/// <summary>What the command line asks for.</summary>
internal sealed record CommandLine(string Model, string Prompt, Device Device, GenerationOptions Options)
{
    public const string Usage = "usage: Generate [model] [prompt] [--device d] [--max-tokens n] [--temperature t] [--seed s] [--help]";

    public const string Help = $"""
        Continues a prompt.

        {Usage}

          model          a folder with config.json and safetensors files, or a .gguf file; without it, the storyteller of the samples
          prompt         the text to continue; without it, "Once upon a time"
          --device       cpu, cuda:0 or auto; a GPU if there is one unless given
          --max-tokens   the most tokens to generate; 256 unless given
          --temperature  0 for the most probable token each time, 1 for the model's own probabilities; the model's default unless given
          --seed         a number that makes the answer the same each time

        The prompt is given to the model as it stands. A chat model expects the turns of its template around it: write them out, or it
        continues the text instead of answering.

        The text goes to standard output, progress and figures to standard error. Exit codes: 0 when the completion is complete, 1 when
        the model or the options cannot be used, 2 when the command line is not understood, 130 when stopped by Ctrl+C.
        """;

    /// <exception cref="FormatException">The command line is not understood; the message says why.</exception>
    public static CommandLine Parse(string[] args)
    {
        List<string> positional = [];
        var options = new GenerationOptions();
        Device device = Device.Auto;
        for (int i = 0; i < args.Length; i++)
        {
            if (!args[i].StartsWith("--", StringComparison.Ordinal))
            {
                positional.Add(args[i]);
                continue;
            }
            string name = args[i];
            string value = ++i < args.Length ? args[i] : throw new FormatException($"{name} needs a value.");
            if (name == "--device")
            {
                device = Device.Parse(value);
                continue;
            }
            options = name switch
            {
                "--max-tokens" => options with { MaxTokens = Number<int>(name, value) },
                "--temperature" => options with { Temperature = Number<float>(name, value) },
                "--seed" => options with { Seed = Number<long>(name, value) },
                _ => throw new FormatException($"{name} is not an option."),
            };
        }
        if (positional.Count > 2) throw new FormatException($"\"{positional[2]}\" is one argument too many: put the prompt in quotation marks.");
        return new CommandLine(positional.ElementAtOrDefault(0) ?? Storyteller(), positional.ElementAtOrDefault(1) ?? "Once upon a time", device, options);
    }

    private static T Number<T>(string name, string value) where T : IParsable<T> =>
        T.TryParse(value, CultureInfo.InvariantCulture, out T? number)
            ? number
            : throw new FormatException($"{name}: \"{value}\" is not the kind of number that is expected.");

    /// <summary>The small model that comes with the samples: beside the program, or in the repository that it was built in.</summary>
    private static string Storyteller()
    {
        string beside = Path.Combine(AppContext.BaseDirectory, "models", "storyteller");
        if (Directory.Exists(beside)) return beside;
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            string inRepository = Path.Combine(folder.FullName, "samples", "models", "storyteller");
            if (Directory.Exists(inRepository)) return inRepository;
        }
        throw new FormatException("The storyteller model is not here: name a model.");
    }
}
