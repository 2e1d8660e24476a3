using System.Text.Json;
using Decart.Inference.Checkpoints;
using Microsoft.Extensions.Configuration;

namespace Decart.Inference.Tests.Surface;

/// <summary>Options and results as configuration and JSON hold them.</summary>
public class BindingTests
{
    [TestCase("auto")]
    [TestCase("cpu")]
    [TestCase("CPU")]
    [TestCase("cuda:1")]
    public void A_device_binds_from_configuration(string text)
    {
        LlmSessionOptions options = Configure(("Device", text), ("MaxConcurrentSequences", "7"), ("Paging", "table"), ("PrefixCaching", "false")).Get<LlmSessionOptions>()!;
        Assert.That(options, Is.EqualTo(new LlmSessionOptions
        {
            Device = Device.Parse(text),
            MaxConcurrentSequences = 7,
            Paging = PagingMode.Table,
            PrefixCaching = false,
        }));
    }

    [Test]
    public void Where_models_come_from_binds_from_configuration() => Assert.That(
        Configure(("Hub:Revision", "v1"), ("Hub:CacheFolder", "/cache"), ("Hub:Endpoint", "https://mirror"), ("Hub:Offline", "true"), ("Hub:Timeout", "00:01:00")).Get<LlmSessionOptions>()!.Hub,
        Is.EqualTo(new ModelHubOptions { Revision = "v1", CacheFolder = "/cache", Endpoint = new Uri("https://mirror"), Offline = true, Timeout = TimeSpan.FromMinutes(1) }));

    [TestCase("gpu")]
    [TestCase("")]
    public void A_device_that_is_none_is_an_error_that_names_it(string text)
    {
        Exception error = Assert.Catch(() => Configure(("Device", text)).Get<LlmSessionOptions>())!;
        Assert.That(error.ToString(), Does.Contain("Device").And.Contain($"\"{text}\" names no device"));
    }

    [Test]
    public void A_long_text_that_is_no_device_is_cut() =>
        Assert.That(() => Device.Parse(new string('x', 100_000)), Throws.TypeOf<FormatException>().With.Message.Length.LessThan(500));

    [Test]
    public void Generation_options_bind_from_configuration()
    {
        GenerationOptions options = Configure(
            ("MaxTokens", "5"), ("Temperature", "0.5"), ("StopSequences:0", "end"), ("StopSequences:1", "stop"), ("StopTokenIds:0", "2"), ("LogitBias:7", "-1.5")).Get<GenerationOptions>()!;
        Assert.That(options, Is.EqualTo(new GenerationOptions
        {
            MaxTokens = 5,
            Temperature = 0.5f,
            StopSequences = ["end", "stop"],
            StopTokenIds = [2],
            LogitBias = new Dictionary<int, float> { [7] = -1.5f },
        }));
    }

    [Test]
    public void A_prompt_binds_from_configuration() =>
        Assert.That(Configure(("Prompt", "Once")).Get<Asked>()!.Prompt.Text, Is.EqualTo("Once"));

    [Test]
    public void Options_survive_json()
    {
        LlmSessionOptions session = new() { Device = Device.Cuda(2), Paging = PagingMode.Hardware, Threads = 3 };
        GenerationOptions generation = new() { Seed = 1, StopSequences = ["a"], StopTokenIds = [3], LogitBias = new Dictionary<int, float> { [1] = float.NegativeInfinity } };
        Assert.Multiple(() =>
        {
            Assert.That(Again(session), Is.EqualTo(session));
            Assert.That(Again(generation), Is.EqualTo(generation));
            Assert.That(JsonSerializer.Serialize(session), Does.Contain("\"cuda:2\"").And.Contain("\"Hardware\""));
        });
    }

    [Test]
    public void A_device_is_a_key_as_well()
    {
        Dictionary<Device, int> counts = new() { [Device.Cpu] = 1, [Device.Cuda(1)] = 2 };
        Assert.That(JsonSerializer.Serialize(counts), Is.EqualTo("""{"cpu":1,"cuda:1":2}"""));
        Assert.That(Again(counts), Is.EqualTo(counts));
    }

    [TestCase("\"gpu\"")]
    [TestCase("\"cuda:1,1,2\"")]
    [TestCase("1")]
    [TestCase("null")]
    [TestCase("{}")]
    public void Json_that_is_no_device_is_refused(string json) =>
        Assert.That(() => JsonSerializer.Deserialize<Device>(json), Throws.InstanceOf<JsonException>().With.Message.Contains("device").And.Message.Contains("cuda:0"));

    [Test]
    public void Prompts_survive_json()
    {
        Assert.That(JsonSerializer.Serialize(new Asked { Prompt = "Once" }), Is.EqualTo("""{"Prompt":"Once"}"""));
        Assert.That(Again(new Asked { Prompt = "Once" }).Prompt.Text, Is.EqualTo("Once"));
        Assert.That(Again(new Asked { Prompt = new[] { 1, 2 } }).Prompt.TokenIds.ToArray(), Is.EqualTo(new[] { 1, 2 }));
        var plain = JsonSerializer.Deserialize<Prompt>(JsonSerializer.Serialize(Prompt.FromString("</s>", addSpecialTokens: true, parseSpecialTokens: false)));
        Assert.That((plain.Text, plain.AddsSpecialTokens, plain.ParsesSpecialTokens), Is.EqualTo(("</s>", true, false)), "what is plain text stays plain text");
        Assert.That(() => JsonSerializer.Deserialize<Prompt>("""{"text":"a","parse":false}"""), Throws.InstanceOf<JsonException>());
        Assert.That(() => JsonSerializer.Deserialize<Prompt>("[1, 2.5]"), Throws.InstanceOf<JsonException>());
        Assert.That(() => JsonSerializer.Deserialize<Prompt>("{}"), Throws.InstanceOf<JsonException>());
    }

    [Test]
    public void Enums_are_written_as_names()
    {
        string json = JsonSerializer.Serialize(new object[] { FinishReason.Length, PagingMode.Table, DeviceKind.Cuda, TensorType.BF16, GgufValueKind.UInt8 });
        Assert.That(json, Is.EqualTo("""["Length","Table","Cuda","BF16","UInt8"]"""));
    }

    private static T Again<T>(T value) => JsonSerializer.Deserialize<T>(JsonSerializer.Serialize(value))!;

    private static IConfigurationRoot Configure(params (string Key, string Value)[] settings) =>
        new ConfigurationBuilder().AddInMemoryCollection(settings.Select(setting => KeyValuePair.Create(setting.Key, (string?)setting.Value))).Build();

    private sealed record Asked
    {
        public Prompt Prompt { get; init; }
    }
}
