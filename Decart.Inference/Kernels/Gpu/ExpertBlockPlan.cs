namespace Decart.Inference.Kernels.Gpu;

/// <summary>How many blocks of how many rows a batch's experts have; see <see cref="ExpertBlock"/>. It decides on speed, never on bits.</summary>
/// <param name="Rows">Rows of a block, a power of two from 8 on.</param>
/// <param name="Most">The most blocks that there may be.</param>
/// <param name="Typical">Blocks that may be expected.</param>
internal readonly record struct ExpertBlockPlan(int Rows, int Most, int Typical)
{
    /// <summary>The most rows of a block: their products take as long as the bytes of the weight that they are multiplied with, about.</summary>
    public const int MaxRows = 128;

    /// <summary>Rows of all blocks, gaps included: never more for fewer pairs, since memory that recorded launches use should not move.</summary>
    public int MostRows => checked(Most * Rows);

    /// <summary>Blocks that an expert's rows seldom need a second of, as each reads the whole weight.</summary>
    /// <param name="pairs">Tokens, each as often as it has experts.</param>
    /// <param name="experts">Experts of the model.</param>
    /// <param name="maxRows">The most rows of a block that there is a kernel for.</param>
    public static ExpertBlockPlan Create(int pairs, int experts, int maxRows)
    {
        // With few tokens these have an expert each.
        int used = Math.Min(pairs, experts), typicalRows = (pairs + used - 1) / used, rows = 8;
        while (rows < maxRows && 2 * typicalRows >= 3 * rows) rows *= 2;
        return new ExpertBlockPlan(rows, Math.Min(pairs, (pairs / rows) + used), used * ((typicalRows + rows - 1) / rows));
    }
}
