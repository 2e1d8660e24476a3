using System.Text;
using Microsoft.Extensions.AI;

namespace Decart.Inference.Chat.Answers;

/// <summary>
/// Reads a model's answer as it is generated: what it thinks, what it says and the functions that it calls. Text is passed on as soon as it is certain not to begin a mark, with
/// its white space; only the line breaks around thoughts, what separates calls, and white space that nothing is said with are the template's and not the answer's.
/// For one answer and one thread.
/// </summary>
/// <param name="calls">The format of calls; null where the model is offered no functions.</param>
/// <param name="thinks">Whether the prompt has begun what the model thinks.</param>
internal sealed class AnswerReader(ToolCallFormat? calls, bool thinks)
{
    /// <summary>What begins and ends a model's thoughts.</summary>
    private static readonly (string Open, string Close)[] Thoughts = [("<think>", "</think>"), ("[THINK]", "[/THINK]")];

    private readonly StringBuilder _pending = new();
    private State _state = thinks ? State.Thought : State.Beginning;
    private string[] _thoughtEnds = [.. Thoughts.Select(thought => thought.Close)];
    private string _opening = "";
    private bool _isThoughtNew = true, _isAfterThought;

    private enum State
    {
        /// <summary>Nothing but white space so far.</summary>
        Beginning,
        Thought,
        Text,
        Call,
    }

    /// <summary>The marks that answers are read by; where they are special tokens they must be written out.</summary>
    public static IReadOnlyList<string> Marks { get; } =
    [
        .. Thoughts.SelectMany(thought => new[] { thought.Open, thought.Close }), "<tool_call>", "</tool_call>", "[TOOL_CALLS]", "[ARGS]", "[CALL_ID]", "<|python_tag|>",
    ];

    /// <summary>Whether what comes next is thought and not said.</summary>
    public bool IsThinking => _state == State.Thought;

    /// <summary>Number of calls so far.</summary>
    public int Calls { get; private set; }

    /// <summary>Whether a prompt ends within a thought, so that the answer begins there.</summary>
    public static bool EndsInThought(string prompt) => Thoughts.Any(thought => prompt.AsSpan().TrimEnd().EndsWith(thought.Open, StringComparison.Ordinal));

    /// <summary>The marks around the thoughts of a template's model; null where it has none.</summary>
    public static (string Open, string Close)? ThoughtsOf(ChatTemplate template) =>
        Thoughts.Where(thought => template.Contains(thought.Close)).Cast<(string, string)?>().FirstOrDefault();

    /// <summary>Takes more of the answer and gives what is certain.</summary>
    public List<AIContent> Append(string text)
    {
        _pending.Append(text);
        List<AIContent> contents = [];
        while (Advance(contents, ended: false)) { }
        return contents;
    }

    /// <summary>The answer ends here: gives the rest of it.</summary>
    public List<AIContent> Flush()
    {
        List<AIContent> contents = [];
        while (Advance(contents, ended: true)) { }
        return contents;
    }

    /// <summary>Reads one piece; false when more text is needed.</summary>
    private bool Advance(List<AIContent> contents, bool ended)
    {
        string text = _pending.ToString();
        switch (_state)
        {
            case State.Beginning: return Begin(text, ended);
            case State.Thought: return ReadUntil(text, _thoughtEnds, contents, thought => new TextReasoningContent(thought), EndThought, ended);
            case State.Text: return ReadUntil(text, TextEnds(), contents, said => new TextContent(said), EndText, ended);
            default: return ReadCall(text, contents, ended);
        }
    }

