using Decart.Inference.Chat;
using Decart.Inference.Chat.Jinja;
using Microsoft.Extensions.AI;

namespace Decart.Inference;

/// <summary>
/// Writes a conversation the way a chat model was trained to read it: with the model's own template, in the template language Jinja, as the transformers library
/// renders it. Immutable and safe for use by any number of threads.
/// </summary>
/// <remarks>
/// <para>
/// Templates come with models, from anybody, so they run in a sandbox: they see the conversation and nothing else, and the steps that they take, the depth of their
/// calls and the texts that they make are bounded.
/// </para>
/// <para>
/// <see cref="Encode"/> tells what the template wrote from what stands in messages, tools and variables: only the template's own words become control tokens. A user
/// who types <c>&lt;|im_end|&gt;</c> sends these characters and ends nobody's turn.
/// </para>
/// </remarks>
public sealed class ChatTemplate
{
    private const string ToolUse = "tool_use";

    private readonly IReadOnlyDictionary<string, ConversationTemplate> _templates;
    private readonly Lazy<ITokenizer>? _tokenizer;

    internal ChatTemplate(
        IReadOnlyDictionary<string, string> templates, IReadOnlyDictionary<string, string> tokenTexts, Lazy<ITokenizer>? tokenizer, ChatTemplateSource source, string origin)
    {
        _templates = templates.ToDictionary(template => template.Key, template => new ConversationTemplate(template.Value, tokenTexts));
        _tokenizer = tokenizer;
        Source = source;
        Origin = origin;
        Names = [.. templates.Keys];
    }

    /// <summary>Where the template comes from.</summary>
    public ChatTemplateSource Source { get; }

    /// <summary>Where the template stands: the file or the folder, perhaps with a field; or which family's it is.</summary>
    public string Origin { get; }

    /// <summary>The names of the templates; one alone is named <c>default</c>.</summary>
    public IReadOnlyList<string> Names { get; }

    /// <summary>Whether a template looks at the tools that it is given; others ignore them.</summary>
    public bool SupportsTools => Mentions("tools");

    /// <summary>
    /// Loads the template of a model: of a folder <c>chat_template.jinja</c> and the files in <c>additional_chat_templates</c>, else <c>chat_template.json</c>, else the
    /// field <c>chat_template</c> of <c>tokenizer_config.json</c> (one template or a list with names); of a GGUF file the metadata <c>tokenizer.chat_template</c> and those
    /// with names after it, else the known template of its family.
    /// </summary>
    /// <param name="model">The folder or the GGUF file. It is not kept open.</param>
    /// <exception cref="ArgumentException"><paramref name="model"/> is empty.</exception>
    /// <exception cref="ModelLoadException">There is no template, or a file is missing or malformed.</exception>
    /// <exception cref="ChatTemplateException">The template is malformed; the message says where.</exception>
    public static ChatTemplate Load(string model)
    {
        ArgumentException.ThrowIfNullOrEmpty(model);
        return ChatTemplateLoader.Load(model);
    }

    /// <summary>Reads a template that the application brings.</summary>
    /// <param name="template">The template, in the template language Jinja.</param>
    /// <param name="tokenizer">The model's tokenizer: gives the texts of <c>bos_token</c> and <c>eos_token</c>, and is needed for <see cref="Encode"/>.</param>
    /// <exception cref="ArgumentNullException"><paramref name="template"/> is <see langword="null"/>.</exception>
    /// <exception cref="ChatTemplateException">The template is malformed; the message says where.</exception>
    public static ChatTemplate Parse(string template, ITokenizer? tokenizer = null)
    {
        ArgumentNullException.ThrowIfNull(template);
        return ChatTemplateLoader.Parse(template, tokenizer);
    }

