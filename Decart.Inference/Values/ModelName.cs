namespace Decart.Inference.Values;

/// <summary>What clients, generators and listeners call a model: the last part of its path, or of its name on the Hub.</summary>
internal static class ModelName
{
    /// <param name="source">The path or name that the model was loaded from.</param>
    public static string Of(string source) => Path.GetFileName(Path.TrimEndingDirectorySeparator(source)) is { Length: > 0 } name ? name : source;

    /// <summary>Refuses calls that ask for another model than there is.</summary>
    /// <param name="asked">The name or the source; null where a call asks for none.</param>
    /// <param name="model">The one that there is.</param>
    /// <exception cref="NotSupportedException">It is another.</exception>
    public static void Require(string? asked, ModelInfo model)
    {
        if (asked is null || asked == Of(model.Source) || asked == model.Source) return;
        throw new NotSupportedException($"The session has the model \"{Of(model.Source)}\", not \"{asked}\".");
    }
}
