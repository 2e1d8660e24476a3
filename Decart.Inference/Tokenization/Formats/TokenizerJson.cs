namespace Decart.Inference.Tokenization;

/// <summary>Reads tokenizer.json, the format of Hugging Face's tokenizers library.</summary>
internal static class TokenizerJson
{
    public static TokenizerParts Read(string file, TokenizerSettings settings)
    {
        JsonField root = JsonField.Read(file);
        INormalizer? normalizer = root.Optional("normalizer") is { } normalizerField ? NormalizerJson.Read(normalizerField) : null;
        JsonField model = root.Required("model");
        Vocabulary vocabulary = ModelJson.ReadVocabulary(model);
        List<AddedToken> added = ReadAddedTokens(root, vocabulary, settings, normalizer);
        TokenizerParts parts = new()
        {
            Vocabulary = vocabulary,
            Model = ModelJson.ReadModel(model, vocabulary, added.Where(token => token.Special).Select(token => token.Id).ToHashSet()),
            AddedTokens = added,
            Normalizer = normalizer,
            PreTokenizer = root.Optional("pre_tokenizer") is { } preTokenizer ? PreTokenizerJson.Read(preTokenizer) : null,
            Decoder = root.Optional("decoder") is { } decoder ? DecoderJson.Read(decoder) : DecoderJson.JoinedBySpaces,
        };
        if (root.Optional("post_processor") is not { } processor) return parts;
        (IReadOnlyList<int> prefix, IReadOnlyList<int> suffix) = PostProcessorJson.Read(processor, parts.VocabularySize);
        return parts with { Prefix = prefix, Suffix = suffix };
    }

    private static List<AddedToken> ReadAddedTokens(JsonField root, Vocabulary vocabulary, TokenizerSettings settings, INormalizer? normalizer)
    {
        List<AddedToken> tokens = [];
        Dictionary<int, string> contents = [];
        HashSet<string> texts = [];
        int largestId = Vocabulary.LargestPlausibleId(vocabulary.Ids.Count);
        if (root.Optional("added_tokens") is { } list)
        {
            foreach (JsonField field in list.Items()) Add(AddedTokenJson.Read(field, field.Required("id").Integer(largestId)), field.Required("id"));
        }
        foreach ((AddedToken token, JsonField field) in settings.AddedTokens(largestId))
        {
            if (!contents.ContainsKey(token.Id) && !texts.Contains(token.Content)) Add(token, field);
        }
        return tokens;

        void Add(AddedToken token, JsonField field)
        {
            // A token that is in the model's vocabulary keeps its id from there.
            if (vocabulary.TryGetId(token.Content, out int id)) token = token with { Id = id };
            if ((vocabulary.PieceOrNull(token.Id) ?? contents.GetValueOrDefault(token.Id)) is { } other && other != token.Content)
                throw field.Wrong($"an id for \"{token.Content}\" that no token has", $"{token.Id}, which is \"{other}\"");
            contents[token.Id] = token.Content;
            texts.Add(token.Content);
            tokens.Add(token.Normalized && normalizer is not null ? token with { Pattern = normalizer.Normalize(token.Content, EncodingBudget.Unlimited) } : token);
        }
    }
}

/// <summary>Reads an added token from tokenizer.json or tokenizer_config.json.</summary>
internal static class AddedTokenJson
{
    public static AddedToken Read(JsonField field, int id)
    {
        bool special = field.Flag("special", missing: false);
        return new AddedToken(
            id,
            field.Text("content"),
            special,
            field.Flag("single_word", missing: false),
            field.Flag("lstrip", missing: false),
            field.Flag("rstrip", missing: false),
            field.Flag("normalized", missing: !special));
    }
}
