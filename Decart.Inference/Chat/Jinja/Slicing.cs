using System.Numerics;

namespace Decart.Inference.Chat.Jinja;

/// <summary>Items and parts of texts and lists by Python's indexes, which count from the end where they are negative.</summary>
internal static class Slicing
{
    /// <summary>The index that a key means in a sequence of a length; null where there is none.</summary>
    public static int? IndexOf(Value key, int length)
    {
        if (Operators.AsInteger(key) is not { } number) return null;
        if (number < 0) number += length;
        return number >= 0 && number < length ? (int)number : null;
    }

    /// <summary>A part of a text, list, tuple or range.</summary>
    public static Value Apply(Value target, Value? start, Value? stop, Value? step, Rendering rendering)
    {
        target.RequireDefined();
        int length = target is StringValue or ListValue or TupleValue or RangeValue
            ? target.Length!.Value
            : throw new JinjaException(target is DictionaryValue ? "unhashable type: 'slice'" : $"'{target.TypeName}' object is not subscriptable");
        (int first, int count, int stride) = Resolve(start, stop, step, length);
        rendering.Budget.Step(count);
        switch (target)
        {
            case StringValue text when stride == 1:
                return text.Slice(text.OffsetOf(first), text.OffsetOf(first + count), rendering);
            case StringValue text:
                (int Start, int Length)[] characters = [.. text.Characters()];
                MarkedBuilder builder = new(rendering.Budget);
                for (int i = 0; i < count; i++) builder.Append(text, characters[first + (i * stride)].Start, characters[first + (i * stride)].Length);
                return builder.ToValue();
            case RangeValue range:
                return range.Slice(first, count, stride);
            default:
                IReadOnlyList<Value> items = target is ListValue list ? list.Values : ((TupleValue)target).Values;
                Value[] part = new Value[count];
                for (int i = 0; i < count; i++) part[i] = items[first + (i * stride)];
                return target is ListValue ? new ListValue(part) : new TupleValue(part);
        }
    }

    /// <summary>Where a part begins, how many items it has and how far they are apart.</summary>
    private static (int First, int Count, int Stride) Resolve(Value? start, Value? stop, Value? step, int length)
    {
        BigInteger stride = Bound(step) ?? 1;
        if (stride.IsZero) throw new JinjaException("slice step cannot be zero");
        bool backwards = stride < 0;
        BigInteger lowest = backwards ? -1 : 0, highest = backwards ? length - 1 : length;
        BigInteger first = Clamp(Bound(start), backwards ? highest : lowest);
        BigInteger end = Clamp(Bound(stop), backwards ? lowest : highest);
        BigInteger span = backwards ? first - end : end - first;
        if (span <= 0) return (0, 0, 1);
        int count = (int)((span + BigInteger.Abs(stride) - 1) / BigInteger.Abs(stride));
        return ((int)first, count, count == 1 ? 1 : (int)stride);

        BigInteger Clamp(BigInteger? bound, BigInteger missing)
        {
            if (bound is not { } value) return missing;
            if (value < 0) value += length;
            return BigInteger.Max(lowest, BigInteger.Min(highest, value));
        }
    }

    private static BigInteger? Bound(Value? value)
    {
        value?.RequireDefined();
        return value is null or NoneValue
            ? null
            : Operators.AsInteger(value) ?? throw new JinjaException("slice indices must be integers or None or have an __index__ method");
    }
}
