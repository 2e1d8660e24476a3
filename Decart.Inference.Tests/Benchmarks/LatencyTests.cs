using Decart.Inference.Benchmarks.Commands;
using Decart.Inference.Benchmarks.Latency;
using Decart.Inference.Benchmarks.Reports;
using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Memory;
using Decart.Inference.Models;
using Decart.Inference.Tests.Checkpoints;
using Decart.Inference.Tests.Kernels.Gpu;
using Decart.Inference.Tests.Models;

namespace Decart.Inference.Tests.Benchmarks;

[CancelAfter(120_000)]
internal sealed class LatencyTests
{
    [Test]
    public async Task The_command_measures_every_case_and_writes_a_report([Values("llama", "mixtral", "gemma2")] string model)
    {
        using TemporaryFolder folder = new();
        folder.Write("config.json", TinyModels.Config(model).ToJsonString());
        using StringWriter output = new();
        string[] arguments =
        [
            "latency", folder.Path, "--device", "cpu", "--threads", "1", "--batches", "1", "3", "--contexts", "5", "60", "--prefills", "40", "--layers", "2",
            "--paging", "auto", "table", "--repetitions", "3", "--name", "tiny",
        ];
        int code = await BenchmarkCommands.RunAsync([.. arguments, "--out", Path.Combine(folder.Path, "out")], output);
        Assert.That(code, Is.Zero, output.ToString());
        LatencyReport report = ReportFiles.Read<LatencyReport>(Path.Combine(folder.Path, "out", "latency-tiny.json"));
        Assert.That((report.Layers, report.ModelLayers), Is.EqualTo((2, 3)));
        Assert.That(report.Head.Arguments, Is.EqualTo(string.Join(' ', arguments[1..])), "without the folder of the report");
        Assert.That(report.Rows.Select(row => (row.Kind, row.Batch, row.Tokens)).Distinct(), Is.EqualTo(new[]
        {
            (StepKind.Prefill, 1, 40), (StepKind.Decode, 1, 5), (StepKind.Decode, 3, 5), (StepKind.Decode, 1, 60), (StepKind.Decode, 3, 60),
        }));
        Assert.That(report.Rows, Has.Count.EqualTo(10));
        Assert.That(report.Rows.Select(row => Math.Min(Math.Min(row.Seconds ?? 0, row.Operations), Math.Min(row.TokensPerSecond ?? 0, row.CopyBandwidth))), Is.All.GreaterThan(0));
        Assert.That(report.Rows.Where(row => row.Kind == StepKind.Decode).Select(row => row.RooflineShare), Is.All.GreaterThan(0));
        string markdown = await File.ReadAllTextAsync(Path.Combine(folder.Path, "out", "latency-tiny.md"));
        foreach (LatencyRow row in report.Rows) Assert.That(markdown, Does.Contain(LatencyReport.Table.Row(row)));
        Assert.That(markdown, Does.Contain("2 of 3 layers"));
        Assert.That(output.ToString(), Does.Contain(LatencyReport.Table.Row(report.Rows[^1])));
        ReportTests.AssertDrawn(Path.Combine(folder.Path, "out", "latency-tiny.png"), output.ToString());
    }

    [Test]
    public async Task Weights_of_few_bits_are_measured_beside_the_time_that_reading_them_takes()
    {
        using TemporaryFolder folder = new();
        folder.Write("config.json", TinyModels.Config("llama").ToJsonString());
        using StringWriter output = new();
        string[] arguments = ["latency", folder.Path, "--device", "cpu", "--threads", "1", "--batches", "1", "--contexts", "5", "--repetitions", "1", "--name", "few", "--out", folder.Path];
        Assert.That(await BenchmarkCommands.RunAsync([.. arguments, "--weights", "q8_0", "--packed", "false"], output), Is.Zero, output.ToString());
        LatencyReport few = ReportFiles.Read<LatencyReport>(Path.Combine(folder.Path, "latency-few.json"));
        Assert.That(await BenchmarkCommands.RunAsync(arguments, output), Is.Zero, output.ToString());
        LatencyReport plain = ReportFiles.Read<LatencyReport>(Path.Combine(folder.Path, "latency-few.json"));
        Assert.That((few.Weights, plain.Weights, plain.BitsPerWeight), Is.EqualTo(((WeightFormat?)WeightFormat.Q8_0, (WeightFormat?)null, 16.0)));
        Assert.That(few.BitsPerWeight, Is.InRange(8.5, 11), "down projections have rows of 48");
        Assert.That(few.Rows[0].Bytes, Is.LessThan(0.7 * plain.Rows[0].Bytes));
        Assert.That(few.ToMarkdown(), Does.Contain("bits (Q8_0)"));
    }

