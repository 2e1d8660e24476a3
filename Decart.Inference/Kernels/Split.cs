namespace Decart.Inference.Kernels;

/// <summary>Along what a dimension of a tensor is divided where several devices share a model; one device has all of it.</summary>
internal enum Split
{
    /// <summary>Every device has all of it.</summary>
    None,
    /// <summary>[query heads | key heads | value heads], each of its elements.</summary>
    QueryKeyValue,
    /// <summary>Query heads, each of its elements.</summary>
    Heads,
    /// <summary>Inner features of a feed-forward block or of an expert; where they have gates, the gates and then the ups.</summary>
    Features,
    /// <summary>Tokens.</summary>
    Vocabulary,
}

/// <summary>What the division of a model among devices follows from.</summary>
/// <param name="Heads">Query heads.</param>
/// <param name="KvHeads">Key/value heads.</param>
/// <param name="HeadDim">Elements of a head.</param>
/// <param name="BlockLength">Elements that are stored together, in the longest blocks of the checkpoint; they are not separated.</param>
internal readonly record struct ModelShape(int Heads, int KvHeads, int HeadDim, int BlockLength);
