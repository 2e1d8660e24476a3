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

    public Production Terminal(Language language) => new Terminal(table, language);

    /// <summary>Finds out what the rules need to know of each other. Once, when all have their bodies.</summary>
    /// <exception cref="GrammarException">A rule begins with itself.</exception>
    public void Settle()
    {
        SettleNullable();
        RefuseLeftRecursion();
        SettleCosts();
    }

    private void SettleNullable()
    {
        for (bool changed = true; changed;)
        {
            changed = false;
            foreach (Rule rule in _rules)
            {
                if (rule.IsNullable || !rule.Body!.FindNullable()) continue;
                rule.IsNullable = changed = true;
            }
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

    private void SettleCosts(int depth)
    {
        for (bool changed = true; changed;)
        {
            changed = false;
            // Rules are made before those that they refer to.
            for (int i = _rules.Count - 1; i >= 0; i--)
            {
                int cost = _rules[i].Body!.Cost(depth, isSettled: false);
                if (cost >= _rules[i].Costs[depth]) continue;
                _rules[i].Costs[depth] = cost;
                changed = true;
            }
        }
    }
}
