using Decart.Inference.Grammars.Json;
using Decart.Inference.Grammars.Languages;
using Decart.Inference.Grammars.Patterns;

namespace Decart.Inference.Grammars.Schemas;

/// <summary>The formats that strings can be asked to have.</summary>
internal static class StringFormats
{
    private const string Day28 = "(0[1-9]|1[0-9]|2[0-8])";

    /// <summary>Years that are leap years, but for centuries that 400 does not divide.</summary>
    private const string LeapYear = "([0-9]{2}(0[48]|[2468][048]|[13579][26])|(0[048]|[2468][048]|[13579][26])00|0000)";

    private const string Date =
        $"([0-9]{{4}}-((0[1-9]|1[0-2])-{Day28}|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31)|{LeapYear}-02-29)";

    private const string Time =
        "(([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])|23:59:60(\\.[0-9]{1,9})?(Z|\\+00:00))";

    private const string Duration =
        "P((([0-9]{1,9}Y([0-9]{1,9}M([0-9]{1,9}D)?)?|[0-9]{1,9}M([0-9]{1,9}D)?|[0-9]{1,9}D)(T" + DurationTime + ")?)|T" + DurationTime + "|[0-9]{1,9}W)";

    private const string DurationTime = "([0-9]{1,9}H([0-9]{1,9}M([0-9]{1,9}S)?)?|[0-9]{1,9}M([0-9]{1,9}S)?|[0-9]{1,9}S)";

    private const string Uuid = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}";

    private const string Label = "[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?";

    private const string Octet = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";

    private const string Ipv4 = $"{Octet}(\\.{Octet}){{3}}";

    private const string Group16 = "[0-9a-fA-F]{1,4}", Last32 = $"({Group16}:{Group16}|{Ipv4})";

    private const string Ipv6 =
        $"(({Group16}:){{6}}{Last32}|::({Group16}:){{5}}{Last32}|({Group16})?::({Group16}:){{4}}{Last32}|(({Group16}:){{0,1}}{Group16})?::({Group16}:){{3}}{Last32}"
        + $"|(({Group16}:){{0,2}}{Group16})?::({Group16}:){{2}}{Last32}|(({Group16}:){{0,3}}{Group16})?::{Group16}:{Last32}|(({Group16}:){{0,4}}{Group16})?::{Last32}"
        + $"|(({Group16}:){{0,5}}{Group16})?::{Group16}|(({Group16}:){{0,6}}{Group16})?::)";

    private const string AtomText = "[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]+";

    private const string PathCharacter = "([a-zA-Z0-9._~!$&'()*+,;=:@-]|%[0-9a-fA-F]{2})";

    private const string Authority =
        $"(([a-zA-Z0-9._~!$&'()*+,;=:-]|%[0-9a-fA-F]{{2}})*@)?(\\[{Ipv6}\\]|([a-zA-Z0-9._~!$&'()*+,;=-]|%[0-9a-fA-F]{{2}})*)(:[0-9]{{0,5}})?";

    private const string QueryAndFragment = $"(\\?({PathCharacter}|[/?])*)?(#({PathCharacter}|[/?])*)?";

    private const string Hierarchy = $"(//{Authority}(/{PathCharacter}*)*|/({PathCharacter}+(/{PathCharacter}*)*)?|{PathCharacter}+(/{PathCharacter}*)*)?";

    /// <remarks>A scheme of one letter is taken for a drive by some.</remarks>
    private const string Uri = $"[a-zA-Z][a-zA-Z0-9+.-]+:{Hierarchy}{QueryAndFragment}";

    private const string RelativeReference =
        $"(//{Authority}(/{PathCharacter}*)*|/({PathCharacter}+(/{PathCharacter}*)*)?|([a-zA-Z0-9._~!$&'()*+,;=@-]|%[0-9a-fA-F]{{2}})+(/{PathCharacter}*)*)?{QueryAndFragment}";

    private const string JsonPointer = "(/([^~/]|~[01])*)*";

    private const string LocalPart = $"{AtomText}(\\.{AtomText})*";

    private const string Base64 = "([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", Base64Url = "([A-Za-z0-9_-]{4})*([A-Za-z0-9_-]{2}(==)?|[A-Za-z0-9_-]{3}=?)?";

    /// <summary>Formats of the standard that are not supported. Others are names that it does not know: they say nothing.</summary>
    private static readonly HashSet<string> Unsupported = ["regex", "idn-email", "idn-hostname", "iri", "iri-reference", "uri-template"];

    /// <summary>The strings of a format, each character written as <see cref="JsonSyntax.Character"/> says; null for a format that is not supported.</summary>
    public static Language? Find(string format, JsonSyntax json, LanguageTable table)
    {
        if (Unsupported.Contains(format)) return null;

        Language Of(string pattern) => new PatternLanguage(table, json.Character, json.PlainCharacter).Whole(PatternParser.Parse(pattern));
        Language Limited(Language language, int length) => table.Intersect(language, table.Repeat(json.PlainCharacter, 1, length));

        return format switch
        {
            "date" => Of(Date),
            "time" => Of(Time),
            "date-time" => Of($"{Date}T{Time}"),
            "duration" => Of(Duration),
            "uuid" => Of(Uuid),
            ['u', 'u', 'i', 'd', >= '1' and <= '8' and var version] => Of(UuidOf(version)),
            "email" => table.Concatenate(Limited(Of(LocalPart), 64), table.Literal("@"u8), Limited(MailHost(), 253)),
            "hostname" => Limited(Hostname(), 253),
            "ipv4" => Of(Ipv4),
            "ipv6" => Of(Ipv6),
            "ipvanyaddress" => table.Union(Of(Ipv4), Of(Ipv6)),
            "uri" => Of(Uri),
            "uri-reference" => table.Union(Of(Uri), Of(RelativeReference)),
            "json-pointer" => Of(JsonPointer),
            "relative-json-pointer" => Of($"(0|[1-9][0-9]{{0,9}})(#|{JsonPointer})"),
            "base64" or "byte" => Of(Base64),
            "base64url" => Of(Base64Url),
            _ => table.Repeat(json.PlainCharacter, 0),
        };

        static string UuidOf(char version) => $"[0-9a-fA-F]{{8}}-[0-9a-fA-F]{{4}}-{version}[0-9a-fA-F]{{3}}-[89abAB][0-9a-fA-F]{{3}}-[0-9a-fA-F]{{12}}";

        // Validators differ about names without a point, and about those that look like an address.
        Language MailHost() => table.Concatenate(Hostname(), Of("\\.[a-zA-Z]{2,63}"));

        // Names in other scripts have two hyphens at the third and fourth place of a label, and rules of their own.
        Language Hostname()
        {
            Language label = table.Intersect(Of(Label), table.Complement(Of("..--.*")));
            return table.Concatenate(label, table.Repeat(table.Concatenate(table.Literal("."u8), label), 0));
        }
    }
}
