namespace Decart.Inference.Kernels.TensorParallel;

/// <summary>Consecutive rows, columns or elements that one rank has.</summary>
/// <param name="Start">The first.</param>
/// <param name="Count">How many, at least 1.</param>
internal readonly record struct Share(int Start, int Count)
{
    public int End => Start + Count;
}

/// <summary>
/// Which part of a model each rank has. Key/value heads are spread over the ranks with the query heads that read them; where there are more ranks than such heads, several ranks
/// have the same and divide its query heads. Features and tokens are divided in units, as evenly as these allow.
/// </summary>
internal sealed class Division
{
    /// <summary>Features of a unit, where there are enough: kernels multiply so many at a time.</summary>
    private const int PreferredUnit = 128;

    private readonly ModelShape _model;
    private readonly int _ranks;
    private readonly Share[] _heads, _kvHeads;

    /// <exception cref="NotSupportedException">The heads cannot be divided so.</exception>
    public Division(ModelShape model, int ranks)
    {
        (_model, _ranks) = (model, ranks);
        Require(model, ranks);
        int sharing = ranks / model.KvHeads, group = model.Heads / model.KvHeads;
        _kvHeads = new Share[ranks];
        _heads = new Share[ranks];
        for (int rank = 0; rank < ranks; rank++)
        {
            if (sharing <= 1)
            {
                int count = model.KvHeads / ranks;
                _kvHeads[rank] = new Share(rank * count, count);
                _heads[rank] = new Share(rank * count * group, count * group);
            }
            else
            {
                Share part = Divide(group, unit: 1, sharing, rank % sharing);
                _kvHeads[rank] = new Share(rank / sharing, 1);
                _heads[rank] = part with { Start = (rank / sharing * group) + part.Start };
            }
        }
    }

    /// <summary>Whether so many ranks can divide the heads.</summary>
    public static bool IsPossible(ModelShape model, int ranks) => model.KvHeads % ranks == 0 || (ranks % model.KvHeads == 0 && ranks <= model.Heads);

    /// <summary>Throws unless so many ranks can divide the heads.</summary>
    /// <exception cref="NotSupportedException">They cannot; the message says which numbers can.</exception>
    public static void Require(ModelShape model, int ranks)
    {
        if (IsPossible(model, ranks)) return;
        throw new NotSupportedException(
            $"A model of {model.Heads} heads, {model.KvHeads} of keys and values, cannot be divided among {ranks} devices: expected a number that divides {model.KvHeads}"
            + $"{(model.Heads > model.KvHeads ? $", or a multiple of it up to {model.Heads}" : "")}.");
    }

    /// <summary>Key/value heads of each rank.</summary>
    public int KvHeads => _kvHeads[0].Count;

    /// <summary>Query heads of a rank.</summary>
    public Share Heads(int rank) => _heads[rank];

    /// <summary>The parts that a rank has of a dimension.</summary>
    /// <param name="split">Along what it is divided.</param>
    /// <param name="length">Its length in the whole model.</param>
    /// <param name="gated">Whether it is made of gates and as many ups.</param>
    /// <param name="rank">The rank.</param>
    /// <exception cref="NotSupportedException">There is too little of it for so many ranks.</exception>
    public Share[] Of(Split split, int length, bool gated, int rank)
    {
        Share heads = Elements(_heads[rank], first: 0), features;
        switch (split)
        {
            case Split.None:
                return [new Share(0, length)];
            case Split.Heads:
                return [heads];
            case Split.QueryKeyValue:
                return [heads, Elements(_kvHeads[rank], _model.Heads), Elements(_kvHeads[rank], _model.Heads + _model.KvHeads)];
            case Split.Vocabulary:
                return [Divide(length, Unit(length), _ranks, rank)];
            case Split.Features when gated:
                features = Divide(length / 2, Unit(length / 2), _ranks, rank);
                return [features, features with { Start = (length / 2) + features.Start }];
            default:
                return [Divide(length, Unit(length), _ranks, rank)];
        }
    }

    /// <summary>Their sum.</summary>
    /// <inheritdoc cref="Of" path="/param"/>
    public int Count(Split split, int length, bool gated, int rank) => Of(split, length, gated, rank).Sum(share => share.Count);

    private static Share Divide(int length, int unit, int parts, int part)
    {
        int units = (length + unit - 1) / unit;
        int start = (int)((long)units * part / parts) * unit, end = (int)((long)units * (part + 1) / parts) * unit;
        return new Share(start, Math.Min(end, length) - start);
    }

    private Share Elements(Share heads, int first) => new((first + heads.Start) * _model.HeadDim, heads.Count * _model.HeadDim);

    /// <summary>The largest unit that gives each rank one.</summary>
    private int Unit(int length)
    {
        for (int unit = Math.Max(PreferredUnit, _model.BlockLength); unit >= 1; unit /= 2)
        {
            if ((length + unit - 1) / unit >= _ranks) return unit;
        }
        throw new NotSupportedException($"{length} features or tokens cannot be divided among {_ranks} devices: expected at least one for each.");
    }
}
