namespace Decart.Inference.Tokenization;

/// <summary>Reads the decoders of tokenizer.json.</summary>
internal static class DecoderJson
{
    /// <summary>What holds without a decoder: pieces with a space between them.</summary>
    public static PieceDecoder JoinedBySpaces { get; } = new() { Steps = [new PrependNormalizer(" ")], LeadingSpaces = 1 };

    public static PieceDecoder Read(JsonField field)
    {
        PieceDecoder decoder = new();
        bool fused = false;
        foreach (JsonField step in Flatten(field))
        {
            JsonField type = step.Required("type");
            decoder = type.Text() switch
            {
                "ByteLevel" => decoder with { ByteLevel = true },
                "ByteFallback" => decoder with { ByteFallback = true },
                "Replace" => WithStep(decoder, NormalizerJson.ReadReplace(step)),
                "Metaspace" => ReadMetaspace(decoder, step),
                "Strip" => ReadStrip(decoder, step, fused),
                "Fuse" => decoder,
                _ => throw type.Wrong("a decoder that is known (Sequence, ByteLevel, ByteFallback, Replace, Metaspace, Strip, Fuse)"),
            };
            fused |= type.Text() == "Fuse";
        }
        return decoder;
    }

    private static List<JsonField> Flatten(JsonField field) =>
        field.Text("type") == "Sequence" ? [.. field.Required("decoders").Items().SelectMany(Flatten)] : [field];

    private static PieceDecoder WithStep(PieceDecoder decoder, INormalizer step) => decoder with { Steps = [.. decoder.Steps, step] };

    private static PieceDecoder ReadMetaspace(PieceDecoder decoder, JsonField field)
    {
        char marker = PreTokenizerJson.ReadMarker(field);
        return WithStep(decoder, new LiteralReplaceNormalizer(marker.ToString(), " ")) with
        {
            DroppedFromFirst = PreTokenizerJson.ReadPrependScheme(field) == PrependScheme.Never ? null : marker,
        };
    }

    /// <summary>Once pieces are joined the ends of the text are meant, before that those of every piece.</summary>
    private static PieceDecoder ReadStrip(PieceDecoder decoder, JsonField field, bool fused)
    {
        JsonField content = field.Required("content");
        char character = content.Text() is [char single] ? single : throw content.Wrong("one character");
        (int start, int stop) = (field.Required("start").Integer(), field.Required("stop").Integer());
        if (!fused) return WithStep(decoder, new StripCharacterNormalizer(character, start, stop));
        if (character != ' ') throw content.Wrong("a space after Fuse");
        return decoder with { LeadingSpaces = start, TrailingSpaces = stop };
    }
}
