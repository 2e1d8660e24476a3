using Decart.Inference.Kernels.Gpu.Tiles;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// Neighbouring tiles of a weight times a block of x, and where a group is among its passes. With experts they are what a kernel in front has written, which must have been waited for.
/// </summary>
internal struct GpuRingMatMulPass
{
    /// <summary>The most tiles of a weight of halves, and of passes in turn; <see cref="IPackedTiles.MaxTiles"/> has those of few bits.</summary>
    public const int MaxTiles = CoreTiles.WeightBlockRows / CoreTiles.TileRows;

    public int XBlock, Tile, Tiles;

    public long Weight;

    private int _index, _end, _step;

    /// <summary>
    /// A group's first pass. With <see cref="MatMulArguments.GroupsPerBlock"/> it takes neighbouring tiles, its share of all, as evenly cut as can be; else passes of
    /// eight tiles in turn with the other groups, all blocks of x for the same tiles one after another; with experts, all tiles for the same block.
    /// </summary>
    public static GpuRingMatMulPass First(MatMulArguments a)
    {
        int tiles = a.WeightRows / CoreTiles.TileRows;
        GpuRingMatMulPass pass = default;
        if (a.GroupsPerBlock != 0)
        {
            int share = Grid.IdxX % a.GroupsPerBlock, units = (tiles + a.TilesPerUnit - 1) / a.TilesPerUnit;
            pass.XBlock = Grid.IdxX / a.GroupsPerBlock;
            pass._index = share * units / a.GroupsPerBlock * a.TilesPerUnit;
            pass._end = (share + 1) * units / a.GroupsPerBlock * a.TilesPerUnit;
            if (pass._end > tiles) pass._end = tiles;
            pass._step = a.TilesPerPass;
        }
        else
        {
            pass._index = Grid.IdxX;
            pass._end = a.ExpertBlocks != 0 ? ExpertBlock.Count(a.ExpertBlocks) * ExpertPasses(a) : a.XBlocks * ((tiles + MaxTiles - 1) / MaxTiles);
            pass._step = Grid.DimX;
        }
        return Place(a, pass);
    }

    public static bool Exists(GpuRingMatMulPass pass) => pass._index < pass._end;

    /// <summary>Where the rows of the pass's block end, if not before.</summary>
    /// <param name="a">The operation.</param>
    /// <param name="pass">The pass.</param>
    /// <param name="count">The number of rows, where there are no experts.</param>
    public static int End(MatMulArguments a, GpuRingMatMulPass pass, int count) => a.ExpertBlocks != 0 ? ExpertBlock.Load(a.ExpertBlocks, pass.XBlock).End : count;

    public static GpuRingMatMulPass Next(MatMulArguments a, GpuRingMatMulPass pass)
    {
        pass._index += pass._step;
        return Place(a, pass);
    }

    /// <summary>Passes of a block of an expert's rows, all of the same number of tiles.</summary>
    private static int ExpertPasses(MatMulArguments a) => a.WeightRows / CoreTiles.TileRows / a.TilesPerPass;

    private static GpuRingMatMulPass Place(MatMulArguments a, GpuRingMatMulPass pass)
    {
        int end = pass._end;
        pass.Weight = a.Weight;
        if (a.ExpertBlocks != 0)
        {
            if (!Exists(pass)) return pass;
            int passes = ExpertPasses(a);
            pass.XBlock = pass._index / passes;
            pass.Tile = (pass._index - (pass.XBlock * passes)) * a.TilesPerPass;
            end = a.WeightRows / CoreTiles.TileRows;
            pass.Weight = ExpertBlock.Weight(a, ExpertBlock.Load(a.ExpertBlocks, pass.XBlock));
        }
        else if (a.GroupsPerBlock != 0)
        {
            pass.Tile = pass._index;
        }
        else
        {
            int tiles = pass._index / a.XBlocks;
            pass.XBlock = pass._index - (tiles * a.XBlocks);
            pass.Tile = tiles * MaxTiles;
            end = a.WeightRows / CoreTiles.TileRows;
        }
        pass.Tiles = end - pass.Tile < a.TilesPerPass ? end - pass.Tile : a.TilesPerPass;
        return pass;
    }
}
