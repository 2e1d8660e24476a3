using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Kernels.Gpu.Compilation;
using Decart.Inference.Tests.Checkpoints;

namespace Decart.Inference.Tests.Kernels.Gpu;

internal sealed class KernelCacheTests
{
    private static readonly byte[] Code = [.. Enumerable.Range(0, 1000).Select(i => (byte)i)];

    [Test]
    public void What_was_stored_is_found_under_its_key_alone()
    {
        using TemporaryFolder folder = new();
        KernelCache cache = new(Path.Combine(folder.Path, "not", "there"));
        Assert.That(cache.Find("a"), Is.Null);
        cache.Store("a", [1]);
        cache.Store("a", Code);
        Assert.That(cache.Find("a"), Is.EqualTo(Code));
        Assert.That(cache.Find("b"), Is.Null);
    }

    [TestCase(0)]
    [TestCase(31)]
    [TestCase(32)]
    [TestCase(500)]
    public void A_damaged_file_is_not_found(int length)
    {
        using TemporaryFolder folder = new();
        KernelCache cache = new(folder.Path);
        cache.Store("a", Code);
        string file = Directory.GetFiles(folder.Path).Single();
        File.WriteAllBytes(file, File.ReadAllBytes(file)[..length]);
        Assert.That(cache.Find("a"), Is.Null);
    }

    [Test]
    public void A_folder_that_cannot_be_written_is_an_empty_cache()
    {
        using TemporaryFolder folder = new();
        string file = Path.Combine(folder.Path, "file");
        File.WriteAllText(file, "no folder");
        KernelCache cache = new(file);
        Assert.That(() => cache.Store("a", Code), Throws.Nothing);
        Assert.That(cache.Find("a"), Is.Null);
    }

    [Test]
    public void Kernels_architectures_and_drivers_have_keys_of_their_own()
    {
        string[] keys =
        [
            .. GpuKernels.All.Select(kernel => KernelCache.Key(kernel, 90, 13000)),
            KernelCache.Key(GpuMatMul.Kernel, 80, 13000), KernelCache.Key(GpuMatMul.Kernel, 90, 12000),
        ];
        Assert.That(keys, Is.Unique);
        Assert.That(KernelCache.Key(GpuMatMul.Kernel, 90, 13000), Is.EqualTo(keys[GpuKernels.All.ToList().IndexOf(GpuMatMul.Kernel)]));
    }
}
