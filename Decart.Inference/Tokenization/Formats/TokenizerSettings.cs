using System.Globalization;
using System.Text.Json;

namespace Decart.Inference.Tokenization;

/// <summary>What the files beside a tokenizer say about it: the tokens that begin and end a text, and further added tokens.</summary>
internal sealed class TokenizerSettings
{
    private readonly JsonField? _tokenizer;
    private readonly JsonField? _specialTokens;
    private readonly JsonField? _generation;
    private readonly JsonField? _model;

    private TokenizerSettings(string folder)
    {
        _tokenizer = ReadIfThere(folder, "tokenizer_config.json");
        _specialTokens = ReadIfThere(folder, "special_tokens_map.json");
        _generation = ReadIfThere(folder, "generation_config.json");
        _model = ReadIfThere(folder, "config.json");
    }

    public static TokenizerSettings Read(string folder) => new(folder);

    /// <summary>Whether the file says that BOS stands in front of a text; null when it does not say.</summary>
    public bool? AddBos => _tokenizer?.Optional("add_bos_token")?.Flag();

    /// <summary>Whether the file says that EOS stands after a text; null when it does not say.</summary>
    public bool? AddEos => _tokenizer?.Optional("add_eos_token")?.Flag();

    /// <summary>Whether <see cref="AddBos"/> and <see cref="AddEos"/> outrank tokenizer.json's post-processor: they do in some classes of tokenizers.</summary>
    public bool FlagsOutrankPostProcessor => _tokenizer?.TextOrNull("tokenizer_class")
        is "LlamaTokenizer" or "LlamaTokenizerFast" or "CodeLlamaTokenizer" or "CodeLlamaTokenizerFast" or "GemmaTokenizer" or "GemmaTokenizerFast";

    /// <summary>The added tokens that tokenizer_config.json lists, each with where it stands.</summary>
    public IEnumerable<(AddedToken Token, JsonField Field)> AddedTokens(int largestId)
    {
        if (_tokenizer?.Optional("added_tokens_decoder") is not { } list) yield break;
        foreach ((string name, JsonField field) in list.Members())
        {
            if (!int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out int id) || id > largestId)
                throw field.Wrong($"an id from 0 to {largestId} as the name", $"\"{name}\"");
            yield return (AddedTokenJson.Read(field, id), field);
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
        List<int> ids = [.. ListedIds(_generation, "eos_token_id", vocabularySize)];
        if (NamedToken("eos_token", idOf) is { } named) ids.Add(named);
        if (ids.Count == 0) ids.AddRange(ListedIds(_model, "eos_token_id", vocabularySize));
        return [.. ids.Distinct()];
    }

    /// <summary>Refuses a tokenizer whose ids the model cannot take.</summary>
    public void CheckAgainstModel(string file, int vocabularySize)
    {
        if (_model is not { } config) return;
        JsonField? size = config.Optional("vocab_size") ?? config.Optional("text_config")?.Optional("vocab_size");
        if (size?.Integer() is { } modelSize && vocabularySize > modelSize)
            throw new ModelLoadException(file, "vocab", $"expected ids below {modelSize}, the vocab_size of config.json, found {vocabularySize - 1}");
    }

    private int? NamedToken(string name, Func<string, int?> idOf)
    {
        JsonField? field = _tokenizer?.Optional(name) ?? _specialTokens?.Optional(name);
        return field is { } token ? idOf(token.Kind == JsonValueKind.Object ? token.Text("content") : token.Text()) : null;
    }

    private static List<int> ListedIds(JsonField? settings, string name, int vocabularySize)
    {
        if (settings?.Optional(name) is not { } field) return [];
        IEnumerable<JsonField> ids = field.Kind == JsonValueKind.Array ? field.Items() : [field];
        return [.. ids.Select(id => id.Integer(vocabularySize - 1))];
    }

    private static JsonField? ReadIfThere(string folder, string name)
    {
        string file = Path.Combine(folder, name);
        return File.Exists(file) ? JsonField.Read(file) : null;
    }
}
