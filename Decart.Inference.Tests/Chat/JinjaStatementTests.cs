namespace Decart.Inference.Tests.Chat;

/// <summary>Templates and what Jinja 3.1 makes of them, set up as transformers does.</summary>
public class JinjaStatementTests
{
    /// <summary>The variables of the templates.</summary>
    private const string Variables = """
        {
          "items": [1, 2, 3], "pairs": [["a", 1], ["b", 2]], "d": {"k": 1, "j": 2}, "name": "Ada",
          "tree": [{"v": 1, "c": [{"v": 2, "c": []}, {"v": 3, "c": [{"v": 4, "c": []}]}]}],
          "messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "U"}, {"role": "assistant", "content": "A"}]
        }
        """;

    private static readonly object[][] Whitespace =
    [
        ["a\n{% if true %}\nb\n{% endif %}\nc", "a\nb\nc"],
        ["a\n  {% if true %}\n  b\n  {% endif %}\nc", "a\n  b\nc"],
        ["a {%- if true -%} \n b \n {%- endif -%} \n c", "abc"],
        ["a\n  {%+ if true %}b{% endif +%}\nc", "a\n  b\nc"],
        ["a {{- ' x ' -}} b", "a x b"],
        ["a\n{{ 1 }}\nb", "a\n1\nb"],
        ["  {{ 1 }}\n  {{ 2 }}", "  1\n  2"],
        ["a\n{# c #}\nb", "a\nb"],
        ["a {#- c -#} b", "ab"],
        ["a\n  {# c #}\n  b", "a\n  b"],
        ["{% raw %}{{ x }}{% endraw %}", "{{ x }}"],
        ["a {% raw -%} \n {{ x }} {%- endraw %} b", "a {{ x }} b"],
        ["a\n\n", "a\n"],
        ["a\n", "a"],
        ["a\r\nb\rc", "a\nb\nc"],
        ["{{ 'a\r\nb' }}", "a\nb"],
        ["x {% set a = 1 %}\n y", "x  y"],
        ["  {% set a = 1 %}  {{ a }}", "  1"],
        ["{% if true -%}\n\n  a\n{%- endif %}\n", "a"],
        ["\t{% if true %}\n\ta{% endif %}", "\ta"],
        ["x  {%- if true %}\n  y\n  {%- endif %}", "x  y"],
        ["{%- for x in items %}\n{{ x }}\n{%- endfor %}", "123"],
        ["{{ '{{' }}{{ '%}' }}", "{{%}"],
        ["{{ {'a': {'b': 1}}['a']['b'] }}", "1"],
        ["{{ \"}}\" }}", "}}"],
    ];

