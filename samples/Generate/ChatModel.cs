using System.Text.Json;
using Decart.Inference.Checkpoints;

namespace Generate;

/// <summary>Tells chat models from those that continue texts: they come with a template for the turns of a conversation.</summary>
internal static class ChatModel
{
    public static bool HasTemplate(string model) => File.Exists(model) ? HasTemplateInside(model) : HasTemplateBeside(model);

    private static bool HasTemplateInside(string file)
    {
        if (!file.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase)) return HasTemplateBeside(Path.GetDirectoryName(Path.GetFullPath(file))!);
        using GgufFile gguf = GgufFile.Open(file);
        return gguf.Metadata.ContainsKey("tokenizer.chat_template");
    }

    private static bool HasTemplateBeside(string folder)
    {
        // A folder may also stand for the one GGUF file in it, or for a model in the cache.
        if (Directory.GetFiles(folder, "*.gguf") is [var file]) return HasTemplateInside(file);
        string snapshots = Path.Combine(folder, "snapshots");
        if (Directory.Exists(snapshots)) return Directory.GetDirectories(snapshots).Any(HasTemplateBeside);
        if (File.Exists(Path.Combine(folder, "chat_template.jinja")) || File.Exists(Path.Combine(folder, "chat_template.json"))) return true;
        string settings = Path.Combine(folder, "tokenizer_config.json");
        if (!File.Exists(settings)) return false;
        using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(settings));
        return document.RootElement.TryGetProperty("chat_template", out JsonElement template) && template.ValueKind != JsonValueKind.Null;
    }
}
