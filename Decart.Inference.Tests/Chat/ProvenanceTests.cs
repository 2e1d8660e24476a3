using Decart.Inference.Chat.Jinja;
using FsCheck;
using FsCheck.Fluent;

namespace Decart.Inference.Tests.Chat;

/// <summary>Every character of what a template writes is known to come from the template or from data, whatever happened to it on the way.</summary>
public class ProvenanceTests
{
    private const string Variables = """{"s": "data", "t": " Tx<y> ", "l": ["one", "two"], "d": {"key": "val", "k2": ["x"]}, "n": 5, "u": "\u00df\ud83d\ude00", "q": "a\"\n"}""";

    [TestCase("<|im|>{{ s }}</>", "<|im|>[data]</>")]
    [TestCase("{{ '<' + s + '>' }}", "<[data]>")]
    [TestCase("{{ '<' ~ s ~ n ~ '>' }}", "<[data]5>")]
    [TestCase("{{ s[1:3] }}{{ s[0] }}{{ s[::-1] }}", "[atdatad]")]
    [TestCase("{{ ('<' + s + '>')[1:-1] }}", "[data]")]
    [TestCase("{{ ('<' + s + '>')[::-1] }}", ">[atad]<")]
    [TestCase("{{ t|trim }}", "[Tx<y>]")]
    [TestCase("{{ (' ' + s + ' ').strip() }}", "[data]")]
    [TestCase("{{ s|upper }}{{ s.title() }}{{ s|capitalize }}", "[DATADataData]")]
    [TestCase("{{ ('x' + s)|upper }}", "X[DATA]")]
    [TestCase("{{ u|upper }}{{ ('ß' + u)|upper }}", "[SS\U0001F600]SS[SS\U0001F600]")]
    [TestCase("{{ s|replace('a', 'A') }}", "[d]A[t]A")]
    [TestCase("{{ 'abc'|replace('b', s) }}", "a[data]c")]
    [TestCase("{{ 'a-b'.replace('-', s) }}{{ s.replace('z', 'y') }}", "a[data]b[data]")]
    [TestCase("{{ l|join(', ') }}", "[one], [two]")]
    [TestCase("{{ '-'.join(l) }}{{ s.join(['(', ')']) }}", "[one]-[two]([data])")]
    [TestCase("{{ s|tojson }}", "\"[data]\"")]
    [TestCase("{{ q|tojson }}", "\"[a\\\"\\n]\"")]
    [TestCase("{{ d|tojson }}", "{\"[key]\": \"[val]\", \"[k2]\": [\"[x]\"]}")]
    [TestCase("{{ {'a': s}|tojson(indent=1) }}", "{\n \"a\": \"[data]\"\n}")]
    [TestCase("{{ d }}", "{'[key]': '[val]', '[k2]': ['[x]']}")]
    [TestCase("{{ q }}{{ [q] }}", "[a\"\n]['[a\"\\n]']")]
    [TestCase("{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}", "[key]=[val];[k2]=['[x]'];")]
    [TestCase("{% for c in s %}{{ c }}.{% endfor %}", "[d].[a].[t].[a].")]
    [TestCase("{{ s.split('t') }}{{ 'a b'.split() }}", "['[da]', '[a]']['a', 'b']")]
    [TestCase("{{ (s + '|' + s).split('|')[1] }}{{ s.partition('t')[0] }}", "[datada]")]
    [TestCase("{% set x %}<{{ s }}>{% endset %}{{ x }}{{ x|length }}", "<[data]>6")]
    [TestCase("{% macro m(a) %}<{{ a }}>{% endmacro %}{{ m(s)|upper }}", "<[DATA]>")]
    [TestCase("{% filter upper %}a{{ s }}{% endfilter %}", "A[DATA]")]
    [TestCase("{% set ns = namespace(x=s) %}{{ ns.x }}", "[data]")]
    [TestCase("{{ '%s!' % s }}{{ '{}!'.format(s) }}{{ '%s'|format(s) }}", "[data]![data]![data]")]
    [TestCase("{{ '%6s' % s }}{{ '{:>6}'.format(s) }}{{ s.center(6, '*') }}", "  [data]  [data]*[data]*")]
    [TestCase("{{ s * 2 }}{{ s|list }}", "[datadata]['[d]', '[a]', '[t]', '[a]']")]
    [TestCase("{{ (s ~ '\\n' ~ s)|indent(2) }}", "[data]\n  [data]")]
    [TestCase("{{ t|escape }}{{ '<' + (s|safe) }}", "[ Tx&lt;y&gt; ]&lt;[data]")]
    [TestCase("{{ s|default('x') }}{{ zz|default(s) }}{{ s if s else 'x' }}{{ s or 'x' }}", "[datadatadatadata]")]
    [TestCase("{{ l|first }}{{ l|last }}{{ l|sort|join }}{{ l|map('upper')|join }}", "[onetwoonetwoONETWO]")]
    [TestCase("{{ d|dictsort }}", "[('[k2]', ['[x]']), ('[key]', '[val]')]")]
    [TestCase("{{ s|string }}{{ s|truncate(3, true, '', 0) }}{{ s.removeprefix('d') }}{{ s.zfill(6) }}", "[datadatata]00[data]")]
    [TestCase("{{ 'template' }}{{ 'x'|upper }}{{ 1 + 1 }}{{ [1, 'a'] }}", "templateX2[1, 'a']")]
    public void Each_character_keeps_where_it_comes_from(string template, string expected) =>
        Assert.That(Jinja.Marked(Jinja.RenderMarked(template, Variables)), Is.EqualTo(expected));

