namespace Decart.Inference.Kernels;

/// <summary>A weight matrix [rows = output features, columns = input features], laid out as the device's matmul reads it.</summary>
internal abstract class Weight(int rows, int columns) : IDisposable
{
    public int Rows { get; } = rows;

    public int Columns { get; } = columns;

    /// <summary>Consecutive rows as a weight of their own, whose memory is this one's.</summary>
    /// <param name="firstRow">The first.</param>
    /// <param name="rowCount">How many.</param>
    /// <returns>Null where the layout has no weight of just these rows.</returns>
    public virtual Weight? Slice(int firstRow, int rowCount) => null;

    public abstract void Dispose();
}

/// <summary>A vector of norm scales or biases, kept in float32.</summary>
internal abstract class WeightVector(int length) : IDisposable
{
    public int Length { get; } = length;

    public abstract void Dispose();
}
