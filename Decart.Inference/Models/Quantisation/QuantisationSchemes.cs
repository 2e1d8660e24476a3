using System.Collections.Frozen;

namespace Decart.Inference.Models.Quantisation;

/// <summary>The schemes that are read: the one place that lists them.</summary>
internal static class QuantisationSchemes
{
    /// <summary>The schemes by <c>quant_method</c>.</summary>
    private static readonly FrozenDictionary<string, Func<JsonFields, IQuantisationScheme>> Methods =
        new Dictionary<string, Func<JsonFields, IQuantisationScheme>>
        {
            ["awq"] = AwqScheme.Read,
            ["bitsandbytes"] = BitsAndBytesScheme.Read,
            ["compressed-tensors"] = CompressedScheme.Read,
            ["fp8"] = Fp8Scheme.Read,
            ["gptq"] = GptqScheme.Read,
        }.ToFrozenDictionary();

    /// <summary>The scheme that the section <c>quantization_config</c> describes.</summary>
    /// <exception cref="ModelLoadException">The scheme is not supported, or a field is missing or wrong.</exception>
    public static IQuantisationScheme Read(JsonFields fields)
    {
        string expected = "one of " + string.Join(", ", Methods.Keys.Order(StringComparer.Ordinal));
        // Folders of bitsandbytes are older than the field.
        string method = fields.OptionalText("quant_method") ?? (fields.Flag("load_in_4bit", false) || fields.Flag("load_in_8bit", false) ? "bitsandbytes" : throw fields.Missing("quant_method", expected));
        return Methods.TryGetValue(method, out Func<JsonFields, IQuantisationScheme>? read) ? read(fields) : throw fields.Wrong("quant_method", expected, method);
    }
}
