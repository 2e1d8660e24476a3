using System.CommandLine;
using Decart.Inference.Benchmarks.Latency;

namespace Decart.Inference.Benchmarks.Commands;

/// <summary>The command line of <see cref="LatencyBenchmark.Profile"/>.</summary>
internal static class ProfileCommand
{
    public static Command Create(IReadOnlyList<string> arguments)
    {
        LatencyOptions otherwise = new() { Model = "" };
        Argument<string> model = Arguments.Shape();
        Option<Device> device = Arguments.Device();
        Option<int[]> batches = Arguments.Counts("--batches", "Numbers of sequences decoded together", [1]);
        Option<int[]> contexts = Arguments.Counts("--contexts", "Tokens of each sequence before the one that is decoded", otherwise.Contexts);
        Option<int?> layers = Arguments.Count("--layers", "Layers that are computed; all unless given");
        Option<int> repetitions = Arguments.Count("--repetitions", "Steps that are profiled", otherwise.Repetitions);
        Option<WeightFormat?> weights = Arguments.Weights();
        Option<KvCacheType> kvCache = Arguments.KvCache();
        Option<bool> eightBitActivations = Arguments.EightBitActivations();
        Command command = new("profile", "Where the time of decode steps goes on a GPU, kernel by kernel, and how long it is idle between them; needs CUPTI.")
            { model, device, batches, contexts, layers, repetitions, weights, eightBitActivations, kvCache };
        command.SetAction(parsed =>
        {
            LatencyOptions options = new()
            {
                Model = Arguments.Model(parsed.GetRequiredValue(model)),
                Device = parsed.GetValue(device),
                Batches = parsed.GetRequiredValue(batches),
                Contexts = parsed.GetRequiredValue(contexts),
                Layers = parsed.GetValue(layers),
                Repetitions = parsed.GetValue(repetitions),
                Weights = parsed.GetValue(weights),
                KvCacheType = parsed.GetValue(kvCache),
                EightBitActivations = parsed.GetValue(eightBitActivations),
            };
            new LatencyBenchmark(options, arguments, parsed.InvocationConfiguration.Output).Profile();
            return 0;
        });
        return command;
    }
}
