namespace Decart.Inference.Grammars.Automata;

/// <summary>What a text goes on with where a state of the automaton is complete: the object around it. Immutable but for what it remembers of answers.</summary>
internal abstract class Continuation
{
    private int? _cost;

    /// <summary>How many tokens complete the text from here, as <see cref="Languages.Distances"/> counts; infinite where they cannot.</summary>
    public int Cost => _cost ??= FindCost();

    /// <summary>Adds the ways to go on.</summary>
    public abstract void Expand(BranchList into);

    /// <summary>Takes note of a byte of the state before it, for those that must know its text.</summary>
    /// <param name="value">The byte.</param>
    /// <param name="after">The same after it.</param>
    /// <returns>Whether it may be there.</returns>
    public virtual bool TryRead(byte value, out Continuation after)
    {
        after = this;
        return true;
    }

    /// <summary>Takes note of several bytes.</summary>
    public bool TryRead(ReadOnlySpan<byte> bytes, out Continuation after)
    {
        after = this;
        foreach (byte value in bytes)
        {
            if (!after.TryRead(value, out after)) return false;
        }
        return true;
    }

    protected abstract int FindCost();
}
