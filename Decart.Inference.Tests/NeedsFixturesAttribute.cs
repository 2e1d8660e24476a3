using NUnit.Framework.Interfaces;
using NUnit.Framework.Internal;

namespace Decart.Inference.Tests;

/// <summary>Tests that read the shared checkpoints: left out where those are absent.</summary>
[AttributeUsage(AttributeTargets.Class | AttributeTargets.Method)]
internal sealed class NeedsFixturesAttribute : NUnitAttribute, IApplyToTest
{
    public const string Category = "Fixtures";

    public void ApplyToTest(Test test)
    {
        test.Properties.Add(PropertyNames.Category, Category);
        if (Fixtures.Folder is not null || test.RunState != RunState.Runnable) return;
        test.RunState = RunState.Explicit;
        test.Properties.Set(PropertyNames.SkipReason, Fixtures.Absent);
    }
}
