using System.Globalization;

namespace Soak;

/// <summary>What the command line asks for.</summary>
/// <param name="Model">A folder with config.json and safetensors files, or a .gguf file, with a tokenizer.</param>
/// <param name="Duration">How long the load lasts.</param>
/// <param name="KvBytes">Memory for keys and values.</param>
/// <param name="Callers">Requests and conversations at once; half as many run together.</param>
/// <param name="Seed">Makes what callers do the same each time, but not when they do it.</param>
internal sealed record CommandLine(string Model, TimeSpan Duration, long KvBytes, int Callers, int Seed)
{
    public const string Usage = "usage: Soak [--minutes 10] [--model path] [--kv-bytes n] [--callers n] [--seed n]";

    /// <summary>About 680 tokens of the storyteller: its running requests need more.</summary>
    private const long StorytellerKvBytes = 4 << 20;

    /// <exception cref="FormatException">The command line is not understood; the message says why.</exception>
    public static CommandLine Parse(string[] args)
    {
        string? model = null;
        double minutes = 10;
        long kvBytes = StorytellerKvBytes;
        int callers = 24, seed = 1;
        for (int i = 0; i < args.Length; i += 2)
        {
            string value = i + 1 < args.Length ? args[i + 1] : throw new FormatException($"{args[i]} needs a value.");
            switch (args[i])
            {
                case "--minutes": minutes = Number<double>(args[i], value); break;
                case "--model": model = value; break;
                case "--kv-bytes": kvBytes = Number<long>(args[i], value); break;
                case "--callers": callers = Math.Max(2, Number<int>(args[i], value)); break;
                case "--seed": seed = Number<int>(args[i], value); break;
                default: throw new FormatException($"{args[i]} is not an option.");
            }
        }
        return new CommandLine(model ?? Storyteller(), TimeSpan.FromMinutes(minutes), kvBytes, callers, seed);
    }

    private static T Number<T>(string name, string value) where T : IParsable<T> =>
        T.TryParse(value, CultureInfo.InvariantCulture, out T? number)
            ? number
            : throw new FormatException($"{name}: \"{value}\" is not the kind of number that is expected.");

    /// <summary>The small model in the repository that the program was built in.</summary>
    private static string Storyteller()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            string storyteller = Path.Combine(folder.FullName, "samples", "models", "storyteller");
            if (Directory.Exists(storyteller)) return storyteller;
        }
        throw new FormatException("The storyteller model is not here: name one with --model.");
    }
}
