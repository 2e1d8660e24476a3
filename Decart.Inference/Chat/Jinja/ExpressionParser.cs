using System.Runtime.CompilerServices;

namespace Decart.Inference.Chat.Jinja;

/// <summary>Reads expressions, with Jinja's precedence: filters and tests bind more tightly than any operator between two values.</summary>
internal sealed class ExpressionParser(TokenReader reader)
{
    private const int Deepest = 200;

    /// <summary>Words that end an operand of a test.</summary>
    private static readonly string[] AfterTest = ["else", "or", "and"];

    private readonly List<HashSet<string>> _mentioned = [];
    private readonly List<ChatTemplateException> _unknown = [];
    private int _depth;

    /// <summary>The names of attributes, and all texts, which may name items.</summary>
    public HashSet<string> Members { get; } = [];

    /// <summary>Reads something where filters and tests may be unknown, since the template may have asked whether they exist.</summary>
    public T Conditional<T>(Func<T> parse)
    {
        int known = _unknown.Count;
        T result = parse();
        _unknown.RemoveRange(known, _unknown.Count - known);
        return result;
    }

    /// <summary>Refuses the filters and tests that are unknown.</summary>
    public void RequireKnown()
    {
        if (_unknown.Count > 0) throw _unknown[0];
    }

    /// <summary>Reads something and collects the names that it mentions.</summary>
    public T Collect<T>(Func<T> parse, out IReadOnlySet<string> mentioned)
    {
        HashSet<string> names = [];
        _mentioned.Add(names);
        T result = parse();
        _mentioned.RemoveAt(_mentioned.Count - 1);
        mentioned = names;
        return result;
    }

    public Expression Parse(bool withConditions = true) => withConditions ? ParseConditional() : ParseOr();

    /// <summary>One expression, or several with commas, which make a tuple.</summary>
    /// <param name="withConditions">Whether <c>if</c> belongs to the expression.</param>
    /// <param name="end">A word that ends it.</param>
    /// <param name="mayBeEmpty">Whether it stands in parentheses.</param>
    public Expression ParseTuple(bool withConditions = true, string? end = null, bool mayBeEmpty = false)
    {
        int position = reader.Current.Position;
        List<Expression> items = [];
        bool isTuple = false;
        while (!EndsTuple(end))
        {
            items.Add(Parse(withConditions));
            if (!reader.SkipOperator(",")) break;
            isTuple = true;
        }
        if (!isTuple && items.Count == 1) return items[0];
        return isTuple || mayBeEmpty ? Limited(new TupleExpression(position, items)) : throw reader.Unexpected("an expression");
    }

    /// <summary>Where a value is stored: a name, a member of a namespace or several of these.</summary>
    /// <param name="end">A word that ends it.</param>
    /// <param name="withMembers">Whether members of namespaces may be assigned.</param>
    public AssignmentTarget ParseTarget(string? end = null, bool withMembers = false)
    {
        int position = reader.Current.Position;
        List<AssignmentTarget> targets = [];
        bool isTuple = false;
        while (!EndsTuple(end) && !reader.Current.IsOperator("="))
        {
            targets.Add(ParseSingleTarget(withMembers));
            if (!reader.SkipOperator(",")) break;
            isTuple = true;
        }
        if (targets.Count == 0) throw reader.Unexpected("a name to assign to");
        return isTuple ? new TupleTarget(position, targets) : targets[0];
    }

    public string ParseTargetName()
    {
        Token token = reader.Current;
        string name = reader.ExpectName();
        return ConstantOf(name) is null ? name : throw reader.Source.WrongSyntax($"cannot assign to '{name}'", token.Position);
    }

    /// <summary>The filters after a value, or after <c>filter</c> or <c>set</c>.</summary>
    /// <param name="startsInline">Whether the first one stands without a bar.</param>
    public List<FilterApplication> ParseFilters(bool startsInline = false)
    {
        List<FilterApplication> filters = [];
        while (startsInline || reader.SkipOperator("|"))
        {
            startsInline = false;
            filters.Add(ParseFilter());
        }
        return filters;
    }

