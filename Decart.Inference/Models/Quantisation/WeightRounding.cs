using System.Buffers;
using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels.Cpu;

namespace Decart.Inference.Models.Quantisation;

/// <summary>Rounds a matrix to few bits: each weight to the nearest code, with a scale for each row or each 128 columns of it.</summary>
internal static unsafe class WeightRounding
{
    /// <summary>Whether there is a rounding to a format.</summary>
    public static bool Has(WeightFormat format) => format is WeightFormat.Fp8 or WeightFormat.Int8 or WeightFormat.Int4;

    /// <summary>Chooses the scales of a matrix; codes follow when they are read.</summary>
    /// <param name="path">The checkpoint, for error messages.</param>
    /// <param name="tensor">The matrix: F32, F16 or BF16. It is read again with the codes.</param>
    /// <param name="format">One that <see cref="Has"/> knows.</param>
    /// <exception cref="ModelLoadException">A weight is not a finite number.</exception>
    public static QuantisedWeight Round(string path, StoredTensor tensor, WeightFormat format) => format switch
    {
        WeightFormat.Fp8 => Round<E4M3Rounding>(path, tensor),
        WeightFormat.Int8 => Round<Int8Rounding>(path, tensor),
        _ => Round<Int4Rounding>(path, tensor),
    };

    private static QuantisedWeight Round<TRounding>(string path, StoredTensor tensor)
        where TRounding : IRounding
    {
        int rows = checked((int)tensor.Rows), columns = checked((int)tensor.Columns), groupColumns = Math.Min(TRounding.GroupColumns, columns), across = GroupTables.Count(groupColumns, columns);
        float[] scales = new float[checked(rows * across)];
        ushort[] zeros = TRounding.Kind == CodeKind.Integer ? new ushort[scales.Length] : [];
        Parallel.For(0, rows, row =>
        {
            float[] weights = Decode(tensor, row);
            for (int group = 0, index = row * across; group < across; group++, index++)
            {
                (scales[index], int zero) = TRounding.Scale(weights.AsSpan(0, columns)[(group * groupColumns)..Math.Min(columns, (group + 1) * groupColumns)]);
                if (zeros.Length > 0) zeros[index] = (ushort)zero;
            }
            ArrayPool<float>.Shared.Return(weights);
        });
        if (Array.FindIndex(scales, scale => !float.IsFinite(scale)) is >= 0 and var wrong)
            throw new ModelLoadException(path, tensor.Name, $"expected finite numbers to quantise, found others in row {wrong / across}");
        return new QuantisedWeight
        {
            Name = tensor.Name,
            Kind = TRounding.Kind,
            Bits = TRounding.Bits,
            Rows = rows,
            Columns = columns,
            GroupColumns = groupColumns,
            Scales = scales,
            Zeros = zeros,
            ReadCodes = (firstRow, count, codes) =>
            {
                for (int row = firstRow; row < firstRow + count; row++)
                {
                    float[] weights = Decode(tensor, row);
                    for (int column = 0; column < columns; column++)
                    {
                        int group = (row * across) + (column / groupColumns);
                        codes[((row - firstRow) * columns) + column] = TRounding.Code(weights[column], scales[group], zeros.Length > 0 ? zeros[group] : 0);
                    }
                    ArrayPool<float>.Shared.Return(weights);
                }
            },
        };
    }

    /// <summary>A row as float32, in an array of the pool.</summary>
    private static float[] Decode(in StoredTensor tensor, long row)
    {
        float[] weights = ArrayPool<float>.Shared.Rent((int)tensor.Columns);
        fixed (float* destination = weights) TensorDecoder.DecodeRow(tensor, row, destination);
        return weights;
    }
}
