namespace Decart.Inference.Tests;

/// <summary>Finds the shared checkpoints with reference answers: <c>../shared/fixtures</c> from the repository's root, or the folder in DECART_FIXTURES.</summary>
internal static class Fixtures
{
    public const string Absent = "The shared fixtures are absent: neither ../shared/fixtures beside the repository nor DECART_FIXTURES names them.";

    public static string? Folder { get; } = Find();

    /// <summary>The path of a fixture; without the fixtures the calling test is skipped and says why.</summary>
    public static string Path(params ReadOnlySpan<string> parts)
    {
        if (Folder is null) Assert.Ignore(Absent);
        return System.IO.Path.Combine([Folder!, .. parts]);
    }

    /// <summary>The path of an input made after a report from the field: <c>../shared/field</c> beside the fixtures; skipped like <see cref="Path"/>.</summary>
    public static string Field(params ReadOnlySpan<string> parts)
    {
        string? folder = Folder is null ? null : System.IO.Path.Combine(Folder, "..", "field");
        if (!Directory.Exists(folder)) Assert.Ignore("The inputs from the field are absent: there is no folder \"field\" beside the shared fixtures.");
        return System.IO.Path.GetFullPath(System.IO.Path.Combine([folder!, .. parts]));
    }

    /// <summary>The repository's root: the nearest folder upwards that holds Decart.sln, or null when the tests run elsewhere.</summary>
    public static string? RepositoryRoot()
    {
        DirectoryInfo? folder = new(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(System.IO.Path.Combine(folder.FullName, "Decart.sln"))) folder = folder.Parent;
        return folder?.FullName;
    }

    private static string? Find()
    {
        if (Environment.GetEnvironmentVariable("DECART_FIXTURES") is { Length: > 0 } named) return Directory.Exists(named) ? named : null;
        string? beside = RepositoryRoot() is { } root ? System.IO.Path.GetFullPath(System.IO.Path.Combine(root, "..", "shared", "fixtures")) : null;
        return Directory.Exists(beside) ? beside : null;
    }
}
