using System.Globalization;
using System.Numerics;
using System.Text;
using System.Text.Json;

namespace Decart.Inference.Tests.Grammars;

/// <summary>Writes JSON as grammars do: numbers without an exponent and without zeros at the end, characters as they are unless JSON demands an escape.</summary>
internal static class GrammarJson
{
    public static string Write(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Array => $"[{string.Join(',', value.EnumerateArray().Select(Write))}]",
        JsonValueKind.Object => $"{{{string.Join(',', value.EnumerateObject().Select(member => $"{Quote(member.Name)}:{Write(member.Value)}"))}}}",
        JsonValueKind.String => Quote(value.GetString()!),
        JsonValueKind.Number => Number(value.GetRawText()),
        _ => value.GetRawText(),
    };

    private static string Quote(string text)
    {
        StringBuilder written = new("\"");
        foreach (char character in text)
        {
            written.Append(character switch
            {
                '"' => "\\\"",
                '\\' => "\\\\",
                '\b' => "\\b",
                '\f' => "\\f",
                '\n' => "\\n",
                '\r' => "\\r",
                '\t' => "\\t",
                < ' ' => $"\\u{(int)character:x4}",
                _ => character.ToString(),
            });
        }
        return written.Append('"').ToString();
    }

    private static string Number(string text)
    {
        string[] parts = text.Split('e', 'E');
        int point = parts[0].IndexOf('.', StringComparison.Ordinal);
        int scale = (point < 0 ? 0 : parts[0].Length - point - 1) - (parts.Length > 1 ? int.Parse(parts[1], CultureInfo.InvariantCulture) : 0);
        BigInteger digits = BigInteger.Parse(parts[0].Replace(".", "", StringComparison.Ordinal), CultureInfo.InvariantCulture);
        for (; scale > 0 && (digits % 10).IsZero; scale--) digits /= 10;
        if (scale <= 0) return (digits * BigInteger.Pow(10, -scale)).ToString(CultureInfo.InvariantCulture);
        string all = BigInteger.Abs(digits).ToString(CultureInfo.InvariantCulture).PadLeft(scale + 1, '0');
        return $"{(digits.Sign < 0 ? "-" : "")}{all[..^scale]}.{all[^scale..]}";
    }
}
