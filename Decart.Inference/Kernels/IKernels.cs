namespace Decart.Inference.Kernels;

/// <summary>
/// The operations that a decoder is made of, fused the way a GPU wants them: all that a device must compute. Called by one thread, between
/// <see cref="IBackend.BeginStep"/> and the next; unless said otherwise an operation works on the first <see cref="Batch.TokenCount"/> rows. A row's result
/// never depends on the other rows, bit for bit: the same prompt gives the same answer whatever else is in the batch. Inputs and outputs may be the same
/// only where that is said.
/// </summary>
internal interface IKernels
{
    /// <summary>x[i] = table[token id of row i] * scale.</summary>
    void Embed(Weight table, float scale, Activations x);

    /// <summary>y = epilogue(x W^T) for activations of either kind, or epilogue(norm(x) W^T) when there is a norm; x is float32 then.</summary>
    void MatMul(Activations x, Norm? norm, Weight weight, in Epilogue epilogue, Activations y);

    /// <summary>y = norm(x), what matmuls read, where several operations read it; one alone normalises by the way.</summary>
    void Normalise(Norm norm, Activations x, Activations y);

    /// <summary>residual += norm(delta) (the post-norms of Gemma 2).</summary>
    void NormaliseAdd(Norm norm, Activations delta, Activations residual);

    /// <summary>
    /// Rows of <paramref name="qkv"/> are [Heads query | KvHeads key | KvHeads value] heads. Normalises each query and key head (when norms are given),
    /// rotates them (when a table is given), writes keys and values where the sequences have theirs, and attends, causally, to each sequence's keys
    /// and values. y has Heads * HeadDim columns; what is left in <paramref name="qkv"/> is undefined.
    /// </summary>
    void Attend(Activations qkv, int layer, AttentionShape shape, RotaryTable? rotary, Norm? queryNorm, Norm? keyNorm, Activations y);

    /// <summary>
    /// y += sum over each token's best experts of probability * down(f(gate x) * up x) for activations of either kind; probabilities by softmax over all
    /// router logits.
    /// </summary>
    void MixExperts(Activations x, Activations routerLogits, Experts experts, Activations y);

    /// <summary>y[i] = epilogue(norm(x[<see cref="Batch.LogitRows"/>[i]]) W^T).</summary>
    void Logits(Activations x, Norm norm, Weight weight, in Epilogue epilogue, Activations y);
}
