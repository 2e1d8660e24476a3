using System.Text.Json;
using System.Text.Json.Nodes;
using BenchmarkDotNet.Attributes;
using Decart.Inference.Grammars;
using Decart.Inference.Sampling;

namespace Decart.Inference.Benchmarks;

/// <summary>
/// What structured output costs: preparing a schema of 100 properties for a vocabulary, and the masks of a step of 64 sequences, which follow documents that
/// no two of them share, with the members in the schema's order or in ever new ones. With the Llama 3 tokenizer (128,000 tokens) where the shared fixtures are there, otherwise with the storyteller's.
/// </summary>
[MemoryDiagnoser]
public class GrammarBenchmarks
{
    private const int Sequences = 64, Properties = 100, MaxTokens = 100_000;

    private static readonly string[] Words =
        "the quick brown fox jumps over a lazy dog and then it tells a long story about rivers mountains and people who live there in peace".Split(' ');

    private readonly GrammarMatcher[] _matchers = new GrammarMatcher[Sequences];
    private readonly int[] _documents = new int[Sequences], _positions = new int[Sequences];
    private string _schema = null!;
    private ITokenizer _tokenizer = null!;
    private GrammarVocabulary _vocabulary = null!;
    private Grammar _grammar = null!;
    private CompiledGrammar _compiled = null!;
    private int[][] _tokens = [];
    private int _started;

    /// <summary>What the documents of <see cref="Step"/> follow: a schema whose members are all required and come in its order; one whose members are optional and come in another order in each; none.</summary>
    public enum Form { Schema, AnyOrder, AnyJson }

    [ParamsAllValues]
    public Form Text { get; set; }

    /// <summary>Where the order is to be new in each there are so many that none comes twice in a measurement.</summary>
    private int Documents => Text == Form.AnyOrder ? 8192 : 512;

    [GlobalSetup]
    public void Setup()
    {
        _tokenizer = Tokenizer.Load(TokenizerBenchmarks.FindTokenizer());
        _vocabulary = Vocabulary();
        _schema = Schema(areRequired: Text == Form.Schema).ToJsonString();
        _grammar = Text == Form.AnyJson ? Grammar.Json() : Grammar.JsonSchema(_schema);
        _compiled = Compile();
        _tokens = [.. Enumerable.Range(0, Documents).Select(seed => _tokenizer.Encode(Document(new Random(seed), Text == Form.AnyOrder), addSpecialTokens: false).ToArray())];
        for (int i = 0; i < Sequences; i++)
        {
            Start(i);
            // Sequences of a real batch are at different places.
            for (int skip = _tokens[_documents[i]].Length * i / Sequences; skip > 0; skip--) Advance(i);
        }
    }

    /// <summary>The tree of the vocabulary: once for each session.</summary>
    [Benchmark]
    public object BuildVocabulary() => Vocabulary();

    /// <summary>A schema from its text.</summary>
    [Benchmark]
    public object ReadSchema() => Grammar.JsonSchema(_schema);

    /// <summary>The grammar for the vocabulary: once for each session that uses it.</summary>
    [Benchmark]
    public object CompileForVocabulary() => Compile();

    /// <summary>All that 64 sequences need between two steps: each takes its token and gets its next mask.</summary>
    [Benchmark]
    public void Step()
    {
        for (int i = 0; i < Sequences; i++) Advance(i);
    }

    private GrammarVocabulary Vocabulary() => new(_tokenizer, _tokenizer.VocabularySize, new HashSet<int>(_tokenizer.EosTokenIds));

    private CompiledGrammar Compile() => new(_grammar, _vocabulary);

    private void Start(int sequence)
    {
        _matchers[sequence] = new GrammarMatcher(_compiled, [], ignoresEnd: false);
        _documents[sequence] = _started++ % Documents;
        _positions[sequence] = 0;
    }

    private void Advance(int sequence)
    {
        int[] document = _tokens[_documents[sequence]];
        TokenMask mask = _matchers[sequence].Next(MaxTokens);
        int token = document[_positions[sequence]++];
        if (!mask.Allows(token)) throw new InvalidOperationException($"Token {token} should be allowed.");
        _matchers[sequence].Accept(token);
        if (_positions[sequence] == document.Length) Start(sequence);
    }

    private static JsonObject Schema(bool areRequired)
    {
        JsonObject properties = [];
        for (int i = 0; i < Properties; i++)
        {
            properties[$"property_{i}"] = (i % 6) switch
            {
                0 => new JsonObject { ["type"] = "string" },
                1 => new JsonObject { ["type"] = "integer" },
                2 => new JsonObject { ["type"] = "number" },
                3 => new JsonObject { ["enum"] = new JsonArray("red", "green", "blue") },
                4 => new JsonObject { ["type"] = "array", ["items"] = new JsonObject { ["type"] = "string" } },
                _ => new JsonObject { ["type"] = "string", ["maxLength"] = 40 },
            };
        }
        JsonObject schema = new() { ["type"] = "object", ["properties"] = properties, ["additionalProperties"] = false };
        if (areRequired) schema["required"] = new JsonArray([.. properties.Select(property => (JsonNode)property.Key)]);
        return schema;
    }

    private static string Document(Random random, bool isShuffled)
    {
        JsonObject document = [];
        int[] order = [.. Enumerable.Range(0, Properties)];
        if (isShuffled) random.Shuffle(order);
        foreach (int i in order)
        {
            document[$"property_{i}"] = (i % 6) switch
            {
                0 => Sentence(random, 8),
                1 => random.Next(100_000),
                2 => random.Next(10_000) / 100m,
                3 => "green",
                4 => new JsonArray(Sentence(random, 3), Sentence(random, 2)),
                _ => Sentence(random, 4),
            };
        }
        return document.ToJsonString(new JsonSerializerOptions { WriteIndented = random.Next(2) == 0 });
    }

    private static string Sentence(Random random, int words) =>
        string.Join(' ', Enumerable.Range(0, random.Next(1, words + 1)).Select(_ => Words[random.Next(Words.Length)]));
}
