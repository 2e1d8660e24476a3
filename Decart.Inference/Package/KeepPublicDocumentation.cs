using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using Microsoft.Build.Framework;
using Microsoft.Build.Utilities;

/// <summary>Takes out of a documentation file what the lists of the public API do not name: the compiler documents internal members too.</summary>
public sealed class KeepPublicDocumentation : Task
{
    /// <summary>The documentation file, which is rewritten.</summary>
    [Required]
    public string Documentation { get; set; } = "";

    /// <summary>The lists.</summary>
    [Required]
    public ITaskItem[] PublicApi { get; set; } = [];

    public override bool Execute()
    {
        var published = new HashSet<string>(PublicApi.SelectMany(list => File.ReadLines(list.ItemSpec)).Where(line => !line.StartsWith("#")).Select(KeyOfLine));
        XDocument document = XDocument.Load(Documentation, LoadOptions.PreserveWhitespace);
        foreach (XElement member in document.Descendants("member").ToList())
        {
            if (published.Contains(KeyOfIdentifier((string)member.Attribute("name")!))) continue;
            if (member.PreviousNode is XText space) space.Remove();
            member.Remove();
        }
        document.Save(Documentation, SaveOptions.DisableFormatting);
        return true;
    }

    /// <summary>"static Type.Member(int a, int b = 0) -> void" as "Type.Member/2".</summary>
    private static string KeyOfLine(string line)
    {
        string text = Regex.Replace(line, @"^((static|override|virtual|abstract|const|readonly) |~)+", "");
        text = Regex.Replace(text, @"\.implicit operator [^(]*", ".op_Implicit");
        text = Regex.Replace(text, @"\.this\[[^\]]*\]", ".Item");
        string name = Regex.Match(text, @"^[^( ]*").Value;
        return text.Length > name.Length && text[name.Length] == '('
            ? WithCount(name, text.Substring(name.Length + 1, text.IndexOf(") ->", System.StringComparison.Ordinal) - name.Length - 1))
            : Regex.Replace(name, @"\.(get|init|set)$", "");
    }

    /// <summary>"M:Type.Member(System.Int32,System.Int32)" as "Type.Member/2".</summary>
    private static string KeyOfIdentifier(string identifier)
    {
        string text = identifier.Substring(2);
        Match parts = Regex.Match(text, @"^([^(~]*)(\((.*)\))?");
        if (identifier[0] != 'M') return parts.Groups[1].Value;
        string name = Regex.Replace(parts.Groups[1].Value, @"([^.]+)\.#ctor$", "$1.$1");
        return WithCount(name, parts.Groups[3].Value);
    }

    private static string WithCount(string name, string parameters)
    {
        string flat = parameters;
        for (string before = ""; before != flat;) (before, flat) = (flat, Regex.Replace(flat, @"<[^<>]*>|\{[^{}]*\}|\[[^\[\]]*\]|\([^()]*\)", ""));
        return name + "/" + (parameters.Length == 0 ? 0 : flat.Split(',').Length);
    }
}
