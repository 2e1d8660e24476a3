using Decart.Inference.Memory;
using Microsoft.Extensions.Logging;

namespace Decart.Inference.Engine;

/// <summary>Makes tokens of prompts and checks them: that the model has them, and that there is room for them. Any number of threads may use it.</summary>
/// <param name="tokenizer">Encodes texts; null where prompts are token ids only.</param>
/// <param name="model">Whose prompts they are.</param>
/// <param name="kv">Where their keys and values are to go.</param>
/// <param name="logger">Told of prompts that look wrong.</param>
internal sealed class PromptEncoder(ITokenizer? tokenizer, ModelInfo model, KvMemory kv, ILogger logger)
{
    /// <summary>The most tokens of a prompt that is not continued.</summary>
    public int MaxTokens => Math.Min(model.ContextLength, kv.CapacityTokens);

    /// <summary>The tokens of a prompt that is not continued.</summary>
    public int[] EncodeWhole(Prompt prompt, CancellationToken cancellationToken)
    {
        int[] tokens = Encode(prompt, begins: true, cancellationToken);
        RequireRoom(tokens.Length, MaxTokens);
        return tokens;
    }

    /// <summary>The tokens that a completion goes on from.</summary>
    /// <param name="earlier">The tokens before the prompt.</param>
    /// <param name="prompt">What comes next.</param>
    /// <param name="cancellationToken">Cancels the encoding of a long text.</param>
    public int[] EncodeToContinue(IReadOnlyCollection<int> earlier, Prompt prompt, CancellationToken cancellationToken)
    {
        int[] tokens = Encode(prompt, begins: earlier.Count == 0, cancellationToken);
        if (earlier.Count > 0) tokens = [.. earlier, .. tokens];
        // The last token of a completion is not stored, but it counts towards the context.
        RequireRoom(tokens.Length, Math.Min(model.ContextLength - 1, kv.CapacityTokens));
        return tokens;
    }

    /// <summary>What is said where a tokenizer is needed and there is none.</summary>
    public NotSupportedException NoTokenizer(string consequence)
    {
        string unread = Inference.Tokenizer.UnreadFiles(model.Source) is { } names ? $" in a format that is read (found {names})" : "";
        return new($"{consequence}: {model.Source} has no tokenizer{unread}. Give prompts as token ids.");
    }

    /// <summary>The prompt's tokens, checked; token ids are copied, so that they stay what was checked.</summary>
    /// <param name="prompt">The prompt.</param>
    /// <param name="begins">Whether it is the beginning of the text.</param>
    /// <param name="cancellationToken">Cancels the encoding of a long text.</param>
    private int[] Encode(Prompt prompt, bool begins, CancellationToken cancellationToken)
    {
        int[] tokens = prompt.Text is null ? prompt.TokenIds.ToArray() : EncodeText(prompt.Text, prompt, begins, cancellationToken);
        if (tokens.Length == 0 && begins) throw new ArgumentException("The prompt is empty: at least one token is needed to continue from.", nameof(prompt));
        foreach (int id in tokens)
        {
            if ((uint)id >= (uint)model.VocabularySize)
                throw new ArgumentException($"The prompt has the token id {id}; the model's go from 0 to {model.VocabularySize - 1}.", nameof(prompt));
        }
        return tokens;
    }

    private int[] EncodeText(string text, Prompt prompt, bool begins, CancellationToken cancellationToken)
    {
        if (tokenizer is null) throw NoTokenizer("A prompt of text cannot be encoded");
        logger.PromptReceived(text);
        int[] tokens = [.. tokenizer.Encode(text, begins && prompt.AddsSpecialTokens, prompt.ParsesSpecialTokens, cancellationToken)];
        int bosAt = begins && prompt.AddsSpecialTokens ? 1 : 0; // where one more than the model expects would stand
        bool hasFirst = bosAt == 0 ? !begins : tokens.Length > 0 && tokens[0] == tokenizer.BosTokenId;
        if (hasFirst && tokens.Length > bosAt && tokens[bosAt] == tokenizer.BosTokenId) logger.SecondBos(tokens[bosAt]);
        return tokens;
    }

    private void RequireRoom(int tokens, int maxTokens)
    {
        if (tokens <= maxTokens) return;
        throw maxTokens >= model.ContextLength - 1
            ? new ContextLengthExceededException(tokens, maxTokens)
            : new ContextLengthExceededException(tokens, maxTokens, $"the memory for keys and values ({kv.Pool.Total} pages of {kv.Geometry.PageBytes} bytes; see KvCacheBytes)");
    }
}
