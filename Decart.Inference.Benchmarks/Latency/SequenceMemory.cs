using Decart.Inference.Memory;
using Microsoft.Extensions.Logging.Abstractions;

namespace Decart.Inference.Benchmarks.Latency;

/// <summary>Keys and values of sequences, mapped page by page as those of a session's requests are.</summary>
internal sealed unsafe class SequenceMemory : IDisposable
{
    private readonly IDeviceMemory _memory;
    private readonly KvLayout _layout;
    private readonly KvMemory _kv;

    /// <param name="memory">The device's memory.</param>
    /// <param name="layout">The layout of a token.</param>
    /// <param name="paging">How kernels find the pages.</param>
    /// <param name="sequences">The most sequences at once.</param>
    /// <param name="tokens">The most tokens of one.</param>
    /// <param name="bytes">See <see cref="Bytes"/>.</param>
    public SequenceMemory(IDeviceMemory memory, KvLayout layout, PagingMode paging, int sequences, int tokens, long bytes)
    {
        (_memory, _layout) = (memory, layout);
        KvMemoryPlan plan = KvMemoryPlan.For(memory, layout, tokens, sequences, bytes, paging);
        Paging = plan.Paging;
        _kv = plan.Create(memory, prefixCaching: false, NullLogger.Instance);
    }

    /// <summary>How kernels find the pages, decided.</summary>
    public PagingMode Paging { get; }

    /// <summary>Bytes that sequences of equal length need, by whole pages.</summary>
    public static long Bytes(IDeviceMemory memory, KvLayout layout, PagingMode paging, int sequences, int tokens)
    {
        bool hardware = paging != PagingMode.Table && memory.PageGranularity > 0;
        PageGeometry geometry = hardware ? PageGeometry.ForHardware(layout.TokenBytes, memory.PageGranularity) : PageGeometry.ForTable(layout.TokenBytes);
        return sequences * (geometry.PagesFor(tokens) + 1) * geometry.PageBytes;
    }

    /// <summary>A sequence with room for so many tokens, of undefined content. The caller releases it.</summary>
    public KvCache Rent(int tokens)
    {
        KvCache kv = _kv.Rent() ?? throw new InvalidOperationException("There are fewer ranges than sequences.");
        if (!kv.TryReserve(tokens)) throw new InvalidOperationException($"{tokens} tokens do not fit.");
        kv.Wait(tokens);
        return kv;
    }

    /// <summary>Fills tokens of a sequence with those of another, again and again.</summary>
    /// <param name="destination">The sequence, which may be the other.</param>
    /// <param name="first">The first token to fill.</param>
    /// <param name="end">The one after the last.</param>
    /// <param name="source">The other.</param>
    /// <param name="sourceTokens">How many of its first tokens are repeated.</param>
    public void Repeat(KvCache destination, int first, int end, KvCache source, int sourceTokens) => Repeat(destination, first, end, Place(source.View, sourceTokens), sourceTokens);

    /// <summary>Fills the first tokens of a sequence with what lies elsewhere, again and again.</summary>
    /// <param name="destination">The sequence.</param>
    /// <param name="end">How many.</param>
    /// <param name="source">The address.</param>
    /// <param name="sourceTokens">Tokens there.</param>
    public void Repeat(KvCache destination, int end, nint source, int sourceTokens) => Repeat(destination, 0, end, new TokenPlace([source], int.MaxValue), sourceTokens);

    public void Dispose() => _kv.Dispose();

    private void Repeat(KvCache destination, int first, int end, TokenPlace source, int sourceTokens)
    {
        TokenPlace place = Place(destination.View, end);
        for (int token = first; token < end;)
        {
            int sourceToken = token % sourceTokens;
            int count = Math.Min(Math.Min(end - token, sourceTokens - sourceToken), Math.Min(place.Together(token), source.Together(sourceToken)));
            _memory.Copy(place.Address(token, _layout), source.Address(sourceToken, _layout), count * _layout.TokenBytes);
            token += count;
        }
    }

    private TokenPlace Place(KvView view, int tokens)
    {
        if (view.TokensPerPage == 0) return new TokenPlace([view.Address], int.MaxValue);
        nint[] pages = new nint[(tokens + view.TokensPerPage - 1) / view.TokensPerPage];
        fixed (nint* destination = pages) _memory.Copy((nint)destination, view.PageTable, pages.Length * sizeof(nint));
        return new TokenPlace(pages, view.TokensPerPage);
    }

    /// <summary>Where tokens lie.</summary>
    /// <param name="Pages">Addresses of pages.</param>
    /// <param name="TokensPerPage">Tokens of a page; <see cref="int.MaxValue"/> where all lie one after the other.</param>
    private readonly record struct TokenPlace(nint[] Pages, int TokensPerPage)
    {
        public nint Address(int token, KvLayout layout) => Pages[token / TokensPerPage] + (nint)(token % TokensPerPage * layout.TokenBytes);

        /// <summary>Tokens from one on that lie one after the other.</summary>
        public int Together(int token) => TokensPerPage - (token % TokensPerPage);
    }
}
