namespace Decart.Inference.Checkpoints;

/// <summary>Cuts names and values from files and callers to a length that fits into a message.</summary>
internal static class Quoted
{
    private const int LongestValue = 60, LongestName = 200, MostNames = 5;

    /// <summary>A value as a message shows it.</summary>
    public static string Value(string value) => Cut(value, LongestValue);

    /// <summary>A field's or a tensor's name as a message shows it.</summary>
    public static string Name(string name) => Cut(name, LongestName);

    /// <summary>The first names, separated by commas, and how many more there are.</summary>
    public static string Names(IReadOnlyList<string> names)
    {
        string shown = string.Join(", ", names.Take(MostNames).Select(Value));
        return names.Count > MostNames ? $"{shown} and {names.Count - MostNames} more" : shown;
    }

    /// <summary>A text, or the beginning of one that is too long, without characters that could forge lines of a log or command a terminal.</summary>
    public static string Cut(string text, int length)
    {
        if (text.Length <= length) return WithoutControls(text);
        if (char.IsHighSurrogate(text[length - 1])) length--;
        return string.Concat(WithoutControls(text[..length]), "...");
    }

    private static string WithoutControls(string text) =>
        text.Any(char.IsControl) ? string.Concat(text.Select(character => char.IsControl(character) ? '\uFFFD' : character)) : text;
}