    private static readonly object[][] Loops =
    [
        ["{% for x in items %}{{ x }},{% endfor %}", "1,2,3,"],
        ["{% for x in items %}{{ loop.index }}/{{ loop.index0 }}/{{ loop.revindex }}/{{ loop.revindex0 }}/{{ loop.first }}/{{ loop.last }}/{{ loop.length }} {% endfor %}", "1/0/3/2/True/False/3 2/1/2/1/False/False/3 3/2/1/0/False/True/3 "],
        ["{% for x in [] %}a{% else %}none{% endfor %}", "none"],
        ["{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}", "k=1;j=2;"],
        ["{% for a, b in pairs %}{{ a }}{{ b }}{% endfor %}", "a1b2"],
        ["{% for x in items if x > 1 %}{{ loop.index }}:{{ x }}/{{ loop.length }} {% endfor %}", "1:2/2 2:3/2 "],
        ["{% for x in items if x > 5 %}{{ x }}{% else %}none{% endfor %}", "none"],
        ["{% for x in items %}{% if x == 2 %}{% break %}{% endif %}{{ x }}{% endfor %}", "1"],
        ["{% for x in items %}{% if x == 2 %}{% continue %}{% endif %}{{ x }}{% endfor %}", "13"],
        ["{% for x in items %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }} {% endfor %}", "<1>2 1<2>3 2<3> "],
        ["{% for x in items %}{{ loop.cycle('odd', 'even') }} {% endfor %}", "odd even odd "],
        ["{% for x in [1, 1, 2] %}{{ loop.changed(x) }} {% endfor %}", "True False True "],
        ["{% for x in tree recursive %}{{ x.v }}@{{ loop.depth }}({{ loop(x.c) }}){% endfor %}", "1@1(2@2()3@2(4@3()))"],
        ["{% for x in items %}{% for y in 'ab' %}{{ x }}{{ y }}{{ loop.last }} {% endfor %}{{ loop.index }}{% endfor %}", "1aFalse 1bTrue 12aFalse 2bTrue 23aFalse 3bTrue 3"],
        ["{% for x in items %}{% set y = x %}{% endfor %}{{ y is defined }}", "False"],
        ["{% set y = 0 %}{% for x in items %}{% set y = y + x %}{{ y }} {% endfor %}{{ y }}", "1 2 3 0"],
        ["{% set ns = namespace(y=0) %}{% for x in items %}{% set ns.y = ns.y + x %}{% endfor %}{{ ns.y }}", "6"],
        ["{% for c in name %}{{ c }}.{% endfor %}", "A.d.a."],
        ["{% for x in d %}{{ x }}{% endfor %}", "kj"],
        ["{% for x in missing %}a{% else %}e{% endfor %}", "e"],
        ["{% for x in items|select('odd') %}{{ x }}{{ loop.last }}{{ loop.length }} {% endfor %}", "1False2 3True2 "],
        ["{% for x in (1, 2), (3, 4) %}{{ x }}{% endfor %}", "(1, 2)(3, 4)"],
        ["{% for i in range(2) %}{{ i }}{% endfor %}", "01"],
        ["{% for x in [1] %}{% continue %}{% else %}else{% endfor %}", "else"],
        ["{% for m in messages[1:] %}{{ m.role }}:{{ messages[loop.index0].role }} {% endfor %}", "user:system assistant:user "],
        ["{% for x in items %}{% if loop.first %}[{% endif %}{{ x }}{{ ', ' if not loop.last else ']' }}{% endfor %}", "[1, 2, 3]"],
        ["{% for (a, b), c in [((1, 2), 3)] %}{{ a }}{{ b }}{{ c }}{% endfor %}", "123"],
    ];

    private static readonly object[][] Sets =
    [
        ["{% set a = 1 %}{{ a }}", "1"],
        ["{% set a, b = 1, 2 %}{{ a }}{{ b }}", "12"],
        ["{% set (a, b) = (1, 2) %}{{ b }}{{ a }}", "21"],
        ["{% set a %}x{{ 1 }}y{% endset %}{{ a }}|{{ a|length }}", "x1y|3"],
        ["{% set a | upper | trim %} x {% endset %}{{ a }}", "X"],
        ["{% set ns = namespace() %}{% set ns.a = 1 %}{% set ns.b, c = 2, 3 %}{{ ns.a }}{{ ns.b }}{{ c }}{{ ns.zz is defined }}", "123False"],
        ["{% set ns = namespace(d, z=1) %}{{ ns.k }}{{ ns.z }}", "11"],
        ["{% if true %}{% set a = 1 %}{% endif %}{{ a }}", "1"],
        ["{% if false %}{% set a = 1 %}{% endif %}{{ a }}", ""],
        ["{% with a = 1, b = 2 %}{{ a }}{{ b }}{% endwith %}{{ a }}", "12"],
        ["{% set a = 1 %}{% with a = 2, b = a %}{{ a }}{{ b }}{% endwith %}{{ a }}", "211"],
        ["{% set name = 'Bob' %}{{ name }}", "Bob"],
        ["{% filter upper %}a{{ name }}{% endfilter %}", "AADA"],
        ["{% filter replace('a', 'b') | upper %}banana{% endfilter %}", "BBNBNB"],
        ["{% print 1, 'a' %}", "1a"],
        ["{% set a = 1, %}{{ a }}", "(1,)"],
        ["{% autoescape false %}<{{ '<' }}{% endautoescape %}", "<<"],
        ["{% block body %}x{{ name }}{% endblock %}", "xAda"],
    ];

