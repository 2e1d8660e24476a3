namespace Decart.Inference.Tests.Chat;

/// <summary>What is wrong with a template is said with its place, when it is read if it can be seen then.</summary>
public class JinjaErrorTests
{
    [TestCase("a{{ 1 + }}b", 1, 9, "expected an expression, found '}}'")]
    [TestCase("a\n{% if x %}b", 2, 4, "the tag 'if' is not closed: expected 'elif' or 'else' or 'endif'")]
    [TestCase("{% for x in y %}{% endif %}", 1, 20, "unknown tag 'endif'")]
    [TestCase("{% do x %}", 1, 4, "unknown tag 'do'")]
    [TestCase("\n\n  {% include 'x' %}", 3, 6, "the tag 'include' is not supported: a chat template stands alone")]
    [TestCase("{{ x", 1, 1, "expected \"}}\", found the end of the template")]
    [TestCase("{% set x = [1, 2 %}", 1, 19, "unexpected '}', expected ']'")]
    [TestCase("{{ [1, 2) }}", 1, 9, "unexpected ')', expected ']'")]
    [TestCase("{{ 'abc }}", 1, 4, "expected a quotation mark that ends the string, found none")]
    [TestCase("{# abc", 1, 1, "expected \"#}\", which ends the comment, found none")]
    [TestCase("{% raw %} x", 1, 1, "expected an endraw tag, found none")]
    [TestCase("{{ x | nope }}", 1, 8, "no filter named 'nope'")]
    [TestCase("{{ x is nope }}", 1, 9, "no test named 'nope'")]
    [TestCase("{{ [1]|random }}", 1, 8, "the filter 'random' is not supported")]
    [TestCase("{{ x ? y }}", 1, 6, "unexpected character ?")]
    [TestCase("{% set true = 1 %}", 1, 8, "cannot assign to 'true'")]
    [TestCase("{% set x.y.z = 1 %}", 1, 11, "expected '%}', found '.'")]
    [TestCase("{% break %}", 1, 4, "'break' stands outside of a loop")]
    [TestCase("{% for x in y %}{% macro m() %}{% continue %}{% endmacro %}{% endfor %}", 1, 35, "'continue' stands outside of a loop")]
    [TestCase("{% macro m(a=1, b) %}{% endmacro %}", 1, 17, "the parameter 'b' without a default follows one with a default")]
    [TestCase("{{ f(a=1, 2) }}", 1, 5, "the arguments of a call are in the wrong order: by position, by name, *, **")]
    [TestCase("{{ 1 is odd is even }}", 1, 13, "tests cannot be chained with 'is'")]
    [TestCase("{{ '\\xZ1' }}", 1, 5, "expected 2 hexadecimal digits of a character after \"\\x\"")]
    [TestCase("{% call 1 %}{% endcall %}", 1, 4, "expected a call after 'call'")]
    [TestCase("{% %}", 1, 4, "expected the name of a tag, found '%}'")]
    [TestCase("{{ }}", 1, 4, "expected an expression, found '}}'")]
    public void Mistakes_in_writing_are_found_when_it_is_read(string template, int line, int column, string problem)
    {
        ChatTemplateException error = Assert.Throws<ChatTemplateException>(() => ChatTemplate.Parse(template))!;
        Assert.That((error.Error, error.Line, error.Column, error.Problem), Is.EqualTo((ChatTemplateError.Syntax, line, column, problem)));
        Assert.That(error.Message, Is.EqualTo($"The chat template, line {line}, column {column}: {problem}."));
    }

    [TestCase("a\n {{ missing.name }}", 2, 12, "'missing' is undefined")]
    [TestCase("{{ d.x.y }}", 1, 7, "'dict object' has no attribute 'x'")]
    [TestCase("{{ 'a' + 1 }}", 1, 8, "can only concatenate str (not \"int\") to str")]
    [TestCase("{{ none + 'a' }}", 1, 9, "unsupported operand type(s) for +: 'NoneType' and 'str'")]
    [TestCase("{{ missing + 'a' }}", 1, 12, "'missing' is undefined")]
    [TestCase("{{ 1 / 0 }}", 1, 6, "division by zero")]
    [TestCase("{{ 1 < 'a' }}", 1, 4, "'<' not supported between instances of 'int' and 'str'")]
    [TestCase("{{ missing() }}", 1, 11, "'missing' is undefined")]
    [TestCase("{{ d() }}", 1, 5, "'dict' object is not callable")]
    [TestCase("{% for x in 5 %}{% endfor %}", 1, 13, "'int' object is not iterable")]
    [TestCase("{% for a, b in [[1]] %}{% endfor %}", 1, 8, "not enough values to unpack (expected 2, got 1)")]
    [TestCase("{{ missing|tojson }}", 1, 12, "Object of type Undefined is not JSON serializable: 'missing' is undefined")]
    [TestCase("{{ d.__class__.x }}", 1, 15, "'dict object' has no attribute '__class__'")]
    [TestCase("{{ l.append(1) }}", 1, 12, "access to attribute 'append' of 'list' object is unsafe")]
    [TestCase("{{ d.pop('x') }}", 1, 9, "access to attribute 'pop' of 'dict' object is unsafe")]
    [TestCase("{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}", 1, 35, "macro 'm' takes not more than 1 argument(s)")]
    [TestCase("{% macro m(a) %}{% endmacro %}{{ m(z=2) }}", 1, 35, "macro 'm' takes no keyword argument 'z'")]
    [TestCase("{% set d.x = 1 %}", 1, 8, "cannot assign attribute on non-namespace object")]
    [TestCase("{{ {[]: 1} }}", 1, 5, "unhashable type: 'list'")]
    [TestCase("{{ 'a'.split('') }}", 1, 13, "empty separator")]
    [TestCase("{{ l|length|length }}", 1, 13, "object of type 'int' has no len()")]
    [TestCase("{{ ''.join([1]) }}", 1, 11, "sequence item 0: expected str instance, int found")]
    [TestCase("{% autoescape l[0] %}{% endautoescape %}", 1, 16, "automatic escaping for HTML is not supported")]
    public void Mistakes_in_rendering_name_their_place(string template, int line, int column, string problem)
    {
        ChatTemplateException error = Jinja.Fails(template, """{"d": {"k": 1}, "l": [1]}""");
        Assert.That((error.Error, error.Line, error.Column, error.Problem), Is.EqualTo((ChatTemplateError.Rendering, line, column, problem)));
    }

    [Test]
    public void A_template_that_refuses_is_quoted()
    {
        ChatTemplateException error = Jinja.Fails("x\n{{ raise_exception('Roles must alternate!') }}");
        Assert.That((error.Error, error.Problem, error.Line), Is.EqualTo((ChatTemplateError.Refused, "Roles must alternate!", 2)));
        Assert.That(error.Message, Is.EqualTo("The chat template refuses the conversation: Roles must alternate! (line 2, column 19)."));
    }

    [Test]
    public void Unknown_filters_may_stand_where_the_template_asks_first()
    {
        Assert.That(Jinja.Render("{% if 'nope' is filter %}{{ 1|nope }}{% else %}no{% endif %}"), Is.EqualTo("no"));
        Assert.That(Jinja.Fails("{% if true %}{{ 1|nope }}{% endif %}").Error, Is.EqualTo(ChatTemplateError.Rendering));
    }
}
