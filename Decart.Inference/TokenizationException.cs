namespace Decart.Inference;

/// <summary>A text could not be encoded within bounds: a rule of the tokenizer takes too long on it, or makes too much of it. Other texts can be encoded.</summary>
public sealed class TokenizationException : InvalidOperationException
{
    /// <summary>Creates the exception without a message of its own.</summary>
    public TokenizationException() { }

    /// <summary>Creates the exception with a message.</summary>
    /// <param name="message">The message.</param>
    public TokenizationException(string message) : base(message) { }

    /// <summary>Creates the exception with a message and its cause.</summary>
    /// <param name="message">The message.</param>
    /// <param name="innerException">The cause.</param>
    public TokenizationException(string message, Exception? innerException) : base(message, innerException) { }
}
