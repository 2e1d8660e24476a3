using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using Decart.Inference.Grammars.Languages;
using Decart.Inference.Grammars.Productions;

namespace Decart.Inference.Grammars.Automata;

/// <summary>
/// Reads texts of a grammar byte by byte. Its states are made when they are first reached. What has to follow is kept in frames that all states share, so a
/// state costs what is new in it. Values of members are texts of their own: what follows them depends on the members that an object has, which a
/// <see cref="Position"/> knows. For one thread at a time.
/// </summary>
internal sealed class Automaton
{
    /// <summary>
    /// Ways to go on that a state follows at the most. A grammar so ambiguous that there are more loses some of its texts; those that are left are right.
    /// </summary>
    private const int MaxConfigurations = 512;

    /// <summary>States, frames and further languages of an automaton that is not yet worth replacing.</summary>
    private const int ManyStates = 50_000, ManyFrames = 200_000, ManyLanguages = 50_000;

    /// <summary>How many times as many there may be for the texts that have begun with it.</summary>
    private const int TooMany = 8;

    private readonly LanguageTable _table;
    private readonly Dictionary<(Production, Frame?), Frame> _frames = [];
    private readonly Dictionary<Configuration[], State> _states = new(SameConfigurations.Comparer), _acceptingStates = new(SameConfigurations.Comparer);
    private readonly Frame?[] _bottoms = new Frame?[Rule.MaxDepth + 1];
    private readonly List<Configuration> _next = [];
    private readonly int _firstLanguages; // those that the grammar itself consists of
    private int _madeFrames;

    /// <param name="rules">Settled.</param>
    /// <param name="root">What a text consists of.</param>
    /// <exception cref="GrammarException">No text can be made of the tokens.</exception>
    public Automaton(RuleSet rules, Production root)
    {
        _table = rules.Table;
        Dead = new State([], accepts: false, Distances.Infinite);
        if (!TryPush(root, below: null, out Frame? frame))
            throw new GrammarException("No text has this form, or none that can be made of the vocabulary's tokens.");
        BranchList branches = new(this);
        branches.Add(StartOf(frame), next: null);
        Start = branches.ToPosition();
        _firstLanguages = _table.Count;
    }

    /// <summary>Where texts begin.</summary>
    public Position Start { get; }

    public State Dead { get; }

    /// <summary>Whether so much is remembered that another automaton of the same grammar should take its place.</summary>
    public bool IsFull => Has(1);

    /// <summary>Whether so much is remembered that even texts that have begun with it should go on with another.</summary>
    public bool IsOverfull => Has(TooMany);

    /// <summary>How many levels may nest in what stands above a frame.</summary>
    public static int DepthAbove(Frame? frame) => frame?.Depth ?? Rule.MaxDepth;

    /// <summary>Puts a production above what follows it.</summary>
    /// <returns>False where it cannot be completed.</returns>
    public bool TryPush(Production production, Frame? below, [NotNullWhen(true)] out Frame? frame)
    {
        ref Frame? place = ref CollectionsMarshal.GetValueRefOrAddDefault(_frames, (production, below), out bool exists);
        if (!exists)
        {
            int depth = DepthAbove(below) - (production is Return ? 1 : 0);
            int cost = Distances.Add(production.Cost(depth), below?.Cost ?? 0);
            if (cost != Distances.Infinite) place = new Frame(_madeFrames++, production, below, depth, cost);
        }
        frame = place;
        return frame is not null;
    }

    /// <summary>The state after a byte; <see cref="Dead"/> where it may not follow.</summary>
    public State After(State state, byte value)
    {
        if (state.AfterByte[value] is { } known) return known;
        _next.Clear();
        bool accepts = false;
        foreach ((Language language, Frame? frame) in state.Configurations)
        {
            Language after = _table.After(language, value);
            if (_table.Distances.IsDead(after)) continue;
            accepts |= Add(after, frame);
        }
        State next = Intern(_next, accepts);
        state.AfterByte.Set(value, next);
        return next;
    }

