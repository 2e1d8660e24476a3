using Decart.Inference.Memory;

namespace Decart.Inference.Tests.Memory;

/// <summary>What every implementation of <see cref="IVirtualMemory"/> does.</summary>
[TestFixtureSource(typeof(MemoryDevice), nameof(MemoryDevice.Fixtures))]
public sealed class VirtualMemoryTests(string deviceName, int factor)
{
    private const int MaxPages = 64;

    private MemoryDevice _device = null!;
    private MarkedPages _marks = null!;
    private IVirtualMemory _memory = null!;
    private long _page;

    [OneTimeSetUp]
    public void OpenDevice()
    {
        _device = MemoryDevice.Open(deviceName);
        if (_device.Memory.PageGranularity == 0) Assert.Ignore("This device has no virtual memory.");
        _page = factor * _device.Memory.PageGranularity;
        _marks = new MarkedPages(_device.Memory, _page);
    }

    [OneTimeTearDown]
    public void CloseDevice() => _device?.Dispose();

    [SetUp]
    public void CreateMemory() => _memory = _device.Memory.CreateVirtualMemory(_page, MaxPages);

    [TearDown]
    public void DisposeMemory() => _memory.Dispose();

    [Test]
    public void A_page_keeps_its_content_while_it_is_mapped_elsewhere()
    {
        nint range = _memory.Reserve(4 * _page), other = _memory.Reserve(_page), page = _memory.CreatePage();
        _memory.Map(range, page);
        _marks.Write(range, 17);
        _memory.Unmap(range, _page);
        _memory.Map(At(range, 3), page);
        Assert.That(_marks.Read(At(range, 3)), Is.EqualTo(17));
        _memory.Unmap(At(range, 3), _page);
        _memory.Map(other, page);
        Assert.That(_marks.Read(other), Is.EqualTo(17));
    }

    [Test]
    public void A_page_under_several_addresses_shows_the_same_bytes()
    {
        nint range = _memory.Reserve(5 * _page), page = _memory.CreatePage();
        for (int i = 0; i < 5; i++) _memory.Map(At(range, i), page);
        for (int writer = 0; writer < 5; writer++)
        {
            _marks.Write(At(range, writer), 100 + writer);
            for (int reader = 0; reader < 5; reader++) Assert.That(_marks.Read(At(range, reader)), Is.EqualTo(100 + writer));
        }
        _memory.Unmap(range, _page);
        Assert.That(_marks.Read(At(range, 4)), Is.EqualTo(104), "the other addresses are not touched");
    }

    [Test]
    public void Pages_in_random_order_form_one_range()
    {
        nint range = _memory.Reserve(MaxPages * _page);
        nint[] pages = [.. Enumerable.Range(0, MaxPages).Select(_ => _memory.CreatePage())];
        Assert.That(pages, Is.Unique.And.None.Zero);
        int[] order = [.. Enumerable.Range(0, MaxPages)];
        var random = new Random(3);
        random.Shuffle(order);
        random.Shuffle(pages);
        foreach (int i in order) _memory.Map(At(range, i), pages[i]);
        for (int i = 0; i < MaxPages; i++) _marks.Write(At(range, i), i);
        for (int i = 0; i < MaxPages; i++) Assert.That(_marks.Read(At(range, i)), Is.EqualTo(i));

        long[] seam = [1, 2];
        CopyIn(At(range, 7) - sizeof(long), seam);
        Assert.That(CopyOut(At(range, 7) - sizeof(long), 2), Is.EqualTo(seam), "a copy crosses from one page to the next");
        _memory.Unmap(range, MaxPages * _page);
        _memory.Free(range, MaxPages * _page);
    }

    [Test]
    public void Another_page_can_be_mapped_where_one_was()
    {
        nint range = _memory.Reserve(3 * _page), first = _memory.CreatePage(), second = _memory.CreatePage();
        nint address = At(range, 1);
        for (int round = 0; round < 20; round++)
        {
            _memory.Map(address, round % 2 == 0 ? first : second);
            if (round >= 2) Assert.That(_marks.Read(address), Is.EqualTo(round - 2));
            _marks.Write(address, round);
            _memory.Unmap(address, _page);
        }
    }

    [Test]
    public void A_terabyte_of_addresses_costs_next_to_nothing()
    {
        const long Terabyte = 1L << 40;
        long before = Environment.WorkingSet, free = _device.Memory.MeasureFree();
        nint range = _memory.Reserve(Terabyte), page = _memory.CreatePage();
        nint last = range + (nint)(Terabyte - _page);
        _memory.Map(last, page);
        _marks.Write(last, 5);
        Assert.That(_marks.Read(last), Is.EqualTo(5));
        Assert.That(Environment.WorkingSet - before, Is.LessThan(64 << 20));
        Assert.That(free - _device.Memory.MeasureFree(), Is.LessThan(512 << 20));
        _memory.Unmap(last, _page);
        _memory.Free(range, Terabyte);
    }

