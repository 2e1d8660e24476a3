namespace Decart.Inference.Tests.Documentation;

/// <summary>What the documents show is compiled and run as it stands, on the storyteller under the names that they load.</summary>
[Parallelizable(ParallelScope.All)]
public class SnippetTests
{
    private const string Storyteller = "storyteller";

    /// <summary>With functions in the format of Hermes.</summary>
    private const string ChatTemplate = """
        {%- if tools %}<tools>{{ tools | tojson }}</tools>, answer with <tool_call>{"name": ..., "arguments": ...}</tool_call>{% endif -%}
        {%- for message in messages %}{{ message.role }}: {{ message.content or (message.tool_calls | tojson) }}
        {% endfor -%}
        {%- if add_generation_prompt %}assistant: {% endif -%}
        """;

    private static IEnumerable<TestCaseData> Programs =>
        from document in Documents
        from program in SnippetProgram.Read(document)
        select new TestCaseData(program).SetArgDisplayNames(program.ToString());

    private static IEnumerable<string> Documents =>
        Fixtures.RepositoryRoot() is { } root ? [Path.Combine(root, "README.md"), .. Directory.EnumerateFiles(Path.Combine(root, "docs"), "*.md").Order()] : [];

    [TestCaseSource(nameof(Programs))]
    public void A_documents_code_runs_as_it_stands(object program)
    {
        SnippetProgram snippet = (SnippetProgram)program;
        DirectoryInfo folder = Directory.CreateTempSubdirectory("snippet");
        string file = snippet.Compile();
        try
        {
            foreach (string model in snippet.Models) CreateModel(Path.Combine(folder.FullName, model), isChat: model != Storyteller);
            foreach ((string name, string text) in snippet.Files) File.WriteAllText(Path.Combine(folder.FullName, name), text);
            Assert.That(snippet.Run(file, folder.FullName), Is.Not.Empty, "it prints what it made");
        }
        finally
        {
            File.Delete(file);
            folder.Delete(recursive: true);
        }
    }

    private static void CreateModel(string folder, bool isChat)
    {
        Directory.CreateDirectory(folder);
        foreach (string file in Directory.EnumerateFiles(Path.Combine(Fixtures.RepositoryRoot()!, "samples", "models", Storyteller)))
            File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
        if (isChat) File.WriteAllText(Path.Combine(folder, "chat_template.jinja"), ChatTemplate);
    }
}
