using System.Runtime.InteropServices;
using Decart.Inference.Kernels.Gpu.Tiles;
using Decart.Inference.Sampling;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// Launches <see cref="GpuSampling"/> and owns what it needs: the steps' descriptors and tokens, and the requests' tables, which are used again when
/// requests end, in stream order, so that nothing waits for the device.
/// </summary>
internal sealed class GpuSampler : IDeviceSampler, IDisposable
{
    /// <summary>
    /// Bytes of the tokens: more than any batch has, so that the address stays while kernels that were recorded with it are launched.
    /// </summary>
    private const int TokenBytes = 1 << 18;

    /// <summary>Biases take a multiple of this, so that tables of different requests can follow one another.</summary>
    private const int BiasGranularity = 4096;

    private readonly IGpuDevice _device;
    private readonly GpuBuffer _tokens, _rows, _prompt, _kept;
    private readonly GpuMasks _masks;
    private readonly Dictionary<long, Stack<GpuBuffer>> _free = [];
    private readonly GpuSampledTokens[] _steps = [new(), new()];
    private GpuSamplingRow[] _descriptors = new GpuSamplingRow[16];
    private int _nextStep;

    public GpuSampler(IGpuDevice device)
    {
        _device = device;
        _tokens = new GpuBuffer(device.Memory, TokenBytes);
        _rows = new GpuBuffer(device.Memory);
        _prompt = new GpuBuffer(device.Memory);
        _kept = new GpuBuffer(device.Memory);
        _masks = new GpuMasks(device);
    }

    /// <summary>The masks of the latest steps.</summary>
    public GpuMasks Masks => _masks;

    /// <summary>Where the latest step's tokens are or will be: one (int) for each row of the logits.</summary>
    public nint Tokens => _tokens.Address;

    public SequenceSampler? CreateSampler(SamplingParameters parameters, ReadOnlySpan<int> prompt, int vocabularySize)
    {
        if (vocabularySize > GpuLogits.MaxVocabulary) return null;
        GpuBuffer? counts = null, bias = null;
        try
        {
            if (parameters.HasPenalties) counts = CreateCounts(prompt, vocabularySize);
            if (parameters.LogitBias.Length > 0) bias = CreateBias(parameters.LogitBias, vocabularySize);
            GpuSamplingRow row = Describe(parameters, counts, bias, vocabularySize);
            return new GpuSequenceSampler(this, row, counts, bias) { IsMasked = parameters.IsMasked, KeepsLogits = parameters is { TopLogprobs: not null, ChangesLogits: true } };
        }
        catch
        {
            Return(counts);
            Return(bias);
            throw;
        }
    }

    public SampledTokens Sample(Activations logits, ReadOnlySpan<SampledRow> rows)
    {
        if (rows.IsEmpty) throw new ArgumentException("There is no row to sample from.", nameof(rows));
        GpuActivations source = ((GpuActivations)logits).AsFloats();
        if (_descriptors.Length < rows.Length) Array.Resize(ref _descriptors, Math.Max(rows.Length, 2 * _descriptors.Length));
        int previous = -1;
        int masked = 0;
        foreach (ref readonly SampledRow row in rows) masked += row.Mask is null ? 0 : 1;
        if (masked > 0) _masks.Begin(masked, logits.Columns);
        for (int i = 0; i < rows.Length; i++)
        {
            (int row, SequenceSampler sampler, int index, TokenMask? mask) = rows[i];
            if (row <= previous || row >= Math.Min(logits.Rows, TokenBytes / sizeof(int)))
                throw new ArgumentException($"Row {row} follows row {previous} of {logits.Rows}.", nameof(rows));
            previous = row;
            GpuSequenceSampler own = (GpuSequenceSampler)sampler;
            _descriptors[i] = own.Row;
            if (mask is not null && !own.IsMasked) throw new ArgumentException("The request was said to have no masks.", nameof(rows));
            _descriptors[i].Mask = mask is null ? 0 : _masks.AddressOf(mask);
            _descriptors[i].LogitRow = row;
            _descriptors[i].Index = index;
        }
        if (masked > 0) _masks.Send();
        _rows.Reserve((long)_descriptors.Length * GpuSamplingRow.Bytes);
        _device.Upload(_rows.Address, MemoryMarshal.AsBytes(_descriptors.AsSpan(0, rows.Length)));
        SamplingArguments arguments = new()
        {
            Logits = source.Address,
            Rows = _rows.Address,
            Tokens = Tokens,
            Stride = source.Stride,
            Vocabulary = logits.Columns,
        };
        CopyKept(source, rows, restore: false);
        _device.Launch(GpuSampling.Kernel, new GpuGrid(rows.Length), arguments);
        CopyKept(source, rows, restore: true);

        GpuSampledTokens step = _steps[_nextStep];
        _nextStep = (_nextStep + 1) % _steps.Length;
        step.Start(_device, Tokens, previous + 1, logits.Rows);
        return step;
    }

