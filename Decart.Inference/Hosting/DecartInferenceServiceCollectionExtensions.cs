using System.Diagnostics.Metrics;
using Decart.Inference;
using Decart.Inference.Hosting;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Models as services of an application.</summary>
/// <remarks>
/// <para>
/// Registers, as singletons: <see cref="ILlmSession"/>, <see cref="IChatClient"/> and <see cref="IEmbeddingGenerator{TInput, TEmbedding}"/> of strings, which can be used at once and whose requests wait until the model is loaded;
/// <see cref="LlmSession"/>, which cannot be had before; and <see cref="ILlmSessionProvider"/>, which waits for it. With a key, all of them are keyed services with that key, so that an
/// application can have several models. What it registered itself before is left alone.
/// </para>
/// <para>
/// A hosted service loads the model when the host starts, warms it, and logs its progress; a model that cannot be loaded stops the host, and running it throws the error. When the host stops, new requests are refused with a
/// <see cref="SessionDrainingException"/>, running ones go on for <see cref="DecartInferenceOptions.DrainTimeout"/>, and the session is disposed when all else has stopped.
/// </para>
/// <para>
/// Called again for the same model (the same key), this adds to its options. Options are checked when the host starts. <see cref="DecartInferenceHealthChecks"/> are added separately.
/// </para>
/// </remarks>
public static class DecartInferenceServiceCollectionExtensions
{
    /// <summary>Adds a model with the options of a configuration section.</summary>
    /// <param name="services">The application's services.</param>
    /// <param name="section">Its keys are the properties of <see cref="DecartInferenceOptions"/>; others are errors.</param>
    public static IServiceCollection AddDecartInference(this IServiceCollection services, IConfiguration section) => Add(services, key: null, section);

    /// <summary>Adds a model with options set in code.</summary>
    /// <param name="services">The application's services.</param>
    /// <param name="configure">Sets the options.</param>
    public static IServiceCollection AddDecartInference(this IServiceCollection services, Action<DecartInferenceOptions> configure) => Add(services, key: null, configure);

    /// <summary>Adds one of several models with the options of a configuration section.</summary>
    /// <param name="services">The application's services.</param>
    /// <param name="key">The key of its services and the name of its options.</param>
    /// <param name="section">Its keys are the properties of <see cref="DecartInferenceOptions"/>; others are errors.</param>
    public static IServiceCollection AddDecartInference(this IServiceCollection services, string key, IConfiguration section)
    {
        ArgumentException.ThrowIfNullOrEmpty(key);
        return Add(services, key, section);
    }

    /// <summary>Adds one of several models with options set in code.</summary>
    /// <param name="services">The application's services.</param>
    /// <param name="key">The key of its services and the name of its options.</param>
    /// <param name="configure">Sets the options.</param>
    public static IServiceCollection AddDecartInference(this IServiceCollection services, string key, Action<DecartInferenceOptions> configure)
    {
        ArgumentException.ThrowIfNullOrEmpty(key);
        return Add(services, key, configure);
    }

    private static IServiceCollection Add(IServiceCollection services, string? key, IConfiguration section)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(section);
        services.AddSingleton<IConfigureOptions<DecartInferenceOptions>>(new ConfigurationReader(key ?? Options.Options.DefaultName, section));
        return Add(services, key);
    }

    private static IServiceCollection Add(IServiceCollection services, string? key, Action<DecartInferenceOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(configure);
        services.Configure(key ?? Options.Options.DefaultName, configure);
        return Add(services, key);
    }

    private static IServiceCollection Add(IServiceCollection services, string? key)
    {
        string name = key ?? Options.Options.DefaultName;
        if (services.Any(service => service.ServiceType == typeof(HostedModel) && name.Equals(service.ServiceKey))) return services;

        services.AddOptions<DecartInferenceOptions>(name).ValidateOnStart();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<DecartInferenceOptions>, OptionsValidator>());
        services.AddKeyedSingleton(name, (provider, _) => new HostedModel(
            name,
            provider.GetRequiredService<IOptionsMonitor<DecartInferenceOptions>>(),
            provider.GetService<IHostApplicationLifetime>(),
            provider.GetService<ILoggerFactory>(),
            provider.GetService<IMeterFactory>()));
        services.AddSingleton<IHostedService>(provider => provider.GetRequiredKeyedService<HostedModel>(name));
        TryAdd<ILlmSessionProvider>(services, key, model => model);
        TryAdd<LlmSession>(services, key, model => model.RequireSession());
        TryAdd<ILlmSession>(services, key, model => new HostedSession(model));
        TryAdd<IChatClient>(services, key, model => new HostedSession(model).CreateChatClient(template: null));
        TryAdd<IEmbeddingGenerator<string, Embedding<float>>>(services, key, model => new HostedSession(model).CreateEmbeddingGenerator(options: null));
        return services;
    }

    private static void TryAdd<TService>(IServiceCollection services, string? key, Func<HostedModel, TService> create)
        where TService : class =>
        services.TryAdd(new ServiceDescriptor(
            typeof(TService), key, (provider, _) => create(provider.GetRequiredKeyedService<HostedModel>(key ?? Options.Options.DefaultName)), ServiceLifetime.Singleton));
}
