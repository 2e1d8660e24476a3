using System.Runtime.CompilerServices;
using Decart.Inference.Chat;
using Microsoft.Extensions.AI;

namespace Decart.Inference.Hosting;

/// <summary>The chat client of a hosted model, from the beginning: calls wait until the model is loaded, and say then if it has no chat template.</summary>
internal sealed class HostedChatClient : IChatClient
{
    private readonly HostedModel _model;
    private readonly HostedSession _session;
    private readonly Lazy<IChatClient> _loaded;

    public HostedChatClient(HostedModel model, HostedSession session, ChatTemplate? template)
    {
        _model = model;
        _session = session;
        _loaded = new Lazy<IChatClient>(() => model.RequireSession().AsChatClient(template));
    }

    public async Task<ChatResponse> GetResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default)
    {
        IChatClient client = await LoadedAsync(cancellationToken).ConfigureAwait(false);
        return await client.GetResponseAsync(messages, options, cancellationToken).ConfigureAwait(false);
    }

    public async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        IChatClient client = await LoadedAsync(cancellationToken).ConfigureAwait(false);
        await foreach (ChatResponseUpdate update in client.GetStreamingResponseAsync(messages, options, cancellationToken).ConfigureAwait(false)) yield return update;
    }

    public object? GetService(Type serviceType, object? serviceKey = null)
    {
        ArgumentNullException.ThrowIfNull(serviceType);
        if (serviceKey is not null) return null;
        if (serviceType == typeof(ChatClientMetadata)) return SessionChatClient.Metadata(_model.Options.Model);
        if (serviceType.IsInstanceOfType(this)) return this;
        if (serviceType.IsInstanceOfType(_session)) return _session;
        return _model.Session is null ? null : _loaded.Value.GetService(serviceType);
    }

    /// <summary>The session is the host's.</summary>
    public void Dispose() { }

    private async ValueTask<IChatClient> LoadedAsync(CancellationToken cancellationToken)
    {
        await _model.GetAsync(cancellationToken).ConfigureAwait(false);
        return _loaded.Value;
    }
}
