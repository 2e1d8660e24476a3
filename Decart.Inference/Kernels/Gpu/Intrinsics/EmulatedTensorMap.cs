using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Decart.Inference.Native.Cuda;

namespace Decart.Inference.Kernels.Gpu.Intrinsics;

/// <summary>What stands in a tensor map's 128 bytes where <see cref="TensorCopy"/> is emulated: up to three dimensions, tensors of the host.</summary>
internal unsafe struct EmulatedTensorMap
{
    private const int MaxRank = 3;

    private nint _address;
    private int _elementBytes;
    private CudaTensorSwizzle _swizzle;
    private fixed long _sizes[MaxRank];
    private fixed long _strides[MaxRank];
    private fixed int _box[MaxRank];

    /// <summary>Writes a map as <see cref="CudaTensorMap.Encode"/> does for a GPU.</summary>
    public static void Encode(CudaTensorMap map, Span<byte> destination)
    {
        int rank = map.Sizes.Length;
        if (rank > MaxRank) throw new NotSupportedException($"Tensors of up to {MaxRank} dimensions are emulated, not {rank}.");
        EmulatedTensorMap emulated = new() { _address = map.Address, _elementBytes = map.Element.Bytes(), _swizzle = map.Swizzle };
        for (int i = 0; i < MaxRank; i++)
        {
            emulated._sizes[i] = i < rank ? map.Sizes[i] : 1;
            emulated._strides[i] = i == 0 ? emulated._elementBytes : i < rank ? map.Strides[i - 1] : 0;
            emulated._box[i] = i < rank ? map.Box[i] : 1;
        }
        destination[..CudaTensorMap.Bytes].Clear();
        MemoryMarshal.Write(destination, emulated);
    }

    /// <summary>Copies a box to shared memory.</summary>
    /// <returns>Its bytes.</returns>
    public readonly int Load(int destination, int x, int y, int z)
    {
        int offset = 0;
        for (int plane = z; plane < z + _box[2]; plane++)
        {
            for (int row = y; row < y + _box[1]; row++)
            {
                for (int column = x; column < x + _box[0]; column++, offset += _elementBytes)
                {
                    byte* element = Shared.Pointer(_swizzle.Apply(destination + offset));
                    bool inside = Inside(column, 0) && Inside(row, 1) && Inside(plane, 2);
                    nint source = _address + (nint)((column * _strides[0]) + (row * _strides[1]) + (plane * _strides[2]));
                    if (inside) Unsafe.CopyBlockUnaligned(element, (void*)source, (uint)_elementBytes);
                    else Unsafe.InitBlockUnaligned(element, 0, (uint)_elementBytes);
                }
            }
        }
        return offset;
    }

    private readonly bool Inside(int coordinate, int dimension) => coordinate >= 0 && coordinate < _sizes[dimension];
}