    private static readonly object[][] Macros =
    [
        ["{% macro m(a) %}<{{ a }}>{% endmacro %}{{ m(1) }}{{ m('x') }}", "<1><x>"],
        ["{% macro m(a, b=2, c='x') %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }} {{ m(1, 3) }} {{ m(1, c='z') }} {{ m(b=5, a=0) }}", "12x 13x 12z 05x"],
        ["{% macro m(a) %}{{ a }}{% endmacro %}[{{ m() }}]", "[]"],
        ["{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, x=3) }}", "(1, 2){'x': 3}"],
        ["{% macro m(n) %}{{ n }}{% if n > 0 %}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(3) }}", "3210"],
        ["{% macro m() %}({{ caller() }}){% endmacro %}{% call m() %}in{% endcall %}", "(in)"],
        ["{% macro m(xs) %}{% for x in xs %}{{ caller(x, loop.index) }};{% endfor %}{% endmacro %}{% call(v, i) m(items) %}{{ i }}={{ v }}{% endcall %}", "1=1;2=2;3=3;"],
        ["{% macro m() %}{{ caller is defined }}{% endmacro %}{{ m() }}", "False"],
        ["{% set g = 1 %}{% macro m() %}{{ g }}{% endmacro %}{% set g = 2 %}{{ m() }}", "2"],
        ["{% macro m() %}{% set inner = 1 %}{% endmacro %}{{ m() }}{{ inner is defined }}", "False"],
        ["{% macro m(a, b=a) %}{{ b }}{% endmacro %}{{ m(7) }}", "7"],
        ["{% macro m(a) %}{{ a }}{% endmacro %}{{ m.name }} {{ m.arguments }} {{ m.caller }}", "m ('a',) False"],
        ["{% macro m(x) %}{{ x }}{% endmacro %}{{ m(*[1]) }}{{ m(**{'x': 2}) }}", "12"],
        ["{% macro m(x) -%}\n  {{ x }}\n{%- endmacro %}{{ m(1) ~ m(2) }}", "12"],
        ["{% macro outer() %}{% macro inner() %}i{% endmacro %}{{ inner() }}{% endmacro %}{{ outer() }}", "i"],
        ["{% generation %}{% set a = 1 %}x{{ a }}{% endgeneration %}{{ a is defined }}", "x1False"],
        ["{% macro m() %}  x  {% endmacro %}{{ m() | trim }}|", "x|"],
    ];

    private static readonly object[][] Branches =
    [
        ["{% if 0 %}a{% elif 1 %}b{% else %}c{% endif %}", "b"],
        ["{% if missing %}a{% else %}b{% endif %}", "b"],
        ["{% if items and name %}a{% endif %}", "a"],
        ["{% if not missing is defined %}a{% endif %}", "a"],
        ["{% if 'nope' is test %}{{ 1 is nope }}{% endif %}ok", "ok"],
        ["{% if false %}{{ 1|nope }}{% endif %}ok", "ok"],
        ["{{ 'a' if true else 1|nope }}", "a"],
        ["{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% else %}{% set loop_messages = messages %}{% endif %}{{ loop_messages|length }}", "2"],
        ["{% if 1, 2 %}t{% endif %}", "t"],
        ["{% if true: %}a{% endif %}", "a"],
    ];

    [TestCaseSource(nameof(Whitespace))]
    public void Whitespace_are_as_in_Python(string template, string expected) => Assert.That(Jinja.Render(template, Variables), Is.EqualTo(expected));

    [TestCaseSource(nameof(Loops))]
    public void Loops_are_as_in_Python(string template, string expected) => Assert.That(Jinja.Render(template, Variables), Is.EqualTo(expected));

    [TestCaseSource(nameof(Sets))]
    public void Sets_are_as_in_Python(string template, string expected) => Assert.That(Jinja.Render(template, Variables), Is.EqualTo(expected));

    [TestCaseSource(nameof(Macros))]
    public void Macros_are_as_in_Python(string template, string expected) => Assert.That(Jinja.Render(template, Variables), Is.EqualTo(expected));

    [TestCaseSource(nameof(Branches))]
    public void Branches_are_as_in_Python(string template, string expected) => Assert.That(Jinja.Render(template, Variables), Is.EqualTo(expected));
}
