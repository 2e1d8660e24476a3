using Decart.Inference.Checkpoints;
using Decart.Inference.Tokenization;

namespace Decart.Inference;

/// <summary>Loads the tokenizer of a model.</summary>
public static class Tokenizer
{
    /// <summary>Files in which other libraries keep tokenizers.</summary>
    private static readonly string[] OtherFormats =
        ["vocab.json", "merges.txt", "spiece.model", "sentencepiece.bpe.model", "vocab.txt", "tokenizer.model.v3", "tiktoken.model"];

    /// <summary>
    /// Loads the tokenizer from a folder in Hugging Face layout: <c>tokenizer.json</c> (the format of the tokenizers library), else
    /// <c>tokenizer.model</c> (SentencePiece), else <c>tekken.json</c> (Mistral). <c>tokenizer_config.json</c>, <c>special_tokens_map.json</c>,
    /// <c>added_tokens.json</c>, <c>generation_config.json</c>, <c>config.json</c> and the chat template in the folder say which tokens are special, and
    /// which begin and end a text. Safe to call from any thread.
    /// </summary>
    /// <param name="folder">The folder.</param>
    /// <returns>The tokenizer; it holds no file open.</returns>
    /// <exception cref="ArgumentException"><paramref name="folder"/> is empty.</exception>
    /// <exception cref="ModelLoadException">There is no tokenizer in the folder, or one of its files is malformed or uses an unsupported feature.</exception>
    public static ITokenizer Load(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        TokenizerSettings settings = TokenizerSettings.Read(folder);
        string file = FileNames.Select(name => Path.Combine(folder, name)).FirstOrDefault(CheckpointFile.Exists)
            ?? throw new ModelLoadException(folder, null, $"expected {string.Join(" or ", FileNames)}, found {UnreadFiles(folder) ?? "none of them"}");
        return Finish(Path.GetFileName(file) switch
        {
            "tokenizer.json" => TokenizerJson.Read(file, settings),
            "tokenizer.model" => SentencePieceFile.Read(file, settings),
            _ => TekkenFile.Read(file),
        }, settings);
    }

    /// <summary>The files that may hold a tokenizer; the first that exists is read.</summary>
    internal static IReadOnlyList<string> FileNames { get; } = ["tokenizer.json", "tokenizer.model", "tekken.json"];

    /// <summary>The files in a folder that hold a tokenizer in a format that is not read, for a message; null if there are none.</summary>
    internal static string? UnreadFiles(string folder) =>
        string.Join(", ", OtherFormats.Where(name => File.Exists(Path.Combine(folder, name)))) is { Length: > 0 } names ? names : null;

    /// <summary>The tokenizer in the metadata of a GGUF file, which need not stay open.</summary>
    /// <param name="file">The file.</param>
    /// <exception cref="ModelLoadException">The metadata describes no tokenizer, or one that is malformed or not supported.</exception>
    internal static ITokenizer FromGguf(GgufFile file) => new TextTokenizer(GgufTokenizer.Read(file));

    /// <summary>Adds to a tokenizer what the other files of the folder say.</summary>
    private static TextTokenizer Finish(TokenizerParts parts, TokenizerSettings settings)
    {
        int size = parts.VocabularySize;
        int? bos = settings.BosTokenId(parts.IdOf, size) ?? parts.BosTokenId;
        IReadOnlyList<int> listed = settings.EosTokenIds(parts.IdOf, size) is { Count: > 0 } ids ? ids : parts.EosTokenIds;
        return new TextTokenizer(parts with
        {
            BosTokenId = bos,
            EosTokenIds = [.. listed.Concat(EndOfTurn.Find(parts.AddedTokens, settings.ChatTemplates.Text)).Distinct()],
            Prefix = Around(parts.Prefix, bos, settings.AddBos, settings.FlagsOutrankPostProcessor),
            Suffix = Around(parts.Suffix, listed is [var end, ..] ? end : null, settings.AddEos, settings.FlagsOutrankPostProcessor),
            Warnings = [.. parts.Warnings, .. settings.Warnings],
        });
    }

    /// <summary>The tokens at one end of a text, with or without the one that the settings add or deny.</summary>
    private static IReadOnlyList<int> Around(IReadOnlyList<int> tokens, int? token, bool? add, bool outranks) => (add, token) switch
    {
        (true, { } id) => tokens.Contains(id) ? tokens : [id, .. tokens],
        (false, { } id) when outranks => [.. tokens.Where(other => other != id)],
        _ => tokens,
    };
}
