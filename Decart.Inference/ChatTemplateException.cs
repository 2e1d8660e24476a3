using Decart.Inference.Checkpoints;

namespace Decart.Inference;

/// <summary>A chat template cannot be read, or refuses or fails to render a conversation.</summary>
public sealed class ChatTemplateException : Exception
{
    private const int LongestProblem = 1000;

    /// <summary>Creates the exception without a message.</summary>
    public ChatTemplateException() { }

    /// <summary>Creates the exception with a complete message.</summary>
    /// <param name="message">The message.</param>
    public ChatTemplateException(string message) : base(message) { }

    /// <summary>Creates the exception with a complete message and its cause.</summary>
    /// <param name="message">The message.</param>
    /// <param name="innerException">The cause.</param>
    public ChatTemplateException(string message, Exception? innerException) : base(message, innerException) { }

    /// <summary>Creates the exception from its parts.</summary>
    /// <param name="error">What went wrong.</param>
    /// <param name="problem">What is wrong, as one clause without a final full stop; of a template that refuses, its own words.</param>
    /// <param name="line">The line of the template, from 1.</param>
    /// <param name="column">The character in that line, from 1.</param>
    /// <param name="innerException">The cause, if any.</param>
    public ChatTemplateException(ChatTemplateError error, string problem, int line, int column, Exception? innerException = null)
        : base(Compose(error, problem, line, column), innerException)
    {
        ArgumentNullException.ThrowIfNull(problem);
        Error = error;
        Problem = problem;
        Line = line;
        Column = column;
    }

    /// <summary>What went wrong.</summary>
    public ChatTemplateError Error { get; }

    /// <summary>What is wrong, without the place; of a template that refuses, its own words. <see langword="null"/> when unknown.</summary>
    public string? Problem { get; }

    /// <summary>The line of the template, from 1; 0 when unknown.</summary>
    public int Line { get; }

    /// <summary>The character in the line, from 1; 0 when unknown.</summary>
    public int Column { get; }

    private static string Compose(ChatTemplateError error, string problem, int line, int column)
    {
        string what = Quoted.Cut(problem, LongestProblem).TrimEnd('.');
        string place = $"line {line}, column {column}";
        return error == ChatTemplateError.Refused
            ? $"The chat template refuses the conversation: {what} ({place})."
            : $"The chat template, {place}: {what}.";
    }
}
