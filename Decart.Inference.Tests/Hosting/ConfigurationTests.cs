using System.Reflection;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using static Decart.Inference.Tests.Hosting.TestHost;

namespace Decart.Inference.Tests.Hosting;

/// <summary>A hosted model's options as configuration holds them, and what is said of wrong ones.</summary>
[CancelAfter(60_000)]
public class ConfigurationTests
{
    [Test]
    public void Every_option_is_read_from_configuration()
    {
        DecartInferenceOptions options = Read(
            ("Model", "models/llama"),
            ("Device", "cuda:1"),
            ("Threads", "3"),
            ("MaxConcurrentSequences", "7"),
            ("maxbatchtokens", "4096"),
            ("KvCacheBytes", "8589934592"),
            ("KvCacheType", "fp8"),
            ("EightBitActivations", "true"),
            ("Paging", "table"),
            ("PrefixCaching", "false"),
            ("RandomWeights", "true"),
            ("Quantize", "q4_k_m"),
            ("Hub:Revision", "v2"),
            ("Hub:File", "Q4_K_M"),
            ("hub:token", "secret"),
            ("Hub:CacheFolder", "/models"),
            ("Hub:Offline", "true"),
            ("Hub:Endpoint", "https://mirror.example"),
            ("Hub:MaxConnections", "2"),
            ("Hub:MaxRetries", "0"),
            ("Hub:Timeout", "00:01:00"),
            ("LoadBeforeStart", "True"),
            ("WarmUp", "false"),
            ("DrainTimeout", "00:01:30"),
            ("ReadinessQueueLimit", "100"));
        Assert.Multiple(() =>
        {
            Assert.That(options.Model, Is.EqualTo("models/llama"));
            Assert.That(options.ForSession(), Is.EqualTo(new LlmSessionOptions
            {
                Device = Device.Cuda(1),
                Threads = 3,
                MaxConcurrentSequences = 7,
                MaxBatchTokens = 4096,
                KvCacheBytes = 8_589_934_592,
                KvCacheType = KvCacheType.Fp8,
                EightBitActivations = true,
                Paging = PagingMode.Table,
                PrefixCaching = false,
                RandomWeights = true,
                Quantize = WeightFormat.Q4_K_M,
                Hub = new ModelHubOptions
                {
                    Revision = "v2",
                    File = "Q4_K_M",
                    Token = "secret",
                    CacheFolder = "/models",
                    Offline = true,
                    Endpoint = new Uri("https://mirror.example"),
                    MaxConnections = 2,
                    MaxRetries = 0,
                    Timeout = TimeSpan.FromMinutes(1),
                },
            }));
            Assert.That((options.LoadBeforeStart, options.WarmUp), Is.EqualTo((true, false)));
            Assert.That(options.DrainTimeout, Is.EqualTo(TimeSpan.FromSeconds(90)));
            Assert.That(options.ReadinessQueueLimit, Is.EqualTo(100));
        });
    }

    [Test]
    public void No_option_of_a_session_is_forgotten()
    {
        string[] expected = [.. typeof(LlmSessionOptions).GetProperties().Where(property => property.Name is not (nameof(LlmSessionOptions.LoggerFactory) or nameof(LlmSessionOptions.MeterFactory))).Select(property => property.Name)];
        string[] hosted = [.. typeof(DecartInferenceOptions).GetProperties(BindingFlags.Public | BindingFlags.Instance).Select(property => property.Name)];
        Assert.That(hosted, Is.SupersetOf(expected));
        string message = Assert.Throws<OptionsValidationException>(() => Read(("Model", "m"), ("?", "?")))!.Message;
        foreach (string name in hosted) Assert.That(message, Does.Contain(name), "the message lists what can be configured");
    }

    [Test]
    public void Options_that_are_not_named_keep_their_defaults()
    {
        DecartInferenceOptions options = Read(("Model", "m"), ("Threads", null), ("KvCacheBytes", ""), ("Quantize", ""));
        Assert.That(options.ForSession(), Is.EqualTo(new LlmSessionOptions()));
        Assert.That((options.LoadBeforeStart, options.WarmUp, options.DrainTimeout), Is.EqualTo((false, true, TimeSpan.FromSeconds(25))));
    }

