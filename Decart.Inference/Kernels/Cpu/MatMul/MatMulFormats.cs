using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels.Cpu.Formats;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>What the matmul calls for one weight format, compiled for it.</summary>
internal unsafe struct MatMulFormat
{
    /// <summary>Elements of a block as <see cref="IWeightFormat"/> counts them: 16 for plain types. 0: the format is not supported.</summary>
    public int BlockLength;

    public int BlockBytes;

    /// <summary>Widens that many consecutive blocks.</summary>
    public delegate*<byte*, int, float*, void> Decode;

    /// <summary>Adds the products of one row of x and that many blocks of <see cref="MatMulShape.DotRows"/> weight rows to their accumulators.</summary>
    public delegate*<MatMulRow*, int, float*, void*, void> Dot;

    /// <summary>The same for 2 to <see cref="MatMulShape.DotTileRows"/> rows of x, if they can share what is widened in registers; else null.</summary>
    public delegate*<MatMulRow*, int, float*, nint, int, void*, void> DotTile;
}

/// <summary>The weight formats that the CPU multiplies with: the one place that lists them.</summary>
internal static unsafe class MatMulFormats
{
    private static readonly MatMulFormat[] Decoders = CreateTable(SimdWidth.Scalar);

    /// <summary>The formats indexed by <see cref="TensorType"/>, in memory that does not move.</summary>
    public static MatMulFormat[] CreateTable(SimdWidth width)
    {
        // A kernel compiled before these tables exist would look for them in its loop.
        RuntimeHelpers.RunClassConstructor(typeof(HalfTable).TypeHandle);
        RuntimeHelpers.RunClassConstructor(typeof(Codebooks).TypeHandle);
        RuntimeHelpers.RunClassConstructor(typeof(Int4Header).TypeHandle);
        RuntimeHelpers.RunClassConstructor(typeof(NormalFloat4).TypeHandle);
        RuntimeHelpers.RunClassConstructor(typeof(BitsAndBytesFloat4).TypeHandle);
        MatMulFormat[] table = GC.AllocateArray<MatMulFormat>(Enum.GetValues<TensorType>().Length, pinned: true);
        Add<F32Format>(table, width, sharesWidening: true);
        Add<F16Format>(table, width);
        Add<BF16Format>(table, width, sharesWidening: true);
        Add<Q4_0Format>(table, width);
        Add<Q4_1Format>(table, width);
        Add<Q5_0Format>(table, width);
        Add<Q5_1Format>(table, width);
        Add<Q8_0Format>(table, width);
        Add<Q2_KFormat>(table, width);
        Add<Q3_KFormat>(table, width);
        Add<Q4_KFormat>(table, width);
        Add<Q5_KFormat>(table, width);
        Add<Q6_KFormat>(table, width);
        Add<IQ4_NLFormat>(table, width);
        Add<IQ4_XSFormat>(table, width);
        Add<IQ3_SFormat>(table, width);
        Add<IQ3_XXSFormat>(table, width);
        Add<IQ2_SFormat>(table, width);
        Add<IQ2_XSFormat>(table, width);
        Add<IQ2_XXSFormat>(table, width);
        Add<IQ1_SFormat>(table, width);
        Add<IQ1_MFormat>(table, width);
        Add<Q8_KFormat>(table, width);
        Add<TQ1_0Format>(table, width);
        Add<TQ2_0Format>(table, width);
        Add<MXFP4Format>(table, width);
        AddGroups<Group32>(table, width);
        AddGroups<Group64>(table, width);
        Add<Float4Format<NormalFloat4>>(table, width);
        Add<Float4Format<BitsAndBytesFloat4>>(table, width);
        return table;
    }

    /// <summary>The encodings that weights may have, for messages.</summary>
    public static string Names => string.Join(", ", Enum.GetValues<TensorType>().Where(Supports));

    public static bool Supports(TensorType type) => Decoders[(int)type].BlockLength != 0;

    /// <summary>Widens <paramref name="length"/> elements from the start of a row, of which formats with blocks need whole ones.</summary>
    /// <param name="type">A supported encoding.</param>
    /// <param name="source">The first of them.</param>
    /// <param name="length">Their number.</param>
    /// <param name="destination">Room for as many.</param>
    [SkipLocalsInit]
    public static void Decode(TensorType type, byte* source, int length, float* destination)
    {
        ref readonly MatMulFormat format = ref Decoders[(int)type];
        int blocks = length / format.BlockLength;
        format.Decode(source, blocks, destination);
        int decoded = blocks * format.BlockLength;
        if (decoded == length) return;
        float* tail = stackalloc float[MatMulTail.Length];
        MatMulTail.DecodeWeights(in format, source + ((long)blocks * format.BlockBytes), length - decoded, tail);
        new ReadOnlySpan<float>(tail, length - decoded).CopyTo(new Span<float>(destination + decoded, length - decoded));
    }

