using Decart.Inference.Kernels;

namespace Decart.Inference.Tests;

public class SanityTests
{
    [Test]
    public void An_empty_batch_has_no_tokens() => Assert.That(new Batch().TokenCount, Is.Zero);
}
