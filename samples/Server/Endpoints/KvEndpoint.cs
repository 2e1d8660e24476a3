using Decart.Inference;
using Server.Contracts;
using Server.Http;

namespace Server.Endpoints;

/// <summary><c>GET /kv</c>: what the page draws.</summary>
internal static class KvEndpoint
{
    public static async Task AnswerAsync(HttpContext context, ServedModel model)
    {
        KvMap map = await model.Session.GetKvMapAsync(context.RequestAborted);
        SessionStatistics statistics = model.Session.GetStatistics();
        context.Response.Headers.CacheControl = "no-store";
        KvSnapshot snapshot = new(
            DateTimeOffset.UtcNow.ToUnixTimeMilliseconds(),
            statistics.RunningSequences,
            statistics.WaitingSequences,
            model.MostRunning,
            statistics.GeneratedTokens,
            statistics.PromptTokens,
            statistics.PrefixHitTokens,
            statistics.Preemptions,
            map.Paging.ToString(),
            map.Pages,
            map.PageBytes,
            map.TokenBytes,
            map.Cached,
            [.. map.Sequences.Select(sequence => new KvSequence(Id(sequence), sequence.Tokens, sequence.IsIdle, sequence.Pages))]);
        await JsonBody.WriteAsync(context, snapshot, ServerJson.Default.KvSnapshot);
    }

    /// <summary>Where a sequence's keys and values lie tells it from others, but addresses are nobody's business: they are mixed with a secret of the process.</summary>
    private static uint Id(KvMapSequence sequence) => (uint)HashCode.Combine(sequence.Address != 0 ? sequence.Address : sequence.Pages.FirstOrDefault(-1));
}
