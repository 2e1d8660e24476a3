namespace Decart.Inference.Grammars.Schemas;

/// <summary>A limit of numbers, which they may reach or not.</summary>
internal readonly record struct NumberBound(DecimalNumber Value, bool IsExclusive);

/// <summary>What a number must be.</summary>
internal sealed class NumberBounds
{
    public NumberBound? Min { get; private set; }

    public NumberBound? Max { get; private set; }

    public List<DecimalNumber> Multiples { get; } = [];

    public bool IsInteger { get; set; }

    /// <summary>Whether it must be no integer.</summary>
    public bool IsFraction { get; set; }

    public void RaiseMin(NumberBound bound)
    {
        if (Min is not { } min || Compare(bound, min) > 0) Min = bound;

        static int Compare(NumberBound a, NumberBound b) => a.Value.CompareTo(b.Value) is not 0 and int order ? order : a.IsExclusive.CompareTo(b.IsExclusive);
    }

    public void LowerMax(NumberBound bound)
    {
        if (Max is not { } max || Compare(bound, max) < 0) Max = bound;

        static int Compare(NumberBound a, NumberBound b) => a.Value.CompareTo(b.Value) is not 0 and int order ? order : b.IsExclusive.CompareTo(a.IsExclusive);
    }

    public bool Allows(DecimalNumber number) =>
        (!IsInteger || number.IsInteger)
        && (!IsFraction || !number.IsInteger)
        && (Min is not { } min || number.CompareTo(min.Value) >= (min.IsExclusive ? 1 : 0))
        && (Max is not { } max || number.CompareTo(max.Value) <= (max.IsExclusive ? -1 : 0))
        && Multiples.TrueForAll(number.IsMultipleOf);

    /// <summary>Whether no number can be within both.</summary>
    public bool AreApartFrom(NumberBounds other) =>
        IsBelow(Max, other.Min) || IsBelow(other.Max, Min) || (IsInteger && other.IsFraction) || (IsFraction && other.IsInteger);

    private static bool IsBelow(NumberBound? max, NumberBound? min) =>
        max is { } high && min is { } low && high.Value.CompareTo(low.Value) is var order && (order < 0 || (order == 0 && (high.IsExclusive || low.IsExclusive)));
}