    public ArgumentList ParseArguments()
    {
        int position = reader.Current.Position;
        reader.ExpectOperator("(");
        List<Expression> positional = [];
        List<(string, Expression)> keywords = [];
        Expression? morePositional = null, moreKeywords = null;
        while (!reader.SkipOperator(")"))
        {
            if (positional.Count + keywords.Count > 0 || morePositional is not null || moreKeywords is not null)
            {
                reader.ExpectOperator(",");
                if (reader.SkipOperator(")")) break;
            }
            if (reader.SkipOperator("*"))
            {
                Require(morePositional is null && moreKeywords is null);
                morePositional = Parse();
            }
            else if (reader.SkipOperator("**"))
            {
                Require(moreKeywords is null);
                moreKeywords = Parse();
            }
            else if (reader.Current.Kind == TokenKind.Name && reader.Following.IsOperator("="))
            {
                Require(moreKeywords is null);
                string name = reader.Next().Text;
                reader.Next();
                keywords.Add((name, Parse()));
            }
            else
            {
                Require(morePositional is null && moreKeywords is null && keywords.Count == 0);
                positional.Add(Parse());
            }
        }
        return new ArgumentList(positional, keywords, morePositional, moreKeywords);

        void Require(bool inOrder)
        {
            if (!inOrder) throw reader.Source.WrongSyntax("the arguments of a call are in the wrong order: by position, by name, *, **", position);
        }
    }

    private AssignmentTarget ParseSingleTarget(bool withMembers)
    {
        Token token = reader.Current;
        if (reader.SkipOperator("("))
        {
            Enter(token.Position);
            AssignmentTarget inner = ParseTarget(withMembers: withMembers);
            _depth--;
            reader.ExpectOperator(")");
            return inner;
        }
        string name = ParseTargetName();
        if (!withMembers || !reader.SkipOperator(".")) return new NameTarget(token.Position, name);
        Mention(name);
        return new MemberTarget(token.Position, name, reader.ExpectName());
    }

    private bool EndsTuple(string? end) =>
        reader.Current.Kind is TokenKind.VariableEnd or TokenKind.BlockEnd || reader.Current.IsOperator(")") || (end is not null && reader.Current.IsName(end));

    private Expression ParseConditional()
    {
        Enter(reader.Current.Position);
        int position = reader.Current.Position;
        int known = _unknown.Count;
        Expression result = ParseOr();
        while (reader.SkipName("if"))
        {
            Expression condition = ParseOr();
            Expression? otherwise = reader.SkipName("else") ? ParseConditional() : null;
            result = Limited(new ConditionalExpression(position, condition, result, otherwise));
            _unknown.RemoveRange(known, _unknown.Count - known);
        }
        _depth--;
        return result;
    }

    private Expression ParseOr()
    {
        Expression left = ParseAnd();
        while (reader.Current.IsName("or"))
        {
            int position = reader.Next().Position;
            left = Limited(new OrExpression(position, left, ParseAnd()));
        }
        return left;
    }

    private Expression ParseAnd()
    {
        Expression left = ParseNot();
        while (reader.Current.IsName("and"))
        {
            int position = reader.Next().Position;
            left = Limited(new AndExpression(position, left, ParseNot()));
        }
        return left;
    }

    private Expression ParseNot()
    {
        if (!reader.Current.IsName("not")) return ParseComparison();
        int position = reader.Next().Position;
        Enter(position);
        Expression operand = ParseNot();
        _depth--;
        return Not(position, operand);
    }

    private Expression ParseComparison()
    {
        int position = reader.Current.Position;
        Expression first = ParseSum();
        List<(string, Expression)> comparisons = [];
        while (ParseComparisonSymbol() is { } symbol) comparisons.Add((symbol, ParseSum()));
        return comparisons.Count == 0 ? first : Limited(new ComparisonExpression(position, first, comparisons));
    }

    private string? ParseComparisonSymbol()
    {
        if (reader.Current.Kind == TokenKind.Operator && reader.Current.Text is "==" or "!=" or "<" or "<=" or ">" or ">=") return reader.Next().Text;
        if (reader.SkipName("in")) return "in";
        if (!reader.Current.IsName("not") || !reader.Following.IsName("in")) return null;
        reader.Next();
        reader.Next();
        return "not in";
    }

    private Expression ParseSum() => ParseBinary(ParseConcatenation, symbol => symbol switch
    {
        "+" => Operators.Add,
        "-" => static (left, right, _) => Operators.Subtract(left, right),
        _ => null,
    });

