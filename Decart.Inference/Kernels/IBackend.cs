using Decart.Inference.Memory;

namespace Decart.Inference.Kernels;

/// <summary>
/// A device that decoders run on: what makes their tensors, runs their steps and, where it can, samples their tokens. Used by one thread at a time; disposed
/// of after everything that it has made.
/// </summary>
internal interface IBackend : IDisposable
{
    /// <summary>The memory that the device computes in.</summary>
    IDeviceMemory Memory { get; }

    /// <summary>Bytes of an element of the keys and values, which lie as <see cref="KvView"/> says.</summary>
    int KvElementBytes { get; }

    /// <summary>
    /// Says what model the tensors to come are of, before the first; several devices divide it. Returns the key/value heads that each of them has, of which
    /// <see cref="KvView"/> tells where they lie.
    /// </summary>
    /// <exception cref="NotSupportedException">The model cannot be divided among so many devices.</exception>
    int Divide(ModelShape model) => model.KvHeads;

    ITensorFactory Tensors { get; }

    IKernels Kernels { get; }

    /// <summary>Null where the host's <see cref="Sampling.Sampler"/> chooses all tokens.</summary>
    IDeviceSampler? Sampler => null;

    /// <summary>
    /// Makes ready for steps of these operations, so that none of them waits for what could have been done before: room for the largest batch, kernels,
    /// recordings. To be called once, when all that the operations use has been created.
    /// </summary>
    /// <param name="maxTokens">The most tokens of a batch.</param>
    /// <param name="contextLength">The most tokens of a sequence.</param>
    /// <param name="operations">See <see cref="Run"/>.</param>
    void Prepare(int maxTokens, int contextLength, Action operations)
    {
    }

    /// <summary>Takes the batch that the operations up to the next call work on (a GPU sends its descriptor; angles are computed once for all layers).</summary>
    void BeginStep(Batch batch);

    /// <summary>
    /// Does a whole step: calls <paramref name="operations"/>, or does what it did before. A device may record what the delegate starts and repeat that
    /// for later batches, so it must start the same operations with the same arguments, which live as long as the backend, whatever the batch.
    /// </summary>
    void Run(Action operations) => operations();

    /// <summary>Copies one row to the host as float32.</summary>
    void Read(Activations x, int row, Span<float> destination);

    /// <summary>Copies a vector to the host.</summary>
    void Read(WeightVector vector, Span<float> destination);

    /// <summary>Waits until everything that was started is done.</summary>
    void Wait()
    {
    }
}