    /// <summary>
    /// Data is written in letters that the template does not use: after any chain of operations, exactly these letters (in any case, or as what stands for them) must count as data.
    /// </summary>
    [Test]
    public void No_chain_of_operations_makes_data_of_the_template_or_the_other_way_round()
    {
        string[] operations =
        [
            "x|upper", "x|lower", "x|trim", "x[1:]", "x[::-1]", "x[:-1]", "x ~ 'ab'", "'ab' ~ x", "x + s", "s + x", "x|replace('a', s)", "x|replace(s, 'b')", "x|replace('', 'b')",
            "x.split('b')|join('a')", "x|list|join", "x|tojson", "[x, s]|tojson", "{'a': x, s: 'b'}|tojson(indent=1)", "x|string|title", "[x]|string", "{'b': x}|string", "'%s a %s' % (x, s)",
            "'{} b {}'.format(s, x)", "x.center(20)", "x|indent(2, true)", "x * 2", "x|escape|string", "x.capitalize()", "x.swapcase()", "[x, s, 'a']|join('b')", "x|truncate(9, true)",
            "(x ~ '\n' ~ s).splitlines()|join(s)", "x.rsplit('a', 1)[-1]", "x.partition('a')|join", "x.expandtabs()", "x|reverse", "x.zfill(12)", "m(x)", "x|safe ~ 'a'",
        ];
        const string Data = "ZYWÜ\\\"<\n\t\U0001F600Q";
        Gen<string> chains =
            from count in Gen.Choose(1, 8)
            from parts in Gen.Elements(operations).ArrayOf(count)
            select string.Concat(parts.Select(part => $"{{% set x = {part} %}}"));
        Prop.ForAll(chains.ToArbitrary(), chain =>
        {
            StringValue text = Jinja.RenderMarked("{% macro m(v) %}a{{ v }}b{% endmacro %}{% set x = s %}" + chain + "{{ x }}", System.Text.Json.JsonSerializer.Serialize(new { s = Data }));
            for (int i = 0; i < text.Text.Length; i++)
            {
                char character = text.Text[i];
                if (char.ToLowerInvariant(character) is 'z' or 'y' or 'w' or 'ü' or 'q' or '\t' || char.IsSurrogate(character)) Assert.That(text.IsData(i), chain);
                if (char.ToLowerInvariant(character) is 'a' or 'b' or 'k' or ':' or '{') Assert.That(text.IsData(i), Is.False.Or.EqualTo(IsWithinEscape(text.Text, i)), chain);
            }
        }).QuickCheckThrowOnFailure();
    }

    /// <summary>What stands for a character of data is data too: the letters of its escape sequence.</summary>
    private static bool IsWithinEscape(string text, int index)
    {
        int start = Math.Max(0, index - 12);
        return text.AsSpan(start, index - start).IndexOfAny('\\', '&') >= 0;
    }
}
