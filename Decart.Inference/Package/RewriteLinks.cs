using System.IO;
using System.Text.RegularExpressions;
using Microsoft.Build.Framework;
using Microsoft.Build.Utilities;

/// <summary>Copies a Markdown file for readers outside the repository: its relative links and pictures lead into the repository, or become plain text if none is known.</summary>
public sealed class RewriteLinks : Task
{
    [Required]
    public string Source { get; set; } = "";

    [Required]
    public string Destination { get; set; } = "";

    /// <summary>The repository's address; empty without a remote.</summary>
    public string Repository { get; set; } = "";

    public string Revision { get; set; } = "";

    public override bool Execute()
    {
        string root = Regex.Replace(Repository, @"(\.git)?/?$", "");
        string text = Regex.Replace(
            File.ReadAllText(Source),
            @"(?<image>!?)\[(?<text>[^\]]+)\]\((?!https?:|#)(?<path>[^)]+)\)",
            link => Repository.StartsWith("http") ? $"{link.Groups["image"]}[{link.Groups["text"]}]({root}/{Kind(link)}/{Revision}/{link.Groups["path"]})" : link.Groups["text"].Value);
        File.WriteAllText(Destination, text);
        return true;
    }

    private static string Kind(Match link) => link.Groups["image"].Length > 0 ? "raw" : "blob";
}
