using System.Runtime.CompilerServices;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>Cosines and sines of the current step's rows, computed when the first layer asks for them.</summary>
internal sealed unsafe class CpuRotaryTable(RotaryParameters parameters) : RotaryTable
{
    private readonly CpuBuffer<float> _cosines = new(0);
    private readonly CpuBuffer<float> _sines = new(0);
    private long _step;

    /// <summary>Rotated pairs of a head: the length of a row of cosines.</summary>
    public int Pairs => parameters.InverseFrequencies.Length;

    public bool Interleaved => parameters.Interleaved;

    public float* Cosines => _cosines.Pointer;

    public float* Sines => _sines.Pointer;

    /// <summary>Fills both tables for the rows of the step, unless they are.</summary>
    /// <remarks>The angle is rounded to float32, as in the implementations that models are trained with.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Prepare(CpuStep step)
    {
        if (_step == step.Number) return;
        ReadOnlySpan<int> positions = step.Batch.Positions;
        _cosines.Reserve((long)positions.Length * Pairs);
        _sines.Reserve((long)positions.Length * Pairs);
        for (int row = 0; row < positions.Length; row++)
        {
            for (int pair = 0; pair < Pairs; pair++)
            {
                float angle = positions[row] * parameters.InverseFrequencies[pair];
                (double sine, double cosine) = Math.SinCos(angle);
                Cosines[((long)row * Pairs) + pair] = (float)cosine * parameters.Scale;
                Sines[((long)row * Pairs) + pair] = (float)sine * parameters.Scale;
            }
        }
        _step = step.Number;
    }

    public override void Dispose()
    {
        _cosines.Dispose();
        _sines.Dispose();
    }
}
