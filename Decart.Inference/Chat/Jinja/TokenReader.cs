namespace Decart.Inference.Chat.Jinja;

/// <summary>Reads the tokens of a template one by one.</summary>
internal sealed class TokenReader(SourceText source)
{
    private readonly List<Token> _tokens = Lexer.Read(source);
    private int _index;

    public SourceText Source => source;

    public Token Current => _tokens[_index];

    public Token Following => _tokens[Math.Min(_index + 1, _tokens.Count - 1)];

    public Token Next() => Current.Kind == TokenKind.End ? Current : _tokens[_index++];

    public bool SkipName(string name) => Skip(Current.IsName(name));

    public bool SkipOperator(string symbol) => Skip(Current.IsOperator(symbol));

    public Token Expect(TokenKind kind, string what) => Current.Kind == kind ? Next() : throw Unexpected(what);

    public void ExpectOperator(string symbol)
    {
        if (!SkipOperator(symbol)) throw Unexpected($"'{symbol}'");
    }

    public void ExpectName(string name)
    {
        if (!SkipName(name)) throw Unexpected($"'{name}'");
    }

    public string ExpectName() => Expect(TokenKind.Name, "a name").Text;

    /// <summary>The exception that says what was expected in place of the current token.</summary>
    public ChatTemplateException Unexpected(string expected) => source.WrongSyntax($"expected {expected}, found {Current.Describe()}", Current.Position);

    private bool Skip(bool matches)
    {
        if (matches) _index++;
        return matches;
    }
}
