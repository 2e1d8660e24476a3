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

    /// <param name="model">The model.</param>
    /// <param name="vocabulary">Its pieces.</param>
    /// <param name="special">The ids of special tokens: no text that the model divides becomes one.</param>
    public static ITokenModel ReadModel(JsonField model, Vocabulary vocabulary, HashSet<int> special)
    {
        string type = model.TextOrNull("type") ?? (model.Has("merges") ? "BPE" : model.Required("vocab").Kind == JsonValueKind.Array ? "Unigram" : "WordLevel");
        return type switch
        {
            "BPE" => ReadBpe(model, vocabulary, special),
            "Unigram" => ReadUnigram(model, vocabulary, special),
            "WordLevel" => new WordLevelModel(vocabulary.Without(special), vocabulary.IdOrMissing(model.TextOrNull("unk_token") ?? "<unk>")),
            _ => throw model.Required("type").Wrong("a model that is known (BPE, Unigram, WordLevel)"),
        };
    }

    private static Vocabulary ReadPlainVocabulary(JsonField field)
    {
        int count = field.RawMembers().Count();
        Dictionary<string, int> ids = new(count);
        int largestId = Vocabulary.LargestPlausibleId(count);
        int size = 0;
        foreach (JsonProperty member in field.RawMembers())
        {
            string piece = member.Name;
            if (!(member.Value.ValueKind == JsonValueKind.Number && member.Value.TryGetInt32(out int id) && id >= 0 && id <= largestId))
                throw field.Member(piece, member.Value).Wrong($"an integer from 0 to {largestId}");
            if (!ids.TryAdd(piece, id)) throw field.Member(piece, member.Value).Wrong("each token once", "it twice");
            size = Math.Max(size, id + 1);
        }
        Vocabulary vocabulary = new(ids, size);
        foreach ((string piece, int id) in ids)
        {
            if (vocabulary.PieceOrNull(id) is { } other && !ReferenceEquals(other, piece))
                throw field.Wrong("each id once", $"{id} as \"{piece}\" and as \"{other}\"");
        }
        return vocabulary;
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

    private static BpeModel ReadBpe(JsonField model, Vocabulary vocabulary, HashSet<int> special)
    {
        foreach (string affix in (ReadOnlySpan<string>)["continuing_subword_prefix", "end_of_word_suffix"])
        {
            if (model.Optional(affix) is { } field && field.Text().Length > 0) throw field.Wrong("no affix of words");
        }
        int? unknownId = model.Optional("unk_token") is { } unknown
            ? vocabulary.TryGetId(unknown.Text(), out int id) ? id : throw unknown.Wrong("a token of the vocabulary")
            : null;
        UnknownSymbols symbols = new(ReadByteIds(model, vocabulary), unknownId, model.Flag("fuse_unk", missing: false));
        MergeTable merges = ReadMerges(model.Required("merges"), vocabulary, special);
        return new BpeModel(vocabulary.Without(special), merges, symbols, model.Flag("ignore_merges", missing: false));
    }

    private static MergeTable ReadMerges(JsonField field, Vocabulary vocabulary, HashSet<int> special)
    {
        JsonElement.ArrayEnumerator items = field.RawItems();
        MergeTable merges = new(items.Count());
        int rank = 0;
        foreach (JsonElement element in items)
        {
            ReadMerge(field, rank, element, out ReadOnlySpan<char> left, out ReadOnlySpan<char> right);
            if (!vocabulary.TryGetId(left, out int leftId) || !vocabulary.TryGetId(right, out int rightId) || !vocabulary.TryGetId(left, right, out int merged))
                throw field.Item(rank, element).Wrong("two tokens of the vocabulary that make a third");
            // A pair that is listed twice has its last rank, as in the reference implementation.
            if (!special.Contains(merged)) merges.Set(leftId, rightId, new Merge(rank, merged));
            rank++;
        }
        return merges;
    }

    private static void ReadMerge(JsonField merges, int index, JsonElement element, out ReadOnlySpan<char> left, out ReadOnlySpan<char> right)
    {
        if (element.ValueKind == JsonValueKind.String)
        {
            ReadOnlySpan<char> text = element.GetString();
            int space = text.IndexOf(' ');
            if (space > 0 && space < text.Length - 1 && text.LastIndexOf(' ') == space)
            {
                left = text[..space];
                right = text[(space + 1)..];
                return;
            }
        }
        else if (element.ValueKind == JsonValueKind.Array && element.GetArrayLength() == 2)
        {
            left = merges.Item(index, element[0]).Text();
            right = merges.Item(index, element[1]).Text();
            return;
        }
        throw merges.Item(index, element).Wrong("two tokens (\"a b\" or [\"a\", \"b\"])");
    }

    private static UnigramModel ReadUnigram(JsonField model, Vocabulary vocabulary, HashSet<int> special)
    {
        double[] scores = new double[vocabulary.Size];
        JsonField field = model.Required("vocab");
        int index = 0;
        foreach (JsonField entry in field.Items()) scores[index++] = entry.Items().Last().Number();
        int? unknownId = model.Optional("unk_id")?.Integer(vocabulary.Size - 1);
        return new UnigramModel(vocabulary.Without(special).Ids, scores, new UnknownSymbols(ReadByteIds(model, vocabulary), unknownId, Fuse: true));
    }

    private static int[]? ReadByteIds(JsonField model, Vocabulary vocabulary) => model.Flag("byte_fallback", missing: false) ? vocabulary.ByteIds() : null;
}
