namespace Decart.Inference.Chat.Jinja;

/// <summary>Texts that are safe in HTML, which <c>safe</c> and <c>escape</c> make.</summary>
internal static class Markup
{
    /// <summary>The text with the characters that mean something in HTML escaped, unless it is safe already.</summary>
    public static StringValue Escape(StringValue text, Rendering rendering) => text.IsMarkup ? text : EscapeAlways(text, rendering);

    public static StringValue EscapeAlways(StringValue text, Rendering rendering)
    {
        if (text.Text.AsSpan().IndexOfAny("&<>\"'") < 0) return new StringValue(text.Text, text.Data, isMarkup: true);
        MarkedBuilder builder = new(rendering.Budget);
        for (int i = 0; i < text.Text.Length; i++)
        {
            if (EntityOf(text.Text[i]) is { } entity) builder.Append(entity, text.IsData(i));
            else builder.Append(text, i, 1);
        }
        return builder.ToValue().AsMarkup();
    }

    private static string? EntityOf(char character) => character switch
    {
        '&' => "&amp;",
        '<' => "&lt;",
        '>' => "&gt;",
        '"' => "&#34;",
        '\'' => "&#39;",
        _ => null,
    };
}
