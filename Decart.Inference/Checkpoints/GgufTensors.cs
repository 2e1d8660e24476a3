using System.Globalization;

namespace Decart.Inference.Checkpoints;

/// <summary>The tensors of a GGUF model, in one file or split over several (<c>NAME-00001-of-00003.gguf</c>). Owns the files.</summary>
internal sealed class GgufTensors : TensorSource
{
    private const string PartCountKey = "split.count";
    private const string PartNumberKey = "split.no";

    private readonly Dictionary<string, TensorTable> _tensors;
    private readonly MappedFile[] _files;

    private GgufTensors(GgufFile first, List<GgufFile> parts, Dictionary<string, TensorTable> tensors)
    {
        File = first;
        _tensors = tensors;
        _files = [.. parts.Select(part => part.Table.File)];
    }

    /// <summary>The file, of a split model the first part, which has the model's metadata.</summary>
    public GgufFile File { get; }

    public override string Path => File.Path;

    public override IReadOnlyCollection<string> Names => _tensors.Keys;

    protected override IReadOnlyList<MappedFile> Files => _files;

    /// <param name="path">The file; of a split model, its first part. The others lie beside it.</param>
    /// <param name="cancellationToken">Checked between two files.</param>
    /// <exception cref="ModelLoadException">The file or one of its parts is missing or damaged.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static GgufTensors Open(string path, CancellationToken cancellationToken = default)
    {
        List<GgufFile> parts = [GgufFile.Open(path)];
        try
        {
            foreach (string other in OtherParts(parts[0]))
            {
                cancellationToken.ThrowIfCancellationRequested();
                parts.Add(GgufFile.Open(other));
            }
            Dictionary<string, TensorTable> tensors = new(StringComparer.Ordinal);
            foreach (GgufFile part in parts)
            {
                foreach (string name in part.Tensors.Keys)
                {
                    if (!tensors.TryAdd(name, part.Table)) throw part.Table.File.Error(name, "expected each tensor in one part of the model, found it in two");
                }
            }
            return new GgufTensors(parts[0], parts, tensors);
        }
        catch
        {
            foreach (GgufFile part in parts) part.Dispose();
            throw;
        }
    }

    public override bool TryGet(string name, out StoredTensor tensor)
    {
        tensor = default;
        return _tensors.TryGetValue(name, out TensorTable? table) && table.TryGet(name, out tensor);
    }

    private static IEnumerable<string> OtherParts(GgufFile first)
    {
        int count = first.Metadata.TryGetValue(PartCountKey, out GgufValue? value) ? value.AsInt32() : 1;
        if (count <= 1) yield break;
        int number = first.Require(PartNumberKey).AsInt32();
        if (number != 0) throw first.Table.File.Error(PartNumberKey, $"expected the first of the model's {count} parts, found part {number + 1L}: load the file that ends in {PartEnding(1, count)}");
        string ending = PartEnding(1, count);
        if (!first.Path.EndsWith(ending, StringComparison.Ordinal)) throw first.Table.File.Error(PartCountKey, $"expected a file name that ends in {ending}");
        for (int part = 2; part <= count; part++) yield return string.Concat(first.Path.AsSpan(0, first.Path.Length - ending.Length), PartEnding(part, count));
    }

    private static string PartEnding(int part, int count) => string.Create(CultureInfo.InvariantCulture, $"-{part:00000}-of-{count:00000}.gguf");
}
