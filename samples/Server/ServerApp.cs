using Decart.Inference;
using Microsoft.AspNetCore.HostFiltering;
using Microsoft.Extensions.Options;
using Samples;
using Server.Contracts;
using Server.Endpoints;
using Server.Http;
using Server.Metrics;

namespace Server;

/// <summary>The server, from its command line to its routes.</summary>
internal static class ServerApp
{
    /// <param name="args">A model first, if it is not the storyteller; then settings, such as <c>--urls</c> and <c>--Server:MaxTokens=100</c>.</param>
    /// <param name="configure">Changes what is built, in tests.</param>
    public static WebApplication Create(string[] args, Action<WebApplicationBuilder>? configure = null)
    {
        string? model = args is [var first, ..] && !first.StartsWith('-') ? first : null;
        WebApplicationBuilder builder = WebApplication.CreateBuilder(model is null ? args : args[1..]);
        builder.Configuration.Sources.Insert(0, new Microsoft.Extensions.Configuration.Memory.MemoryConfigurationSource { InitialData = [new("Logging:LogLevel:Microsoft.AspNetCore", "Warning")] });
        if (model is not null) builder.Configuration[$"{ServerOptions.Section}:{nameof(ServerOptions.Model)}"] = model;
        configure?.Invoke(builder);
        AddServices(builder);
        WebApplication app = builder.Build();
        MapRoutes(app);
        return app;
    }

    private static void AddServices(WebApplicationBuilder builder)
    {
        IServiceCollection services = builder.Services;
        services.AddOptions<ServerOptions>().BindConfiguration(ServerOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton(provider => Load(provider.GetRequiredService<IOptions<ServerOptions>>().Value, provider.GetRequiredService<ILoggerFactory>()));
        services.AddSingleton(provider => new ServedModel(provider.GetRequiredService<LlmSession>(), provider.GetRequiredService<IOptions<ServerOptions>>().Value));
        services.AddSingleton<MetricsCollector>().AddSingleton<SessionMetrics>().AddHealthChecks();
        services.AddSingleton<ApiKeys>().AddSingleton<RequestLimits>().AddSingleton<Api>();
        services.AddSingleton<ModelsEndpoint>().AddSingleton<ChatEndpoint>().AddSingleton<CompletionsEndpoint>().AddSingleton<ResponsesEndpoint>().AddSingleton<EmbeddingsEndpoint>().AddSingleton<KvEndpoint>();
        ServerOptions options = builder.Configuration.GetSection(ServerOptions.Section).Get<ServerOptions>() ?? new ServerOptions();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = options.MaxBodyBytes;
            kestrel.Limits.MaxConcurrentConnections = options.MaxConnections;
        });
        // Without keys a page from elsewhere could reach the server through a name that leads to this machine.
        if (options.ApiKeys.Count == 0 && builder.Configuration["AllowedHosts"] is null)
            services.PostConfigure<HostFilteringOptions>(hosts => hosts.AllowedHosts = ["localhost", "127.0.0.1", "[::1]"]);
    }

    private static LlmSession Load(ServerOptions options, ILoggerFactory loggers)
    {
        string path = options.Model ?? Storyteller.Find() ?? throw new InvalidOperationException("The storyteller model is not here: name a model.");
        LlmSessionOptions session = new() { Device = options.Device, MaxConcurrentSequences = options.MaxConcurrentSequences, KvCacheBytes = options.KvCacheBytes, LoggerFactory = loggers };
        return LlmSession.LoadAsync(path, session).GetAwaiter().GetResult();
    }

    private static void MapRoutes(WebApplication app)
    {
        app.UseMiddleware<ErrorMiddleware>();
        app.UseStatusCodePages(ErrorMiddleware.DescribeStatusAsync);
        Api api = app.Services.GetRequiredService<Api>();
        MetricsCollector metrics = app.Services.GetRequiredService<MetricsCollector>(); // begins to listen
        _ = app.Services.GetRequiredService<SessionMetrics>();
        ModelsEndpoint models = app.Services.GetRequiredService<ModelsEndpoint>();
        Page.Map(app);
        app.MapGet("/v1/models", api.Get(models.ListAsync));
        app.MapGet("/v1/models/{id}", api.Get(models.DescribeAsync));
        app.MapPost("/v1/chat/completions", api.Post(ServerJson.Default.ChatCompletionRequest, app.Services.GetRequiredService<ChatEndpoint>().AnswerAsync));
        app.MapPost("/v1/completions", api.Post(ServerJson.Default.CompletionRequest, app.Services.GetRequiredService<CompletionsEndpoint>().AnswerAsync));
        app.MapPost("/v1/embeddings", api.Post(ServerJson.Default.EmbeddingRequest, app.Services.GetRequiredService<EmbeddingsEndpoint>().AnswerAsync));
        app.MapPost("/v1/responses", api.Post(ServerJson.Default.ResponseRequest, app.Services.GetRequiredService<ResponsesEndpoint>().AnswerAsync));
        app.MapGet("/metrics", api.Get(WriteMetricsAsync));
        app.MapHealthChecks("/health");
        app.MapHealthChecks("/ready");
        app.MapGet("/kv", api.Get(app.Services.GetRequiredService<KvEndpoint>().AnswerAsync));

        Task WriteMetricsAsync(HttpContext context)
        {
            context.Response.ContentType = PrometheusText.ContentType;
            return context.Response.WriteAsync(metrics.Write(), context.RequestAborted);
        }
    }
}
