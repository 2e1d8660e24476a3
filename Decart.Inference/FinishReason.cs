using System.Text.Json.Serialization;

namespace Decart.Inference;

/// <summary>Why a completion ended.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<FinishReason>))]
public enum FinishReason
{
    /// <summary>The model ended the text, or a stop sequence or stop token appeared.</summary>
    Stop,
    /// <summary><see cref="GenerationOptions.MaxTokens"/> tokens were generated, or the model's context is full.</summary>
    Length,
    /// <summary>
    /// The session was disposed, or <see cref="LlmSession.DrainAsync"/> was cancelled, before the completion was finished; what had been generated is kept.
    /// (A request cancelled by its own token throws <see cref="OperationCanceledException"/> instead.)
    /// </summary>
    Cancelled,
}
