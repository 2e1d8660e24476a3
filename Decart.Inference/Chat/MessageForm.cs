using Decart.Inference.Chat.Jinja;

namespace Decart.Inference.Chat;

/// <summary>
/// What differs between templates in how they read messages. A template does not say what it reads, so it is tried with a short conversation: what it was given
/// must be found in what it writes.
/// </summary>
/// <param name="HasTextArguments">Whether the arguments of function calls are a text of JSON and not a dictionary.</param>
/// <param name="CallContent">The content of a message that holds function calls only: an empty text, or None, which some templates know such messages by.</param>
/// <param name="HasParts">Whether the content of messages is a list of parts and not a text.</param>
internal sealed record MessageForm(bool HasTextArguments, Value CallContent, bool HasParts)
{
    private const string Needle = "needle_text", NeedleName = "needle_name", NeedleKey = "needle_key", NeedleValue = "needle_value";

    /// <summary>What most templates read.</summary>
    public static MessageForm Usual { get; } = new(HasTextArguments: false, StringValue.Empty, HasParts: false);

    private static readonly Value User = Message("user", new StringValue(Needle));

    /// <summary>The first form in which the template writes what it was given.</summary>
    public static MessageForm Find(ConversationTemplate template)
    {
        bool hasParts = !Writes(template, [User], text => text.Contains(Needle, StringComparison.Ordinal))
            && Writes(template, [Message("user", Parts(new StringValue(Needle)))], text => text.Contains(Needle, StringComparison.Ordinal) && !text.Contains($"'{Needle}'", StringComparison.Ordinal));
        foreach (bool hasTextArguments in (ReadOnlySpan<bool>)[false, true])
        {
            foreach (Value content in (ReadOnlySpan<Value>)[StringValue.Empty, NoneValue.Instance])
            {
                MessageForm form = new(hasTextArguments, content, hasParts);
                if (Writes(template, form.Probe(), IsWhole)) return form;
            }
        }
        return Usual with { HasParts = hasParts };
    }

    /// <summary>The arguments of a function call in this form.</summary>
    public Value Arguments(Value dictionary, Func<Value, StringValue> toJson) => HasTextArguments ? toJson(dictionary) : dictionary;

    /// <summary>The content of a message in this form.</summary>
    public Value Content(StringValue text) => HasParts ? Parts(text) : text;

    /// <summary>Whether a function call is there as JSON or in tags, and not as Python would print it.</summary>
    private static bool IsWhole(string text) =>
        text.Contains(NeedleName, StringComparison.Ordinal)
        && text.Contains(NeedleKey, StringComparison.Ordinal)
        && text.Contains(NeedleValue, StringComparison.Ordinal)
        && !text.Contains($"'{NeedleKey}': ", StringComparison.Ordinal)
        && !text.Contains($"\\\"{NeedleKey}", StringComparison.Ordinal);

    private static bool Writes(ConversationTemplate template, IReadOnlyList<Value> messages, Predicate<string> isRight)
    {
        try
        {
            return isRight(template.Render(messages, [], new ChatTemplateOptions { AddGenerationPrompt = false }).Text);
        }
        catch (ChatTemplateException)
        {
            return false;
        }
    }

    private List<Value> Probe()
    {
        DictionaryValue dictionary = DataValues.Record((NeedleKey, new StringValue(NeedleValue)));
        Value call = DataValues.Record(
            ("id", new StringValue("call00001")),
            ("type", new StringValue("function")),
            ("function", DataValues.Record(
                ("name", new StringValue(NeedleName)),
                ("arguments", Arguments(dictionary, _ => new StringValue($$"""{"{{NeedleKey}}": "{{NeedleValue}}"}"""))))));
        return
        [
            HasParts ? Message("user", Parts(new StringValue(Needle))) : User,
            DataValues.Record(("role", new StringValue("assistant")), ("content", CallContent), ("tool_calls", new ListValue([call]))),
            DataValues.Record(
                ("role", new StringValue("tool")), ("name", new StringValue(NeedleName)), ("tool_call_id", new StringValue("call00001")), ("content", Content(new StringValue("1")))),
            Message("assistant", Content(new StringValue("1"))),
        ];
    }

    private static DictionaryValue Message(string role, Value content) => DataValues.Record(("role", new StringValue(role)), ("content", content));

    private static ListValue Parts(StringValue text) => new([DataValues.Record(("type", new StringValue("text")), ("text", text))]);
}
