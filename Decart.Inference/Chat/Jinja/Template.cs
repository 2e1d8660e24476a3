namespace Decart.Inference.Chat.Jinja;

/// <summary>
/// A template of the language Jinja, in the form that chat templates use: as transformers renders them, in a sandbox, with <c>break</c> and <c>continue</c>,
/// <c>raise_exception</c>, <c>strftime_now</c> and <c>generation</c>. Immutable and safe for use by any number of threads.
/// </summary>
internal sealed class Template
{
    private readonly SourceText _source;
    private readonly Block _body;

    /// <exception cref="ChatTemplateException">The template is malformed or uses what is not supported.</exception>
    public Template(string text)
    {
        _source = new SourceText(text);
        _body = TemplateParser.Parse(_source, out IReadOnlySet<string> mentioned);
        Mentioned = mentioned;
    }

    /// <summary>The template as it is written.</summary>
    public string Text => _source.Text;

    /// <summary>The names of variables, attributes and items that the template mentions.</summary>
    public IReadOnlySet<string> Mentioned { get; }

    /// <summary>Renders the template.</summary>
    /// <exception cref="ChatTemplateException">The template refuses or fails, or does more than the budget allows.</exception>
    public StringValue Render(IReadOnlyDictionary<string, Value> variables, RenderBudget budget, TimeProvider clock)
    {
        Rendering rendering = new(budget, clock, variables);
        MarkedBuilder output = new(budget);
        try
        {
            _body.Execute(new Scope(rendering, outer: null), output);
            return output.ToValue();
        }
        catch (JinjaException error)
        {
            throw _source.Wrong(error.Error, error.Message, rendering.Position, error);
        }
    }
}
