using System.Text.RegularExpressions;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Hub;

/// <summary>The files of a repository that a model is loaded from; a repository has many others.</summary>
/// <param name="Settings">Small files: configuration, tokenizer, chat templates.</param>
/// <param name="Index">The file that lists the shards, when the weights are in shards.</param>
/// <param name="Weights">The files with weights that are known without reading the index.</param>
/// <param name="Model">The GGUF file to load; null when the folder is loaded.</param>
internal sealed partial record ModelFiles(IReadOnlyList<string> Settings, string? Index, IReadOnlyList<string> Weights, string? Model)
{
    public const string TokenizerConfig = "tokenizer_config.json";

    private const string Config = "config.json", SingleWeights = "model.safetensors", IndexName = "model.safetensors.index.json";

    private static readonly string[] SettingNames =
        [Config, "generation_config.json", TokenizerConfig, "special_tokens_map.json", "added_tokens.json", "chat_template.jinja", "chat_template.json", "modules.json"];

    /// <summary>The files with names of their own that a folder has some of, beside its weights.</summary>
    public static IReadOnlyList<string> OptionalNames { get; } = [.. SettingNames.Where(name => name != Config), .. Tokenizer.FileNames];

    /// <summary>Chooses the files of a model.</summary>
    /// <param name="name">The model, and which of its GGUF files.</param>
    /// <param name="files">The names of all files.</param>
    /// <exception cref="ModelHubException">There are no weights that can be loaded, or it is not certain which.</exception>
    public static ModelFiles Choose(HubName name, IReadOnlyCollection<string> files)
    {
        if (name.File is not null) return OfGguf(FindGguf(name, files), files);
        bool hasConfig = files.Contains(Config);
        string[] safetensors = [.. files.Where(file => !file.Contains('/', StringComparison.Ordinal) && file.EndsWith(".safetensors", StringComparison.Ordinal))];
        if (hasConfig && files.Contains(SingleWeights)) return OfFolder(files, null, [SingleWeights]);
        if (hasConfig && files.Contains(IndexName)) return OfFolder(files, IndexName, []);
        if (hasConfig && safetensors is [var only] && !Shard().IsMatch(only)) return OfFolder(files, null, [only]);
        return GgufModels(files) switch
        {
            [var model] => OfGguf(model, files),
            [] => throw NothingSuitable(name, files, hasConfig),
            var models => throw Suitable(name, $"expected the name of one of its GGUF models, as in \"{name.Id}:{Quantisation(models)}\": {Quoted.Names(models)}"),
        };
    }

    /// <summary>The shards that an index lists.</summary>
    /// <exception cref="ModelHubException">The index cannot be read, or names files elsewhere.</exception>
    public static IReadOnlyList<string> Shards(HubName name, string index)
    {
        try
        {
            return HuggingFaceFolder.ShardNames(index);
        }
        catch (ModelLoadException e)
        {
            throw new ModelHubException(ModelHubError.InvalidAnswer, name.Id, e.Message.TrimEnd('.'), e);
        }
    }

    private static ModelFiles OfFolder(IReadOnlyCollection<string> files, string? index, string[] weights)
    {
        List<string> settings = [.. SettingNames.Where(files.Contains)];
        if (Tokenizer.FileNames.FirstOrDefault(files.Contains) is { } tokenizer) settings.Add(tokenizer);
        settings.AddRange(files.Where(file => FurtherTemplate().IsMatch(file) || Pooling().IsMatch(file)));
        return new ModelFiles(settings, index, weights, Model: null);
    }

    private static ModelFiles OfGguf(string model, IReadOnlyCollection<string> files)
    {
        Match split = Part().Match(model);
        if (!split.Success) return new ModelFiles([], null, [model], model);
        string stem = model[..split.Index], count = split.Groups["count"].Value;
        string[] parts = [.. Enumerable.Range(1, int.Parse(count, System.Globalization.CultureInfo.InvariantCulture)).Select(part => $"{stem}-{part:00000}-of-{count}.gguf")];
        string? missing = parts.FirstOrDefault(part => !files.Contains(part));
        return missing is null
            ? new ModelFiles([], null, parts, parts[0])
            : throw new ModelHubException(ModelHubError.NoSuitableFile, model, $"expected all {count} parts of the split model, found no {Quoted.Name(missing)}");
    }

