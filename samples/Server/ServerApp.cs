using Decart.Inference;
using Microsoft.AspNetCore.Diagnostics.HealthChecks;
using Microsoft.AspNetCore.HostFiltering;
using Microsoft.Extensions.Configuration.Memory;
using Samples;
using Server.Contracts;
using Server.Endpoints;
using Server.Http;
using Server.Metrics;

namespace Server;

/// <summary>The server, from its command line to its routes.</summary>
internal static class ServerApp
{
    /// <summary>The section of the configuration that says which model is loaded and how it computes.</summary>
    private const string ModelSection = "Llm", ModelPath = $"{ModelSection}:{nameof(DecartInferenceOptions.Model)}";

    /// <param name="args">A model first, if it is not the storyteller; then settings, such as <c>--urls</c> and <c>--Server:MaxTokens=100</c>.</param>
    /// <param name="configure">Changes what is built, in tests.</param>
    public static WebApplication Create(string[] args, Action<WebApplicationBuilder>? configure = null)
    {
        string? model = args is [var first, ..] && !first.StartsWith('-') ? first : null;
        WebApplicationBuilder builder = WebApplication.CreateBuilder(model is null ? args : args[1..]);
        builder.Configuration.Sources.Insert(0, new MemoryConfigurationSource { InitialData = [new("Logging:LogLevel:Microsoft.AspNetCore", "Warning"), new(ModelPath, Storyteller.Find())] });
        if (model is not null) builder.Configuration[ModelPath] = model;
        configure?.Invoke(builder);
        AddServices(builder);
        WebApplication app = builder.Build();
        MapRoutes(app);
        return app;
    }

    private static void AddServices(WebApplicationBuilder builder)
    {
        IServiceCollection services = builder.Services;
        services.AddOptions<ServerOptions>()
            .BindConfiguration(ServerOptions.Section, binder => binder.ErrorOnUnknownConfiguration = true)
            .ValidateDataAnnotations()
            .Validate(options => !options.ApiKeys.Any(string.IsNullOrWhiteSpace), "Server:ApiKeys has a key that is empty: leave the list out to answer everybody.")
            .Validate(options => options.MaxBufferedBytes is not { } most || most >= 2L * options.MaxBodyBytes, "Server:MaxBufferedBytes must be at least twice Server:MaxBodyBytes: a buffer doubles as a body arrives.")
            .ValidateOnStart();
        services.AddDecartInference(builder.Configuration.GetSection(ModelSection));
        services.AddHealthChecks().Add(DecartInferenceHealthChecks.Liveness()).Add(DecartInferenceHealthChecks.Readiness());
        services.AddSingleton<ModelSource>().AddSingleton<ApiKeys>().AddSingleton<BodyLimits>().AddSingleton<RequestLimits>().AddSingleton<Api>();
        services.AddSingleton<MetricsCollector>();
        services.AddSingleton<ChatEndpoint>().AddSingleton<CompletionsEndpoint>().AddSingleton<ResponsesEndpoint>().AddSingleton<EmbeddingsEndpoint>();
        ServerOptions options = builder.Configuration.GetSection(ServerOptions.Section).Get<ServerOptions>() ?? new ServerOptions();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = options.MaxBodyBytes;
            kestrel.Limits.MaxConcurrentConnections = options.MaxConnections;
            HeaderLimits.Apply(kestrel.Limits);
        });
        services.Insert(0, ServiceDescriptor.Transient<IStartupFilter, ErrorStartup>());
        services.PostConfigure<HostFilteringOptions>(hosts => hosts.IncludeFailureMessage = false);
        // Without keys a page from elsewhere could reach the server through a name that leads to this machine.
        if (options.ApiKeys.Count == 0 && builder.Configuration["AllowedHosts"] is null)
            services.PostConfigure<HostFilteringOptions>(hosts => hosts.AllowedHosts = ["localhost", "127.0.0.1", "[::1]"]);
    }

    private static void MapRoutes(WebApplication app)
    {
        IServiceProvider services = app.Services;
        Api api = services.GetRequiredService<Api>();
        Page.Map(app);
        app.MapGet("/v1/models", api.Get(ModelsEndpoint.ListAsync));
        app.MapGet("/v1/models/{**id}", api.Get(ModelsEndpoint.DescribeAsync));
        app.MapPost("/v1/chat/completions", api.Post(ServerJson.Default.ChatCompletionRequest, services.GetRequiredService<ChatEndpoint>().AnswerAsync));
        app.MapPost("/v1/completions", api.Post(ServerJson.Default.CompletionRequest, services.GetRequiredService<CompletionsEndpoint>().AnswerAsync));
        app.MapPost("/v1/responses", api.Post(ServerJson.Default.ResponseRequest, services.GetRequiredService<ResponsesEndpoint>().AnswerAsync));
        app.MapPost("/v1/embeddings", api.Post(ServerJson.Default.EmbeddingRequest, services.GetRequiredService<EmbeddingsEndpoint>().AnswerAsync));
        app.MapGet("/kv", api.Get(KvEndpoint.AnswerAsync));
        MapMetrics(app, api);
        app.MapHealthChecks("/health", new HealthCheckOptions { Predicate = check => check.Tags.Contains("live") });
        app.MapHealthChecks("/ready", new HealthCheckOptions { Predicate = check => check.Tags.Contains("ready") });
    }

    private static void MapMetrics(WebApplication app, Api api)
    {
        MetricsCollector metrics = app.Services.GetRequiredService<MetricsCollector>(); // listens from here on
        app.MapGet("/metrics", api.Get(context =>
        {
            context.Response.ContentType = PrometheusText.ContentType;
            return context.Response.WriteAsync(metrics.Write(), context.RequestAborted);
        }));
    }
}
