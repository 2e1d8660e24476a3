using Decart.Inference.Checkpoints;

namespace Decart.Inference.Tests.Checkpoints;

public class StoredTensorTests
{
    /// <summary>A printed pointer is code that no compiler ahead of time accepts.</summary>
    [Test]
    public void It_prints_without_its_address() =>
        Assert.That(new StoredTensor("norm.weight", TensorType.BF16, [2, 3], 42).ToString(), Is.EqualTo("StoredTensor { norm.weight, BF16[2, 3] }"));
}
