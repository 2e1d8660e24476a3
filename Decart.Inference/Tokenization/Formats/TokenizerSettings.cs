using System.Globalization;
using System.Text.Json;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Tokenization;

/// <summary>What the files beside a tokenizer say about it: the tokens that begin and end a text, further added tokens, the chat template.</summary>
internal sealed class TokenizerSettings
{
    private readonly JsonField? _tokenizer;
    private readonly JsonField? _specialTokens;
    private readonly JsonField? _addedTokens;
    private readonly JsonField? _generation;
    private readonly JsonField? _model;
    private HashSet<string>? _specialNames;

    private TokenizerSettings(string folder)
    {
        _tokenizer = ReadIfThere(folder, "tokenizer_config.json");
        _specialTokens = ReadIfThere(folder, "special_tokens_map.json");
        _addedTokens = ReadIfThere(folder, "added_tokens.json");
        _generation = ReadIfThere(folder, "generation_config.json");
        _model = ReadIfThere(folder, "config.json");
        ChatTemplates = ChatTemplateFiles.Read(folder, _tokenizer);
    }

    public static TokenizerSettings Read(string folder) => new(folder);

    /// <summary>Whether the file says that BOS stands in front of a text; null when it does not say.</summary>
    public bool? AddBos => _tokenizer?.Optional("add_bos_token")?.Flag();

    /// <summary>Whether the file says that EOS stands after a text; null when it does not say.</summary>
    public bool? AddEos => _tokenizer?.Optional("add_eos_token")?.Flag();

    /// <summary>Whether <see cref="AddBos"/> and <see cref="AddEos"/> outrank tokenizer.json's post-processor: they do in some classes of tokenizers.</summary>
    public bool FlagsOutrankPostProcessor => _tokenizer?.TextOrNull("tokenizer_class")
        is "LlamaTokenizer" or "LlamaTokenizerFast" or "CodeLlamaTokenizer" or "CodeLlamaTokenizerFast" or "GemmaTokenizer" or "GemmaTokenizerFast";

    /// <summary>What was passed over: whole sentences, for the log.</summary>
    public List<string> Warnings { get; } = [];

    /// <summary>The chat templates.</summary>
    public ChatTemplateFiles ChatTemplates { get; }

    /// <summary>The texts of the tokens that the settings name, by names such as bos_token.</summary>
    public IEnumerable<KeyValuePair<string, string>> TokenTexts => new[] { _specialTokens, _tokenizer }
        .SelectMany(settings => settings?.Members() ?? [])
        .Where(member => IsTokenName(member.Name) && member.Value.Kind != JsonValueKind.Null)
        .Select(member => KeyValuePair.Create(member.Name, Content(member.Value)));

    /// <summary>The texts of the tokens that the settings name as special.</summary>
    public IReadOnlySet<string> SpecialTokens => _specialNames ??= [.. new[] { _tokenizer, _specialTokens }.SelectMany(NamedTokens)];

    /// <summary>
    /// The added tokens that tokenizer_config.json lists and, of older checkpoints, added_tokens.json, each with where it stands.
    /// </summary>
    public IEnumerable<(AddedToken Token, JsonField Field)> AddedTokens(int largestId)
    {
        HashSet<string> listed = [];
        foreach ((string name, JsonField field) in _tokenizer?.Optional("added_tokens_decoder")?.Members() ?? [])
        {
            if (!int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out int id) || id > largestId)
                throw field.Wrong($"an id from 0 to {largestId} as the name", $"\"{name}\"");
            AddedToken token = AddedTokenJson.Read(field, id);
            listed.Add(token.Content);
            yield return (token, field);
        }
        foreach ((string content, JsonField field) in _addedTokens?.Members() ?? [])
        {
            bool special = SpecialTokens.Contains(content);
            if (listed.Add(content)) yield return (new AddedToken(field.Integer(largestId), content, special, Normalized: !special), field);
        }
    }

    /// <summary>The id that begins a text.</summary>
    public int? BosTokenId(Func<string, int?> idOf, int vocabularySize)
    {
        if (_tokenizer is { } settings && settings.Has("bos_token") && settings.Optional("bos_token") is null) return null;
        return NamedToken("bos_token", idOf) ?? FirstListed(_generation) ?? FirstListed(_model);

        int? FirstListed(JsonField? settings) => ListedIds(settings, "bos_token_id", vocabularySize) is [var id, ..] ? id : null;
    }

    /// <summary>The ids that end a text: those that generation stops at, and the one that the tokenizer names.</summary>
    public IReadOnlyList<int> EosTokenIds(Func<string, int?> idOf, int vocabularySize)
    {
        List<int> ids = ListedIds(_generation, "eos_token_id", vocabularySize);
        if (NamedToken("eos_token", idOf) is { } named) ids.Add(named);
        if (ids.Count == 0) ids.AddRange(ListedIds(_model, "eos_token_id", vocabularySize));
        return [.. ids.Distinct()];
    }

    private int? NamedToken(string name, Func<string, int?> idOf)
    {
        JsonField? field = _tokenizer?.Optional(name) ?? _specialTokens?.Optional(name);
        if (field is not { } token) return null;
        int? id = idOf(Content(token));
        if (id is null) Warnings.Add($"{token.Location} is \"{Quoted.Value(Content(token))}\", which no file gives an id. It is ignored.");
        return id;
    }

    /// <summary>The tokens that a file names: under names such as eos_token, and in the list of further ones.</summary>
    private static IEnumerable<string> NamedTokens(JsonField? settings)
    {
        foreach ((string name, JsonField field) in settings?.Members() ?? [])
        {
            if (IsTokenName(name) && field.Kind != JsonValueKind.Null) yield return Content(field);
            if (name is not "additional_special_tokens" || field.Kind == JsonValueKind.Null) continue;
            foreach (JsonField item in field.Items()) yield return Content(item);
        }
    }

    private static bool IsTokenName(string name) => name is "bos_token" or "eos_token" or "unk_token" or "sep_token" or "pad_token" or "cls_token" or "mask_token";

    private static string Content(JsonField token) => token.Kind == JsonValueKind.Object ? token.Text("content") : token.Text();

    /// <summary>The ids in a list, or the one id. Those that no token has are passed over: converters write -1, and 4294967295 for it.</summary>
    private List<int> ListedIds(JsonField? settings, string name, int vocabularySize)
    {
        if (settings?.Optional(name) is not { } field) return [];
        double[] numbers = [.. (field.Kind == JsonValueKind.Array ? field.Items() : [field]).Select(id => id.Number())];
        string[] ignored = [.. numbers.Where(number => !IsToken(number)).Distinct().Select(number => number.ToString(CultureInfo.InvariantCulture))];
        if (ignored.Length > 0) Warnings.Add($"{field.Location}: the tokenizer has no token with the id {Quoted.Names(ignored)}. It is ignored.");
        return [.. numbers.Where(IsToken).Select(number => (int)number)];

        bool IsToken(double number) => number >= 0 && number < vocabularySize && number == Math.Floor(number);
    }

    private static JsonField? ReadIfThere(string folder, string name)
    {
        string file = Path.Combine(folder, name);
        return CheckpointFile.Exists(file) ? JsonField.Read(file) : null;
    }
}
