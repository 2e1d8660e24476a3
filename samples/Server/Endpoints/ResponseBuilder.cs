using System.Text;
using System.Text.Json;
using Decart.Inference;
using Microsoft.Extensions.AI;
using Server.Contracts;
using Server.Http;

namespace Server.Endpoints;

/// <summary>A response as it is generated: makes events of a chat client's updates, and the whole at the end.</summary>
internal sealed class ResponseBuilder
{
    private readonly ITokenizer _tokenizer;
    private readonly List<OutputItem> _output = [];
    private readonly List<ResponseEvent> _events = [];
    private readonly StringBuilder _text = new();
    private readonly List<ChatLogprob> _logprobs = [];
    private Response _response;
    private int _sequenceNumber;

    /// <summary>The message or the thought to which text is added; null while there is none.</summary>
    private OutputItem? _open;

    public ResponseBuilder(ResponseRequest request, ServedModel model)
    {
        _tokenizer = model.Session.Tokenizer;
        _response = new Response
        {
            Id = Id("resp"),
            CreatedAt = DateTimeOffset.UtcNow.ToUnixTimeSeconds(),
            Status = "in_progress",
            Instructions = request.Instructions,
            MaxOutputTokens = request.MaxOutputTokens,
            Model = model.Id,
            Output = [],
            ParallelToolCalls = request.ParallelToolCalls ?? true,
            Reasoning = request.Reasoning ?? new ResponseReasoning(),
            Temperature = request.Temperature,
            Text = new ResponseText(request.Text?.Format ?? new ResponseTextFormat("text")),
            ToolChoice = request.ToolChoice ?? JsonElement.Parse("\"auto\""),
            Tools = request.Tools ?? [],
            TopP = request.TopP,
            Metadata = request.Metadata ?? JsonElement.Parse("{}"),
        };
        Add(new ResponseEvent("response.created") { Response = _response });
        Add(new ResponseEvent("response.in_progress") { Response = _response });
    }

    /// <summary>The response as far as it has come.</summary>
    public Response Response => _response;

    /// <summary>The events since the last call.</summary>
    public List<ResponseEvent> TakeEvents()
    {
        List<ResponseEvent> events = [.. _events];
        _events.Clear();
        return events;
    }

    /// <exception cref="ApiException">The session has ended before the response.</exception>
    public void Append(ChatResponseUpdate update)
    {
        ChatLogprob[] logprobs = ChatDeltas.Logprobs(update, _tokenizer);
        foreach (AIContent content in update.Contents)
        {
            switch (content)
            {
                case TextReasoningContent { Text: { Length: > 0 } thought }: AppendText("reasoning", thought, []); break;
                case TextContent { Text: { Length: > 0 } text }:
                    AppendText("message", text, logprobs);
                    logprobs = [];
                    break;
                case FunctionCallContent call: AppendCall(call); break;
                case UsageContent usage: _response = _response with { Usage = Usage(usage.Details) }; break;
            }
        }
        if (_open is { Type: "message" }) _logprobs.AddRange(logprobs);
        if (update.FinishReason is { } reason) Finish(reason);
    }

    /// <summary>Ends the response with an error.</summary>
    public void Fail(ErrorDescription error)
    {
        _response = _response with { Status = "failed", Error = new ResponseError(error.Code ?? error.Type, error.Message), Output = [.. _output] };
        Add(new ResponseEvent("response.failed") { Response = _response });
    }

    private void Finish(ChatFinishReason reason)
    {
        if (reason.Value == "cancelled") throw new ApiException(StatusCodes.Status503ServiceUnavailable, "The server is shutting down.", code: "shutting_down");
        bool isWhole = reason != ChatFinishReason.Length;
        Close(isWhole ? "completed" : "incomplete");
        _response = _response with
        {
            Status = isWhole ? "completed" : "incomplete",
            IncompleteDetails = isWhole ? null : new IncompleteDetails("max_output_tokens"),
            Output = [.. _output],
        };
        Add(new ResponseEvent($"response.{_response.Status}") { Response = _response });
    }

    private void AppendText(string type, string text, ChatLogprob[] logprobs)
    {
        bool isMessage = type == "message";
        if (_open?.Type != type)
        {
            Close("completed");
            _open = isMessage
                ? new OutputItem(Id("msg"), type) { Status = "in_progress", Role = "assistant", Content = [] }
                : new OutputItem(Id("rs"), type) { Status = "in_progress", Content = [], Summary = [] };
            Add(new ResponseEvent("response.output_item.added") { OutputIndex = _output.Count, Item = _open });
            Add(new ResponseEvent("response.content_part.added") { OutputIndex = _output.Count, ItemId = _open.Id, ContentIndex = 0, Part = Part(_open, "") });
        }
        _text.Append(text);
        _logprobs.AddRange(logprobs);
        Add(new ResponseEvent($"response.{PartType(_open)}.delta") { OutputIndex = _output.Count, ItemId = _open.Id, ContentIndex = 0, Delta = text, Logprobs = isMessage ? logprobs : null });
    }

    /// <summary>Ends the message or the thought, if there is one.</summary>
    private void Close(string status)
    {
        if (_open is not { } item) return;
        string text = _text.ToString();
        OutputPart part = Part(item, text);
        item = item with { Status = status, Content = [part] };
        Add(new ResponseEvent($"response.{PartType(item)}.done") { OutputIndex = _output.Count, ItemId = item.Id, ContentIndex = 0, Text = text, Logprobs = part.Logprobs });
        Add(new ResponseEvent("response.content_part.done") { OutputIndex = _output.Count, ItemId = item.Id, ContentIndex = 0, Part = part });
        Add(new ResponseEvent("response.output_item.done") { OutputIndex = _output.Count, Item = item });
        _output.Add(item);
        _text.Clear();
        _logprobs.Clear();
        _open = null;
    }

    private void AppendCall(FunctionCallContent call)
    {
        Close("completed");
        string arguments = ChatDeltas.Arguments(call);
        OutputItem item = new(Id("fc"), "function_call") { Status = "in_progress", CallId = call.CallId, Name = call.Name, Arguments = "" };
        Add(new ResponseEvent("response.output_item.added") { OutputIndex = _output.Count, Item = item });
        Add(new ResponseEvent("response.function_call_arguments.delta") { OutputIndex = _output.Count, ItemId = item.Id, Delta = arguments });
        Add(new ResponseEvent("response.function_call_arguments.done") { OutputIndex = _output.Count, ItemId = item.Id, Name = call.Name, Arguments = arguments });
        item = item with { Status = "completed", Arguments = arguments };
        Add(new ResponseEvent("response.output_item.done") { OutputIndex = _output.Count, Item = item });
        _output.Add(item);
    }

    private static string PartType(OutputItem item) => item.Type == "message" ? "output_text" : "reasoning_text";

    private OutputPart Part(OutputItem item, string text) => item.Type == "message" ? new OutputPart(PartType(item), text, [], [.. _logprobs]) : new OutputPart(PartType(item), text);

    private void Add(ResponseEvent next) => _events.Add(next with { SequenceNumber = _sequenceNumber++ });

    private static string Id(string kind) => $"{kind}_{Guid.NewGuid():N}";

    private static ResponseUsage Usage(UsageDetails usage)
    {
        int input = (int)(usage.InputTokenCount ?? 0), output = (int)(usage.OutputTokenCount ?? 0);
        return new ResponseUsage(
            input, new InputTokensDetails((int)(usage.CachedInputTokenCount ?? 0)), output, new OutputTokensDetails((int)(usage.ReasoningTokenCount ?? 0)), input + output);
    }
}
