using Decart.Inference.Checkpoints;
using Decart.Inference.Memory;
using Decart.Inference.Sampling;

namespace Decart.Inference.Kernels;

/// <summary>A row-major matrix of activations in the device's memory; how its elements are stored is the device's affair.</summary>
internal abstract class Activations(int rows, int columns) : IDisposable
{
    /// <summary>Number of rows there is room for; an operation says how many it uses.</summary>
    public int Rows { get; } = rows;

    public int Columns { get; } = columns;

    public abstract void Dispose();
}

/// <summary>A weight matrix [rows = output features, columns = input features], laid out as the device's matmul reads it.</summary>
internal abstract class Weight(int rows, int columns) : IDisposable
{
    public int Rows { get; } = rows;

    public int Columns { get; } = columns;

    public abstract void Dispose();
}

/// <summary>A vector of norm scales or biases, kept in float32.</summary>
internal abstract class WeightVector(int length) : IDisposable
{
    public int Length { get; } = length;

    public abstract void Dispose();
}

/// <summary>How cosines and sines follow from positions, ready for the device.</summary>
internal abstract class RotaryTable : IDisposable
{
    public abstract void Dispose();
}

/// <summary>The values of a rotary embedding (Su et al., RoFormer, 2021) after any scaling of its frequencies.</summary>
/// <param name="InverseFrequencies">
/// One for each rotated pair, the rest of a head passes through; <see cref="Sets"/> of them one after another where longer sequences have others.
/// </param>
/// <param name="Scale">Factor on cosines and sines (YaRN's attention factor), 1 otherwise.</param>
/// <param name="Interleaved">Pairs are neighbours (2i, 2i+1), as in GGUF's Llama files, instead of (i, i + half).</param>
internal sealed record RotaryParameters(float[] InverseFrequencies, float Scale, bool Interleaved)
{
    /// <summary>How many sets of frequencies there are.</summary>
    public int Sets { get; init; } = 1;

    /// <summary>The longest sequence of the first set; each next set is for one token more, the last for all that are longer.</summary>
    public int FirstSetLength { get; init; }

    /// <summary>Rotated pairs of a head.</summary>
    public int Pairs => InverseFrequencies.Length / Sets;

    /// <summary>The frequencies of a token: by the length that its sequence's keys are rotated for, or by its own position beyond that.</summary>
    /// <param name="position">The token's position.</param>
    /// <param name="rotaryLength">See <see cref="Memory.KvView.RotaryLength"/>.</param>
    public ReadOnlySpan<float> Frequencies(int position, int rotaryLength)
    {
        int set = Math.Clamp(Math.Max(position + 1, rotaryLength) - FirstSetLength, 0, Sets - 1);
        return InverseFrequencies.AsSpan(set * Pairs, Pairs);
    }
}

/// <summary>A normalisation over the last dimension.</summary>
/// <param name="Scale">Multiplier for each element.</param>
/// <param name="Bias">Added to each element after scaling; null for none.</param>
/// <param name="Epsilon">Added to the variance or mean square.</param>
/// <param name="RemoveMean">Whether the mean is subtracted first: LayerNorm (Ba et al., 2016) instead of RMSNorm (Zhang and Sennrich, 2019).</param>
internal sealed record Norm(WeightVector Scale, WeightVector? Bias, float Epsilon, bool RemoveMean);

internal enum ActivationFunction
{
    None,
    Silu,
    /// <summary>x * Phi(x), by the error function.</summary>
    Gelu,
    /// <summary>The tanh approximation of GELU.</summary>
    GeluTanh,
}

/// <summary>What a matmul does with its sums before they are stored: v = x W^T, then in this order.</summary>
/// <param name="Bias">v += bias.</param>
/// <param name="Function">
/// v = f(v). Gated: the weight's rows are F gates followed by F ups and the output is f(v[j]) * v[F + j], F columns.
/// </param>
/// <param name="Gated">See <paramref name="Function"/>.</param>
/// <param name="SoftCap">v = cap * tanh(v / cap) when not 0.</param>
/// <param name="Accumulate">y += v instead of y = v.</param>
internal readonly record struct Epilogue(
    WeightVector? Bias = null, ActivationFunction Function = ActivationFunction.None, bool Gated = false, float SoftCap = 0, bool Accumulate = false);

/// <summary>The shape and rules of attention in one layer.</summary>
/// <param name="Heads">Query heads; head h reads key/value head h / (Heads / KvHeads).</param>
/// <param name="KvHeads">Key/value heads.</param>
/// <param name="HeadDim">Elements of a head.</param>
/// <param name="Scale">Factor on query-key products.</param>
/// <param name="SoftCap">Scores become cap * tanh(score / cap) when not 0 (Gemma 2).</param>
/// <param name="Window">Token i sees tokens j with i - j &lt; Window when not 0 (Mistral).</param>
/// <param name="AlibiSlopes">One for each head: score += slope * (j - i) (Press et al., ALiBi, 2021); null without ALiBi.</param>
internal sealed record AttentionShape(
    int Heads, int KvHeads, int HeadDim, float Scale, float SoftCap = 0, int Window = 0, float[]? AlibiSlopes = null);

/// <summary>The experts of a mixture-of-experts block (Shazeer et al., 2017).</summary>
/// <param name="GateUp">For each expert its gate rows followed by its up rows: [2F, hidden].</param>
/// <param name="Down">For each expert [hidden, F].</param>
/// <param name="ExpertsPerToken">How many experts each token uses.</param>
/// <param name="Renormalise">Whether the chosen experts' softmax probabilities are divided by their sum.</param>
/// <param name="Function">The gate's activation function.</param>
internal sealed record Experts(Weight[] GateUp, Weight[] Down, int ExpertsPerToken, bool Renormalise, ActivationFunction Function);

