using System.Text.Json;
using Decart.Inference.Chat;
using Decart.Inference.Chat.Jinja;

namespace Decart.Inference.Tests.Chat;

/// <summary>Renders templates with variables given as JSON, at a fixed time.</summary>
internal static class Jinja
{
    public static TimeProvider Clock { get; } = new FixedClock();

    public static string Render(string template, string variables = "{}") => RenderMarked(template, variables).Text;

    public static StringValue RenderMarked(string template, string variables = "{}")
    {
        using JsonDocument document = JsonDocument.Parse(variables);
        Dictionary<string, Value> values = document.RootElement.EnumerateObject().ToDictionary(member => member.Name, member => DataValues.From(member.Value));
        return new Template(template).Render(values, RenderBudget.For(values.Count, variables.Length), Clock);
    }

    /// <summary>The exception that a template ends in.</summary>
    public static ChatTemplateException Fails(string template, string variables = "{}") => Assert.Throws<ChatTemplateException>(() => Render(template, variables))!;

    /// <summary>The text with what comes from data in square brackets.</summary>
    public static string Marked(StringValue value)
    {
        string text = value.Text;
        for (int i = value.Data.Count - 1; i >= 0; i--) text = text.Insert(value.Data[i].End, "]").Insert(value.Data[i].Start, "[");
        return text;
    }

    private sealed class FixedClock : TimeProvider
    {
        public override TimeZoneInfo LocalTimeZone => TimeZoneInfo.Utc;

        public override DateTimeOffset GetUtcNow() => new(2024, 7, 26, 15, 4, 5, TimeSpan.Zero);
    }
}
