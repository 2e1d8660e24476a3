namespace Decart.Inference.Chat.Jinja;

/// <summary>What is wrong in a template or while it is rendered, without the place, which the caller knows.</summary>
internal sealed class JinjaException(string message, ChatTemplateError error = ChatTemplateError.Rendering) : Exception(message)
{
    public ChatTemplateError Error { get; } = error;
}
