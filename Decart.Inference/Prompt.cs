using System.ComponentModel;
using System.Text.Json.Serialization;
using Decart.Inference.Values;

namespace Decart.Inference;

/// <summary>What a completion continues: a text, or token ids that are taken as they are.</summary>
/// <remarks>
/// A text is encoded by the session's tokenizer, with the special tokens that the model expects around a text (usually BOS in front); special
/// tokens written out in it become their ids. <see cref="FromString(string, bool, bool)"/> turns off either.
/// Token ids are copied when a request is made of the prompt; until then they are the caller's array.
/// </remarks>
[TypeConverter(typeof(PromptTypeConverter))]
[JsonConverter(typeof(PromptJsonConverter))]
public readonly struct Prompt
{
    private readonly bool _asItIs;
    private readonly bool _plain;

    private Prompt(string? text, ReadOnlyMemory<int> tokenIds, bool asItIs = false, bool plain = false)
    {
        Text = text;
        TokenIds = tokenIds;
        _asItIs = asItIs;
        _plain = plain;
    }

    /// <summary>The text, or <see langword="null"/> when the prompt was given as token ids.</summary>
    public string? Text { get; }

    /// <summary>Whether the special tokens that the model expects around a text are added to <see cref="Text"/>.</summary>
    public bool AddsSpecialTokens => !_asItIs;

    /// <summary>Whether special tokens written out in <see cref="Text"/> become their ids.</summary>
    public bool ParsesSpecialTokens => !_plain;

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

    /// <summary>A prompt given as text, with a choice of how special tokens are handled.</summary>
    /// <param name="text">The text.</param>
    /// <param name="addSpecialTokens">
    /// Whether the special tokens that the model expects around a text are added: <see langword="false"/> for a text that has them already, such as one
    /// rendered from a chat template.
    /// </param>
    /// <param name="parseSpecialTokens">
    /// Whether special tokens written out in the text become their ids: <see langword="false"/> for a text from a user, which then cannot end its own turn.
    /// </param>
    /// <exception cref="ArgumentNullException"><paramref name="text"/> is <see langword="null"/>.</exception>
    public static Prompt FromString(string text, bool addSpecialTokens, bool parseSpecialTokens)
    {
        ArgumentNullException.ThrowIfNull(text);
        return new Prompt(text, default, !addSpecialTokens, !parseSpecialTokens);
    }

    /// <summary>A prompt given as token ids.</summary>
    /// <param name="tokenIds">The token ids.</param>
    public static Prompt FromTokenIds(ReadOnlyMemory<int> tokenIds) => new(null, tokenIds);
}
