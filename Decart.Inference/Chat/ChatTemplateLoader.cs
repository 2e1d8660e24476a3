using Decart.Inference.Checkpoints;
using Decart.Inference.Tokenization;

namespace Decart.Inference.Chat;

/// <summary>Finds the chat template of a checkpoint.</summary>
internal static class ChatTemplateLoader
{
    public const string DefaultName = ChatTemplateFiles.DefaultName;

    private const string GgufKey = "tokenizer.chat_template", TokensKey = "tokenizer.ggml.tokens";

    /// <summary>The names of the special tokens that GGUF files give ids to.</summary>
    private static readonly (string Key, string Name)[] GgufTokens =
    [
        ("tokenizer.ggml.bos_token_id", "bos_token"), ("tokenizer.ggml.eos_token_id", "eos_token"), ("tokenizer.ggml.unknown_token_id", "unk_token"),
        ("tokenizer.ggml.padding_token_id", "pad_token"), ("tokenizer.ggml.seperator_token_id", "sep_token"), ("tokenizer.ggml.mask_token_id", "mask_token"),
    ];

    /// <exception cref="ModelLoadException">There is no template, or a file is missing or malformed.</exception>
    /// <exception cref="ChatTemplateException">The template is malformed.</exception>
    public static ChatTemplate Load(string path)
    {
        ChatTemplate? template;
        if (Directory.Exists(path))
        {
            template = FromFolder(path, new Lazy<ITokenizer>(() => Tokenizer.Load(path)));
        }
        else
        {
            using GgufFile file = GgufFile.Open(path);
            ITokenizer? tokenizer = file.Metadata.ContainsKey(TokensKey) ? Tokenizer.FromGguf(file) : null;
            template = FromGguf(file, tokenizer);
        }
        return template ?? throw new ModelLoadException(path, null, "expected a chat template, found none (a model that was not trained for chats has none)");
    }

    /// <summary>The template of a folder; null if it has none.</summary>
    public static ChatTemplate? FromFolder(string folder, Lazy<ITokenizer>? tokenizer)
    {
        TokenizerSettings settings = TokenizerSettings.Read(folder);
        if (settings.ChatTemplates.Origin is not { } origin) return null;
        Dictionary<string, string> texts = [];
        foreach ((string name, string text) in settings.TokenTexts) texts[name] = text;
        return new ChatTemplate(settings.ChatTemplates.Templates, texts, tokenizer, ChatTemplateSource.Checkpoint, origin);
    }

    /// <summary>The template of a GGUF file, else that of its family; null if neither is there.</summary>
    public static ChatTemplate? FromGguf(GgufFile file, ITokenizer? tokenizer)
    {
        Lazy<ITokenizer>? lazy = tokenizer is null ? null : new Lazy<ITokenizer>(tokenizer);
        Dictionary<string, string> templates = [];
        foreach ((string key, GgufValue value) in file.Metadata)
        {
            if (key == GgufKey) templates[DefaultName] = value.AsString();
            else if (key.StartsWith(GgufKey + ".", StringComparison.Ordinal)) templates[key[(GgufKey.Length + 1)..]] = value.AsString();
        }
        Dictionary<string, string> texts = TokenTexts(file, tokenizer);
        if (templates.Count > 0) return new ChatTemplate(templates, texts, lazy, ChatTemplateSource.Checkpoint, $"{file.Path}: {GgufKey}");
        return tokenizer is TextTokenizer own && FamilyTemplate.Find(own) is { } family
            ? new ChatTemplate(new Dictionary<string, string> { [DefaultName] = family.Text }, texts, lazy, ChatTemplateSource.Family, family.Name)
            : null;
    }

    public static ChatTemplate Parse(string template, ITokenizer? tokenizer)
    {
        Dictionary<string, string> texts = [];
        AddText(texts, "bos_token", tokenizer, tokenizer?.BosTokenId);
        AddText(texts, "eos_token", tokenizer, tokenizer?.EosTokenIds.Count > 0 ? tokenizer.EosTokenIds[0] : null);
        return new ChatTemplate(
            new Dictionary<string, string> { [DefaultName] = template },
            texts,
            tokenizer is null ? null : new Lazy<ITokenizer>(tokenizer),
            ChatTemplateSource.Application,
            "the application");
    }

    private static Dictionary<string, string> TokenTexts(GgufFile file, ITokenizer? tokenizer)
    {
        Dictionary<string, string> texts = [];
        AddText(texts, "bos_token", tokenizer, tokenizer?.BosTokenId);
        AddText(texts, "eos_token", tokenizer, tokenizer?.EosTokenIds.Count > 0 ? tokenizer.EosTokenIds[0] : null);
        if (!file.Metadata.TryGetValue(TokensKey, out GgufValue? value)) return texts;
        GgufStrings tokens = value.AsStrings();
        foreach ((string key, string name) in GgufTokens)
        {
            if (file.Metadata.TryGetValue(key, out GgufValue? id) && id.AsInt64() is >= 0 and var index && index < tokens.Count) texts[name] = tokens[(int)index];
        }
        return texts;
    }

    private static void AddText(Dictionary<string, string> texts, string name, ITokenizer? tokenizer, int? id)
    {
        if (tokenizer?.SpecialTokens.FirstOrDefault(token => token.Value == id).Key is { } text) texts[name] = text;
    }
}
