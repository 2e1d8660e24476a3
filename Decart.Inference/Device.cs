using System.ComponentModel;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text.Json.Serialization;
using Decart.Inference.Checkpoints;
using Decart.Inference.Values;

namespace Decart.Inference;

/// <summary>The kinds of hardware a session can compute on.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<DeviceKind>))]
public enum DeviceKind
{
    /// <summary>The fastest device that this program can use on this machine.</summary>
    Auto,
    /// <summary>The processor, with the widest vector instructions it has.</summary>
    Cpu,
    /// <summary>An NVIDIA GPU, through the CUDA driver.</summary>
    Cuda,
}

/// <summary>Where a session computes. An immutable value; its default is <see cref="Auto"/>.</summary>
/// <remarks>Configuration and JSON hold it as its text, which <see cref="Parse"/> reads.</remarks>
[TypeConverter(typeof(DeviceTypeConverter))]
[JsonConverter(typeof(DeviceJsonConverter))]
public readonly record struct Device : IParsable<Device>
{
    private Device(DeviceKind kind, int index)
    {
        Kind = kind;
        Index = index;
    }

    /// <summary>The fastest device that this program can use on this machine.</summary>
    public static Device Auto => default;

    /// <summary>The processor.</summary>
    public static Device Cpu => new(DeviceKind.Cpu, 0);

    /// <summary>The kind of hardware.</summary>
    public DeviceKind Kind { get; }

    /// <summary>Which of the devices of this kind, from 0; always 0 unless <see cref="Kind"/> is <see cref="DeviceKind.Cuda"/>.</summary>
    public int Index { get; }

    /// <summary>An NVIDIA GPU.</summary>
    /// <param name="index">The driver's number of the GPU, from 0.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="index"/> is negative.</exception>
    public static Device Cuda(int index)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        return new Device(DeviceKind.Cuda, index);
    }

    /// <summary>Parses "auto", "cpu", "cuda" (the first GPU) or "cuda:N", in any case.</summary>
    /// <param name="s">The text.</param>
    /// <param name="provider">Not used: the text is the same in every culture.</param>
    /// <exception cref="FormatException">The text names no device.</exception>
    public static Device Parse(string s, IFormatProvider? provider = null)
    {
        ArgumentNullException.ThrowIfNull(s);
        return TryParse(s, provider, out Device device)
            ? device
            : throw new FormatException($"\"{Quoted.Value(s)}\" names no device: expected \"auto\", \"cpu\" or \"cuda:0\".");
    }

    /// <summary>Parses "auto", "cpu", "cuda" (the first GPU) or "cuda:N", in any case.</summary>
    /// <param name="s">The text.</param>
    /// <param name="provider">Not used: the text is the same in every culture.</param>
    /// <param name="result">The device, or <see cref="Auto"/> when the text names none.</param>
    /// <returns>Whether the text names a device.</returns>
    public static bool TryParse([NotNullWhen(true)] string? s, IFormatProvider? provider, out Device result)
    {
        result = Auto;
        if (s is null) return false;
        if (s.Equals("auto", StringComparison.OrdinalIgnoreCase)) return true;
        if (s.Equals("cpu", StringComparison.OrdinalIgnoreCase))
        {
            result = Cpu;
            return true;
        }
        if (!s.StartsWith("cuda", StringComparison.OrdinalIgnoreCase)) return false;
        int index = 0;
        bool named = s.Length == 4 || (s[4] == ':' && int.TryParse(s.AsSpan(5), NumberStyles.None, CultureInfo.InvariantCulture, out index));
        if (named) result = Cuda(index);
        return named;
    }

    /// <summary>The text that <see cref="Parse"/> reads.</summary>
    public override string ToString() => Kind switch
    {
        DeviceKind.Cpu => "cpu",
        DeviceKind.Cuda => string.Create(CultureInfo.InvariantCulture, $"cuda:{Index}"),
        _ => "auto",
    };
}
