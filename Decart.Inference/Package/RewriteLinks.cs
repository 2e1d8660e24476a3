using System.IO;
using System.Text.RegularExpressions;
using Microsoft.Build.Framework;
using Microsoft.Build.Utilities;

/// <summary>Copies a Markdown file for readers outside the repository: its relative links lead into the repository, or become plain text if none is known.</summary>
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
        string root = Regex.Replace(Repository, @"(\.git)?/?$", "") + "/blob/" + Revision + "/";
        string text = Regex.Replace(
            File.ReadAllText(Source),
            @"\[([^\]]+)\]\((?!https?:|#)([^)]+)\)",
            link => Repository.StartsWith("http") ? $"[{link.Groups[1].Value}]({root}{link.Groups[2].Value})" : link.Groups[1].Value);
        File.WriteAllText(Destination, text);
        return true;
    }
}
