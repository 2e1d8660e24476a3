using System.Runtime.CompilerServices;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Models.Quantisation;

/// <summary>Scales, zeros and groups of columns as schemes store them, as <see cref="QuantisedWeight"/> has them.</summary>
internal static unsafe class GroupTables
{
    /// <summary>Columns of a group, of which the last may be shorter; -1 stands for all.</summary>
    public static int GroupColumns(int groupSize, int columns) => groupSize == -1 ? columns : Math.Min(groupSize, columns);

    /// <summary>Groups of that many rows or columns, of which the last may be smaller.</summary>
    public static int Count(int group, int length) => (int)(((long)length + group - 1) / group);

    /// <summary>The size of groups in a configuration; -1 for whole rows.</summary>
    public static int ReadSize(JsonFields fields)
    {
        const string Field = "group_size", Expected = "-1 or an integer from 1";
        int size = fields.OptionalInteger(Field, -1, int.MaxValue) ?? throw fields.Missing(Field, Expected);
        return size == 0 ? throw fields.Wrong(Field, Expected, 0L) : size;
    }

    /// <summary>A matrix [groups, rows] as [rows, groups].</summary>
    public static float[] Transpose(float[] values, int rows)
    {
        int groups = values.Length / rows;
        float[] transposed = new float[values.Length];
        for (int group = 0; group < groups; group++)
        {
            for (int row = 0; row < rows; row++) transposed[(row * groups) + group] = values[(group * rows) + row];
        }
        return transposed;
    }

    /// <summary>The zeros [rows, groups], of which each is asked for by row and group.</summary>
    public static ushort[] Zeros(int rows, int groups, Func<int, int, int> zero)
    {
        ushort[] zeros = new ushort[(long)rows * groups];
        for (int row = 0; row < rows; row++)
        {
            for (int group = 0; group < groups; group++) zeros[(row * groups) + group] = (ushort)zero(row, group);
        }
        return zeros;
    }

    /// <summary>The group of each column, or null where groups are neighbours in ascending order.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="suffix">The tensor that says it.</param>
    /// <param name="groupColumns">Columns of a group.</param>
    /// <param name="mayBeUnset">Whether -1 for every column says that they are neighbours.</param>
    /// <exception cref="ModelLoadException">The tensor has another shape, or there is no such group.</exception>
    public static int[]? GroupOfColumn(LayerTensors layer, string suffix, int groupColumns, bool mayBeUnset = false)
    {
        int* index = (int*)layer.Require(suffix, TensorType.I32, layer.Columns).Pointer;
        int groups = Count(groupColumns, layer.Columns);
        if (mayBeUnset && !new ReadOnlySpan<int>(index, layer.Columns).ContainsAnyExcept(-1)) return null;
        int[] groupOf = new int[layer.Columns];
        bool scattered = false;
        for (int column = 0; column < groupOf.Length; column++)
        {
            int group = Unsafe.ReadUnaligned<int>(index + column);
            if ((uint)group >= (uint)groups) throw layer.Error(suffix, $"expected groups from 0 to {groups - 1}, found {group} for column {column}");
            scattered |= group != column / groupColumns;
            groupOf[column] = group;
        }
        return scattered ? groupOf : null;
    }
}
