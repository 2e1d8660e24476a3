using Decart.Inference.Sampling;

namespace Decart.Inference.Kernels;

/// <summary>
/// How a request's tokens are chosen on a device, and what the device must remember of it from token to token. Used and disposed of by the thread that
/// uses the kernels, before these are; steps that are under way may still use it when it is disposed of.
/// </summary>
internal abstract class TokenChooser : IDisposable
{
    public abstract void Dispose();
}

/// <summary>A token to be chosen.</summary>
/// <param name="LogitRow">From which row of the logits.</param>
/// <param name="Chooser">How. It has been given every token of the completion before this one, and is given this one.</param>
/// <param name="Index">Which token of the completion it is, from 0.</param>
internal readonly record struct TokenChoice(int LogitRow, TokenChooser Chooser, int Index);

/// <summary>The tokens of one <see cref="IKernels.Sample"/>.</summary>
internal abstract class ChosenTokens
{
    /// <summary>
    /// Waits until they are chosen, for nothing that was started later. At the place of each row of the logits its token, or a code of
    /// <see cref="NoToken"/>; what stands for rows without choice is undefined. Valid until the second call of <see cref="IKernels.Sample"/> after theirs
    /// begins.
    /// </summary>
    public abstract ReadOnlySpan<int> Wait();
}
