namespace Decart.Inference.Tokenization;

/// <summary>Reads the normalisers of tokenizer.json.</summary>
internal static class NormalizerJson
{
    public static INormalizer Read(JsonField field)
    {
        JsonField type = field.Required("type");
        return type.Text() switch
        {
            "Sequence" => new SequenceNormalizer([.. field.Required("normalizers").Items().Select(Read)]),
            "NFC" => new UnicodeNormalizer(compatibility: false, compose: true),
            "NFD" => new UnicodeNormalizer(compatibility: false, compose: false),
            "NFKC" => new UnicodeNormalizer(compatibility: true, compose: true),
            "NFKD" => new UnicodeNormalizer(compatibility: true, compose: false),
            "Prepend" => new PrependNormalizer(field.Text("prepend")),
            "Replace" => ReadReplace(field),
            "Lowercase" => new LowercaseNormalizer(),
            "Strip" => new StripNormalizer(field.Flag("strip_left", missing: true), field.Flag("strip_right", missing: true)),
            "StripAccents" => new PatternReplaceNormalizer(new CodePointPattern(CodePoints.IsMark), ""),
            "ByteLevel" => new ByteLevelNormalizer(),
            "Nmt" => new NmtNormalizer(),
            "Precompiled" => new PrecompiledNormalizer(ReadMap(field.Required("precompiled_charsmap"))),
            _ => throw type.Wrong(
                "a normalizer that is known (Sequence, NFC, NFD, NFKC, NFKD, Prepend, Replace, Lowercase, Strip, StripAccents, ByteLevel, Nmt, Precompiled)"),
        };
    }

    private static CharacterMap ReadMap(JsonField field)
    {
        string text = field.Text();
        byte[] bytes = new byte[text.Length];
        return Convert.TryFromBase64String(text, bytes, out int length) && CharacterMap.TryRead(bytes.AsSpan(0, length)) is { } map
            ? map
            : throw field.Wrong("a map of characters compiled by SentencePiece, in base 64");
    }

    /// <summary>Reads a replacement, which is a normaliser as well as a step of a decoder.</summary>
    public static INormalizer ReadReplace(JsonField field)
    {
        JsonField pattern = field.Required("pattern");
        string replacement = field.Text("content");
        return pattern.TextOrNull("String") is { } literal
            ? new LiteralReplaceNormalizer(literal, replacement)
            : new PatternReplaceNormalizer(PreTokenizerJson.ReadPattern(pattern), replacement);
    }
}
