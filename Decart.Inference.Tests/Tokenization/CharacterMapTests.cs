using System.Text.Json.Nodes;
using Decart.Inference.Tests.Checkpoints;
using Decart.Inference.Tokenization;

namespace Decart.Inference.Tests.Tokenization;

/// <summary>
/// Maps of characters as SentencePiece compiles them. This one was made by its spm_train (0.1.97) from nine rules: U+FB01 is "fi", U+FF41 and U+FF42 are "a"
/// and "b", U+3000 is a space, e with U+0301 is U+00E9, U+2460 is "1", U+1F600 is ":)", U+0007 is nothing.
/// </summary>
public class CharacterMapTests
{
    private const string Map =
        "AAQAAAAYAAAHDQAAAAAAgMwYAgCBBQAADwAAgJGEAgCgPQAAAwAAgIAMAgCABQAAAQAAgKwAAgCBDQAADAAAgAgAAICBfQAACgAAgJ9wAgCCCQAAgAUAAAUAAICYCAIAFgAAABkAAAAYAAAAGwAAAB" +
        "oAAAAdAAAAvTACAB8AAAAeAAAAIQAAACAAAAAjAAAAIgAAACUAAAAkAAAAJwAAACYAAAApAAAAKAAAACsAAAAqAAAALQAAACwAAAAvAAAALgAAADEAAAAwAAAAMwAAADIAAAA1AAAANAAAADcAAAA2" +
        "AAAAOQAAADgAAAA7AAAAOgAAAD0AAAA8AAAAPwAAAD4AAABBAAAAQAAAAEMAAABCAAAARQAAAEQAAABHAAAARgAAAEkAAABIAAAASwAAAEoAAABNAAAATAAAAE8AAABOAAAAUQAAAFAAAABTAAAAUg" +
        "AAAFUAAABUAAAAVwAAAFYAAABZAAAAWAAAAFsAAABaAAAAXQAAAFwAAABfAAAAXgAAAGEAAABgAAAAYwAAAGWwAgBlAAAAZAAAAGcAAABmAAAAaQAAAGgAAABrAAAAagAAAG0AAABsAAAAbwAAAG4A" +
        "AABxAAAAcAAAAHMAAAByAAAAdQAAAHQAAAB3AAAAdgAAAHkAAAB4AAAAewAAAHoAAAB9AAAAfAAAAH8AAAB+AAAAgQAAAIAAAACDAAAAggAAAIUAAACEAAAAhwAAAIYAAACJAAAAiAAAAIsAAACKAA" +
        "AAjQAAAIwAAACPAAAAjgAAAJEAAACQAAAAkwAAAJIAAACVAAAAlAAAAJcAAACWAAAAmQAAAJgAAACbAAAAmgAAAJ0AAACcAAAAnwAAAJ4AAAChAAAAoAAAAKMAAACiAAAApQAAAKQAAACnAAAApgAA" +
        "AKkAAACoAAAAqwAAAKoAAACtAAAArAAAAK8AAACuAAAAsQAAALAAAACzAAAAsgAAALUAAAC0AAAAtwAAALYAAAC5AAAAuAAAALsAAAC6AAAAvQAAALwAAAC/AAAAvgAAAMEAAADAAAAAwwAAAMIAAA" +
        "DFAAAAxAAAAMcAAADGAAAAyQAAAMgAAADLAAAAygAAAM0AAADMAAAAzwAAAM4AAADRAAAA0AAAANMAAADSAAAA1QAAANQAAADXAAAA1gAAANkAAADYAAAA2wAAANoAAADdAAAA3AAAAN8AAADeAAAA" +
        "4QAAAOAAAADjAAAA4gAAAOLMAQDjsAEA5wAAAOYAAADpAAAA7yQBAOsAAADqAAAA7QAAAOwAAADvAAAA7gAAAPEAAADwAAAA8wAAAPIAAAD1AAAA9AAAAPDsAQD2AAAA+QAAAPgAAAD7AAAA+gAAAP" +
        "0AAAD8AAAA/wAAAP4AAAAAIAAxADopAGEAYgBmaQDDqQA=";

