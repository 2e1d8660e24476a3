using System.Globalization;
using System.Reflection;
using System.Security.Cryptography;
using System.Text;
using Decart.Inference.Checkpoints;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu.Compilation;

/// <summary>
/// Kernels in PTX in a folder, one file each: a SHA-256 hash of the text, then the text. Any number of processes may use one folder. A cache that
/// cannot be read or written, or whose files are damaged, is as good as an empty one.
/// </summary>
internal sealed class KernelCache(string folder)
{
    private const long MostBytes = 1 << 26;

    /// <summary>A folder of the user's for all programs.</summary>
    public static KernelCache Default { get; } = new(Path.Combine(
        Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify), "Decart.Inference", "kernels"));

    /// <summary>What a kernel's code depends on: all IL that it may call, the compilers, the GPU.</summary>
    /// <param name="kernel">The kernel.</param>
    /// <param name="architecture">Compute capability times ten.</param>
    /// <param name="driverVersion">As the driver reports it.</param>
    public static string Key(GpuKernel kernel, int architecture, int driverVersion)
    {
        // Builds are deterministic: the same sources have the same identifier.
        Guid code = Version(kernel.Method.Module), library = Version(typeof(KernelCache).Module), compiler = Version(typeof(Context).Module);
        string name = $"{kernel.Method.DeclaringType!.FullName} {kernel.Name} {kernel.GroupSize}";
        string text = string.Create(CultureInfo.InvariantCulture, $"{code} {library} {compiler} {name} {architecture} {driverVersion}");
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));
    }

    /// <summary>The code that was stored under a key, or null.</summary>
    public byte[]? Find(string key)
    {
        try
        {
            byte[] file = CheckpointFile.ReadAllBytes(FileOf(key), MostBytes);
            if (file.Length <= SHA256.HashSizeInBytes) return null;
            byte[] code = file[SHA256.HashSizeInBytes..];
            return SHA256.HashData(code).AsSpan().SequenceEqual(file.AsSpan(0, SHA256.HashSizeInBytes)) ? code : null;
        }
        catch (ModelLoadException)
        {
            return null;
        }
    }

    public void Store(string key, ReadOnlySpan<byte> code)
    {
        string temporary = Path.Combine(folder, $"{Guid.NewGuid():N}.tmp");
        try
        {
            Directory.CreateDirectory(folder);
            File.WriteAllBytes(temporary, [.. SHA256.HashData(code), .. code]);
            // Whole or not at all for those who read meanwhile.
            File.Move(temporary, FileOf(key), overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The next start compiles again.
            Delete(temporary);
        }
    }

    private static void Delete(string temporary)
    {
        try
        {
            File.Delete(temporary);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // It is no worse than a cache that cannot be written.
        }
    }

    private static Guid Version(Module module) => module.ModuleVersionId;

    private string FileOf(string key) => Path.Combine(folder, key + ".ptx");
}
