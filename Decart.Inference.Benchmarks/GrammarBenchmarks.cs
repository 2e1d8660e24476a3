using System.Text.Json;
using System.Text.Json.Nodes;
using BenchmarkDotNet.Attributes;
using Decart.Inference.Benchmarks.Throughput;
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
    internal const int Sequences = 64;

    private const int MaxTokens = 100_000;

    private const string LogPattern = @"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (debug|info|warn|error) [a-z]+(\.[a-z]+)*: [^\n]{1,200}\n){1,40}";

    private const string ListGrammar = """
        root ::= item+
        item ::= "- " name ": " (number | text) "\n" ("  " item)*
        name ::= [a-z] [a-z0-9_]*
        number ::= "-"? [0-9]+ ("." [0-9]+)?
        text ::= "'" ([^'\\\n] | "\\" ['\\n])* "'"
        """;

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

    /// <summary>
    /// What the documents of <see cref="Step"/> follow: a schema whose members are all required and come in its order; one whose members are optional and come in
    /// another order in each; any JSON; a regular expression of log lines; a GBNF grammar of nested lists.
    /// </summary>
    public enum Form { Schema, AnyOrder, AnyJson, Regex, Gbnf }

    [ParamsAllValues]
    public Form Text { get; set; }

    /// <summary>Where the order is to be new in each there are so many that none comes twice in a measurement.</summary>
    private int Documents => Text == Form.AnyOrder ? 8192 : 512;

    [GlobalSetup]
    public void Setup()
    {
        _tokenizer = Tokenizer.Load(TokenizerBenchmarks.FindTokenizer());
        _vocabulary = Vocabulary();
        _schema = PropertySchema.Create(areRequired: Text == Form.Schema).ToJsonString();
        _grammar = (Grammar)ReadGrammar();
        _compiled = Compile();
        _tokens = [.. Enumerable.Range(0, Documents).Select(seed => _tokenizer.Encode(Document(new Random(seed)), addSpecialTokens: false).ToArray())];
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

    /// <summary>A grammar from its text.</summary>
    [Benchmark]
    public object ReadGrammar() => Text switch
    {
        Form.AnyJson => Grammar.Json(),
        Form.Regex => Grammar.Regex(LogPattern),
        Form.Gbnf => Grammar.Gbnf(ListGrammar),
        _ => Grammar.JsonSchema(_schema),
    };

    /// <summary>The grammar for the vocabulary: once for each session that uses it.</summary>
    [Benchmark]
    public object CompileForVocabulary() => Compile();

    /// <summary>All that 64 sequences need between two steps: each takes its token and gets its next mask.</summary>
    [Benchmark]
    public void Step()
    {
        for (int i = 0; i < Sequences; i++) Advance(i);
    }

    /// <summary>The masks of 64 sequences that have few tokens left: all that is allowed must lead to an end in time.</summary>
    [Benchmark]
    public void StepNearTheEnd()
    {
        for (int i = 0; i < Sequences; i++) _ = _matchers[i].Next(_matchers[i].TokensToComplete + 1 + (i % 8));
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

    private string Document(Random random) => Text switch
    {
        Form.Regex => LogLines(random),
        Form.Gbnf => string.Concat(Enumerable.Range(0, 10).Select(_ => List(random, levels: 4))),
        Form.AnyJson => Write(FreeObject(random, members: 30, levels: 3), random),
        _ => Json(random, isShuffled: Text == Form.AnyOrder),
    };

    private static string LogLines(Random random) => string.Concat(Enumerable.Range(0, 20).Select(_ =>
        $"2026-11-{random.Next(10, 29)}T{random.Next(10, 24)}:{random.Next(10, 60)}:{random.Next(10, 60)}Z info {Words[random.Next(Words.Length)]}.{Words[random.Next(Words.Length)]}: {Sentence(random, 12)}\n"));

    private static string List(Random random, int levels)
    {
        string value = random.Next(2) == 0 ? $"'{Sentence(random, 8)}'" : $"{random.Next(100_000)}";
        string item = $"- {Words[random.Next(Words.Length)]}_{random.Next(100)}: {value}\n";
        return levels == 0 ? item : item + string.Concat(Enumerable.Range(0, random.Next(3)).Select(_ => "  " + List(random, levels - 1)));
    }

    private static string Json(Random random, bool isShuffled)
    {
        JsonObject document = [];
        int[] order = [.. Enumerable.Range(0, PropertySchema.Count)];
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
        return Write(document, random);
    }

    /// <summary>An object of ever new names, with lists of objects that have the same names, as records do.</summary>
    private static JsonObject FreeObject(Random random, int members, int levels)
    {
        JsonObject free = [];
        for (int i = 0; i < members; i++)
        {
            free[$"{Words[random.Next(Words.Length)]}_{Words[random.Next(Words.Length)]}{(random.Next(2) == 0 ? random.Next(1000) : "")}"] = random.Next(levels > 0 ? 6 : 4) switch
            {
                0 => random.Next(100_000),
                1 => random.Next(10_000) / 100m,
                2 => random.Next(2) == 0,
                3 => Sentence(random, 8),
                4 => FreeObject(random, 3, levels - 1),
                _ => new JsonArray([.. Enumerable.Range(0, 4).Select(id => (JsonNode)new JsonObject { ["id"] = id, ["name"] = Sentence(random, 2), ["tags"] = new JsonArray(Sentence(random, 1)) })]),
            };
        }
        return free;
    }

    private static string Write(JsonObject document, Random random) => document.ToJsonString(new JsonSerializerOptions { WriteIndented = random.Next(2) == 0 });

    private static string Sentence(Random random, int words) =>
        string.Join(' ', Enumerable.Range(0, random.Next(1, words + 1)).Select(_ => Words[random.Next(Words.Length)]));
}
