namespace Decart.Inference.Memory;

/// <summary>Pages and address ranges: what sequences need to begin, or what is available.</summary>
/// <param name="Pages">Pages without a holder.</param>
/// <param name="Ranges">Address ranges; what is needed is the most that it can be.</param>
internal readonly record struct KvNeed(int Pages, int Ranges)
{
    /// <summary>Pages that are new may lie anywhere. The range of empty addresses after them is one more.</summary>
    public static KvNeed OfNewPages(int pages) => new(pages, pages + 1);
}
