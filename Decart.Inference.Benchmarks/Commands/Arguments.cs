using System.CommandLine;
using Decart.Inference.Kernels.Gpu;

namespace Decart.Inference.Benchmarks.Commands;

/// <summary>Options that benchmarks have in common.</summary>
internal static class Arguments
{
    /// <summary>A model's path as it was given, or the path of a shape that comes with this program, by its name.</summary>
    public static string Model(string given)
    {
        string shape = Path.Combine(AppContext.BaseDirectory, "Shapes", given);
        return !Path.Exists(given) && Directory.Exists(shape) ? shape : given;
    }

    /// <summary>What <see cref="Model"/> takes.</summary>
    public static Argument<string> Shape() => new("folder")
    {
        Description = "A folder with config.json, whose shape is measured with random weights, or the name of a shape that is here: llama-2-7b, llama-2-70b, llama-3-8b, falcon-180b",
    };

    public static Option<Device> Device() => new("--device")
    {
        Description = "auto, cpu, cuda:N, cuda:0,1 (GPUs together) or cuda:all",
        CustomParser = result =>
        {
            if (!Inference.Device.TryParse(result.Tokens[0].Value, null, out Device device)) result.AddError("--device takes auto, cpu, cuda:N, cuda:0,1 or cuda:all.");
            return device;
        },
    };

    public static Option<int?> Threads() => Count("--threads", "Threads of the processor");

    public static Option<WeightFormat?> Weights() => new("--weights")
    {
        Description = $"The format of the weights: {string.Join(", ", Enum.GetNames<WeightFormat>()).ToLowerInvariant()}; 16 bits, or as the checkpoint has them, unless given",
    };

    public static Option<bool> EightBitActivations() => new("--eight-bit-activations") { Description = "Multiplies FP8 weights with 8-bit floats, INT8 and INT4 weights with 8-bit integers" };

    public static Option<KvCacheType> KvCache() => new("--kv-cache") { Description = "The form of keys and values: default (16 bits on GPUs, float32 on the processor) or fp8" };

    public static Option<bool?> Packed() => new("--packed") { Description = "Whether a GPU keeps weights of few bits as they are, rather than as halves; the library's default unless given" };

    public static Option<bool> PartedSums() => new("--parted-sums") { Description = "Several GPUs send what they sum over long steps while they multiply other rows" };

    /// <summary>Sets the switches that <see cref="Packed"/> and <see cref="PartedSums"/> stand for.</summary>
    public static void SetSwitches(bool? packed, bool partedSums)
    {
        if (packed is { } value) AppContext.SetSwitch(GpuSupport.PackedSwitch, value);
        AppContext.SetSwitch(GpuSupport.PartedSwitch, partedSums);
    }

    public static Option<int?> Count(string name, string description)
    {
        Option<int?> option = new(name) { Description = description };
        option.Validators.Add(result => RequirePositive(name, result.GetValueOrDefault<int?>() ?? 1, result.AddError));
        return option;
    }

    public static Option<int> Count(string name, string description, int otherwise)
    {
        Option<int> option = new(name) { Description = description, DefaultValueFactory = _ => otherwise };
        option.Validators.Add(result => RequirePositive(name, result.GetValueOrDefault<int>(), result.AddError));
        return option;
    }

    public static Option<int[]> Counts(string name, string description, IReadOnlyList<int> otherwise)
    {
        Option<int[]> option = Several(name, description, otherwise);
        option.Validators.Add(result => RequirePositive(name, (result.GetValueOrDefault<int[]>() ?? []).DefaultIfEmpty(1).Min(), result.AddError));
        return option;
    }

    /// <summary>An option with several values, with spaces between.</summary>
    public static Option<T[]> Several<T>(string name, string description, IReadOnlyList<T> otherwise) => new(name)
    {
        Description = description,
        AllowMultipleArgumentsPerToken = true,
        DefaultValueFactory = _ => [.. otherwise],
    };

    private static void RequirePositive(string name, int value, Action<string> addError)
    {
        if (value < 1) addError($"{name} takes numbers from 1.");
    }
}
