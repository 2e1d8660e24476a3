namespace Decart.Inference.Models.Quantisation;

/// <summary>How weights are rounded to the codes of a format.</summary>
internal interface IRounding
{
    static abstract CodeKind Kind { get; }

    /// <summary>Bits of a code.</summary>
    static abstract int Bits { get; }

    /// <summary>The most columns of a row that have a scale.</summary>
    static abstract int GroupColumns { get; }

    /// <summary>What the codes of a group of weights are scaled by; no finite number where a weight is none. The zero is 0 where the format has none.</summary>
    static abstract (float Scale, int Zero) Scale(ReadOnlySpan<float> weights);

    /// <summary>The code that is nearest to a weight, the even one of two.</summary>
    static abstract byte Code(float weight, float scale, int zero);
}
