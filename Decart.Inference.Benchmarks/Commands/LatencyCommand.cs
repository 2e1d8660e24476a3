using System.CommandLine;
using Decart.Inference.Benchmarks.Latency;
using Decart.Inference.Benchmarks.Reports;

namespace Decart.Inference.Benchmarks.Commands;

/// <summary>The command line of <see cref="LatencyBenchmark"/>.</summary>
internal static class LatencyCommand
{
    public static Command Create(IReadOnlyList<string> arguments)
    {
        LatencyOptions otherwise = new() { Model = "" };
        Argument<string> model = Arguments.Shape();
        Option<Device> device = Arguments.Device();
        Option<int?> threads = Arguments.Threads();
        Option<int[]> batches = Arguments.Counts("--batches", "Numbers of sequences decoded together", otherwise.Batches);
        Option<int[]> contexts = Arguments.Counts("--contexts", "Tokens of each sequence before the one that is decoded", otherwise.Contexts);
        Option<int[]> prefills = Arguments.Counts("--prefills", "Lengths of prompts", otherwise.Prefills);
        Option<int?> layers = Arguments.Count("--layers", "Layers that are computed; all unless given");
        Option<KernelChoice[]> kernels = Arguments.Several("--kernels", "Kernels of a GPU; with both, their ratio is printed", otherwise.Kernels);
        Option<PagingMode[]> pagings = Arguments.Several("--paging", "How keys and values are found; with Hardware and Table, their ratio is printed", otherwise.Pagings);
        Option<int> repetitions = Arguments.Count("--repetitions", "Steps of which the median is taken", otherwise.Repetitions);
        Option<WeightFormat?> weights = Arguments.Weights();
        Option<KvCacheType> kvCache = Arguments.KvCache();
        Option<bool> eightBitActivations = Arguments.EightBitActivations();
        Option<bool?> packed = Arguments.Packed();
        Option<bool> partedSums = Arguments.PartedSums();
        Option<bool> sameToken = new("--same-token") { Description = "All tokens of prompts and contexts are the same one, which takes less power than those of texts" };
        ReportOptions report = new("latency", model);
        Command command = new("latency", "Time per token by batch and context, and of prompts by length.")
            { model, device, threads, batches, contexts, prefills, layers, kernels, pagings, repetitions, weights, eightBitActivations, kvCache, packed, partedSums, sameToken };
        report.AddTo(command);
        command.SetAction(parsed =>
        {
            LatencyOptions options = new()
            {
                Model = Arguments.Model(parsed.GetRequiredValue(model)),
                Device = parsed.GetValue(device),
                Threads = parsed.GetValue(threads),
                Batches = parsed.GetRequiredValue(batches),
                Contexts = parsed.GetRequiredValue(contexts),
                Prefills = parsed.GetRequiredValue(prefills),
                Layers = parsed.GetValue(layers),
                Kernels = parsed.GetRequiredValue(kernels),
                Pagings = parsed.GetRequiredValue(pagings),
                Repetitions = parsed.GetValue(repetitions),
                Weights = parsed.GetValue(weights),
                KvCacheType = parsed.GetValue(kvCache),
                EightBitActivations = parsed.GetValue(eightBitActivations),
                SameToken = parsed.GetValue(sameToken),
            };
            Arguments.SetSwitches(parsed.GetValue(packed), parsed.GetValue(partedSums));
            ReportFiles? files = report.Files(parsed);
            TextWriter output = parsed.InvocationConfiguration.Output;
            LatencyReport measured = new LatencyBenchmark(options, arguments, output).Run(files);
            output.WriteLine(files?.TryDraw(() => LatencyPlot.Draw([measured])));
            return 0;
        });
        return command;
    }
}
