using System.Globalization;
using System.Text.Json;

namespace Decart.Inference.Tests.Grammars;

/// <summary>
/// The official JSON-Schema-Test-Suite (github.com/json-schema-org/JSON-Schema-Test-Suite), which is not part of the repository: drafts 2020-12 and 7, required and optional cases.
/// Every schema is a grammar or refused with the place; what is refused and what is different is listed here, and nothing else may be.
/// </summary>
[Category("JsonSchemaSuite")]
internal sealed class SchemaSuiteTests
{
    private const string Variable = "JSON_SCHEMA_TEST_SUITE";

    /// <summary>Keywords that are refused at least somewhere.</summary>
    private static readonly string[] Refused =
        ["$ref", "$dynamicRef", "contains", "format", "multipleOf", "unevaluatedItems", "unevaluatedProperties", "uniqueItems"];

    /// <summary>Cases with another answer than the suite's: the file, a part of what the case says, and why.</summary>
    private static readonly (string File, string Case, string Reason)[] Differences =
    [
        ("draft2020-12/format.json", "only an annotation by default", "formats are asserted"),
        ("draft2020-12/vocabulary.json", "no validation: invalid number", "a schema has all keywords, whatever its $schema says"),
        ("optional/bignum.json", "bignum is a", "integers without a bound have 64 bits, numbers 20 digits"),
        ("optional/float-overflow.json", "valid if optional overflow handling is implemented", "integers without a bound have 64 bits"),
        ("optional/format/time.json", "valid leap second, positive time-offset", "leap seconds are written in UTC"),
        ("optional/format/time.json", "valid leap second, large positive time-offset", "leap seconds are written in UTC"),
        ("optional/format/time.json", "valid leap second, negative time-offset", "leap seconds are written in UTC"),
        ("optional/format/time.json", "valid leap second, large negative time-offset", "leap seconds are written in UTC"),
        ("optional/format/time.json", "case-insensitive Z", "T and Z are capitals"),
        ("optional/format/date-time.json", "leap second, with minus offset", "leap seconds are written in UTC"),
        ("optional/format/date-time.json", "case-insensitive T and Z", "T and Z are capitals"),
        ("optional/format/date-time.json", "a second fraction of fifteen nines", "fractions of a second have up to nine digits"),
        ("draft2020-12/optional/format/duration.json", "a component with many digits", "numbers of a duration have up to nine digits"),
        ("optional/format/email.json", "a quoted string with", "local parts are not quoted"),
        ("optional/format/email.json", "-address-literal after the @ is valid", "mail goes to host names"),
        ("optional/format/hostname.json", "validation of A-label (punycode) host names", "names in other scripts are left out"),
        ("optional/unknownKeyword.json", "$id inside an unknown keyword is not a real identifier", "$id counts wherever it stands"),
        ("draft7/optional/content.json", "invalid", "contents of strings are annotations"),
        ("draft7/ref.json", "ref valid, maxItems ignored", "what stands beside $ref holds, as from draft 2019-09 on"),
        ("draft7/ref.json", "$ref prevents a sibling $id from changing the base uri", "what stands beside $ref holds, as from draft 2019-09 on"),
    ];

    private readonly List<string> _wrong = [];
    private readonly HashSet<int> _different = [];
    private (int Files, int Schemas, int Cases, int RefusedSchemas, int RefusedCases, int DifferentCases) _count;

    [Test]
    public void Every_case_is_answered_as_the_suite_does_or_refused_with_its_place_or_listed_here()
    {
        string? suite = Environment.GetEnvironmentVariable(Variable);
        if (string.IsNullOrEmpty(suite)) Assert.Ignore($"The JSON-Schema-Test-Suite is absent: {Variable} names no folder with a copy of it.");
        foreach (string draft in (string[])["draft2020-12", "draft7"])
        {
            string folder = Path.Combine(suite, "tests", draft);
            foreach (string file in Directory.EnumerateFiles(folder, "*.json", SearchOption.AllDirectories).Order(StringComparer.Ordinal))
            {
                _count.Files++;
                using var groups = JsonDocument.Parse(File.ReadAllBytes(file));
                foreach (JsonElement group in groups.RootElement.EnumerateArray()) Try(Path.GetRelativePath(Path.Combine(suite, "tests"), file).Replace('\\', '/'), group);
            }
        }
        TestContext.Out.WriteLine(_count);
        Assert.That(_wrong, Is.Empty);
        Assert.That(Enumerable.Range(0, Differences.Length).Except(_different).Select(index => Differences[index]), Is.Empty, "differences that there are none of");
        Assert.That(_count.Cases, Is.GreaterThan(2500));
    }

    private void Try(string file, JsonElement group)
    {
        JsonElement schema = group.GetProperty("schema");
        JsonElement[] cases = [.. group.GetProperty("tests").EnumerateArray()];
        string name = $"{file}: {Text(group)}";
        _count.Schemas++;
        _count.Cases += cases.Length;
        Grammar? grammar = null;
        try
        {
            grammar = Grammar.JsonSchema(schema);
        }
        catch (GrammarException error) when (error.Path is { } path)
        {
            _count.RefusedSchemas++;
            _count.RefusedCases += cases.Length;
            if (!Has(schema, path) || !Refused.Contains(path[(path.LastIndexOf('/') + 1)..])) _wrong.Add($"{name} is refused: {error.Message}");
            return;
        }
        catch (GrammarException error)
        {
            Assert.That(error.Message, Does.StartWith("No text"), name); // no value matches: all cases are invalid
        }
        foreach (JsonElement @case in cases)
        {
            string value = GrammarJson.Write(@case.GetProperty("data")), full = $"{name}: {Text(@case)}";
            bool isValid = @case.GetProperty("valid").GetBoolean();
            if ((grammar?.IsMatch(value) ?? false) == isValid) continue;
            int known = Array.FindIndex(Differences, its => file.EndsWith(its.File, StringComparison.Ordinal) && full.Contains(its.Case, StringComparison.Ordinal));
            if (known < 0) _wrong.Add($"{full}: {value} {(isValid ? "matches" : "does not match")} {schema}");
            _different.Add(known);
            _count.DifferentCases++;
        }
    }

    private static string Text(JsonElement described) => described.GetProperty("description").GetString()!;

    private static bool Has(JsonElement schema, string pointer)
    {
        foreach (string step in pointer.Split('/').Skip(1))
        {
            string name = step.Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal);
            if (schema.ValueKind == JsonValueKind.Array) schema = schema[int.Parse(name, CultureInfo.InvariantCulture)];
            else if (!schema.TryGetProperty(name, out schema)) return false;
        }
        return true;
    }
}
