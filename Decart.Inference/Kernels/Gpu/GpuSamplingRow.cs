using System.Runtime.InteropServices;
using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Sampling;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>How the token of one row of logits is chosen, as kernels read it.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct GpuSamplingRow
{
    public const int Bytes = 48 + SamplingNumbers.Bytes;

    /// <summary>Bytes of an entry of <see cref="Bias"/>.</summary>
    public const int BiasBytes = 8;

    /// <summary>
    /// For each token of the vocabulary (int): 0 when the sequence does not have it, otherwise 1 + its number in the completion. 0 without penalties.
    /// </summary>
    public long Counts;

    /// <summary>For each token a bit, 0 to forbid it, in 32-bit words from the lowest bit up; 0 for no mask.</summary>
    public long Mask;

    /// <summary><see cref="BiasCount"/> pairs of a token (int) and what its logit is raised by (float32).</summary>
    public long Bias;

    /// <summary>Top-p as the share of the probability that is kept, times 2^64; 0 for all.</summary>
    public ulong TopPShare;

    /// <summary>The row of the logits, and of the tokens.</summary>
    public int LogitRow;

    /// <summary>Which token of the completion it is, from 0.</summary>
    public int Index;

    public int BiasCount;

    public int Padding;

    /// <summary>Top-k is less than the vocabulary has.</summary>
    public SamplingNumbers Numbers;

    /// <summary>Reads row <paramref name="index"/> of an array in the device's memory.</summary>
    public static GpuSamplingRow Load(long rows, int index)
    {
        long address = rows + ((long)index * Bytes);
        return new GpuSamplingRow
        {
            Counts = Global.LoadLong(address),
            Mask = Global.LoadLong(address + 8),
            Bias = Global.LoadLong(address + 16),
            TopPShare = (ulong)Global.LoadLong(address + 24),
            LogitRow = Global.LoadInt(address + 32),
            Index = Global.LoadInt(address + 36),
            BiasCount = Global.LoadInt(address + 40),
            Numbers = LoadNumbers(address + 48),
        };
    }

    /// <remarks>Top-p is not read: it comes as a share.</remarks>
    private static SamplingNumbers LoadNumbers(long address) => new()
    {
        Seed = (ulong)Global.LoadLong(address),
        Temperature = Global.LoadFloat(address + 8),
        TopK = Global.LoadInt(address + 12),
        MinP = Global.LoadFloat(address + 20),
        RepetitionPenalty = Global.LoadFloat(address + 24),
        FrequencyPenalty = Global.LoadFloat(address + 28),
        PresencePenalty = Global.LoadFloat(address + 32),
    };
}
