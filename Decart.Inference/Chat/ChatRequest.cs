using Decart.Inference.Chat.Answers;
using Decart.Inference.Chat.Jinja;
using Microsoft.Extensions.AI;

namespace Decart.Inference.Chat;

/// <summary>A call of a chat client as the session computes it.</summary>
/// <param name="Prompt">The conversation's tokens.</param>
/// <param name="Options">How the answer is sampled.</param>
/// <param name="Calls">The format of calls; null where no functions are offered.</param>
/// <param name="Thinks">Whether the prompt has begun what the model thinks.</param>
/// <param name="ShowsThoughts">Whether the caller wants to see it.</param>
/// <param name="MostCalls">How many calls the caller allows.</param>
internal sealed record ChatRequest(Prompt Prompt, GenerationOptions Options, ToolCallFormat? Calls, bool Thinks, bool ShowsThoughts, int MostCalls)
{
    private const string ThinkingVariable = "enable_thinking", EffortVariable = "reasoning_effort";

    public static ChatRequest Create(
        ILlmSession session, ChatTemplate template, AnswerGrammar grammars, IChatClient client, IEnumerable<ChatMessage> messages, ChatOptions? options, CancellationToken cancellationToken)
    {
        options ??= new ChatOptions();
        ChatSettings.RequireSupported(options, session.Model);
        IList<AITool> tools = options.ToolMode is NoneChatToolMode ? [] : options.Tools ?? [];
        RequireOffered(options.ToolMode, tools);
        RequireDifferentNames(tools);
        ToolCallFormat? calls = tools.Count == 0 ? null : FindFormat(template, tools);
        ChatTemplateOptions templateOptions = new() { Tools = tools, Variables = Variables(template, options) };
        StringValue text = template.RenderMarked(WithInstructions(messages, options.Instructions), templateOptions);
        bool thinks = AnswerReader.EndsInThought(text.Text);
        GenerationOptions generation = ChatSettings.Generation(session, client, options);
        if (grammars.Create(calls, options, [.. Required(options.ToolMode, tools)], AnswerReader.ThoughtsOf(template), thinks) is { } grammar)
        {
            if (generation.Grammar is not null) throw new ArgumentException("Tools and response formats have grammars of their own; the options' factory gives another.", nameof(options));
            generation = generation with { Grammar = grammar };
        }
        return new ChatRequest(
            ChatEncoder.Encode(session.Tokenizer, text, cancellationToken),
            generation,
            calls,
            thinks,
            options.Reasoning?.Output is not ReasoningOutput.None,
            options.AllowMultipleToolCalls is false ? 1 : int.MaxValue);
    }

    private static void RequireOffered(ChatToolMode? mode, IList<AITool> tools)
    {
        if (mode is not RequiredChatToolMode required) return;
        if (tools.Count == 0) throw new ArgumentException("The tool mode requires a function call, but no tools are given.");
        if (required.RequiredFunctionName is { } name && !tools.Any(tool => tool?.Name == name))
            throw new ArgumentException($"The tool mode requires the function \"{name}\", which is not among the tools.");
    }

    /// <summary>A call names its function and nothing else.</summary>
    private static void RequireDifferentNames(IList<AITool> tools)
    {
        HashSet<string> names = new(StringComparer.Ordinal);
        foreach (AIFunctionDeclaration function in tools.OfType<AIFunctionDeclaration>())
        {
            if (!names.Add(function.Name)) throw new ArgumentException($"Two of the tools are functions of the name \"{function.Name}\"; names must differ.");
        }
    }

    /// <summary>The functions that may be called.</summary>
    private static IEnumerable<AIFunctionDeclaration> Required(ChatToolMode? mode, IList<AITool> tools) => tools
        .OfType<AIFunctionDeclaration>()
        .Where(tool => mode is not RequiredChatToolMode { RequiredFunctionName: { } name } || tool.Name == name);

    private static ToolCallFormat FindFormat(ChatTemplate template, IEnumerable<AITool> tools)
    {
        if (!template.SupportsTools) throw new NotSupportedException($"The model's chat template ({template.Origin}) offers the model no tools.");
        return ToolCallFormat.Find(template, tools.OfType<AIFunctionDeclaration>())
            ?? throw new NotSupportedException($"The model's chat template ({template.Origin}) writes function calls in a format that is not known, so they could not be read from answers.");
    }

    /// <summary>The messages with the options' instructions in front: in the system message that is there already, since most templates allow one.</summary>
    private static IEnumerable<ChatMessage> WithInstructions(IEnumerable<ChatMessage> messages, string? instructions)
    {
        if (string.IsNullOrEmpty(instructions)) return messages;
        ChatMessage[] all = [.. messages];
        if (all is [{ Role: var role } first, .. var rest] && role == ChatRole.System) return [new(ChatRole.System, $"{instructions}\n\n{first.Text}"), .. rest];
        return [new(ChatRole.System, instructions), .. all];
    }

    /// <summary>The template's variables: those of the reasoning options, and the additional properties, which must be variables of the template.</summary>
    private static Dictionary<string, object?> Variables(ChatTemplate template, ChatOptions options)
    {
        Dictionary<string, object?> variables = [];
        if (options.Reasoning?.Effort is { } effort)
        {
            bool isKnown = false;
            if (template.Mentions(ThinkingVariable))
            {
                variables[ThinkingVariable] = effort != ReasoningEffort.None;
                isKnown = true;
            }
            if (template.Mentions(EffortVariable) && effort != ReasoningEffort.None)
            {
                variables[EffortVariable] = effort switch { ReasoningEffort.Low => "low", ReasoningEffort.Medium => "medium", _ => "high" };
                isKnown = true;
            }
            if (!isKnown && effort != ReasoningEffort.None) throw new NotSupportedException("The model's chat template has no reasoning effort.");
            if (!isKnown && template.Contains("<think>")) throw new NotSupportedException("The model's chat template cannot turn reasoning off.");
        }
        foreach ((string name, object? value) in options.AdditionalProperties ?? [])
        {
            if (!template.Mentions(name)) throw new NotSupportedException($"The additional property \"{name}\" is no variable of the model's chat template.");
            variables[name] = value;
        }
        return variables;
    }
}
