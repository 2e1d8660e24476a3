using System.Net;
using System.Text;
using System.Text.Json;

namespace Decart.Inference.Tests.Server;

/// <summary><c>/v1/models</c> and <c>/v1/completions</c> with a model that continues texts.</summary>
public class CompletionTests
{
    private const string Path = "v1/completions", Once = "Once upon a time";

    private RunningServer _server = null!;

    [OneTimeSetUp]
    public async Task StartAsync() => _server = await RunningServer.StartAsync("--Server:MaxChoices=8");

    [OneTimeTearDown]
    public async Task StopAsync() => await _server.DisposeAsync();

    [Test]
    public async Task The_model_is_listed()
    {
        JsonElement list = JsonElement.Parse(await _server.Client.GetStringAsync("v1/models"));
        JsonElement model = list.GetProperty("data")[0];
        Assert.That(list.GetProperty("object").GetString(), Is.EqualTo("list"));
        Assert.That((model.GetProperty("id").GetString(), model.GetProperty("object").GetString(), model.GetProperty("is_chat_model").GetBoolean()), Is.EqualTo(("storyteller", "model", false)));
        Assert.That(await _server.Client.GetStringAsync("v1/models/storyteller"), Is.EqualTo(model.GetRawText()));
        using HttpResponseMessage unknown = await _server.Client.GetAsync("v1/models/other");
        Assert.That(unknown.StatusCode, Is.EqualTo(HttpStatusCode.NotFound));
    }

    [Test]
    public async Task A_model_may_be_called_as_on_the_Hub()
    {
        await using RunningServer server = await RunningServer.StartAsync("--Server:ModelId=org/name");
        foreach (string path in new[] { "org/name", "org%2Fname", "org%2fname" })
            Assert.That(JsonElement.Parse(await server.Client.GetStringAsync($"v1/models/{path}")).GetProperty("id").GetString(), Is.EqualTo("org/name"), path);
        Assert.That((await server.PostAsync(Path, new { model = "org/name", prompt = Once, max_tokens = 1 })).Status, Is.EqualTo(HttpStatusCode.OK));
        foreach (string path in new[] { "org", "name", "org/name/more" })
        {
            using HttpResponseMessage unknown = await server.Client.GetAsync($"v1/models/{path}");
            Assert.That(unknown.StatusCode, Is.EqualTo(HttpStatusCode.NotFound), path);
        }
    }

    [Test]
    public async Task A_completion_is_that_of_the_session_in_both_styles()
    {
        object request = new { model = "storyteller", prompt = Once, max_tokens = 24, temperature = 0 };
        (HttpStatusCode status, JsonElement body) = await _server.PostAsync(Path, request);
        GenerationResult expected = await _server.Session.GenerateAsync(Once, new() { MaxTokens = 24, Temperature = 0 });
        JsonElement choice = body.GetProperty("choices")[0];
        Assert.That((status, choice.GetProperty("text").GetString(), choice.GetProperty("finish_reason").GetString()), Is.EqualTo((HttpStatusCode.OK, expected.Text, "length")));
        JsonElement usage = body.GetProperty("usage");
        Assert.That((usage.GetProperty("prompt_tokens").GetInt32(), usage.GetProperty("completion_tokens").GetInt32(), usage.GetProperty("total_tokens").GetInt32()), Is.EqualTo((expected.Usage.PromptTokens, 24, expected.Usage.PromptTokens + 24)));

        List<JsonElement> events = await _server.StreamAsync(Path, new { model = "storyteller", prompt = Once, max_tokens = 24, temperature = 0, stream = true, stream_options = new { include_usage = true } });
        Assert.That(Text(events, 0), Is.EqualTo(expected.Text));
        Assert.That(events, Has.Count.GreaterThan(20));
        Assert.That(events.Select(update => update.GetProperty("id").GetString()).Distinct().Count(), Is.EqualTo(1));
        Assert.That(events[^2].GetProperty("choices")[0].GetProperty("finish_reason").GetString(), Is.EqualTo("length"));
        Assert.That(events.SkipLast(1).Select(update => update.GetProperty("usage").ValueKind), Is.All.EqualTo(JsonValueKind.Null));
        Assert.That((events[^1].GetProperty("choices").GetArrayLength(), events[^1].GetProperty("usage").GetProperty("completion_tokens").GetInt32()), Is.EqualTo((0, 24)));
        events = await _server.StreamAsync(Path, new { model = "storyteller", prompt = Once, max_tokens = 2, stream = true });
        Assert.That(events, Has.None.Matches<JsonElement>(update => update.TryGetProperty("usage", out _)));
    }

