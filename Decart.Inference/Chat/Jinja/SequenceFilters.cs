namespace Decart.Inference.Chat.Jinja;

/// <summary>The filters for lists, dictionaries and whatever else has items.</summary>
internal static class SequenceFilters
{
    public static IEnumerable<(Signature Signature, Filter Body)> Table() =>
    [
        (new("length"), static (value, _, _) => Length(value)),
        (new("count"), static (value, _, _) => Length(value)),
        (new("list"), static (value, _, rendering) => new ListValue(value.ToList(rendering))),
        (new("first"), static (value, _, rendering) => value.Iterate(rendering).FirstOrDefault() ?? new UndefinedValue("No first item, sequence was empty.")),
        (new("last"), static (value, _, rendering) => Last(value, rendering)),
        (new("reverse"), static (value, _, rendering) => Reverse(value, rendering)),
        (new("default", "default_value?", "boolean?"), Default),
        (new("d", "default_value?", "boolean?"), Default),
        (new("items"), static (value, _, _) => Items(value)),
        (new("attr", "name"), static (value, arguments, rendering) =>
            value.Attribute(StringMethods.RequireText(arguments[0]!, "attr").Text, rendering) ?? UndefinedValue.In(value, arguments[0]!, rendering)),
        (new("sort", "reverse?", "case_sensitive?", "attribute?"), Sort),
        (new("dictsort", "case_sensitive?", "by?", "reverse?"), SortDictionary),
        (new("unique", "case_sensitive?", "attribute?"), Unique),
        (new("min", "case_sensitive?", "attribute?"), static (value, arguments, rendering) => Extreme(value, arguments, "<", rendering)),
        (new("max", "case_sensitive?", "attribute?"), static (value, arguments, rendering) => Extreme(value, arguments, ">", rendering)),
        (new("sum", "attribute?", "start?"), Sum),
        (new("groupby", "attribute", "default?", "case_sensitive?"), Group),
        (new("batch", "linecount", "fill_with?"), Batch),
        (new("slice", "slices", "fill_with?"), Slice),
    ];

    private static IntegerValue Length(Value value) => new(value.Length ?? throw new JinjaException($"object of type '{value.TypeName}' has no len()"));

    private static Value Last(Value value, Rendering rendering)
    {
        if (value.Length is null) throw new JinjaException($"'{value.TypeName}' object is not reversible");
        return value.ToList(rendering) is [.., var last] ? last : new UndefinedValue("No last item, sequence was empty.");
    }

    private static Value Reverse(Value value, Rendering rendering)
    {
        if (value is StringValue) return Slicing.Apply(value, null, null, new IntegerValue(-1), rendering);
        List<Value> items = value.ToList(rendering);
        items.Reverse();
        return value.Length is null ? new ListValue(items) : new IteratorValue(items, $"{value.TypeName}_reverseiterator");
    }

    private static Value Default(Value value, Value?[] arguments, Rendering rendering) =>
        value is UndefinedValue || (!value.IsTrue && (arguments[1]?.IsTrue ?? false)) ? arguments[0] ?? StringValue.Empty : value;

    private static IteratorValue Items(Value value) => value switch
    {
        UndefinedValue => new IteratorValue([]),
        DictionaryValue dictionary => new IteratorValue(dictionary.Pairs()),
        _ => throw new JinjaException("Can only get item pairs from a mapping."),
    };

    private static ListValue Sort(Value value, Value?[] arguments, Rendering rendering)
    {
        bool reverse = arguments[0]?.IsTrue ?? false, isSensitive = arguments[1]?.IsTrue ?? false;
        Value[] paths = arguments[2] is StringValue names ? [.. names.Text.Split(',').Select(name => new StringValue(name))] : [arguments[2] ?? NoneValue.Instance];
        Func<Value, Value>[] keys = [.. paths.Select(path => Key(path, isSensitive, rendering))];
        return Sorted(value.ToList(rendering), item => new ListValue([.. keys.Select(key => key(item))]), reverse, rendering);
    }

    private static ListValue SortDictionary(Value value, Value?[] arguments, Rendering rendering)
    {
        bool isSensitive = arguments[0]?.IsTrue ?? false, reverse = arguments[2]?.IsTrue ?? false;
        string by = arguments[1] is StringValue given ? given.Text : "key";
        if (by is not ("key" or "value")) throw new JinjaException("You can only sort by either \"key\" or \"value\"");
        value.RequireDefined();
        if (value is not DictionaryValue dictionary) throw new JinjaException($"'{value.TypeName} object' has no attribute 'items'");
        int index = by == "key" ? 0 : 1;
        return Sorted([.. dictionary.Pairs()], pair => Folded(((TupleValue)pair).Values[index], isSensitive, rendering), reverse, rendering);
    }

