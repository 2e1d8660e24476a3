using System.Text.Json;
using System.Text.Json.Serialization;
using ScottPlot;

namespace Decart.Inference.Benchmarks.Reports;

/// <summary>The files of a report, side by side in a folder: JSON, Markdown and a plot.</summary>
/// <param name="folder">The folder, which is made if it is not there.</param>
/// <param name="name">The files' name without its ending.</param>
internal sealed class ReportFiles(string folder, string name)
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        WriteIndented = true,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        Converters = { new JsonStringEnumConverter() },
    };

    /// <summary>Reads what <see cref="Write"/> has written.</summary>
    /// <exception cref="InvalidDataException">It is not a report of that kind.</exception>
    public static TReport Read<TReport>(string path)
        where TReport : class, IReport
    {
        using FileStream file = File.OpenRead(path);
        return JsonSerializer.Deserialize<TReport>(file, Json) ?? throw new InvalidDataException($"{path} holds no report.");
    }

    /// <summary>The benchmark that a report is of.</summary>
    /// <exception cref="InvalidDataException">It is no report.</exception>
    public static string Command(string path)
    {
        using FileStream file = File.OpenRead(path);
        using JsonDocument document = JsonDocument.Parse(file);
        return document.RootElement.TryGetProperty("head", out JsonElement head) && head.TryGetProperty("command", out JsonElement command)
            ? command.GetString() ?? ""
            : throw new InvalidDataException($"{path} is not a report of this program.");
    }

    /// <summary>Writes or overwrites the JSON and the Markdown; may be done after each row, so that what was measured outlives an interruption.</summary>
    public void Write<TReport>(TReport report)
        where TReport : IReport
    {
        Directory.CreateDirectory(folder);
        File.WriteAllText(PathWith(".json"), JsonSerializer.Serialize(report, Json) + "\n");
        File.WriteAllText(PathWith(".md"), report.ToMarkdown() + "\n");
    }

    /// <summary>Draws the plot, which needs fonts that not every machine has.</summary>
    /// <returns>Why there is none; null if it was drawn.</returns>
    public string? TryDraw(Func<IReadOnlyList<Plot>> plot)
    {
        if (!Plots.HaveFonts) return "No plot: this machine has no fonts. The command plot draws it from the JSON on another.";
        Plots.Save(plot(), PathWith(".png"));
        return null;
    }

    private string PathWith(string ending) => Path.Combine(folder, name + ending);
}
