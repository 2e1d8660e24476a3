namespace Decart.Inference;

/// <summary>What a completion continues: a text, or token ids that are taken as they are.</summary>
/// <remarks>
/// A text is encoded by the session's tokenizer, with the special tokens that the model expects around a text (usually BOS in front).
/// Token ids are copied when a request is made of the prompt; until then they are the caller's array.
/// </remarks>
public readonly struct Prompt
{
    private Prompt(string? text, ReadOnlyMemory<int> tokenIds)
    {
        Text = text;
        TokenIds = tokenIds;
    }

    /// <summary>The text, or <see langword="null"/> when the prompt was given as token ids.</summary>
    public string? Text { get; }

    /// <summary>The token ids; empty when the prompt was given as text.</summary>
    public ReadOnlyMemory<int> TokenIds { get; }

    /// <summary>A prompt given as text.</summary>
    /// <param name="text">The text.</param>
    public static implicit operator Prompt(string text) => FromString(text);

    /// <summary>A prompt given as token ids.</summary>
    /// <param name="tokenIds">The token ids.</param>
    public static implicit operator Prompt(int[] tokenIds) => FromTokenIds(tokenIds);

    /// <summary>A prompt given as token ids.</summary>
    /// <param name="tokenIds">The token ids.</param>
    public static implicit operator Prompt(ReadOnlyMemory<int> tokenIds) => FromTokenIds(tokenIds);

    /// <summary>A prompt given as text.</summary>
    /// <param name="text">The text.</param>
    /// <exception cref="ArgumentNullException"><paramref name="text"/> is <see langword="null"/>.</exception>
    public static Prompt FromString(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return new Prompt(text, default);
    }

    /// <summary>A prompt given as token ids.</summary>
    /// <param name="tokenIds">The token ids.</param>
    public static Prompt FromTokenIds(ReadOnlyMemory<int> tokenIds) => new(null, tokenIds);
}
