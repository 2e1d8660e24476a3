namespace Decart.Inference;

/// <summary>A prompt has more tokens than the model's context, or the session's memory for keys and values, can hold.</summary>
public sealed class ContextLengthExceededException : Exception
{
    /// <summary>Creates the exception without a message.</summary>
    public ContextLengthExceededException() { }

    /// <summary>Creates the exception with a complete message.</summary>
    /// <param name="message">The message.</param>
    public ContextLengthExceededException(string message) : base(message) { }

    /// <summary>Creates the exception with a complete message and its cause.</summary>
    /// <param name="message">The message.</param>
    /// <param name="innerException">The cause.</param>
    public ContextLengthExceededException(string message, Exception? innerException) : base(message, innerException) { }

    /// <summary>Creates the exception from its figures.</summary>
    /// <param name="promptTokens">Tokens of the prompt.</param>
    /// <param name="maxPromptTokens">The longest prompt possible.</param>
    public ContextLengthExceededException(int promptTokens, int maxPromptTokens)
        : this(promptTokens, maxPromptTokens, "the model's context")
    {
    }

    /// <summary>Creates the exception from its figures and what limits them.</summary>
    /// <param name="promptTokens">Tokens of the prompt.</param>
    /// <param name="maxPromptTokens">The longest prompt possible.</param>
    /// <param name="limit">What has no room for more; the subject of the message's second clause.</param>
    internal ContextLengthExceededException(int promptTokens, int maxPromptTokens, string limit)
        : base($"The prompt has {promptTokens} tokens; {limit} has room for a prompt of {maxPromptTokens}.")
    {
        PromptTokens = promptTokens;
        MaxPromptTokens = maxPromptTokens;
    }

    /// <summary>Tokens of the prompt.</summary>
    public int PromptTokens { get; }

    /// <summary>The longest possible prompt: the model's context length or what the memory for keys and values holds, less one token when a completion is requested.</summary>
    public int MaxPromptTokens { get; }
}
