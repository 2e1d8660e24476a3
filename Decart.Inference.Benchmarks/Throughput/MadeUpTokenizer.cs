using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Decart.Inference.Tokenization;

namespace Decart.Inference.Benchmarks.Throughput;

/// <summary>
/// A vocabulary for models that are measured without one: all bytes, numbers, runs of white space and punctuation, and words as byte-level vocabularies have them. It cannot
/// encode more than bytes; masks cost what they cost with a real one of its size.
/// </summary>
internal static class MadeUpTokenizer
{
    private const int Punctuation = 12_000, LongestRun = 5;

    /// <summary>Text as <c>tokenizer.json</c> has it.</summary>
    /// <param name="vocabularySize">Number of tokens.</param>
    public static string Json(int vocabularySize)
    {
        JsonObject ids = [];
        foreach (string token in Tokens().Distinct().Take(vocabularySize - 1)) ids.Add(token, ids.Count);
        JsonObject end = new() { ["id"] = ids.Count, ["content"] = "<end>", ["special"] = true, ["single_word"] = false, ["lstrip"] = false, ["rstrip"] = false, ["normalized"] = false };
        return new JsonObject
        {
            ["version"] = "1.0",
            ["added_tokens"] = new JsonArray(end),
            ["pre_tokenizer"] = new JsonObject { ["type"] = "ByteLevel", ["add_prefix_space"] = false, ["trim_offsets"] = true, ["use_regex"] = true },
            ["decoder"] = new JsonObject { ["type"] = "ByteLevel", ["add_prefix_space"] = false, ["trim_offsets"] = true, ["use_regex"] = true },
            ["model"] = new JsonObject { ["type"] = "BPE", ["vocab"] = ids, ["merges"] = new JsonArray() },
        }.ToJsonString(JsonSerializerOptions.Default);
    }

    /// <summary>Tokens without end, the most frequent kinds first.</summary>
    private static IEnumerable<string> Tokens()
    {
        for (int value = 0; value < 256; value++) yield return ByteLevelAlphabet.Encode([(byte)value]);
        for (int number = 10; number < 1000; number++) yield return Encode($"{number}");
        for (int length = 2; length <= 64; length++)
        {
            yield return Encode(new string(' ', length));
            yield return Encode("\n" + new string(' ', length));
        }
        Random random = new(1);
        for (int i = 0; i < Punctuation; i++) yield return Encode(string.Concat(Enumerable.Range(0, random.Next(2, LongestRun + 1)).Select(_ => Pick(random, "\"\"\"\"::,,  {}[]()\n.\\/'-_=<>;*#"))));
        while (true)
        {
            string word = string.Concat(Enumerable.Range(0, random.Next(1, 5)).Select(_ => $"{Pick(random, "bcdfghjklmnprstvwz")}{Pick(random, "aeiouy")}{Pick(random, "nrstl     ")}".TrimEnd()));
            yield return Encode(random.Next(16) switch
            {
                < 9 => " " + word,
                < 12 => word,
                < 14 => char.ToUpperInvariant(word[0]) + word[1..],
                14 => "_" + word,
                _ => Pick(random, "\"'(.") + word,
            });
        }
    }

    private static char Pick(Random random, string from) => from[random.Next(from.Length)];

    private static string Encode(string text) => ByteLevelAlphabet.Encode(Encoding.UTF8.GetBytes(text));
}
