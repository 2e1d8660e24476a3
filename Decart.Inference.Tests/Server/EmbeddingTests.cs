using System.Net;
using System.Runtime.InteropServices;
using System.Text.Json;

namespace Decart.Inference.Tests.Server;

/// <summary><c>/v1/embeddings</c>.</summary>
public class EmbeddingTests
{
    private const string Path = "v1/embeddings";

    private RunningServer _server = null!;

    [OneTimeSetUp]
    public async Task StartAsync() => _server = await RunningServer.StartAsync("--Server:MaxInputs=4");

    [OneTimeTearDown]
    public async Task StopAsync() => await _server.DisposeAsync();

    [Test]
    public async Task Embeddings_are_those_of_the_session()
    {
        float[] expected = await _server.Session.EmbedAsync("The sky is blue.");
        int[] tokens = [.. _server.Session.Tokenizer.Encode("The sky is blue.")];
        foreach (object input in new object[] { "The sky is blue.", new[] { "The sky is blue.", "Rain." }, tokens, new[] { tokens } })
        {
            (HttpStatusCode status, JsonElement body) = await _server.PostAsync(Path, new { model = "storyteller", input });
            Assert.That(status, Is.EqualTo(HttpStatusCode.OK), body.ToString());
            JsonElement first = body.GetProperty("data")[0];
            Assert.That((first.GetProperty("index").GetInt32(), first.GetProperty("object").GetString()), Is.EqualTo((0, "embedding")));
            Assert.That(first.GetProperty("embedding").EnumerateArray().Select(element => element.GetSingle()), Is.EqualTo(expected));
            Assert.That(body.GetProperty("usage").GetProperty("prompt_tokens").GetInt32(), Is.AtLeast(tokens.Length));
        }
        JsonElement encoded = (await _server.PostAsync(Path, new { model = "storyteller", input = "The sky is blue.", encoding_format = "base64" })).Body;
        Assert.That(MemoryMarshal.Cast<byte, float>(encoded.GetProperty("data")[0].GetProperty("embedding").GetBytesFromBase64()).ToArray(), Is.EqualTo(expected));
        JsonElement cut = (await _server.PostAsync(Path, new { model = "storyteller", input = "The sky is blue.", dimensions = 16 })).Body;
        Assert.That(cut.GetProperty("data")[0].GetProperty("embedding").GetArrayLength(), Is.EqualTo(16));
    }

    [TestCase("{}", "input")]
    [TestCase("""{"input": ""}""", "input")]
    [TestCase("""{"input": ["a", ""]}""", "input[1]")]
    [TestCase("""{"input": ["a", "a", "a", "a", "a"]}""", "input")]
    [TestCase("""{"input": "a", "encoding_format": "int8"}""", "encoding_format")]
    [TestCase("""{"input": "a", "dimensions": 0}""", "dimensions")]
    [TestCase("""{"input": "a", "dimensions": 257}""", "dimensions")]
    [TestCase("""{"input": [99999]}""", "input[0]")]
    [TestCase("""{"input": "a", "task": "search"}""", "task")]
    public async Task What_cannot_be_honoured_is_refused(string body, string? param)
    {
        (HttpStatusCode status, JsonElement answer) = await _server.PostAsync(Path, body == "{}" ? """{"model": "storyteller"}""" : $$"""{"model": "storyteller", {{body[1..]}}""");
        Assert.That((status, answer.GetProperty("error").GetProperty("param").GetString()), Is.EqualTo((HttpStatusCode.BadRequest, param)), answer.ToString());
    }
}