    private bool Begin(string text, bool ended)
    {
        string start = text.TrimStart();
        if (start.Length == 0 && (!ended || text.Length == 0 || Calls > 0)) return false;
        string[] marks = [.. ThoughtBeginnings, .. calls?.Openings ?? []];
        if (!ended && marks.Any(mark => mark.Length > start.Length && mark.StartsWith(start, StringComparison.Ordinal))) return false;
        string space = text[..^start.Length];
        if (_isAfterThought) space = space.TrimStart('\n');
        _isAfterThought = false;
        Drop(text.Length - start.Length);
        if (marks.FirstOrDefault(mark => start.StartsWith(mark, StringComparison.Ordinal)) is { } opening)
        {
            Drop(opening.Length);
            EndText(opening);
            _opening = space + _opening;
        }
        else if (start.Length > 0 && calls?.MayBegin(start[0]) == true)
        {
            Enter(State.Call, space);
        }
        else
        {
            _pending.Insert(0, space);
            _state = State.Text;
        }
        return true;
    }

    private static IEnumerable<string> ThoughtBeginnings => Thoughts.Select(thought => thought.Open);

    private IEnumerable<string> TextEnds() => ThoughtBeginnings.Concat(calls?.OpeningsAfterText ?? []);

    private void EndText(string mark)
    {
        (string Open, string Close) thought = Thoughts.FirstOrDefault(thought => thought.Open == mark);
        if (thought.Close is null)
        {
            Enter(State.Call, mark);
            return;
        }
        _thoughtEnds = [thought.Close];
        _isThoughtNew = true;
        _state = State.Thought;
    }

    private void EndThought(string mark)
    {
        _isAfterThought = true;
        _state = State.Beginning;
    }

    /// <summary>Reads text up to the first of some marks, which ends it.</summary>
    private bool ReadUntil(string text, IEnumerable<string> marks, List<AIContent> contents, Func<string, AIContent> create, Action<string> end, bool ended)
    {
        (int found, string? first) = (text.Length, null);
        foreach (string mark in marks)
        {
            int index = text.IndexOf(mark, StringComparison.Ordinal);
            if (index < 0 || index >= found) continue;
            (found, first) = (index, mark);
        }
        if (first is not null)
        {
            Add(_state == State.Thought ? text[..found].TrimEnd('\n') : text[..found]);
            Drop(found + first.Length);
            end(first);
            return true;
        }
        int certain = ended ? text.Length : Certain(text, marks);
        while (!ended && _state == State.Thought && certain > 0 && text[certain - 1] == '\n') certain--;
        Add(text[..certain]);
        Drop(certain);
        return false;

        void Add(string piece)
        {
            if (_state == State.Thought && _isThoughtNew) piece = piece.TrimStart('\n');
            if (piece.Length == 0) return;
            _isThoughtNew = _state != State.Thought;
            contents.Add(create(piece));
        }
    }

    /// <summary>How much of a text cannot be the beginning of a mark.</summary>
    private static int Certain(string text, IEnumerable<string> marks)
    {
        int certain = text.Length;
        foreach (string mark in marks)
        {
            for (int length = Math.Min(mark.Length - 1, text.Length); length > 0; length--)
            {
                if (!text.AsSpan().EndsWith(mark.AsSpan(0, length), StringComparison.Ordinal)) continue;
                certain = Math.Min(certain, text.Length - length);
                break;
            }
        }
        return certain;
    }

    private void Enter(State state, string opening)
    {
        _state = state;
        _opening = opening;
    }

    private bool ReadCall(string text, List<AIContent> contents, bool ended)
    {
        int end = calls!.Closing is { } closing ? text.IndexOf(closing, StringComparison.Ordinal) : -1;
        if (end < 0 && !ended) return false;
        string body = end < 0 ? text : text[..end];
        if (body.Length == 0 && _opening.Length == 0) return false;
        List<FunctionCallContent>? read = calls.Read(body);
        if (read is null) contents.Add(new TextContent(_opening + body + (end < 0 ? "" : calls.Closing)));
        else contents.AddRange(read);
        Calls += read?.Count ?? 0;
        Drop(end < 0 ? text.Length : end + calls.Closing!.Length);
        Enter(read is null || end < 0 ? State.Text : State.Beginning, "");
        return end >= 0;
    }

    private void Drop(int length) => _pending.Remove(0, length);
}
