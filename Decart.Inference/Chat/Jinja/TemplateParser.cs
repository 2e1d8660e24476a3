namespace Decart.Inference.Chat.Jinja;

/// <summary>Reads the statements of a template.</summary>
internal sealed class TemplateParser
{
    private const int Deepest = 100;

    private readonly TokenReader _reader;
    private readonly ExpressionParser _expressions;
    private int _depth, _loops;

    private TemplateParser(SourceText source)
    {
        _reader = new TokenReader(source);
        _expressions = new ExpressionParser(_reader);
    }

    /// <exception cref="ChatTemplateException">The template is malformed or uses what is not supported.</exception>
    public static Block Parse(SourceText source, out IReadOnlySet<string> mentioned)
    {
        TemplateParser parser = new(source);
        Block block = parser._expressions.Collect(() => parser.ParseBlock(opening: null), out IReadOnlySet<string> names);
        parser._expressions.RequireKnown();
        mentioned = new HashSet<string>([.. names, .. parser._expressions.Members]);
        return block;
    }

    /// <summary>Statements up to one of the tags that end them, whose name is read.</summary>
    /// <param name="opening">The tag that they belong to; null for the whole template.</param>
    /// <param name="ends">The names of the tags that end them.</param>
    private Block ParseBlock(Token? opening, params ReadOnlySpan<string> ends)
    {
        List<Statement> statements = [];
        while (true)
        {
            Token token = _reader.Next();
            switch (token.Kind)
            {
                case TokenKind.Data:
                    statements.Add(new TextStatement(token.Text));
                    break;
                case TokenKind.VariableBegin:
                    statements.Add(new PrintStatement(_expressions.ParseTuple()));
                    _reader.Expect(TokenKind.VariableEnd, "'}}'");
                    break;
                case TokenKind.BlockBegin:
                    Token name = _reader.Current;
                    if (name.Kind == TokenKind.Name && ends.Contains(name.Text)) return new Block(statements);
                    _reader.Expect(TokenKind.Name, "the name of a tag");
                    statements.Add(ParseStatement(name));
                    _reader.Expect(TokenKind.BlockEnd, "'%}'");
                    break;
                default:
                    if (opening is not { } tag) return new Block(statements);
                    throw _reader.Source.WrongSyntax($"the tag '{tag.Text}' is not closed: expected '{string.Join("' or '", ends)}'", tag.Position);
            }
        }
    }

    /// <summary>The body of a tag, up to a tag that ends it, of which the name is read.</summary>
    private Block ParseBody(Token opening, params ReadOnlySpan<string> ends)
    {
        if (++_depth > Deepest) throw _reader.Source.WrongSyntax("tags stand too deep within each other", opening.Position);
        _reader.SkipOperator(":");
        _reader.Expect(TokenKind.BlockEnd, "'%}'");
        Block body = ParseBlock(opening, ends);
        _depth--;
        return body;
    }

    /// <summary>The body of a tag, up to the one tag that ends it.</summary>
    private Block ParseWholeBody(Token opening)
    {
        string end = "end" + opening.Text;
        Block body = ParseBody(opening, end);
        _reader.ExpectName(end);
        return body;
    }

    private Statement ParseStatement(Token tag) => tag.Text switch
    {
        "if" => _expressions.Conditional(() => ParseIf(tag)),
        "for" => ParseFor(tag),
        "set" => ParseSet(tag),
        "macro" => ParseMacro(tag),
        "call" => ParseCall(tag),
        "filter" => new FilterStatement(_expressions.ParseFilters(startsInline: true), ParseWholeBody(tag)),
        "with" => ParseWith(tag),
        "generation" => new GenerationStatement(ParseDefinition(null, [], tag)),
        "autoescape" => new AutoescapeStatement(_expressions.Parse(), ParseWholeBody(tag)),
        "block" => ParseNamedBlock(tag),
        "print" => ParsePrint(),
        "break" => ParseFlow(tag, Flow.Break),
        "continue" => ParseFlow(tag, Flow.Continue),
        "extends" or "include" or "import" or "from" => throw _reader.Source.WrongSyntax($"the tag '{tag.Text}' is not supported: a chat template stands alone", tag.Position),
        _ => throw _reader.Source.WrongSyntax($"unknown tag '{tag.Text}'", tag.Position),
    };

    private IfStatement ParseIf(Token tag)
    {
        List<(Expression, Block)> branches = [];
        Block? otherwise = null;
        Token branch = tag;
        while (branch.Text is "if" or "elif")
        {
            Expression condition = _expressions.ParseTuple(withConditions: false);
            branches.Add((condition, ParseBody(tag, "elif", "else", "endif")));
            branch = _reader.Next();
        }
        if (branch.Text == "else")
        {
            otherwise = ParseBody(tag, "endif");
            _reader.Next();
        }
        return new IfStatement(branches, otherwise);
    }

