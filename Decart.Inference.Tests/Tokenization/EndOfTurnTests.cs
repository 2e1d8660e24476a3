using System.Diagnostics;
using System.Text.Json.Nodes;

namespace Decart.Inference.Tests.Tokenization;

/// <summary>Which tokens end a text in a folder whose eos_token_id names one of them at most.</summary>
public class EndOfTurnTests
{
    private const string ChatMl = "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<turn_done>' + '\n'}}{% endfor %}";

    private const string Branches = "{% for m in messages %}{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + '<user_done>' }}"
        + "{% elif m.role == 'assistant' %}{{- m.content.strip() | trim }}<turn_done>\n{% else %}{{ raise_exception('?') }}{% endif %}{% endfor %}";

    [TestCase("<|im_end|>")]
    [TestCase("<|eot_id|>")]
    [TestCase("<end_of_turn>")]
    [TestCase("<|end|>")]
    [TestCase("<|endoftext|>")]
    public void A_token_with_such_a_name_ends_a_text(string name)
    {
        Assert.That(Load([name, "<other>"], template: null).EosTokenIds, Is.EqualTo(new[] { 1, 2 }));
        Assert.That(Load([name], template: null, special: false).EosTokenIds, Is.EqualTo(new[] { 1, 2 }), "whether or not the file calls it special");
    }

    [Test]
    public void A_piece_that_spells_such_a_name_is_text()
    {
        JsonObject json = TinyTokenizer.Characters(["?", "</s>", "<|im_end|>"]);
        Assert.That(TinyTokenizer.Load(json, ("config.json", """{"eos_token_id":1}""")).EosTokenIds, Is.EqualTo(new[] { 1 }));
    }

    [Test]
    public void With_return_and_call_an_end_is_that_of_a_message() =>
        Assert.That(Load(["<|return|>", "<|call|>", "<|end|>"], template: null).EosTokenIds, Is.EqualTo(new[] { 1, 2, 3 }));

    [TestCase(ChatMl, new[] { 1, 3 })]
    [TestCase(Branches, new[] { 1, 3 })]
    [TestCase("{{ message['content'] + '<|im_start|>' }}", new[] { 1 }, Description = "what begins the next turn ends none")]
    [TestCase("{{ message['content'] + eos_token }}<turn_done>", new[] { 1 }, Description = "it does not follow at once")]
    [TestCase("{{ message['content'] }}", new[] { 1 })]
    [TestCase("{% if {{ content }}", new[] { 1 }, Description = "no template at all")]
    public void The_token_that_the_chat_template_writes_after_an_answer_ends_a_text(string template, int[] expected)
    {
        string[] tokens = ["<|im_start|>", "<turn_done>", "<user_done>"];
        Assert.That(Load(tokens, template).EosTokenIds, Is.EqualTo(expected));
        Assert.That(Load(tokens, new JsonArray(new JsonObject { ["name"] = "default", ["template"] = template })).EosTokenIds, Is.EqualTo(expected));
        Assert.That(Load(tokens, null, special: true, ("chat_template.jinja", template)).EosTokenIds, Is.EqualTo(expected));
        Assert.That(Load(tokens, null, special: true, ("chat_template.json", new JsonObject { ["chat_template"] = template }.ToJsonString())).EosTokenIds, Is.EqualTo(expected));
    }

    [TestCase("content}}'")]
    [TestCase("{% content}}")]
    public void A_template_is_read_in_time_that_grows_with_its_length(string repeated)
    {
        string template = "{%" + string.Concat(Enumerable.Repeat(repeated, 26_000)) + "%}";
        Stopwatch watch = Stopwatch.StartNew();
        Assert.That(Load(["<|im_end|>"], template).EosTokenIds, Is.EqualTo(new[] { 1, 2 }));
        Assert.That(watch.Elapsed, Is.LessThan(TimeSpan.FromSeconds(4)));
    }

    private static ITokenizer Load(string[] tokens, JsonNode? template, bool special = true, params (string Name, string Content)[] files)
    {
        JsonObject json = TinyTokenizer.Characters(["?", "</s>"]);
        json["added_tokens"] = new JsonArray([.. tokens.Select((token, index) => (JsonNode)TinyTokenizer.AddedToken(2 + index, token, special))]);
        var settings = new JsonObject { ["chat_template"] = template };
        return TinyTokenizer.Load(json, [("config.json", """{"eos_token_id":1}"""), ("tokenizer_config.json", settings.ToJsonString()), .. files]);
    }
}