    private Expression ParseConcatenation()
    {
        int position = reader.Current.Position;
        List<Expression> items = [ParseProduct()];
        while (reader.SkipOperator("~")) items.Add(ParseProduct());
        return items.Count == 1 ? items[0] : Limited(new ConcatenationExpression(position, items));
    }

    private Expression ParseProduct() => ParseBinary(ParsePower, symbol => symbol switch
    {
        "*" => Operators.Multiply,
        "/" => static (left, right, _) => Operators.Divide(left, right),
        "//" => static (left, right, _) => Operators.FloorDivide(left, right),
        "%" => Operators.Modulo,
        _ => null,
    });

    private Expression ParsePower() =>
        ParseBinary(() => ParseUnary(), symbol => symbol == "**" ? static (left, right, _) => Operators.Power(left, right) : null);

    private Expression ParseBinary(Func<Expression> parseOperand, Func<string, Func<Value, Value, Rendering, Value>?> operatorOf)
    {
        Expression left = parseOperand();
        while (reader.Current.Kind == TokenKind.Operator && operatorOf(reader.Current.Text) is { } compute)
        {
            int position = reader.Next().Position;
            left = Limited(new BinaryExpression(position, left, parseOperand(), compute));
        }
        return left;
    }

    private Expression ParseUnary(bool withFilters = true)
    {
        Token token = reader.Current;
        Expression operand;
        if (token.IsOperator("-") || token.IsOperator("+"))
        {
            reader.Next();
            Enter(token.Position);
            operand = Limited(new UnaryExpression(token.Position, ParseUnary(withFilters: false), token.Text == "-" ? Operators.Negate : Operators.Plus));
            _depth--;
        }
        else
        {
            operand = ParsePrimary();
        }
        operand = ParsePostfix(operand);
        return withFilters ? ParseFiltersAndTests(operand) : operand;
    }

    private Expression ParsePrimary()
    {
        Token token = reader.Current;
        switch (token.Kind)
        {
            case TokenKind.Name:
                reader.Next();
                if (ConstantOf(token.Text) is { } constant) return new ConstantExpression(token.Position, constant);
                Mention(token.Text);
                return new NameExpression(token.Position, token.Text);
            case TokenKind.Text:
                string text = "";
                while (reader.Current.Kind == TokenKind.Text) text += reader.Next().Text;
                Members.Add(text);
                return new ConstantExpression(token.Position, new StringValue(text));
            case TokenKind.Integer:
                return new ConstantExpression(reader.Next().Position, new IntegerValue(token.Integer));
            case TokenKind.Float:
                return new ConstantExpression(reader.Next().Position, new FloatValue(token.Float));
            case TokenKind.Operator when token.Text == "(":
                reader.Next();
                Expression inner = ParseTuple(mayBeEmpty: true);
                reader.ExpectOperator(")");
                return inner;
            case TokenKind.Operator when token.Text == "[":
                reader.Next();
                return Limited(new ListExpression(token.Position, ParseItems("]", () => Parse())));
            case TokenKind.Operator when token.Text == "{":
                reader.Next();
                return Limited(new DictionaryExpression(token.Position, ParseItems("}", ParseEntry)));
            default:
                throw reader.Unexpected("an expression");
        }
    }

    private List<T> ParseItems<T>(string close, Func<T> parse)
    {
        List<T> items = [];
        while (!reader.SkipOperator(close))
        {
            if (items.Count > 0) reader.ExpectOperator(",");
            if (reader.SkipOperator(close)) break;
            items.Add(parse());
        }
        return items;
    }

    private (Expression Key, Expression Value) ParseEntry()
    {
        Expression key = Parse();
        reader.ExpectOperator(":");
        return (key, Parse());
    }

    private Expression ParsePostfix(Expression target)
    {
        while (true)
        {
            Token token = reader.Current;
            if (reader.SkipOperator(".")) target = ParseAttribute(target, token.Position);
            else if (reader.SkipOperator("[")) target = ParseSubscript(target, token.Position);
            else if (token.IsOperator("(")) target = new CallExpression(token.Position, target, ParseArguments());
            else return target;
            Limited(target);
        }
    }

