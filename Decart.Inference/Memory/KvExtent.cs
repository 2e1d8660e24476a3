namespace Decart.Inference.Memory;

/// <summary>
/// How far the keys and values of one sequence reach, in tokens. Those of all slots lie side by side: with thousands of sequences a step costs the memory
/// that it touches, and of most caches it needs nothing else.
/// </summary>
internal struct KvExtent
{
    /// <summary>Tokens whose keys and values are stored, or will be by what has been started.</summary>
    public int Tokens;

    /// <summary>Tokens that lie wholly on the pages that are held.</summary>
    public int Reserved;

    /// <summary>Tokens whose pages are known to be mapped, so that nobody needs to wait for them.</summary>
    public int Ready;

    /// <summary>Once so many tokens are stored, they fill a page that the prefix cache does not know yet.</summary>
    public int NextKnown;
}
