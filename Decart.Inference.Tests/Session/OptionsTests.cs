namespace Decart.Inference.Tests.Session;

public class OptionsTests
{
    private static IEnumerable<TestCaseData> OutOfRange()
    {
        yield return Case(new() { MaxTokens = 0 }, "MaxTokens");
        yield return Case(new() { Temperature = -0.1f }, "Temperature");
        yield return Case(new() { Temperature = float.NaN }, "Temperature");
        yield return Case(new() { Temperature = float.PositiveInfinity }, "Temperature");
        yield return Case(new() { Temperature = 101 }, "Temperature");
        yield return Case(new() { TopK = -1 }, "TopK");
        yield return Case(new() { TopP = 0 }, "TopP");
        yield return Case(new() { TopP = 1.01f }, "TopP");
        yield return Case(new() { TopP = float.NaN }, "TopP");
        yield return Case(new() { MinP = -0.1f }, "MinP");
        yield return Case(new() { MinP = 1.1f }, "MinP");
        yield return Case(new() { RepetitionPenalty = 0 }, "RepetitionPenalty");
        foreach (float absurd in (float[])[float.NaN, float.PositiveInfinity, float.NegativeInfinity, float.MaxValue, float.Epsilon, 0.009f, 100.1f, -1])
            yield return Case(new() { RepetitionPenalty = absurd }, "RepetitionPenalty");
        yield return Case(new() { FrequencyPenalty = 2.1f }, "FrequencyPenalty");
        yield return Case(new() { FrequencyPenalty = float.NaN }, "FrequencyPenalty");
        yield return Case(new() { PresencePenalty = -2.1f }, "PresencePenalty");
        yield return Case(new() { TopLogprobs = -1 }, "TopLogprobs");
        yield return Case(new() { TopLogprobs = 21 }, "TopLogprobs");
        yield return Case(new() { LogitBias = new Dictionary<int, float> { [100] = 1 } }, "LogitBias");
        yield return Case(new() { LogitBias = new Dictionary<int, float> { [-1] = 1 } }, "LogitBias");
        foreach (float absurd in (float[])[float.NaN, float.PositiveInfinity, float.MaxValue, float.MinValue, 1.1e9f])
            yield return Case(new() { LogitBias = new Dictionary<int, float> { [1] = absurd } }, "LogitBias");
        yield return Case(new() { StopSequences = [""] }, "StopSequences");
        yield return Case(new() { StopSequences = ["ok", null!] }, "StopSequences");
        yield return Case(new() { StopSequences = null! }, "StopSequences");
        yield return Case(new() { StopSequences = ["\udc00"] }, "StopSequences");
        yield return Case(new() { StopSequences = [new string('a', 40_000), new string('b', 40_000)] }, "StopSequences");
        yield return Case(new() { StopTokenIds = null! }, "StopTokenIds");
        yield return Case(new() { StopTokenIds = [1, 100] }, "StopTokenIds");
        yield return Case(new() { StopTokenIds = [-1] }, "StopTokenIds");

        static TestCaseData Case(GenerationOptions options, string name) => new(options, name);
    }

    [TestCaseSource(nameof(OutOfRange))]
    public void An_option_out_of_range_is_named(GenerationOptions options, string name) =>
        Assert.That(() => options.Validate(vocabularySize: 100), Throws.InstanceOf<ArgumentException>().With.Property("ParamName").EqualTo(name));

    [Test]
    public void Options_at_their_limits_are_accepted()
    {
        var options = new GenerationOptions
        {
            MaxTokens = 1,
            Temperature = 0,
            TopK = 0,
            TopP = 1,
            MinP = 1,
            RepetitionPenalty = 0.1f,
            FrequencyPenalty = -2,
            PresencePenalty = 2,
            TopLogprobs = 20,
            LogitBias = new Dictionary<int, float> { [99] = float.NegativeInfinity, [0] = -1000 },
            StopSequences = ["👋", new string('a', 65_534)],
            StopTokenIds = [0, 99, 99],
        };
        Assert.That(() => options.Validate(vocabularySize: 100), Throws.Nothing);
        GenerationOptions atTheirOtherLimits = options with { Temperature = 100, RepetitionPenalty = 100, LogitBias = new Dictionary<int, float> { [0] = -1e9f, [1] = 1e9f } };
        Assert.That(() => atTheirOtherLimits.Validate(vocabularySize: 100), Throws.Nothing);
        Assert.That(() => new GenerationOptions().Validate(vocabularySize: 1), Throws.Nothing);
    }

