using System.Runtime.InteropServices;
using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Memory;

namespace Decart.Inference.Tests.Kernels.Gpu;

/// <summary>
/// Keys and values of one sequence in the device's memory: one range, or pages in random order behind a page table. Every element is not a number
/// until it is written, a token before and a token behind for ever: disposal checks that.
/// </summary>
internal sealed class GpuTestKv : IDisposable
{
    private readonly IGpuDevice _device;
    private readonly GpuBuffer _memory, _table;
    private readonly nint[] _pages;
    private readonly int _tokensPerPage;

    /// <summary>Makes room for tokens, in one range when <paramref name="tokensPerPage"/> is 0.</summary>
    public GpuTestKv(IGpuDevice device, KvLayout layout, int tokens, int tokensPerPage = 0)
    {
        (_device, Layout, Tokens, _tokensPerPage) = (device, layout, tokens, tokensPerPage);
        int pageTokens = tokensPerPage == 0 ? Math.Max(tokens, 1) : tokensPerPage, pages = Math.Max(1, (tokens + pageTokens - 1) / pageTokens);
        GuardBytes = (layout.TokenBytes + 255) / 256 * 256;
        _memory = new GpuBuffer(device.Memory, (2 * GuardBytes) + (pages * pageTokens * layout.TokenBytes));
        byte[] poison = new byte[_memory.Bytes];
        poison.AsSpan().Fill(0xFF);
        device.Upload(_memory.Address, poison);
        int[] places = [.. Enumerable.Range(0, pages)];
        new Random(tokens).Shuffle(places);
        _pages = [.. places.Select(place => (nint)(_memory.Address + GuardBytes + (place * pageTokens * layout.TokenBytes)))];
        _table = new GpuBuffer(device.Memory, pages * sizeof(long));
        device.Upload(_table.Address, MemoryMarshal.AsBytes(_pages.AsSpan()));
    }

    public KvLayout Layout { get; }

    public int Tokens { get; }

    public KvView View => _tokensPerPage == 0
        ? new KvView(_pages[0], Layout.TokenBytes)
        : new KvView(0, Layout.TokenBytes, _table.Address, _tokensPerPage);

    private long GuardBytes { get; }

    public void Write(int token, ReadOnlySpan<Half> elements) => _device.Upload(Address(token), MemoryMarshal.AsBytes(elements));

    public Half[] Read(int token)
    {
        Half[] elements = new Half[Layout.TokenBytes / sizeof(short)];
        _device.Download(Address(token), MemoryMarshal.AsBytes(elements.AsSpan()));
        return elements;
    }

    /// <summary>What the codes of a token's keys and values in a layer stand for, as <see cref="GpuKv"/> has them.</summary>
    public float[] ReadCodes(int token, int layer)
    {
        byte[] bytes = new byte[Layout.TokenBytes];
        _device.Download(Address(token), bytes);
        ReadOnlySpan<byte> codes = bytes.AsSpan(Layout.LayerOffset(layer));
        ReadOnlySpan<Half> scales = MemoryMarshal.Cast<byte, Half>(bytes.AsSpan(Layout.ScaleOffset(layer)));
        float[] numbers = new float[2 * Layout.KvHeads * Layout.HeadDim];
        for (int i = 0; i < numbers.Length; i++)
        {
            int head = i / Layout.HeadDim, dim = i % Layout.HeadDim, scale = head < Layout.KvHeads ? 2 * head : (2 * (head - Layout.KvHeads)) + 1;
            numbers[i] = (float)RoundedHeads.Number(codes[(head * Layout.HeadBytes) + GpuKv.Place(dim)]) * (float)scales[scale];
        }
        return numbers;
    }

    public void Dispose()
    {
        byte[] memory = new byte[_memory.Bytes];
        _device.Download(_memory.Address, memory);
        bool intact = !memory.AsSpan(0, (int)GuardBytes).ContainsAnyExcept((byte)0xFF) && !memory.AsSpan(^(int)GuardBytes..).ContainsAnyExcept((byte)0xFF);
        _memory.Dispose();
        _table.Dispose();
        Assert.That(intact, "nothing is written beside the tokens");
    }

    private nint Address(int token) => _tokensPerPage == 0
        ? _pages[0] + (nint)(token * Layout.TokenBytes)
        : _pages[token / _tokensPerPage] + (nint)(token % _tokensPerPage * Layout.TokenBytes);
}