    [Test]
    public async Task Several_completions_have_seeds_of_their_own_and_are_the_same_again()
    {
        object request = new { model = "storyteller", prompt = Once, max_tokens = 12, n = 4, seed = 7, stop = new[] { "never", "to be found" } };
        string[] texts = Texts((await _server.PostAsync(Path, request)).Body);
        Assert.That(texts, Has.Length.EqualTo(4).And.Unique);
        Assert.That(Texts((await _server.PostAsync(Path, request)).Body), Is.EqualTo(texts));
        List<JsonElement> events = await _server.StreamAsync(Path, new { model = "storyteller", prompt = Once, max_tokens = 12, n = 4, seed = 7, stream = true });
        Assert.That(Enumerable.Range(0, 4).Select(index => Text(events, index)), Is.EqualTo(texts));
    }

    [Test]
    public async Task Prompts_are_texts_or_token_ids_and_may_be_several()
    {
        int[] tokens = [.. _server.Session.Tokenizer.Encode(Once)];
        string[] texts = Texts((await _server.PostAsync(Path, new { model = "storyteller", prompt = Once, max_tokens = 8, temperature = 0 })).Body);
        Assert.That(Texts((await _server.PostAsync(Path, new { model = "storyteller", prompt = tokens, max_tokens = 8, temperature = 0 })).Body), Is.EqualTo(texts));
        JsonElement both = (await _server.PostAsync(Path, new { model = "storyteller", prompt = new[] { Once, "One morning" }, max_tokens = 8, temperature = 0, n = 2 })).Body;
        Assert.That(Texts(both), Has.Length.EqualTo(4));
        Assert.That(Texts(both)[..2], Is.All.EqualTo(texts[0]));
        Assert.That(both.GetProperty("usage").GetProperty("completion_tokens").GetInt32(), Is.EqualTo(32));
        Assert.That(Texts((await _server.PostAsync(Path, new { model = "storyteller", prompt = new[] { tokens, tokens }, max_tokens = 8, temperature = 0 })).Body), Is.All.EqualTo(texts[0]));
        Assert.That(Texts((await _server.PostAsync(Path, new { model = "storyteller", prompt = tokens, max_tokens = 8, temperature = 0, echo = true })).Body)[0], Is.EqualTo(Once + texts[0]));
        Assert.That(Text(await _server.StreamAsync(Path, new { model = "storyteller", prompt = Once, max_tokens = 8, temperature = 0, echo = true, stream = true }), 0), Is.EqualTo(Once + texts[0]));
    }

    [Test]
    public async Task A_stop_ends_the_text_and_is_no_part_of_it()
    {
        string all = Texts((await _server.PostAsync(Path, new { model = "storyteller", prompt = Once, max_tokens = 40, temperature = 0 })).Body)[0];
        (_, JsonElement body) = await _server.PostAsync(Path, new { model = "storyteller", prompt = Once, max_tokens = 40, temperature = 0, stop = ". " });
        Assert.That(Texts(body)[0], Is.EqualTo(all[..all.IndexOf(". ", StringComparison.Ordinal)]));
        Assert.That(body.GetProperty("choices")[0].GetProperty("finish_reason").GetString(), Is.EqualTo("stop"));
    }

    [Test]
    public async Task Log_probabilities_are_those_of_the_session()
    {
        (_, JsonElement body) = await _server.PostAsync(Path, new { model = "storyteller", prompt = Once, max_tokens = 8, temperature = 0, logprobs = 3 });
        JsonElement logprobs = body.GetProperty("choices")[0].GetProperty("logprobs");
        GenerationResult expected = await _server.Session.GenerateAsync(Once, new() { MaxTokens = 8, Temperature = 0, TopLogprobs = 3 });
        Assert.That(logprobs.GetProperty("token_logprobs").EnumerateArray().Select(value => value.GetSingle()), Is.EqualTo(expected.Logprobs!.Select(token => token.Logprob)));
        Assert.That(string.Concat(logprobs.GetProperty("tokens").EnumerateArray().Select(token => token.GetString())), Is.EqualTo(expected.Text));
        Assert.That(logprobs.GetProperty("top_logprobs").EnumerateArray().Select(top => top.EnumerateObject().Count()), Is.All.EqualTo(3));
        Assert.That(logprobs.GetProperty("text_offset").EnumerateArray().Select(offset => offset.GetInt32()), Is.Ordered.Ascending);
        List<JsonElement> events = await _server.StreamAsync(Path, new { model = "storyteller", prompt = Once, max_tokens = 8, temperature = 0, logprobs = 3, stream = true });
        Assert.That(events.Select(update => update.GetProperty("choices")[0].GetProperty("logprobs")).Where(value => value.ValueKind != JsonValueKind.Null).Sum(value => value.GetProperty("tokens").GetArrayLength()), Is.EqualTo(8));
    }

