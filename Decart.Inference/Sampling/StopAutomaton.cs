namespace Decart.Inference.Sampling;

/// <summary>
/// Finds stop sequences by the automaton of Aho and Corasick (1975): each symbol is looked at once, however many sequences there are.
/// A symbol is a UTF-16 unit, or a special token, which adds no characters to a text. Immutable once built.
/// </summary>
internal sealed class StopAutomaton
{
    public const int Root = 0;

    private readonly Dictionary<long, int> _edges = [];
    private readonly List<Node> _nodes = [new Node(Depth: 0, Characters: 0)];

    /// <param name="sequences">Each sequence's symbols, none of them empty.</param>
    public StopAutomaton(IEnumerable<(string Sequence, IReadOnlyList<int> Symbols)> sequences)
    {
        foreach ((string sequence, IReadOnlyList<int> symbols) in sequences) Add(sequence, symbols);
        Link();
    }

    /// <summary>The symbol of a special token.</summary>
    public static int TokenSymbol(int id) => char.MaxValue + 1 + id;

    /// <summary>Where a symbol leads: the state of the longest suffix that begins a sequence.</summary>
    public int Next(int state, int symbol)
    {
        int next;
        while (!_edges.TryGetValue(Edge(state, symbol), out next) && state != Root) state = _nodes[state].Fallback;
        return next;
    }

    /// <summary>How many characters at the end of the text could still be the beginning of a sequence.</summary>
    public int HeldCharacters(int state) => _nodes[state].Characters;

    /// <summary>The longest sequence that ends here and its number of characters, or null.</summary>
    public (string Sequence, int Characters)? Match(int state)
    {
        Node match = _nodes[_nodes[state].LongestMatch];
        return match.Sequence is { } sequence ? (sequence, match.Characters) : null;
    }

    private void Add(string sequence, IReadOnlyList<int> symbols)
    {
        int state = Root;
        foreach (int symbol in symbols)
        {
            if (!_edges.TryGetValue(Edge(state, symbol), out int next))
            {
                next = _nodes.Count;
                _edges.Add(Edge(state, symbol), next);
                Node parent = _nodes[state];
                _nodes.Add(new Node(parent.Depth + 1, parent.Characters + (symbol <= char.MaxValue ? 1 : 0)) { Parent = state, Symbol = symbol });
            }
            state = next;
        }
        _nodes[state].Sequence ??= sequence;
    }

    /// <summary>Finds, from the root outwards, what each state falls back to and the longest sequence that ends there.</summary>
    private void Link()
    {
        foreach (int state in Enumerable.Range(1, _nodes.Count - 1).OrderBy(state => _nodes[state].Depth))
        {
            Node node = _nodes[state];
            node.Fallback = node.Parent == Root ? Root : Next(_nodes[node.Parent].Fallback, node.Symbol);
            node.LongestMatch = node.Sequence is not null ? state : _nodes[node.Fallback].LongestMatch;
        }
    }

    private static long Edge(int state, int symbol) => ((long)state << 32) | (uint)symbol;

    private sealed record Node(int Depth, int Characters)
    {
        public int Parent { get; init; }
        public int Symbol { get; init; }
        public int Fallback { get; set; }
        public int LongestMatch { get; set; }
        public string? Sequence { get; set; }
    }
}
