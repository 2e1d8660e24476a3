using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Cpu;

namespace Decart.Inference.Tests.Kernels;

internal sealed class WeightPartsTests
{
    private static readonly StoredTensor First = new("first", TensorType.F32, [2, 8], 0);

    private static IEnumerable<TensorType> Types => Enum.GetValues<TensorType>();

    private static IEnumerable<TestCaseData> Unfit()
    {
        yield return Case("nothing", [], "folder: expected at least one tensor");
        yield return Case("columns", [First, new("second", TensorType.F32, [2, 9], 0)], "folder: second: expected 8 columns as in first, found 9");
        yield return Case("integers", [new("ids", TensorType.I64, [2, 8], 0)], "folder: ids: expected weights of type F32");
        yield return Case("no rows", [new("empty", TensorType.F32, [0, 8], 0)], "folder: empty: expected at least one row, found 0");
        yield return Case("no columns", [new("empty", TensorType.F32, [8, 0], 0)], "folder: empty: expected 1 to 16777216 columns, found 0");
        yield return Case("too many columns", [new("wide", TensorType.F32, [1, (1 << 24) + 1], 0)], "folder: wide: expected 1 to 16777216 columns");
        yield return Case("too many rows", [new("tall", TensorType.F32, [1L << 31, 8], 0), First], "folder: tall: expected at most 2147483647 rows");
        yield return Case("half a block", [new("odd", TensorType.Q8_0, [4, 48], 0)], "folder: odd: expected rows of a multiple of 32 elements for Q8_0, found 48");
    }

    [TestCaseSource(nameof(Unfit))]
    public void Tensors_that_make_no_weight_are_refused_by_name(StoredTensor[] tensors, string message) =>
        Assert.That(() => new WeightParts("folder", tensors), Throws.TypeOf<ModelLoadException>().With.Message.StartsWith(message));

    [Test]
    public void Tensors_that_make_no_vector_are_refused_by_name()
    {
        StoredTensor integers = new("norm", TensorType.I32, [4], 0), half = new("odd", TensorType.Q8_0, [48], 0), long1 = new("long", TensorType.F32, [1L << 31], 0);
        Assert.That(() => new VectorParts("folder", integers), Throws.TypeOf<ModelLoadException>().With.Message.StartsWith("folder: norm: expected weights"));
        Assert.That(() => new VectorParts("folder", half), Throws.TypeOf<ModelLoadException>().With.Message.StartsWith("folder: odd: expected rows"));
        Assert.That(() => new VectorParts("folder", long1), Throws.TypeOf<ModelLoadException>().With.Message.StartsWith("folder: long: expected at most"));
    }

    [Test]
    public void Every_type_that_weights_may_have_can_be_multiplied_with([ValueSource(nameof(Types))] TensorType type) =>
        Assert.That(MatMulFormats.Supports(type), Is.EqualTo(WeightParts.Accepts(type)));

    private static TestCaseData Case(string name, StoredTensor[] tensors, string message) => new TestCaseData(tensors, message).SetArgDisplayNames(name);
}
