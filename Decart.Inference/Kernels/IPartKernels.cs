namespace Decart.Inference.Kernels;

/// <summary>A part of a step's rows.</summary>
/// <param name="Index">Which of the step's parts.</param>
/// <param name="First">Its first row.</param>
/// <param name="Count">Its rows.</param>
internal readonly record struct RowPart(int Index, int First, int Count);

/// <summary>Kernels that multiply a part of a step's rows at a time, so that something else is done with some of them while others are multiplied.</summary>
internal interface IPartKernels : IKernels
{
    /// <summary><see cref="IKernels.MatMul"/> of one of the step's parts.</summary>
    void MatMul(Activations x, Norm? norm, Weight weight, in Epilogue epilogue, Activations y, RowPart part);
}
