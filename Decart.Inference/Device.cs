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
    /// <summary>GPUs of one machine that a text can name together.</summary>
    private const int MostDevices = 64;

    /// <summary>What <see cref="Parse"/> reads, for messages about other texts.</summary>
    internal const string Texts = "\"auto\", \"cpu\", \"cuda:0\", \"cuda:0,1\" (each GPU once) or \"cuda:all\"";

    private readonly ulong _several; // a bit for each of several GPUs; all bits for those that there are

    private Device(DeviceKind kind, int index, ulong several = 0)
    {
        Kind = kind;
        Index = index;
        _several = several;
    }

    /// <summary>The fastest device that this program can use on this machine.</summary>
    public static Device Auto => default;

    /// <summary>The processor.</summary>
    public static Device Cpu => new(DeviceKind.Cpu, 0);

    /// <summary>All NVIDIA GPUs of this machine, the first 16 if there are more, which compute a model together.</summary>
    public static Device AllCuda => new(DeviceKind.Cuda, 0, ulong.MaxValue);

    /// <summary>The kind of hardware.</summary>
    public DeviceKind Kind { get; }

    /// <summary>Which of the devices of this kind, from 0, of several the first; always 0 unless <see cref="Kind"/> is <see cref="DeviceKind.Cuda"/>.</summary>
    public int Index { get; }

    /// <summary>The driver's numbers of the GPUs that compute a model together, in ascending order; empty for one device, and for <see cref="AllCuda"/>.</summary>
    public IReadOnlyList<int> Indices
    {
        get
        {
            ulong several = IsAll ? 0 : _several;
            return [.. Enumerable.Range(0, MostDevices).Where(index => ((several >> index) & 1) != 0)];
        }
    }

    /// <summary>Whether all GPUs are meant that there are.</summary>
    internal bool IsAll => _several == ulong.MaxValue;

    /// <summary>An NVIDIA GPU.</summary>
    /// <param name="index">The driver's number of the GPU, from 0.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="index"/> is negative.</exception>
    public static Device Cuda(int index)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        return new Device(DeviceKind.Cuda, index);
    }

    /// <summary>NVIDIA GPUs that compute a model together: each has a part of every weight, and the keys and values of some heads.</summary>
    /// <param name="indices">The driver's numbers of the GPUs, each once, in any order: 0 to 62, or of one alone any.</param>
    /// <exception cref="ArgumentException">There is none, or one is named twice.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A number is out of range.</exception>
    public static Device Cuda(params ReadOnlySpan<int> indices)
    {
        if (indices.IsEmpty) throw new ArgumentException("Expected at least one GPU, found none.", nameof(indices));
        if (indices.Length == 1) return Cuda(indices[0]);
        ulong several = 0;
        foreach (int index in indices)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(index, nameof(indices));
            ArgumentOutOfRangeException.ThrowIfGreaterThan(index, MostDevices - 2, nameof(indices));
            if (((several >> index) & 1) != 0) throw new ArgumentException($"Expected each GPU once, found {index} twice.", nameof(indices));
            several |= 1UL << index;
        }
        return new Device(DeviceKind.Cuda, System.Numerics.BitOperations.TrailingZeroCount(several), several);
    }

    /// <summary>Parses "auto", "cpu", "cuda" (the first GPU), "cuda:N", "cuda:0,1" (several together) or "cuda:all", in any case.</summary>
    /// <param name="s">The text.</param>
    /// <param name="provider">Not used: the text is the same in every culture.</param>
    /// <exception cref="FormatException">The text names no device.</exception>
    public static Device Parse(string s, IFormatProvider? provider = null)
    {
        ArgumentNullException.ThrowIfNull(s);
        return TryParse(s, provider, out Device device)
            ? device
            : throw new FormatException($"\"{Quoted.Value(s)}\" names no device: expected {Texts}.");
    }

    /// <summary>Parses "auto", "cpu", "cuda" (the first GPU), "cuda:N", "cuda:0,1" (several together) or "cuda:all", in any case.</summary>
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
        if (s.Length == 4)
        {
            result = Cuda(0);
            return true;
        }
        return s[4] == ':' && TryParseIndices(s[5..], out result);
    }

    /// <summary>The text that <see cref="Parse"/> reads.</summary>
    public override string ToString() => Kind switch
    {
        DeviceKind.Cpu => "cpu",
        DeviceKind.Cuda when IsAll => "cuda:all",
        DeviceKind.Cuda when _several != 0 => "cuda:" + string.Join(',', Indices.Select(index => index.ToString(CultureInfo.InvariantCulture))),
        DeviceKind.Cuda => string.Create(CultureInfo.InvariantCulture, $"cuda:{Index}"),
        _ => "auto",
    };

    private static bool TryParseIndices(string text, out Device result)
    {
        result = Auto;
        if (text.Equals("all", StringComparison.OrdinalIgnoreCase))
        {
            result = AllCuda;
            return true;
        }
        string[] numbers = text.Split(',');
        int[] indices = new int[numbers.Length];
        for (int i = 0; i < numbers.Length; i++)
        {
            if (!int.TryParse(numbers[i], NumberStyles.None, CultureInfo.InvariantCulture, out indices[i])) return false;
        }
        if (indices.Length > 1 && (indices.Distinct().Count() < indices.Length || indices.Max() > MostDevices - 2)) return false;
        result = Cuda(indices.AsSpan());
        return true;
    }
}
