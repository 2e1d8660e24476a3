using System.Diagnostics;
using System.Globalization;

namespace Decart.Inference.Benchmarks;

/// <summary>
/// From the start of loading to the first token, in processes of their own: the first finds no compiled kernels, the second finds those of the first. Each says how
/// fast the weights came to the device and how much memory of the host the process has beside mapped files.
/// </summary>
internal static class StartTimes
{
    private const string Child = "start-once";

    /// <summary>Prints a table.</summary>
    /// <param name="arguments">The model, and the device unless the default is right.</param>
    public static void Run(string[] arguments)
    {
        string folder = Directory.CreateTempSubdirectory("decart-start-").FullName;
        try
        {
            Console.WriteLine("| start | model loaded | weights | first token after that | memory without files behind it, before the weights and at the end |");
            Console.WriteLine("|---|---:|---:|---:|---:|");
            foreach (string start in (string[])["cold", "warm", "warm again"]) RunChild(folder, [Child, start, .. arguments]);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>One start; prints a line of the table.</summary>
    /// <param name="arguments">What the start is called, the model, the device.</param>
    public static async Task RunOnceAsync(string[] arguments)
    {
        Device device = arguments.Length > 2 ? Device.Parse(arguments[2]) : Device.Auto;
        StepClock clock = new();
        long start = Stopwatch.GetTimestamp();
        await using LlmSession session = await LlmSession.LoadAsync(arguments[1], new LlmSessionOptions { Device = device }, clock);
        TimeSpan loaded = Stopwatch.GetElapsedTime(start);
        start = Stopwatch.GetTimestamp();
        await session.GenerateAsync(new int[] { 1, 2, 3 }, new GenerationOptions { MaxTokens = 1, Temperature = 0 });
        TimeSpan first = Stopwatch.GetElapsedTime(start);
        TimeSpan sent = clock.Elapsed("Preparing the weights");
        double bytes = Bytes(arguments[1]);
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"| {arguments[0]} | {loaded.TotalMilliseconds:F0} ms | {bytes / 1e9:F2} GB in {sent.TotalMilliseconds:F0} ms, {bytes / 1e9 / sent.TotalSeconds:F1} GB/s | {first.TotalMilliseconds:F1} ms | {clock.Before("Preparing the weights") / 1e6:F0}, {PrivateBytes() / 1e6:F0} MB |"));
    }

    private static double Bytes(string model) => File.Exists(model)
        ? new FileInfo(model).Length
        : new DirectoryInfo(model).EnumerateFiles("*.safetensors").Sum(file => file.Length);

    /// <summary>Memory of the process that no file stands behind: mapped weights are the system's to keep or to drop.</summary>
    private static long PrivateBytes()
    {
        if (!OperatingSystem.IsLinux()) return Process.GetCurrentProcess().PrivateMemorySize64;
        return File.ReadLines("/proc/self/status")
            .Where(line => line.StartsWith("RssAnon:", StringComparison.Ordinal) || line.StartsWith("RssShmem:", StringComparison.Ordinal))
            .Sum(line => 1024 * long.Parse(line[(line.IndexOf(':') + 1)..].Replace("kB", "", StringComparison.Ordinal), CultureInfo.InvariantCulture));
    }

    private static void RunChild(string folder, string[] arguments)
    {
        ProcessStartInfo start = new(Environment.ProcessPath!) { UseShellExecute = false };
        if (Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet") start.ArgumentList.Add(typeof(StartTimes).Assembly.Location);
        foreach (string argument in arguments) start.ArgumentList.Add(argument);
        start.Environment["XDG_DATA_HOME"] = folder; // where Unix looks for what programs keep; compiled kernels among it
        using Process process = Process.Start(start)!;
        process.WaitForExit();
        if (process.ExitCode != 0) throw new InvalidOperationException($"A start ended with code {process.ExitCode}.");
    }

    /// <summary>Notes when each step of loading began.</summary>
    private sealed class StepClock : IProgress<LoadProgress>
    {
        private readonly List<(string Step, long Time, long Bytes)> _steps = [];

        public void Report(LoadProgress value)
        {
            if (_steps.Count == 0 || _steps[^1].Step != value.Step) _steps.Add((value.Step, Stopwatch.GetTimestamp(), PrivateBytes()));
        }

        public TimeSpan Elapsed(string step)
        {
            int index = _steps.FindIndex(entry => entry.Step == step);
            return Stopwatch.GetElapsedTime(_steps[index].Time, _steps[index + 1].Time);
        }

        public long Before(string step) => _steps.First(entry => entry.Step == step).Bytes;
    }
}
