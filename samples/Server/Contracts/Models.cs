namespace Server.Contracts;

/// <summary>The answer of <c>GET /v1/models</c>.</summary>
internal sealed record ModelList(string Object, IReadOnlyList<ModelDescription> Data);

/// <param name="Id">What requests call it.</param>
/// <param name="Object">Always <c>model</c>.</param>
/// <param name="Created">When it was loaded, in seconds since 1970.</param>
/// <param name="OwnedBy">Who serves it.</param>
/// <param name="Architecture">Its family.</param>
/// <param name="ContextLength">The most tokens of a request, prompt and completion together.</param>
/// <param name="Device">Where it computes.</param>
/// <param name="IsChatModel">Whether it has a chat template; others continue texts.</param>
/// <param name="SupportsTools">Whether its chat template offers tools.</param>
internal sealed record ModelDescription(
    string Id, string Object, long Created, string OwnedBy, string Architecture, int ContextLength, string Device, bool IsChatModel, bool SupportsTools);