    /// <summary>Takes back a table that no step started from now on uses.</summary>
    public void Return(GpuBuffer? table)
    {
        if (table is null) return;
        if (!_free.TryGetValue(table.Bytes, out Stack<GpuBuffer>? free)) _free.Add(table.Bytes, free = []);
        free.Push(table);
    }

    public void Dispose()
    {
        foreach (GpuSampledTokens step in _steps) step.Dispose();
        foreach (GpuBuffer table in _free.Values.SelectMany(tables => tables)) table.Dispose();
        _tokens.Dispose();
        _rows.Dispose();
        _prompt.Dispose();
        _kept.Dispose();
        _masks.Dispose();
    }

    /// <summary>Sets aside those rows that are to stay as they are though the kernel changes them, or puts them back.</summary>
    private void CopyKept(GpuActivations logits, ReadOnlySpan<SampledRow> rows, bool restore)
    {
        int kept = 0;
        foreach (SampledRow row in rows) kept += ((GpuSequenceSampler)row.Sampler).KeepsLogits ? 1 : 0;
        if (kept == 0) return;
        if (!restore) _kept.Reserve(kept * logits.RowBytes);
        nint place = _kept.Address;
        foreach (SampledRow row in rows)
        {
            if (!((GpuSequenceSampler)row.Sampler).KeepsLogits) continue;
            nint own = logits.Address + (nint)(row.LogitRow * logits.RowBytes);
            _device.Copy(restore ? own : place, restore ? place : own, logits.RowBytes);
            place += (nint)logits.RowBytes;
        }
    }

    private static GpuSamplingRow Describe(SamplingParameters parameters, GpuBuffer? counts, GpuBuffer? bias, int vocabularySize)
    {
        SamplingNumbers numbers = parameters.Numbers;
        if (numbers.TopK >= vocabularySize) numbers.TopK = 0;
        return new GpuSamplingRow
        {
            Counts = counts?.Address ?? 0,
            Bias = bias?.Address ?? 0,
            BiasCount = parameters.LogitBias.Length,
            // The product is exact but for shares that are smaller than any token's.
            TopPShare = numbers.TopP < 1 ? Math.Max(1, (ulong)(numbers.TopP * 18446744073709551616.0)) : 0,
            Numbers = numbers,
        };
    }

    private GpuBuffer CreateCounts(ReadOnlySpan<int> prompt, int vocabularySize)
    {
        foreach (int id in prompt) ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)id, (uint)vocabularySize, nameof(prompt));
        GpuBuffer counts = Rent((long)CoreTiles.PaddedColumns(vocabularySize) * sizeof(int));
        _device.Clear(counts.Address, counts.Bytes);
        if (prompt.IsEmpty) return counts;
        _prompt.Reserve((long)prompt.Length * sizeof(int));
        _device.Upload(_prompt.Address, MemoryMarshal.AsBytes(prompt));
        TokenCountsArguments arguments = new() { Tokens = _prompt.Address, Counts = counts.Address, Count = prompt.Length };
        int groupSize = Math.Min(GpuTokenCounts.MarkKernel.GroupSize, _device.MaxGroupSize);
        _device.Launch(GpuTokenCounts.MarkKernel, new GpuGrid((prompt.Length + groupSize - 1) / groupSize), arguments);
        return counts;
    }

    private GpuBuffer CreateBias(KeyValuePair<int, float>[] bias, int vocabularySize)
    {
        (int Id, float Value)[] entries = [.. bias.Select(entry => (entry.Key, entry.Value))];
        foreach ((int id, _) in entries) ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)id, (uint)vocabularySize, nameof(bias));
        long bytes = (long)entries.Length * GpuSamplingRow.BiasBytes;
        GpuBuffer table = Rent((bytes + BiasGranularity - 1) / BiasGranularity * BiasGranularity);
        _device.Upload(table.Address, MemoryMarshal.AsBytes(entries.AsSpan()));
        return table;
    }

    private GpuBuffer Rent(long bytes) =>
        _free.TryGetValue(bytes, out Stack<GpuBuffer>? free) && free.TryPop(out GpuBuffer? table) ? table : new GpuBuffer(_device.Memory, bytes);
}
