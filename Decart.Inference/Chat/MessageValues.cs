using System.Collections.Frozen;
using System.Text.Json;
using Decart.Inference.Chat.Jinja;
using Microsoft.Extensions.AI;

namespace Decart.Inference.Chat;

/// <summary>Makes the messages of a template of those of Microsoft.Extensions.AI.</summary>
internal sealed class MessageValues(ConversationTemplate template, MessageForm form)
{
    /// <summary>Roles that templates know. Some write them between the marks of control tokens, so other names, which callers may have from anywhere, are data.</summary>
    private static readonly FrozenSet<string> KnownRoles = ["system", "developer", "user", "assistant", "tool", "function", "ipython", "model"];

    /// <summary>The names that templates have for what an assistant thinks before it answers.</summary>
    private static readonly string[] ReasoningNames = ["reasoning_content", "thinking", "reasoning"];

    private readonly Dictionary<string, string> _functionNames = [];

    /// <exception cref="NotSupportedException">A message holds more than text and function calls.</exception>
    public List<Value> Convert(IReadOnlyList<ChatMessage> messages) => [.. messages.SelectMany(Convert)];

    private IEnumerable<Value> Convert(ChatMessage message)
    {
        List<FunctionCallContent> calls = [];
        List<FunctionResultContent> results = [];
        (string text, string reasoning) = ("", "");
        foreach (AIContent content in message.Contents)
        {
            switch (content)
            {
                case TextContent { Text: var written }: text += written; break;
                case TextReasoningContent { Text: var thought }: reasoning += thought; break;
                case FunctionCallContent call: calls.Add(call); break;
                case FunctionResultContent result: results.Add(result); break;
                case UsageContent: break;
                default: throw new NotSupportedException($"A message holds {content.GetType().Name}; the model reads text, reasoning, function calls and their results.");
            }
        }
        foreach (FunctionCallContent call in calls) _functionNames[call.CallId] = call.Name;
        bool isResultOnly = results.Count > 0 && text.Length == 0 && calls.Count == 0;
        if (!isResultOnly) yield return Message(message, text, reasoning, calls);
        foreach (FunctionResultContent result in results) yield return Result(result);
    }

    private DictionaryValue Message(ChatMessage message, string text, string reasoning, List<FunctionCallContent> calls)
    {
        string role = message.Role.Value;
        Value content = calls.Count > 0 && text.Length == 0 ? form.CallContent : form.Content(StringValue.FromData(text));
        List<(string, Value?)> members =
        [
            ("role", KnownRoles.Contains(role) ? new StringValue(role) : StringValue.FromData(role)),
            ("content", content),
            ("name", message.AuthorName is { } author ? StringValue.FromData(author) : null),
        ];
        if (reasoning.Length > 0) members.AddRange(ReasoningNames.Where(template.Mentions).Select(name => (name, (Value?)StringValue.FromData(reasoning))));
        if (calls.Count > 0) members.Add(("tool_calls", new ListValue([.. calls.Select(Call)])));
        return DataValues.Record(members);
    }

    private Value Call(FunctionCallContent call)
    {
        Value arguments = DataValues.From(call.Arguments ?? new Dictionary<string, object?>());
        return DataValues.Record(
            ("id", StringValue.FromData(call.CallId)),
            ("type", new StringValue("function")),
            ("function", DataValues.Record(("name", StringValue.FromData(call.Name)), ("arguments", form.Arguments(arguments, DataValues.ToJson)))));
    }

    private DictionaryValue Result(FunctionResultContent result) => DataValues.Record(
        ("role", new StringValue("tool")),
        ("content", form.Content(StringValue.FromData(Text(result)))),
        ("name", _functionNames.TryGetValue(result.CallId, out string? name) ? StringValue.FromData(name) : null),
        ("tool_call_id", StringValue.FromData(result.CallId)));

    private static string Text(FunctionResultContent result) => result.Result switch
    {
        null => result.Exception is { } error ? $"Error: {error.Message}" : "",
        string text => text,
        JsonElement { ValueKind: JsonValueKind.String } element => element.GetString()!,
        { } value => DataValues.ToJson(DataValues.From(value)).Text,
    };
}
