using System.Diagnostics;
using System.Globalization;
using Decart.Inference.Memory;

namespace Decart.Inference.Tests.Memory;

/// <summary>What the kernel says that the process holds.</summary>
[Platform(Include = "Linux")]
public sealed unsafe class LinuxVirtualMemoryTests
{
    private static readonly long Page = Environment.SystemPageSize;

    private string[] _filesOfOthers = null!;
    private int _mappingsOfOthers;

    [SetUp]
    public void LookAround()
    {
        _filesOfOthers = [.. AllFiles()];
        _mappingsOfOthers = AllMappings();
    }

    [Test]
    public void Memory_is_taken_at_the_first_write_and_goes_back_with_the_page()
    {
        const int Pages = 32;
        long bytes = 16 * Page;
        using var memory = new LinuxVirtualMemory(bytes, Pages);
        nint range = memory.Reserve(Pages * bytes);
        nint[] pages = [.. Enumerable.Range(0, Pages).Select(_ => memory.CreatePage())];
        Assert.That(StoredBytes(), Is.Zero);
        for (int i = 0; i < Pages; i++)
        {
            memory.Map(range + (nint)(i * bytes), pages[i]);
            new Span<byte>((void*)(range + (nint)(i * bytes)), (int)bytes).Fill(1);
        }
        Assert.That(StoredBytes(), Is.EqualTo(Pages * bytes));
        memory.Unmap(range, Pages * bytes);
        Assert.That(StoredBytes(), Is.EqualTo(Pages * bytes), "unmapped pages keep their content");
        for (int i = 0; i < Pages / 2; i++) memory.ReleasePage(pages[i]);
        Assert.That(StoredBytes(), Is.EqualTo(Pages / 2 * bytes));
    }

    [Test]
    public void Nothing_is_left_after_disposal()
    {
        var memory = new LinuxVirtualMemory(Page, 8);
        nint range = memory.Reserve(4 * Page), page = memory.CreatePage();
        memory.Map(range + (nint)Page, page);
        memory.Map(range + (nint)(3 * Page), page);
        Assert.That((Files().Length, Mappings()), Is.EqualTo((1, 2)));
        Assert.That(ProcessMaps.Contains(range), Is.True);
        memory.Dispose();
        Assert.That((Files().Length, Mappings()), Is.EqualTo((0, 0)));
        Assert.That(ProcessMaps.Contains(range), Is.False);
    }

    [Test]
    public void A_freed_reservation_leaves_no_addresses()
    {
        using var memory = new LinuxVirtualMemory(16 * Page, 1);
        nint range = memory.Reserve(1L << 40);
        Assert.That(ProcessMaps.Contains(range), Is.True);
        memory.Free(range, 1L << 40);
        Assert.That(ProcessMaps.Contains(range), Is.False);
    }

    private string[] Files() => [.. AllFiles().Except(_filesOfOthers)];

    private int Mappings() => AllMappings() - _mappingsOfOthers;

    private static IEnumerable<string> AllFiles() => new DirectoryInfo("/proc/self/fd").GetFiles()
        .Where(file => file.LinkTarget?.Contains("decart-pages", StringComparison.Ordinal) == true).Select(file => file.Name);

    private static int AllMappings() => File.ReadLines("/proc/self/maps").Count(line => line.Contains("decart-pages", StringComparison.Ordinal));

    /// <summary>Bytes that the kernel keeps for the page file of the test.</summary>
    private long StoredBytes()
    {
        string file = $"/proc/{Environment.ProcessId}/fd/{Files().Single()}";
        var start = new ProcessStartInfo("stat", ["-L", "-c", "%b", file]) { RedirectStandardOutput = true };
        using Process stat = Process.Start(start)!;
        return 512 * long.Parse(stat.StandardOutput.ReadToEnd(), NumberStyles.AllowTrailingWhite, CultureInfo.InvariantCulture);
    }
}
