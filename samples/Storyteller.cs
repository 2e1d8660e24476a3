namespace Samples;

/// <summary>The small model that comes with the samples.</summary>
internal static class Storyteller
{
    /// <summary>Its folder: beside the program, or in the repository that the program was built in; null when it is in neither.</summary>
    public static string? Find()
    {
        string beside = Path.Combine(AppContext.BaseDirectory, "models", "storyteller");
        if (Directory.Exists(beside)) return beside;
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            string inRepository = Path.Combine(folder.FullName, "samples", "models", "storyteller");
            if (Directory.Exists(inRepository)) return inRepository;
        }
        return null;
    }
}
