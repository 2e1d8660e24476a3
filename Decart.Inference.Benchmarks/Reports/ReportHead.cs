using System.Runtime.InteropServices;
using Decart.Inference.Benchmarks.Devices;

namespace Decart.Inference.Benchmarks.Reports;

/// <summary>What is said of every measurement: of what, on what, when and by which command.</summary>
/// <param name="Command">The benchmark's name.</param>
/// <param name="Arguments">Its arguments.</param>
/// <param name="Date">When it began.</param>
/// <param name="Model">The model's folder or file, without the way there.</param>
/// <param name="Device">The device's name.</param>
/// <param name="Driver">The version of its driver.</param>
/// <param name="Runtime">The version of .NET.</param>
internal sealed record ReportHead(string Command, string Arguments, DateTimeOffset Date, string Model, string Device, string Driver, string Runtime)
{
    public static ReportHead Of(string command, IEnumerable<string> arguments, string model, Device device)
    {
        DeviceDescription description = DeviceDescription.Of(device);
        return new ReportHead(
            command,
            string.Join(' ', arguments.Select(Quote)),
            DateTimeOffset.UtcNow,
            Path.GetFileName(Path.TrimEndingDirectorySeparator(model)),
            description.Name,
            description.Driver,
            RuntimeInformation.FrameworkDescription);
    }

    /// <summary>A title, a sentence and the command, in Markdown.</summary>
    public string Markdown =>
        $"""
        # {char.ToUpperInvariant(Command[0])}{Command[1..]}: {Model}

        {Device}, driver {Driver}, {Runtime}, {FormattableString.Invariant($"{Date:yyyy-MM-dd HH:mm}")} UTC.

        ```
        {Command} {Arguments}
        ```
        """;

    private static string Quote(string argument) => argument.Contains(' ', StringComparison.Ordinal) ? $"\"{argument}\"" : argument;
}