    [Test]
    public void Released_pages_make_room_for_others()
    {
        nint range = _memory.Reserve(_page);
        for (int round = 0; round < 3; round++)
        {
            nint[] pages = [.. Enumerable.Range(0, MaxPages).Select(_ => _memory.CreatePage())];
            Assert.That(_memory.CreatePage, Throws.InvalidOperationException.With.Message.Contains($"{MaxPages}"));
            foreach (nint page in pages)
            {
                _memory.Map(range, page);
                _marks.Write(range, page);
                Assert.That(_marks.Read(range), Is.EqualTo((long)page));
                _memory.Unmap(range, _page);
                _memory.ReleasePage(page);
            }
        }
    }

    [Test]
    public void Reservations_do_not_overlap_and_begin_at_a_page()
    {
        (nint Start, long Bytes)[] ranges = [.. Enumerable.Range(1, 20).Select(pages => (_memory.Reserve(pages * _page), pages * _page))];
        (nint Start, long Bytes)[] ascending = [.. ranges.OrderBy(range => range.Start)];
        foreach ((nint start, _) in ranges) Assert.That(start % _page, Is.Zero);
        foreach (((nint start, long bytes), (nint next, _)) in ascending.Zip(ascending.Skip(1)))
            Assert.That(start + bytes, Is.LessThanOrEqualTo((long)next));
        foreach ((nint start, long bytes) in ranges) _memory.Free(start, bytes);
    }

    [Test]
    public void Threads_map_their_own_addresses_at_the_same_time()
    {
        const int Threads = 4, Slots = 8, Rounds = 50;
        nint range = _memory.Reserve(Threads * Slots * _page);
        Parallel.For(0, Threads, new ParallelOptions { MaxDegreeOfParallelism = Threads }, thread =>
        {
            var random = new Random(thread);
            nint[] pages = [.. Enumerable.Range(0, Slots).Select(_ => _memory.CreatePage())];
            for (int round = 0; round < Rounds; round++)
            {
                random.Shuffle(pages);
                nint start = At(range, thread * Slots);
                for (int i = 0; i < Slots; i++) _memory.Map(At(start, i), pages[i]);
                for (int i = 0; i < Slots; i++) _marks.Write(At(start, i), (thread * 1000) + i);
                for (int i = 0; i < Slots; i++) Assert.That(_marks.Read(At(start, i)), Is.EqualTo((thread * 1000) + i));
                _memory.Unmap(start, Slots * _page);
            }
        });
    }

    /// <summary>What one thread gives back another may be given at once.</summary>
    [Test]
    public void Threads_create_and_release_at_the_same_time()
    {
        const int Threads = 4, Rounds = 2_000;
        Parallel.For(0, Threads, new ParallelOptions { MaxDegreeOfParallelism = Threads }, thread =>
        {
            for (int round = 0; round < Rounds; round++)
            {
                nint range = _memory.Reserve(_page), page = _memory.CreatePage();
                _memory.Map(range, page);
                _marks.Write(range, thread);
                Assert.That(_marks.Read(range), Is.EqualTo(thread));
                _memory.Unmap(range, _page);
                _memory.ReleasePage(page);
                _memory.Free(range, _page);
            }
        });
    }

    [Test]
    public void Wrong_arguments_are_refused_and_change_nothing()
    {
        nint range = _memory.Reserve(4 * _page), page = _memory.CreatePage();
        _memory.Map(range, page);
        _marks.Write(range, 9);
        Assert.Multiple(() =>
        {
            foreach (long bytes in (long[])[0, -1, -_page, _page - 1, _page + 1, long.MinValue])
            {
                Assert.That(() => _memory.Reserve(bytes), Throws.InstanceOf<ArgumentException>());
                Assert.That(() => _memory.Unmap(range, bytes), Throws.InstanceOf<ArgumentException>());
                Assert.That(() => _memory.Free(range, bytes), Throws.InstanceOf<ArgumentException>());
            }
            foreach (nint address in (nint[])[0, range + 1, range - (nint)_page, At(range, 4)])
            {
                Assert.That(() => _memory.Map(address, page), Throws.InstanceOf<ArgumentException>());
                Assert.That(() => _memory.Unmap(address, _page), Throws.InstanceOf<ArgumentException>());
                Assert.That(() => _memory.Free(address, 4 * _page), Throws.InstanceOf<ArgumentException>());
            }
            Assert.That(() => _memory.Unmap(range, 5 * _page), Throws.InstanceOf<ArgumentException>(), "longer than the reservation");
            Assert.That(() => _memory.Free(range, 3 * _page), Throws.InstanceOf<ArgumentException>(), "not the whole reservation");
            Assert.That(() => _memory.Map(At(range, 1), 0), Throws.InstanceOf<ArgumentException>(), "no such page");
            Assert.That(() => _memory.ReleasePage(0), Throws.InstanceOf<ArgumentException>(), "no such page");
        });
        Assert.That(_marks.Read(range), Is.EqualTo(9));
    }

