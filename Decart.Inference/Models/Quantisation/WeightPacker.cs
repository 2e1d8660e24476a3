using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels.Cpu.Formats;

namespace Decart.Inference.Models.Quantisation;

/// <summary>
/// Re-lays quantised weights in blocks that kernels read: the codes of a group, or of a piece of one, behind their scale. What no block can hold exactly
/// (groups or rows that are no multiple of 32, for NF4 and FP4 of 64) is widened to float32.
/// </summary>
internal static unsafe class WeightPacker
{
    /// <summary>Rows that are unpacked at once: as many as schemes store side by side in a cache line.</summary>
    private const int TileRows = 16;

    /// <summary>Weights of the longest blocks.</summary>
    public const int LongestBlock = 64;

    private const int ShortestBlock = 32;

    private const byte NaN = 0x7F;

    /// <summary>Packs a weight.</summary>
    /// <param name="path">The checkpoint, for error messages.</param>
    /// <param name="weight">The weight.</param>
    /// <param name="memory">Owns what is returned.</param>
    /// <exception cref="ModelLoadException">A code is not a number.</exception>
    public static StoredTensor Pack(string path, QuantisedWeight weight, TensorMemory memory)
    {
        int[]? order = ColumnOrder(weight);
        TensorType type = ChooseType(weight);
        long rowBytes = (long)weight.Columns / type.BlockLength() * type.BlockBytes();
        byte* data = memory.Allocate(checked(rowBytes * weight.Rows));
        bool[] isBad = new bool[weight.Rows];
        Parallel.For(0, (weight.Rows + TileRows - 1) / TileRows, () => new byte[TileRows * (long)weight.Columns], (tile, _, codes) =>
        {
            int first = tile * TileRows, rows = Math.Min(TileRows, weight.Rows - first);
            weight.ReadCodes(first, rows, codes.AsSpan(0, rows * weight.Columns));
            for (int row = 0; row < rows; row++)
            {
                ReadOnlySpan<byte> rowCodes = codes.AsSpan(row * weight.Columns, weight.Columns);
                isBad[first + row] = weight.Kind == CodeKind.E4M3 && rowCodes.ContainsAny(NaN, (byte)(NaN | 0x80));
                PackRow(weight, type, order, first + row, rowCodes, data + ((first + row) * rowBytes));
            }
            return codes;
        }, _ => { });
        if (Array.IndexOf(isBad, true) is >= 0 and var badRow) throw new ModelLoadException(path, weight.Name, $"expected numbers, found NaN in row {badRow}");
        return new StoredTensor(weight.Name, type, [weight.Rows, weight.Columns], (nint)data) { ColumnOrder = order is null || type == TensorType.F32 ? default : [.. order] };
    }

    private static TensorType ChooseType(QuantisedWeight weight)
    {
        int length = BlockLength(weight);
        return weight.Kind switch
        {
            _ when length == 0 => TensorType.F32,
            CodeKind.NF4 or CodeKind.FP4 => length < LongestBlock ? TensorType.F32 : weight.Kind == CodeKind.NF4 ? TensorType.NF4x64 : TensorType.FP4x64,
            CodeKind.E4M3 => weight.Scales.All(scale => float.IsFinite(scale * E4M3Header.Factor))
                ? length == ShortestBlock ? TensorType.E4M3x32 : TensorType.E4M3x64
                : TensorType.F32,
            _ when weight.Bits == 4 && weight.Scales.All(Int4Header.Fits) => length == ShortestBlock ? TensorType.Int4x32 : TensorType.Int4x64,
            _ => length == ShortestBlock ? TensorType.Int8x32 : TensorType.Int8x64,
        };
    }

