namespace Decart.Inference.Diagnostics;

/// <summary>
/// Names that listeners see. Those of <c>gen_ai</c> and <c>error</c> are OpenTelemetry's semantic conventions for generative AI, version 1.41 (https://opentelemetry.io/docs/specs/semconv/gen-ai);
/// those of <c>decart</c> are our own.
/// </summary>
internal static class TelemetryNames
{
    public const string Source = "Decart.Inference", Provider = "decart.inference";

    public const string Input = "input", Output = "output";

    public const string Used = "used", Free = "free", Cached = "cached";

    public const string Completed = "completed", Cancelled = "cancelled", Failed = "failed";

    /// <summary>What requests are for.</summary>
    public static class Operations
    {
        public const string Chat = "chat", TextCompletion = "text_completion", Embeddings = "embeddings", Score = "score", Logits = "logits";
    }

    /// <summary>Names of attributes.</summary>
    public static class Attributes
    {
        public const string
            ErrorType = "error.type",
            FinishReasons = "gen_ai.response.finish_reasons",
            FrequencyPenalty = "gen_ai.request.frequency_penalty",
            MaxTokens = "gen_ai.request.max_tokens",
            Operation = "gen_ai.operation.name",
            Outcome = "decart.request.outcome",
            PageState = "decart.kv.page.state",
            PresencePenalty = "gen_ai.request.presence_penalty",
            Provider = "gen_ai.provider.name",
            RequestModel = "gen_ai.request.model",
            ResponseModel = "gen_ai.response.model",
            Seed = "gen_ai.request.seed",
            StopSequences = "gen_ai.request.stop_sequences",
            Temperature = "gen_ai.request.temperature",
            TimeToFirstChunk = "gen_ai.response.time_to_first_chunk",
            TokenType = "gen_ai.token.type",
            TopK = "gen_ai.request.top_k",
            TopP = "gen_ai.request.top_p",
            UsageCached = "gen_ai.usage.cache_read.input_tokens",
            UsageInput = "gen_ai.usage.input_tokens",
            UsageOutput = "gen_ai.usage.output_tokens";
    }

    /// <summary>Names of instruments.</summary>
    public static class Instruments
    {
        public const string
            RequestDuration = "gen_ai.server.request.duration",
            TimeToFirstToken = "gen_ai.server.time_to_first_token",
            TimePerOutputToken = "gen_ai.server.time_per_output_token",
            TokenUsage = "gen_ai.client.token.usage",
            QueueLength = "decart.queue.length",
            RequestsRunning = "decart.requests.running",
            RequestsSubmitted = "decart.requests.submitted",
            RequestsEnded = "decart.requests.ended",
            KvPages = "decart.kv.pages",
            PrefixHits = "decart.prefix.hits",
            Preemptions = "decart.preemptions";
    }
}
