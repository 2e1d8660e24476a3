using Decart.Inference;
using Microsoft.Extensions.AI;
using Server.Contracts;
using Server.Http;

namespace Server.Endpoints;

/// <summary>A request for a chat, as the chat client takes it.</summary>
/// <param name="Messages">The conversation.</param>
/// <param name="Options">What is asked for, but for how the answer is sampled.</param>
/// <param name="Generation">How it is sampled.</param>
internal sealed record ChatCall(IReadOnlyList<ChatMessage> Messages, ChatOptions Options, GenerationOptions Generation)
{
    /// <summary>Generates one of several answers.</summary>
    private IAsyncEnumerable<ChatResponseUpdate> Generate(IChatClient client, int choice, CancellationToken cancellationToken)
    {
        ChatOptions options = Options.Clone();
        options.RawRepresentationFactory = _ => GenerationReader.ForChoice(Generation, choice);
        return client.GetStreamingResponseAsync(Messages, options, cancellationToken);
    }

    /// <summary>Begins several answers.</summary>
    /// <param name="client">Generates them.</param>
    /// <param name="count">How many.</param>
    /// <param name="locate">Makes an error about a schema one that names its field.</param>
    /// <param name="cancellationToken">Ends all.</param>
    public async Task<Choices<ChatResponseUpdate>> BeginAsync(IChatClient client, int count, Func<GrammarException, Exception> locate, CancellationToken cancellationToken)
    {
        Choices<ChatResponseUpdate> choices = new(count, (choice, cancellation) => Generate(client, choice, cancellation), cancellationToken);
        try
        {
            await choices.RequireBegunAsync();
            return choices;
        }
        catch (Exception error)
        {
            await choices.DisposeAsync();
            if (error is GrammarException grammar) throw locate(grammar);
            throw;
        }
    }

    /// <exception cref="ApiException">Something in the request cannot be understood or honoured.</exception>
    public static ChatCall Read(ChatCompletionRequest request, ServedModel model, ServerOptions options)
    {
        if (request.Modalities is not (null or ["text"])) throw new ApiException("Answers are text: \"modalities\" can only be [\"text\"].", "modalities", "unsupported");
        if (request.Store is true) throw new ApiException("Nothing is stored: \"store\" can only be false.", "store", "unsupported");
        if (request.Verbosity is not (null or "medium")) throw new ApiException("Answers are as long as the model makes them: \"verbosity\" can only be medium.", "verbosity", "unsupported");
        JsonBody.RequireNull(request.Functions, "functions", "use \"tools\"");
        JsonBody.RequireNull(request.FunctionCall, "function_call", "use \"tool_choice\"");
        JsonBody.RequireNull(request.Audio, "audio", "answers are text");
        JsonBody.RequireNull(request.WebSearchOptions, "web_search_options", "nothing is searched");
        if (request is { MaxTokens: { } older, MaxCompletionTokens: { } newer } && older != newer) throw new ApiException("\"max_tokens\" and \"max_completion_tokens\" differ.", "max_tokens");
        if (request.TopLogprobs is not (null or (>= 0 and <= 20))) throw new ApiException("\"top_logprobs\" must be 0 to 20.", "top_logprobs");
        if (request.TopLogprobs is not null && request.Logprobs is not true) throw new ApiException("\"top_logprobs\" needs \"logprobs\" to be true.", "top_logprobs");
        List<AITool> tools = ToolReader.Tools([.. (request.Tools ?? []).Select(Function)], index => $"tools[{index}].function", options);
        ChatOptions chat = new()
        {
            Tools = tools,
            AllowMultipleToolCalls = request.ParallelToolCalls,
            ResponseFormat = request.ResponseFormat is { } format ? ToolReader.Format(format.Type, format.JsonSchema, "response_format.type", SchemaField) : null,
            Reasoning = ToolReader.Reasoning(request.ReasoningEffort, "reasoning_effort"),
        };
        ToolReader.Choose(chat, request.ToolChoice, choice => JsonBody.ParseField(choice, "tool_choice", ServerJson.Default.ChatToolChoice) switch
        {
            { Type: "function", Function.Name: { } name, AllowedTools: null } => new ToolSelection([name]),
            { Type: "allowed_tools", AllowedTools: { Mode: { } mode, Tools: { } allowed }, Function: null } => new ToolSelection([.. allowed.Select(tool => tool?.Type is "function" ? tool.Function?.Name : null)], mode),
            _ => null,
        });
        foreach ((string name, System.Text.Json.JsonElement value) in request.ChatTemplateKwargs ?? new Dictionary<string, System.Text.Json.JsonElement>()) (chat.AdditionalProperties ??= []).Add(name, value);
        string field = request.MaxCompletionTokens is null ? "max_tokens" : "max_completion_tokens";
        GenerationOptions generation = GenerationReader.Read(request, request.MaxCompletionTokens ?? request.MaxTokens, field, model.MostTokens, model);
        return new ChatCall(MessageReader.Read(request.Messages, options), chat, generation with { TopLogprobs = request.Logprobs is true ? request.TopLogprobs ?? 0 : null });
    }

    /// <summary>The error with the field whose schema it is about.</summary>
    public static Exception Locate(GrammarException error, ChatCompletionRequest request) => ToolReader.Locate(
        error,
        [
            .. (request.Tools ?? []).Select((tool, index) => ($"tools[{index}].function.parameters", tool.Function?.Parameters)),
            (SchemaField, request.ResponseFormat?.JsonSchema?.Schema),
        ]);

    private const string SchemaField = "response_format.json_schema.schema";

    private static FunctionTool? Function(ChatTool? tool, int index) =>
        tool?.Type is "function" ? tool.Function : throw new ApiException($"\"tools[{index}].type\" must be function.", $"tools[{index}].type", "unsupported");
}
