namespace Decart.Inference.Memory;

/// <summary>
/// The keys and values of one sequence: a contiguous range of addresses that holds
/// <c>[token][layer][K, V][kv head][head dim]</c> elements, so that kernels see a plain strided array.
/// </summary>
internal interface IKvRange : IDisposable
{
    /// <summary>Address of token 0. May change when <see cref="EnsureCapacity"/> grows the range.</summary>
    nint Address { get; }

    KvLayout Layout { get; }

    /// <summary>Makes room for tokens 0 .. <paramref name="tokens"/> - 1; what was written stays.</summary>
    void EnsureCapacity(int tokens);
}
