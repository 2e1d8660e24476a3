using System.Runtime.InteropServices;
using Decart.Inference.Benchmarks.Latency;
using Decart.Inference.Memory;

namespace Decart.Inference.Tests.Benchmarks;

/// <summary>Contexts that are copied lie where kernels look for them.</summary>
internal sealed unsafe class SequenceMemoryTests
{
    private const int TokenElements = 2 * 3 * 2 * 4;

    private static readonly KvLayout Layout = new(Layers: 2, KvHeads: 3, HeadDim: 4, ElementBytes: sizeof(int));

    [Test]
    public void A_context_repeats_the_beginning_of_another([Values(PagingMode.Hardware, PagingMode.Table)] PagingMode paging, [Values(1, 16, 21, 40)] int sourceTokens)
    {
        const int Context = 75;
        HostMemory memory = new();
        if (paging == PagingMode.Hardware && memory.PageGranularity == 0) Assert.Ignore("This system maps no pages.");
        using SequenceMemory sequences = new(memory, Layout, paging, sequences: 2, Context, SequenceMemory.Bytes(memory, Layout, paging, 2, Context));
        Assert.That(sequences.Paging, Is.EqualTo(paging));
        int[] tokens = [.. Enumerable.Range(0, sourceTokens * TokenElements)];
        KvCache first = sequences.Rent(Context), second = sequences.Rent(Context);
        fixed (int* source = tokens) sequences.Repeat(first, sourceTokens, (nint)source, sourceTokens);
        sequences.Repeat(first, sourceTokens, Context, first, sourceTokens);
        sequences.Repeat(second, 0, Context, first, Context);
        foreach (KvCache sequence in (KvCache[])[first, second])
        {
            for (int token = 0; token < Context; token++)
                Assert.That(Read(sequence.View, token).SequenceEqual(tokens.AsSpan(token % sourceTokens * TokenElements, TokenElements)), $"token {token}");
        }
    }

    [Test]
    public void There_is_room_for_what_was_asked_for_and_no_more([Values(PagingMode.Hardware, PagingMode.Table)] PagingMode paging)
    {
        HostMemory memory = new();
        if (paging == PagingMode.Hardware && memory.PageGranularity == 0) Assert.Ignore("This system maps no pages.");
        using SequenceMemory sequences = new(memory, Layout, paging, sequences: 3, tokens: 100, SequenceMemory.Bytes(memory, Layout, paging, 3, 100));
        for (int i = 0; i < 3; i++) sequences.Rent(100);
        Assert.That(() => sequences.Rent(100), Throws.InvalidOperationException);
    }

    private static ReadOnlySpan<int> Read(KvView view, int token)
    {
        nint address = view.TokensPerPage == 0
            ? view.Address + (nint)(token * Layout.TokenBytes)
            : Marshal.ReadIntPtr(view.PageTable, token / view.TokensPerPage * sizeof(nint)) + (nint)(token % view.TokensPerPage * Layout.TokenBytes);
        return new ReadOnlySpan<int>((void*)address, TokenElements);
    }
}