    private static void AddGroups<TGroup>(MatMulFormat[] table, SimdWidth width)
        where TGroup : IGroup
    {
        Add<Int4Format<TGroup>>(table, width);
        Add<Int8Format<TGroup>>(table, width);
        Add<E4M3Format<TGroup>>(table, width);
    }

    /// <param name="table">The table.</param>
    /// <param name="width">The width of the accumulators.</param>
    /// <param name="sharesWidening">
    /// The compiler widens a block once for products with several rows of x: so it does where that takes an instruction or two.
    /// </param>
    private static void Add<TFormat>(MatMulFormat[] table, SimdWidth width, bool sharesWidening = false)
        where TFormat : IWeightFormat
    {
        ref MatMulFormat format = ref table[(int)TFormat.Type];
        format.BlockLength = TFormat.BlockLength;
        format.BlockBytes = TFormat.BlockBytes;
        format.Decode = &DecodeBlocks<TFormat>;
        switch (width)
        {
            case SimdWidth.Vector512:
                AddKernels<Lanes512, Vector512<float>, TFormat>(ref format, sharesWidening);
                break;
            case SimdWidth.Vector256:
                AddKernels<Lanes256, Vector256<float>, TFormat>(ref format, sharesWidening);
                break;
            case SimdWidth.Vector128:
                AddKernels<Lanes128, Vector128<float>, TFormat>(ref format, sharesWidening);
                break;
            default:
                AddKernels<Lanes1, float, TFormat>(ref format, sharesWidening);
                break;
        }
    }

    private static void AddKernels<TLanes, TVector, TFormat>(ref MatMulFormat format, bool sharesWidening)
        where TLanes : IMatMulLanes<TVector>
        where TVector : unmanaged
        where TFormat : IWeightFormat
    {
        // Short vectors make long chains of additions, which need others beside them.
        bool isChain = TFormat.BlockLength != MatMulTail.Length || TLanes.Width == SimdWidth.Vector128;
        if (!isChain) format.Dot = &MatMulDotKernel<TLanes, TVector>.DotByTwo<TFormat>;
        else format.Dot = &MatMulDotKernel<TLanes, TVector>.DotByFour<TFormat>;
        // 16 accumulators need 32 registers.
        if (sharesWidening && TLanes.Width == SimdWidth.Vector512) format.DotTile = &MatMulDotKernel<TLanes, TVector>.DotTile<TFormat>;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void DecodeBlocks<TFormat>(byte* source, int blocks, float* destination)
        where TFormat : IWeightFormat
    {
        for (int block = 0; block < blocks; block++)
        {
            TFormat.Decode(source, destination);
            source += TFormat.BlockBytes;
            destination += TFormat.BlockLength;
        }
    }
}

/// <summary>
/// The end of a row of a plain format whose length is not a multiple of 16: up to 15 elements, padded with zeros to one block, so that
/// kernels know whole blocks only and nothing is read past a row's end. A padded lane adds 0 * 0 to its accumulator.
/// </summary>
internal static unsafe class MatMulTail
{
    /// <summary>Elements of a padded tail.</summary>
    public const int Length = 16;

    /// <summary>Bytes of a padded tail of weights, at most.</summary>
    public const int Bytes = Length * sizeof(float);

    public static void CopyWeights(ref readonly MatMulFormat format, byte* source, int length, byte* destination)
    {
        NativeMemory.Clear(destination, Bytes);
        long bytes = (long)format.BlockBytes * length / Length;
        Buffer.MemoryCopy(source, destination, Bytes, bytes);
    }

    [SkipLocalsInit]
    public static void DecodeWeights(ref readonly MatMulFormat format, byte* source, int length, float* destination)
    {
        byte* block = stackalloc byte[Bytes];
        CopyWeights(in format, source, length, block);
        format.Decode(block, 1, destination);
    }

    public static void CopyActivations(float* source, int length, float* destination)
    {
        NativeMemory.Clear(destination, Bytes);
        new ReadOnlySpan<float>(source, length).CopyTo(new Span<float>(destination, length));
    }
}
