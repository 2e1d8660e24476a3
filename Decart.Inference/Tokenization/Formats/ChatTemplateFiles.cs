using System.Text;
using System.Text.Json;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Tokenization;

/// <summary>
/// The chat templates of a folder, as transformers finds them: <c>chat_template.jinja</c> and the files in <c>additional_chat_templates</c>, else
/// <c>chat_template.json</c>, else the field of <c>tokenizer_config.json</c>, which holds one or a list with names.
/// </summary>
/// <param name="Origin">Where they stand, for people; null where there are none.</param>
/// <param name="Templates">The templates by their names; one alone is named default.</param>
internal sealed record ChatTemplateFiles(string? Origin, IReadOnlyDictionary<string, string> Templates)
{
    public const string DefaultName = "default";

    private const string Field = "chat_template";

    private static readonly string[] FurtherFolders = ["additional_chat_templates", "chat_templates"];

    /// <summary>All templates, one after the other.</summary>
    public string? Text => Templates.Count == 0 ? null : string.Join('\n', Templates.Values);

    public static ChatTemplateFiles Read(string folder, JsonField? settings)
    {
        Dictionary<string, string> files = ReadFiles(folder);
        if (files.Count > 0) return new ChatTemplateFiles(folder, files);
        string processor = Path.Combine(folder, "chat_template.json");
        JsonField? field = (CheckpointFile.Exists(processor) ? JsonField.Read(processor).Optional(Field) : null) ?? settings?.Optional(Field);
        return field is { } found ? new ChatTemplateFiles(found.Location, ReadField(found)) : new ChatTemplateFiles(null, files);
    }

    private static Dictionary<string, string> ReadFiles(string folder)
    {
        Dictionary<string, string> templates = [];
        string file = Path.Combine(folder, "chat_template.jinja");
        if (CheckpointFile.Exists(file)) templates[DefaultName] = ReadFile(file);
        foreach (string further in FurtherFolders.Select(name => Path.Combine(folder, name)).Where(Directory.Exists))
        {
            foreach (string named in Directory.GetFiles(further, "*.jinja").Order(StringComparer.Ordinal)) templates[Path.GetFileNameWithoutExtension(named)] = ReadFile(named);
        }
        return templates;
    }

    private static Dictionary<string, string> ReadField(JsonField field)
    {
        if (field.Kind == JsonValueKind.Object) return field.Members().ToDictionary(member => member.Name, member => member.Value.Text());
        if (field.Kind != JsonValueKind.Array) return new() { [DefaultName] = field.Text() };
        Dictionary<string, string> templates = [];
        foreach (JsonField item in field.Items()) templates[item.TextOrNull("name") ?? DefaultName] = item.Text("template");
        return templates;
    }

    private static string ReadFile(string file) => Encoding.UTF8.GetString(CheckpointFile.ReadAllBytes(file, JsonFile.DefaultMaxBytes)).TrimStart('\uFEFF');
}
