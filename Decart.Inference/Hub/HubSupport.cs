using System.Diagnostics.CodeAnalysis;

namespace Decart.Inference.Hub;

/// <summary>Whether loading a model may download it. A trimmer that knows it does not leaves out all that only downloads need; <see cref="ModelHub"/> works all the same where it is called.</summary>
internal static class HubSupport
{
    private const string Switch = "Decart.Inference.Hub";

    [FeatureSwitchDefinition(Switch)]
    public static bool IsSupported => !AppContext.TryGetSwitch(Switch, out bool enabled) || enabled;
}
