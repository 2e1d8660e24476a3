namespace Decart.Inference.Chat.Jinja;

/// <summary>A template's text as it is read: line ends are line feeds, and one at the end is dropped.</summary>
internal sealed class SourceText
{
    public SourceText(string text)
    {
        text = NormalizeLines(text);
        Text = text.EndsWith('\n') ? text[..^1] : text;
    }

    public string Text { get; }

    public static string NormalizeLines(string text) =>
        text.Contains('\r', StringComparison.Ordinal) ? text.Replace("\r\n", "\n", StringComparison.Ordinal).Replace('\r', '\n') : text;

    /// <summary>The exception that says what is wrong at a position.</summary>
    public ChatTemplateException Wrong(ChatTemplateError error, string problem, int position, Exception? cause = null)
    {
        position = Math.Min(position, Text.Length);
        ReadOnlySpan<char> before = Text.AsSpan(0, position);
        return new ChatTemplateException(error, problem, before.Count('\n') + 1, position - before.LastIndexOf('\n'), cause);
    }

    /// <summary>The exception that says what is wrong in the way it is written.</summary>
    public ChatTemplateException WrongSyntax(string problem, int position) => Wrong(ChatTemplateError.Syntax, problem, position);
}
