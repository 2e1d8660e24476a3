using System.Text.Json;

namespace Decart.Inference.Tokenization;

/// <summary>Reads the post-processors of tokenizer.json: which tokens stand in front of a single text and which after it.</summary>
internal static class PostProcessorJson
{
    public static (IReadOnlyList<int> Prefix, IReadOnlyList<int> Suffix) Read(JsonField field, int vocabularySize)
    {
        JsonField type = field.Required("type");
        switch (type.Text())
        {
            case "ByteLevel":
                return ([], []);
            case "Sequence":
                List<int> prefix = [], suffix = [];
                foreach (JsonField step in field.Required("processors").Items())
                {
                    (IReadOnlyList<int> before, IReadOnlyList<int> after) = Read(step, vocabularySize);
                    prefix.InsertRange(0, before);
                    suffix.AddRange(after);
                }
                return (prefix, suffix);
            case "TemplateProcessing":
                return ReadTemplate(field, vocabularySize);
            case "BertProcessing" or "RobertaProcessing":
                return ([ReadTokenPair(field.Required("cls"), vocabularySize)], [ReadTokenPair(field.Required("sep"), vocabularySize)]);
            default:
                throw type.Wrong("a post-processor that is known (Sequence, TemplateProcessing, ByteLevel, BertProcessing, RobertaProcessing)");
        }
    }

    private static (IReadOnlyList<int> Prefix, IReadOnlyList<int> Suffix) ReadTemplate(JsonField field, int vocabularySize)
    {
        List<int> prefix = [], suffix = [];
        bool afterText = false;
        JsonField single = field.Required("single");
        foreach (JsonField item in single.Items())
        {
            if (item.Optional("Sequence") is { } sequence)
            {
                if (afterText || sequence.Text("id") != "A") throw item.Wrong("the text \"A\" once");
                afterText = true;
                continue;
            }
            JsonField token = item.Optional("SpecialToken")?.Required("id") ?? throw item.Wrong("a \"Sequence\" or a \"SpecialToken\"");
            JsonField ids = field.Required("special_tokens").Required(token.Text()).Required("ids");
            (afterText ? suffix : prefix).AddRange(ids.Items().Select(id => id.Integer(vocabularySize - 1)));
        }
        return afterText ? (prefix, suffix) : throw single.Wrong("a place for the text \"A\"", "none");
    }

    private static int ReadTokenPair(JsonField field, int vocabularySize) => field.Items().ToList() is [{ Kind: JsonValueKind.String }, var id]
        ? id.Integer(vocabularySize - 1)
        : throw field.Wrong("a token and its id");
}
