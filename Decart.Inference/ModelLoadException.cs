using Decart.Inference.Checkpoints;

namespace Decart.Inference;

/// <summary>
/// A checkpoint, a configuration or a tokenizer could not be loaded. The message names the file, the field (a JSON path, a
/// metadata key or a tensor's name) and says what was expected and what was found.
/// </summary>
public sealed class ModelLoadException : Exception
{
    private const int LongestFile = 500, LongestProblem = 1000;

    /// <summary>Creates the exception without a message.</summary>
    public ModelLoadException() { }

    /// <summary>Creates the exception with a complete message.</summary>
    /// <param name="message">The message.</param>
    public ModelLoadException(string message) : base(message) { }

    /// <summary>Creates the exception with a complete message and its cause.</summary>
    /// <param name="message">The message.</param>
    /// <param name="innerException">The cause.</param>
    public ModelLoadException(string message, Exception? innerException) : base(message, innerException) { }

    /// <summary>Creates the exception from its parts, which are cut where they are too long for a message.</summary>
    /// <param name="file">The file or folder that could not be loaded.</param>
    /// <param name="field">The field within the file, or <see langword="null"/> when the whole file is meant.</param>
    /// <param name="problem">What was expected and what was found, as one clause without a final full stop.</param>
    /// <param name="innerException">The cause, if any.</param>
    public ModelLoadException(string file, string? field, string problem, Exception? innerException = null)
        : base(Compose(file, field, problem), innerException)
    {
        File = file;
        Field = field is null ? null : Quoted.Name(field);
    }

    /// <summary>The file or folder that could not be loaded, when known.</summary>
    public string? File { get; }

    /// <summary>The field within <see cref="File"/>: a JSON path, a metadata key or a tensor's name; <see langword="null"/> for the whole file.</summary>
    public string? Field { get; }

    private static string Compose(string file, string? field, string problem)
    {
        string place = Quoted.Cut(file, LongestFile), what = Quoted.Cut(problem, LongestProblem);
        return field is null ? $"{place}: {what}." : $"{place}: {Quoted.Name(field)}: {what}.";
    }
}
