using Decart.Inference.Chat.Jinja;
using Microsoft.Extensions.AI;

namespace Decart.Inference.Chat;

/// <summary>One template for conversations: gives messages, tools and the texts of special tokens to Jinja, in the form that the template reads.</summary>
internal sealed class ConversationTemplate
{
    private readonly Template _template;
    private readonly IReadOnlyDictionary<string, string> _tokenTexts;
    private readonly Lazy<MessageForm> _form;

    /// <exception cref="ChatTemplateException">The template is malformed.</exception>
    public ConversationTemplate(string text, IReadOnlyDictionary<string, string> tokenTexts)
    {
        _template = new Template(text);
        _tokenTexts = tokenTexts;
        _form = new Lazy<MessageForm>(() => MessageForm.Find(this));
    }

    /// <summary>Whether the template mentions a variable or an attribute.</summary>
    public bool Mentions(string name) => _template.Mentioned.Contains(name);

    /// <summary>Whether a text is in the template.</summary>
    public bool Contains(string text) => _template.Text.Contains(text, StringComparison.Ordinal);

    public StringValue Render(IReadOnlyList<ChatMessage> messages, IReadOnlyList<AITool> tools, ChatTemplateOptions options)
    {
        foreach (ChatMessage message in messages) ArgumentNullException.ThrowIfNull(message, nameof(messages));
        MessageForm form = messages.Any(message => message.Contents.Any(content => content is not TextContent)) || Mentions("type") ? _form.Value : MessageForm.Usual;
        return Render(new MessageValues(this, form).Convert(messages), [.. tools.Select(ToolValues.Convert)], options);
    }

    /// <summary>Renders messages that have the template's form already.</summary>
    public StringValue Render(IReadOnlyList<Value> messages, IReadOnlyList<Value> tools, ChatTemplateOptions options)
    {
        Dictionary<string, Value> variables = [];
        foreach ((string name, string text) in _tokenTexts) variables[name] = new StringValue(text);
        variables["messages"] = new ListValue(messages);
        variables["tools"] = tools.Count > 0 ? new ListValue(tools) : NoneValue.Instance;
        variables["documents"] = NoneValue.Instance;
        variables["add_generation_prompt"] = BooleanValue.Of(options.AddGenerationPrompt);
        foreach ((string name, object? value) in options.Variables ?? new Dictionary<string, object?>()) variables[name] = DataValues.From(value);
        RenderBudget budget = RenderBudget.For(messages.Count + tools.Count, DataValues.CountCharacters(variables.Values));
        return _template.Render(variables, budget, options.Clock);
    }
}
