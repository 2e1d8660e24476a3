using System.Numerics;

namespace Decart.Inference.Chat.Jinja;

internal enum TokenKind
{
    Data,
    VariableBegin,
    VariableEnd,
    BlockBegin,
    BlockEnd,
    Name,
    Text,
    Integer,
    Float,
    Operator,
    End,
}

/// <summary>A token of a template.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Text">The name, the operator, or the text without quotation marks and escapes.</param>
/// <param name="Position">Where it begins in the template's text.</param>
internal readonly record struct Token(TokenKind Kind, string Text, int Position)
{
    public BigInteger Integer { get; init; }

    public double Float { get; init; }

    public bool IsName(string name) => Kind == TokenKind.Name && Text == name;

    public bool IsOperator(string symbol) => Kind == TokenKind.Operator && Text == symbol;

    /// <summary>The token as a message shows it.</summary>
    public string Describe() => Kind switch
    {
        TokenKind.Data => "text",
        TokenKind.VariableBegin => "'{{'",
        TokenKind.VariableEnd => "'}}'",
        TokenKind.BlockBegin => "'{%'",
        TokenKind.BlockEnd => "'%}'",
        TokenKind.Text => "a string",
        TokenKind.Integer or TokenKind.Float => "a number",
        TokenKind.End => "the end of the template",
        _ => $"'{Text}'",
    };
}
