namespace Decart.Inference.Tests.Native;

/// <summary>Drivers that fail, lack something or answer nonsense: an automatic choice computes on the processor, a GPU that is asked for is refused.</summary>
internal sealed class BadDriverTests
{
    private const string Fails = "return 999;";

    private static IEnumerable<TestCaseData> Drivers()
    {
        yield return Case("no GPU", "the CUDA driver finds 0", ("cuDeviceGetCount", "*(int *)a = 0;"));
        yield return Case("a negative number of GPUs", "the CUDA driver finds -1", ("cuDeviceGetCount", "*(int *)a = -1;"));
        yield return Case("an absurd number of GPUs and none that opens", "CUDA_ERROR_FAKE", ("cuDeviceGetCount", "*(int *)a = 2147483647;"), ("cuDeviceGet", Fails));
        yield return Case("no start", "CUDA_ERROR_FAKE, the fake driver's error", ("cuInit", Fails));
        yield return Case("errors without names", "an error that this driver does not know (999)", ("cuInit", Fails), ("cuGetErrorName", "*(char **)b = 0;"));
        yield return Case("errors without texts", "an error that this driver does not know (999)", ("cuInit", Fails), ("cuGetErrorString", "*(char **)b = 0;"));
        yield return Case("a missing function", "lacks cuLaunchKernelEx;", ("cuLaunchKernelEx", null));
        yield return Case("missing functions", "lacks cuGraphLaunch, cuInit, cuMemMap and 1 more functions;", ("cuInit", null), ("cuMemMap", null), ("cuGraphLaunch", null), ("cuModuleUnload", null));
        yield return Case("an old driver", "this one is for 11.4", ("cuDriverGetVersion", "*(int *)a = 11040;"));
        yield return Case("a version below 0", "answers -5 for its version", ("cuDriverGetVersion", "*(int *)a = -5;"));
        yield return Case("an absurd version", "answers 2147483647 for its version", ("cuDriverGetVersion", "*(int *)a = 2147483647;"));
        yield return Case("no properties", "has 0.0", ("cuDeviceGetAttribute", Fails));
        yield return Case("an absurd compute capability", "answers 23622320117 for a compute capability", ("cuDeviceGetAttribute", "*(int *)a = 2147483647;"));
        yield return Case("negative properties", "answers -11 for a compute capability", ("cuDeviceGetAttribute", "*(int *)a = -1;"));
        yield return Case("no multiprocessors", "answers 0 for a number of multiprocessors", ("cuDeviceGetAttribute", Attributes(multiprocessors: 0)));
        yield return Case("too many multiprocessors", "answers 1000000000 for a number of", ("cuDeviceGetAttribute", Attributes(multiprocessors: 1_000_000_000)));
        yield return Case("no shared memory", "answers 0 for shared memory", ("cuDeviceGetAttribute", Attributes(sharedBytes: 0)));
        yield return Case("an odd granularity", "answers 3 for a granularity", ("cuDeviceGetAttribute", Attributes(virtualMemory: 1)), ("cuMemGetAllocationGranularity", "*(size_t *)a = 3;"));
        yield return Case("more memory than there can be", "for free memory", ("cuMemGetInfo_v2", "*(size_t *)a = -1ul; *(size_t *)b = 5;"));
        yield return Case("no context", "gives nothing for the primary context", ("cuDevicePrimaryCtxRetain", ""));
        yield return Case("a context that cannot be used", "CUDA_ERROR_FAKE", ("cuCtxSetCurrent", Fails));
        yield return Case("no stream", "gives nothing for creating a stream", ("cuStreamCreate", ""));
        yield return Case("no event", "gives nothing for creating an event", ("cuEventCreate", ""));
        yield return Case("no pinned memory", "gives nothing for allocating", ("cuMemHostAlloc", ""));
        yield return Case("no compiler", "The CUDA driver refused compiling a module", ("cuModuleLoadDataEx", "return 221;"));
        yield return Case("a compiler that refuses all", "The CUDA driver refused compiling a module", ("cuModuleLoadDataEx", "return 218;"));
        yield return Case("no module", "gives nothing for compiling a module", ("cuModuleLoadDataEx", ""));
        yield return Case("launches that fail", "refused launching a kernel", ("cuLaunchKernelEx", Fails));
        yield return Case("nothing computed", "a launch of it gives other numbers");
    }

    [TestCaseSource(nameof(Drivers))]
    public void A_bad_driver_is_no_reason_to_fail(string reason, (string, string?)[] changes)
    {
        using FakeCudaDriver driver = FakeCudaDriver.Create(changes);
        AssertRefused(driver.Open, reason);
    }

