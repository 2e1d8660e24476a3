namespace Decart.Inference.Kernels.Gpu;

/// <summary>How many blocks of how many rows a batch's experts have at most; see <see cref="ExpertBlock"/>. It decides on speed, never on bits.</summary>
/// <param name="Rows">Rows of a block, a power of two from 8 on.</param>
/// <param name="Most">The most blocks that there may be.</param>
/// <param name="Typical">Blocks that may be expected.</param>
internal readonly record struct ExpertBlocks(int Rows, int Most, int Typical)
{
    /// <summary>Rows of x whose products take as long as the bytes of the weight that they are multiplied with, about.</summary>
    private const int RowsOfBytes = 128;

    public int MostRows => checked(Most * Rows);

    /// <summary>The fastest blocks, or nearly.</summary>
    /// <param name="pairs">Tokens, each as often as it has experts.</param>
    /// <param name="experts">Experts of the model.</param>
    /// <param name="mostRows">The most rows of a block that there is a kernel for.</param>
    public static ExpertBlocks Best(int pairs, int experts, int mostRows)
    {
        // With few tokens these have an expert each.
        int used = Math.Min(pairs, experts), typicalRows = (pairs + used - 1) / used;
        ExpertBlocks best = default;
        long least = long.MaxValue;
        for (int rows = 8; rows <= mostRows; rows *= 2)
        {
            // An expert's last block is half full.
            int blocks = Math.Max(1, (typicalRows + (rows / 2)) / rows);
            long cost = (long)blocks * Math.Max(rows, RowsOfBytes);
            if (cost >= least) continue;
            least = cost;
            best = new ExpertBlocks(rows, (pairs / rows) + used, blocks * used);
        }
        return best with { Most = Math.Min(pairs, best.Most) };
    }
}
