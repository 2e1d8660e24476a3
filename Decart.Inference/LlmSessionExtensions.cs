using Decart.Inference.Chat;
using Microsoft.Extensions.AI;

namespace Decart.Inference;

/// <summary>Sessions as the services of Microsoft.Extensions.AI.</summary>
public static class LlmSessionExtensions
{
    /// <summary>Makes a chat client of a session, for <c>GetResponseAsync</c>, <c>UseFunctionInvocation</c> and whatever else builds on <see cref="IChatClient"/>.</summary>
    /// <remarks>
    /// <para>
    /// The client keeps nothing between calls and may be called from any number of threads at once; the session computes their answers together. The beginning that a call
    /// has in common with earlier ones is taken from the prefix cache: <see cref="UsageDetails.CachedInputTokenCount"/> says how much of it.
    /// </para>
    /// <para>
    /// Every option of <see cref="ChatOptions"/> is honoured, or refused with a <see cref="NotSupportedException"/>. Further options of the session go through
    /// <see cref="ChatOptions.RawRepresentationFactory"/>, which returns <see cref="GenerationOptions"/>; variables of the chat template (<c>enable_thinking</c>) are additional
    /// properties. Without <see cref="ChatOptions.MaxOutputTokens"/> an answer may fill the model's context.
    /// </para>
    /// <para>
    /// Functions are offered and called in the formats of Llama 3, Qwen, Hermes and Mistral; their arguments always match the functions' schemas, and answers the response
    /// format, also where the length cuts them. What a schema asks for and is not supported is refused with a <see cref="GrammarException"/>. What a model thinks is <see cref="TextReasoningContent"/>. Disposing the client does
    /// not dispose the session; <c>GetService</c> gives the session and the template.
    /// </para>
    /// </remarks>
    /// <param name="session">The session.</param>
    /// <param name="template">How conversations are written; <see langword="null"/> for the session's own template.</param>
    /// <exception cref="NotSupportedException">The model has no chat template and none is given, or it has no tokenizer.</exception>
    /// <exception cref="ChatTemplateException">The model's chat template cannot be read.</exception>
    public static IChatClient AsChatClient(this ILlmSession session, ChatTemplate? template = null)
    {
        ArgumentNullException.ThrowIfNull(session);
        return new SessionChatClient(session, template ?? session.ChatTemplate ?? throw new NotSupportedException(
            $"{session.Model.Source} has no chat template: it is probably not trained for chats. Give the template that it was trained with, if it was."));
    }
}
