namespace Server.Endpoints;

/// <summary>Counts the code points of a text that comes as bytes of UTF-8, piece by piece.</summary>
/// <param name="begun">How many there are before the first piece.</param>
internal struct CharacterCounter(int begun)
{
    private int _begun = begun;

    /// <summary>Adds a piece and says where it begins: within a character, at that character.</summary>
    public int Append(ReadOnlySpan<byte> piece)
    {
        int start = piece is [var first, ..] && IsContinuation(first) ? Math.Max(0, _begun - 1) : _begun;
        foreach (byte value in piece)
        {
            if (!IsContinuation(value)) _begun++;
        }
        return start;
    }

    private static bool IsContinuation(byte value) => (value & 0xC0) == 0x80;
}