    private ForStatement ParseFor(Token tag)
    {
        AssignmentTarget target = _expressions.ParseTarget(end: "in");
        _reader.ExpectName("in");
        Expression items = _expressions.ParseTuple(withConditions: false, end: "recursive");
        Expression? condition = _reader.SkipName("if") ? _expressions.Parse() : null;
        bool isRecursive = _reader.SkipName("recursive");
        _loops++;
        Block body = ParseBody(tag, "endfor", "else");
        _loops--;
        Block? otherwise = null;
        if (_reader.Next().Text == "else")
        {
            otherwise = ParseBody(tag, "endfor");
            _reader.Next();
        }
        return new ForStatement(target, items, condition, isRecursive, body, otherwise);
    }

    private Statement ParseSet(Token tag)
    {
        AssignmentTarget target = _expressions.ParseTarget(withMembers: true);
        if (_reader.SkipOperator("=")) return new SetStatement(target, _expressions.ParseTuple());
        List<FilterApplication> filters = _expressions.ParseFilters();
        return new SetBlockStatement(target, filters, ParseWholeBody(tag));
    }

    private MacroStatement ParseMacro(Token tag)
    {
        string name = _expressions.ParseTargetName();
        return new MacroStatement(ParseDefinition(name, ParseParameters(), tag));
    }

    private CallStatement ParseCall(Token tag)
    {
        List<(string, Expression?)> parameters = _reader.Current.IsOperator("(") ? ParseParameters() : [];
        if (_expressions.Parse() is not CallExpression call) throw _reader.Source.WrongSyntax("expected a call after 'call'", tag.Position);
        return new CallStatement(call, ParseDefinition(null, parameters, tag));
    }

    private MacroDefinition ParseDefinition(string? name, List<(string, Expression?)> parameters, Token tag)
    {
        Block body = _expressions.Collect(() => ParseWithoutLoops(() => ParseWholeBody(tag)), out IReadOnlySet<string> mentioned);
        return new MacroDefinition(name, parameters, body, mentioned);
    }

    private List<(string Name, Expression? Default)> ParseParameters()
    {
        List<(string, Expression?)> parameters = [];
        _reader.ExpectOperator("(");
        bool hasDefaults = false;
        while (!_reader.SkipOperator(")"))
        {
            if (parameters.Count > 0) _reader.ExpectOperator(",");
            Token token = _reader.Current;
            string name = _expressions.ParseTargetName();
            Expression? missing = _reader.SkipOperator("=") ? _expressions.Parse() : null;
            if (missing is null && hasDefaults) throw _reader.Source.WrongSyntax($"the parameter '{name}' without a default follows one with a default", token.Position);
            hasDefaults |= missing is not null;
            parameters.Add((name, missing));
        }
        return parameters;
    }

    private WithStatement ParseWith(Token tag)
    {
        List<(AssignmentTarget, Expression)> assignments = [];
        while (_reader.Current.Kind != TokenKind.BlockEnd)
        {
            if (assignments.Count > 0) _reader.ExpectOperator(",");
            AssignmentTarget target = _expressions.ParseTarget();
            _reader.ExpectOperator("=");
            assignments.Add((target, _expressions.Parse()));
        }
        return new WithStatement(assignments, ParseWholeBody(tag));
    }

    /// <summary>A named part, for templates that others extend; alone it is written where it stands.</summary>
    private WithStatement ParseNamedBlock(Token tag)
    {
        string name = _reader.ExpectName();
        _reader.SkipName("scoped");
        _reader.SkipName("required");
        Block body = ParseWithoutLoops(() => ParseWholeBody(tag));
        _reader.SkipName(name);
        return new WithStatement([], body);
    }

    private Block ParsePrint()
    {
        List<Statement> statements = [];
        while (_reader.Current.Kind != TokenKind.BlockEnd)
        {
            if (statements.Count > 0) _reader.ExpectOperator(",");
            statements.Add(new PrintStatement(_expressions.Parse()));
        }
        return new Block(statements);
    }

    private FlowStatement ParseFlow(Token tag, Flow flow) =>
        _loops > 0 ? new FlowStatement(tag.Position, flow) : throw _reader.Source.WrongSyntax($"'{tag.Text}' stands outside of a loop", tag.Position);

    /// <summary>Reads what is a function of its own: loops around it cannot be left from within.</summary>
    private Block ParseWithoutLoops(Func<Block> parse)
    {
        (int loops, _loops) = (_loops, 0);
        Block body = parse();
        _loops = loops;
        return body;
    }
}
