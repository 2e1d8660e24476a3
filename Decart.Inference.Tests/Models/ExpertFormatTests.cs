using System.Text.Json.Nodes;
using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Models;
using Decart.Inference.Models.Quantisation;
using Decart.Inference.Tests.Kernels.Gpu;

namespace Decart.Inference.Tests.Models;

/// <summary>Experts stay in the bits of their file where all of a layer are stored alike: they are multiplied together.</summary>
internal sealed class ExpertFormatTests
{
    [TestCase("no tensor", true, true)]
    [TestCase(".experts.2.w1.", false, true)]
    [TestCase(".experts.1.w2.", true, false)]
    [TestCase(".w3.", false, true)]
    public void Experts_that_are_stored_alike_stay_packed(string otherwise, bool gates, bool downs)
    {
        JsonObject json = TinyModels.Config("mixtral");
        (json["hidden_size"], json["intermediate_size"]) = (64, 96);
        ModelConfig config = TinyCheckpoint.Read(json);
        using GpuBackend backend = new(new EmulatedDevice(tensorCores: true) { IsHopper = true, PacksWeights = true });
        using TwoFormats source = new(config, otherwise);
        using DecoderWeights weights = new(source, config, backend.Tensors, CancellationToken.None);
        Assert.That(weights.Layers[0].Experts!.GateUp, Is.All.InstanceOf(gates ? typeof(GpuPackedWeight) : typeof(GpuWeight)));
        Assert.That(weights.Layers[0].Experts!.Down, Is.All.InstanceOf(downs ? typeof(GpuPackedWeight) : typeof(GpuWeight)));
    }

    /// <summary>Random matrices, those with a part of a name in another format.</summary>
    private sealed class TwoFormats(ModelConfig config, string otherwise) : TensorSource
    {
        private readonly RandomTensors _usual = new("random", seed: 5) { Types = new WeightTypes(WeightFormat.Q8_0, config) };
        private readonly RandomTensors _other = new("random", seed: 5) { Types = new WeightTypes(WeightFormat.Q4_0, config) };

        public override string Path => _usual.Path;

        public override IReadOnlyCollection<string> Names => _usual.Names;

        public override int MaxBlockLength => _usual.MaxBlockLength;

        protected override IReadOnlyList<MappedFile> Files => [];

        public override bool TryGet(string name, out StoredTensor tensor) => Of(name).TryGet(name, out tensor);

        public override StoredTensor Require(string name, params ReadOnlySpan<long> shape) => Of(name).Require(name, shape);

        public override void Recycle()
        {
            _usual.Recycle();
            _other.Recycle();
        }

        public override void Dispose()
        {
            _usual.Dispose();
            _other.Dispose();
            base.Dispose();
        }

        private RandomTensors Of(string name) => name.Contains(otherwise, StringComparison.Ordinal) ? _other : _usual;
    }
}
