using System.Text;
using Decart.Inference.Memory;
using Decart.Inference.Tests.Checkpoints;

namespace Decart.Inference.Tests.Memory;

/// <summary>Free memory is read from files; here they are copies with chosen numbers.</summary>
public sealed class LinuxFreeMemoryTests
{
    private const long Available = 8_000_000L << 10;

    private TemporaryFolder _root = null!;

    [SetUp]
    public void CreateRoot()
    {
        _root = new TemporaryFolder();
        Write("proc/meminfo", "MemTotal:       16000000 kB\nMemFree:         1000000 kB\nMemAvailable:    8000000 kB\n");
    }

    [TearDown]
    public void DeleteRoot() => _root.Dispose();

    [Test]
    public void Without_a_group_the_system_decides() => Check(Available);

    [Test]
    public void A_group_of_version_2_leaves_its_limit_less_use_and_idle_files()
    {
        Write("proc/self/cgroup", "0::/app/one\n");
        WriteGroup("sys/fs/cgroup/app/one", "3000", "1000", "anon 900\ninactive_file 100\n");
        Check(2100);
    }

    [Test]
    public void The_tightest_group_above_decides()
    {
        Write("proc/self/cgroup", "0::/app/one\n");
        WriteGroup("sys/fs/cgroup/app/one", "max", "1000", "inactive_file 100\n");
        WriteGroup("sys/fs/cgroup/app", "5000", "4500", "inactive_file 0\n");
        WriteGroup("sys/fs/cgroup", "9000", "4500", "inactive_file 0\n");
        Check(500);
    }

    [Test]
    public void A_container_that_sees_only_its_own_group_is_limited_by_it()
    {
        Write("proc/self/cgroup", "0::/host/path/that/is/not/mounted\n");
        WriteGroup("sys/fs/cgroup", "6000", "2000", "");
        Check(4000);
    }

    [Test]
    public void A_group_of_version_1_is_found_by_its_controller()
    {
        Write("proc/self/cgroup", "9:name=systemd:/\n4:cpu,memory:/box\n0::/\n");
        Write("sys/fs/cgroup/memory/box/memory.limit_in_bytes", "7000\n");
        Write("sys/fs/cgroup/memory/box/memory.usage_in_bytes", "6500\n");
        Write("sys/fs/cgroup/memory/box/memory.stat", "inactive_file 1\ntotal_inactive_file 300\n");
        Write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
        Write("sys/fs/cgroup/memory/memory.usage_in_bytes", "6500\n");
        Check(800);
    }

    [Test]
    public void A_group_over_its_limit_leaves_nothing()
    {
        Write("proc/self/cgroup", "0::/\n");
        WriteGroup("sys/fs/cgroup", "1000", "1500", "");
        Check(0);
    }

    private void Check(long expected) => Assert.That(new LinuxFreeMemory(_root.Path).Measure(), Is.EqualTo(expected));

    private void WriteGroup(string folder, string limit, string usage, string statistics)
    {
        Write($"{folder}/memory.max", limit + "\n");
        Write($"{folder}/memory.current", usage + "\n");
        Write($"{folder}/memory.stat", statistics);
    }

    private void Write(string path, string text)
    {
        string full = Path.Combine(_root.Path, path);
        Directory.CreateDirectory(Path.GetDirectoryName(full)!);
        File.WriteAllText(full, text, Encoding.ASCII);
    }
}
