using System.Runtime.InteropServices;
using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels.Cpu.Formats;

namespace Decart.Inference.Models;

/// <summary>Blocks of weights with random codes, and scales by which they spread as weights of more bits do.</summary>
internal static class RandomBlocks
{
    /// <summary>Fills blocks of a type.</summary>
    /// <param name="type">One of those that a <see cref="WeightFormat"/> has.</param>
    /// <param name="reach">The weights are spread like numbers that are drawn evenly between this and its opposite.</param>
    /// <param name="random">Draws the codes.</param>
    /// <param name="blocks">A whole number of blocks.</param>
    public static void Fill(TensorType type, float reach, Random random, Span<byte> blocks)
    {
        random.NextBytes(blocks);
        for (int bytes = type.BlockBytes(); !blocks.IsEmpty; blocks = blocks[bytes..]) Scale(type, reach, blocks[..bytes]);
    }

    private static void Scale(TensorType type, float reach, Span<byte> block)
    {
        switch (type)
        {
            case TensorType.Q4_0:
                WriteHalf(block, reach / 8);
                break;
            case TensorType.Q5_0:
                WriteHalf(block, reach / 16);
                break;
            case TensorType.Q8_0:
                WriteHalf(block, reach / 128);
                break;
            case TensorType.Q4_1:
                WriteHalf(block, 2 * reach / 15);
                WriteHalf(block[2..], -reach);
                break;
            case TensorType.Q5_1:
                WriteHalf(block, 2 * reach / 31);
                WriteHalf(block[2..], -reach);
                break;
            case TensorType.Q4_K:
                ScaleWithMinimums(block, reach, largest: 15);
                break;
            case TensorType.Q5_K:
                ScaleWithMinimums(block, reach, largest: 31);
                break;
            case TensorType.Q6_K:
                const byte SixteenWeights = 16;
                block[192..208].Fill(SixteenWeights);
                WriteHalf(block[208..], reach / (32 * SixteenWeights));
                break;
            case TensorType.Int4x32 or TensorType.Int4x64:
                MemoryMarshal.Write(block, Int4Header.Compose(Int4Header.Round(reach / 8), zero: 8));
                break;
            case TensorType.Int8x32 or TensorType.Int8x64:
                const int LargestByte = 128;
                MemoryMarshal.Write(block, reach / LargestByte);
                MemoryMarshal.Write(block[sizeof(float)..], (float)LargestByte);
                break;
            case TensorType.E4M3x32 or TensorType.E4M3x64:
                ScaleFloats(block, reach);
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(type), type, "There are no random weights of this type.");
        }
    }

    /// <summary>Scales and minimums of Q4_K and Q5_K: the largest that there are, of six bits.</summary>
    private static void ScaleWithMinimums(Span<byte> block, float reach, int largest)
    {
        const int Most = 63;
        WriteHalf(block, 2 * reach / (largest * Most));
        WriteHalf(block[2..], reach / Most);
        block[4..16].Fill(byte.MaxValue);
    }

    /// <remarks>Bits that are drawn evenly make small numbers of 8 bits more often than large ones.</remarks>
    private static void ScaleFloats(Span<byte> block, float reach)
    {
        const float Reach = 172; // of numbers drawn evenly that spread as far
        const byte NaN = 0x7F;
        foreach (ref byte code in block[sizeof(float)..])
        {
            if ((code & NaN) == NaN) code ^= 1;
        }
        MemoryMarshal.Write(block, reach / Reach * E4M3Header.Factor);
    }

    private static void WriteHalf(Span<byte> destination, float value) => MemoryMarshal.Write(destination, (Half)value);
}
