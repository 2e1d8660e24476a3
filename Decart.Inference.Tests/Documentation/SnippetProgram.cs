using System.Diagnostics;
using System.Text.RegularExpressions;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Emit;

namespace Decart.Inference.Tests.Documentation;

/// <summary>
/// A program made of the C# blocks of a section of a document, as a reader would type them one after another. Where they make no session, there is one of a
/// chat model, <c>session</c>.
/// </summary>
internal sealed partial record SnippetProgram(string Document, string Section, string Text)
{
    private const string ImplicitUsings =
        "global using System; global using System.Collections.Generic; global using System.IO; global using System.Linq; global using System.Net.Http; global using System.Threading; global using System.Threading.Tasks;";

    private const string Beginning = """
        using Decart.Inference;
        using Microsoft.Extensions.AI;
        await using LlmSession session = await LlmSession.LoadAsync("org/chat");

        """;

    private static readonly TimeSpan LongestRun = TimeSpan.FromMinutes(2);

    /// <summary>Files that the program reads, by name: blocks of JSON under a line with nothing but a name, <c>`appsettings.json`:</c>.</summary>
    public IReadOnlyDictionary<string, string> Files { get; private init; } = new Dictionary<string, string>();

    /// <summary>The models that the program loads by name.</summary>
    public IEnumerable<string> Models =>
        Files.Values.Append(Text).SelectMany(text => LoadedModel().Matches(text)).Select(match => match.Groups[1].Value).Distinct();

    /// <summary>The programs of a Markdown document, one for each section of the second level that has C# blocks.</summary>
    /// <param name="path">The document.</param>
    public static IEnumerable<SnippetProgram> Read(string path)
    {
        string document = Path.GetFileName(path);
        foreach (string section in SectionStart().Split(File.ReadAllText(path)))
        {
            string[] code = [.. Block().Matches(section).Where(block => block.Groups["language"].Value == "csharp").Select(block => block.Groups["text"].Value)];
            if (code.Length == 0) continue;
            yield return new(document, section.Split('\n')[0].Trim('#', ' '), Join(code))
            {
                Files = Block().Matches(section).Where(block => block.Groups["file"].Success).ToDictionary(block => block.Groups["file"].Value, block => block.Groups["text"].Value),
            };
        }
    }

    /// <summary>Compiles the program beside the library; errors and warnings fail the test.</summary>
    /// <returns>The program's file.</returns>
    public string Compile()
    {
        string file = Path.Combine(AppContext.BaseDirectory, $"Snippet-{Guid.NewGuid():n}.dll");
        CSharpParseOptions language = new(LanguageVersion.Latest);
        string[] platform = ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(Path.PathSeparator);
        CSharpCompilation compilation = CSharpCompilation.Create(
            Path.GetFileNameWithoutExtension(file),
            [CSharpSyntaxTree.ParseText(ImplicitUsings, language), CSharpSyntaxTree.ParseText(Text, language)],
            platform.Select(path => MetadataReference.CreateFromFile(path)),
            new CSharpCompilationOptions(OutputKind.ConsoleApplication, nullableContextOptions: NullableContextOptions.Enable));
        EmitResult result = compilation.Emit(file);
        Assert.That(result.Diagnostics.Where(d => d.Severity >= DiagnosticSeverity.Warning), Is.Empty, Text);
        return file;
    }

    /// <summary>Runs a compiled program to its end, which must be a good one.</summary>
    /// <param name="file">From <see cref="Compile"/>.</param>
    /// <param name="folder">Where it runs.</param>
    /// <returns>What it printed.</returns>
    public string Run(string file, string folder)
    {
        string tests = Path.Combine(AppContext.BaseDirectory, typeof(SnippetProgram).Assembly.GetName().Name!);
        ProcessStartInfo start = new(Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet")
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            ArgumentList = { "exec", "--runtimeconfig", tests + ".runtimeconfig.json", "--depsfile", tests + ".deps.json", file },
        };
        using Process process = Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync(), errors = process.StandardError.ReadToEndAsync();
        if (!process.WaitForExit(LongestRun))
        {
            process.Kill(entireProcessTree: true);
            Assert.Fail($"{this} does not end.");
        }
        Assert.That(process.ExitCode, Is.Zero, errors.Result);
        return output.Result;
    }

    /// <inheritdoc/>
    public override string ToString() => $"{Document}, {Section}";

    /// <summary>One program of many: usings first, types last.</summary>
    private static string Join(IEnumerable<string> blocks)
    {
        if (!blocks.Any(block => block.Contains("LlmSession.LoadAsync") || block.Contains("AddDecartInference"))) blocks = blocks.Prepend(Beginning);
        CompilationUnitSyntax[] units = [.. blocks.Select(block => SyntaxFactory.ParseCompilationUnit(block))];
        IEnumerable<string> usings = units.SelectMany(unit => unit.Usings).Select(directive => directive.ToString()).Distinct();
        IEnumerable<string> statements = units.SelectMany(unit => unit.Members).Where(member => member is GlobalStatementSyntax).Select(member => member.ToFullString());
        IEnumerable<string> types = units.SelectMany(unit => unit.Members).Where(member => member is not GlobalStatementSyntax).Select(member => member.ToFullString());
        return string.Join('\n', [.. usings, .. statements, .. types]);
    }

    [GeneratedRegex("(?:LoadAsync\\(|Model = |\"Model\": )\"([^\"]+)\"")]
    private static partial Regex LoadedModel();

    [GeneratedRegex("^(?=## )", RegexOptions.Multiline)]
    private static partial Regex SectionStart();

    [GeneratedRegex("""(?:^`(?<file>[\w.]+)`:\n\n)?^```(?<language>csharp|json)\n(?<text>.*?)^```""", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Block();
}
