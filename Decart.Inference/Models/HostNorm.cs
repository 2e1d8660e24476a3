using Decart.Inference.Kernels;

namespace Decart.Inference.Models;

/// <summary>A norm of rows that have been read to the host, computed in float64 and rounded once.</summary>
internal sealed class HostNorm
{
    private readonly float[] _scale;
    private readonly float[]? _bias;
    private readonly double _epsilon;
    private readonly bool _removeMean;

    /// <summary>Reads a norm's vectors.</summary>
    public HostNorm(Norm norm, IBackend backend)
    {
        (_epsilon, _removeMean) = (norm.Epsilon, norm.RemoveMean);
        _scale = Read(norm.Scale, backend);
        _bias = norm.Bias is null ? null : Read(norm.Bias, backend);
    }

    /// <summary>row = (row - mean) / sqrt(mean of (row - mean)^2 + epsilon) * scale + bias, the mean taken as 0 in an RMSNorm.</summary>
    public void Apply(Span<float> row)
    {
        double mean = 0, squares = 0;
        if (_removeMean)
        {
            foreach (float value in row) mean += value;
            mean /= row.Length;
        }
        foreach (float value in row) squares += (value - mean) * (value - mean);
        double factor = 1 / Math.Sqrt((squares / row.Length) + _epsilon);
        for (int i = 0; i < row.Length; i++) row[i] = (float)(((row[i] - mean) * factor * _scale[i]) + (_bias is null ? 0 : _bias[i]));
    }

    private static float[] Read(WeightVector vector, IBackend backend)
    {
        float[] elements = new float[vector.Length];
        backend.Read(vector, elements);
        return elements;
    }
}
