using System.Text.Json;
using System.Text.Json.Nodes;
using Decart.Inference.Tests.Checkpoints;

namespace Decart.Inference.Tests.Tokenization;

/// <summary>Writes small tokenizer.json files: byte-level BPE over the whole byte alphabet, or characters with a marker for spaces.</summary>
internal static class TinyTokenizer
{
    /// <summary>Byte-level BPE: ids 0 .. 255 are the bytes, the merges' results follow in order.</summary>
    public static JsonObject ByteLevel(params string[] merges)
    {
        JsonObject vocabulary = [];
        char next = '\u0100';
        for (int value = 0; value < 256; value++)
        {
            bool printable = value is >= '!' and <= '~' or >= 0xA1 and <= 0xAC or >= 0xAE;
            vocabulary.Add((printable ? (char)value : next++).ToString(), value);
        }
        foreach (string merge in merges) vocabulary.Add(merge.Replace(" ", "", StringComparison.Ordinal), vocabulary.Count);
        return new JsonObject
        {
            ["added_tokens"] = new JsonArray(),
            ["pre_tokenizer"] = new JsonObject { ["type"] = "ByteLevel", ["add_prefix_space"] = false, ["use_regex"] = true },
            ["decoder"] = new JsonObject { ["type"] = "ByteLevel" },
            ["model"] = new JsonObject { ["type"] = "BPE", ["vocab"] = vocabulary, ["merges"] = new JsonArray([.. merges.Select(merge => (JsonNode)merge)]) },
        };
    }

    /// <summary>BPE over characters: ids in the order of the pieces; the first is the unknown token.</summary>
    public static JsonObject Characters(string[] pieces, params string[] merges)
    {
        JsonObject vocabulary = [];
        foreach (string piece in pieces) vocabulary.Add(piece, vocabulary.Count);
        return new JsonObject
        {
            ["added_tokens"] = new JsonArray(),
            ["model"] = new JsonObject
            {
                ["type"] = "BPE",
                ["unk_token"] = pieces[0],
                ["vocab"] = vocabulary,
                ["merges"] = new JsonArray([.. merges.Select(merge => (JsonNode)merge)]),
            },
        };
    }

    public static JsonObject AddedToken(
        int id, string content, bool special = true, bool lstrip = false, bool rstrip = false, bool singleWord = false, bool normalized = false) => new()
        {
            ["id"] = id,
            ["content"] = content,
            ["special"] = special,
            ["lstrip"] = lstrip,
            ["rstrip"] = rstrip,
            ["single_word"] = singleWord,
            ["normalized"] = normalized,
        };

    /// <summary>Loads a tokenizer from what would be the files of a folder.</summary>
    public static ITokenizer Load(JsonObject tokenizer, params (string Name, string Content)[] files)
    {
        using TemporaryFolder folder = new();
        folder.Write("tokenizer.json", tokenizer.ToJsonString());
        foreach ((string name, string content) in files) folder.Write(name, content);
        return Tokenizer.Load(folder.Path);
    }

    public static JsonObject Parse(string json) => JsonSerializer.Deserialize<JsonObject>(json)!;
}
