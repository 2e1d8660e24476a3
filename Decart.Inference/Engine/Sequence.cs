using System.Runtime.InteropServices;
using Decart.Inference.Memory;
using Decart.Inference.Models;

namespace Decart.Inference.Engine;

/// <summary>
/// All state of one request. The engine loop's thread owns it from its submission to its end; other threads may only call
/// <see cref="Cancel"/> and read what it passes on to its caller.
/// </summary>
internal abstract class Sequence : IDisposable
{
    /// <summary>Room for a usual completion beyond the prompt, so that the first tokens do not move the prompt's keys and values.</summary>
    private const int CompletionReserve = 256;

    private readonly List<int> _tokens;
    private PlainKv? _kv;
    private volatile bool _cancelled;

    protected Sequence(ReadOnlySpan<int> prompt)
    {
        _tokens = new List<int>(prompt.Length + 1);
        _tokens.AddRange(prompt);
        PromptLength = prompt.Length;
    }

    /// <summary>Prompt and completion.</summary>
    public ReadOnlySpan<int> Tokens => CollectionsMarshal.AsSpan(_tokens);

    public int PromptLength { get; }

    public int CompletionLength => _tokens.Count - PromptLength;

    /// <summary>How many of <see cref="Tokens"/> have their keys and values stored.</summary>
    public int Computed { get; private set; }

    /// <summary>Tokens to compute before the next one can be chosen: 1 while decoding, more while the prompt is computed.</summary>
    public int Remaining => _tokens.Count - Computed;

    /// <summary>Whether the caller has gone: the sequence is freed before the next step.</summary>
    public bool IsCancelled => _cancelled;

    /// <summary>Keys and values with room for the next <paramref name="length"/> tokens; created when the sequence first runs.</summary>
    public KvView PrepareKv(IDecoder decoder, int length)
    {
        _kv ??= new PlainKv(decoder, Math.Min(PromptLength + CompletionReserve, decoder.ContextLength));
        return _kv.Prepare(Computed + length);
    }

    /// <summary>Records that the next <paramref name="length"/> tokens have been computed.</summary>
    public void Advance(int length) => Computed += length;

    /// <summary>Takes the logits that follow the last token; they may be overwritten.</summary>
    /// <returns>Whether the request is complete.</returns>
    public abstract bool Accept(Span<float> logits);

    /// <summary>Passes on to the caller what the last logits gave, and ends the request if it is complete.</summary>
    public abstract void Publish();

    /// <summary>Ends the request with an error.</summary>
    public abstract void Fail(Exception error);

    /// <summary>Ends the request because the session is disposed.</summary>
    public abstract void Abandon();

    /// <summary>Tells the loop that nobody waits for this sequence any longer. Any thread; harmless after the end.</summary>
    public void Cancel() => _cancelled = true;

    /// <summary>Frees the keys and values.</summary>
    public void Dispose()
    {
        _kv?.Dispose();
        _kv = null;
    }

    protected void Append(int token) => _tokens.Add(token);
}
