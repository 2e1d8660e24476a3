using Microsoft.Extensions.AI;

namespace Decart.Inference;

/// <summary>What a chat template renders beside the messages. Immutable, as long as what it refers to is not changed.</summary>
public sealed record ChatTemplateOptions
{
    internal static ChatTemplateOptions Default { get; } = new();

    /// <summary>Whether the beginning of an assistant's turn stands at the end, so that the model answers. Default <see langword="true"/>.</summary>
    public bool AddGenerationPrompt { get; init; } = true;

    /// <summary>Functions that the model may call (<see cref="AIFunctionDeclaration"/>). Default none.</summary>
    public IEnumerable<AITool>? Tools { get; init; }

    /// <summary>
    /// Which of several templates is rendered, one of <see cref="ChatTemplate.Names"/>. <see langword="null"/> (the default) for <c>tool_use</c> if there are
    /// <see cref="Tools"/> and it exists, else <c>default</c>.
    /// </summary>
    public string? TemplateName { get; init; }

    /// <summary>
    /// Further variables of the template, such as <c>enable_thinking</c>: primitives, texts, lists, dictionaries with texts as keys, or JSON. Default none.
    /// </summary>
    public IReadOnlyDictionary<string, object?>? Variables { get; init; }

    /// <summary>The clock of templates that write the date. Default the system's, in local time.</summary>
    public TimeProvider Clock { get; init; } = TimeProvider.System;
}
