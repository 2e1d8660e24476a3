using System.Runtime.InteropServices;
using System.Text;
using Decart.Inference.Benchmarks.Commands;
using Decart.Inference.Benchmarks.Profiles;
using Decart.Inference.Tests.Checkpoints;
using Decart.Inference.Tests.Models;

namespace Decart.Inference.Tests.Benchmarks;

internal sealed class StepProfileTests
{
    /// <summary>Two steps of a beginning, a matmul that starts before it has ended, and a norm after a pause; a third has begun.</summary>
    private static KernelSpan[] Steps(long length, int device = 0) =>
    [
        .. from step in Enumerable.Range(0, 3)
           let start = 1000 + (step * length)
           from span in (KernelSpan[])
           [
               new("GpuEmbed_Run", start, start + 1000, device), new("MatMul", start + 500, start + 5000, device), new("Norm", start + 5700, start + 7000, device),
           ]
           select span,
    ];

    [Test]
    public void A_kernel_adds_what_none_before_it_covers_and_pauses_are_idle_time()
    {
        StepProfile profile = StepProfile.Of(Steps(8000).Reverse(), steps: 2);
        Assert.That(profile.Microseconds, Is.EqualTo(8).Within(1e-9));
        Assert.That(profile.Idle, Is.EqualTo(1.7).Within(1e-9), "0.7 before the norm, 1 between steps");
        Assert.That(profile.Kernels, Is.EqualTo(new[]
        {
            new KernelTime("MatMul", 1, 4.5, 4, 0), new KernelTime("Norm", 1, 1.3, 1.3, 0.7), new KernelTime("GpuEmbed_Run", 1, 1, 1, 1),
        }).Using<KernelTime>((a, b) => a.Name == b.Name && (a.Count, a.Microseconds) == (b.Count, b.Microseconds)
            && Math.Abs(a.Added - b.Added) < 1e-9 && Math.Abs(a.Idle - b.Idle) < 1e-9));
        Assert.That(profile.Kernels.Sum(kernel => kernel.Added) + profile.Idle, Is.EqualTo(profile.Microseconds).Within(1e-9));
        Assert.That(profile.ToMarkdown(), Does.Contain("A step takes 8.0 us, 3 kernels; 1.7 us (21.2 %)").And.Contain("| MatMul | 1 | 4.50 | 4.0 | 50.0 % | 0.0 |"));
    }

    [Test]
    public void Steps_that_overlap_have_no_time_between_them()
    {
        // The next step begins before the norm has ended.
        StepProfile profile = StepProfile.Of(Steps(6500), steps: 2);
        Assert.That((profile.Microseconds, profile.Idle), Is.EqualTo((6.5, 0.7)));
        Assert.That(profile.Kernels.Sum(kernel => kernel.Added), Is.EqualTo(5.8 + 0.25).Within(1e-9), "the last step's norm reaches into the one that is not counted");
    }

    [Test]
    public void Only_one_of_several_GPUs_is_profiled() =>
        Assert.That(StepProfile.Of([.. Steps(8000), .. Steps(9000, device: 1)], steps: 2).Microseconds, Is.EqualTo(8).Within(1e-9));

    [Test]
    public void Too_few_steps_are_an_error() =>
        Assert.That(() => StepProfile.Of(Steps(8000), steps: 3), Throws.InvalidOperationException.With.Message.Contains("beginnings of only 3"));

    [Test]
    public unsafe void Records_of_kernels_are_read_and_others_are_not()
    {
        byte[] name = [.. Encoding.UTF8.GetBytes("GpuNorm_Run"), 0];
        byte[] record = new byte[160];
        fixed (byte* text = name, place = record)
        {
            MemoryMarshal.Write(record, 10u);
            MemoryMarshal.Write(record.AsSpan(16), 123_456_789_012L);
            MemoryMarshal.Write(record.AsSpan(24), 123_456_790_000L);
            MemoryMarshal.Write(record.AsSpan(40), 3);
            MemoryMarshal.Write(record.AsSpan(104), (nint)text);
            Assert.That(KernelTrace.Read(place), Is.EqualTo(new KernelSpan("GpuNorm_Run", 123_456_789_012, 123_456_790_000, 3)));
            MemoryMarshal.Write(record, 1u);
            Assert.That(KernelTrace.Read(place), Is.Null);
        }
    }

    [Test]
    public void Kernels_without_times_are_an_error() =>
        Assert.That(() => StepProfile.Of([new("GpuNorm_Run", 0, 0, 0), .. Steps(8000)], steps: 1), Throws.InvalidOperationException.With.Message.Contains("GpuNorm_Run was recorded without"));

    [Test]
    public void Without_CUPTI_the_error_says_what_was_looked_for() =>
        Assert.That(() => KernelTrace.Start(["libno-such-library.so"]), Throws.TypeOf<NotSupportedException>().With.Message.Contains("needs CUPTI").And.Message.Contains("libno-such-library.so"));

    [TestCase("Kernels of GPUs are profiled, and cpu is none")]
    [TestCase("--repetitions", "--repetitions", "0")]
    public async Task The_command_says_what_it_needs(string expected, params string[] more)
    {
        using TemporaryFolder folder = new();
        folder.Write("config.json", TinyModels.Config("llama").ToJsonString());
        using StringWriter output = new();
        Assert.That(await BenchmarkCommands.RunAsync(["profile", folder.Path, "--device", "cpu", .. more], output), Is.Not.Zero);
        Assert.That(output.ToString(), Does.Contain(expected));
    }
}
