namespace Decart.Inference;

/// <summary>A request was refused because its session is about to end: it finishes the requests that it has and takes no more (<see cref="LlmSession.DrainAsync"/>).</summary>
public sealed class SessionDrainingException : InvalidOperationException
{
    /// <summary>Creates the exception with the message that sessions give.</summary>
    public SessionDrainingException() : base("The session is shutting down: it finishes the requests that it has and takes no more.") { }

    /// <summary>Creates the exception with a message.</summary>
    /// <param name="message">The message.</param>
    public SessionDrainingException(string message) : base(message) { }

    /// <summary>Creates the exception with a message and its cause.</summary>
    /// <param name="message">The message.</param>
    /// <param name="innerException">The cause.</param>
    public SessionDrainingException(string message, Exception? innerException) : base(message, innerException) { }
}
