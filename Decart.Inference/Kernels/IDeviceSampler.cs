using Decart.Inference.Sampling;

namespace Decart.Inference.Kernels;

/// <summary>Samples tokens where the logits are, so that the next step can start before the host knows them.</summary>
internal interface IDeviceSampler
{
    /// <summary>Prepares sampling the tokens of a request; null where only the host's <see cref="Sampling.Sampler"/> can, whatever the request asks for.</summary>
    /// <param name="parameters">How to sample.</param>
    /// <param name="prompt">What penalties refer to besides the completion.</param>
    /// <param name="vocabularySize">Columns of the logits.</param>
    /// <exception cref="OutOfMemoryException">The device has no room for what penalties need.</exception>
    SequenceSampler? CreateSampler(SamplingParameters parameters, ReadOnlySpan<int> prompt, int vocabularySize);

    /// <summary>
    /// Starts sampling; may change the rows of the logits that tokens are sampled from, but for those of requests that want log-probabilities. Steps that
    /// are started later may use the tokens (<see cref="Batch.AddSampled"/>).
    /// </summary>
    /// <param name="logits">Float32, in ascending order of tokens.</param>
    /// <param name="rows">At least one, in ascending order.</param>
    SampledTokens Sample(Activations logits, ReadOnlySpan<SampledRow> rows);
}

/// <summary>
/// How a request's tokens are sampled on a device, and what the device must remember of it from token to token. Used and disposed of by the thread that
/// uses the backend, before this is; steps that are under way may still use it when it is disposed of.
/// </summary>
internal abstract class SequenceSampler : IDisposable
{
    public abstract void Dispose();
}

/// <summary>A row of the logits that a token is sampled from.</summary>
/// <param name="LogitRow">Which.</param>
/// <param name="Sampler">How. It has been given every token of the completion before this one, and is given this one.</param>
/// <param name="Index">Which token of the completion it is, from 0.</param>
/// <param name="Mask">The tokens that may be sampled; null for all. Only for those whose <see cref="SamplingParameters.IsMasked"/> says so.</param>
internal readonly record struct SampledRow(int LogitRow, SequenceSampler Sampler, int Index, TokenMask? Mask = null);

/// <summary>The tokens of one <see cref="IDeviceSampler.Sample"/>.</summary>
internal abstract class SampledTokens
{
    /// <summary>
    /// Waits until they are sampled, for nothing that was started later. At the place of each row of the logits its token, or a code of
    /// <see cref="NoToken"/>; what stands for rows that none was sampled from is undefined. Valid until the second call of
    /// <see cref="IDeviceSampler.Sample"/> after theirs begins.
    /// </summary>
    public abstract ReadOnlySpan<int> Wait();
}
