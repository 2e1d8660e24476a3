using System.Globalization;

namespace Decart.Inference.Memory;

/// <summary>
/// How much memory a process may still take on Linux: the least of what the system has available and what each control group that it is in
/// leaves, in version 1 and 2 of control groups.
/// </summary>
/// <param name="root">Where <c>proc</c> and <c>sys</c> lie: "/", or a copy in tests.</param>
internal sealed class LinuxFreeMemory(string root)
{
    /// <summary>Bytes that could be taken now; a group's file cache that is not in use counts as free.</summary>
    public long Measure()
    {
        long free = ReadAvailable();
        foreach (string line in ReadLines("proc/self/cgroup"))
        {
            // hierarchy:controllers:path; version 2 is hierarchy 0 and names no controllers.
            string[] fields = line.Split(':', 3);
            if (fields.Length < 3) continue;
            if (fields[0] == "0" && fields[1].Length == 0)
            {
                free = Math.Min(free, LeastOfGroups("sys/fs/cgroup", fields[2], "memory.max", "memory.current", "inactive_file"));
            }
            else if (fields[1].Split(',').Contains("memory"))
            {
                free = Math.Min(free, LeastOfGroups(
                    "sys/fs/cgroup/memory", fields[2], "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"));
            }
        }
        return free;
    }

    private long ReadAvailable()
    {
        long? kibibytes = ReadField("proc/meminfo", "MemAvailable:");
        return kibibytes is { } value ? value << 10 : GC.GetGCMemoryInfo(GCKind.Any).TotalAvailableMemoryBytes;
    }

    /// <summary>
    /// The group and all above it: each may have a limit. In a container the path may be one of the host that is not visible; the groups
    /// that are decide.
    /// </summary>
    private long LeastOfGroups(string hierarchy, string path, string limitName, string usageName, string inactiveName)
    {
        long least = long.MaxValue;
        for (string group = path.TrimEnd('/'); ; group = group[..Math.Max(0, group.LastIndexOf('/'))])
        {
            string folder = hierarchy + group;
            if (ReadNumber($"{folder}/{limitName}") is { } limit && ReadNumber($"{folder}/{usageName}") is { } usage)
                least = Math.Min(least, Math.Max(0, limit - usage + (ReadField($"{folder}/memory.stat", inactiveName) ?? 0)));
            if (group.Length == 0) return least;
        }
    }

    /// <summary>The number in a file; null if there is no such file or no limit ("max").</summary>
    private long? ReadNumber(string path) => Parse(ReadLines(path).FirstOrDefault());

    private long? ReadField(string path, string name)
    {
        foreach (string line in ReadLines(path))
        {
            string[] words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (words.Length > 1 && words[0] == name) return Parse(words[1]);
        }
        return null;
    }

    private string[] ReadLines(string path)
    {
        try
        {
            return File.ReadAllLines(Path.Combine(root, path));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    private static long? Parse(string? text) => long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long number) ? number : null;
}