    /// <summary>What its spm_normalize writes, without collapsing spaces.</summary>
    [TestCase("\uFB01n \uFF41\uFF42\u3000x", "fin ab x")]
    [TestCase("e\u0301 e\u0301\u0301 \u2460\U0001F600\u0007!", "\u00E9 \u00E9\u0301 1:)!")]
    [TestCase("", "")]
    [TestCase("e", "e")]
    [TestCase("\0\u65E5\U0001F601", "\0\u65E5\U0001F601")]
    public void Sentencepiece_takes_the_longest_rule(string text, string expected) =>
        Assert.That(new SentencePieceMapNormalizer(Read(), []).Normalize(text, EncodingBudget.Unlimited), Is.EqualTo(expected));

    [Test]
    public void Pieces_that_a_user_has_defined_are_kept() => Assert.That(
        new SentencePieceMapNormalizer(Read(), [new AddedToken(0, "\uFF41\u2460", Special: false)]).Normalize("\uFF41\u2460\uFF41", EncodingBudget.Unlimited),
        Is.EqualTo("\uFF41\u2460a"));

    /// <summary>The tokenizers library replaces a whole short grapheme by what its first characters become.</summary>
    [TestCase("\uFB01n \uFF41\uFF42\u3000x", "fin ab x")]
    [TestCase("e\u0301 e\u0301\u0301 \u2460\U0001F600\u0007!", "\u00E9 \u00E9 1:)!")]
    [TestCase("\uFF41\u0301\u0301", "a\u0301\u0301", Description = "a grapheme of seven bytes: character by character")]
    public void The_tokenizers_library_goes_by_graphemes(string text, string expected)
    {
        JsonObject json = TinyTokenizer.Characters(["?"]);
        json["normalizer"] = new JsonObject { ["type"] = "Precompiled", ["precompiled_charsmap"] = Map };
        Assert.That(TinyTokenizer.Load(json).Encode("ab"), Is.EqualTo(new[] { 0, 0 }), "it loads");
        Assert.That(new PrecompiledNormalizer(Read()).Normalize(text, EncodingBudget.Unlimited), Is.EqualTo(expected));
    }

    [Test]
    public void A_sentencepiece_file_may_have_a_map()
    {
        using TemporaryFolder folder = new();
        byte[] file = SentencePieceBytes.Small(SentencePieceBytes.Bpe, removeExtraWhitespaces: true, map: Convert.FromBase64String(Map));
        File.WriteAllBytes(Path.Combine(folder.Path, "tokenizer.model"), file);
        ITokenizer tokenizer = Tokenizer.Load(folder.Path);
        Assert.That(tokenizer.Encode("\u3000hello\u0007\u3000 hello"), Is.EqualTo(tokenizer.Encode("hello hello")));
        Assert.That(tokenizer.Encode("\uFF41\u2460"), Is.EqualTo(tokenizer.Encode("a1")));
    }

    [Test]
    public void Every_damaged_map_is_refused_or_harmless()
    {
        byte[] whole = Convert.FromBase64String(Map);
        Random random = new(1);
        for (int i = 0; i < 3000; i++)
        {
            byte[] damaged = i % 2 == 0 ? whole[..random.Next(whole.Length)] : [.. whole];
            for (int change = random.Next(4); change > 0 && damaged.Length > 0; change--) damaged[random.Next(damaged.Length)] = (byte)random.Next(256);
            if (CharacterMap.TryRead(damaged) is not { } map) continue;
            const string Text = "\uFB01n e\u0301\u0301 \u2460\U0001F600\u0007\u3000";
            Assert.That(() => new SentencePieceMapNormalizer(map, []).Normalize(Text, EncodingBudget.Unlimited), Throws.Nothing);
            Assert.That(() => new PrecompiledNormalizer(map).Normalize(Text, EncodingBudget.Unlimited), Throws.Nothing);
        }
    }

    [TestCase("a\u0001b\u000B\u007Fc", "abc")]
    [TestCase("a\tb\n\u200Bc\u2581\uFEFF\uFFFD", "a b  c   ")]
    [TestCase("\0\u00A0\u2007 \U0001F600", "\0\u00A0\u2007 \U0001F600")]
    public void Nmt_drops_control_characters_and_widens_spaces(string text, string expected) =>
        Assert.That(new NmtNormalizer().Normalize(text, EncodingBudget.Unlimited), Is.EqualTo(expected));

    private static CharacterMap Read() => CharacterMap.TryRead(Convert.FromBase64String(Map))!;
}
