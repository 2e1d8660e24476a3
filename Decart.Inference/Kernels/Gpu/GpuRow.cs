using System.Runtime.InteropServices;
using Decart.Inference.Kernels.Gpu.Intrinsics;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>What kernels know of one row of the batch: its token, and where its sequence's keys and values are.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct GpuRow
{
    public const int Bytes = 56;

    /// <summary>Address of token 0, or 0 with a page table.</summary>
    public long Kv;

    /// <summary>Address of the array of the pages' addresses, or 0.</summary>
    public long PageTable;

    /// <summary>Bytes from one token to the next.</summary>
    public long TokenBytes;

    /// <summary>Logarithm of the tokens of a page.</summary>
    public int PageShift;

    public int Position;

    public int TokenId;

    /// <summary>Where the row's partial results of attention begin, in slots.</summary>
    public int PartialStart;

    /// <summary>See <see cref="Memory.KvView.RotaryLength"/>.</summary>
    public int RotaryLength;

    /// <summary>Address of a tensor map of the keys and values of the chunk (rows are tokens, columns their elements), or 0.</summary>
    public long Map;

    /// <summary>Reads row <paramref name="index"/> of an array in the device's memory, without its token and map.</summary>
    public static GpuRow Load(long rows, int index)
    {
        long address = rows + ((long)index * Bytes);
        return new GpuRow
        {
            Kv = Global.LoadLong(address),
            PageTable = Global.LoadLong(address + 8),
            TokenBytes = Global.LoadLong(address + 16),
            PageShift = Global.LoadInt(address + 24),
            Position = Global.LoadInt(address + 28),
            PartialStart = Global.LoadInt(address + 36),
            RotaryLength = Global.LoadInt(address + 40),
        };
    }

    public static long LoadMap(long rows, int index) => Global.LoadLong(rows + ((long)index * Bytes) + 48);

    public static int LoadTokenId(long rows, int index) => Global.LoadInt(rows + ((long)index * Bytes) + 32);

    /// <summary>Where the elements of a token begin.</summary>
    public static long TokenAddress(GpuRow row, int token)
    {
        if (row.PageTable == 0) return row.Kv + (token * row.TokenBytes);
        long page = Global.LoadLong(row.PageTable + ((long)(token >> row.PageShift) * sizeof(long)));
        return page + ((token & ((1 << row.PageShift) - 1)) * row.TokenBytes);
    }
}