    private Expression ParseAttribute(Expression target, int position)
    {
        Token name = reader.Next();
        Members.Add(name.Text);
        return name.Kind switch
        {
            TokenKind.Name => new AttributeExpression(position, target, name.Text),
            TokenKind.Integer => new ItemExpression(position, target, new ConstantExpression(name.Position, new IntegerValue(name.Integer))),
            _ => throw reader.Source.WrongSyntax($"expected a name or a number after '.', found {name.Describe()}", name.Position),
        };
    }

    private Expression ParseSubscript(Expression target, int position)
    {
        Expression? start = reader.Current.IsOperator(":") ? null : Parse();
        if (reader.SkipOperator(":"))
        {
            Expression? stop = EndsBound() ? null : Parse();
            Expression? step = reader.SkipOperator(":") && !EndsBound() ? Parse() : null;
            reader.ExpectOperator("]");
            return new SliceExpression(position, target, start, stop, step);
        }
        List<Expression> keys = [start!];
        while (reader.SkipOperator(",") && !reader.Current.IsOperator("]")) keys.Add(Parse());
        reader.ExpectOperator("]");
        return new ItemExpression(position, target, keys.Count == 1 ? start! : new TupleExpression(position, keys));

        bool EndsBound() => reader.Current.IsOperator(":") || reader.Current.IsOperator("]");
    }

    private Expression ParseFiltersAndTests(Expression target)
    {
        while (true)
        {
            Token token = reader.Current;
            if (reader.SkipOperator("|")) target = new FilterExpression(target, ParseFilter());
            else if (reader.SkipName("is")) target = ParseTest(target, token.Position);
            else if (token.IsOperator("(")) target = new CallExpression(token.Position, target, ParseArguments());
            else return target;
            Limited(target);
        }
    }

    private FilterApplication ParseFilter()
    {
        int position = reader.Current.Position;
        string name = ParseDottedName();
        ArgumentList arguments = reader.Current.IsOperator("(") ? ParseArguments() : ArgumentList.Empty;
        if (Filters.ProblemWith(name) is { } problem) _unknown.Add(reader.Source.WrongSyntax(problem, position));
        return new FilterApplication(position, name, arguments);
    }

    private Expression ParseTest(Expression target, int position)
    {
        bool isNegated = reader.SkipName("not");
        int namePosition = reader.Current.Position;
        string name = ParseDottedName();
        ArgumentList arguments = ArgumentList.Empty;
        Token token = reader.Current;
        if (token.IsOperator("("))
        {
            arguments = ParseArguments();
        }
        else if ((token.Kind is TokenKind.Name or TokenKind.Text or TokenKind.Integer or TokenKind.Float || token.IsOperator("[") || token.IsOperator("{"))
            && !(token.Kind == TokenKind.Name && AfterTest.Contains(token.Text)))
        {
            if (token.IsName("is")) throw reader.Source.WrongSyntax("tests cannot be chained with 'is'", token.Position);
            arguments = ArgumentList.Empty with { Positional = [ParsePostfix(ParsePrimary())] };
        }
        if (Tests.ProblemWith(name) is { } problem) _unknown.Add(reader.Source.WrongSyntax(problem, namePosition));
        TestExpression test = new(position, target, name, arguments);
        return isNegated ? Not(position, test) : test;
    }

    private string ParseDottedName()
    {
        string name = reader.ExpectName();
        while (reader.SkipOperator(".")) name += "." + reader.ExpectName();
        return name;
    }

    private UnaryExpression Not(int position, Expression operand) => Limited(new UnaryExpression(position, operand, static value => BooleanValue.Of(!value.IsTrue)));

    private void Mention(string name)
    {
        foreach (HashSet<string> names in _mentioned) names.Add(name);
    }

    private static Value? ConstantOf(string name) => name switch
    {
        "true" or "True" => BooleanValue.True,
        "false" or "False" => BooleanValue.False,
        "none" or "None" => NoneValue.Instance,
        _ => null,
    };

    /// <summary>Refuses expressions so deep that evaluating them could end the process.</summary>
    private T Limited<T>(T expression) where T : Expression => expression.Depth <= Deepest ? expression : throw TooDeep(expression.Position);

    private void Enter(int position)
    {
        if (++_depth > Deepest || !RuntimeHelpers.TryEnsureSufficientExecutionStack()) throw TooDeep(position);
    }

    private ChatTemplateException TooDeep(int position) => reader.Source.WrongSyntax("expressions stand too deep within each other", position);
}
