using Decart.Inference.Tests.Session;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Decart.Inference.Tests.Hosting;

/// <summary>Hosts of the storyteller and of other models, with nothing of the machine's configuration.</summary>
internal static class TestHost
{
    public static string Storyteller => Path.Combine(Fixtures.RepositoryRoot()!, "samples", "models", "storyteller");

    public static IHost Create(Action<HostApplicationBuilder> configure, RecordingLog? log = null)
    {
        HostApplicationBuilder builder = new(new HostApplicationBuilderSettings { DisableDefaults = true });
        if (log is not null) builder.Services.AddSingleton<ILoggerFactory>(log);
        configure(builder);
        IHost host = builder.Build();
        TestContext.CurrentContext.CancellationToken.Register(host.Dispose);
        return host;
    }

    public static IConfigurationSection Section(string name, params (string Key, string? Value)[] settings) => new ConfigurationBuilder()
        .AddInMemoryCollection(settings.Select(setting => KeyValuePair.Create($"{name}:{setting.Key}", setting.Value)))
        .Build()
        .GetSection(name);

    /// <summary>The options of a small session on the processor.</summary>
    public static Action<DecartInferenceOptions> Small(Action<DecartInferenceOptions>? more = null) => options =>
    {
        options.Model = Storyteller;
        options.Device = Device.Cpu;
        options.Threads = 1;
        more?.Invoke(options);
    };
}
