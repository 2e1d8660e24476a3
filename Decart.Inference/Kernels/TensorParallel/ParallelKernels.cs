namespace Decart.Inference.Kernels.TensorParallel;

/// <summary>
/// The operations of a decoder on several ranks: each rank's thread calls, and does its part by the rank's own kernels. Where a weight's columns are divided, what a rank
/// computes is a part of a sum, which the ranks exchange.
/// </summary>
/// <param name="ranks">The ranks' kernels and what makes their activations.</param>
/// <param name="tensors">What has divided the tensors.</param>
/// <param name="exchange">What brings the parts together.</param>
internal sealed class ParallelKernels(IReadOnlyList<IBackend> ranks, ParallelTensorFactory tensors, IRankExchange exchange) : IKernels, IDisposable
{
    private readonly Rank[] _ranks = [.. ranks.Select((rank, number) => new Rank(rank, number))];

    public void Embed(Weight table, float scale, Activations x)
    {
        Rank own = Begin();
        own.Kernels.Embed(own.Of(table), scale, own.Of(x));
    }

    public void MatMul(Activations x, Norm? norm, Weight weight, in Epilogue epilogue, Activations y)
    {
        if (((ParallelWeight)weight).SplitsColumns)
        {
            Add(x, norm, weight, epilogue, y);
            return;
        }
        Rank own = _ranks[RankTeam.Current];
        Epilogue ownEpilogue = epilogue with { Bias = own.Of(epilogue.Bias) };
        if (own.Sent == x)
        {
            own.Sent = null;
            foreach (RowPart part in exchange.Parts(own.Number))
            {
                exchange.AddSent(own.Number, own.Halves(x), own.Of(x), part);
                own.PartKernels.MatMul(own.Of(x), own.Of(norm), own.Of(weight), ownEpilogue, own.Of(y), part);
            }
            return;
        }
        Begin();
        own.Kernels.MatMul(own.Of(x), own.Of(norm), own.Of(weight), ownEpilogue, own.Of(y));
    }

    public void Normalise(Norm norm, Activations x, Activations y)
    {
        Rank own = Begin();
        own.Kernels.Normalise(own.Of(norm)!, own.Of(x), own.Of(y));
    }

    public void NormaliseAdd(Norm norm, Activations delta, Activations residual)
    {
        Rank own = Begin();
        own.Kernels.NormaliseAdd(own.Of(norm)!, own.Of(delta), own.Of(residual));
    }

    public void Attend(Activations qkv, int layer, AttentionShape shape, RotaryTable? rotary, Norm? queryNorm, Norm? keyNorm, Activations y)
    {
        Rank own = Begin();
        own.Kernels.Attend(
            own.Of(qkv), layer, own.Of(shape, tensors.Division), ((ParallelRotaryTable?)rotary)?[own.Number], own.Of(queryNorm), own.Of(keyNorm), own.Of(y));
    }

    public void MixExperts(Activations x, Activations routerLogits, Experts experts, Activations y)
    {
        Rank own = Begin();
        Activations partial = own.Partial(y);
        exchange.Clear(own.Number, partial);
        own.Kernels.MixExperts(own.Of(x), own.Of(routerLogits), own.Of(experts), partial);
        own.Pending = y;
    }

    public void Logits(Activations x, Norm norm, Weight weight, in Epilogue epilogue, Activations y)
    {
        Rank own = Begin();
        IReadOnlyList<Weight>? outputs = ((ParallelWeight)weight).Outputs;
        if (outputs is null && own.Number > 0) return;
        own.Kernels.Logits(own.Of(x), own.Of(norm)!, outputs?[own.Number] ?? own.Of(weight), epilogue, own.Of(y));
        if (outputs is null) return;
        Span<int> first = stackalloc int[_ranks.Length];
        for (int rank = 0; rank < first.Length; rank++) first[rank] = tensors.Division.Of(Split.Vocabulary, weight.Rows, gated: false, rank)[0].Start;
        exchange.Gather(own.Number, (ParallelActivations)y, first);
    }

    public void Dispose()
    {
        foreach (Rank rank in _ranks) rank.Dispose();
    }

    /// <summary>The rank of the calling thread, all of whose sums are done.</summary>
    private Rank Begin()
    {
        Rank own = _ranks[RankTeam.Current];
        if (own.Sent is { } sent)
        {
            own.Sent = null;
            foreach (RowPart part in exchange.Parts(own.Number)) exchange.AddSent(own.Number, own.Halves(sent), own.Of(sent), part);
        }
        if (own.Pending is not { } sum) return own;
        own.Pending = null;
        exchange.Sum(own.Number, own.Partial(sum), own.Of(sum), accumulate: true);
        return own;
    }

