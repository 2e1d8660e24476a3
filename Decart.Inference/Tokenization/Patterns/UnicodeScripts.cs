namespace Decart.Inference.Tokenization;

/// <summary>The scripts that tokenizers name in expressions, as ranges of the basic plane (Unicode 16, Scripts.txt).</summary>
internal static class UnicodeScripts
{
    private const string Han = "\u2E80-\u2E99\u2E9B-\u2EF3\u2F00-\u2FD5\u3005\u3007\u3021-\u3029\u3038-\u303B"
        + "\u3400-\u4DBF\u4E00-\u9FFF\uF900-\uFA6D\uFA70-\uFAD9";
    private const string Hiragana = "\u3041-\u3096\u309D-\u309F";
    private const string Katakana = "\u30A1-\u30FA\u30FD-\u30FF\u31F0-\u31FF\u32D0-\u32FE\u3300-\u3357\uFF66-\uFF6F\uFF71-\uFF9D";
    private const string Hangul = "\u1100-\u11FF\u302E-\u302F\u3131-\u318E\u3200-\u321E\u3260-\u327E\uA960-\uA97C"
        + "\uAC00-\uD7A3\uD7B0-\uD7C6\uD7CB-\uD7FB\uFFA0-\uFFBE\uFFC2-\uFFC7\uFFCA-\uFFCF\uFFD2-\uFFD7\uFFDA-\uFFDC";

    /// <summary>The ranges of a script as they stand in a character class, or null.</summary>
    public static string? Ranges(string name) => name switch
    {
        "Han" => Han,
        "Hiragana" => Hiragana,
        "Katakana" => Katakana,
        "Hangul" => Hangul,
        _ => null,
    };

    /// <summary>Whether a character is in one of the scripts, approximately: blocks that hold any are counted whole.</summary>
    public static bool IsNamed(char character) => character is >= '\u1100' and <= '\u11FF' or >= '\u2E80' and <= '\u9FFF'
        or >= '\uA960' and <= '\uA97C' or >= '\uAC00' and <= '\uD7FB' or >= '\uF900' and <= '\uFAD9' or >= '\uFF66' and <= '\uFFDC';
}
