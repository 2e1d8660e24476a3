using System.Globalization;
using Decart.Inference;

namespace Generate;

/// <summary>Shows how far loading has come: on a terminal one line, rewritten as it changes and gone at the end; elsewhere one line a step.</summary>
internal sealed class ConsoleProgress : IProgress<LoadProgress>
{
    private string _shown = "";

    public void Report(LoadProgress value)
    {
        bool terminal = !Console.IsErrorRedirected;
        string percent = terminal && value.BytesTotal > 0 ? value.Fraction.ToString(" 0%", CultureInfo.InvariantCulture) : "";
        Show(value.Step + percent, terminal);
    }

    /// <summary>Clears the line of a terminal.</summary>
    public void Clear()
    {
        if (Console.IsErrorRedirected) return;
        Show("", terminal: true);
        Console.Error.Write('\r');
    }

    private void Show(string line, bool terminal)
    {
        if (line == _shown) return;
        Console.Error.Write(terminal ? $"\r{line.PadRight(_shown.Length)}" : $"{line}\n");
        _shown = line;
    }
}
