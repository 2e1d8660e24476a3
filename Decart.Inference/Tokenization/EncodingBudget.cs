namespace Decart.Inference.Tokenization;

/// <summary>How long the expressions of a tokenizer may work on one text, how long its rules may make it, and whether its caller still waits for it.</summary>
/// <param name="limit">The most time from now on.</param>
/// <param name="cancellationToken">Ends the encoding at any moment.</param>
/// <param name="maxCharacters">The most characters of the text after any of the rules.</param>
internal sealed class EncodingBudget(TimeSpan limit, CancellationToken cancellationToken, long maxCharacters = EncodingBudget.CharactersOfAnyText)
{
    /// <summary>What a short text may become; a longer one may grow as many times as <see cref="MostGrowth"/>, which no published tokenizer comes near.</summary>
    private const long CharactersOfAnyText = 1 << 20;

    private const int MostGrowth = 16;

    /// <summary>Expressions that are meant well need a tenth of this.</summary>
    private const int MillisecondsPerMillionCharacters = 5_000;

    private static readonly TimeSpan ShortestLimit = TimeSpan.FromSeconds(5);

    private readonly long _start = Environment.TickCount64;

    /// <summary>For what is not a caller's text.</summary>
    public static EncodingBudget Unlimited { get; } = new(TimeSpan.MaxValue, CancellationToken.None);

    public TimeSpan Limit => limit;

    /// <summary>What a text is given.</summary>
    public static EncodingBudget For(string text, CancellationToken cancellationToken) =>
        new(
        ShortestLimit + TimeSpan.FromMilliseconds((long)text.Length * MillisecondsPerMillionCharacters / 1_000_000),
        cancellationToken,
        Math.Max(CharactersOfAnyText, (long)text.Length * MostGrowth));

    /// <summary>Whether the time is over; asked between the matches of an expression.</summary>
    /// <exception cref="OperationCanceledException">The caller has cancelled.</exception>
    public bool IsSpent()
    {
        ThrowIfCancelled();
        return Environment.TickCount64 - _start > limit.TotalMilliseconds;
    }

    /// <summary>Asked before a rule makes a text that is longer than the one it was given.</summary>
    /// <exception cref="TokenizationException">It would be too long.</exception>
    public void ThrowIfTooLong(long characters)
    {
        if (characters > maxCharacters)
            throw new TokenizationException($"The tokenizer's normalizer makes {characters} characters or more of the text; at most {maxCharacters} were expected.");
    }

    /// <exception cref="OperationCanceledException">The caller has cancelled.</exception>
    public void ThrowIfCancelled() => cancellationToken.ThrowIfCancellationRequested();
}
