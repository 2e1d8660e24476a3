using System.Text;
using BenchmarkDotNet.Attributes;
using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;
using Decart.Inference.Tokenization;

namespace Decart.Inference.Benchmarks;

/// <summary>
/// Encoding and decoding with the Llama 3 tokenizer where the shared fixtures are there (DECART_FIXTURES or ../shared/fixtures),
/// otherwise with the storyteller's. Megabytes are those of the text in UTF-8.
/// </summary>
[Config(typeof(Config))]
[MemoryDiagnoser]
public class TokenizerBenchmarks
{
    private const string Alphabet = "abcdefghijklmnopqrstuvwxyz";

    private static readonly string[] EnglishWords =
    [
        .. ("the of and to in a is that it was for on are as with his they at be this from have or by one had not but what all were when we there can an your which "
            + "their said if do will each about how up out them then she many some so these would other into has more her two like him see time could no make than "
            + "first been its who now people my made over did down only way find use may water long little very after words called just where most know").Split(' '),
        "extraordinarily", "tokenization", "O'Reilly's", "1987", "3.14",
    ];

    private static readonly string[] MixedWords =
    [
        "hello", "naïve", "übermäßig", "привет", "мир", "你好世界", "今天天气很好", "日本語のテキスト", "한국어", "مرحبا", "नमस्ते", "\U0001F600", "\U0001F469\u200D\U0001F4BB",
        "2024-05-17", "x = f(y[i]) + 0x1F;", "</div>", "\t\treturn null;\n",
    ];

    private string _text = "";
    private ITokenizer _tokenizer = null!;
    private int[] _ids = [];

    /// <summary>What is encoded; each text is made up of sentences in an order that repeats only after thousands of words.</summary>
    [Params("English", "Mixed", "Unbroken")]
    public string Text { get; set; } = "";

    [GlobalSetup]
    public void Load()
    {
        _tokenizer = Tokenizer.Load(FindTokenizer());
        _text = CreateText(Text);
        _ids = [.. _tokenizer.Encode(_text)];
    }

    [Benchmark]
    public int Encode() => _tokenizer.Encode(_text).Count;

    [Benchmark]
    public int Decode() => _tokenizer.Decode(_ids).Length;

    [Benchmark]
    public int DecodeIncrementally()
    {
        IncrementalDecoder decoder = new(_tokenizer);
        int length = 0;
        foreach (int id in _ids) length += decoder.Append(id).Length;
        return length + decoder.Flush().Length;
    }

    internal static string CreateText(string kind)
    {
        Random random = new(1);
        string[] words = kind switch { "English" => EnglishWords, "Mixed" => MixedWords, _ => [Alphabet] };
        StringBuilder text = new();
        while (text.Length < 200_000)
        {
            if (kind == "Unbroken")
            {
                text.Append(Alphabet[random.Next(Alphabet.Length)]);
                continue;
            }
            text.Append(words[random.Next(words.Length)]);
            text.Append(random.Next(12) switch { 0 => ". ", 1 => ", ", 2 => "\n", _ => " " });
        }
        return text.ToString();
    }

    internal static string FindTokenizer()
    {
        DirectoryInfo? root = new(AppContext.BaseDirectory);
        while (root is not null && !File.Exists(Path.Combine(root.FullName, "Decart.sln"))) root = root.Parent;
        string repository = root?.FullName ?? ".";
        string fixtures = Environment.GetEnvironmentVariable("DECART_FIXTURES") is { Length: > 0 } named
            ? named
            : Path.Combine(repository, "..", "shared", "fixtures");
        string llama3 = Path.Combine(fixtures, "tokenizers", "llama3_1");
        return Directory.Exists(llama3) ? llama3 : Path.Combine(repository, "samples", "models", "storyteller");
    }

    private sealed class Config : ManualConfig
    {
        public Config() => AddColumn(new MegabytesPerSecondColumn());
    }

    /// <summary>Bytes of text in UTF-8 by the mean time.</summary>
    private sealed class MegabytesPerSecondColumn : IColumn
    {
        public string Id => nameof(MegabytesPerSecondColumn);
        public string ColumnName => "MB/s";
        public string Legend => "10^6 bytes of text in UTF-8 per second";
        public bool AlwaysShow => true;
        public ColumnCategory Category => ColumnCategory.Custom;
        public int PriorityInCategory => 0;
        public bool IsNumeric => true;
        public UnitType UnitType => UnitType.Dimensionless;

        public string GetValue(Summary summary, BenchmarkCase benchmarkCase)
        {
            if (summary[benchmarkCase]?.ResultStatistics is not { } statistics) return "NA";
            int bytes = Encoding.UTF8.GetByteCount(CreateText((string)benchmarkCase.Parameters[nameof(Text)]));
            return (bytes * 1e3 / statistics.Mean).ToString("F1", System.Globalization.CultureInfo.InvariantCulture);
        }

        public string GetValue(Summary summary, BenchmarkCase benchmarkCase, SummaryStyle style) => GetValue(summary, benchmarkCase);

        public bool IsAvailable(Summary summary) => true;

        public bool IsDefault(Summary summary, BenchmarkCase benchmarkCase) => false;
    }
}
