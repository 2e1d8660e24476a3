using Decart.Inference.Grammars.Languages;

namespace Decart.Inference.Grammars.Productions;

/// <summary>Those of some sorted names that begin with what has been read of one.</summary>
/// <param name="Names">All names, in the order of their bytes.</param>
/// <param name="From">The first of them.</param>
/// <param name="To">One past the last.</param>
/// <param name="Length">How many bytes have been read.</param>
internal readonly record struct NameRange(byte[][] Names, int From, int To, int Length)
{
    public bool IsEmpty => From == To;

    public int Count => To - From;

    /// <summary>Whether what has been read is one of the names, the first of them.</summary>
    public bool IsComplete => From < To && Names[From].Length == Length;

    /// <summary>Whether one of them is longer than what has been read.</summary>
    public bool GoesOn => Count > (IsComplete ? 1 : 0);

    public static NameRange All(byte[][] names) => new(names, 0, names.Length, 0);

    /// <summary>The bytes that they go on with.</summary>
    public ByteSet NextBytes
    {
        get
        {
            ByteSet bytes = ByteSet.None;
            for (int name = From + (IsComplete ? 1 : 0); name < To;)
            {
                byte value = Names[name][Length];
                bytes |= ByteSet.Of(value);
                name = FirstFrom(value + 1, name);
            }
            return bytes;
        }
    }

    /// <summary>Those that go on with a byte.</summary>
    public NameRange After(byte value)
    {
        int from = FirstFrom(value, From);
        return this with { From = from, To = FirstFrom(value + 1, from), Length = Length + 1 };
    }

    /// <summary>The first name from a place on whose next byte is not smaller than a value.</summary>
    private int FirstFrom(int value, int from)
    {
        int to = To;
        while (from < to)
        {
            int middle = (from + to) >>> 1;
            byte[] name = Names[middle];
            if ((name.Length > Length ? name[Length] : -1) < value) from = middle + 1;
            else to = middle;
        }
        return from;
    }
}
