using Decart.Inference.Benchmarks.Commands;
using Decart.Inference.Benchmarks.Devices;
using Decart.Inference.Benchmarks.Latency;
using Decart.Inference.Benchmarks.Reports;
using Decart.Inference.Benchmarks.Throughput;
using Decart.Inference.Tests.Checkpoints;

namespace Decart.Inference.Tests.Benchmarks;

internal sealed class ReportTests
{
    private static readonly ReportHead Head = new("latency", "shape --layers 2", new DateTimeOffset(2026, 11, 28, 7, 8, 9, TimeSpan.Zero), "shape", "some GPU", "580.1", ".NET 10");

    private static LatencyReport Latency { get; } = new(Head, 2, 2,
    [
        new LatencyRow(StepKind.Decode, 1, 64, KernelChoice.Newest, PagingMode.Hardware) { Seconds = 1e-3, Bytes = 1e9, CopyBandwidth = 2e12, Operations = 1e9 },
        new LatencyRow(StepKind.Decode, 1, 64, KernelChoice.Sm80, PagingMode.Hardware) { Seconds = 2e-3, Bytes = 1e9, CopyBandwidth = 2e12, Operations = 1e9 },
        new LatencyRow(StepKind.Prefill, 1, 64, KernelChoice.Newest, PagingMode.Hardware) { LeftOut = "left out" },
    ]);

    private static ThroughputReport Throughput { get; } = new(Head with { Command = "throughput" }, 3, "5", "6", RandomWeights: false, Rounds: 1,
        [new ThroughputRow(4, 512) { Seconds = 2, OutputTokens = 18, PromptTokens = 15, FirstTokenP50 = 3 }]);

    /// <summary>That a plot is there; where this machine has no fonts, that this was said.</summary>
    public static void AssertDrawn(string path, string output)
    {
        if (!Plots.HaveFonts)
        {
            Assert.That(output, Does.Contain("no fonts"));
            return;
        }
        byte[] file = File.ReadAllBytes(path);
        Assert.That(file[1..4], Is.EqualTo("PNG"u8.ToArray()));
        Assert.That(file, Has.Length.GreaterThan(10_000), "an empty picture is smaller");
    }

    [Test]
    public void A_report_is_read_as_it_was_written()
    {
        using TemporaryFolder folder = new();
        ReportFiles files = new(folder.Path, "report");
        files.Write(Latency);
        string path = Path.Combine(folder.Path, "report.json");
        LatencyReport read = ReportFiles.Read<LatencyReport>(path);
        Assert.That(read.Head, Is.EqualTo(Head));
        Assert.That(read.Rows, Is.EqualTo(Latency.Rows));
        Assert.That(ReportFiles.Command(path), Is.EqualTo("latency"));
        files.Write(Throughput);
        Assert.That(ReportFiles.Read<ThroughputReport>(path).Rows, Is.EqualTo(Throughput.Rows));
        Assert.That(File.ReadAllText(path), Does.Contain("\"outputPerSecond\": 9"), "derived figures are there for other programs");
    }

    [Test]
    public void Markdown_names_model_device_date_and_command_and_has_a_line_for_each_row()
    {
        string[] lines = Latency.ToMarkdown().Split(Environment.NewLine);
        Assert.That(lines[0], Is.EqualTo("# Latency: shape"));
        Assert.That(lines[2], Is.EqualTo("some GPU, driver 580.1, .NET 10, 2026-11-28 07:08 UTC."));
        Assert.That(lines, Does.Contain("latency shape --layers 2"));
        Assert.That(lines, Does.Contain("| decode, batch 1, context 64 | newest | hardware | 1.00 | 1,000 | 0.50 | 1 | - |"));
        Assert.That(lines, Does.Contain("| prefill of 64 | newest | hardware | left out | - | - | - | - |"));
        Assert.That(lines, Does.Contain("| decode, batch 1, context 64 | sm_80 kernels / newest kernels | 2.00 / 1.00 | 2.00 |"));
        Assert.That(lines.Where(line => line.StartsWith('|')).Select(line => line.Count(letter => letter == '|')).Distinct().ToArray(), Is.EqualTo(new[] { 9, 5 }));
    }

    [Test]
    public async Task Plots_are_drawn_from_reports_of_one_benchmark()
    {
        if (!Plots.HaveFonts) Assert.Ignore("This machine has no fonts.");
        using TemporaryFolder folder = new();
        new ReportFiles(folder.Path, "first").Write(Latency);
        new ReportFiles(folder.Path, "second").Write(Latency with { Head = Head with { Model = "other" } });
        new ReportFiles(folder.Path, "third").Write(Throughput);
        using StringWriter output = new();
        string plot = Path.Combine(folder.Path, "plot.png");
        Assert.That(await BenchmarkCommands.RunAsync(["plot", Json("first"), Json("second"), "--out", plot], output), Is.Zero, output.ToString());
        AssertDrawn(plot, output.ToString());
        Assert.That(await BenchmarkCommands.RunAsync(["plot", Json("first"), Json("third"), "--out", plot], output), Is.Not.Zero);
        Assert.That(output.ToString(), Does.Contain("latency and throughput have no plot in common"));

        string Json(string name) => Path.Combine(folder.Path, name + ".json");
    }

    [Test]
    public void Lines_are_named_by_what_differs()
    {
        (string Model, int Batch, double? Value)[] rows = [("a", 1, 1), ("a", 2, null), ("b", 1, 3), ("b", 1, 4)];
        IReadOnlyList<PlotSeries<(string Model, int Batch, double? Value)>> lines = PlotSeries<(string Model, int Batch, double? Value)>.Of(rows, row => row.Model, _ => "same");
        Assert.That(lines.Select(line => line.Name), Is.EqualTo(new[] { "a", "b" }));
        Assert.That(lines[0].Values(row => row.Batch, row => row.Value), Is.EqualTo(new Dictionary<int, double> { [1] = 1 }));
        Assert.That(lines[1].Values(row => row.Batch, row => row.Value), Is.EqualTo(new Dictionary<int, double> { [1] = 4 }));
        Assert.That(PlotSeries<(string Model, int Batch, double? Value)>.Of(rows, _ => "same").Single().Name, Is.Null);
    }

    [Test]
    public void The_processor_has_a_name() => Assert.That(DeviceDescription.Of(Device.Cpu).Name, Does.Contain($", {Environment.ProcessorCount} processors"));

    [Test]
    [Cuda]
    public void A_GPU_has_a_name_a_driver_and_uses_energy()
    {
        using var gpu = Kernels.Gpu.GpuDevices.CreateCuda();
        Assert.That(Nvml.Name(0), Is.Not.Empty);
        Assert.That(Nvml.DriverVersion, Does.Match(@"^\d+\.\d+"));
        Assert.That(Nvml.Joules(0), Is.GreaterThan(0));
    }
}
