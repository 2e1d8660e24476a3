using System.Diagnostics;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Tests.Checkpoints;

/// <summary>A named pipe in a checkpoint's place is refused: to open it would wait for a writer.</summary>
[Platform(Include = "Linux,MacOsX")]
public class NamedPipeTests
{
    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(10);

    [Test]
    public void A_model_file_that_is_a_pipe_is_refused() => CheckRefused("model.safetensors", path => SafetensorsFile.Open(path).Dispose());

    [Test]
    public void A_configuration_that_is_a_pipe_is_refused() => CheckRefused("config.json", path => JsonFile.ReadObject(path));

    private static void CheckRefused(string name, Action<string> open)
    {
        using TemporaryFolder folder = new();
        string path = Path.Combine(folder.Path, name);
        using Process process = Process.Start("mkfifo", path);
        process.WaitForExit();
        Task opening = Task.Run(() => open(path));
        Assert.That(() => opening.WaitAsync(LongestWait), Throws.TypeOf<ModelLoadException>().With.Property("File").EqualTo(path));
    }
}