    [TestCase("Device", "gpu", "Llm:Device: Expected \"auto\", \"cpu\", \"cuda:0\", \"cuda:0,1\" (each GPU once) or \"cuda:all\", found \"gpu\".")]
    [TestCase("Device", "", "Llm:Device: Expected \"auto\", \"cpu\", \"cuda:0\", \"cuda:0,1\" (each GPU once) or \"cuda:all\", found nothing.")]
    [TestCase("Device", "cuda:0,0", "Llm:Device: Expected \"auto\", \"cpu\", \"cuda:0\", \"cuda:0,1\" (each GPU once) or \"cuda:all\", found \"cuda:0,0\".")]
    [TestCase("Model", "", "Llm:Model: Expected a path or a name on the Hub, found nothing.")]
    [TestCase("Model", " ", "Llm:Model: A model's folder, GGUF file or name on the Hub must be given. Found nothing.")]
    [TestCase("Hub:Offline", "perhaps", "Llm:Hub:Offline: Expected true or false, found \"perhaps\".")]
    [TestCase("Hub:Endpoint", "mirror", "Llm:Hub:Endpoint: Expected an address such as https://huggingface.co, found \"mirror\".")]
    [TestCase("Hub:Revision", "a/../b", "Llm:Hub:Revision: A branch, a tag or a commit has a name without spaces at its end, control characters or any of \\:<>|\"?*. Found \"a/../b\".")]
    [TestCase("Hub:Token", "two\nlines", "Llm:Hub:Token: A token has letters, digits and signs of ASCII, without spaces or line breaks between them. Found others.")]
    [TestCase("Hub:Timeout", "-00:00:01", "Llm:Hub:Timeout: Timeout must be positive, and at most 24 days. Found -00:00:01.")]
    [TestCase("Threads", "many", "Llm:Threads: Expected a whole number or null, found \"many\".")]
    [TestCase("Threads", "0", "Llm:Threads: Threads must be 1 to 1024. Found 0.")]
    [TestCase("MaxConcurrentSequences", "", "Llm:MaxConcurrentSequences: Expected a whole number, found nothing.")]
    [TestCase("MaxConcurrentSequences", "0", "Llm:MaxConcurrentSequences: MaxConcurrentSequences must be 1 to 65536. Found 0.")]
    [TestCase("MaxBatchTokens", "4", "Llm:MaxBatchTokens: A step needs room for one token of each of the 32 concurrent sequences; null for the default. Found 4.")]
    [TestCase("MaxBatchTokens", "3000000000", "Llm:MaxBatchTokens: Expected a whole number or null, found \"3000000000\".")]
    [TestCase("KvCacheBytes", "8 GB", "Llm:KvCacheBytes: Expected a whole number or null, found \"8 GB\".")]
    [TestCase("KvCacheBytes", "-1", "Llm:KvCacheBytes: Keys and values need at least one byte; null for the default. Found -1.")]
    [TestCase("Paging", "yes", "Llm:Paging: Expected Auto, Hardware or Table, found \"yes\".")]
    [TestCase("Paging", "7", "Llm:Paging: Paging must be Auto, Hardware or Table. Found 7.")]
    [TestCase("Quantize", "Int3", "Llm:Quantize: Expected Fp8, Int8, Int4, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K, Q4_K_M, Q5_K_M or null, found \"Int3\".")]
    [TestCase("Quantize", "Fp8,Int4", "Llm:Quantize: Expected Fp8, Int8, Int4, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K, Q4_K_M, Q5_K_M or null, found \"Fp8,Int4\".")]
    [TestCase("Quantize", "q8_0", "Llm:Quantize: Checkpoints are quantised to Fp8, Int8 or Int4; the other formats are for random weights. Found Q8_0.")]
    [TestCase("PrefixCaching", "1", "Llm:PrefixCaching: Expected true or false, found \"1\".")]
    [TestCase("DrainTimeout", "soon", "Llm:DrainTimeout: Expected a time as in 00:00:25, found \"soon\".")]
    [TestCase("DrainTimeout", "25", "Llm:DrainTimeout: The time must be 00:00:00 to 1.00:00:00. Found 25.00:00:00.")]
    [TestCase("ReadinessQueueLimit", "-1", "Llm:ReadinessQueueLimit: The number of waiting requests must be at least 0; null for any number. Found -1.")]
    [TestCase("Device:Kind", "cpu", "Llm:Device: Expected \"auto\", \"cpu\", \"cuda:0\", \"cuda:0,1\" (each GPU once) or \"cuda:all\", found a section.")]
    public void A_wrong_value_is_an_error_that_names_its_key(string key, string value, string message)
    {
        OptionsValidationException error = Assert.Throws<OptionsValidationException>(() => Read(key == "Model" ? [(key, value)] : [("Model", "m"), (key, value)]))!;
        Assert.That(error.Failures, Does.Contain(message));
    }

    [TestCase("MaxTokens")]
    [TestCase("Hub")]
    [TestCase("Hub:Branch")]
    public void An_unknown_key_is_an_error_that_lists_the_known_ones(string key) => Assert.That(
        Assert.Throws<OptionsValidationException>(() => Read(("Model", "m"), (key, "5")))!.Failures,
        Has.One.StartsWith($"Llm:{key}: There is no such option; there are Model, Device, Threads, MaxConcurrentSequences, "));

    [Test]
    public void Everything_that_is_wrong_is_said_at_once() => Assert.That(
        Assert.Throws<OptionsValidationException>(() => Read(("Threads", "0"), ("Device", "tpu"), ("KvCacheBytes", "0")))!.Failures,
        Has.Exactly(4).Items.And.Exactly(4).StartsWith("Llm:"), "the model is missing too");

