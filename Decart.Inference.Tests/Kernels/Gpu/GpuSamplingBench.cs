using System.Runtime.InteropServices;
using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Sampling;

namespace Decart.Inference.Tests.Kernels.Gpu;

/// <summary>Sampling on a device, which it does not own, from random logits.</summary>
internal sealed class GpuSamplingBench(IGpuDevice device) : IDisposable
{
    private readonly GpuSampler _sampler = new(device);
    private readonly Stack<IDisposable> _disposables = [];

    public IGpuDevice Device => device;

    public GpuSampler Sampler => _sampler;

    /// <summary>As many rows on an emulated device, where one takes milliseconds, many more on a GPU.</summary>
    public int Scale(int rows) => device is EmulatedDevice ? rows : 8 * rows;

    /// <summary>Peaked as a language model's: most logits are near 0, a few far above.</summary>
    public static float[] RandomLogits(int size, int seed, float spread = 3)
    {
        Random random = new(seed);
        float[] logits = new float[size];
        foreach (ref float logit in logits.AsSpan())
            logit = spread * (float)(Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble()));
        return logits;
    }

    /// <summary>The rows on the device; what lies beyond their columns is not a number.</summary>
    public GpuActivations Logits(params ReadOnlySpan<float[]> rows)
    {
        GpuActivations logits = new(device, rows.Length, rows[0].Length, operand: false);
        _disposables.Push(logits);
        float[] padded = new float[logits.Stride];
        for (int row = 0; row < rows.Length; row++)
        {
            Array.Fill(padded, float.NaN);
            rows[row].CopyTo(padded, 0);
            device.Upload(logits.Address + (nint)(row * logits.RowBytes), MemoryMarshal.AsBytes(padded.AsSpan()));
        }
        return logits;
    }

    public GpuBuffer Send<T>(T[] values)
        where T : unmanaged
    {
        ReadOnlySpan<byte> bytes = MemoryMarshal.AsBytes(values.AsSpan());
        GpuBuffer buffer = new(device.Memory, bytes.Length);
        _disposables.Push(buffer);
        device.Upload(buffer.Address, bytes);
        return buffer;
    }

    /// <summary>A sampler whose tables hold the prompt.</summary>
    public GpuSequenceSampler SequenceSampler(SamplingParameters parameters, int[] prompt, int vocabularySize)
    {
        GpuSequenceSampler sampler = (GpuSequenceSampler)_sampler.CreateSampler(parameters, prompt, vocabularySize)!;
        _disposables.Push(sampler);
        return sampler;
    }

    /// <summary>One token for each row of logits, with the same parameters; row i is token <paramref name="firstIndex"/> + i of the completion.</summary>
    public int[] Choose(float[][] rows, SamplingParameters parameters, int firstIndex = 0)
    {
        GpuSequenceSampler sampler = SequenceSampler(parameters, [], rows[0].Length);
        return _sampler.Sample(Logits(rows), [.. rows.Select((_, i) => new SampledRow(i, sampler, firstIndex + i))]).Wait().ToArray();
    }

    public void Dispose()
    {
        while (_disposables.TryPop(out IDisposable? disposable)) disposable.Dispose();
        _sampler.Dispose();
    }
}
