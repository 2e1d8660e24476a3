using System.Runtime.InteropServices;

namespace Decart.Inference.Benchmarks.Devices;

/// <summary>What reports say of the device that was measured.</summary>
/// <param name="Name">Its name, as "NVIDIA H200".</param>
/// <param name="Driver">The version of its driver, or of the system for a processor; "-" where it cannot be found out.</param>
internal sealed record DeviceDescription(string Name, string Driver)
{
    private const string Unknown = "-";

    public static DeviceDescription Of(Device device) => device.Kind == DeviceKind.Cuda
        ? new DeviceDescription((device.Indices.Count > 1 ? $"{device.Indices.Count} x " : "") + (Nvml.Name(device.Index) ?? device.ToString()), Nvml.DriverVersion ?? Unknown)
        : new DeviceDescription($"{Processor()}, {Environment.ProcessorCount} processors", RuntimeInformation.OSDescription);

    private static string Processor()
    {
        const string Processors = "/proc/cpuinfo", Key = "model name";
        string? line = File.Exists(Processors) ? File.ReadLines(Processors).FirstOrDefault(line => line.StartsWith(Key, StringComparison.Ordinal)) : null;
        return line is null ? RuntimeInformation.ProcessArchitecture.ToString() : line[(line.IndexOf(':') + 1)..].Trim();
    }
}
