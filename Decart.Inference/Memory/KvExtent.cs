namespace Decart.Inference.Memory;

/// <summary>
/// How far the keys and values of one sequence reach, in tokens: the part of a <see cref="KvCache"/> that every step reads and writes. The extents of all
/// slots lie side by side, because a step of thousands of sequences costs the memory that it touches.
/// </summary>
internal struct KvExtent
{
    /// <summary>Tokens whose keys and values are stored, or will be by steps that have been started.</summary>
    public int Tokens { get; private set; }

    /// <summary>Tokens that fit on the pages held.</summary>
    public int Reserved { get; set; }

    /// <summary>Tokens whose pages are known to be mapped: no wait is needed.</summary>
    public int Ready { get; set; }

    /// <summary>Once this many tokens are stored, they fill a page that is not in the prefix cache.</summary>
    public int NextIndexed { get; set; }

    /// <summary>A step that stores the next tokens is started.</summary>
    public void Append(int tokens) => Tokens += tokens;

    /// <summary>The step could not be started after all.</summary>
    public void TakeBack(int tokens) => Tokens -= tokens;

    /// <summary>Only the first tokens stay.</summary>
    public void Keep(int tokens) => Tokens = tokens;
}
