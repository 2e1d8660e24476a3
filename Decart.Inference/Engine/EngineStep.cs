using System.Runtime.InteropServices;
using Decart.Inference.Kernels;
using Decart.Inference.Memory;

namespace Decart.Inference.Engine;

/// <summary>A chunk of a step.</summary>
/// <param name="Sequence">Whose tokens they are.</param>
/// <param name="Length">How many.</param>
/// <param name="LogitRow">The row of the logits after the last of them; -1 when they are not wanted.</param>
/// <param name="OnDevice">Whether the device chooses the token that follows.</param>
internal readonly record struct StepChunk(Sequence Sequence, int Length, int LogitRow, bool OnDevice);

/// <summary>One step: what it computes and, once it has been started, what it has been asked to choose. Used again and again by the loop's thread.</summary>
internal sealed class EngineStep
{
    private readonly List<StepChunk> _chunks = [];
    private readonly List<TokenChoice> _choices = [];

    public Batch Batch { get; } = new();

    public ReadOnlySpan<StepChunk> Chunks => CollectionsMarshal.AsSpan(_chunks);

    /// <summary>What the device is to choose, in the order of the rows.</summary>
    public ReadOnlySpan<TokenChoice> Choices => CollectionsMarshal.AsSpan(_choices);

    /// <summary>What it chooses; null when that is nothing, and before the step is started.</summary>
    public ChosenTokens? Chosen { get; set; }

    /// <summary>Whether the next step can be started before this one is looked at: the device chooses all of its tokens, and says when it has.</summary>
    public bool CanStayInFlight => Chosen is not null && _choices.Count == Batch.LogitRows.Length;

    public void Clear()
    {
        Batch.Clear();
        _chunks.Clear();
        _choices.Clear();
        Chosen = null;
    }

    /// <summary>Appends a sequence's next tokens; their memory is there. The sequence takes them for started.</summary>
    /// <param name="sequence">The sequence.</param>
    /// <param name="length">How many tokens.</param>
    /// <param name="wantsLogits">Whether the token after them is to be chosen.</param>
    /// <returns>How many of them are tokens of the prompt that have never been computed before.</returns>
    public int Add(Sequence sequence, int length, bool wantsLogits)
    {
        KvCache kv = sequence.Kv!;
        TokenChooser? chooser = wantsLogits ? sequence.Chooser : null;
        int row = wantsLogits ? Batch.LogitRowCount : -1, first = kv.Tokens;
        if (first == sequence.Length) Batch.AddChosen(kv.View, sequence.PendingRow, first);
        else if (first == sequence.Length - 1) Batch.Add(kv.View, [sequence.LastToken], first, wantsLogits);
        else Batch.Add(kv.View, sequence.Tokens.Slice(first, length), first, wantsLogits);
        _chunks.Add(new StepChunk(sequence, length, row, chooser is not null));
        if (chooser is null) return sequence.Start(kv, length);
        _choices.Add(new TokenChoice(row, chooser, sequence.CompletionLength + sequence.PendingTokens));
        sequence.ExpectToken(row);
        return sequence.Start(kv, length);
    }
}
