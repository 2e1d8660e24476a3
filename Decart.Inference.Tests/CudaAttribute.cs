using NUnit.Framework.Interfaces;
using NUnit.Framework.Internal;

namespace Decart.Inference.Tests;

/// <summary>Tests of the category Cuda, which are run only when it is chosen: <c>--filter TestCategory=Cuda</c>.</summary>
[AttributeUsage(AttributeTargets.Class | AttributeTargets.Method)]
internal sealed class CudaAttribute : NUnitAttribute, IApplyToTest
{
    public const string Category = "Cuda";

    private const string Reason = "Tests on a GPU are run when their category is chosen.";

    public void ApplyToTest(Test test)
    {
        test.Properties.Add(PropertyNames.Category, Category);
        if (test.RunState != RunState.Runnable) return;
        test.RunState = RunState.Explicit;
        test.Properties.Set(PropertyNames.SkipReason, Reason);
    }

    /// <summary>Gives fixture arguments the category.</summary>
    public static TestFixtureData Choose(TestFixtureData fixture)
    {
        fixture.Properties.Add(PropertyNames.Category, Category);
        return fixture.Explicit(Reason);
    }
}
