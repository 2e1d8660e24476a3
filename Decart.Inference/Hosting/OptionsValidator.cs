using Decart.Inference.Checkpoints;
using Decart.Inference.Hub;
using Decart.Inference.Loading;
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
        foreach ((string, object?, string) problem in HubProblems(options)) yield return problem;
        if (options.DrainTimeout < TimeSpan.Zero || options.DrainTimeout > LongestDrain)
            yield return (nameof(options.DrainTimeout), options.DrainTimeout, $"The time must be {TimeSpan.Zero} to {LongestDrain}.");
        if (options.ReadinessQueueLimit < 0)
            yield return (nameof(options.ReadinessQueueLimit), options.ReadinessQueueLimit, "The number of waiting requests must be at least 0; null for any number.");
    }

    private static IEnumerable<(string Name, object? Value, string Problem)> HubProblems(DecartInferenceOptions options)
    {
        bool isWrong = false;
        foreach ((string option, object? value, string problem) in options.Hub?.Problems() ?? [])
        {
            isWrong = true;
            yield return (ConfigurationReader.Key(nameof(options.Hub), option), value, problem);
        }
        if (!isWrong && HubSupport.IsSupported && ModelSource.IsOnHub(options.Model, options.ForSession()) && HubProblem(options.Model, options.Hub ?? new()) is { } found) yield return found;
    }

    /// <summary>What is wrong with the Hub's options only together with the model, the environment or the disk.</summary>
    private static (string Name, object? Value, string Problem)? HubProblem(string model, ModelHubOptions hub)
    {
        if (hub.File is not null && HubName.TryParse(model) is { File: { } file })
            return (ConfigurationReader.Key(nameof(DecartInferenceOptions.Hub), nameof(hub.File)), $"\"{Quoted.Value(hub.File)}\"", $"The model's name already has the file \"{Quoted.Value(file)}\".");
        try
        {
            HubSettings settings = HubSettings.From(hub, Environment.GetEnvironmentVariable);
            return settings.Offline || settings.CreateCacheFolder() is not { } problem
                ? null
                : (ConfigurationReader.Key(nameof(DecartInferenceOptions.Hub), nameof(hub.CacheFolder)), $"\"{Quoted.Value(settings.CacheFolder)}\"", $"The cache needs a folder that can be made: {problem}");
        }
        catch (ArgumentException wrong)
        {
            return (nameof(DecartInferenceOptions.Hub), "it in the environment", wrong.Message);
        }
    }

    private static string Describe(string place, (string Name, object? Value, string Problem) problem) =>
        $"{ConfigurationReader.Key(place, problem.Name)}: {problem.Problem} Found {problem.Value ?? "nothing"}.";
}
