using System.Runtime.CompilerServices;
using Decart.Inference.Kernels.Cpu.Formats;
using Decart.Inference.Kernels.Gpu.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Packed;

/// <summary>
/// What the host makes of blocks of 256 weights that are points of a grid, since grids have up to 2,048 points, and all coordinates of a format at most 16 values: f16 d, for each 16 weights a byte s,
/// and for each weight a nibble, its value's place in <see cref="IGrid.Table"/>, the first weight in the low one.
/// </summary>
internal static unsafe class GridBlocks
{
    public const int Columns = 256, CodesOffset = sizeof(ushort) + Runs, Bytes = CodesOffset + (Columns / 2);

    private const int Runs = 16;

    /// <summary>Looks the points of a stored block up.</summary>
    /// <param name="block">The block.</param>
    /// <param name="destination"><see cref="Bytes"/>.</param>
    public static void Recode<TStored, TGrid>(byte* block, byte* destination)
        where TStored : ITableFormat<TStored>
        where TGrid : IGrid
    {
        sbyte* values = stackalloc sbyte[Columns];
        float* scales = stackalloc float[Runs];
        TStored.Unpack(block, values, scales);
        ushort scale = TGrid.LoadScale(block);
        Unsafe.WriteUnaligned(destination, scale);
        // Scales are the unit times odd numbers up to 31: what is found is exact.
        float unit = (float)BitConverter.UInt16BitsToHalf(scale) * TGrid.Unit;
        for (int run = 0; run < Runs; run++) destination[sizeof(ushort) + run] = unit != 0 && float.IsFinite(unit) ? (byte)(scales[run] / unit) : (byte)1;
        ReadOnlySpan<byte> places = Places<TGrid>.OfValues;
        for (int i = 0; i < Columns; i += 2) destination[CodesOffset + (i / 2)] = (byte)(places[values[i] + 128] | (places[values[i + 1] + 128] << 4));
    }

    private static class Places<TGrid>
        where TGrid : IGrid
    {
        /// <summary>For each value, plus 128, its place in the table.</summary>
        public static readonly byte[] OfValues = Invert(TGrid.Table);

        private static byte[] Invert(UInt4 table)
        {
            byte[] places = new byte[256];
            uint[] words = [table.A, table.B, table.C, table.D];
            // The first of equal ones is the one that counts.
            for (int place = 15; place >= 0; place--) places[(words[place / 4] >> (place % 4 * 8)) & 0xFF] = (byte)place;
            return places;
        }
    }
}
