using System.Runtime.InteropServices;
using Decart.Inference.Kernels;

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
    /// <param name="chooser">What chooses the token after them, if that is wanted and the device is to do it.</param>
    /// <returns>How many of them are tokens of the prompt that have never been computed before.</returns>
    public int Add(Sequence sequence, int length, TokenChooser? chooser)
    {
        int row = length == sequence.Remaining ? Batch.LogitRows.Length : -1, first = sequence.Computed;
        if (first == sequence.Length) Batch.AddChosen(sequence.Kv!.View, sequence.PendingRow, first);
        else if (first == sequence.Length - 1) Batch.Add(sequence.Kv!.View, [sequence.LastToken], first, wantsLogits: row >= 0);
        else Batch.Add(sequence.Kv!.View, sequence.Tokens.Slice(first, length), first, wantsLogits: row >= 0);
        _chunks.Add(new StepChunk(sequence, length, row, chooser is not null));
        if (chooser is not null) _choices.Add(new TokenChoice(row, chooser, sequence.CompletionLength + sequence.PendingTokens));
        return sequence.Start(length, chooser is not null ? row : null);
    }
}
