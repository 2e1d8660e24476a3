using System.Runtime.ExceptionServices;

namespace Decart.Inference.Kernels.TensorParallel;

/// <summary>What a rank has thrown.</summary>
/// <param name="Rank">The rank.</param>
/// <param name="Error">The exception.</param>
internal sealed record RankFailure(int Rank, Exception Error)
{
    private readonly ExceptionDispatchInfo _thrown = ExceptionDispatchInfo.Capture(Error);

    public void Throw() => _thrown.Throw();
}
