using System.Text.Json;

namespace Decart.Inference.Tests.Chat;

/// <summary>Templates written as those of model families are, which render as Jinja2 renders them (Families/make_renderings.py) or refuse what these refuse.</summary>
internal sealed class FamilyStyleTests
{
    private static readonly string Folder = Path.Combine(Fixtures.RepositoryRoot()!, "Decart.Inference.Tests", "Chat", "Families");

    private static IEnumerable<TestCaseData> Cases()
    {
        using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(Folder, "renderings.json")));
        JsonElement conversations = document.RootElement.GetProperty("conversations");
        foreach (JsonProperty family in document.RootElement.GetProperty("renderings").EnumerateObject())
        {
            foreach (JsonProperty rendering in family.Value.EnumerateObject())
                yield return new TestCaseData(family.Name, conversations.GetProperty(rendering.Name).GetRawText(), rendering.Value.GetString()).SetArgDisplayNames(family.Name, rendering.Name);
        }
    }

    [TestCaseSource(nameof(Cases))]
    public void Conversations_are_written_as_Jinja2_writes_them(string family, string variables, string? expected)
    {
        string template = File.ReadAllText(Path.Combine(Folder, $"{family}.jinja"));
        if (expected is null) Assert.That(Jinja.Fails(template, variables).Message, Is.Not.Empty);
        else Assert.That(Jinja.Render(template, variables), Is.EqualTo(expected));
    }
}
