using System.Text.Json;

namespace Decart.Inference.Tokenization;

/// <summary>Reads the models of tokenizer.json: BPE, Unigram and WordLevel.</summary>
internal static class ModelJson
{
    public static Vocabulary ReadVocabulary(JsonField model)
    {
        JsonField vocabulary = model.Required("vocab");
        return vocabulary.Kind == JsonValueKind.Array ? ReadScoredVocabulary(vocabulary) : ReadPlainVocabulary(vocabulary);
    }

    public static ITokenModel ReadModel(JsonField model, Vocabulary vocabulary)
    {
        string type = model.TextOrNull("type") ?? (model.Has("merges") ? "BPE" : model.Required("vocab").Kind == JsonValueKind.Array ? "Unigram" : "WordLevel");
        return type switch
        {
            "BPE" => ReadBpe(model, vocabulary),
            "Unigram" => ReadUnigram(model, vocabulary),
            "WordLevel" => new WordLevelModel(vocabulary, vocabulary.IdOrMissing(model.TextOrNull("unk_token") ?? "<unk>")),
            _ => throw model.Required("type").Wrong("a model that is known (BPE, Unigram, WordLevel)"),
        };
    }

    private static Vocabulary ReadPlainVocabulary(JsonField field)
    {
        Dictionary<string, int> ids = [];
        Dictionary<int, string> pieces = [];
        int largestId = Vocabulary.LargestPlausibleId(field.RawMembers().Count());
        int size = 0;
        foreach (JsonProperty member in field.RawMembers())
        {
            string piece = member.Name;
            if (!(member.Value.ValueKind == JsonValueKind.Number && member.Value.TryGetInt32(out int id) && id >= 0 && id <= largestId))
                throw field.Member(piece, member.Value).Wrong($"an integer from 0 to {largestId}");
            if (!ids.TryAdd(piece, id)) throw field.Member(piece, member.Value).Wrong("each token once", "it twice");
            if (!pieces.TryAdd(id, piece)) throw field.Member(piece, member.Value).Wrong("an id that no other token has", $"{id}, which is \"{pieces[id]}\"");
            size = Math.Max(size, id + 1);
        }
        return new Vocabulary(ids, size);
    }

    private static Vocabulary ReadScoredVocabulary(JsonField field)
    {
        Dictionary<string, int> ids = [];
        int index = 0;
        foreach (JsonElement element in field.RawItems())
        {
            JsonField entry = field.Item(index, element);
            if (entry.Items().ToList() is not [var piece, _]) throw entry.Wrong("a token and its score");
            if (!ids.TryAdd(piece.Text(), index++)) throw piece.Wrong("each token once");
        }
        return new Vocabulary(ids, index);
    }

    private static BpeModel ReadBpe(JsonField model, Vocabulary vocabulary)
    {
        foreach (string affix in (ReadOnlySpan<string>)["continuing_subword_prefix", "end_of_word_suffix"])
        {
            if (model.Optional(affix) is { } field && field.Text().Length > 0) throw field.Wrong("no affix of words");
        }
        int? unknownId = model.Optional("unk_token") is { } unknown
            ? vocabulary.TryGetId(unknown.Text(), out int id) ? id : throw unknown.Wrong("a token of the vocabulary")
            : null;
        UnknownSymbols symbols = new(model.Flag("byte_fallback", missing: false) ? vocabulary.ByteIds() : null, unknownId, model.Flag("fuse_unk", missing: false));
        return new BpeModel(vocabulary, ReadMerges(model.Required("merges"), vocabulary), symbols, model.Flag("ignore_merges", missing: false));
    }

    private static Dictionary<long, Merge> ReadMerges(JsonField field, Vocabulary vocabulary)
    {
        Dictionary<long, Merge> merges = [];
        int rank = 0;
        foreach (JsonElement element in field.RawItems())
        {
            (string left, string right) = ReadMerge(field, rank, element);
            if (!vocabulary.TryGetId(left, out int leftId) || !vocabulary.TryGetId(right, out int rightId) || !vocabulary.TryGetId(left + right, out int merged))
                throw field.Item(rank, element).Wrong($"two tokens of the vocabulary that make a third, \"{left}\" and \"{right}\"");
            // A pair that is listed twice has its last rank, as in the reference implementation.
            merges[BpeModel.Pair(leftId, rightId)] = new Merge(rank++, merged);
        }
        return merges;
    }

    private static (string Left, string Right) ReadMerge(JsonField field, int index, JsonElement element)
    {
        if (element.ValueKind == JsonValueKind.String)
        {
            string text = field.Item(index, element).Text();
            int space = text.IndexOf(' ', StringComparison.Ordinal);
            if (space > 0 && space < text.Length - 1 && text.LastIndexOf(' ') == space) return (text[..space], text[(space + 1)..]);
        }
        else if (element.ValueKind == JsonValueKind.Array && element.GetArrayLength() == 2)
        {
            return (field.Item(index, element[0]).Text(), field.Item(index, element[1]).Text());
        }
        throw field.Item(index, element).Wrong("two tokens (\"a b\" or [\"a\", \"b\"])");
    }

    private static UnigramModel ReadUnigram(JsonField model, Vocabulary vocabulary)
    {
        double[] scores = new double[vocabulary.Size];
        JsonField field = model.Required("vocab");
        int index = 0;
        foreach (JsonField entry in field.Items()) scores[index++] = entry.Items().Last().Number();
        int? unknownId = model.Optional("unk_id")?.Integer(vocabulary.Size - 1);
        return new UnigramModel(vocabulary.Ids, scores, new UnknownSymbols(model.Flag("byte_fallback", missing: false) ? vocabulary.ByteIds() : null, unknownId, Fuse: true));
    }
}
