namespace Decart.Inference.Tokenization;

/// <summary>How <c>tokenizer.ggml.pre</c> divides text before BPE.</summary>
/// <param name="Expressions">Expressions that isolate their matches, each within the pieces of the one before.</param>
/// <param name="IgnoreMerges">Whether a piece that is a token as a whole is taken without merging.</param>
/// <param name="AddBos">Whether BOS stands in front unless the metadata says otherwise.</param>
internal sealed record GgufSplitRule(string[] Expressions, bool IgnoreMerges = false, bool AddBos = false)
{
    private const string PunctuationRuns = @"[\p{P}\$\+<=>\^~\|]+";
    private const string PunctuationRunsFalcon = @"[\p{P}\$\+<=>\^~\|`]+";
    private const string WordsWithoutPunctuation = " ?[^(\\s|.,!?\u2026\u3002\uFF0C\u3001\u0964\u06D4\u060C)]+";
    private const string ThreeAsciiDigits = "[0-9][0-9][0-9]";
    private const string CasedLetters =
        "A-Za-z\u00B5\u00C0-\u00D6\u00D8-\u00F6\u00F8-\u01BA\u01BC-\u01BF\u01C4-\u0293\u0295-\u02AF\u0370-\u0373\u0376\u0377\u037B-\u037D\u037F"
        + "\u0386\u0388-\u038A\u038C\u038E-\u03A1\u03A3-\u03F5\u03F7-\u0481\u048A-\u052F\u0531-\u0556\u10A0-\u10C5\u13A0-\u13F5\u13F8-\u13FD"
        + "\u1C90-\u1CBA\u1CBD-\u1CBF\u1D00-\u1D2B\u1D6B-\u1D77\u1D79-\u1D9A\u1E00-\u1F15\u1F18-\u1F1D\u1F20-\u1F45\u1F48-\u1F4D\u1F50-\u1F57\u1F59"
        + "\u1F5B\u1F5D\u1F5F-\u1F7D\u1F80-\u1FB4\u1FB6-\u1FBC\u1FBE\u1FC2-\u1FC4\u1FC6-\u1FCC\u1FD0-\u1FD3\u1FD6-\u1FDB\u1FE0-\u1FEC\u1FF2-\u1FF4"
        + "\u1FF6-\u1FFC\u2102\u2107\u210A-\u2113\u2115\u2119-\u211D\u2124\u2126\u2128\u212A-\u212D\u212F-\u2134\u2139\u213C-\u213F\u2145-\u2149"
        + "\u214E\u2183\u2184\u2C00-\u2C7B\u2C7E-\u2CE4\u2CEB-\u2CEE\u2CF2\u2CF3\uA640-\uA66D\uA680-\uA69B\uA722-\uA76F\uA771-\uA787\uA78B-\uA78E"
        + "\uAB70-\uABBF\uFB00-\uFB06\uFB13-\uFB17\uFF21-\uFF3A\uFF41-\uFF5A\U00010400-\U0001044F\U000104B0-\U000104D3\U000104D8-\U000104FB"
        + "\U00010C80-\U00010CB2\U00010CC0-\U00010CF2\U000118A0-\U000118DF\U0001E900-\U0001E943";
    private const string DeepSeekPunctuation = "!-/:-~\uFF01-\uFF0F\uFF1A-\uFF5E\u2018-\u201F\u3000-\u3002";
    private const string CjkRuns = "[\u4E00-\u9FA5\u0800-\u4E00\uAC00-\uD7FF]+";
    private const string UpperWords = @"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+";
    private const string LowerWords = @"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*";
    private const string Contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)?";
    private const string SymbolsAndSpace = @" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    private static readonly GgufSplitRule Gpt2 = new([Gpt2Pattern.Expression]);
    private static readonly GgufSplitRule SingleDigitsGpt2 = new([@"\p{N}", Gpt2Pattern.Expression]);
    private static readonly GgufSplitRule Llama3 = new([Cl100kPattern.ThreeDigits], IgnoreMerges: true, AddBos: true);
    private static readonly GgufSplitRule Cl100k = new([Cl100kPattern.ThreeDigits]);
    private static readonly GgufSplitRule Qwen2 = new([Cl100kPattern.SingleDigits]);
    private static readonly GgufSplitRule Gpt4o = new([$@"{UpperWords}{Contractions}|{LowerWords}{Contractions}|\p{{N}}{{1,3}}|{SymbolsAndSpace}"]);
    private static readonly GgufSplitRule DeepSeek3 = new(
    [
        @"\p{N}{1,3}",
        "[\u4E00-\u9FA5\u3040-\u309F\u30A0-\u30FF]+",
        @"[!""#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ]);

    /// <summary>The rules by name.</summary>
    public static IReadOnlyDictionary<string, GgufSplitRule> All { get; } = new Dictionary<string, GgufSplitRule>
    {
        ["default"] = new([PunctuationRuns, Gpt2Pattern.Expression, @"\p{N}+", ThreeAsciiDigits]),
        ["gpt-2"] = Gpt2,
        ["phi-2"] = Gpt2,
        ["mpt"] = Gpt2,
        ["olmo"] = Gpt2,
        ["jais"] = Gpt2,
        ["exaone4"] = Gpt2,
        ["gigachat"] = Gpt2,
        ["mellum"] = Gpt2,
        ["trillion"] = Gpt2,
        ["granite-docling"] = Gpt2,
        ["a.x-4.0"] = Gpt2,
        ["viking"] = new([WordsWithoutPunctuation, @"\p{N}"]),
        ["bloom"] = new([WordsWithoutPunctuation]),
        ["poro-chat"] = new([WordsWithoutPunctuation]),
        ["gpt3-finnish"] = new([WordsWithoutPunctuation]),
        ["llama3"] = Llama3,
        ["llama-v3"] = Llama3,
        ["llama-bpe"] = Llama3,
        ["falcon3"] = Llama3,
        ["falcon-h1"] = Llama3,
        ["pixtral"] = Llama3,
        ["midm-2.0"] = Llama3,
        ["lfm2"] = Llama3,
        ["dbrx"] = Cl100k,
        ["smaug-bpe"] = Cl100k,
        ["glm4"] = Cl100k,
        ["chatglm-bpe"] = Cl100k,
        ["qwen2"] = Qwen2,
        ["deepseek-r1-qwen"] = Qwen2,
        ["megrez"] = Qwen2,
        ["stablelm2"] = Qwen2,
        ["hunyuan"] = Qwen2,
        ["solar-open"] = Qwen2,
        ["grok-2"] = Qwen2,
        ["falcon"] = new([PunctuationRunsFalcon, Gpt2Pattern.Expression, ThreeAsciiDigits]),
        ["starcoder"] = SingleDigitsGpt2,
        ["refact"] = SingleDigitsGpt2,
        ["command-r"] = SingleDigitsGpt2,
        ["smollm"] = SingleDigitsGpt2,
        ["codeshell"] = SingleDigitsGpt2,
        ["exaone"] = SingleDigitsGpt2,
        ["minerva-7b"] = SingleDigitsGpt2,
        ["mellum2"] = SingleDigitsGpt2,
        ["deepseek-llm"] = new(["[\r\n]", $@"\s?[{CasedLetters}]+", $@"\s?[{DeepSeekPunctuation}]+", @"\s+$", CjkRuns, @"\p{N}+"]),
        ["deepseek-coder"] = new(["[\r\n]", @"\s?\p{L}+", @"\s?\p{P}+", CjkRuns, @"\p{N}"]),
        ["deepseek-v3"] = DeepSeek3,
        ["hunyuan-dense"] = DeepSeek3,
        ["joyai-llm"] = DeepSeek3,
        ["tekken"] = new([$@"{UpperWords}|{LowerWords}|\p{{N}}|{SymbolsAndSpace}"], IgnoreMerges: true, AddBos: true),
        ["gpt-4o"] = Gpt4o,
        ["llama4"] = Gpt4o,
        ["kanana2"] = Gpt4o,
        ["minimax-m2"] = Gpt4o,
        ["seed-coder"] = new([@"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+"]),
        ["bailingmoe"] = new([@"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"]),
    };

    /// <summary>The pre-tokenizer that applies the rule and writes bytes as characters.</summary>
    public IPreTokenizer CreatePreTokenizer() => new SequencePreTokenizer(
    [
        .. Expressions.Select(expression => new SplitPreTokenizer(RegexPattern.Create(expression), SplitBehavior.Isolated)),
        new ByteLevelPreTokenizer(addPrefixSpace: false, splitWords: false),
    ]);
}
