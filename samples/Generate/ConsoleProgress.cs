using System.Globalization;
using Decart.Inference;

namespace Generate;

/// <summary>Shows how far loading has come: on a terminal one line, rewritten as it changes and gone at the end; elsewhere one line a step.</summary>
internal sealed class ConsoleProgress : IProgress<LoadProgress>
{
    private readonly HashSet<string> _steps = []; // several files are downloaded at once
    private string _shown = "";

    public void Report(LoadProgress value)
    {
        if (Console.IsErrorRedirected)
        {
            if (_steps.Add(value.Step)) Console.Error.WriteLine(value.Step);
            return;
        }
        Show(value.BytesTotal > 0 ? string.Create(CultureInfo.InvariantCulture, $"{value.Step} {value.Fraction:0%} of {value.BytesTotal / 1e6:N0} MB") : value.Step);
    }

    /// <summary>Clears the line of a terminal.</summary>
    public void Clear()
    {
        if (Console.IsErrorRedirected) return;
        Show("");
        Console.Error.Write('\r');
    }

    private void Show(string line)
    {
        if (line == _shown) return;
        Console.Error.Write($"\r{line.PadRight(_shown.Length)}");
        _shown = line;
    }
}
