using System.Diagnostics.Metrics;
using Decart.Inference;

namespace Server.Metrics;

/// <summary>The counters of the session as instruments.</summary>
internal sealed class SessionMetrics
{
    public const string MeterName = "Decart.Server";

    public SessionMetrics(IMeterFactory meters, ILlmSessionProvider sessions)
    {
        Meter meter = meters.Create(MeterName);
        Gauge("decart.session.running", "{sequence}", "Sequences being computed.", statistics => statistics.RunningSequences);
        Gauge("decart.session.waiting", "{sequence}", "Sequences waiting for their turn or for their reader.", statistics => statistics.WaitingSequences);
        Gauge("decart.session.kv_pages", "{page}", "Physical pages for keys and values.", statistics => statistics.KvPagesTotal);
        Gauge("decart.session.kv_pages_used", "{page}", "Pages that sequences hold.", statistics => statistics.KvPagesInUse);
        Gauge("decart.session.kv_pages_cached", "{page}", "Pages kept for requests that begin with the same tokens.", statistics => statistics.KvPagesCached);
        Counter("decart.session.preemptions", "{preemption}", "How often a sequence gave up its pages.", statistics => statistics.Preemptions);
        Counter("decart.session.prompt_tokens", "{token}", "Prompt tokens computed.", statistics => statistics.PromptTokens);
        Counter("decart.session.prefix_hit_tokens", "{token}", "Prompt tokens taken from the prefix cache.", statistics => statistics.PrefixHitTokens);
        Counter("decart.session.generated_tokens", "{token}", "Tokens generated.", statistics => statistics.GeneratedTokens);

        void Gauge(string name, string unit, string description, Func<SessionStatistics, int> read) => meter.CreateObservableGauge(name, () => Measure(read), unit, description);
        void Counter(string name, string unit, string description, Func<SessionStatistics, long> read) => meter.CreateObservableCounter(name, () => Measure(read), unit, description);

        // Nothing before the model is loaded.
        Measurement<T>[] Measure<T>(Func<SessionStatistics, T> read) where T : struct => sessions.Session is { } session ? [new Measurement<T>(read(session.GetStatistics()))] : [];
    }
}
