namespace Server.Http;

/// <summary>The beginning of what a caller wrote, for messages about it.</summary>
internal static class Excerpt
{
    private const int MostCharacters = 200;

    /// <summary>A text, or so much of it that a message stays readable.</summary>
    public static string Of(string text) =>
        text.Length <= MostCharacters ? text : $"{text.AsSpan(0, MostCharacters - (char.IsHighSurrogate(text[MostCharacters - 1]) ? 1 : 0))}…";
}
