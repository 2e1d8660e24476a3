using System.ClientModel;
using System.Text.Json;
using OpenAI;
using OpenAI.Chat;
using OpenAI.Embeddings;
using OpenAI.Models;

namespace Decart.Inference.Tests.Server;

/// <summary>The server as the OpenAI package for .NET sees it.</summary>
public class OpenAIClientTests
{
    private const string Schema = """{"type": "object", "properties": {"city": {"enum": ["Oslo", "Rome"]}}, "required": ["city"], "additionalProperties": false}""";

    private static readonly ChatMessage[] Hello = [new SystemChatMessage("Be kind."), new UserChatMessage("Tell me a story.")];

    private RunningServer _server = null!;
    private OpenAIClient _client = null!;

    [OneTimeSetUp]
    public async Task StartAsync()
    {
        _server = await RunningServer.StartChatAsync("--Server:ApiKeys:0=key");
        _client = Client("key");
    }

    [OneTimeTearDown]
    public async Task StopAsync() => await _server.DisposeAsync();

    [Test]
    public async Task Models()
    {
        OpenAIModelCollection models = await _client.GetOpenAIModelClient().GetModelsAsync();
        Assert.That(models.Single().Id, Is.EqualTo("chatty"));
        Assert.That((await _client.GetOpenAIModelClient().GetModelAsync("chatty")).Value.OwnedBy, Is.EqualTo("decart.inference"));
    }

    [Test]
    public async Task A_chat_in_both_styles()
    {
        ChatClient chat = _client.GetChatClient("chatty");
        ChatCompletionOptions options = new() { MaxOutputTokenCount = 12, Temperature = 0, IncludeLogProbabilities = true, TopLogProbabilityCount = 2, StopSequences = { "never to be found" } };
        ChatCompletion completion = await chat.CompleteChatAsync(Hello, options);
        Assert.That((completion.Role, completion.FinishReason, completion.Usage.OutputTokenCount), Is.EqualTo((ChatMessageRole.Assistant, ChatFinishReason.Length, 12)));
        Assert.That(completion.ContentTokenLogProbabilities, Has.Count.EqualTo(12));
        string text = "";
        ChatTokenUsage? usage = null;
        await foreach (StreamingChatCompletionUpdate update in chat.CompleteChatStreamingAsync(Hello, new() { MaxOutputTokenCount = 12, Temperature = 0 }))
        {
            text += string.Concat(update.ContentUpdate.Select(part => part.Text));
            usage = update.Usage ?? usage;
        }
        Assert.That(text, Is.EqualTo(completion.Content[0].Text).And.Not.Empty);
        Assert.That(usage!.TotalTokenCount, Is.EqualTo(completion.Usage.TotalTokenCount));
    }

    [Test]
    public async Task Tools()
    {
        ChatClient chat = _client.GetChatClient("chatty");
        ChatCompletionOptions options = new() { Tools = { ChatTool.CreateFunctionTool("get_weather", "The weather", BinaryData.FromString(Schema), functionSchemaIsStrict: true) }, ToolChoice = ChatToolChoice.CreateRequiredChoice(), AllowParallelToolCalls = false };
        ChatCompletion completion = await chat.CompleteChatAsync(Hello, options);
        Assert.That(completion.FinishReason, Is.EqualTo(ChatFinishReason.ToolCalls));
        ChatToolCall call = completion.ToolCalls.Single();
        Assert.That((call.FunctionName, JsonElement.Parse(call.FunctionArguments).GetProperty("city").GetString()), Is.AnyOf(("get_weather", "Oslo"), ("get_weather", "Rome")));
        ChatMessage[] more = [.. Hello, new AssistantChatMessage(completion), new ToolChatMessage(call.Id, "Rain")];
        Assert.That((await chat.CompleteChatAsync(more, new() { MaxOutputTokenCount = 4 })).Value.Content[0].Text, Is.Not.Empty);
        string arguments = "";
        await foreach (StreamingChatCompletionUpdate update in chat.CompleteChatStreamingAsync(Hello, options)) arguments += string.Concat(update.ToolCallUpdates.Select(piece => piece.FunctionArgumentsUpdate));
        Assert.That(JsonElement.Parse(arguments).GetProperty("city").GetString(), Is.AnyOf("Oslo", "Rome"));
    }

    [Test]
    public async Task Structured_output()
    {
        ChatCompletionOptions options = new() { ResponseFormat = ChatResponseFormat.CreateJsonSchemaFormat("city", BinaryData.FromString(Schema), jsonSchemaIsStrict: true) };
        ChatCompletion completion = await _client.GetChatClient("chatty").CompleteChatAsync(Hello, options);
        Assert.That(JsonElement.Parse(completion.Content[0].Text).GetProperty("city").GetString(), Is.AnyOf("Oslo", "Rome"));
    }

    [Test]
    public async Task Embeddings()
    {
        OpenAIEmbeddingCollection embeddings = await _client.GetEmbeddingClient("chatty").GenerateEmbeddingsAsync(["The sky is blue.", "Rain."]);
        Assert.That(embeddings[0].ToFloats().ToArray(), Is.EqualTo(await _server.Session.EmbedAsync("The sky is blue.")));
        Assert.That(embeddings, Has.Count.EqualTo(2));
    }

    [Test]
    public void Errors()
    {
        Assert.That(async () => await Client("wrong").GetChatClient("chatty").CompleteChatAsync(Hello), Throws.TypeOf<ClientResultException>().With.Property("Status").EqualTo(401));
        Assert.That(async () => await _client.GetChatClient("other").CompleteChatAsync(Hello), Throws.TypeOf<ClientResultException>().With.Property("Status").EqualTo(404));
        Assert.That(
            async () => await _client.GetChatClient("chatty").CompleteChatAsync(Hello, new() { Temperature = 1000 }),
            Throws.TypeOf<ClientResultException>().With.Property("Status").EqualTo(400).And.Message.Contains("Temperature must be"));
    }

    private OpenAIClient Client(string key) => new(new ApiKeyCredential(key), new OpenAIClientOptions { Endpoint = new Uri(_server.Client.BaseAddress!, "v1") });
}