    private static string FindGguf(HubName name, IReadOnlyCollection<string> files)
    {
        string file = name.File!;
        if (files.Contains(file) && file.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase)) return Part().Replace(file, match => $"-00001-of-{match.Groups["count"].Value}.gguf");
        string[] models = GgufModels(files);
        return models.Where(model => IsQuantisation(model, file)).ToArray() switch
        {
            [var one] => one,
            [] => throw Suitable(name, models.Length == 0 ? "expected a repository with GGUF files, found none in it" : $"expected the name or the quantisation of one of its GGUF models: {Quoted.Names(models)}"),
            var several => throw Suitable(name, $"expected the name of one GGUF model, found several: {Quoted.Names(several)}"),
        };
    }

    /// <summary>The GGUF models: of a split one the first part; no projectors of images and no matrices of importances.</summary>
    private static string[] GgufModels(IEnumerable<string> files) =>
        [.. files.Where(file => file.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase) && !NoModel().IsMatch(file) && IsFirst(Part().Match(file)))];

    private static bool IsFirst(Match part) => !part.Success || part.Groups["part"].Value == "00001";

    /// <summary>Whether a model's name without parts and ending ends with a quantisation, after a hyphen, a dot or an underscore.</summary>
    private static bool IsQuantisation(string model, string quantisation)
    {
        string stem = Stem(model);
        if (!stem.EndsWith(quantisation, StringComparison.OrdinalIgnoreCase)) return false;
        int start = stem.Length - quantisation.Length;
        return start == 0 || stem[start - 1] is '-' or '.' or '_' or '/';
    }

    private static string Stem(string model) => Part().Replace(model, ".gguf")[..^".gguf".Length];

    private static string Quantisation(string[] models)
    {
        string stem = Stem(models[0]);
        return stem[(stem.LastIndexOfAny(['-', '.', '/']) + 1)..];
    }

    private static ModelHubException NothingSuitable(HubName name, IReadOnlyCollection<string> files, bool hasConfig)
    {
        const string Expected = "expected config.json and weights in safetensors, or a GGUF model";
        string[] weights = [.. files.Where(file => OtherWeights().IsMatch(file))];
        string found = (hasConfig, weights.Length) switch
        {
            (true, > 0) => $"weights in a format that is not read ({Quoted.Names(weights)}): look for a conversion to safetensors or GGUF",
            (true, 0) => "no weights",
            _ => files.Contains("adapter_config.json") ? "an adapter, which is no model by itself: download the model that it is for, or merge it first" : "no config.json",
        };
        return Suitable(name, $"{Expected}; found {found}");
    }

    private static ModelHubException Suitable(HubName name, string problem) => new(ModelHubError.NoSuitableFile, name.ToString(), problem);

    [GeneratedRegex(@"-(?<part>[0-9]{5})-of-(?<count>(?!00000)[0-9]{5})\.gguf\z", RegexOptions.ExplicitCapture | RegexOptions.IgnoreCase)]
    private static partial Regex Part();

    [GeneratedRegex(@"-[0-9]{5}-of-[0-9]{5}\.safetensors\z")]
    private static partial Regex Shard();

    [GeneratedRegex(@"\A(additional_)?chat_templates/[^/]+\.jinja\z", RegexOptions.ExplicitCapture)]
    private static partial Regex FurtherTemplate();

    /// <summary>How sentence-transformers pools; <c>modules.json</c> names the folder.</summary>
    [GeneratedRegex(@"\A[^/]*Pooling[^/]*/config\.json\z", RegexOptions.ExplicitCapture)]
    private static partial Regex Pooling();

    [GeneratedRegex(@"mmproj|imatrix", RegexOptions.IgnoreCase)]
    private static partial Regex NoModel();

    [GeneratedRegex(@"\.(bin|pth|pt|h5|msgpack|onnx|ckpt|npz)\z")]
    private static partial Regex OtherWeights();
}
