using Decart.Inference.Chat;
using Decart.Inference.Embeddings;
using Decart.Inference.Hosting;
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
    /// The raw representation of an update is the session's <see cref="GenerationUpdate"/>; with <see cref="GenerationOptions.TopLogprobs"/> there is one for each, also where it has no text yet.
    /// </para>
    /// <para>
    /// Functions are offered and called in the formats of Llama 3, Qwen, Qwen3-Coder, Hermes and Mistral; their arguments always match the functions' schemas, and answers the response
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
        if (session is IDeferredSession deferred) return deferred.CreateChatClient(template);
        return new SessionChatClient(session, template ?? session.ChatTemplate ?? throw new NotSupportedException(
            $"{session.Model.Source} has no chat template: it is probably not trained for chats. Give the template that it was trained with, if it was."));
    }

    /// <summary>Makes a generator of embeddings of a session, for vector stores and whatever else builds on <see cref="IEmbeddingGenerator{TInput, TEmbedding}"/>.</summary>
    /// <remarks>
    /// <para>
    /// The generator keeps nothing between calls and may be called from any number of threads at once. The texts of a call are computed together, and with whatever else the session
    /// computes; if one fails or the call is cancelled, the others are given up. Embeddings come in the order of the texts, each the same, bit for bit, as <see cref="ILlmSession.EmbedAsync"/> gives.
    /// </para>
    /// <para>
    /// <see cref="EmbeddingGenerationOptions.Dimensions"/> is <see cref="EmbeddingOptions.Dimensions"/>; <see cref="EmbeddingGenerationOptions.RawRepresentationFactory"/> may return
    /// <see cref="EmbeddingOptions"/>; another <see cref="EmbeddingGenerationOptions.ModelId"/> than the session's and additional properties are refused with a
    /// <see cref="NotSupportedException"/>. Usage counts the texts' tokens, special ones included. Disposing the generator does not dispose the session; <c>GetService</c> gives the session.
    /// </para>
    /// </remarks>
    /// <param name="session">The session.</param>
    /// <param name="options">How to embed where a call does not say; <see langword="null"/> for the defaults.</param>
    /// <exception cref="NotSupportedException">The model has no tokenizer.</exception>
    public static IEmbeddingGenerator<string, Embedding<float>> AsEmbeddingGenerator(this ILlmSession session, EmbeddingOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(session);
        if (session is IDeferredSession deferred) return deferred.CreateEmbeddingGenerator(options);
        return new SessionEmbeddingGenerator(session, options ?? EmbeddingOptions.Default);
    }
}
