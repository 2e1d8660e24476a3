using Decart.Inference.Grammars.Languages;

namespace Decart.Inference.Grammars.Productions;

/// <summary>The rules of a grammar.</summary>
/// <param name="table">The languages of its terminals.</param>
internal sealed class RuleSet(LanguageTable table)
{
    /// <summary>Rules that one grammar may have.</summary>
    private const int MaxRules = 20_000;

    /// <summary>Rules that may begin with one another, one inside the other.</summary>
    private const int MaxChain = 500;

    /// <summary>Times that all rules are looked at; few are enough unless a grammar is made to need many.</summary>
    private const int MaxPasses = 200;

    private readonly List<Rule> _rules = [];

    public LanguageTable Table => table;

    /// <summary>A new rule, whose body is still to be set.</summary>
    public Rule Add(string name)
    {
        if (_rules.Count == MaxRules) throw new GrammarException($"The grammar has more than {MaxRules} rules.");
        Rule rule = new(name);
        _rules.Add(rule);
        return rule;
    }

    public Terminal Terminal(Language language) => new(table, language);

    /// <summary>Finds out what the rules need to know of each other. Once, when all have their bodies.</summary>
    /// <exception cref="GrammarException">A rule begins with itself.</exception>
    public void Settle()
    {
        SettleNullable();
        RefuseLeftRecursion();
        SettleCosts();
    }

    private void SettleNullable() => Settle(rule =>
    {
        if (rule.IsNullable || !rule.Body!.FindNullable()) return false;
        return rule.IsNullable = true;
    });

    /// <summary>Looks at all rules until nothing changes, forwards and backwards: what is known of a rule then goes along whole chains of them at once.</summary>
    private void Settle(Predicate<Rule> changes)
    {
        bool changed = true;
        for (int pass = 0; changed; pass++)
        {
            if (pass == MaxPasses) throw new GrammarException("The grammar's rules depend on one another in too many ways.");
            changed = false;
            // Rules are made before those that they refer to, or after them.
            for (int i = 0; i < _rules.Count; i++) changed |= changes(_rules[pass % 2 == 0 ? _rules.Count - 1 - i : i]);
        }
    }

    private void RefuseLeftRecursion()
    {
        HashSet<Rule> done = [], open = [];
        foreach (Rule start in _rules)
        {
            Stack<(Rule Rule, Queue<Rule> Next)> path = [];
            Enter(start);
            while (path.TryPeek(out (Rule Rule, Queue<Rule> Next) last))
            {
                if (last.Next.TryDequeue(out Rule? next))
                {
                    if (open.Contains(next)) throw new GrammarException($"{next.Name} begins with itself: such rules would never end.");
                    Enter(next);
                    continue;
                }
                path.Pop();
                open.Remove(last.Rule);
                done.Add(last.Rule);
            }

            void Enter(Rule rule)
            {
                if (done.Contains(rule)) return;
                List<Rule> leftmost = [];
                rule.Body!.AddLeftmost(leftmost);
                open.Add(rule);
                if (path.Count == MaxChain) throw new GrammarException($"{rule.Name} is one of more than {MaxChain} rules that begin with one another.");
                path.Push((rule, new Queue<Rule>(leftmost)));
            }
        }
    }

    /// <summary>Level by level: each depends on itself and the one before, so that nothing changes any more once two are the same.</summary>
    private void SettleCosts()
    {
        for (int depth = 0; depth <= Rule.MaxDepth; depth++)
        {
            SettleCosts(depth);
            bool isSame = depth > 0 && _rules.TrueForAll(rule => rule.Costs[depth] == rule.Costs[depth - 1]);
            if (!isSame) continue;
            foreach (Rule rule in _rules) rule.Costs[depth..].Fill(rule.Costs[depth]);
            return;
        }
    }

    private void SettleCosts(int depth) => Settle(rule =>
    {
        int cost = rule.Body!.Cost(depth, isSettled: false);
        if (cost >= rule.Costs[depth]) return false;
        rule.Costs[depth] = cost;
        return true;
    });
}
