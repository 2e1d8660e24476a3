using System.Diagnostics;
using Decart.Inference.Chat.Jinja;

namespace Decart.Inference.Tests.Chat;

/// <summary>Templates come from anybody: whatever they do ends soon, and in an error.</summary>
public class JinjaLimitTests
{
    private static readonly string[] Endless =
    [
        "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
        "{% for i in range(100000) %}{% for j in range(100000) if j < 0 %}{% endfor %}{% endfor %}",
        "{% for i in range(100000) %}{% set x = range(100000)|sum %}{% endfor %}",
        "{% for i in range(100000) %}{% set x = range(100000)|list|sort|length %}{% endfor %}",
        "{% for i in range(100000) %}{% set x = 'a' in ('b' * 1000000) %}{% endfor %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% macro m() %}{% call m() %}{{ caller() }}{% endcall %}{% endmacro %}{{ m() }}",
        "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "{% set ns = namespace(s='xxxxxxxx') %}{% for i in range(100) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
        "{% set ns = namespace(s='xxxxxxxx') %}{% for i in range(100) %}{% set ns.s = ns.s|replace('x', 'xx') %}{% endfor %}",
        "{{ 'x' * 1000000000 }}",
        "{{ 'x' * 10 ** 30 }}",
        "{{ [1] * 1000000000 }}",
        "{{ 'x'|center(2000000000) }}",
        "{{ '%2000000000d' % 1 }}",
        "{{ '{:2000000000}'.format(1) }}",
        "{{ 'x'.ljust(2000000000) }}",
        "{{ [1]|batch(2000000000, 0)|list }}",
        "{{ [1]|slice(2000000000)|list }}",
        "{{ range(1000000000)|list }}",
        "{{ 2 ** 1000000 }}",
        "{{ 2 ** (2 ** (2 ** (2 ** (2 ** 2)))) }}",
        "{% set ns = namespace(n=3) %}{% for i in range(100) %}{% set ns.n = ns.n * ns.n %}{% endfor %}",
        "{% set ns = namespace() %}{% set ns.me = ns %}{{ ns }}",
        "{% set ns = namespace(l=[]) %}{% for i in range(100000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}",
        "{% set ns = namespace(l=[]) %}{% for i in range(100000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l|tojson }}",
        "{% set ns = namespace(l=[], m=[]) %}{% for i in range(100000) %}{% set ns.l = [ns.l] %}{% set ns.m = [ns.m] %}{% endfor %}{{ ns.l == ns.m }}",
        "{% set ns = namespace(l=[1], m=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% set ns.m = [ns.m, ns.m] %}{% endfor %}{{ ns.l == ns.m }}",
        "{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l|tojson }}",
        "{% set s = 'x' * 1000000 %}{% for i in range(100000) %}{% set a = s|upper %}{% endfor %}",
        "{% set s = 'x' * 1000000 %}{% for i in range(100000) %}{% if s == 'y' ~ s %}{% endif %}{% endfor %}",
        "{% set s = 'x' * 10000000 %}{% set d = {s: 1} %}{% for i in range(100000) %}{% if s in d %}{% endif %}{% endfor %}",
        "{% set s = '\U0001F600' * 1000000 %}{% for i in range(100000) %}{% if s[999999] %}{% endif %}{% endfor %}",
        "{% for i in range(100000) %}{{ 'x' * 1000 }}{% endfor %}",
    ];

    [TestCaseSource(nameof(Endless))]
    public void What_would_not_end_is_ended(string template)
    {
        Template parsed = new(template);
        ChatTemplateException error = Assert.Throws<ChatTemplateException>(
            () => parsed.Render(new Dictionary<string, Value>(), new RenderBudget(steps: 1_000_000, characters: 8 << 20), Jinja.Clock))!;
        Assert.That(error.Error, Is.EqualTo(ChatTemplateError.LimitExceeded), error.Message);
    }

    [Test]
    public void The_limits_of_a_conversation_are_reached_in_seconds()
    {
        long start = Stopwatch.GetTimestamp();
        Assert.That(Jinja.Fails(Endless[0]).Problem, Is.EqualTo("the template does not come to an end: it takes too many steps"));
        Assert.That(Stopwatch.GetElapsedTime(start), Is.LessThan(TimeSpan.FromSeconds(60)));
    }

    [Test]
    public void Expressions_and_tags_that_stand_too_deep_are_refused()
    {
        string[] templates =
        [
            $"{{{{ {new string('(', 100_000)}1{new string(')', 100_000)} }}}}",
            $"{{{{ {string.Concat(Enumerable.Repeat("not ", 100_000))}1 }}}}",
            $"{{{{ {new string('-', 100_000)}1 }}}}",
            $"{{{{ 1{string.Concat(Enumerable.Repeat(" + 1", 100_000))} }}}}",
            $"{{{{ x{string.Concat(Enumerable.Repeat(".x", 100_000))} }}}}",
            $"{{{{ x{string.Concat(Enumerable.Repeat("|e", 100_000))} }}}}",
            $"{{{{ {string.Concat(Enumerable.Repeat("1 if 1 else ", 100_000))}1 }}}}",
            string.Concat(Enumerable.Repeat("{% if 1 %}", 100_000)),
            $"{{% set {new string('(', 100_000)}x{new string(')', 100_000)} = 1 %}}",
        ];
        foreach (string template in templates)
            Assert.That(Assert.Throws<ChatTemplateException>(() => ChatTemplate.Parse(template))!.Problem, Does.Contain("too deep"));
    }

    [Test]
    public void What_real_templates_do_is_within_the_limits()
    {
        string deep = string.Concat(Enumerable.Range(0, 60).Select(_ => "{\"a\": [")) + "1" + string.Concat(Enumerable.Range(0, 60).Select(_ => "]}"));
        // JSON is read 64 deep: half of that here, since each level is two.
        deep = deep[(30 * 7)..^(30 * 2)];
        const string Template = """
            {%- macro show(v) %}{% if v is mapping %}{% for k, x in v.items() %}{{ k }}:{{ show(x) }}{% endfor %}{% elif v is iterable and v is not string %}{% for x in v %}{{ show(x) }}{% endfor %}{% else %}{{ v }}{% endif %}{% endmacro %}
            {{- show(v) }}
            """;
        Assert.That(Jinja.Render(Template, $$"""{"v": {{deep}}}"""), Is.EqualTo(string.Concat(Enumerable.Repeat("a:", 30)) + "1"));
        Assert.That(Jinja.Render("{{ 1" + string.Concat(Enumerable.Repeat(" + 1", 150)) + " }}"), Is.EqualTo("151"));
    }
}
