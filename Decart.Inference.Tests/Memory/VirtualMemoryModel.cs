using Decart.Inference.Memory;

namespace Decart.Inference.Tests.Memory;

/// <summary>Uses virtual memory at random, and remembers what is mapped where and what was written last: what is read must agree.</summary>
internal sealed class VirtualMemoryModel(IVirtualMemory memory, MarkedPages marks, int maxPages, Random random)
{
    private const int MaxRanges = 4, MaxLength = 24;

    private readonly List<(nint Start, nint?[] Pages)> _ranges = [];
    private readonly Dictionary<nint, long?> _marks = [];
    private long _lastMark;

    /// <summary>One random operation, then a look at a random mapped page.</summary>
    public void Step()
    {
        switch (random.Next(12))
        {
            case 0: Reserve(); break;
            case 1: Free(); break;
            case 2 or 3: Create(); break;
            case 4: Release(); break;
            case 5 or 6 or 7 or 8: Map(); break;
            case 9: Unmap(); break;
            default: Write(); break;
        }
        if (_ranges.Count > 0) Check(Range(), random.Next(MaxLength));
    }

    /// <summary>Looks at everything, then takes it all apart.</summary>
    public void End()
    {
        foreach ((nint start, nint?[] pages) in _ranges)
        {
            for (int i = 0; i < pages.Length; i++) Check((start, pages), i);
            for (int i = 0; i < pages.Length; i++)
            {
                if (pages[i] is not null) memory.Unmap(At(start, i), memory.PageBytes);
            }
            memory.Free(start, pages.Length * memory.PageBytes);
        }
        foreach (nint page in _marks.Keys) memory.ReleasePage(page);
    }

    private void Reserve()
    {
        if (_ranges.Count == MaxRanges) return;
        int length = random.Next(1, MaxLength + 1);
        _ranges.Add((memory.Reserve(length * memory.PageBytes), new nint?[length]));
    }

    private void Free()
    {
        if (_ranges.Count == 0 || random.Next(4) > 0) return;
        (nint start, nint?[] pages) range = Range();
        long bytes = range.pages.Length * memory.PageBytes;
        if (range.pages.Any(page => page is not null))
        {
            Assert.That(() => memory.Free(range.start, bytes), Throws.InvalidOperationException);
            return;
        }
        memory.Free(range.start, bytes);
        _ranges.Remove(range);
    }

    private void Create()
    {
        if (_marks.Count < maxPages) _marks.Add(memory.CreatePage(), null);
    }

    private void Release()
    {
        if (_marks.Count == 0) return;
        nint page = Page();
        if (_ranges.Any(range => range.Pages.Contains(page)))
        {
            Assert.That(() => memory.ReleasePage(page), Throws.InvalidOperationException);
            return;
        }
        memory.ReleasePage(page);
        _marks.Remove(page);
    }

    private void Map()
    {
        if (_marks.Count == 0 || _ranges.Count == 0) return;
        (nint start, nint?[] pages) = Range();
        int index = random.Next(pages.Length);
        nint page = Page();
        if (pages[index] is not null)
        {
            Assert.That(() => memory.Map(At(start, index), page), Throws.InvalidOperationException);
            return;
        }
        memory.Map(At(start, index), page);
        pages[index] = page;
    }

    private void Unmap()
    {
        if (_ranges.Count == 0) return;
        (nint start, nint?[] pages) = Range();
        int first = random.Next(pages.Length), count = random.Next(1, pages.Length - first + 1);
        if (pages.AsSpan(first, count).Contains(null))
        {
            Assert.That(() => memory.Unmap(At(start, first), count * memory.PageBytes), Throws.InvalidOperationException);
            while (first < pages.Length && pages[first] is null) first++;
            count = 0;
            while (first + count < pages.Length && pages[first + count] is not null) count++;
            if (count == 0) return;
        }
        memory.Unmap(At(start, first), count * memory.PageBytes);
        pages.AsSpan(first, count).Clear();
    }

    private void Write()
    {
        if (_ranges.Count == 0) return;
        (nint start, nint?[] pages) = Range();
        int index = random.Next(pages.Length);
        if (pages[index] is not { } page) return;
        marks.Write(At(start, index), ++_lastMark);
        _marks[page] = _lastMark;
    }

    private void Check((nint Start, nint?[] Pages) range, int index)
    {
        if (index < range.Pages.Length && range.Pages[index] is { } page && _marks[page] is { } mark)
            Assert.That(marks.Read(At(range.Start, index)), Is.EqualTo(mark));
    }

    private (nint Start, nint?[] Pages) Range() => _ranges[random.Next(_ranges.Count)];

    private nint Page() => _marks.Keys.ElementAt(random.Next(_marks.Count));

    private nint At(nint start, int index) => start + (nint)(index * memory.PageBytes);
}