/// <summary>
/// The operations a decoder is made of, for one kind of device: fused the way a GPU wants them. Called by one thread.
/// Unless said otherwise an operation works on the first <see cref="Batch.TokenCount"/> rows. A row's result never depends on
/// the other rows, bit for bit: the same prompt gives the same answer whatever else is in the batch. Inputs and outputs may be the same
/// only where that is said.
/// </summary>
internal interface IKernels : IDisposable
{
    /// <summary>The memory that the device computes in.</summary>
    IDeviceMemory Memory { get; }

    /// <summary>Whether weights are read from the checkpoint's files whenever they are used, rather than copied when they are created.</summary>
    bool ReadsWeightsInPlace { get; }

    /// <summary>Bytes of an element of the keys and values, which lie as <see cref="KvView"/> says.</summary>
    int KvElementBytes { get; }

    /// <summary>A weight whose rows are those of <paramref name="parts"/> one after another (each with the same number of columns; types may differ).</summary>
    /// <remarks>The CPU reads the parts where they lie; the checkpoint must stay open as long as the weight lives.</remarks>
    Weight CreateWeight(ReadOnlySpan<StoredTensor> parts);

    /// <summary>The parts' elements one after another, widened to float32, plus <paramref name="offset"/> (Gemma stores scale - 1).</summary>
    WeightVector CreateVector(ReadOnlySpan<StoredTensor> parts, float offset = 0);

    RotaryTable CreateRotary(RotaryParameters parameters);

    /// <summary>A matrix of undefined content.</summary>
    /// <param name="rows">Number of rows.</param>
    /// <param name="columns">Number of columns.</param>
    /// <param name="operand">
    /// Whether only matmuls without a norm read it, so that a device may keep it in the precision that its matmuls multiply in.
    /// </param>
    Activations CreateActivations(int rows, int columns, bool operand = false);

    /// <summary>
    /// Makes ready for steps of these operations, so that none of them waits for what could have been done before: room for the largest batch, kernels,
    /// recordings. To be called once, when all that the operations use has been created.
    /// </summary>
    /// <param name="maxTokens">The most tokens of a batch.</param>
    /// <param name="contextLength">The most tokens of a sequence.</param>
    /// <param name="operations">See <see cref="Run"/>.</param>
    void Prepare(int maxTokens, int contextLength, Action operations);

    /// <summary>Takes the batch that the operations up to the next call work on (a GPU sends its descriptor; angles are computed once for all layers).</summary>
    void BeginStep(Batch batch);

    /// <summary>
    /// Does a whole step: calls <paramref name="operations"/>, or does what it did before. A device may record what the delegate starts and repeat that
    /// for later batches, so it must start the same operations with the same arguments, which live as long as the kernels, whatever the batch.
    /// </summary>
    void Run(Action operations);

    /// <summary>x[i] = table[token id of row i] * scale.</summary>
    void Embed(Weight table, float scale, Activations x);

    /// <summary>y = epilogue(x W^T), or epilogue(norm(x) W^T) when there is a norm.</summary>
    void MatMul(Activations x, Norm? norm, Weight weight, in Epilogue epilogue, Activations y);

    /// <summary>residual += norm(delta) (the post-norms of Gemma 2).</summary>
    void NormaliseAdd(Norm norm, Activations delta, Activations residual);

    /// <summary>
    /// Rows of <paramref name="qkv"/> are [Heads query | KvHeads key | KvHeads value] heads. Normalises each query and key head (when norms are given),
    /// rotates them (when a table is given), writes keys and values where the sequences have theirs, and attends, causally, to each sequence's keys
    /// and values. y has Heads * HeadDim columns; what is left in <paramref name="qkv"/> is undefined.
    /// </summary>
    void Attend(Activations qkv, int layer, AttentionShape shape, RotaryTable? rotary, Norm? queryNorm, Norm? keyNorm, Activations y);

    /// <summary>
    /// y += sum over each token's best experts of probability * down(f(gate v) * up v) for v = x, or norm(x) when there is a norm; probabilities by softmax
    /// over all router logits. x and y may be the same when there is a norm.
    /// </summary>
    void MixExperts(Activations x, Norm? norm, Activations routerLogits, Experts experts, Activations y);

    /// <summary>y[i] = epilogue(norm(x[<see cref="Batch.LogitRows"/>[i]]) W^T).</summary>
    void Logits(Activations x, Norm norm, Weight weight, in Epilogue epilogue, Activations y);

    /// <summary>Copies one row to the host as float32.</summary>
    void Read(Activations x, int row, Span<float> destination);

    /// <summary>Waits until everything that was started is done.</summary>
    void Wait()
    {
    }

    /// <summary>
    /// Prepares choosing a request's tokens on the device; null when that is left to the host's <see cref="Sampler"/>: always by default, and where the
    /// request needs what only the host computes.
    /// </summary>
    /// <param name="parameters">How to choose.</param>
    /// <param name="prompt">What penalties refer to besides the completion.</param>
    /// <param name="vocabularySize">Columns of the logits.</param>
    /// <exception cref="OutOfMemoryException">The device has no room for what penalties need.</exception>
    TokenChooser? CreateChooser(SamplingParameters parameters, ReadOnlySpan<int> prompt, int vocabularySize) => null;

    /// <summary>
    /// Starts choosing tokens; may change the rows of the logits that they are chosen from. Steps that are started later may use the tokens
    /// (<see cref="Batch.AddChosen"/>).
    /// </summary>
    /// <param name="logits">Float32, in ascending order of tokens.</param>
    /// <param name="choices">At least one, in ascending order of rows.</param>
    ChosenTokens Sample(Activations logits, ReadOnlySpan<TokenChoice> choices) => throw new NotSupportedException("Tokens are chosen on the host.");
}
