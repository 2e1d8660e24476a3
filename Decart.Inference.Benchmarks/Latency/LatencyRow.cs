namespace Decart.Inference.Benchmarks.Latency;

internal enum StepKind
{
    Prefill,
    Decode,
}

/// <summary>The time of one kind of step.</summary>
/// <param name="Kind">Prefill or decode.</param>
/// <param name="Batch">Sequences.</param>
/// <param name="Tokens">Of a prompt, or before the token that is decoded.</param>
/// <param name="Kernels">The kernels of a GPU.</param>
/// <param name="Paging">How keys and values are found.</param>
internal sealed record LatencyRow(StepKind Kind, int Batch, int Tokens, KernelChoice Kernels, PagingMode Paging)
{
    /// <summary>Null where the case was left out.</summary>
    public double? Seconds { get; init; }

    /// <summary>What must be read; of a prompt it does not matter and is 0.</summary>
    public double Bytes { get; init; }

    /// <summary>What must be computed, attention included.</summary>
    public double Operations { get; init; }

    /// <summary>Of these, what matmuls compute; of a decode step it is not told apart and is 0.</summary>
    public double WeightOperations { get; init; }

    /// <summary>Bytes a second, read and written, of copies within the device's memory.</summary>
    public double CopyBandwidth { get; init; }

    /// <summary>Why the case was left out; null where it was measured.</summary>
    public string? LeftOut { get; init; }

    public string Case => Kind == StepKind.Prefill
        ? FormattableString.Invariant($"prefill of {Tokens:N0}")
        : FormattableString.Invariant($"decode, batch {Batch}, context {Tokens:N0}");

    public double? TokensPerSecond => (Kind == StepKind.Prefill ? Tokens : Batch) / Seconds;

    /// <summary>The time that reading the bytes at the copy bandwidth would take.</summary>
    public double? FloorSeconds => Kind == StepKind.Prefill ? null : Bytes / CopyBandwidth;

    /// <summary>That time over the one measured.</summary>
    public double? RooflineShare => FloorSeconds / Seconds;

    public double? TeraFlops => Operations / Seconds / 1e12;

    public double? WeightTeraFlops => Kind == StepKind.Prefill ? WeightOperations / Seconds / 1e12 : null;
}