    /// <summary>The longest block that makes up rows and groups; 0 if none does.</summary>
    private static int BlockLength(QuantisedWeight weight)
    {
        if (weight.RunLength != 0) return 0;
        int[] groups = weight.GroupOfColumn is { } groupOf
            ? [.. groupOf.CountBy(group => group).Select(group => group.Value)]
            : weight.GroupColumns < weight.Columns ? [weight.GroupColumns] : [];
        for (int length = LongestBlock; length >= ShortestBlock; length /= 2)
        {
            if (weight.Columns % length == 0 && Array.TrueForAll(groups, group => group % length == 0)) return length;
        }
        return 0;
    }

    /// <summary>Scattered columns group by group; null where groups are neighbours.</summary>
    private static int[]? ColumnOrder(QuantisedWeight weight) =>
        weight.GroupOfColumn is { } groupOf ? [.. Enumerable.Range(0, groupOf.Length).OrderBy(column => groupOf[column])] : null;

    private static void PackRow(QuantisedWeight weight, TensorType type, int[]? order, int row, ReadOnlySpan<byte> codes, byte* destination)
    {
        if (type == TensorType.F32)
        {
            for (int i = 0; i < codes.Length; i++) Unsafe.WriteUnaligned(destination + (i * (long)sizeof(float)), Value(weight, codes[i], weight.Group(row, i)));
            return;
        }
        int length = type.BlockLength();
        Span<byte> ordered = stackalloc byte[LongestBlock];
        for (int start = 0; start < codes.Length; start += length)
        {
            int group = weight.Group(row, order?[start] ?? start), zero = weight.ZeroOf(group);
            float scale = weight.Scales[group];
            ReadOnlySpan<byte> block = order is null ? codes.Slice(start, length) : Gather(codes, order.AsSpan(start, length), ordered);
            switch (type)
            {
                case TensorType.Int4x32 or TensorType.Int4x64:
                    destination = Write(destination, Int4Header.Compose(scale, zero));
                    destination = WriteNibbles(destination, block);
                    break;
                case TensorType.Int8x32 or TensorType.Int8x64:
                    destination = Write(destination, scale);
                    destination = Write(destination, (float)zero);
                    destination = WriteBytes(destination, block);
                    break;
                case TensorType.E4M3x32 or TensorType.E4M3x64:
                    destination = Write(destination, scale * E4M3Header.Factor);
                    destination = WriteBytes(destination, block);
                    break;
                default:
                    destination = Write(destination, scale);
                    destination = WriteNibbles(destination, block);
                    break;
            }
        }
    }

    private static ReadOnlySpan<byte> Gather(ReadOnlySpan<byte> codes, ReadOnlySpan<int> columns, Span<byte> ordered)
    {
        for (int i = 0; i < columns.Length; i++) ordered[i] = codes[columns[i]];
        return ordered[..columns.Length];
    }

    /// <summary>One weight, rounded to float32 once.</summary>
    private static float Value(QuantisedWeight weight, byte code, int group) => weight.Scales[group] * weight.Kind switch
    {
        CodeKind.Integer => code - weight.ZeroOf(group),
        CodeKind.E4M3 => BitConverter.UInt32BitsToSingle(((uint)(code & 0x80) << 24) | ((uint)(code & 0x7F) << 20)) * E4M3Header.Factor,
        CodeKind.NF4 => NormalFloat4.Table[code],
        _ => BitsAndBytesFloat4.Table[code],
    };

    private static byte* Write<T>(byte* destination, T value)
        where T : unmanaged
    {
        Unsafe.WriteUnaligned(destination, value);
        return destination + sizeof(T);
    }

    private static byte* WriteBytes(byte* destination, ReadOnlySpan<byte> codes)
    {
        codes.CopyTo(new Span<byte>(destination, codes.Length));
        return destination + codes.Length;
    }

    /// <summary>Of each 32 codes, the first half in the low nibbles of 16 bytes, the second in the high ones.</summary>
    private static byte* WriteNibbles(byte* destination, ReadOnlySpan<byte> codes)
    {
        for (; !codes.IsEmpty; codes = codes[32..], destination += 16)
            (Vector128.Create(codes[..16]) | (Vector128.Create(codes[16..32]) << 4)).Store(destination);
        return destination;
    }
}
