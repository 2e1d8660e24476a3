using System.Globalization;
using System.Text.Json;
using Decart.Inference;
using Server.Contracts;
using Server.Http;

namespace Server.Endpoints;

/// <summary>Reads how answers are sampled and when they end. What only the session can check, it refuses itself.</summary>
internal static class GenerationReader
{
    private const int MostStops = 16;

    /// <param name="request">The request.</param>
    /// <param name="maxTokens">The most tokens that it asks for; null where it does not say.</param>
    /// <param name="maxTokensField">Where it says so.</param>
    /// <param name="defaultTokens">The most tokens where it does not say.</param>
    /// <param name="model">The model.</param>
    /// <exception cref="ApiException">Something is out of bounds.</exception>
    public static GenerationOptions Read(GenerationRequest request, int? maxTokens, string maxTokensField, int defaultTokens, ServedModel model)
    {
        if (request.StreamOptions is not null && request.Stream is not true) throw new ApiException("\"stream_options\" are for answers that are streamed.", "stream_options");
        return new GenerationOptions
        {
            MaxTokens = MaxTokens(maxTokens, maxTokensField, defaultTokens, model),
            Temperature = request.Temperature,
            TopP = request.TopP,
            TopK = request.TopK,
            MinP = request.MinP,
            FrequencyPenalty = request.FrequencyPenalty ?? 0,
            PresencePenalty = request.PresencePenalty ?? 0,
            RepetitionPenalty = request.RepetitionPenalty,
            Seed = request.Seed,
            StopSequences = Stops(request.Stop),
            LogitBias = LogitBias(request.LogitBias, model),
            IgnoreEndOfText = request.IgnoreEos ?? false,
        };
    }

    public static int MaxTokens(int? asked, string field, int unlessAsked, ServedModel model)
    {
        if (asked is { } tokens && (tokens < 1 || tokens > model.MostTokens)) throw new ApiException($"\"{field}\" must be 1 to {model.MostTokens}; it is {tokens}.", field);
        return asked ?? Math.Min(unlessAsked, model.MostTokens);
    }

    /// <summary>How many answers to a prompt.</summary>
    public static int Choices(int? asked, int prompts, ServerOptions options)
    {
        int choices = asked ?? 1;
        if (choices < 1) throw new ApiException($"\"n\" must be at least 1; it is {choices}.", "n");
        return (long)choices * prompts <= options.MaxChoices ? choices : throw new ApiException($"{(long)choices * prompts} answers are more than the {options.MaxChoices} of one request.", "n");
    }

    /// <summary>The options of one of several answers: with a seed, each has its own.</summary>
    public static GenerationOptions ForChoice(GenerationOptions options, int choice) => options.Seed is { } seed ? options with { Seed = unchecked(seed + choice) } : options;

    private static string[] Stops(JsonElement? stop)
    {
        string[]? texts = stop switch
        {
            null or { ValueKind: JsonValueKind.Null } => [],
            { ValueKind: JsonValueKind.String } text => [text.GetString()!],
            { ValueKind: JsonValueKind.Array } list when list.EnumerateArray().All(item => item.ValueKind == JsonValueKind.String) => [.. list.EnumerateArray().Select(item => item.GetString()!)],
            _ => null,
        };
        return texts is { Length: <= MostStops } ? texts : throw new ApiException($"\"stop\" must be a text or a list of at most {MostStops} texts.", "stop");
    }

    private static Dictionary<int, float>? LogitBias(IReadOnlyDictionary<string, float>? bias, ServedModel model)
    {
        if (bias is null) return null;
        Dictionary<int, float> tokens = [];
        foreach ((string name, float value) in bias)
        {
            if (!int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out int id) || id >= model.Session.Model.VocabularySize)
                throw new ApiException($"\"logit_bias\" names the token \"{name}\"; ids go from 0 to {model.Session.Model.VocabularySize - 1}.", "logit_bias");
            if (value is not (>= -100 and <= 100)) throw new ApiException($"\"logit_bias\" must be -100 to 100; that of token {id} is not.", "logit_bias");
            if (!tokens.TryAdd(id, value)) throw new ApiException($"\"logit_bias\" names the token {id} twice.", "logit_bias");
        }
        return tokens;
    }
}