    /// <summary>
    /// Multiplies by a weight whose columns are divided. Products that follow each other and are added to the same are summed over the ranks together. Of long steps a part of the rows is sent while the other is
    /// multiplied, and the second while the next operation multiplies the first.
    /// </summary>
    private void Add(Activations x, Norm? norm, Weight weight, in Epilogue epilogue, Activations y)
    {
        if (epilogue is not { Function: ActivationFunction.None, SoftCap: 0 }) throw new NotSupportedException("A sum over ranks is stored as it is.");
        bool joins = epilogue.Accumulate && _ranks[RankTeam.Current].Pending == y;
        Rank own = joins ? _ranks[RankTeam.Current] : Begin();
        Epilogue ownEpilogue = new(own.Number == 0 ? own.Of(epilogue.Bias) : null, Accumulate: joins);
        if (epilogue is { Accumulate: true, More: false } && !joins && exchange.Parts(own.Number) is { Count: > 0 } parts)
        {
            Activations halves = own.Halves(y);
            exchange.BeginParts(own.Number, halves);
            foreach (RowPart part in parts)
            {
                own.PartKernels.MatMul(own.Of(x), own.Of(norm), own.Of(weight), ownEpilogue, halves, part);
                exchange.Send(own.Number, halves, part);
            }
            own.Sent = y;
            return;
        }
        Activations partial = own.Partial(y);
        own.Kernels.MatMul(own.Of(x), own.Of(norm), own.Of(weight), ownEpilogue, partial);
        if (epilogue.Accumulate) own.Pending = y;
        else exchange.Sum(own.Number, partial, own.Of(y), accumulate: false);
    }

    /// <summary>What one rank has of everything. Used by the rank's thread.</summary>
    private sealed class Rank(IBackend backend, int number) : IDisposable
    {
        private readonly Dictionary<AttentionShape, AttentionShape> _shapes = new(ReferenceEqualityComparer.Instance);
        private readonly Dictionary<Experts, Experts> _experts = new(ReferenceEqualityComparer.Instance);
        private Activations? _partial, _halves;

        public int Number => number;

        /// <summary>What the rank's partial is still to be added to, summed over all ranks.</summary>
        public Activations? Pending { get; set; }

        /// <summary>What the ranks have sent each other their partials of, which are still to be added.</summary>
        public Activations? Sent { get; set; }

        public IKernels Kernels => backend.Kernels;

        public IPartKernels PartKernels => (IPartKernels)backend.Kernels;

        public Activations Of(Activations activations) => ((ParallelActivations)activations)[number];

        public Weight Of(Weight weight) => ((ParallelWeight)weight)[number];

        public WeightVector? Of(WeightVector? vector) => ((ParallelVector?)vector)?[number];

        public Norm? Of(Norm? norm) => norm is null ? null : norm with { Scale = Of(norm.Scale)!, Bias = Of(norm.Bias) };

        /// <summary>The rank's heads.</summary>
        public AttentionShape Of(AttentionShape shape, Division division)
        {
            if (_shapes.TryGetValue(shape, out AttentionShape? own)) return own;
            Share heads = division.Heads(number);
            own = shape with { Heads = heads.Count, KvHeads = division.KvHeads, AlibiSlopes = shape.AlibiSlopes?[heads.Start..heads.End] };
            _shapes.Add(shape, own);
            return own;
        }

        public Experts Of(Experts experts)
        {
            if (_experts.TryGetValue(experts, out Experts? own)) return own;
            own = experts with { GateUp = [.. experts.GateUp.Select(Of)], Down = [.. experts.Down.Select(Of)] };
            _experts.Add(experts, own);
            return own;
        }

        /// <summary>Room for the rank's part of a sum that becomes <paramref name="sum"/>; the same every time, made when it is first needed.</summary>
        public Activations Partial(Activations sum) => Room(ref _partial, sum, operand: false);

        /// <summary>The same as an operand.</summary>
        public Activations Halves(Activations sum) => Room(ref _halves, sum, operand: true);

        public void Dispose()
        {
            _partial?.Dispose();
            _halves?.Dispose();
        }

        private Activations Room(ref Activations? room, Activations sum, bool operand)
        {
            if (room is null || room.Rows < sum.Rows || room.Columns != sum.Columns)
            {
                room?.Dispose();
                room = backend.Tensors.CreateActivations(sum.Rows, sum.Columns, operand);
            }
            return room;
        }
    }
}
