using Decart.Inference.Memory;

namespace Decart.Inference.Tests.Memory;

/// <summary>
/// Keys and values that tell whose they are: the elements of a token's place follow from the token and its position, so that a byte
/// that is missing, stale or another sequence's is seen when the place is read back.
/// </summary>
/// <param name="memory">The memory that they lie in.</param>
internal sealed unsafe class KvMarks(IDeviceMemory memory)
{
    /// <summary>Places that are longer than twice this are marked at their beginning and end.</summary>
    private const int MarkElements = 64;

    private readonly int[] _mark = new int[2 * MarkElements];

    public void Write(KvView view, int position, int token)
    {
        int end = End(view);
        for (int i = 0; i < end; i++) _mark[i] = Element(position, token, i);
        Copy(view, position, end, write: true);
    }

    /// <summary>The token at a position; fails when its place holds anything else beside it.</summary>
    public int Read(KvView view, int position)
    {
        int end = End(view);
        Copy(view, position, end, write: false);
        int token = _mark[0];
        for (int i = 1; i < end; i++)
        {
            if (_mark[i] != Element(position, token, i)) Assert.Fail($"mark {i} of position {position}, which holds token {token}, is not of that token");
        }
        return token;
    }

    private static int Element(int position, int token, int i) => i == 0 ? token : (((position * 40503) ^ token) * 69069) + i;

    private static int End(KvView view) => (int)Math.Min(view.TokenBytes / sizeof(int), 2 * MarkElements);

    private void Copy(KvView view, int position, int end, bool write)
    {
        nint address = Address(view, position);
        int first = end < 2 * MarkElements ? end : MarkElements;
        fixed (int* mark = _mark)
        {
            Copy(address, (nint)mark, first, write);
            nint last = address + (nint)(view.TokenBytes - ((end - first) * sizeof(int)));
            if (end > first) Copy(last, (nint)(mark + first), end - first, write);
        }
    }

    private void Copy(nint place, nint mark, int elements, bool write) => memory.Copy(write ? place : mark, write ? mark : place, elements * sizeof(int));

    private nint Address(KvView view, int position)
    {
        if (view.TokensPerPage == 0) return view.Address + (nint)(position * view.TokenBytes);
        nint page;
        memory.Copy((nint)(&page), view.PageTable + (position / view.TokensPerPage * sizeof(nint)), sizeof(nint));
        return page + (nint)(position % view.TokensPerPage * view.TokenBytes);
    }
}