    [Test]
    public void Calls_at_the_wrong_time_are_refused_and_change_nothing()
    {
        nint range = _memory.Reserve(4 * _page), page = _memory.CreatePage(), other = _memory.CreatePage();
        _memory.Map(range, page);
        _memory.Map(At(range, 2), page);
        _marks.Write(range, 9);
        Assert.Multiple(() =>
        {
            Assert.That(() => _memory.Map(range, other), Throws.InvalidOperationException, "something is mapped there");
            Assert.That(() => _memory.Unmap(range, 3 * _page), Throws.InvalidOperationException, "nothing is mapped in the middle");
            Assert.That(() => _memory.Unmap(At(range, 1), _page), Throws.InvalidOperationException, "nothing is mapped there");
            Assert.That(() => _memory.Free(range, 4 * _page), Throws.InvalidOperationException, "pages are mapped");
            Assert.That(() => _memory.ReleasePage(page), Throws.InvalidOperationException, "it is mapped");
        });
        Assert.That((_marks.Read(range), _marks.Read(At(range, 2))), Is.EqualTo((9, 9)));
        _memory.Unmap(range, _page);
        Assert.That(() => _memory.ReleasePage(page), Throws.InvalidOperationException, "it is still mapped at another address");
        _memory.Unmap(At(range, 2), _page);
        _memory.ReleasePage(page);
        Assert.That(() => _memory.ReleasePage(page), Throws.InstanceOf<ArgumentException>(), "it is gone");
        _memory.Free(range, 4 * _page);
        Assert.That(() => _memory.Map(range, other), Throws.InstanceOf<ArgumentException>(), "the reservation is gone");
    }

    [Test]
    public void Wrong_sizes_are_refused()
    {
        long granularity = _device.Memory.PageGranularity;
        Assert.Multiple(() =>
        {
            foreach (long bytes in (long[])[0, -1, granularity / 2, granularity - 1, granularity * 3, long.MinValue])
                Assert.That(() => _device.Memory.CreateVirtualMemory(bytes, 1), Throws.InstanceOf<ArgumentOutOfRangeException>());
            foreach (int pages in (int[])[0, -1])
                Assert.That(() => _device.Memory.CreateVirtualMemory(granularity, pages), Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(() => _device.Memory.CreateVirtualMemory(1L << 40, int.MaxValue), Throws.InstanceOf<ArgumentOutOfRangeException>());
        });
    }

    [Test]
    public void What_cannot_be_reserved_is_refused_with_its_size()
    {
        long bytes = 1L << 61;
        Assert.That(() => _memory.Reserve(bytes), Throws.InstanceOf<VirtualMemoryException>().With.Message.Contains($"{bytes}"));
        Assert.That(() => _memory.Free(_memory.Reserve(_page), _page), Throws.Nothing);
    }

    [Test]
    public void Nothing_works_after_disposal()
    {
        nint range = _memory.Reserve(2 * _page), page = _memory.CreatePage();
        _memory.Map(range, page);
        _memory.Dispose();
        _memory.Dispose();
        Assert.Multiple(() =>
        {
            Assert.That(() => _memory.Reserve(_page), Throws.InstanceOf<ObjectDisposedException>());
            Assert.That(() => _memory.Free(range, 2 * _page), Throws.InstanceOf<ObjectDisposedException>());
            Assert.That(_memory.CreatePage, Throws.InstanceOf<ObjectDisposedException>());
            Assert.That(() => _memory.ReleasePage(page), Throws.InstanceOf<ObjectDisposedException>());
            Assert.That(() => _memory.Map(At(range, 1), page), Throws.InstanceOf<ObjectDisposedException>());
            Assert.That(() => _memory.Unmap(range, _page), Throws.InstanceOf<ObjectDisposedException>());
        });
    }

    [Test]
    public void Mapping_and_unmapping_allocate_nothing()
    {
        nint range = _memory.Reserve(4 * _page), page = _memory.CreatePage();
        long bytes = Allocations.InSteadyState(() =>
        {
            for (int i = 0; i < 4; i++) _memory.Map(At(range, i), page);
            _memory.Unmap(range, 4 * _page);
        });
        Assert.That(bytes, Is.Zero);
    }

    [Test]
    public void Random_use_agrees_with_a_model([Values(1, 2, 3)] int seed)
    {
        var model = new VirtualMemoryModel(_memory, _marks, MaxPages / 2, new Random(seed));
        for (int step = 0; step < 2000; step++) model.Step();
        model.End();
    }

    private nint At(nint range, int page) => range + (nint)(page * _page);

    private unsafe void CopyIn(nint address, long[] values)
    {
        fixed (long* source = values) _device.Memory.Copy(address, (nint)source, values.Length * sizeof(long));
    }

    private unsafe long[] CopyOut(nint address, int count)
    {
        long[] values = new long[count];
        fixed (long* destination = values) _device.Memory.Copy((nint)destination, address, count * sizeof(long));
        return values;
    }
}
