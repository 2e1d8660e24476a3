using System.Text;
using System.Text.Json.Nodes;
using Decart.Inference.Tokenization;
using FsCheck;
using FsCheck.Fluent;

namespace Decart.Inference.Tests.Tokenization;

public class IncrementalDecoderTests
{
    private static readonly ITokenizer Bytes = TinyTokenizer.Load(WithTokens());

    [Test]
    public void Pieces_are_whole_characters_and_together_the_whole_text()
    {
        Gen<int> ids = Gen.OneOf(Gen.Choose(0, 258), Gen.Elements(0xE4, 0xBD, 0xA0, 0xF0, 0x9F, 0x98, 0x80, 0xC3, 0xED, 0xA0));
        Prop.ForAll(ids.ArrayOf().ToArbitrary(), tokens =>
        {
            IncrementalDecoder decoder = new(Bytes);
            StringBuilder text = new();
            foreach (int id in tokens)
            {
                string piece = decoder.Append(id);
                Assert.That(piece.Length == 0 || !char.IsHighSurrogate(piece[^1]));
                text.Append(piece);
            }
            text.Append(decoder.Flush());
            byte[] bytes = [.. tokens.SelectMany(id => Bytes.GetTokenBytes(id).ToArray())];
            Assert.That(text.ToString(), Is.EqualTo(Encoding.UTF8.GetString(bytes)).And.EqualTo(Bytes.Decode(tokens)));
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(2000).WithQuietOnSuccess(true));
    }

    [Test]
    public void A_character_appears_with_its_last_byte()
    {
        IncrementalDecoder decoder = new(Bytes);
        Assert.That(new[] { 0xF0, 0x9F, 0x98, 0x80, 'a' }.Select(decoder.Append), Is.EqualTo(new[] { "", "", "", "\U0001F600", "a" }));
        Assert.That(decoder.Flush(), Is.Empty);
    }

    [Test]
    public void What_is_never_completed_becomes_a_replacement_character_at_the_end()
    {
        IncrementalDecoder decoder = new(Bytes);
        Assert.That(decoder.Append(0xE4) + decoder.Append(0xBD), Is.Empty);
        Assert.That(decoder.Flush(), Is.EqualTo("\uFFFD"));
        Assert.That(decoder.Append('a'), Is.EqualTo("a"), "another text follows");
    }

    private static JsonObject WithTokens()
    {
        JsonObject json = TinyTokenizer.ByteLevel("ä ½", "Ġ a");
        json["added_tokens"] = new JsonArray(TinyTokenizer.AddedToken(258, "<s>"));
        return json;
    }
}
