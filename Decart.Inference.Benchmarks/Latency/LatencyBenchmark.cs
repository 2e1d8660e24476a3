using Decart.Inference.Benchmarks.Devices;
using Decart.Inference.Benchmarks.Profiles;
using Decart.Inference.Benchmarks.Reports;
using Decart.Inference.Kernels;
using Decart.Inference.Loading;
using Decart.Inference.Memory;
using Decart.Inference.Models;
using Decart.Inference.Models.Quantisation;
using Microsoft.Extensions.Logging.Abstractions;

namespace Decart.Inference.Benchmarks.Latency;

/// <summary>
/// Time per token by batch and context, and of prompts by length, of a decoder with random weights in the shape of a folder's config.json, beside the time that reading
/// what must be read would take.
/// </summary>
/// <param name="options">What to measure.</param>
/// <param name="arguments">How the command was called, for the report.</param>
/// <param name="output">Told each row as soon as it is measured.</param>
internal sealed class LatencyBenchmark(LatencyOptions options, IReadOnlyList<string> arguments, TextWriter output)
{
    /// <summary>Tokens that sequences have room for beyond those of their cases.</summary>
    private const int SpareTokens = 1;

    /// <summary>Of the memory that is free beside the weights, what keys and values may take.</summary>
    private const double KvShare = 0.97;

    private readonly List<LatencyRow> _rows = [];

    /// <summary>Measures everything.</summary>
    /// <param name="files">Written again after each row; null for none.</param>
    public LatencyReport Run(ReportFiles? files)
    {
        LatencyReport? report = null;
        foreach (KernelChoice kernels in options.Kernels)
        {
            // A device of its own for each: what a backend records may depend on how pages are found.
            foreach (PagingMode paging in options.Pagings) Run(kernels, paging, files, ref report);
        }
        output.WriteLine(Environment.NewLine + report!.RatiosMarkdown);
        return report;
    }

    private void Run(KernelChoice kernels, PagingMode paging, ReportFiles? files, ref LatencyReport? report)
    {
        DeviceChoice device = Open(kernels);
        using IBackend backend = device.Backend;
        if (kernels == KernelChoice.Sm80 && device.Device.Kind != DeviceKind.Cuda) throw new NotSupportedException($"There are no kernels of sm_80 for {device.Device}.");
        double bandwidth = CopyBandwidth.Measure(backend.Memory);
        RandomTensors source = new(options.Model, seed: 1);
        ModelConfig model = ModelLoader.ReadConfig(source), config = Cut(model);
        if (options.Weights is { } format) source.Types = new WeightTypes(format, config);
        DecoderCost cost = new(config, backend.KvElementBytes, source.Types);
        report ??= Begin(device.Device, config, model, cost);
        using DecoderLatency decoder = new(backend, source, config, options.Prefills.DefaultIfEmpty(1).Max(), options.Batches.DefaultIfEmpty(1).Max(), options);
        foreach (LatencyRow row in Measure(decoder, backend.Memory, kernels, paging, cost))
        {
            _rows.Add(row with { CopyBandwidth = bandwidth });
            output.WriteLine(LatencyReport.Table.Row(_rows[^1]));
            files?.Write(report);
        }
    }

    /// <summary>Prints where the time of decode steps goes, for each batch and context. Recording kernels makes steps somewhat longer.</summary>
    /// <exception cref="NotSupportedException">The device is no GPU, or there is no CUPTI.</exception>
    public void Profile()
    {
        if (options.Device.Kind == DeviceKind.Cpu) throw NoGpu(options.Device);
        // Before a device is opened, so that graphs are recorded as well.
        using KernelTrace trace = KernelTrace.Start();
        DeviceChoice device = Open(KernelChoice.Newest);
        using IBackend backend = device.Backend;
        if (device.Device.Kind != DeviceKind.Cuda) throw NoGpu(device.Device);
        RandomTensors source = new(options.Model, seed: 1);
        ModelConfig config = Cut(ModelLoader.ReadConfig(source));
        if (options.Weights is { } format) source.Types = new WeightTypes(format, config);
        output.WriteLine(ReportHead.Of("profile", arguments, options.Model, device.Device).Markdown);
        using DecoderLatency decoder = new(backend, source, config, 1, options.Batches.Max(), options);
        int tokens = options.Contexts.Max() + SpareTokens;
        using SequenceMemory sequences = new(
            backend.Memory, decoder.KvLayout, PagingMode.Auto, options.Batches.Max(), tokens, SequenceMemory.Bytes(backend.Memory, decoder.KvLayout, PagingMode.Auto, options.Batches.Max(), tokens));
        foreach (int context in options.Contexts)
        {
            foreach (int batch in options.Batches)
            {
                trace.Take();
                decoder.Decode(sequences, batch, context);
                output.WriteLine(FormattableString.Invariant($"{Environment.NewLine}## Batch {batch}, context {context:N0}{Environment.NewLine}"));
                output.WriteLine(StepProfile.Of(trace.Take(), options.Repetitions).ToMarkdown());
            }
        }
    }

