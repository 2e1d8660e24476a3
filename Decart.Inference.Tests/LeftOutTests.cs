using Decart.Inference.Tests.Server;
using NUnit.Framework.Interfaces;
using NUnit.Framework.Internal;

namespace Decart.Inference.Tests;

/// <summary>Says in a line each which tests a run leaves out, and why.</summary>
public class LeftOutTests
{
    [Test]
    public void Cuda()
    {
        if (!CudaAttribute.IsChosen) Assert.Ignore("Tests of the category Cuda, which need an NVIDIA GPU, are left out; choose them with --filter TestCategory=Cuda.");
    }

    [Test]
    public void Shared_fixtures() => Report(NeedsFixturesAttribute.Category, Fixtures.Absent);

    [Test]
    public void Soak() => Report(ServerSoakTests.Category, "They take minutes; choose them with --filter TestCategory=Soak.");

    private static void Report(string category, string reason)
    {
        ITest root = TestExecutionContext.CurrentContext.CurrentTest;
        while (root.Parent is { } parent) root = parent;
        int tests = LeftOut(root, category);
        if (tests > 0) Assert.Ignore($"{tests} tests of the category {category} are left out. {reason}");
    }

    private static int LeftOut(ITest test, string category) =>
        test.RunState == RunState.Explicit && test.Properties[PropertyNames.Category].Contains(category)
            ? test.TestCaseCount
            : test.Tests.Sum(child => LeftOut(child, category));
}
