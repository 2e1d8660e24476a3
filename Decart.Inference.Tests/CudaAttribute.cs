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

    /// <summary>Whether this run's filter names the category.</summary>
    public static bool IsChosen { get; } =
        Environment.GetCommandLineArgs().Any(argument => argument.Contains($"Category={Category}", StringComparison.Ordinal));

    /// <summary>
    /// A fixture of the category, or none where that is not chosen: sources that other devices share would otherwise list hundreds of tests as skipped.
    /// </summary>
    public static IEnumerable<TestFixtureData> Choose(TestFixtureData fixture)
    {
        if (!IsChosen) yield break;
        fixture.Properties.Add(PropertyNames.Category, Category);
        yield return fixture.Explicit(Reason);
    }

    /// <summary>The cases of a test of the category; only the first, which says that the test is left out, where that is not chosen.</summary>
    public static IEnumerable<T> Choose<T>(IEnumerable<T> cases) => IsChosen ? cases : cases.Take(1);
}
