using System.Globalization;
using Decart.Inference;

namespace Soak;

/// <summary>A row of figures each half minute.</summary>
internal sealed class ProgressTable(LlmSession session, Tally tally)
{
    public const string Head =
        "   time    done cancelled   left checked failed  tokens/s preempted  prefix tokens  pages used/cached    set MiB heap MiB handles mappings threads";

    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(30);

    private TimeSpan _last;
    private long _lastTokens = session.GetStatistics().GeneratedTokens;

    public void WriteRowIfDue(TimeSpan elapsed, ProcessSample sample)
    {
        if (elapsed - _last < Interval) return;
        SessionStatistics statistics = session.GetStatistics();
        double rate = (statistics.GeneratedTokens - _lastTokens) / (elapsed - _last).TotalSeconds;
        string pages = $"{statistics.KvPagesInUse}/{statistics.KvPagesCached} of {statistics.KvPagesTotal}";
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{elapsed,7:mm\\:ss} {tally.Done,7} {tally.Cancelled,9} {tally.Left,6} {tally.Checked,7} {tally.Failures,6} {rate,9:F0} {statistics.Preemptions,9} {statistics.PrefixHitTokens,14} {pages,18} {sample.WorkingSet / 1048576.0,10:F1} {sample.Heap / 1048576.0,8:F1} {sample.Handles,7} {sample.Mappings,8} {sample.Threads,7}"));
        (_last, _lastTokens) = (elapsed, statistics.GeneratedTokens);
    }
}
