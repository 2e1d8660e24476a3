using System.Diagnostics;
using System.Runtime.InteropServices;
using Decart.Inference.Kernels.Cpu;

namespace Decart.Inference.Tests.Kernels.Formats;

/// <summary>Tests of formats, of kernels of the machine's own width and of a whole session again in processes whose runtime hides instruction sets.</summary>
internal sealed class MaskedInstructionTests
{
    private const string Variable = "DECART_MASKED_INSTRUCTIONS";

    private const string Tests = "FullyQualifiedName~Kernels.Formats|FullyQualifiedName~LaneMathTests|FullyQualifiedName~MatMulEpilogueTests"
        + "|FullyQualifiedName~Kernels.CpuKernelsTests|FullyQualifiedName~The_storyteller_tells_a_story|FullyQualifiedName~width_of_vectors_is_logged";

    [TestCase("DOTNET_EnableAVX512")]
    [TestCase("DOTNET_EnableAVX2")]
    [TestCase("DOTNET_EnableAVX")]
    [TestCase("DOTNET_EnableHWIntrinsic")]
    public async Task Everything_holds_without(string instructions)
    {
        if (Environment.GetEnvironmentVariable(Variable) is not null) Assert.Ignore("This process already hides instructions.");
        ProcessStartInfo start = new(Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet")
        {
            ArgumentList = { "exec", typeof(MaskedInstructionTests).Assembly.Location, "--filter", Tests },
            Environment = { [instructions] = "0", [Variable] = instructions },
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using Process process = Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync(), error = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.That(process.ExitCode, Is.Zero, await output + await error);
    }

    /// <summary>So that a misspelt variable does not pass for a hidden instruction set.</summary>
    [Test]
    public void Hidden_instructions_are_not_reported_as_supported()
    {
        string? hidden = Environment.GetEnvironmentVariable(Variable);
        bool supported = hidden switch
        {
            "DOTNET_EnableAVX512" => System.Runtime.Intrinsics.X86.Avx512F.IsSupported,
            "DOTNET_EnableAVX2" => System.Runtime.Intrinsics.X86.Avx2.IsSupported,
            "DOTNET_EnableAVX" => System.Runtime.Intrinsics.X86.Avx.IsSupported,
            "DOTNET_EnableHWIntrinsic" => System.Runtime.Intrinsics.Vector128.IsHardwareAccelerated,
            _ => false,
        };
        Assert.That(supported, Is.False, hidden);
    }

    [Test]
    public void The_width_is_what_the_processor_offers()
    {
        string? hidden = Environment.GetEnvironmentVariable(Variable);
        if (RuntimeInformation.ProcessArchitecture == Architecture.Arm64) Assert.That(SimdWidths.Machine, Is.EqualTo(SimdWidth.Vector128));
        else if (hidden is "DOTNET_EnableHWIntrinsic") Assert.That(SimdWidths.Machine, Is.EqualTo(SimdWidth.Scalar));
        else if (hidden is "DOTNET_EnableAVX" or "DOTNET_EnableAVX2") Assert.That(SimdWidths.Machine, Is.EqualTo(SimdWidth.Vector128));
        else Assert.That(SimdWidths.Machine, Is.GreaterThanOrEqualTo(SimdWidth.Vector128));
    }
}
