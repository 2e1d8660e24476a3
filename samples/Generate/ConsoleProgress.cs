using System.Globalization;
using Decart.Inference;

namespace Generate;

/// <summary>Shows how far loading has come: one line on a terminal, rewritten as it changes; one line a step where output is redirected.</summary>
internal sealed class ConsoleProgress : IProgress<LoadProgress>
{
    private string _shown = "";

    public void Report(LoadProgress value)
    {
        bool terminal = !Console.IsErrorRedirected;
        string percent = terminal && value.BytesTotal > 0 ? value.Fraction.ToString(" 0%", CultureInfo.InvariantCulture) : "";
        string line = value.Step + percent;
        if (line == _shown) return;
        Console.Error.Write(terminal ? $"\r{line.PadRight(_shown.Length)}" : $"{line}\n");
        if (terminal && value.Fraction >= 1) Console.Error.WriteLine();
        _shown = line;
    }
}