    [Test]
    public async Task A_token_is_always_among_the_most_probable()
    {
        (_, JsonElement body) = await _server.PostAsync(Path, new { model = "storyteller", prompt = Once, max_tokens = 20, temperature = 2, seed = 1, logprobs = 1 });
        JsonElement logprobs = body.GetProperty("choices")[0].GetProperty("logprobs");
        int[] counts = [.. logprobs.GetProperty("top_logprobs").EnumerateArray().Select(top => top.EnumerateObject().Count())];
        Assert.That(counts, Is.All.InRange(1, 2).And.Some.EqualTo(2));
        foreach ((JsonElement top, JsonElement token) in logprobs.GetProperty("top_logprobs").EnumerateArray().Zip(logprobs.GetProperty("tokens").EnumerateArray()))
            Assert.That(top.TryGetProperty(token.GetString()!, out _), Is.True, token.GetString());
    }

    [TestCase("Once upon a time", 0)]
    [TestCase("Once upon a time", 12)]
    [TestCase(" Once  upon", 3)]
    [TestCase("Caf\u00E9 \U0001F600 \u65E5\u672C!", 3)]
    public async Task Offsets_of_tokens_point_into_the_text(string prompt, int tokens)
    {
        foreach (bool asText in new[] { true, false })
        {
            object input = asText ? prompt : _server.Session.Tokenizer.Encode(prompt);
            (_, JsonElement body) = await _server.PostAsync(Path, new { model = "storyteller", prompt = input, max_tokens = tokens, echo = true, logprobs = 0, temperature = 0 });
            RequireOffsets(body.GetProperty("choices")[0], prompt);
        }
        if (tokens > 0) RequireOffsets((await _server.PostAsync(Path, new { model = "storyteller", prompt, max_tokens = tokens, logprobs = 0, temperature = 1.5, seed = 3 })).Body.GetProperty("choices")[0], "");
    }

    [Test]
    public async Task Tokens_of_a_stop_have_no_log_probabilities_as_they_have_no_text()
    {
        string all = Texts((await _server.PostAsync(Path, new { model = "storyteller", prompt = Once, max_tokens = 40, temperature = 0 })).Body)[0];
        string stop = all[all.IndexOf(". ", StringComparison.Ordinal)..][..6];
        object request = new { model = "storyteller", prompt = Once, max_tokens = 40, temperature = 0, stop, logprobs = 0 };
        JsonElement choice = (await _server.PostAsync(Path, request)).Body.GetProperty("choices")[0];
        RequireOffsets(choice, "");
        string text = choice.GetProperty("text").GetString()!;
        string tokens = string.Concat(choice.GetProperty("logprobs").GetProperty("tokens").EnumerateArray().Select(token => token.GetString()));
        Assert.That((text, tokens), Is.EqualTo((all[..all.IndexOf(stop, StringComparison.Ordinal)], text)));
    }

    [TestCase(true)]
    [TestCase(false)]
    public async Task A_prompt_can_be_echoed_with_its_log_probabilities(bool asText)
    {
        int[] tokens = [.. _server.Session.Tokenizer.Encode(Once)];
        object prompt = asText ? Once : tokens[1..];
        (_, JsonElement body) = await _server.PostAsync(Path, new { model = "storyteller", prompt, max_tokens = 0, echo = true, logprobs = 1 });
        JsonElement choice = body.GetProperty("choices")[0];
        Assert.That((choice.GetProperty("text").GetString(), choice.GetProperty("finish_reason").GetString(), body.GetProperty("usage").GetProperty("completion_tokens").GetInt32()), Is.EqualTo((Once, "length", 0)));
        IReadOnlyList<TokenLogprobs> scores = await _server.Session.ScoreAsync(asText ? tokens : tokens[1..]);
        JsonElement logprobs = choice.GetProperty("logprobs");
        IEnumerable<float?> expected = scores.Select(score => (float?)score.Logprob);
        Assert.That(logprobs.GetProperty("token_logprobs").EnumerateArray().Select(value => value.ValueKind == JsonValueKind.Null ? (float?)null : value.GetSingle()), Is.EqualTo(asText ? expected : expected.Prepend(null)));
        Assert.That(string.Concat(logprobs.GetProperty("tokens").EnumerateArray().Select(token => token.GetString())).TrimStart(), Is.EqualTo(Once));
        (_, body) = await _server.PostAsync(Path, new { model = "storyteller", prompt, max_tokens = 4, echo = true, logprobs = 1, temperature = 0 });
        Assert.That(body.GetProperty("choices")[0].GetProperty("logprobs").GetProperty("tokens").GetArrayLength(), Is.EqualTo(logprobs.GetProperty("tokens").GetArrayLength() + 4));
        Assert.That(body.GetProperty("choices")[0].GetProperty("logprobs").GetProperty("text_offset").EnumerateArray().Last().GetInt32(), Is.GreaterThan(Once.Length));
    }

