using Decart.Inference.Checkpoints;

namespace Decart.Inference.Tests.Checkpoints;

public class PrefetchTests
{
    private const int Elements = 10 << 20;

    private TemporaryFolder _folder = null!;

    [SetUp]
    public void CreateFolder()
    {
        _folder = new TemporaryFolder();
        _folder.Write("config.json", "{}");
        _folder.Write("model.safetensors", SafetensorsBytes.Vector("a", Elements));
    }

    [TearDown]
    public void DeleteFolder() => _folder.Dispose();

    [Test]
    public void Progress_rises_to_the_size_of_the_files()
    {
        using HuggingFaceFolder folder = HuggingFaceFolder.Open(_folder.Path);
        Reports reports = new();
        folder.Prefetch(reports, CancellationToken.None);
        Assert.That(reports.Values.Select(report => report.BytesLoaded), Is.Ordered.Ascending);
        Assert.That(reports.Values, Has.Count.GreaterThan(2));
        Assert.That(reports.Values, Has.All.Property(nameof(LoadProgress.BytesTotal)).EqualTo(folder.TotalBytes));
        Assert.That(reports.Values[^1].BytesLoaded, Is.EqualTo(folder.TotalBytes));
        Assert.That(reports.Values[^1].Fraction, Is.EqualTo(1));
    }

    [Test]
    public void Cancellation_ends_it_between_chunks()
    {
        using HuggingFaceFolder folder = HuggingFaceFolder.Open(_folder.Path);
        using CancellationTokenSource cancellation = new();
        Reports reports = new() { Reported = cancellation.Cancel };
        Assert.That(() => folder.Prefetch(reports, cancellation.Token), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(reports.Values, Has.Count.EqualTo(1));
    }

    [Test]
    public void A_fraction_stays_between_nothing_and_all()
    {
        Assert.That(new LoadProgress("", 1, 0).Fraction, Is.Zero);
        Assert.That(new LoadProgress("", 1, 4).Fraction, Is.EqualTo(0.25));
        Assert.That(new LoadProgress("", 5, 4).Fraction, Is.EqualTo(1));
    }

    private sealed class Reports : IProgress<LoadProgress>
    {
        public List<LoadProgress> Values { get; } = [];

        public Action? Reported { get; init; }

        public void Report(LoadProgress value)
        {
            Values.Add(value);
            Reported?.Invoke();
        }
    }
}
