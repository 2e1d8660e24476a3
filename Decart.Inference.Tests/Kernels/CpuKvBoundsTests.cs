using System.Runtime.InteropServices;
using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Cpu;
using Decart.Inference.Memory;

namespace Decart.Inference.Tests.Kernels;

/// <summary>Where a sequence's tokens or its page table end no memory is mapped: a read beyond ends the process.</summary>
internal sealed unsafe class CpuKvBoundsTests
{
    private const int Layers = 2;

    [Test]
    public void Nothing_beyond_the_last_token_or_page_is_read(
        [Values(1, 15, 16, 17, 63, 64, 65, 600)] int tokens, [Values(8, 20, 64)] int headDim, [Values(0, 1, 16)] int tokensPerPage, [Values] SimdWidth width,
        [Values] KvCacheType keysAndValues)
    {
        AttentionShape shape = new(Heads: 4, KvHeads: 2, headDim, Scale: 0.3f);
        using KernelBench bench = new(width, keysAndValues: keysAndValues);
        KvLayout layout = new(Layers, shape.KvHeads, headDim, bench.Cpu.KvElementBytes);
        HostMemory host = new();
        if (host.PageGranularity == 0) Assert.Ignore("no virtual memory on this system");
        using IVirtualMemory memory = host.CreateVirtualMemory(host.PageGranularity, maxPages: 1000);
        nint first = AllocateAtEnd(memory, tokens * layout.TokenBytes);
        NativeMemory.Clear((void*)first, (nuint)(tokens * layout.TokenBytes));
        KvView kv = new(first, layout.TokenBytes);
        if (tokensPerPage != 0)
        {
            int pages = (tokens + tokensPerPage - 1) / tokensPerPage;
            nint table = AllocateAtEnd(memory, pages * sizeof(nint));
            for (int page = 0; page < pages; page++) ((nint*)table)[page] = first + (nint)(page * tokensPerPage * layout.TokenBytes);
            kv = new KvView(0, layout.TokenBytes, table, tokensPerPage);
        }
        CpuActivations y = bench.Activations(tokens, shape.Heads * headDim, poisoned: true).Cpu;

        foreach ((int position, int length) in ((int, int)[])[(0, tokens), (tokens - 1, 1)])
        {
            CpuActivations qkv = bench.Activations(length, (shape.Heads + (2 * shape.KvHeads)) * headDim).Cpu;
            Batch batch = new();
            batch.Add(kv, new int[length], position, wantsLogits: false);
            bench.Cpu.BeginStep(batch);
            bench.Cpu.Kernels.Attend(qkv, Layers - 1, shape, null, null, null, y);
            Assert.That(KernelBench.Row(y, length - 1).ToArray(), Has.None.NaN);
        }
    }

    /// <summary>Memory that ends where the mapped pages end.</summary>
    private static nint AllocateAtEnd(IVirtualMemory memory, long bytes)
    {
        long mapped = (bytes + memory.PageBytes - 1) / memory.PageBytes * memory.PageBytes;
        nint address = memory.Reserve(mapped + memory.PageBytes);
        for (long offset = 0; offset < mapped; offset += memory.PageBytes) memory.Map(address + (nint)offset, memory.CreatePage());
        return address + (nint)(mapped - bytes);
    }
}
