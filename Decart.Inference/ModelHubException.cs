using System.Net;
using Decart.Inference.Checkpoints;

namespace Decart.Inference;

/// <summary>A model could not be downloaded. The message says what was expected, what was found, and what to do.</summary>
public sealed class ModelHubException : Exception
{
    private const int LongestProblem = 1000;

    /// <summary>Creates the exception without a message.</summary>
    public ModelHubException() { }

    /// <summary>Creates the exception with a complete message.</summary>
    /// <param name="message">The message.</param>
    public ModelHubException(string message) : base(message) { }

    /// <summary>Creates the exception with a complete message and its cause.</summary>
    /// <param name="message">The message.</param>
    /// <param name="innerException">The cause.</param>
    public ModelHubException(string message, Exception? innerException) : base(message, innerException) { }

    /// <summary>Creates the exception from its parts; what is too long for a message is cut.</summary>
    /// <param name="error">What went wrong.</param>
    /// <param name="subject">The model, or the file of a model, that it is about.</param>
    /// <param name="problem">What was expected, what was found and what to do, as one clause without a final full stop.</param>
    /// <param name="innerException">The cause, if any.</param>
    public ModelHubException(ModelHubError error, string subject, string problem, Exception? innerException = null)
        : base($"{Quoted.Name(subject)}: {Quoted.Cut(problem, LongestProblem)}.", innerException) => Error = error;

    /// <summary>What went wrong.</summary>
    public ModelHubError Error { get; }

    /// <summary>The status that the Hub answered with; <see langword="null"/> if it is not about an answer.</summary>
    public HttpStatusCode? Status { get; init; }

    /// <summary>What was expected, where there is one value: a size in bytes, a hash. Else <see langword="null"/>.</summary>
    public string? Expected { get; init; }

    /// <summary>What was found instead of <see cref="Expected"/>.</summary>
    public string? Found { get; init; }

    /// <summary>How long the Hub asks to wait before the next request; <see langword="null"/> if it does not say.</summary>
    public TimeSpan? RetryAfter { get; init; }
}
