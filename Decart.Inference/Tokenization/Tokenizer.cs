using Decart.Inference.Checkpoints;
using Decart.Inference.Tokenization;

namespace Decart.Inference;

/// <summary>Loads the tokenizer of a model.</summary>
public static class Tokenizer
{
    /// <summary>
    /// Loads the tokenizer from a folder in Hugging Face layout: <c>tokenizer.json</c> (the format of the tokenizers library), else
    /// <c>tokenizer.model</c> (SentencePiece). <c>tokenizer_config.json</c>, <c>special_tokens_map.json</c>, <c>generation_config.json</c>
    /// and <c>config.json</c> in the folder say which tokens begin and end a text. Safe to call from any thread.
    /// </summary>
    /// <param name="folder">The folder.</param>
    /// <returns>The tokenizer; it holds no file open.</returns>
    /// <exception cref="ArgumentException"><paramref name="folder"/> is empty.</exception>
    /// <exception cref="ModelLoadException">There is no tokenizer in the folder, or one of its files is malformed or uses what is not supported.</exception>
    public static ITokenizer Load(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        TokenizerSettings settings = TokenizerSettings.Read(folder);
        string file = Path.Combine(folder, "tokenizer.json");
        if (File.Exists(file)) return Finish(file, TokenizerJson.Read(file, settings), settings);
        file = Path.Combine(folder, "tokenizer.model");
        if (File.Exists(file)) return Finish(file, SentencePieceFile.Read(file, settings), settings);
        throw new ModelLoadException(folder, null, "expected tokenizer.json or tokenizer.model, found neither");
    }

    /// <summary>The tokenizer in the metadata of a GGUF file, which need not stay open.</summary>
    /// <param name="file">The file.</param>
    /// <exception cref="ModelLoadException">The metadata describes no tokenizer, or one that is malformed or not supported.</exception>
    internal static ITokenizer FromGguf(GgufFile file) => new TextTokenizer(GgufTokenizer.Read(file));

    /// <summary>Adds to a tokenizer what the other files of the folder say.</summary>
    private static TextTokenizer Finish(string file, TokenizerParts parts, TokenizerSettings settings)
    {
        int size = parts.VocabularySize;
        settings.CheckAgainstModel(file, size);
        int? bos = settings.BosTokenId(parts.IdOf, size) ?? parts.BosTokenId;
        IReadOnlyList<int> eos = settings.EosTokenIds(parts.IdOf, size) is { Count: > 0 } listed ? listed : parts.EosTokenIds;
        return new TextTokenizer(parts with
        {
            BosTokenId = bos,
            EosTokenIds = eos,
            Prefix = Around(parts.Prefix, bos, settings.AddBos, settings.FlagsOutrankPostProcessor),
            Suffix = Around(parts.Suffix, eos is [var end, ..] ? end : null, settings.AddEos, settings.FlagsOutrankPostProcessor),
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
