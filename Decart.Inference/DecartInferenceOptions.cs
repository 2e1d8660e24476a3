namespace Decart.Inference;

/// <summary>
/// A model that an application hosts and how it computes: what <c>AddDecartInference</c> reads from configuration, whose keys are the names of these properties. Checked when the host starts;
/// an error names the key. Changes after that have no effect.
/// </summary>
public sealed class DecartInferenceOptions
{
    private static readonly LlmSessionOptions Defaults = new();

    /// <summary>The model's folder or GGUF file, or its name on the Hub. Required. See <see cref="LlmSession.LoadAsync"/>.</summary>
    public string Model { get; set; } = "";

    /// <inheritdoc cref="LlmSessionOptions.Device"/>
    public Device Device { get; set; } = Defaults.Device;

    /// <inheritdoc cref="LlmSessionOptions.Threads"/>
    public int? Threads { get; set; }

    /// <inheritdoc cref="LlmSessionOptions.MaxConcurrentSequences"/>
    public int MaxConcurrentSequences { get; set; } = Defaults.MaxConcurrentSequences;

    /// <inheritdoc cref="LlmSessionOptions.MaxBatchTokens"/>
    public int? MaxBatchTokens { get; set; }

    /// <inheritdoc cref="LlmSessionOptions.KvCacheBytes"/>
    public long? KvCacheBytes { get; set; }

    /// <inheritdoc cref="LlmSessionOptions.KvCacheType"/>
    public KvCacheType KvCacheType { get; set; } = Defaults.KvCacheType;

    /// <inheritdoc cref="LlmSessionOptions.EightBitActivations"/>
    public bool EightBitActivations { get; set; } = Defaults.EightBitActivations;

    /// <inheritdoc cref="LlmSessionOptions.Paging"/>
    public PagingMode Paging { get; set; } = Defaults.Paging;

    /// <inheritdoc cref="LlmSessionOptions.PrefixCaching"/>
    public bool PrefixCaching { get; set; } = Defaults.PrefixCaching;

    /// <inheritdoc cref="LlmSessionOptions.RandomWeights"/>
    public bool RandomWeights { get; set; }

    /// <inheritdoc cref="LlmSessionOptions.Quantize"/>
    public WeightFormat? Quantize { get; set; }

    /// <inheritdoc cref="LlmSessionOptions.Hub"/>
    public ModelHubOptions? Hub { get; set; }

    /// <summary>
    /// Whether the host waits for the model before it starts, so that a model that cannot be loaded fails the start. Default <see langword="false"/>: the model is loaded
    /// while the host starts, requests wait for it, the readiness check fails until it is there, and a model that cannot be loaded stops the host.
    /// </summary>
    public bool LoadBeforeStart { get; set; }

    /// <summary>Whether a few tokens are generated before the model counts as loaded, so that no request pays for what happens once. Default <see langword="true"/>.</summary>
    public bool WarmUp { get; set; } = true;

    /// <summary>
    /// How long running requests may go on once the host stops, zero or more; those that are not finished then end with <see cref="FinishReason.Cancelled"/>. Default 25 seconds: it should be a
    /// few seconds less than the host's own <c>HostOptions.ShutdownTimeout</c> (30 seconds unless set), after which connections are cut.
    /// </summary>
    public TimeSpan DrainTimeout { get; set; } = TimeSpan.FromSeconds(25);

    /// <summary>The most requests that may wait for their turn before the readiness check fails, at least 0; <see langword="null"/> (the default) for any number.</summary>
    public int? ReadinessQueueLimit { get; set; }

    /// <summary>The section of the configuration that was read last; null if none was.</summary>
    internal string? ConfigurationPath { get; set; }

    /// <summary>What could not be read from configuration.</summary>
    internal List<string> ConfigurationErrors { get; } = [];

    /// <summary>The options of the session itself.</summary>
    internal LlmSessionOptions ForSession() => new()
    {
        Device = Device,
        Threads = Threads,
        MaxConcurrentSequences = MaxConcurrentSequences,
        MaxBatchTokens = MaxBatchTokens,
        KvCacheBytes = KvCacheBytes,
        KvCacheType = KvCacheType,
        EightBitActivations = EightBitActivations,
        Paging = Paging,
        PrefixCaching = PrefixCaching,
        RandomWeights = RandomWeights,
        Quantize = Quantize,
        Hub = Hub,
    };
}