    private static NotSupportedException NoGpu(Device device) => new($"Kernels of GPUs are profiled, and {device} is none.");

    private LatencyReport Begin(Device device, ModelConfig config, ModelConfig model, DecoderCost cost)
    {
        LatencyReport report = new(ReportHead.Of("latency", arguments, options.Model, device), config.Layers, model.Layers, _rows)
        {
            Weights = options.Weights,
            KvCacheType = options.KvCacheType,
            EightBitActivations = options.EightBitActivations,
            BitsPerWeight = cost.BitsPerWeight,
        };
        output.WriteLine(string.Join(Environment.NewLine + Environment.NewLine, report.Head.Markdown, LatencyReport.Table.Head));
        return report;
    }

    private DeviceChoice Open(KernelChoice kernels) => DeviceChoice.Open(
        new LlmSessionOptions { Device = options.Device, Threads = options.Threads, KvCacheType = options.KvCacheType, EightBitActivations = options.EightBitActivations },
        NullLogger.Instance,
        latestArchitecture: kernels == KernelChoice.Sm80 ? 80 : int.MaxValue);

    private ModelConfig Cut(ModelConfig model)
    {
        int layers = Math.Min(options.Layers ?? model.Layers, model.Layers);
        int longest = options.Contexts.Concat(options.Prefills).DefaultIfEmpty(1).Max() + SpareTokens;
        return model with { Layers = layers, Windows = model.Windows[..layers], ContextLength = Math.Max(model.ContextLength, longest) };
    }

    private IEnumerable<LatencyRow> Measure(DecoderLatency decoder, IDeviceMemory memory, KernelChoice kernels, PagingMode paging, DecoderCost cost)
    {
        LatencyRow[] cases = [.. Cases(cost).Select(row => row with { Kernels = kernels, Paging = paging })];
        long free = (long)(memory.MeasureFree() * KvShare);
        LatencyRow[] fitting = [.. cases.Where(row => Bytes(row) <= free)];
        if (fitting.Length == 0) return cases.Select(LeaveOut);
        return MeasureFitting();

        IEnumerable<LatencyRow> MeasureFitting()
        {
            using SequenceMemory sequences = new(
                memory, decoder.KvLayout, paging, fitting.Max(row => row.Batch), fitting.Max(row => row.Tokens) + SpareTokens, fitting.Max(Bytes));
            foreach (LatencyRow row in cases)
            {
                yield return Bytes(row) > free ? LeaveOut(row) : row with
                {
                    Paging = sequences.Paging,
                    Seconds = row.Kind == StepKind.Prefill ? decoder.Prefill(sequences, row.Tokens) : decoder.Decode(sequences, row.Batch, row.Tokens),
                };
            }
        }

        long Bytes(LatencyRow row) => SequenceMemory.Bytes(memory, decoder.KvLayout, paging, row.Batch, row.Tokens + SpareTokens);

        LatencyRow LeaveOut(LatencyRow row) => row with
        {
            LeftOut = FormattableString.Invariant($"left out: keys and values need {Bytes(row) / 1e9:F1} GB, {free / 1e9:F1} are free"),
        };
    }

    private IEnumerable<LatencyRow> Cases(DecoderCost cost)
    {
        foreach (int tokens in options.Prefills)
        {
            yield return new LatencyRow(StepKind.Prefill, 1, tokens, default, default)
            {
                Operations = cost.PrefillOperations(tokens),
                WeightOperations = cost.PrefillWeightOperations(tokens),
            };
        }
        foreach (int context in options.Contexts)
        {
            foreach (int batch in options.Batches)
            {
                yield return new LatencyRow(StepKind.Decode, batch, context, default, default)
                {
                    Bytes = cost.DecodeBytes(batch, context),
                    Operations = cost.DecodeOperations(batch, context),
                };
            }
        }
    }
}
