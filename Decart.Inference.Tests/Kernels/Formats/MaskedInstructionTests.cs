using System.Diagnostics;

namespace Decart.Inference.Tests.Kernels.Formats;

/// <summary>The format tests again in processes whose runtime hides instruction sets, as on machines without them.</summary>
internal sealed class MaskedInstructionTests
{
    private const string Variable = "DECART_MASKED_INSTRUCTIONS";

    [TestCase("DOTNET_EnableAVX512")]
    [TestCase("DOTNET_EnableAVX2")]
    [TestCase("DOTNET_EnableAVX")]
    [TestCase("DOTNET_EnableHWIntrinsic")]
    public async Task Formats_hold_without(string instructions)
    {
        if (Environment.GetEnvironmentVariable(Variable) is not null) Assert.Ignore("This process already hides instructions.");
        ProcessStartInfo start = new(Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet")
        {
            ArgumentList = { "exec", typeof(MaskedInstructionTests).Assembly.Location, "--filter", "FullyQualifiedName~Kernels.Formats" },
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
}