    [TestCase("cuda:0,1", 1, "GPU 1 was asked for, the CUDA driver finds 1.")]
    [TestCase("cuda:62,5", 8, "GPU 62 was asked for, the CUDA driver finds 8.")]
    [TestCase("cuda:all", 0, "GPU 0 was asked for, the CUDA driver finds 0.")]
    [TestCase("cuda:all", -1, "GPU 0 was asked for, the CUDA driver finds -1.")]
    public void Several_GPUs_that_are_not_there_are_refused_before_any_is_opened(string device, int count, string reason)
    {
        using FakeCudaDriver driver = FakeCudaDriver.Create(("cuDeviceGetCount", $"*(int *)a = {count};"), ("cuDevicePrimaryCtxRetain", Fails));
        FakeDriverOutcome outcome = driver.Open(device);
        Assert.That(outcome.Error, Is.TypeOf<NotSupportedException>());
        Assert.That(outcome.Error!.Message, Does.StartWith("The device cuda:").And.EndsWith($" cannot be used. {reason}"));
    }

    private static IEnumerable<TestCaseData> Teams()
    {
        const string Alike = "v[16] = 132; v[75] = 9; v[97] = 232448; v[102] = 1;";
        yield return Case("GPU 0 has compute capability 9.0 and 132 multiprocessors, GPU 2 has compute capability 9.0 and 114 multiprocessors.", Gpus(Alike + "if ((long)c == 2) v[16] = 114;"));
        yield return Case("GPU 0 has compute capability 9.0 and 132 multiprocessors, GPU 1 has compute capability 9.3 and 132 multiprocessors.", Gpus(Alike + "if ((long)c == 1) v[76] = 3;"));
        yield return Case("need a driver that maps memory page by page; GPU 0 has none.", Gpus(Alike + "v[102] = 0;"));
        yield return Case("GPU 1 cannot access that of GPU 2.", Gpus(Alike), ("cuDeviceCanAccessPeer", "*(int *)a = (long)b != 1 || (long)c != 2;"));

        static (string, string?) Gpus(string attributes) => ("cuDeviceGetAttribute", $"int v[103] = {{0}}; {attributes} *(int *)a = v[(int)(long)b];");
        static TestCaseData Case(string reason, params (string, string?)[] changes) =>
            new TestCaseData(reason, new[] { ("cuDeviceGetCount", (string?)"*(int *)a = 3;"), ("cuDeviceGet", "*(int *)a = (int)(long)b;"), ("cuDevicePrimaryCtxRetain", Fails) }.Concat(changes).ToArray())
                .SetArgDisplayNames(reason);
    }

    [TestCaseSource(nameof(Teams))]
    public void GPUs_that_cannot_share_a_model_are_refused_before_any_is_opened(string reason, (string, string?)[] changes)
    {
        using FakeCudaDriver driver = FakeCudaDriver.Create(changes);
        FakeDriverOutcome outcome = driver.Open("cuda:0,1,2");
        Assert.That(outcome.Error, Is.TypeOf<NotSupportedException>());
        Assert.That(outcome.Error!.Message, Does.StartWith("The device cuda:0,1,2 cannot be used. GPUs that share a model ").And.EndsWith(reason));
    }

    [Test]
    public void A_driver_that_is_no_library_is_refused()
    {
        string file = typeof(BadDriverTests).Assembly.Location + ".none", text = Path.GetTempFileName();
        File.WriteAllText(text, "no library");
        AssertRefused(device => FakeCudaDriver.Open(device, text, Path.GetTempPath()), "There is no CUDA driver on this machine that can be loaded");
        AssertRefused(device => FakeCudaDriver.Open(device, file, Path.GetTempPath()), "There is no CUDA driver on this machine that can be loaded");
        File.Delete(text);
    }

    [Test]
    public void All_functions_that_are_called_are_looked_for()
    {
        Assert.That(FakeCudaDriver.Functions, Has.Count.GreaterThan(40).And.All.StartsWith("cu"));
        Assert.That(FakeCudaDriver.Functions, Is.SupersetOf(new[] { "cuLaunchKernelEx", "cuMemcpyAsync", "cuInit", "cuTensorMapEncodeTiled" }));
    }

    private static void AssertRefused(Func<string, FakeDriverOutcome> open, string reason)
    {
        FakeDriverOutcome automatic = open("auto"), asked = open("cuda:0");
        Assert.That(automatic.Error, Is.Null);
        Assert.That(automatic.Device, Is.EqualTo("cpu"));
        Assert.That(automatic.Log, Has.Exactly(1).Contains(reason));
        Assert.That(asked.Error, Is.TypeOf<NotSupportedException>());
        Assert.That(asked.Error!.Message, Does.StartWith("The device cuda:0 cannot be used. ").And.Contains(reason));
    }

    private static string Attributes(int multiprocessors = 108, int sharedBytes = 166_912, int virtualMemory = 0) =>
        $"int v[103] = {{0}}; v[16] = {multiprocessors}; v[75] = 8; v[97] = {sharedBytes}; v[102] = {virtualMemory}; *(int *)a = v[(int)(long)b];";

    private static TestCaseData Case(string name, string reason, params (string Function, string? Body)[] changes) =>
        new TestCaseData(reason, changes).SetArgDisplayNames(name);
}
