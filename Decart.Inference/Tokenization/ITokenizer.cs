namespace Decart.Inference;

/// <summary>Turns text into token ids and back. Implementations are immutable and safe for use by any number of threads.</summary>
public interface ITokenizer
{
    /// <summary>One more than the largest token id.</summary>
    int VocabularySize { get; }

    /// <summary>The token that begins a text, or <see langword="null"/> if the model has none.</summary>
    int? BosTokenId { get; }

    /// <summary>The tokens that end a text; may be empty.</summary>
    IReadOnlyList<int> EosTokenIds { get; }

    /// <summary>
    /// The special tokens by their text, such as <c>&lt;|im_end|&gt;</c>. They are found in a text that is encoded, and have no text of their own
    /// when decoded.
    /// </summary>
    IReadOnlyDictionary<string, int> SpecialTokens { get; }

    /// <summary>Encodes a text. Any string is encodable.</summary>
    /// <param name="text">The text; lone surrogates are replaced by U+FFFD.</param>
    /// <param name="addSpecialTokens">Whether the tokens that the model expects around a text (usually BOS in front) are added.</param>
    /// <param name="parseSpecialTokens">
    /// Whether special tokens written out in the text become their ids. With <see langword="false"/> they are plain text like any other: what a user
    /// has typed can then neither end its own turn nor begin somebody else's.
    /// </param>
    /// <param name="cancellationToken">Cancels the encoding; checked throughout, so that a long text can be given up.</param>
    /// <exception cref="ArgumentNullException"><paramref name="text"/> is <see langword="null"/>.</exception>
    /// <exception cref="TokenizationException">A rule of the tokenizer takes too long on this text, or makes too much of it.</exception>
    /// <exception cref="OperationCanceledException"><paramref name="cancellationToken"/> was cancelled.</exception>
    IReadOnlyList<int> Encode(string text, bool addSpecialTokens = true, bool parseSpecialTokens = true, CancellationToken cancellationToken = default);

    /// <summary>Decodes token ids to text; special tokens are left out and invalid UTF-8 becomes U+FFFD.</summary>
    /// <param name="ids">The token ids.</param>
    /// <exception cref="ArgumentNullException"><paramref name="ids"/> is <see langword="null"/>.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An id is negative or at least <see cref="VocabularySize"/>.</exception>
    string Decode(IEnumerable<int> ids);

    /// <summary>
    /// The bytes that a token adds to a text when it is not the first: a word's leading space is kept, and a byte token is its one byte.
    /// Empty for special tokens and for ids without a token.
    /// </summary>
    /// <param name="id">The token id.</param>
    /// <exception cref="ArgumentOutOfRangeException">The id is negative or at least <see cref="VocabularySize"/>.</exception>
    ReadOnlyMemory<byte> GetTokenBytes(int id);
}