    [Test]
    public async Task A_host_with_wrong_options_does_not_start()
    {
        using IHost host = Create(builder => builder.Services
            .AddDecartInference(Section("Llm", ("Model", "m"), ("Threads", "0")))
            .AddDecartInference("second", Section("Models:second", ("Device", "cpu"))));
        Exception error = (await Assert.CatchAsync(() => host.StartAsync()))!;
        Assert.That(error.ToString(), Does.Contain("Llm:Threads: Threads must be").And.Contain("Models:second:Model: A model's folder"));
    }

    [Test]
    public void Options_set_in_code_come_on_top_and_are_checked_too()
    {
        ServiceCollection services = new();
        services.AddDecartInference("code", options => options.Threads = 5000);
        services.AddDecartInference(Section("Llm", ("Model", "m"), ("Threads", "2"))).AddDecartInference(options => options.Threads++);
        using ServiceProvider provider = services.BuildServiceProvider();
        IOptionsMonitor<DecartInferenceOptions> options = provider.GetRequiredService<IOptionsMonitor<DecartInferenceOptions>>();
        Assert.That(options.CurrentValue.Threads, Is.EqualTo(3));
        Assert.That(
            Assert.Throws<OptionsValidationException>(() => options.Get("code"))!.Failures,
            Is.EqualTo(new[] { "DecartInferenceOptions \"code\":Model: A model's folder, GGUF file or name on the Hub must be given. Found nothing.", "DecartInferenceOptions \"code\":Threads: Threads must be 1 to 1024. Found 5000." }));
    }

    [TestCaseSource(nameof(WrongHubs))]
    public async Task Wrong_options_of_the_Hub_fail_the_start(string option, ModelHubOptions hub)
    {
        using IHost host = Create(builder => builder.Services.AddDecartInference(options => (options.Model, options.Hub) = ("acme/tiny:Q8_0", hub)));
        OptionsValidationException error = (await Assert.ThrowsAsync<OptionsValidationException>(() => host.StartAsync()))!;
        Assert.That(error.Failures, Has.One.StartsWith($"DecartInferenceOptions:Hub:{option}: "));
        Assert.That(error.Message, Does.Not.Contain("two\nlines"), "tokens are secret");
    }

    private static IEnumerable<TestCaseData> WrongHubs()
    {
        ModelHubOptions hub = new() { Offline = true };
        yield return new("Revision", hub with { Revision = "main?" });
        yield return new("Revision", hub with { Revision = "a\u0007" });
        yield return new("Revision", hub with { Revision = "" });
        yield return new("File", hub with { File = "model.safetensors" });
        yield return new("File", hub with { File = "../x.gguf" });
        yield return new("File", hub with { File = "Q4_0" }); // beside that of the model's name
        yield return new("Token", hub with { Token = "two\nlines" });
        yield return new("Endpoint", hub with { Endpoint = new Uri("ftp://mirror.example") });
        yield return new("CacheFolder", hub with { CacheFolder = "" });
        yield return new("CacheFolder", hub with { CacheFolder = "a\0b" });
        yield return new("CacheFolder", hub with { CacheFolder = Path.Combine(Storyteller, "config.json", "cache"), Offline = false });
        yield return new("MaxConnections", hub with { MaxConnections = 0 });
    }

    [Test]
    public void The_Hub_of_a_model_with_a_path_need_not_be_there()
    {
        ServiceCollection services = new();
        services.AddDecartInference(Small(options => options.Hub = new() { CacheFolder = Path.Combine(Storyteller, "config.json", "cache"), Offline = false }));
        using ServiceProvider provider = services.BuildServiceProvider();
        Assert.That(() => provider.GetRequiredService<IOptions<DecartInferenceOptions>>().Value, Throws.Nothing);
    }

    [Test]
    public void The_root_of_a_configuration_can_be_the_section()
    {
        IConfigurationRoot root = new ConfigurationBuilder().AddInMemoryCollection([KeyValuePair.Create("Threads", (string?)"0")]).Build();
        ServiceCollection services = new();
        services.AddDecartInference(root);
        using ServiceProvider provider = services.BuildServiceProvider();
        Assert.That(
            Assert.Throws<OptionsValidationException>(() => _ = provider.GetRequiredService<IOptions<DecartInferenceOptions>>().Value)!.Failures,
            Does.Contain("Threads: Threads must be 1 to 1024. Found 0."));
    }

    private static DecartInferenceOptions Read(params (string Key, string? Value)[] settings)
    {
        ServiceCollection services = new();
        services.AddDecartInference(Section("Llm", settings));
        using ServiceProvider provider = services.BuildServiceProvider();
        return provider.GetRequiredService<IOptions<DecartInferenceOptions>>().Value;
    }
}