    [Test]
    public async Task Keys_and_values_of_8_bits_are_measured_beside_the_time_that_reading_them_takes()
    {
        using TemporaryFolder folder = new();
        folder.Write("config.json", TinyModels.Config("llama").ToJsonString());
        using StringWriter output = new();
        LatencyOptions options = new() { Model = folder.Path, Device = Device.Cpu, Threads = 1, Batches = [3], Contexts = [50], Repetitions = 1 };
        LatencyReport plain = await Task.Run(() => new LatencyBenchmark(options, [], output).Run(files: null));
        LatencyReport few = await Task.Run(() => new LatencyBenchmark(options with { KvCacheType = KvCacheType.Fp8 }, [], output).Run(files: null));
        ModelConfig config = TinyCheckpoint.Read(TinyModels.Config("llama"));
        int elements = 2 * config.KvHeads * config.HeadDim, codes = new KvLayout(1, config.KvHeads, config.HeadDim, KvCodes.Bytes).LayerBytes;
        Assert.That(plain.Rows[0].Bytes - few.Rows[0].Bytes, Is.EqualTo(3.0 * 50 * config.Layers * ((elements * sizeof(float)) - codes)));
        Assert.That(few.ToMarkdown(), Does.Contain(", Fp8 keys and values."));
        Assert.That(plain.ToMarkdown(), Does.Not.Contain("keys and values."));
    }

    [Test]
    public async Task Cases_that_do_not_fit_are_left_out_with_the_reason()
    {
        using TemporaryFolder folder = new();
        folder.Write("config.json", TinyModels.Config("llama").ToJsonString());
        LatencyOptions options = new() { Model = folder.Path, Device = Device.Cpu, Threads = 1, Batches = [1, 1_000_000], Contexts = [1_000], Repetitions = 1 };
        using StringWriter output = new();
        LatencyReport report = await Task.Run(() => new LatencyBenchmark(options, [], output).Run(files: null));
        Assert.That(report.Rows[0].LeftOut, Is.Null, "contexts may be longer than the model's");
        Assert.That(report.Rows[0].Seconds, Is.GreaterThan(0));
        Assert.That(report.Rows[1].Seconds, Is.Null);
        Assert.That(report.Rows[1].LeftOut, Does.StartWith("left out: keys and values need"));
        Assert.That(report.ToMarkdown(), Does.Contain(report.Rows[1].LeftOut));
    }

    [TestCase("--batches", "0")]
    [TestCase("--contexts", "-1")]
    [TestCase("--layers", "0")]
    [TestCase("--device", "abacus")]
    [TestCase("--kernels", "sm80")]
    [TestCase("--weights", "int3")]
    public async Task What_cannot_be_measured_is_said(string option, string value)
    {
        using TemporaryFolder folder = new();
        folder.Write("config.json", TinyModels.Config("llama").ToJsonString());
        using StringWriter output = new();
        string[] device = option == "--device" ? [] : ["--device", "cpu"];
        int code = await BenchmarkCommands.RunAsync(["latency", folder.Path, .. device, option, value], output);
        Assert.That(code, Is.Not.Zero);
        Assert.That(output.ToString(), Does.Contain(option is "--kernels" ? "no kernels of sm_80 for cpu" : option));
    }

    /// <summary>Where the device chooses tokens, steps follow each other without the host knowing them.</summary>
    [Test]
    public void Steps_of_a_device_that_samples([Values] bool sameToken)
    {
        using TemporaryFolder folder = new();
        folder.Write("config.json", TinyModels.Config("llama").ToJsonString());
        using GpuBackend backend = new(new EmulatedDevice());
        RandomTensors source = new(folder.Path, seed: 1);
        ModelConfig config = ModelLoader.ReadConfig(source) with { Layers = 1, ContextLength = 4 };
        using DecoderLatency decoder = new(backend, source, config, longestPrefill: 2, largestBatch: 2, new LatencyOptions { Model = folder.Path, Repetitions = 1, SameToken = sameToken });
        long bytes = SequenceMemory.Bytes(backend.Memory, decoder.KvLayout, PagingMode.Auto, sequences: 2, tokens: 4);
        using SequenceMemory memory = new(backend.Memory, decoder.KvLayout, PagingMode.Auto, sequences: 2, tokens: 4, bytes);
        Assert.That(Enumerable.Range(0, 50).Select(decoder.Token).Distinct().Count(), sameToken ? Is.EqualTo(1) : Is.EqualTo(50));
        Assert.That(decoder.Prefill(memory, 2), Is.GreaterThan(0));
        Assert.That(decoder.Decode(memory, batch: 2, context: 3), Is.GreaterThan(0));
    }

    [Test]
    public void What_kernels_and_paging_cost_is_the_ratio_of_the_same_case()
    {
        LatencyRow row = new(StepKind.Decode, 4, 100, KernelChoice.Newest, PagingMode.Hardware) { Seconds = 2, Bytes = 6, CopyBandwidth = 5, Operations = 8e12 };
        LatencyRow[] rows =
        [
            row,
            row with { Kernels = KernelChoice.Sm80, Seconds = 3 },
            row with { Paging = PagingMode.Table, Seconds = 5 },
            row with { Batch = 5, Paging = PagingMode.Table, Seconds = 7 },
            row with { Tokens = 7, Seconds = null },
            row with { Tokens = 7, Kernels = KernelChoice.Sm80 },
        ];
        Assert.That(LatencyRatio.Of(rows).Select(ratio => (ratio.Case, ratio.Slower, ratio.Faster, ratio.Value)), Is.EqualTo(new[]
        {
            ("decode, batch 4, context 100", "sm_80 kernels", "newest kernels", 1.5),
            ("decode, batch 4, context 100", "table paging", "hardware paging", 2.5),
        }));
        Assert.That((row.RooflineShare, row.FloorSeconds, row.TokensPerSecond, row.TeraFlops), Is.EqualTo((0.6, 1.2, 2.0, 4.0)));
    }
}