    /// <summary>Writes a conversation as text.</summary>
    /// <param name="messages">The messages, of text, reasoning, function calls and their results.</param>
    /// <param name="addGenerationPrompt">Whether the beginning of an assistant's turn stands at the end, so that the model answers.</param>
    /// <param name="tools">Functions that the model may call (<see cref="AIFunctionDeclaration"/>).</param>
    /// <returns>The text. To send it to a model prefer <see cref="Encode"/>: a text no longer tells the template's words from the users'.</returns>
    /// <exception cref="ArgumentException">A variable or an argument of a function call has no form in JSON.</exception>
    /// <exception cref="NotSupportedException">A message holds more than text and function calls, or a tool is no function.</exception>
    /// <exception cref="ChatTemplateException">The template refuses the conversation or fails; the message says why and where.</exception>
    public string Render(IEnumerable<ChatMessage> messages, bool addGenerationPrompt = true, IEnumerable<AITool>? tools = null) =>
        Render(messages, new ChatTemplateOptions { AddGenerationPrompt = addGenerationPrompt, Tools = tools });

    /// <param name="messages">The messages, of text, reasoning, function calls and their results.</param>
    /// <param name="options">What is rendered beside the messages.</param>
    /// <exception cref="ArgumentException">
    /// A variable or an argument of a function call has no form in JSON, or there is no template of the name in the options.
    /// </exception>
    /// <inheritdoc cref="Render(IEnumerable{ChatMessage}, bool, IEnumerable{AITool}?)"/>
    public string Render(IEnumerable<ChatMessage> messages, ChatTemplateOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        return RenderMarked(messages, options).Text;
    }

    /// <summary>Writes a conversation as a prompt of token ids.</summary>
    /// <remarks>
    /// Control tokens are those that the template wrote; where messages, tools or variables spell one, it is plain text. The token that begins a text (BOS) stands in front
    /// once if the model expects it, whether the template writes it or not.
    /// </remarks>
    /// <param name="messages">The messages, of text, reasoning, function calls and their results.</param>
    /// <param name="options">What is rendered beside the messages; <see langword="null"/> for the defaults.</param>
    /// <param name="cancellationToken">Cancels the encoding of a long conversation.</param>
    /// <exception cref="InvalidOperationException">The template was parsed without a tokenizer.</exception>
    /// <exception cref="OperationCanceledException"><paramref name="cancellationToken"/> was cancelled.</exception>
    /// <inheritdoc cref="Render(IEnumerable{ChatMessage}, ChatTemplateOptions)" path="/exception"/>
    public Prompt Encode(IEnumerable<ChatMessage> messages, ChatTemplateOptions? options = null, CancellationToken cancellationToken = default)
    {
        if (_tokenizer is null) throw new InvalidOperationException("The chat template was parsed without a tokenizer: it can be rendered, but not encoded.");
        StringValue text = RenderMarked(messages, options ?? ChatTemplateOptions.Default);
        return ChatEncoder.Encode(_tokenizer.Value, text, cancellationToken);
    }

    /// <summary>Whether one of the templates mentions a variable or an attribute.</summary>
    internal bool Mentions(string name) => _templates.Values.Any(template => template.Mentions(name));

    /// <summary>Whether one of the templates has a text in it, such as a control token.</summary>
    internal bool Contains(string text) => _templates.Values.Any(template => template.Contains(text));

    /// <summary>A conversation as text that knows which of its characters the template wrote.</summary>
    internal StringValue RenderMarked(IEnumerable<ChatMessage> messages, ChatTemplateOptions options)
    {
        ArgumentNullException.ThrowIfNull(messages);
        AITool[] tools = [.. options.Tools ?? []];
        return Choose(options.TemplateName, tools.Length > 0).Render([.. messages], tools, options);
    }

    private ConversationTemplate Choose(string? name, bool hasTools)
    {
        if (name is null && hasTools && _templates.TryGetValue(ToolUse, out ConversationTemplate? forTools)) return forTools;
        return _templates.TryGetValue(name ?? ChatTemplateLoader.DefaultName, out ConversationTemplate? template)
            ? template
            : throw new ArgumentException($"There is no chat template named \"{name ?? ChatTemplateLoader.DefaultName}\"; there are {string.Join(", ", Names)}.", nameof(name));
    }
}
