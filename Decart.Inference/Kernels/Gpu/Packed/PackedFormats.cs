using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels.Cpu.Formats;
using Decart.Inference.Kernels.Gpu.Tiles;

namespace Decart.Inference.Kernels.Gpu.Packed;

/// <summary>The kernels for weights of one type that stay in few bits.</summary>
internal abstract class PackedFormat : IPackedTiles
{
    /// <summary>Every format, by the type that is stored.</summary>
    private static readonly Dictionary<TensorType, PackedFormat> ByType = new PackedFormat[]
    {
        new PackedFormat<PackedQ4_0>(), new PackedFormat<PackedQ4_1>(), new PackedFormat<PackedQ5_0>(), new PackedFormat<PackedQ5_1>(), new PackedFormat<PackedQ8_0>(),
        new PackedFormat<PackedQ2_K>(), new PackedFormat<PackedQ3_K>(), new PackedFormat<PackedQ4_K>(), new PackedFormat<PackedQ5_K>(), new PackedFormat<PackedQ6_K>(),
        new PackedFormat<PackedIQ4_NL>(), new PackedFormat<PackedIQ4_XS>(),
        new PackedFormat<PackedMXFP4>(), new PackedFormat<PackedTQ1_0>(), new PackedFormat<PackedTQ2_0>(), new PackedFormat<PackedQ8_K>(),
        OfGrid<IQ1_SFormat, GridIQ1_S>(), OfGrid<IQ1_MFormat, GridIQ1_M>(),
        OfGrid<IQ2_XXSFormat, GridIQ2_XXS>(), OfGrid<IQ2_XSFormat, GridIQ2_XS>(), OfGrid<IQ2_SFormat, GridIQ2_S>(),
        OfGrid<IQ3_XXSFormat, GridIQ3_XXS>(), OfGrid<IQ3_SFormat, GridIQ3_S>(),
        new PackedFormat<PackedInt4<Group32>>(), new PackedFormat<PackedInt4<Group64>>(), new PackedFormat<PackedInt8<Group32>>(), new PackedFormat<PackedInt8<Group64>>(),
        new PackedFormat<PackedE4M3<Group32>>(), new PackedFormat<PackedE4M3<Group64>>(),
        new PackedFormat<PackedFloat4<NormalFloat4>>(), new PackedFormat<PackedFloat4<BitsAndBytesFloat4>>(),
    }.ToDictionary(format => format.Type);

    public static IEnumerable<PackedFormat> All => ByType.Values;

    public abstract TensorType Type { get; }

    /// <summary>Makes of a stored block the one that <see cref="Store"/> takes, of as many weights; null where it takes those that are stored.</summary>
    public BlockRecoder? Recode { get; init; }

    /// <summary>Bytes of a block that <see cref="Store"/> takes.</summary>
    public abstract int BlockBytes { get; }

    /// <inheritdoc/>
    public abstract int PieceBytes { get; }

    /// <summary>The ways in which its weights are scaled, the best one last; all have float32.</summary>
    public abstract IReadOnlyList<PackedScaling> Scalings { get; }

    /// <summary>Brings stored rows into the device's memory.</summary>
    public abstract GpuKernel<StoreWeightsArguments> Store { get; }

    /// <summary>Takes rows of a table, a group for each row and each <see cref="EmbedColumns"/>.</summary>
    public abstract GpuKernel<EmbedArguments> Embed { get; }

    /// <summary>Columns of a group of <see cref="Embed"/>.</summary>
    public abstract int EmbedColumns { get; }

    public abstract IEnumerable<GpuKernel> Kernels { get; }

    /// <summary>The format of weights of a type; null where there is none and they are widened.</summary>
    public static PackedFormat? Of(TensorType type) => ByType.GetValueOrDefault(type);

    /// <inheritdoc/>
    public abstract int MaxTiles(int blockRows);

