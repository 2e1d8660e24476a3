using Decart.Inference.Memory;

namespace Decart.Inference.Tests.Memory;

/// <summary>What is left when the system refuses: nothing half done, and nothing that disposal forgets.</summary>
public sealed class VirtualMemoryBookkeepingTests
{
    private const long Page = 4096;

    private ScriptedMemory _memory = null!;

    [SetUp]
    public void CreateMemory() => _memory = new ScriptedMemory();

    [TearDown]
    public void DisposeMemory()
    {
        _memory.Refuses = null;
        _memory.Dispose();
    }

    [Test]
    public void A_refused_reservation_leaves_nothing()
    {
        Refuse("reserve 4096", () => _memory.Reserve(Page));
        nint range = _memory.Reserve(Page);
        Refuse("free 4096", () => _memory.Free(range, Page));
        _memory.Free(range, Page);
    }

    [Test]
    public void A_refused_page_is_not_counted()
    {
        Refuse("create", () => _memory.CreatePage());
        nint[] pages = [_memory.CreatePage(), _memory.CreatePage()];
        Assert.That(_memory.CreatePage, Throws.InvalidOperationException, "two were announced");
        Refuse("release 2", () => _memory.ReleasePage(pages[1]));
        _memory.ReleasePage(pages[1]);
        Assert.That(_memory.CreatePage, Throws.Nothing);
    }

    [Test]
    public void A_refused_mapping_leaves_address_and_page_as_they_were()
    {
        nint range = _memory.Reserve(3 * Page), page = _memory.CreatePage();
        Refuse("map 1", () => _memory.Map(range, page));
        Assert.That(() => _memory.Unmap(range, Page), Throws.InvalidOperationException);
        _memory.ReleasePage(page);
        _memory.Map(range, _memory.CreatePage());
    }

    [Test]
    public void An_unmapping_that_stops_in_the_middle_can_be_completed()
    {
        nint range = _memory.Reserve(4 * Page), page = _memory.CreatePage();
        for (int i = 0; i < 4; i++) _memory.Map(range + (nint)(i * Page), page);
        nint third = range + (nint)(2 * Page);
        Refuse($"unmap {third}", () => _memory.Unmap(range, 4 * Page));
        Assert.That(() => _memory.Unmap(range + (nint)Page, Page), Throws.InvalidOperationException, "the second is unmapped");
        Assert.That(() => _memory.ReleasePage(page), Throws.InvalidOperationException.With.Message.Contains("2 addresses"));
        _memory.Unmap(third, 2 * Page);
        _memory.ReleasePage(page);
        _memory.Free(range, 4 * Page);
    }

    [Test]
    public void Disposal_releases_everything_it_can_and_tells_of_the_first_refusal()
    {
        nint range = _memory.Reserve(2 * Page), other = _memory.Reserve(Page), page = _memory.CreatePage();
        _memory.Map(other, page);
        _memory.Map(range + (nint)Page, page);
        _memory.Map(range, page);
        _memory.Log.Clear();
        _memory.Refuses = $"unmap {range}";
        Assert.That(_memory.Dispose, Throws.TypeOf<VirtualMemoryException>().With.Message.EqualTo(_memory.Refuses));
        Assert.That(_memory.Log, Is.EqualTo(new[] { $"unmap {range}", $"unmap {range + (nint)Page}", $"unmap {other}", "free 8192", "free 4096", "release 1", "close" }));
        Assert.That(_memory.Dispose, Throws.Nothing);
    }

    private void Refuse(string call, Action action)
    {
        _memory.Refuses = call;
        Assert.That(action, Throws.TypeOf<VirtualMemoryException>().With.Message.EqualTo(call));
        _memory.Refuses = null;
    }

    /// <summary>A system that writes down the calls and refuses the one it is told to. It unmaps page by page.</summary>
    private sealed class ScriptedMemory() : VirtualMemory(Page, Page, maxPages: 2)
    {
        private nint _nextAddress = 16 * (nint)Page;
        private nint _lastPage;

        public List<string> Log { get; } = [];

        public string? Refuses { get; set; }

        protected override nint ReserveCore(long bytes)
        {
            Call($"reserve {bytes}");
            return _nextAddress += 16 * (nint)Page;
        }

        protected override void FreeCore(Reservation reservation) => Call($"free {reservation.Bytes}");

        protected override nint CreatePageCore()
        {
            Call("create");
            return ++_lastPage;
        }

        protected override void ReleasePageCore(nint page) => Call($"release {page}");

        protected override void MapCore(Reservation reservation, nint address, nint page) => Call($"map {page}");

        protected override long UnmapCore(nint address, long bytes)
        {
            Call($"unmap {address}");
            return PageBytes;
        }

        protected override void Close() => Call("close");

        private void Call(string call)
        {
            Log.Add(call);
            if (call == Refuses) throw new VirtualMemoryException(call);
        }
    }
}
