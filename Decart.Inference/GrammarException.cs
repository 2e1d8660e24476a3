using Decart.Inference.Checkpoints;

namespace Decart.Inference;

/// <summary>
/// A grammar cannot be used: it is malformed, asks for what is not supported, has no text at all, is too large, or its texts do not fit into a completion.
/// The message says what was found and where.
/// </summary>
public sealed class GrammarException : Exception
{
    private const int LongestProblem = 1000;

    /// <summary>Creates the exception without a message.</summary>
    public GrammarException() { }

    /// <summary>Creates the exception with a complete message.</summary>
    /// <param name="message">The message.</param>
    public GrammarException(string message) : base(Quoted.Cut(message, LongestProblem)) { }

    /// <summary>Creates the exception with a complete message and its cause.</summary>
    /// <param name="message">The message.</param>
    /// <param name="innerException">The cause.</param>
    public GrammarException(string message, Exception? innerException) : base(Quoted.Cut(message, LongestProblem), innerException) { }

    /// <summary>Creates the exception for a part of a JSON schema.</summary>
    /// <param name="path">Where in the schema, as a JSON pointer (<c>/properties/name/pattern</c>); empty for the whole schema.</param>
    /// <param name="problem">What was found there, as one clause without a final full stop.</param>
    /// <param name="innerException">The cause, if any.</param>
    public GrammarException(string path, string problem, Exception? innerException = null)
        : base($"#{Quoted.Name(path)}: {Quoted.Cut(problem, LongestProblem)}.", innerException) => Path = path;

    /// <summary>Where in a JSON schema the problem is, as a JSON pointer; <see langword="null"/> where it is no schema or no single place in it.</summary>
    public string? Path { get; }
}
