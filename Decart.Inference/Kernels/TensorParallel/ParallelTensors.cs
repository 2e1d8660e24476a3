using Decart.Inference.Checkpoints;

namespace Decart.Inference.Kernels.TensorParallel;

/// <summary>A weight of which each rank has its part, or all.</summary>
/// <param name="whole">Its parts' content, as for one device.</param>
/// <param name="ranks">What each rank has; owned.</param>
/// <param name="copies">What the ranks' weights read beside the checkpoint; owned.</param>
internal sealed class ParallelWeight(WeightParts whole, Weight[] ranks, TensorMemory[] copies) : Weight(whole.Rows, whole.Columns)
{
    public Weight this[int rank] => ranks[rank];

    /// <summary>What each rank multiplies for the logits of its tokens; null where the first rank multiplies all rows.</summary>
    public IReadOnlyList<Weight>? Outputs { get; private set; } = whole.RowSplit == Split.Vocabulary ? ranks : null;

    /// <summary>Whether products are sums over all ranks.</summary>
    public bool SplitsColumns { get; } = whole.ColumnSplit != Split.None;

    /// <summary>Lets each rank compute the logits of its tokens from a table that all ranks have whole, where its layout allows that.</summary>
    public void ShareOutputs(Division division)
    {
        Weight?[] outputs = new Weight?[ranks.Length];
        for (int rank = 0; rank < outputs.Length; rank++)
        {
            Share own = division.Of(Split.Vocabulary, Rows, gated: false, rank)[0];
            outputs[rank] = ranks[rank].Slice(own.Start, own.Count);
        }
        if (Array.TrueForAll(outputs, output => output is not null)) Outputs = outputs!;
    }

    public override void Dispose()
    {
        foreach (Weight weight in ranks) weight?.Dispose();
        foreach (TensorMemory memory in copies) memory.Dispose();
    }
}

/// <summary>A vector of which each rank has its part, or all.</summary>
/// <param name="length">Elements of the whole.</param>
/// <param name="ranks">What each rank has; owned.</param>
internal sealed class ParallelVector(int length, WeightVector[] ranks) : WeightVector(length)
{
    public WeightVector this[int rank] => ranks[rank];

    public override void Dispose()
    {
        foreach (WeightVector vector in ranks) vector?.Dispose();
    }
}

/// <summary>The same table on every rank.</summary>
/// <param name="ranks">Those of the ranks; owned.</param>
internal sealed class ParallelRotaryTable(RotaryTable[] ranks) : RotaryTable
{
    public RotaryTable this[int rank] => ranks[rank];

    public override void Dispose()
    {
        foreach (RotaryTable table in ranks) table?.Dispose();
    }
}

/// <summary>Activations of which each rank has its columns, or all; of those that are divided by tokens the first rank has all, to which the others send theirs.</summary>
/// <param name="rows">Rows.</param>
/// <param name="columns">Columns of the whole.</param>
/// <param name="ranks">What each rank has; owned.</param>
internal sealed class ParallelActivations(int rows, int columns, Activations[] ranks) : Activations(rows, columns)
{
    public Activations this[int rank] => ranks[rank];

    public override void Dispose()
    {
        foreach (Activations activations in ranks) activations?.Dispose();
    }
}
