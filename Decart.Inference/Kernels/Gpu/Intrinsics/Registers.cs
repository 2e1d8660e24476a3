namespace Decart.Inference.Kernels.Gpu.Intrinsics;

/// <summary>Four 32-bit registers: 16 bytes of memory, or a matrix fragment of eight halves.</summary>
internal struct UInt4
{
    public uint A, B, C, D;
}

/// <summary>Two float32 registers.</summary>
internal struct Float2
{
    public float A, B;
}

/// <summary>Four float32 registers: 16 bytes of memory, or an accumulator fragment.</summary>
internal struct Float4
{
    public float A, B, C, D;
}

/// <summary>A thread's 4 accumulators of 64 x 8; see <see cref="Tile64"/>.</summary>
internal partial struct Tile8
{
    public Float4 T0;
}

/// <summary>A thread's 8 accumulators of 64 x 16.</summary>
internal partial struct Tile16
{
    public Float4 T0, T1;
}

/// <summary>A thread's 16 accumulators of 64 x 32.</summary>
internal partial struct Tile32
{
    public Float4 T0, T1, T2, T3;
}

/// <summary>
/// A thread's 32 accumulators of the 64 x 64 that a <see cref="WarpGroup"/> holds: tile t has columns 8t to 8t + 7. With g = lane / 4, c = lane % 4 and
/// row = 16 warp + g, a tile holds A: (row, 2c), B: (row, 2c + 1), C: (row + 8, 2c), D: (row + 8, 2c + 1).
/// </summary>
internal partial struct Tile64
{
    public Float4 T0, T1, T2, T3, T4, T5, T6, T7;

    /// <summary>The tile without its first 8 columns: a loop goes through a thread's fragments so, as registers have no indices.</summary>
    public static Tile64 Shift(Tile64 tile) => new() { T0 = tile.T1, T1 = tile.T2, T2 = tile.T3, T3 = tile.T4, T4 = tile.T5, T5 = tile.T6, T6 = tile.T7 };
}

/// <summary>A thread's 64 accumulators of 64 x 128.</summary>
internal partial struct Tile128
{
    public Tile64 Left, Right;
}

/// <summary>A thread's 96 accumulators of 64 x 192.</summary>
internal struct Tile192
{
    public Tile128 Left;

    public Tile64 Right;
}

/// <summary>A thread's 128 accumulators of 64 x 256.</summary>
internal struct Tile256
{
    public Tile128 Left, Right;
}