    [Test]
    public async Task A_bias_can_forbid_a_token()
    {
        int[] first = [.. (await _server.Session.GenerateAsync(Once, new() { MaxTokens = 1, Temperature = 0 })).TokenIds];
        Dictionary<string, int> bias = new() { [$"{first[0]}"] = -100 };
        string text = Texts((await _server.PostAsync(Path, new { model = "storyteller", prompt = Once, max_tokens = 1, temperature = 0, logit_bias = bias })).Body)[0];
        Assert.That(text, Is.Not.EqualTo(_server.Session.Tokenizer.Decode(first)));
    }

    [Test]
    public async Task Pages_and_statistics_can_be_seen()
    {
        await _server.PostAsync(Path, new { model = "storyteller", prompt = string.Join(' ', Enumerable.Repeat(Once, 20)), max_tokens = 4 });
        await _server.UntilIdleAsync();
        JsonElement kv = JsonElement.Parse(await _server.Client.GetStringAsync("kv"));
        Assert.That(kv.GetProperty("sequences").GetArrayLength(), Is.Zero);
        Assert.That(kv.GetProperty("cached").GetArrayLength(), Is.EqualTo(_server.Session.GetStatistics().KvPagesCached).And.Positive);
        Assert.That(kv.GetProperty("generated_tokens").GetInt64(), Is.EqualTo(_server.Session.GetStatistics().GeneratedTokens));
        using HttpResponseMessage response = await _server.SendAsync(Path, new { model = "storyteller", prompt = Once, max_tokens = 300, ignore_eos = true, n = 2, stream = true });
        using Stream body = await response.Content.ReadAsStreamAsync();
        await body.ReadExactlyAsync(new byte[100]);
        kv = JsonElement.Parse(await _server.Client.GetStringAsync("kv"));
        Assert.That(kv.GetProperty("sequences").EnumerateArray().Select(sequence => sequence.GetProperty("id").GetUInt32()), Has.Exactly(2).Items);
        Assert.That(kv.GetProperty("running").GetInt32(), Is.EqualTo(2));
    }

    [Test]
    public async Task The_page_is_served()
    {
        using HttpResponseMessage page = await _server.Client.GetAsync("/");
        Assert.That(page.Content.Headers.ContentType!.ToString(), Is.EqualTo("text/html; charset=utf-8"));
        string html = await page.Content.ReadAsStringAsync();
        foreach (string file in new[] { "page.css", "chat.js", "pages.js", "api.js" })
        {
            if (file != "api.js") Assert.That(html, Does.Contain($"\"{file}\""));
            Assert.That(await _server.Client.GetStringAsync(file), Is.Not.Empty);
        }
        Assert.That(page.Headers.GetValues("Content-Security-Policy").Single(), Does.StartWith("default-src 'self'"));
    }

    /// <summary>Each token stands in the text where its offset says, in code points, but for the space in front of a text that is not there and for parts of characters.</summary>
    private static void RequireOffsets(JsonElement choice, string prompt)
    {
        Rune[] text = [.. choice.GetProperty("text").GetString()!.EnumerateRunes()];
        JsonElement logprobs = choice.GetProperty("logprobs");
        int[] offsets = [.. logprobs.GetProperty("text_offset").EnumerateArray().Select(offset => offset.GetInt32())];
        string[] tokens = [.. logprobs.GetProperty("tokens").EnumerateArray().Select(token => token.GetString()!)];
        Assert.That(string.Concat(text), Does.StartWith(prompt));
        Assert.That(offsets, Is.Ordered.Ascending.And.Length.EqualTo(tokens.Length).And.All.InRange(0, text.Length));
        for (int i = 0; i < tokens.Length; i++)
        {
            if (tokens[i].Contains('\uFFFD')) continue;
            string rest = string.Concat(text[offsets[i]..]);
            Assert.That(rest, Does.StartWith(i == 0 && !rest.StartsWith(tokens[i], StringComparison.Ordinal) ? tokens[i].TrimStart() : tokens[i]), $"token {i}");
        }
        if (prompt.Length > 0) Assert.That(offsets[0], Is.Zero);
    }

    private static string[] Texts(JsonElement body) => [.. body.GetProperty("choices").EnumerateArray().Select(choice => choice.GetProperty("text").GetString()!)];

    private static string Text(List<JsonElement> events, int index) =>
        string.Concat(events.SelectMany(update => update.GetProperty("choices").EnumerateArray()).Where(choice => choice.GetProperty("index").GetInt32() == index).Select(choice => choice.GetProperty("text").GetString()));
}
