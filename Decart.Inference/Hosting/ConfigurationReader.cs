using System.Globalization;
using Decart.Inference.Checkpoints;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;

namespace Decart.Inference.Hosting;

/// <summary>
/// Reads a hosted model's options from a section of the configuration, without reflection. What cannot be read is noted in the options, for <see cref="OptionsValidator"/>
/// to tell all of it at once.
/// </summary>
/// <param name="name">The name of the options.</param>
/// <param name="section">The section.</param>
internal sealed class ConfigurationReader(string name, IConfiguration section) : IConfigureNamedOptions<DecartInferenceOptions>
{
    private const string Hub = nameof(DecartInferenceOptions.Hub), Switch = "true or false", Number = "a whole number", NumberOrNull = "a whole number or null";

    private readonly string _name = name;

    private static readonly Setting[] Settings =
    [
        Required<string>(nameof(DecartInferenceOptions.Model), "a path or a name on the Hub", (options, value) => options.Model = value),
        Required<Device>(nameof(DecartInferenceOptions.Device), Device.Texts, (options, value) => options.Device = value),
        Optional<int>(nameof(DecartInferenceOptions.Threads), NumberOrNull, (options, value) => options.Threads = value),
        Required<int>(nameof(DecartInferenceOptions.MaxConcurrentSequences), Number, (options, value) => options.MaxConcurrentSequences = value),
        Optional<int>(nameof(DecartInferenceOptions.MaxBatchTokens), NumberOrNull, (options, value) => options.MaxBatchTokens = value),
        Optional<long>(nameof(DecartInferenceOptions.KvCacheBytes), NumberOrNull, (options, value) => options.KvCacheBytes = value),
        OfEnum<KvCacheType>(nameof(DecartInferenceOptions.KvCacheType), "Default or Fp8", (options, value) => options.KvCacheType = value),
        Required<bool>(nameof(DecartInferenceOptions.EightBitActivations), Switch, (options, value) => options.EightBitActivations = value),
        OfEnum<PagingMode>(nameof(DecartInferenceOptions.Paging), "Auto, Hardware or Table", (options, value) => options.Paging = value),
        Required<bool>(nameof(DecartInferenceOptions.PrefixCaching), Switch, (options, value) => options.PrefixCaching = value),
        Required<bool>(nameof(DecartInferenceOptions.RandomWeights), Switch, (options, value) => options.RandomWeights = value),
        OrNull(OfEnum<WeightFormat>(nameof(DecartInferenceOptions.Quantize), $"{string.Join(", ", Enum.GetNames<WeightFormat>())} or null", (options, value) => options.Quantize = value), options => options.Quantize = null),
        Required<bool>(nameof(DecartInferenceOptions.LoadBeforeStart), Switch, (options, value) => options.LoadBeforeStart = value),
        Required<bool>(nameof(DecartInferenceOptions.WarmUp), Switch, (options, value) => options.WarmUp = value),
        Required<TimeSpan>(nameof(DecartInferenceOptions.DrainTimeout), "a time as in 00:00:25", (options, value) => options.DrainTimeout = value),
        Optional<int>(nameof(DecartInferenceOptions.ReadinessQueueLimit), NumberOrNull, (options, value) => options.ReadinessQueueLimit = value),
        OfHub<string>(nameof(ModelHubOptions.Revision), "a branch, a tag or a commit", (hub, value) => hub with { Revision = value }),
        OfHub<string>(nameof(ModelHubOptions.File), "a file's name or a quantisation", (hub, value) => hub with { File = value }),
        OfHub<string>(nameof(ModelHubOptions.Token), "a token", (hub, value) => hub with { Token = value }),
        new(Key(Hub, nameof(ModelHubOptions.Endpoint)), "an address such as https://huggingface.co", TryReadEndpoint),
        OfHub<string>(nameof(ModelHubOptions.CacheFolder), "a folder", (hub, value) => hub with { CacheFolder = value }),
        OfHub<bool>(nameof(ModelHubOptions.Offline), Switch, (hub, value) => hub with { Offline = value }),
        OfHub<int>(nameof(ModelHubOptions.MaxConnections), Number, (hub, value) => hub with { MaxConnections = value }),
        OfHub<int>(nameof(ModelHubOptions.MaxRetries), Number, (hub, value) => hub with { MaxRetries = value }),
        OfHub<TimeSpan>(nameof(ModelHubOptions.Timeout), "a time as in 00:00:30", (hub, value) => hub with { Timeout = value }),
    ];

