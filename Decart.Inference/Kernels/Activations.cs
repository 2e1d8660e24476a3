namespace Decart.Inference.Kernels;

/// <summary>A row-major matrix of activations in the device's memory; how its elements are stored is the device's affair.</summary>
internal abstract class Activations(int rows, int columns) : IDisposable
{
    /// <summary>Number of rows there is room for; an operation says how many it uses.</summary>
    public int Rows { get; } = rows;

    public int Columns { get; } = columns;

    public abstract void Dispose();
}
