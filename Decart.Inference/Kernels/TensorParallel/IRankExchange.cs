namespace Decart.Inference.Kernels.TensorParallel;

/// <summary>
/// What ranks give each other. Each rank's thread calls, all of them the same in the same order; unless said otherwise an operation is of the rows of the rank's step and returns
/// when it is started.
/// </summary>
internal interface IRankExchange : IDisposable
{
    /// <summary>Takes the batch that the operations up to the next call are of.</summary>
    void Begin(Batch batch);

    /// <summary>Fills rows of a rank's float32 activations with zeros.</summary>
    void Clear(int rank, Activations partial);

    /// <summary>y = the sum of the ranks' partials, from that of rank 0 on, or y + that sum: the same bits on every rank.</summary>
    /// <param name="rank">The calling thread's.</param>
    /// <param name="partial">Its partial.</param>
    /// <param name="y">Its result.</param>
    /// <param name="accumulate">Whether to add to y.</param>
    void Sum(int rank, Activations partial, Activations y, bool accumulate);

    /// <summary>The parts of the rows of a rank's step of which partials are sent one by one, while others are computed; none where sums are of all rows.</summary>
    IReadOnlyList<RowPart> Parts(int rank);

    /// <summary>Begins a sum of parts: from here on a rank's partial may be overwritten.</summary>
    /// <param name="rank">The calling thread's.</param>
    /// <param name="partial">Its partial, an operand.</param>
    void BeginParts(int rank, Activations partial);

    /// <summary>Starts sending a part of a partial to the others.</summary>
    /// <param name="rank">The calling thread's.</param>
    /// <param name="partial">Its partial, an operand.</param>
    /// <param name="part">The part.</param>
    void Send(int rank, Activations partial, RowPart part);

    /// <summary>y += the sum of what the ranks have sent of a part of their partials, with the bits of <see cref="Sum"/>.</summary>
    /// <param name="rank">The calling thread's.</param>
    /// <param name="partial">Its partial, an operand.</param>
    /// <param name="y">Its result.</param>
    /// <param name="part">The part.</param>
    void AddSent(int rank, Activations partial, Activations y, RowPart part);

    /// <summary>Rows of logits: sends a rank's columns to the first rank, which has its own in place.</summary>
    /// <param name="rank">The calling thread's.</param>
    /// <param name="logits">What each rank has; the first has room for all columns.</param>
    /// <param name="firstColumns">The first column of each rank's part.</param>
    void Gather(int rank, ParallelActivations logits, ReadOnlySpan<int> firstColumns);

    /// <summary>Gives the others the tokens that the first rank has sampled last.</summary>
    /// <param name="rank">The calling thread's.</param>
    /// <param name="rows">Rows of logits whose tokens are sent.</param>
    void SendTokens(int rank, int rows);

    /// <summary>Has ranks that wait for one that has failed wait no longer.</summary>
    void Break(RankFailure failure);

    /// <summary>Starts looking whether ranks have waited in vain in what was started so far. Called by the thread of rank 0.</summary>
    /// <returns>For <see cref="FindFailure(int)"/>, until the second call after this one.</returns>
    int StartCheck();

    /// <summary>Waits for what a check has found: why ranks have waited in vain; null if they have not.</summary>
    string? FindFailure(int check);

    /// <summary>Waits for all that was started on the first rank: why ranks have waited in vain; null if they have not.</summary>
    string? FindFailure();
}
