using System.Collections.Concurrent;
using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Decart.Inference.Chat.Answers;

/// <summary>
/// What an answer must look like so that arguments of functions match their schemas and answers the response format, with the model free to think first. Keeps what it has made:
/// a session prepares each grammar for its vocabulary once. Safe for use by any number of threads.
/// </summary>
internal sealed class AnswerGrammar
{
    private const int MostKept = 64, MostLinesAfterThought = 2;

    private readonly ConcurrentDictionary<string, Grammar> _kept = [];

    /// <summary>The grammar of an answer; null where it may be any text.</summary>
    /// <param name="format">The format of calls; null where no functions are offered.</param>
    /// <param name="options">The caller's options.</param>
    /// <param name="tools">The functions.</param>
    /// <param name="thoughts">The marks around a thought that the model may begin, or has begun; null where it thinks nothing.</param>
    /// <param name="thinks">Whether it has begun.</param>
    /// <exception cref="GrammarException">A schema asks for what is not supported.</exception>
    public Grammar? Create(ToolCallFormat? format, ChatOptions options, IReadOnlyList<AIFunctionDeclaration> tools, (string Open, string Close)? thoughts, bool thinks)
    {
        JsonElement? schema = (options.ResponseFormat as ChatResponseFormatJson)?.Schema;
        bool isJson = options.ResponseFormat is ChatResponseFormatJson;
        if (format is null && !isJson) return null;
        bool isRequired = options.ToolMode is RequiredChatToolMode;
        int? most = options.AllowMultipleToolCalls is false ? 1 : null;
        string key = $"{format is not null} {isJson} {isRequired} {most} {thoughts} {thinks} {schema}\n{string.Join('\n', tools.Select(tool => $"{tool.Name} {tool.JsonSchema.GetRawText()}"))}";
        if (_kept.TryGetValue(key, out Grammar? known)) return known;
        Grammar? calls = format?.Calls(Grammar.AnyOf(tools.Select(format.Call)), most);
        Grammar? json = !isJson ? null : schema is { } given ? Grammar.JsonSchema(given) : Grammar.JsonObject();
        Grammar answer = calls is null ? json! : isRequired ? calls : json is null ? format!.Answer(calls) : Grammar.AnyOf(json, calls);
        Grammar grammar = AfterThoughts(answer, thoughts, thinks);
        if (_kept.Count >= MostKept) _kept.Clear();
        return _kept.GetOrAdd(key, grammar);
    }

    private static Grammar AfterThoughts(Grammar answer, (string Open, string Close)? thoughts, bool thinks)
    {
        if (thoughts is not { } marks) return answer;
        Grammar rest = Grammar.Sequence(Grammar.TextUntil(marks.Close), Grammar.Repeat(Grammar.Choice("\n"), 0, MostLinesAfterThought), answer);
        return thinks ? rest : Grammar.AnyOf(answer, Grammar.Sequence(Grammar.Literal(marks.Open), rest));
    }
}
