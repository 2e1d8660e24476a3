using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>Whether this program contains the GPU's kernels and their compiler. A trimmer that knows it does not leaves out both.</summary>
internal static class GpuSupport
{
    private const string Switch = "Decart.Inference.Gpu";

    public const string PackedSwitch = "Decart.Inference.PackedGpuWeights", PartedSwitch = "Decart.Inference.PartedGpuSums";

    public const string Absent =
        "This program was built without support for GPUs, which needs just-in-time compilation and, in a trimmed program, DecartInferenceGpu set to true in its project.";

    public const string NeedsAllCode = "Kernels are compiled from IL at run time.";

    /// <summary>As the switch says, else wherever code can be generated. In trimmed programs the package's build files always set the switch.</summary>
    [FeatureSwitchDefinition(Switch)]
    [FeatureGuard(typeof(RequiresUnreferencedCodeAttribute))]
    [FeatureGuard(typeof(RequiresDynamicCodeAttribute))]
#pragma warning disable IL4000 // the analyzer does not see that the trimmer replaces the value
    public static bool IsSupported => RuntimeFeature.IsDynamicCodeSupported && (!AppContext.TryGetSwitch(Switch, out bool enabled) || enabled);
#pragma warning restore IL4000

    /// <summary>
    /// Whether quantised weights stay in the bits of their file on GPUs that have kernels for it, unless the switch <c>Decart.Inference.PackedGpuWeights</c> says no; else they are widened
    /// to halves, which takes more memory and hardly ever less time.
    /// </summary>
    public static bool PacksWeights => !AppContext.TryGetSwitch(PackedSwitch, out bool enabled) || enabled;

    /// <summary>Whether several GPUs send partials of long steps while they multiply other rows: if the switch <c>Decart.Inference.PartedGpuSums</c> says so, until it has been measured.</summary>
    public static bool SendsParts => AppContext.TryGetSwitch(PartedSwitch, out bool enabled) && enabled;
}
