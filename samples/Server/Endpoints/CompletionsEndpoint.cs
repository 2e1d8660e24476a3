using System.Text;
using Decart.Inference;
using Microsoft.Extensions.Options;
using Server.Contracts;
using Server.Http;

namespace Server.Endpoints;

/// <summary><c>POST /v1/completions</c>.</summary>
internal sealed class CompletionsEndpoint(IOptions<ServerOptions> options)
{
    /// <summary>As many as OpenAI's API generates where a request does not say.</summary>
    private const int DefaultTokens = 16;

    public async Task AnswerAsync(HttpContext context, ServedModel model, CompletionRequest request)
    {
        List<Prompt> prompts = PromptReader.Read(request.Prompt, "prompt", options.Value.MaxChoices, model.Session.Model.VocabularySize);
        int each = GenerationReader.Choices(request.N, prompts.Count, options.Value), count = each * prompts.Count;
        if (request.BestOf is { } best && best != each) throw new ApiException("\"best_of\" can only be as many as are returned.", "best_of", "unsupported");
        if (request.Logprobs is not (null or (>= 0 and <= 20))) throw new ApiException("\"logprobs\" must be 0 to 20.", "logprobs");
        if (request.Suffix is not null) throw new ApiException("Texts are continued at their ends: \"suffix\" can only be null.", "suffix", "unsupported");
        bool isEchoOnly = request is { Echo: true, MaxTokens: 0 };
        GenerationOptions generation = GenerationReader.Read(request, isEchoOnly ? null : request.MaxTokens, "max_tokens", DefaultTokens, model) with { TopLogprobs = request.Logprobs };
        model.Require(generation);
        PromptEcho?[] echoes = request.Echo is true ? await Task.WhenAll(prompts.Select(prompt => PromptEcho.CreateAsync(prompt, request.Logprobs, model, context.RequestAborted))) : new PromptEcho?[prompts.Count];
        CompletionDeltas[] deltas = [.. Enumerable.Range(0, count).Select(index => new CompletionDeltas(index, model.Session.Tokenizer, echoes[index / each]?.Characters ?? 0))];
        await using Choices<GenerationUpdate> choices = new(
            count,
            (choice, cancellation) => isEchoOnly ? echoes[choice / each]!.EndAsync() : model.Session.StreamAsync(prompts[choice / each], GenerationReader.ForChoice(generation, choice % each), cancellation),
            context.RequestAborted);
        await choices.RequireBegunAsync();
        CompletionResponse answer = new($"cmpl-{Guid.NewGuid():N}", "text_completion", DateTimeOffset.UtcNow.ToUnixTimeSeconds(), model.Id, []) { Usage = new StreamUsage(request.StreamOptions?.IncludeUsage is true, null) };
        CompletionChoice[] beginnings = [.. Enumerable.Range(0, count).Where(index => echoes[index / each] is not null).Select(index => echoes[index / each]!.ToChoice(index))];
        if (request.Stream is true) await StreamAsync(context, answer, choices, deltas, beginnings, () => Usage(deltas, each), request.StreamOptions?.IncludeUsage is true);
        else await JsonBody.WriteAsync(context, answer with { Choices = await CollectAsync(choices, deltas, beginnings), Usage = new StreamUsage(true, Usage(deltas, each)) }, ServerJson.Default.CompletionResponse);
    }

    private static async Task StreamAsync(
        HttpContext context, CompletionResponse answer, Choices<GenerationUpdate> choices, CompletionDeltas[] deltas, CompletionChoice[] beginnings, Func<CompletionUsage> usage, bool includesUsage)
    {
        EventStream events = await EventStream.BeginAsync(context);
        await events.RunAsync(async () =>
        {
            foreach (CompletionChoice beginning in beginnings) await SendAsync(answer with { Choices = [beginning] });
            await foreach ((int choice, GenerationUpdate update) in choices.ReadAllAsync())
            {
                if (deltas[choice].Next(update) is { } piece) await SendAsync(answer with { Choices = [piece] });
            }
            if (includesUsage) await SendAsync(answer with { Usage = new StreamUsage(true, usage()) });
            await events.EndAsync();
        });

        Task SendAsync(CompletionResponse piece) => events.SendAsync(piece, ServerJson.Default.CompletionResponse);
    }

    private static async Task<IReadOnlyList<CompletionChoice>> CollectAsync(Choices<GenerationUpdate> choices, CompletionDeltas[] deltas, CompletionChoice[] beginnings)
    {
        Collected[] collected = [.. deltas.Select(_ => new Collected())];
        foreach (CompletionChoice beginning in beginnings) collected[beginning.Index].Add(beginning);
        await foreach ((int choice, GenerationUpdate update) in choices.ReadAllAsync())
        {
            if (deltas[choice].Next(update) is { } piece) collected[choice].Add(piece);
        }
        return [.. collected.Select((choice, index) => choice.ToChoice(index))];
    }

    /// <summary>A prompt counts once, however many completions it has.</summary>
    private static CompletionUsage Usage(CompletionDeltas[] deltas, int each)
    {
        Usage[] first = [.. deltas.Where((_, index) => index % each == 0).Select(delta => delta.Usage!)];
        int prompt = first.Sum(usage => usage.PromptTokens), completion = deltas.Sum(delta => delta.Usage!.CompletionTokens);
        return new CompletionUsage(prompt, completion, prompt + completion, new PromptTokensDetails(first.Sum(usage => usage.CachedPromptTokens)), new CompletionTokensDetails(0));
    }

    /// <summary>A completion that is not streamed.</summary>
    private sealed class Collected
    {
        private readonly StringBuilder _text = new();
        private readonly List<CompletionLogprobs> _logprobs = [];
        private string? _finishReason;

        public void Add(CompletionChoice piece)
        {
            _text.Append(piece.Text);
            if (piece.Logprobs is not null) _logprobs.Add(piece.Logprobs);
            _finishReason = piece.FinishReason ?? _finishReason;
        }

        public CompletionChoice ToChoice(int index) => new(index, _text.ToString(), _logprobs.Count > 0 ? Joined() : null, _finishReason);

        private CompletionLogprobs Joined() => new(
            [.. _logprobs.SelectMany(part => part.Tokens)],
            [.. _logprobs.SelectMany(part => part.TokenLogprobs)],
            [.. _logprobs.SelectMany(part => part.TopLogprobs!)],
            [.. _logprobs.SelectMany(part => part.TextOffset)]);
    }
}
