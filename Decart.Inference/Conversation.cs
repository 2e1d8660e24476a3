using System.Runtime.CompilerServices;
using Decart.Inference.Engine;

namespace Decart.Inference;

/// <summary>
/// A text that grows turn by turn: each turn adds a prompt and the model's answer. Keys and values stay in memory between turns, so that a turn
/// computes only what is new.
/// </summary>
/// <remarks>
/// <para>
/// A conversation is for one caller at a time; different conversations of a session run together like all requests. When memory is
/// short, conversations between turns give theirs up first: their next turn then takes longer and gives the same answer.
/// </para>
/// <para>
/// A turn whose enumerator is abandoned without being disposed ends once the garbage collector finds it; until then it counts as running.
/// </para>
/// <para>
/// It holds what its caller has seen: after a turn that was cancelled or left early, the prompt and the tokens of the updates that were read; after
/// a turn that failed, what it held before that turn.
/// </para>
/// </remarks>
public sealed class Conversation : IDisposable
{
    private readonly LlmSession _session;
    private readonly List<int> _tokens;
    private readonly KeptKv _kept = new();
    private int _busy;
    private bool _disposed;

    internal Conversation(LlmSession session, IEnumerable<int> tokens)
    {
        _session = session;
        _tokens = [.. tokens];
    }

    /// <summary>Releases the pages of a conversation that was never disposed.</summary>
    ~Conversation() => Close();

    /// <summary>Number of tokens: the prompts and answers of all turns.</summary>
    public int TokenCount => _tokens.Count;

    /// <summary>A copy of its tokens.</summary>
    public IReadOnlyList<int> TokenIds => [.. _tokens];

    /// <summary>Adds a prompt and streams the model's answer, which is added token by token as it is read.</summary>
    /// <param name="prompt">
    /// What comes next. Text is encoded with the special tokens that begin a text in the first turn only; an empty prompt continues what is there.
    /// </param>
    /// <param name="options">How to sample and when to stop; <see langword="null"/> for the defaults. A seed applies to each turn separately.</param>
    /// <param name="cancellationToken">Cancels the turn; so does leaving the enumeration early.</param>
    /// <returns>
    /// The updates. The turn begins with the enumeration, where the prompt is checked; <see cref="Usage.PromptTokens"/> counts all tokens before the answer,
    /// <see cref="Usage.CachedPromptTokens"/> those that were still in memory.
    /// </returns>
    /// <exception cref="InvalidOperationException">Another turn is running; or the model failed while it computed this one.</exception>
    /// <exception cref="ObjectDisposedException">The conversation or its session has been disposed.</exception>
    /// <inheritdoc cref="LlmSession.GenerateAsync" path="/exception[not(contains(@cref, 'InvalidOperation') or contains(@cref, 'ObjectDisposed'))]"/>
    public IAsyncEnumerable<GenerationUpdate> StreamAsync(Prompt prompt, GenerationOptions? options = null, CancellationToken cancellationToken = default) =>
        new SequentialStream<GenerationUpdate>(TakeTurnAsync(prompt, _session.Validate(options), cancellationToken));

    /// <summary>Adds a prompt and the model's whole answer.</summary>
    /// <inheritdoc cref="StreamAsync" path="/param"/>
    /// <returns>The answer.</returns>
    /// <inheritdoc cref="StreamAsync" path="/exception"/>
    public async Task<GenerationResult> GenerateAsync(Prompt prompt, GenerationOptions? options = null, CancellationToken cancellationToken = default) =>
        await GenerationResult.CollectAsync(StreamAsync(prompt, options, cancellationToken)).ConfigureAwait(false);

    /// <summary>Creates an independent conversation with the same tokens. The two share their keys and values, of which at most one page is copied.</summary>
    /// <exception cref="InvalidOperationException">A turn is running.</exception>
    /// <exception cref="ObjectDisposedException">The conversation has been disposed.</exception>
    public Conversation Fork()
    {
        using Use use = new(this);
        Conversation fork = new(_session, _tokens);
        KeptKv mine = _kept, its = fork._kept;
        _session.PostToEngine(conversations => conversations.Fork(mine, its));
        return fork;
    }

    /// <summary>Returns to an earlier state: drops all but the first tokens.</summary>
    /// <param name="tokens">How many tokens to keep, at most <see cref="TokenCount"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="tokens"/> is negative or above <see cref="TokenCount"/>.</exception>
    /// <exception cref="InvalidOperationException">A turn is running.</exception>
    /// <exception cref="ObjectDisposedException">The conversation has been disposed.</exception>
    public void Rewind(int tokens)
    {
        using Use use = new(this);
        ArgumentOutOfRangeException.ThrowIfNegative(tokens);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(tokens, _tokens.Count);
        Truncate(tokens);
    }

    /// <summary>Releases its pages. A turn in progress goes on to its end.</summary>
    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        Close();
        GC.SuppressFinalize(this);
    }

    private async IAsyncEnumerable<GenerationUpdate> TakeTurnAsync(
        Prompt prompt, GenerationOptions options, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using Use use = new(this);
        int before = _tokens.Count, keep = before;
        LlmSession.Request request = _session.Prepare(_tokens, prompt, options, cancellationToken);
        _tokens.AddRange(request.Prompt.AsSpan(before));
        try
        {
            IAsyncEnumerator<GenerationUpdate> updates =
                _session.RunAsync(request, _kept, Forgotten, cancellationToken).GetAsyncEnumerator(CancellationToken.None);
            await using ConfiguredAsyncDisposable end = updates.ConfigureAwait(false);
            while (await NextAsync(updates, cancellationToken).ConfigureAwait(false))
            {
                _tokens.AddRange(updates.Current.TokenIds);
                keep = _tokens.Count;
                yield return updates.Current;
            }
        }
        finally
        {
            Truncate(keep);
        }

        void Forgotten()
        {
            Truncate(keep);
            use.Dispose();
        }

        async ValueTask<bool> NextAsync(IAsyncEnumerator<GenerationUpdate> updates, CancellationToken cancellationToken)
        {
            try
            {
                return await updates.MoveNextAsync().ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                keep = _tokens.Count; // the prompt and what was read
                throw;
            }
            catch
            {
                keep = before;
                throw;
            }
        }
    }

    private void Truncate(int tokens)
    {
        _tokens.RemoveRange(tokens, _tokens.Count - tokens);
        KeptKv kept = _kept;
        _session.PostToEngine(conversations => conversations.Truncate(kept, tokens));
    }

    private void Close()
    {
        KeptKv kept = _kept;
        _session.PostToEngine(conversations => conversations.Close(kept));
    }

    /// <summary>The use of a conversation by its one caller.</summary>
    private readonly struct Use : IDisposable
    {
        private readonly Conversation _conversation;

        public Use(Conversation conversation)
        {
            ObjectDisposedException.ThrowIf(conversation._disposed, conversation);
            if (Interlocked.Exchange(ref conversation._busy, 1) == 1)
                throw new InvalidOperationException("A turn of this conversation is running; a conversation is for one caller at a time. Fork it to go on in two ways.");
            _conversation = conversation;
        }

        public void Dispose() => Volatile.Write(ref _conversation._busy, 0);
    }
}