    [TestCase(0, 512, null, "MaxConcurrentSequences")]
    [TestCase(65_537, 100_000, null, "MaxConcurrentSequences")]
    [TestCase(int.MaxValue, null, null, "MaxConcurrentSequences")]
    [TestCase(8, 7, null, "MaxBatchTokens")]
    [TestCase(8, 0, null, "MaxBatchTokens")]
    [TestCase(8, 8, 0, "Threads")]
    [TestCase(8, 8, 1025, "Threads")]
    public void A_session_option_out_of_range_is_named(int sequences, int? tokens, int? threads, string name)
    {
        var options = new LlmSessionOptions { MaxConcurrentSequences = sequences, MaxBatchTokens = tokens, Threads = threads };
        Assert.That(options.Validate, Throws.InstanceOf<ArgumentException>().With.Property("ParamName").EqualTo(name));
    }

    [TestCase(1, null, 512)]
    [TestCase(512, null, 512)]
    [TestCase(600, null, 600)]
    [TestCase(32, 64, 64)]
    public void A_step_has_room_for_512_tokens_and_for_every_sequence_by_default(int sequences, int? tokens, int expected)
    {
        LlmSessionOptions options = new() { MaxConcurrentSequences = sequences, MaxBatchTokens = tokens };
        Assert.That(options.Validate, Throws.Nothing);
        Assert.That(options.TokensPerStep, Is.EqualTo(expected));
    }

    [TestCase("auto", DeviceKind.Auto, 0)]
    [TestCase("CPU", DeviceKind.Cpu, 0)]
    [TestCase("cuda", DeviceKind.Cuda, 0)]
    [TestCase("cuda:3", DeviceKind.Cuda, 3)]
    public void A_device_is_parsed(string text, DeviceKind kind, int index)
    {
        var device = Device.Parse(text);
        Assert.That((device.Kind, device.Index), Is.EqualTo((kind, index)));
        Assert.That(Device.Parse(device.ToString()), Is.EqualTo(device));
    }

    [TestCase("cuda:0,1", 0, 1)]
    [TestCase("CUDA:5,2,62", 2, 5, 62)]
    public void Several_devices_are_parsed(string text, params int[] indices)
    {
        Device device = Device.Parse(text);
        Assert.That(device, Is.EqualTo(Device.Cuda(indices.AsSpan())));
        Assert.That((device.Kind, device.Index), Is.EqualTo((DeviceKind.Cuda, indices[0])));
        Assert.That(device.Indices, Is.EqualTo(indices));
        Assert.That(Device.Parse(device.ToString()), Is.EqualTo(device));
    }

    [Test]
    public void All_and_one_of_several_devices_have_no_list()
    {
        Assert.That(Device.Parse("cuda:ALL"), Is.EqualTo(Device.AllCuda));
        Assert.That(Device.AllCuda.ToString(), Is.EqualTo("cuda:all"));
        Assert.That(Device.AllCuda.Indices, Is.Empty);
        Assert.That(Device.Cuda([70]), Is.EqualTo(Device.Cuda(70)));
        Assert.That(Device.Cuda(70).Indices, Is.Empty);
    }

    [Test]
    public void Lists_of_devices_that_name_none_are_refused()
    {
        Assert.Throws<ArgumentException>(() => Device.Cuda());
        Assert.Throws<ArgumentException>(() => Device.Cuda(3, 3));
        Assert.Throws<ArgumentOutOfRangeException>(() => Device.Cuda(0, -1));
        Assert.Throws<ArgumentOutOfRangeException>(() => Device.Cuda(0, 63));
    }

    [TestCase("")]
    [TestCase("gpu")]
    [TestCase("cuda:")]
    [TestCase("cuda:-1")]
    [TestCase("cuda:99999999999")]
    [TestCase("cuda3")]
    [TestCase("cuda:0,")]
    [TestCase("cuda:0,0")]
    [TestCase("cuda:1,1,2")]
    [TestCase("cuda:0,-1")]
    [TestCase("cuda:0, 1")]
    [TestCase("cuda:0,63")]
    [TestCase("cuda:999999999999")]
    [TestCase("cuda:all,0")]
    public void What_is_no_device_is_refused(string text)
    {
        Assert.Throws<FormatException>(() => Device.Parse(text));
        Assert.That(Device.TryParse(text, null, out _), Is.False);
    }
}