    /// <summary>The state where what a frame says begins; null stands for the end.</summary>
    public State StartOf(Frame? frame)
    {
        if (frame is null) return Intern([], accepts: true);
        Stack<Frame> path = [];
        for (Frame? unknown = frame; unknown is { Start: null }; unknown = unknown.Production.IsNullable ? unknown.Below : null) path.Push(unknown);
        while (path.TryPop(out Frame? next)) next.Start = FindStart(next);
        return frame.Start!;
    }

    /// <summary>The state where a production begins; null where it cannot be completed.</summary>
    public State? StartOf(Production production, Frame? below) => TryPush(production, below, out Frame? frame) ? StartOf(frame) : null;

    /// <summary>The state where a text of a language begins.</summary>
    public State StartOf(Language language, Frame below) => Intern([new Configuration(language, below)], accepts: false);

    /// <summary>What lies below the value of a member: nothing but how many levels may nest in it.</summary>
    public Frame Bottom(int depth) => _bottoms[depth] ??= new Frame(_madeFrames++, Return.OneLevel, below: null, depth, cost: 0);

    /// <summary>Adds a way to go on, and what follows it if it may be complete.</summary>
    /// <returns>Whether the text may end there.</returns>
    private bool Add(Language language, Frame? frame)
    {
        if (language != _table.EmptyText) _next.Add(new Configuration(language, frame));
        if (!language.IsNullable) return false;
        if (frame is null) return true;
        State start = StartOf(frame);
        _next.AddRange(start.Configurations);
        return start.Accepts;
    }

    /// <summary>Of a frame whose lower frames, as far as they matter, have theirs.</summary>
    private State FindStart(Frame frame)
    {
        List<Configuration> ways = [];
        frame.Production.Expand(this, frame.Below, ways);
        if (!frame.Production.IsNullable) return Intern(ways, accepts: false);
        State below = StartOf(frame.Below);
        ways.AddRange(below.Configurations);
        return Intern(ways, below.Accepts);
    }

    private bool Has(int times) =>
        _states.Count + _acceptingStates.Count > ManyStates * times || _frames.Count > ManyFrames * times || _table.Count - _firstLanguages > ManyLanguages * times;

    private State Intern(List<Configuration> ways, bool accepts)
    {
        if (ways.Count == 0 && !accepts) return Dead;
        ways.Sort(static (a, b) => Order(a).CompareTo(Order(b)));
        Configuration[] distinct = Distinct(ways);
        Dictionary<Configuration[], State> states = accepts ? _acceptingStates : _states;
        if (states.TryGetValue(distinct, out State? known)) return known;
        int cost = accepts ? 0 : distinct.Min(Cost);
        State state = new(distinct, accepts, cost);
        states.Add(distinct, state);
        return state;
    }

    private Configuration[] Distinct(List<Configuration> sorted)
    {
        Span<Configuration> ways = CollectionsMarshal.AsSpan(sorted);
        int kept = 0;
        for (int i = 0; i < ways.Length; i++)
        {
            if (kept == 0 || ways[i] != ways[kept - 1]) ways[kept++] = ways[i];
        }
        if (kept > MaxConfigurations)
        {
            // What costs least must stay, or a text that is cut could no longer be completed.
            ways[..kept].Sort((a, b) => Cost(a).CompareTo(Cost(b)));
            kept = MaxConfigurations;
        }
        return ways[..kept].ToArray();
    }

    private int Cost(Configuration way) => Distances.Add(_table.Distances.Of(way.Language), way.Frame?.Cost ?? 0);

    private static (int, int) Order(Configuration way) => (way.Language.Id, way.Frame?.Id ?? -1);

    private sealed class SameConfigurations : IEqualityComparer<Configuration[]>
    {
        public static readonly SameConfigurations Comparer = new();

        public bool Equals(Configuration[]? x, Configuration[]? y) => x.AsSpan().SequenceEqual(y);

        public int GetHashCode(Configuration[] ways)
        {
            HashCode hash = default;
            foreach (Configuration way in ways)
            {
                hash.Add(way.Language.Id);
                hash.Add(way.Frame?.Id ?? -1);
            }
            return hash.ToHashCode();
        }
    }
}
