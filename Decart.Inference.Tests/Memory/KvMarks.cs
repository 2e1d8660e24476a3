using Decart.Inference.Memory;

namespace Decart.Inference.Tests.Memory;

/// <summary>
/// Keys and values that tell whose they are: every element of a token's place follows from the token and its position, so that a byte
/// that is missing, stale or another sequence's is seen when the place is read back.
/// </summary>
internal static unsafe class KvMarks
{
    public static void Write(KvView view, int position, int token)
    {
        Span<int> place = Place(view, position);
        for (int i = 0; i < place.Length; i++) place[i] = Element(position, token, i);
    }

    /// <summary>The token at a position; fails when its place holds anything else beside it.</summary>
    public static int Read(KvView view, int position)
    {
        Span<int> place = Place(view, position);
        int token = place[0];
        for (int i = 1; i < place.Length; i++)
        {
            if (place[i] != Element(position, token, i)) Assert.Fail($"element {i} of position {position}, which holds token {token}, is not of that token");
        }
        return token;
    }

    private static int Element(int position, int token, int i) => i == 0 ? token : (((position * 40503) ^ token) * 69069) + i;

    private static Span<int> Place(KvView view, int position)
    {
        nint address = view.TokensPerPage == 0
            ? view.Address + (nint)(position * view.TokenStride * sizeof(int))
            : ((nint*)view.PageTable)[position / view.TokensPerPage] + (nint)(position % view.TokensPerPage * view.TokenStride * sizeof(int));
        return new Span<int>((void*)address, (int)view.TokenStride);
    }
}
