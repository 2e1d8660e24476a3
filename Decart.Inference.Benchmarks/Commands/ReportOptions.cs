using System.CommandLine;
using Decart.Inference.Benchmarks.Reports;

namespace Decart.Inference.Benchmarks.Commands;

/// <summary>The options that say where a report goes.</summary>
/// <param name="benchmark">The benchmark's name, with which its files' names begin.</param>
/// <param name="model">The model's path, of which the rest of their names is made unless given.</param>
internal sealed class ReportOptions(string benchmark, Argument<string> model)
{
    private const string Folder = "--out";

    private readonly Option<string?> _folder = new(Folder) { Description = "A folder for the report as JSON, Markdown and plot; nowhere unless given" };
    private readonly Option<string?> _name = new("--name") { Description = "What the report's files are called after the benchmark; the model's name unless given" };

    /// <summary>Arguments as a report names them: where it was written to says nothing of the measurement.</summary>
    public static IEnumerable<string> Without(IReadOnlyList<string> arguments) =>
        arguments.Where((argument, i) => argument != Folder && (i == 0 || arguments[i - 1] != Folder));

    public void AddTo(Command command)
    {
        command.Options.Add(_folder);
        command.Options.Add(_name);
    }

    /// <summary>Where the report goes; null for nowhere.</summary>
    public ReportFiles? Files(ParseResult parsed)
    {
        if (parsed.GetValue(_folder) is not { } folder) return null;
        string name = parsed.GetValue(_name) ?? Path.GetFileNameWithoutExtension(Path.TrimEndingDirectorySeparator(parsed.GetRequiredValue(model)));
        return new ReportFiles(folder, $"{benchmark}-{name}");
    }
}
