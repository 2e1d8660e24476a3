using System.Runtime.CompilerServices;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>Cosines and sines of the current step's rows, computed when the first layer asks for them.</summary>
internal sealed unsafe class CpuRotaryTable(RotaryParameters parameters) : RotaryTable
{
    private readonly CpuBuffer<float> _cosines = new(0);
    private readonly CpuBuffer<float> _sines = new(0);
    private long _step;

    /// <summary>Rotated pairs of a head: the length of a row of cosines.</summary>
    public int Pairs => parameters.Pairs;

    public bool Interleaved => parameters.Interleaved;

    public float* Cosines => _cosines.Pointer;

    public float* Sines => _sines.Pointer;

    /// <summary>Fills both tables for the rows of the step, unless they are.</summary>
    /// <remarks>The angle is rounded to float32, as in the implementations that models are trained with.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Prepare(CpuStep step)
    {
        if (_step == step.Number) return;
        int rows = step.Batch.TokenCount;
        _cosines.Reserve((long)rows * Pairs);
        _sines.Reserve((long)rows * Pairs);
        foreach (BatchChunk chunk in step.Batch.Chunks)
        {
            for (int i = 0; i < chunk.Length; i++) FillRow(chunk.FirstRow + i, chunk.FirstPosition + i, chunk.Kv.RotaryLength);
        }
        _step = step.Number;
    }

    public override void Dispose()
    {
        _cosines.Dispose();
        _sines.Dispose();
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void FillRow(long row, int position, int rotaryLength)
    {
        float* cosines = Cosines + (row * Pairs), sines = Sines + (row * Pairs);
        ReadOnlySpan<float> frequencies = parameters.Frequencies(position, rotaryLength);
        for (int pair = 0; pair < frequencies.Length; pair++)
        {
            float angle = position * frequencies[pair];
            (double sine, double cosine) = Math.SinCos(angle);
            cosines[pair] = (float)cosine * parameters.Scale;
            sines[pair] = (float)sine * parameters.Scale;
        }
    }
}
