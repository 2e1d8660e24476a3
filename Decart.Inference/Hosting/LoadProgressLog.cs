using System.Diagnostics;
using Microsoft.Extensions.Logging;

namespace Decart.Inference.Hosting;

/// <summary>Logs how loading goes: each step, and how far it has come every few seconds.</summary>
internal sealed class LoadProgressLog(ILogger logger, string model) : IProgress<LoadProgress>
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);

    private long _logged;
    private string _step = "";
    private volatile string _latest = "not begun";

    /// <summary>What was reported last. Any thread may read it.</summary>
    public string Latest => _latest;

    public void Report(LoadProgress value)
    {
        _latest = value.BytesTotal > 0 ? $"{value.Step}, {value.Fraction:P0}" : value.Step;
        if (value.Step == _step && Stopwatch.GetElapsedTime(_logged) < Interval) return;
        _step = value.Step;
        _logged = Stopwatch.GetTimestamp();
        logger.Loading(model, _latest);
    }
}
