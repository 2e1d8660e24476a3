using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;

namespace Decart.Inference.Checkpoints;

/// <summary>The type of a metadata value of a GGUF file. The numbers are those of the format.</summary>
[SuppressMessage("Naming", "CA1720:Identifier contains type name", Justification = "The names are those of the format's types.")]
[JsonConverter(typeof(JsonStringEnumConverter<GgufValueKind>))]
public enum GgufValueKind
{
    /// <summary>Unsigned 8-bit integer.</summary>
    UInt8 = 0,
    /// <summary>Signed 8-bit integer.</summary>
    Int8 = 1,
    /// <summary>Unsigned 16-bit integer.</summary>
    UInt16 = 2,
    /// <summary>Signed 16-bit integer.</summary>
    Int16 = 3,
    /// <summary>Unsigned 32-bit integer.</summary>
    UInt32 = 4,
    /// <summary>Signed 32-bit integer.</summary>
    Int32 = 5,
    /// <summary>IEEE 754 binary32.</summary>
    Single = 6,
    /// <summary>A Boolean.</summary>
    Boolean = 7,
    /// <summary>A string, meant to be UTF-8.</summary>
    String = 8,
    /// <summary>An array of values of one kind.</summary>
    Array = 9,
    /// <summary>Unsigned 64-bit integer.</summary>
    UInt64 = 10,
    /// <summary>Signed 64-bit integer.</summary>
    Int64 = 11,
    /// <summary>IEEE 754 binary64.</summary>
    Double = 12,
}

/// <summary>The sizes of values.</summary>
internal static class GgufValueKinds
{
    /// <summary>Bytes of one value, or 0 if values of the kind differ in length.</summary>
    public static int Size(this GgufValueKind kind) => kind switch
    {
        GgufValueKind.UInt8 or GgufValueKind.Int8 or GgufValueKind.Boolean => 1,
        GgufValueKind.UInt16 or GgufValueKind.Int16 => 2,
        GgufValueKind.UInt32 or GgufValueKind.Int32 or GgufValueKind.Single => 4,
        GgufValueKind.UInt64 or GgufValueKind.Int64 or GgufValueKind.Double => 8,
        _ => 0,
    };
}