    private static IteratorValue Unique(Value value, Value?[] arguments, Rendering rendering)
    {
        Func<Value, Value> key = Key(arguments[1], arguments[0]?.IsTrue ?? false, rendering);
        return new IteratorValue(Distinct());

        IEnumerable<Value> Distinct()
        {
            HashSet<Value> seen = new(PythonEquality.Instance);
            foreach (Value item in value.Iterate(rendering))
            {
                Value compared = key(item);
                PythonEquality.RequireHashable(compared, rendering);
                if (seen.Add(compared)) yield return item;
            }
        }
    }

    private static Value Extreme(Value value, Value?[] arguments, string symbol, Rendering rendering)
    {
        Func<Value, Value> key = Key(arguments[1], arguments[0]?.IsTrue ?? false, rendering);
        Value? best = null, bestKey = null;
        foreach (Value item in value.Iterate(rendering))
        {
            Value compared = key(item);
            if (bestKey is not null && !ComparisonExpression.Holds(compared, symbol, bestKey, rendering)) continue;
            (best, bestKey) = (item, compared);
        }
        return best ?? new UndefinedValue("No aggregated item, sequence was empty.");
    }

    private static Value Sum(Value value, Value?[] arguments, Rendering rendering)
    {
        Func<Value, Value> attribute = Selection.Attribute(arguments[0], rendering);
        Value sum = arguments[1] ?? new IntegerValue(0);
        if (sum is StringValue) throw new JinjaException("sum() can't sum strings [use ''.join(seq) instead]");
        foreach (Value item in value.Iterate(rendering)) sum = Operators.Add(sum, attribute(item), rendering);
        return sum;
    }

    private static ListValue Group(Value value, Value?[] arguments, Rendering rendering)
    {
        bool isSensitive = arguments[2]?.IsTrue ?? false;
        Func<Value, Value> attribute = Selection.Attribute(arguments[0], rendering, arguments[1]);
        ListValue sorted = Sorted(value.ToList(rendering), item => Folded(attribute(item), isSensitive, rendering), reverse: false, rendering);
        List<Value> groups = [];
        List<Value> current = [];
        Value? currentKey = null;
        foreach (Value item in sorted.Values)
        {
            Value key = Folded(attribute(item), isSensitive, rendering);
            if (currentKey is null || !Operators.AreEqual(currentKey, key, rendering))
            {
                current = [];
                groups.Add(new TupleValue([attribute(item), new ListValue(current)], "grouper", "list"));
                currentKey = key;
            }
            current.Add(item);
        }
        return new ListValue(groups);
    }

    private static IteratorValue Batch(Value value, Value?[] arguments, Rendering rendering)
    {
        int size = StringMethods.RequireInt(arguments[0]!);
        return new IteratorValue(Batches());

        IEnumerable<Value> Batches()
        {
            List<Value> batch = [];
            foreach (Value item in value.Iterate(rendering))
            {
                if (batch.Count == size)
                {
                    yield return new ListValue(batch);
                    batch = [];
                }
                batch.Add(item);
            }
            if (batch.Count == 0) yield break;
            for (int i = batch.Count; i < size && arguments[1] is not (null or NoneValue); i++)
            {
                rendering.Budget.Step();
                batch.Add(arguments[1]!);
            }
            yield return new ListValue(batch);
        }
    }

    private static IteratorValue Slice(Value value, Value?[] arguments, Rendering rendering)
    {
        int slices = StringMethods.RequireInt(arguments[0]!);
        if (slices == 0) throw new JinjaException("integer division or modulo by zero");
        return new IteratorValue(Slices());

        IEnumerable<Value> Slices()
        {
            List<Value> items = value.ToList(rendering);
            int start = 0;
            for (int i = 0; i < slices; i++)
            {
                rendering.Budget.Step();
                bool hasExtra = i < items.Count % slices;
                int length = (items.Count / slices) + (hasExtra ? 1 : 0);
                List<Value> slice = items.GetRange(start, length);
                if (!hasExtra && arguments[1] is not (null or NoneValue)) slice.Add(arguments[1]!);
                start += length;
                yield return new ListValue(slice);
            }
        }
    }

    /// <summary>Sorts; equal items keep their order, also in reverse.</summary>
    private static ListValue Sorted(List<Value> items, Func<Value, Value> key, bool reverse, Rendering rendering)
    {
        (Value Item, Value Key)[] keyed = [.. items.Select(item => (item, key(item)))];
        MergeSort.Sort(keyed, (left, right) => ComparisonExpression.Holds(reverse ? left.Key : right.Key, "<", reverse ? right.Key : left.Key, rendering));
        return new ListValue([.. keyed.Select(pair => pair.Item)]);
    }

    private static Func<Value, Value> Key(Value? path, bool isSensitive, Rendering rendering)
    {
        Func<Value, Value> attribute = Selection.Attribute(path, rendering);
        return item => Folded(attribute(item), isSensitive, rendering);
    }

    private static Value Folded(Value value, bool isSensitive, Rendering rendering) => isSensitive ? value : Selection.IgnoreCase(value, rendering);
}
