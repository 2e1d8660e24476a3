using Decart.Inference.Checkpoints;

namespace Decart.Inference.Kernels.TensorParallel;

/// <summary>Has each rank make its part of a tensor, all at once, each from its part of the checkpoint.</summary>
/// <param name="team">The ranks' threads.</param>
/// <param name="ranks">Their factories.</param>
internal sealed class ParallelTensorFactory(RankTeam team, ITensorFactory[] ranks) : ITensorFactory, IDisposable
{
    private readonly TensorMemory[] _copies = [.. ranks.Select(_ => new TensorMemory())];
    private Division? _division;

    public bool ReadsWeightsInPlace => ranks[0].ReadsWeightsInPlace;

    /// <summary>Who has what.</summary>
    /// <exception cref="InvalidOperationException">It was not said for which model.</exception>
    public Division Division
    {
        get => _division ?? throw new InvalidOperationException("Tensors of a model that was not divided were asked for.");
        set => _division = value;
    }

    public Weight CreateWeight(WeightParts parts)
    {
        // Copies that weights are made from are read once; those that are read in place live as long as the weight.
        TensorMemory[] copies = ReadsWeightsInPlace ? [.. ranks.Select(_ => new TensorMemory())] : _copies;
        Weight[] weights = new Weight[ranks.Length];
        ParallelWeight weight = new(parts, weights, ReadsWeightsInPlace ? copies : []);
        Create(weight, rank =>
        {
            weights[rank] = ranks[rank].CreateWeight(RankParts.Of(parts, Division, rank, copies[rank]));
            if (!ReadsWeightsInPlace) copies[rank].Recycle();
        });
        if (parts.IsTable) weight.ShareOutputs(Division);
        return weight;
    }

    public WeightVector CreateVector(VectorParts parts, float offset = 0)
    {
        WeightVector[] vectors = new WeightVector[ranks.Length];
        return Create(new ParallelVector(parts.Length, vectors), rank => vectors[rank] = ranks[rank].CreateVector(RankParts.Of(parts, Division, rank), offset));
    }

    public RotaryTable CreateRotary(RotaryParameters parameters)
    {
        RotaryTable[] tables = new RotaryTable[ranks.Length];
        return Create(new ParallelRotaryTable(tables), rank => tables[rank] = ranks[rank].CreateRotary(parameters));
    }

    public Activations CreateActivations(int rows, int columns, bool operand = false, Split split = Split.None)
    {
        Activations[] activations = new Activations[ranks.Length];
        return Create(new ParallelActivations(rows, columns, activations), rank =>
        {
            bool all = split == Split.None || (split == Split.Vocabulary && rank == 0);
            activations[rank] = ranks[rank].CreateActivations(rows, all ? columns : Division.Count(split, columns, gated: false, rank), operand);
        });
    }

    public void Dispose()
    {
        foreach (TensorMemory memory in _copies) memory.Dispose();
    }

    private T Create<T>(T tensor, Action<int> create)
        where T : IDisposable
    {
        try
        {
            team.Run(create);
            return tensor;
        }
        catch
        {
            tensor.Dispose();
            throw;
        }
    }
}
