using Microsoft.Extensions.Options;

namespace Decart.Inference.Hosting;

/// <summary>Says everything that is wrong with a hosted model's options, by the keys of their configuration.</summary>
internal sealed class OptionsValidator : IValidateOptions<DecartInferenceOptions>
{
    private static readonly TimeSpan LongestDrain = TimeSpan.FromDays(1);

    public ValidateOptionsResult Validate(string? name, DecartInferenceOptions options)
    {
        string place = options.ConfigurationPath ?? (string.IsNullOrEmpty(name) ? nameof(DecartInferenceOptions) : $"{nameof(DecartInferenceOptions)} \"{name}\"");
        string[] errors = [.. options.ConfigurationErrors, .. Problems(options).Select(problem => Describe(place, problem))];
        return errors.Length == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(errors);
    }

    private static IEnumerable<(string Name, object? Value, string Problem)> Problems(DecartInferenceOptions options)
    {
        if (string.IsNullOrWhiteSpace(options.Model)) yield return (nameof(options.Model), null, "A model's folder, GGUF file or name on the Hub must be given.");
        foreach ((string, object?, string) problem in options.ForSession().Problems()) yield return problem;
        if (options.DrainTimeout < TimeSpan.Zero || options.DrainTimeout > LongestDrain)
            yield return (nameof(options.DrainTimeout), options.DrainTimeout, $"The time must be {TimeSpan.Zero} to {LongestDrain}.");
        if (options.ReadinessQueueLimit < 0)
            yield return (nameof(options.ReadinessQueueLimit), options.ReadinessQueueLimit, "The number of waiting requests must be at least 0; null for any number.");
    }

    private static string Describe(string place, (string Name, object? Value, string Problem) problem) =>
        $"{ConfigurationReader.Key(place, problem.Name)}: {problem.Problem} Found {problem.Value ?? "nothing"}.";
}
