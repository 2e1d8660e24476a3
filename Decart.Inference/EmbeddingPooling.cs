namespace Decart.Inference;

/// <summary>How the hidden states of a text's tokens become one vector.</summary>
public enum EmbeddingPooling
{
    /// <summary>Their mean.</summary>
    Mean,

    /// <summary>That of the last token, which has seen all others.</summary>
    LastToken,

    /// <summary>That of the first token. Decoders look back only, so it depends on the first token alone, unless a model was trained for it in some other way.</summary>
    Cls,
}