    public void Configure(DecartInferenceOptions options) => Configure(Options.DefaultName, options);

    public void Configure(string? name, DecartInferenceOptions options)
    {
        if (name != _name) return;
        string place = (section as IConfigurationSection)?.Path ?? "";
        options.ConfigurationPath = place;
        foreach ((string option, IConfigurationSection value) in Values(section))
        {
            if (Problem(option, value, options) is { } problem) options.ConfigurationErrors.Add($"{Key(place, option)}: {problem}");
        }
    }

    /// <summary>The options of a section and those of the section for the Hub in it, by their keys.</summary>
    private static IEnumerable<(string Option, IConfigurationSection Value)> Values(IConfiguration section)
    {
        foreach (IConfigurationSection child in section.GetChildren())
        {
            bool isHub = child.Key.Equals(Hub, StringComparison.OrdinalIgnoreCase) && string.IsNullOrEmpty(child.Value);
            if (!isHub) yield return (child.Key, child);
            else foreach (IConfigurationSection value in child.GetChildren()) yield return (Key(Hub, value.Key), value);
        }
    }

    /// <summary>The whole key of an option.</summary>
    public static string Key(string place, string option) => place.Length == 0 ? option : ConfigurationPath.Combine(place, option);

    /// <summary>Reads an option.</summary>
    /// <returns>Why it could not be read; null if it was.</returns>
    private static string? Problem(string option, IConfigurationSection child, DecartInferenceOptions options)
    {
        if (Settings.FirstOrDefault(setting => setting.Name.Equals(option, StringComparison.OrdinalIgnoreCase)) is not { } setting)
            return $"There is no such option; there are {string.Join(", ", Settings.Select(each => each.Name))}.";
        if (child.GetChildren().Any()) return $"Expected {setting.Expected}, found a section.";
        if (setting.TryRead(options, child.Value ?? "")) return null;
        return $"Expected {setting.Expected}, found {(string.IsNullOrEmpty(child.Value) ? "nothing" : $"\"{Quoted.Value(child.Value)}\"")}.";
    }

    private static Setting Required<T>(string name, string expected, Action<DecartInferenceOptions, T> set)
        where T : IParsable<T> => new(name, expected, (options, text) =>
        {
            if (text.Length == 0 || !T.TryParse(text, CultureInfo.InvariantCulture, out T? value)) return false;
            set(options, value);
            return true;
        });

    private static Setting OfHub<T>(string name, string expected, Func<ModelHubOptions, T, ModelHubOptions> change)
        where T : IParsable<T> => Required<T>(Key(Hub, name), expected, (options, value) => options.Hub = change(options.Hub ?? new(), value));

    private static Setting Optional<T>(string name, string expected, Action<DecartInferenceOptions, T?> set)
        where T : struct, IParsable<T> => OrNull(Required<T>(name, expected, (options, value) => set(options, value)), options => set(options, null));

    private static Setting OrNull(Setting given, Action<DecartInferenceOptions> setNull) => given with
    {
        TryRead = (options, text) =>
        {
            if (text.Length > 0) return given.TryRead(options, text);
            setNull(options);
            return true;
        },
    };

    private static Setting OfEnum<T>(string name, string expected, Action<DecartInferenceOptions, T> set)
        where T : struct, Enum => new(name, expected, (options, text) =>
        {
            if (text.Contains(',') || !Enum.TryParse(text, ignoreCase: true, out T value)) return false; // of several names it would take the sum
            set(options, value);
            return true;
        });

    private static bool TryReadEndpoint(DecartInferenceOptions options, string text)
    {
        bool isRead = Uri.TryCreate(text, UriKind.Absolute, out Uri? endpoint);
        if (isRead) options.Hub = (options.Hub ?? new()) with { Endpoint = endpoint };
        return isRead;
    }

    /// <param name="Name">Its key.</param>
    /// <param name="Expected">What its value looks like.</param>
    /// <param name="TryRead">Sets it from a text; false if the text is no value of it. The text is empty where there is none.</param>
    private sealed record Setting(string Name, string Expected, Func<DecartInferenceOptions, string, bool> TryRead);
}
