using System.Numerics;

namespace Decart.Inference.Memory;

/// <summary>
/// How tokens lie on pages. A range is a plain array of tokens, so a token may lie on two pages; page p holds the bytes
/// <c>[p * PageBytes, (p + 1) * PageBytes)</c>.
/// </summary>
/// <param name="PageBytes">Bytes of a page, at least those of a token.</param>
/// <param name="TokenBytes">Bytes of a token, more than 0.</param>
internal readonly record struct PageGeometry(long PageBytes, long TokenBytes)
{
    /// <summary>Tokens that a page of hardware paging holds where its size can be chosen.</summary>
    private const int MinTokensPerPage = 16;

    private const long LargestWantedPageBytes = 2 << 20;

    /// <summary>Tokens of a page of a page table.</summary>
    public const int TableTokensPerPage = 16;

    /// <summary>
    /// The smallest power of two that holds 16 tokens, from the granularity to 2 MiB; more only where 2 MiB do not hold a token.
    /// </summary>
    public static PageGeometry ForHardware(long tokenBytes, long granularity)
    {
        long wanted = Math.Max(Math.Min(PowerOfTwo(MinTokensPerPage * tokenBytes), LargestWantedPageBytes), PowerOfTwo(tokenBytes));
        return new PageGeometry(Math.Max(granularity, wanted), tokenBytes);
    }

    /// <summary>Larger pages where the system does not allow as many mappings as there would be pages.</summary>
    public PageGeometry WithAtMost(long pages, long budget)
    {
        long bytes = PageBytes;
        while (budget / bytes > pages) bytes *= 2;
        return this with { PageBytes = bytes };
    }

    /// <summary>Pages of 16 whole tokens.</summary>
    public static PageGeometry ForTable(long tokenBytes) => new(TableTokensPerPage * tokenBytes, tokenBytes);

    /// <summary>Pages that <paramref name="tokens"/> tokens touch.</summary>
    public int PagesFor(int tokens) => (int)(((tokens * TokenBytes) + PageBytes - 1) / PageBytes);

    /// <summary>Pages that end within the first <paramref name="tokens"/> tokens: nothing more is written to them.</summary>
    public int FullPages(int tokens) => (int)(tokens * TokenBytes / PageBytes);

    /// <summary>Bytes of the first tokens on the page after the full ones; 0 when the tokens end with a page.</summary>
    public long PartialBytes(int tokens) => tokens * TokenBytes % PageBytes;

    /// <summary>Tokens that lie wholly on the first pages.</summary>
    public int TokensWithin(int pages) => (int)Math.Min(pages * PageBytes / TokenBytes, int.MaxValue);

    /// <summary>Tokens that touch the first pages: once they are computed, every byte of the pages is written.</summary>
    public int TokensTouching(int pages) => (int)Math.Min(((pages * PageBytes) + TokenBytes - 1) / TokenBytes, int.MaxValue);

    private static long PowerOfTwo(long bytes) => (long)BitOperations.RoundUpToPowerOf2((ulong)bytes);
}