    /// <summary>Multiplies blocks of as many rows of x.</summary>
    /// <param name="blockRows">Rows of a block.</param>
    /// <param name="tilesPerPass">The most tiles of a pass: it decides on speed, never on bits.</param>
    /// <param name="scaling">One of <see cref="Scalings"/>.</param>
    public abstract GpuKernel<MatMulArguments> MatMul(int blockRows, int tilesPerPass, PackedScaling scaling);

    private static unsafe PackedFormat<PackedGrid<TGrid>> OfGrid<TStored, TGrid>()
        where TStored : ITableFormat<TStored>
        where TGrid : IGrid => new() { Recode = GridBlocks.Recode<TStored, TGrid> };
}

/// <summary>Makes of a block another one.</summary>
internal unsafe delegate void BlockRecoder(byte* block, byte* destination);

/// <inheritdoc/>
internal sealed class PackedFormat<TFormat> : PackedFormat
    where TFormat : IPackedFormat
{
    public override TensorType Type => TFormat.Type;

    public override int BlockBytes => TFormat.BlockBytes;

    public override int PieceBytes => PackedTile<TFormat>.Bytes;

    public override IReadOnlyList<PackedScaling> Scalings { get; } =
    [
        PackedScaling.Floats,
        .. TFormat.HasHalfScales && (TFormat.HasZeros || !PackedNumbers<TFormat>.CanFuse) ? [PackedScaling.Halves] : (PackedScaling[])[],
        .. PackedNumbers<TFormat>.CanFuse ? [PackedScaling.FusedHalves] : (PackedScaling[])[],
    ];

    public override GpuKernel<StoreWeightsArguments> Store => GpuPackWeights<TFormat>.Kernel;

    public override GpuKernel<EmbedArguments> Embed => GpuPackedEmbed<TFormat>.Kernel;

    public override int EmbedColumns => GpuPackedEmbed<TFormat>.Columns;

    public override IEnumerable<GpuKernel> Kernels =>
    [
        Store, Embed,
        .. (from rows in BlockSums.Sizes
            from tiles in (int[])[1, MaxTiles(rows)]
            from scaling in Scalings
            select MatMul(rows, tiles, scaling)).Distinct(),
    ];

    public override int MaxTiles(int blockRows) => BlockSums.For<MostTiles, int>(blockRows);

    public override GpuKernel<MatMulArguments> MatMul(int blockRows, int tilesPerPass, PackedScaling scaling) => scaling switch
    {
        PackedScaling.FusedHalves => MatMul<FusedScaling>(blockRows, tilesPerPass),
        PackedScaling.Halves => MatMul<HalfScaling>(blockRows, tilesPerPass),
        _ => MatMul<FloatScaling>(blockRows, tilesPerPass),
    };

    private static GpuKernel<MatMulArguments> MatMul<TScaling>(int blockRows, int tilesPerPass)
        where TScaling : IPackedScaling => (blockRows, tilesPerPass <= GpuRelayMatMul<TFormat, TScaling, Sums8>.MaxTiles) switch
        {
            (8, true) => GpuRelayMatMul<TFormat, TScaling, Sums8>.Kernel,
            (16, true) => GpuRelayMatMul<TFormat, TScaling, Sums16>.Kernel,
            (32, true) => GpuRelayMatMul<TFormat, TScaling, Sums32>.Kernel,
            _ => BlockSums.For<Held<TScaling>, GpuKernel<MatMulArguments>>(blockRows),
        };

    private readonly struct MostTiles : IBlockChoice<int>
    {
        public static int Of<TSums>()
            where TSums : unmanaged, IHeldSums<TSums>, ICodeSums<TSums> => GpuHeldMatMul<TFormat, FloatScaling, TSums>.MaxTiles;
    }

    private readonly struct Held<TScaling> : IBlockChoice<GpuKernel<MatMulArguments>>
        where TScaling : IPackedScaling
    {
        public static GpuKernel<MatMulArguments> Of<TSums>()
            where TSums : unmanaged, IHeldSums<TSums>, ICodeSums<TSums> => GpuHeldMatMul<TFormat, TScaling, TSums>.Kernel;
    }
}
