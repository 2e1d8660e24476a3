using FsCheck;
using FsCheck.Fluent;

namespace Decart.Inference.Tests.Checkpoints;

/// <summary>One piece of damage to a file.</summary>
/// <param name="Kind">What is done.</param>
/// <param name="Position">Where.</param>
/// <param name="Length">How many bytes are removed or copied.</param>
/// <param name="Bytes">What is written or inserted.</param>
internal sealed record Mutation(MutationKind Kind, int Position, int Length, byte[] Bytes)
{
    /// <summary>Numbers that headers like to get wrong.</summary>
    private static readonly ulong[] HostileNumbers =
        [0, 1, 2, 3, 9, 31, 255, 65536, int.MaxValue, 1UL << 31, uint.MaxValue, 1UL << 32, 1UL << 40, 1UL << 61, long.MaxValue, 1UL << 63, ulong.MaxValue];

    private static readonly string[] HostileText =
        ["\"", "{", "}", "[", "]", ",", ":", "-", "0", "9", "e9", ".5", "null", "true", "\\", "\\ud800", "\0", "../", "9223372036854775807", "18446744073709551616"];

    /// <summary>One to four pieces of damage in the first <paramref name="headerEnd"/> bytes.</summary>
    public static Gen<Mutation[]> Some(int headerEnd) =>
        from count in Gen.Choose(1, 4)
        from mutations in One(headerEnd).ArrayOf(count)
        select mutations;

    public byte[] Apply(byte[] file)
    {
        int position = Math.Min(Position, file.Length);
        int length = Math.Min(Length, file.Length - position);
        ReadOnlySpan<byte> before = file.AsSpan(0, position), rest = file.AsSpan(position);
        return Kind switch
        {
            MutationKind.Flip => [.. before, .. Xor(rest, Bytes)],
            MutationKind.Overwrite => [.. before, .. Bytes, .. rest[Math.Min(Bytes.Length, rest.Length)..]],
            MutationKind.Insert => [.. before, .. Bytes, .. rest],
            MutationKind.Remove => [.. before, .. rest[length..]],
            MutationKind.Repeat => [.. before, .. rest[..length], .. rest],
            _ => before.ToArray(),
        };
    }

    private static Gen<Mutation> One(int headerEnd) =>
        from kind in Gen.Elements(Enum.GetValues<MutationKind>())
        from position in Gen.Choose(0, headerEnd - 1)
        from length in Gen.Choose(1, 64)
        from bytes in Gen.OneOf(
            Gen.Choose(1, 255).Select(value => new[] { (byte)value }),
            Gen.Elements(HostileNumbers).Select(BitConverter.GetBytes),
            Gen.Elements(HostileText).Select(System.Text.Encoding.UTF8.GetBytes))
        select new Mutation(kind, position, length, bytes);

    private static byte[] Xor(ReadOnlySpan<byte> bytes, byte[] pattern)
    {
        byte[] result = bytes.ToArray();
        for (int i = 0; i < Math.Min(pattern.Length, result.Length); i++) result[i] ^= pattern[i];
        return result;
    }
}

internal enum MutationKind
{
    Flip,
    Overwrite,
    Insert,
    Remove,
    Repeat,
    Truncate,
}
