using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels.Gpu.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Packed;

/// <summary>
/// How a type of stored weights lies in the device's memory in the bits that it has in the file: codes of a few bits and what turns them into numbers, by runs of 32
/// neighbouring columns. A weight is scale * code + offset in float32, rounded to half: the half that it would be widened to. One file a format;
/// <see cref="PackedTile{TFormat}"/> says where things lie.
/// </summary>
internal interface IPackedFormat
{
    static abstract TensorType Type { get; }

    /// <summary>Weights of a stored block, a multiple of 32, and its bytes, or those of what the host makes of it (<see cref="PackedFormat.Recode"/>).</summary>
    static abstract int BlockColumns { get; }

    static abstract int BlockBytes { get; }

    /// <summary>Bits of a code: 2 to 6, or 8.</summary>
    static abstract int Bits { get; }

    static abstract PackedCodeKind Codes { get; }

    /// <summary>What the places of <see cref="PackedCodeKind.Table"/> mean: 16 numbers plus 128, as bytes, the first one lowest.</summary>
    static abstract UInt4 Table { get; }

    /// <summary>What is taken away from an integer before it is multiplied: 0 to 63 from codes of less than 8 bits, 0 to 1023 from others and from what a table has.</summary>
    static abstract int Bias { get; }

    /// <summary>Whether nothing is added and scales are mostly halves: where all of a weight are, numbers are multiplied as halves, which rounds as float32 would.</summary>
    static abstract bool HasHalfScales { get; }

    /// <summary>Neighbouring columns with one scale: 16, 32 or 64.</summary>
    static abstract int GroupColumns { get; }

    /// <summary>Whether anything is added.</summary>
    static abstract bool HasOffsets { get; }

    /// <summary>Whether what is taken away before is each group's own, and not <see cref="Bias"/>.</summary>
    static abstract bool HasZeros { get; }

    /// <summary>Bytes of the scales of a piece of a tile, a multiple of 16.</summary>
    static abstract int ScaleBytes { get; }

    /// <summary>A weight's code.</summary>
    /// <param name="block">Address of the stored block.</param>
    /// <param name="element">Which weight of it.</param>
    static abstract uint LoadCode(long block, int element);

    /// <summary>What the codes of a stored block are multiplied by, of formats with <see cref="HasHalfScales"/>; of others 0.</summary>
    static abstract float StoredScale(long block);

    /// <summary>What is taken away from the codes of a stored block before.</summary>
    static abstract int StoredZero(long block);

    /// <summary>Stores what a run's codes are scaled by.</summary>
    /// <param name="block">Address of the stored block.</param>
    /// <param name="run">The run in it.</param>
    /// <param name="scales">Where the scales of the piece are.</param>
    /// <param name="row">Row in the tile.</param>
    /// <param name="half">0 for a piece's first 32 columns, 1 for the others.</param>
    static abstract void StoreScales(long block, int run, long scales, int row, int half);

    /// <summary>What the codes of a run are scaled by.</summary>
    /// <param name="scales">Where the scales of the piece are in shared memory.</param>
    /// <param name="row">Row in the tile.</param>
    /// <param name="half">0 for a piece's first 32 columns, 1 for the others.</param>
    static abstract PackedScales LoadScales(int scales, int row, int half);
}

/// <summary>What codes stand for.</summary>
internal enum PackedCodeKind
{
    /// <summary>Unsigned integers.</summary>
    Integer,

    /// <summary>Of 8 bits: numbers with 4 exponent and 3 mantissa bits.</summary>
    E4M3,

    /// <summary>Of 4 bits: places in a table of whole numbers.</summary>
    Table,

    /// <summary>Of 4 bits: places in a table of float32, of which each lane has an entry, see <see cref="PackedScales.Entry"/>. Not with <see cref="IPackedFormat.HasHalfScales"/>.</summary>
    FloatTable,
}

/// <summary>What codes are multiplied by and what is added then, for the first and for the last 16 weights of a run.</summary>
internal struct PackedScales
{
    public float Scale, Offset, SecondScale, SecondOffset;

    /// <summary>What is taken away from codes before: 0 to 63, or 1023 where they have 8 bits.</summary>
    public uint Zero;

    /// <summary>What the place means that is the calling lane's number modulo 16, of <see cref="PackedCodeKind.FloatTable"/>.</summary>
    public float Entry;

    /// <summary>The same for all 32.</summary>
    public static PackedScales Create(float scale, float offset, int zero) =>
        new() { Scale = scale, Offset = offset, SecondScale = scale, SecondOffset = offset, Zero = (uint)zero };
}
