namespace Decart.Inference.Tests.Chat;

/// <summary>Expressions and what Jinja 3.1 on Python 3.11 makes of them, set up as transformers does.</summary>
public class JinjaExpressionTests
{
    /// <summary>The variables of the expressions.</summary>
    private const string Variables = """
        {
          "name": "Ada", "n": 7, "x": 2.5, "none_value": null, "flag": true, "empty": "", "items": [3, 1, 2], "words": ["pear", "Apple", "fig"],
          "user": {"name": "Ada", "tags": ["a", "b"], "age": 36},
          "users": [{"name": "Ada", "age": 36, "city": "London"}, {"name": "Bob", "age": 25, "city": "Paris"}, {"name": "cyd", "age": 36, "city": "London"}],
          "text": "  The quick\tbrown fox \n", "uni": "\u00fc\u00df \ud83d\ude00 \u6f22", "deep": {"a": {"b": [{"c": 1.5}]}}, "nested": [[1, [2, "x"]], {"k": null, "t": true}]
        }
        """;

    private static readonly object[][] Literals =
    [
        ["1", "1"],
        ["-1", "-1"],
        ["1_000", "1000"],
        ["0x1f", "31"],
        ["0b101", "5"],
        ["0o17", "15"],
        ["1.5", "1.5"],
        ["1e3", "1000.0"],
        ["2.5e-3", "0.0025"],
        ["'a' 'b'", "ab"],
        ["'\\n'|length", "1"],
        ["'\\x41\\u00e9\\101'", "A\u00E9A"],
        ["'it\\'s'", "it's"],
        ["\"say \\\"hi\\\"\"", "say \"hi\""],
        ["'\\d'", "\\d"],
        ["true", "True"],
        ["True", "True"],
        ["none", "None"],
        ["None", "None"],
        ["[]", "[]"],
        ["[1, 'a', none, true, 2.0]", "[1, 'a', None, True, 2.0]"],
        ["()", "()"],
        ["(1,)", "(1,)"],
        ["1, 2", "(1, 2)"],
        ["{}", "{}"],
        ["{'a': 1, 2: 'b', 'c': [1.5]}", "{'a': 1, 2: 'b', 'c': [1.5]}"],
        ["[1,]", "[1]"],
        ["{'a': 1,}", "{'a': 1}"],
    ];

    private static readonly object[][] Arithmetic =
    [
        ["1 + 2 * 3", "7"],
        ["(1 + 2) * 3", "9"],
        ["7 / 2", "3.5"],
        ["8 / 2", "4.0"],
        ["7 // 2", "3"],
        ["-7 // 2", "-4"],
        ["7 % 3", "1"],
        ["-7 % 3", "2"],
        ["7.5 % 2", "1.5"],
        ["-7.5 // 2", "-4.0"],
        ["2 ** 10", "1024"],
        ["2 ** -1", "0.5"],
        ["2 ** 3 ** 2", "64"],
        ["-2 ** 2", "4"],
        ["1 + 2.0", "3.0"],
        ["0.1 + 0.2", "0.30000000000000004"],
        ["true + 1", "2"],
        ["10 ** 20", "100000000000000000000"],
        ["1e16", "1e+16"],
        ["1e15 + 0.5", "1000000000000000.5"],
        ["123456789012345678901234567890", "123456789012345678901234567890"],
        ["1 / 3", "0.3333333333333333"],
        ["5 - -3", "8"],
        ["+5", "5"],
        ["'ab' * 3", "ababab"],
        ["3 * 'ab'", "ababab"],
        ["[1] * 2", "[1, 1]"],
        ["[1] + [2]", "[1, 2]"],
        ["(1,) + (2, 3)", "(1, 2, 3)"],
        ["'a' + 'b'", "ab"],
        ["'a' ~ 1 ~ none ~ 2.0 ~ true", "a1None2.0True"],
        ["'%s is %d' % ('x', 3)", "x is 3"],
        ["'%5.2f|%-5s|%05d|%x|%%' % (1.5, 'a', 42, 255)", " 1.50|a    |00042|ff|%"],
        ["'%s' % name", "Ada"],
        ["'%(name)s' % user", "Ada"],
    ];

    private static readonly object[][] Comparison =
    [
        ["1 < 2", "True"],
        ["1 < 2 < 3", "True"],
        ["1 < 3 < 2", "False"],
        ["1 == 1.0", "True"],
        ["1 == true", "True"],
        ["'a' == 'a'", "True"],
        ["'a' != 'b'", "True"],
        ["'a' < 'b'", "True"],
        ["[1, 2] == [1, 2]", "True"],
        ["[1, 2] < [1, 3]", "True"],
        ["(1, 2) == (1, 2)", "True"],
        ["[1] == (1,)", "False"],
        ["{'a': 1} == {'a': 1.0}", "True"],
        ["none == none", "True"],
        ["none == false", "False"],
        ["missing == missing", "True"],
        ["1 in [1, 2]", "True"],
        ["3 not in [1, 2]", "True"],
        ["'ell' in 'hello'", "True"],
        ["'name' in user", "True"],
        ["'Ada' in user", "False"],
        ["1 in (1, 2)", "True"],
        ["missing in [1]", "False"],
        ["1 in missing", "False"],
        ["not 1 in [1]", "False"],
        ["not (1 == 2)", "True"],
    ];

    private static readonly object[][] Logic =
    [
        ["true and false", "False"],
        ["true or false", "True"],
        ["not true", "False"],
        ["1 and 2", "2"],
        ["0 or 'x'", "x"],
        ["none or 'd'", "d"],
        ["'' and 'x'", ""],
        ["[] or 'empty'", "empty"],
        ["not []", "True"],
        ["'a' if true else 'b'", "a"],
        ["'a' if false else 'b'", "b"],
        ["'a' if false", ""],
        ["1 if 0 else 2 if 0 else 3", "3"],
        ["not none and 1", "1"],
        ["missing or 'd'", "d"],
    ];

    private static readonly object[][] Lookups =
    [
        ["user.name", "Ada"],
        ["user['name']", "Ada"],
        ["user.missing", ""],
        ["user['missing']", ""],
        ["user.tags[0]", "a"],
        ["user.tags[-1]", "b"],
        ["user.tags.0", "a"],
        ["items[5]", ""],
        ["user.items() | list", "[('name', 'Ada'), ('tags', ['a', 'b']), ('age', 36)]"],
        ["users[0].name", "Ada"],
        ["users[-1]['city']", "London"],
        ["deep.a.b[0].c", "1.5"],
        ["name[0]", "A"],
        ["name[-1]", "a"],
        ["uni[3]", "\uD83D\uDE00"],
        ["none_value.foo is defined", "False"],
        ["user.get('name')", "Ada"],
        ["user.get('zip')", "None"],
        ["user.get('zip', 'n/a')", "n/a"],
        ["user.keys() | list", "['name', 'tags', 'age']"],
        ["user.values() | list", "['Ada', ['a', 'b'], 36]"],
        ["items['append'] is defined", "False"],
    ];

    private static readonly object[][] Slices =
    [
        ["items[1:]", "[1, 2]"],
        ["items[:-1]", "[3, 1]"],
        ["items[::-1]", "[2, 1, 3]"],
        ["items[::2]", "[3, 2]"],
        ["items[5:]", "[]"],
        ["items[-2:]", "[1, 2]"],
        ["name[1:]", "da"],
        ["name[::-1]", "adA"],
        ["name[:2]", "Ad"],
        ["uni[3:4]", "\uD83D\uDE00"],
        ["uni[::-1]", "\u6F22 \uD83D\uDE00 \u00DF\u00FC"],
        ["(1,2,3)[1:]", "(2, 3)"],
        ["range(10)[2:8:3] | list", "[2, 5]"],
        ["items[1:1]", "[]"],
        ["items[none:2]", "[3, 1]"],
        ["name[-100:100]", "Ada"],
    ];

    private static readonly object[][] StringMethods =
    [
        ["'  a '.strip()", "a"],
        ["'xxaxx'.strip('x')", "a"],
        ["' a'.lstrip()", "a"],
        ["'a '.rstrip()", "a"],
        ["'abc'.lstrip('ba')", "c"],
        ["'a,b,,c'.split(',')", "['a', 'b', '', 'c']"],
        ["' a  b '.split()", "['a', 'b']"],
        ["'a b c'.split(' ', 1)", "['a', 'b c']"],
        ["'a b c'.rsplit(' ', 1)", "['a b', 'c']"],
        ["'a b c'.split(maxsplit=1)", "['a', 'b c']"],
        ["'a\\nb\\r\\nc'.splitlines()", "['a', 'b', 'c']"],
        ["'a\\nb'.splitlines(true)", "['a\\n', 'b']"],
        ["'Hello'.upper()", "HELLO"],
        ["'Hello'.lower()", "hello"],
        ["'hello world'.title()", "Hello World"],
        ["'hELLO'.capitalize()", "Hello"],
        ["'Hello'.swapcase()", "hELLO"],
        ["'Stra\u00DFe'.upper()", "STRASSE"],
        ["'\u039F\u0394\u039F\u03A3'.lower()", "\u03BF\u03B4\u03BF\u03C2"],
        ["'hello'.startswith('he')", "True"],
        ["'hello'.startswith(('x', 'h'))", "True"],
        ["'hello'.startswith('l', 2)", "True"],
        ["'hello'.endswith('lo')", "True"],
        ["'hello'.replace('l', 'L')", "heLLo"],
        ["'hello'.replace('l', 'L', 1)", "heLlo"],
        ["'ab'.replace('', '-')", "-a-b-"],
        ["'hello'.find('l')", "2"],
        ["'hello'.rfind('l')", "3"],
        ["'hello'.find('z')", "-1"],
        ["'hello'.index('e')", "1"],
        ["'hello'.count('l')", "2"],
        ["'-'.join(['a', 'b'])", "a-b"],
        ["','.join('xyz')", "x,y,z"],
        ["'a=b=c'.partition('=')", "('a', '=', 'b=c')"],
        ["'a=b=c'.rpartition('=')", "('a=b', '=', 'c')"],
        ["'abc'.isalpha()", "True"],
        ["'12'.isdigit()", "True"],
        ["'a1'.isalnum()", "True"],
        ["' '.isspace()", "True"],
        ["'AB'.isupper()", "True"],
        ["'ab'.islower()", "True"],
        ["'Ab C'.istitle()", "True"],
        ["'5'.zfill(3)", "005"],
        ["'-5'.zfill(4)", "-005"],
        ["'a'.center(5, '*')", "**a**"],
        ["'a'.ljust(3) ~ '|'", "a  |"],
        ["'a'.rjust(3)", "  a"],
        ["'prefix-x'.removeprefix('prefix-')", "x"],
        ["'x.txt'.removesuffix('.txt')", "x"],
        ["'a\\tb'.expandtabs(4)", "a   b"],
        ["'{} {}'.format(1, 'a')", "1 a"],
        ["'{0} {name} {0}'.format(1, name='n')", "1 n 1"],
        ["'{:>5}|{:<5}|{:^5}|{:05d}|{:.2f}|{:,}'.format('a', 'b', 'c', 42, 3.14159, 1234567)", "    a|b    |  c  |00042|3.14|1,234,567"],
        ["'{u[name]} {u.age!r}'.format(u=user)", "Ada 36"],
        ["'{{}}'.format()", "{}"],
        ["uni.upper()", "\u00DCSS \uD83D\uDE00 \u6F22"],
        ["uni.split(' ')", "['\u00FC\u00DF', '\uD83D\uDE00', '\u6F22']"],
    ];

    private static readonly object[][] TextFilters =
    [
        ["'Hello'|upper", "HELLO"],
        ["'Hello'|lower", "hello"],
        ["'hello world-wide (x)'|title", "Hello World-Wide (X)"],
        ["\"don't stop\"|title", "Don't Stop"],
        ["'hELLO'|capitalize", "Hello"],
        ["text|trim", "The quick\tbrown fox"],
        ["'xax'|trim('x')", "a"],
        ["'hello'|replace('l', 'L')", "heLLo"],
        ["'hello'|replace('l', 'L', 1)", "heLlo"],
        ["12|replace(1, 3)", "32"],
        ["'a\\nb\\n\\nc'|indent", "a\n    b\n\n    c"],
        ["'a\\nb'|indent(2)", "a\n  b"],
        ["'a\\nb'|indent(2, true)", "  a\n  b"],
        ["'a\\n\\nb'|indent(2, blank=true)", "a\n  \n  b"],
        ["'a\\nb'|indent('> ')", "a\n> b"],
        ["'hello world'|truncate(8)", "hello world"],
        ["'hello world'|truncate(5, true, '', 0)", "hello"],
        ["'hello big world'|truncate(11, false, '..', 0)", "hello.."],
        ["'a b_c d'|wordcount", "3"],
        ["'ab'|center(6) ~ '|'", "  ab  |"],
        ["['a', 1, none]|join", "a1None"],
        ["['a', 'b']|join(', ')", "a, b"],
        ["users|join('/', attribute='name')", "Ada/Bob/cyd"],
        ["'<a & \"b\">'|escape", "&lt;a &amp; &#34;b&#34;&gt;"],
        ["'<a>'|e", "&lt;a&gt;"],
        ["'<a>'|safe", "<a>"],
        ["'<' + ('b'|safe)", "&lt;b"],
        ["('<b>'|safe) + '<c>'", "<b>&lt;c&gt;"],
        ["'<' ~ ('b'|safe)", "<b"],
        ["'<b>'|safe|escape", "<b>"],
        ["12|string", "12"],
        ["none|string", "None"],
        ["'%s-%s'|format('a', 1)", "a-1"],
        ["'%(a)s'|format(a=2)", "2"],
    ];

    private static readonly object[][] NumberFilters =
    [
        ["'42'|int", "42"],
        ["'4.9'|int", "4"],
        ["'x'|int", "0"],
        ["'x'|int(-1)", "-1"],
        ["'0x1F'|int(0, 16)", "31"],
        ["4.9|int", "4"],
        ["true|int", "1"],
        ["'1.5'|float", "1.5"],
        ["'x'|float", "0.0"],
        ["'x'|float(2.5)", "2.5"],
        ["3|float", "3.0"],
        ["-5|abs", "5"],
        ["(-5)|abs", "5"],
        ["42.55|round", "43.0"],
        ["42.55|round(1)", "42.5"],
        ["2.5|round", "2.0"],
        ["3.5|round", "4.0"],
        ["2.675|round(2)", "2.67"],
        ["42.55|round(1, 'floor')", "42.5"],
        ["42.51|round(0, 'ceil')", "43.0"],
        ["1234|round(-2)", "1200"],
        ["42.55|round|int", "43"],
    ];

    private static readonly object[][] ListFilters =
    [
        ["items|length", "3"],
        ["name|length", "3"],
        ["user|count", "3"],
        ["uni|length", "6"],
        ["missing|length", "0"],
        ["'abc'|list", "['a', 'b', 'c']"],
        ["user|list", "['name', 'tags', 'age']"],
        ["missing|list", "[]"],
        ["items|first", "3"],
        ["[]|first", ""],
        ["items|last", "2"],
        ["'abc'|last", "c"],
        ["items|reverse|list", "[2, 1, 3]"],
        ["'abc'|reverse", "cba"],
        ["items|sort", "[1, 2, 3]"],
        ["items|sort(reverse=true)", "[3, 2, 1]"],
        ["words|sort", "['Apple', 'fig', 'pear']"],
        ["words|sort(case_sensitive=true)", "['Apple', 'fig', 'pear']"],
        ["users|sort(attribute='age')|map(attribute='name')|list", "['Bob', 'Ada', 'cyd']"],
        ["users|sort(attribute='city,name')|map(attribute='name')|join", "AdacydBob"],
        ["[1, 2, 1, 3]|unique|list", "[1, 2, 3]"],
        ["['a', 'A', 'b']|unique|list", "['a', 'b']"],
        ["['a', 'A']|unique(true)|list", "['a', 'A']"],
        ["items|min", "1"],
        ["items|max", "3"],
        ["words|min", "Apple"],
        ["[]|max", ""],
        ["users|max(attribute='age')", "{'name': 'Ada', 'age': 36, 'city': 'London'}"],
        ["items|sum", "6"],
        ["users|sum(attribute='age')", "97"],
        ["[1.5, 2]|sum(start=10)", "13.5"],
        ["[1, 2, 3, 4, 5]|batch(2)|list", "[[1, 2], [3, 4], [5]]"],
        ["[1, 2, 3]|batch(2, 0)|list", "[[1, 2], [3, 0]]"],
        ["[1, 2, 3, 4, 5]|slice(2)|list", "[[1, 2, 3], [4, 5]]"],
        ["[1, 2, 3]|slice(2, 'x')|list", "[[1, 2], [3, 'x']]"],
        ["users|groupby('city')|map('first')|list", "['London', 'Paris']"],
        ["users|groupby('city')|map(attribute='list')|map('length')|list", "[2, 1]"],
        ["users|groupby('zip', default='?')|map(attribute='grouper')|list", "['?']"],
        ["{'b': 1, 'A': 2}|dictsort", "[('A', 2), ('b', 1)]"],
        ["{'b': 1, 'A': 2}|dictsort(true)", "[('A', 2), ('b', 1)]"],
        ["{'b': 1, 'a': 2}|dictsort(by='value')", "[('b', 1), ('a', 2)]"],
        ["{'b': 1, 'a': 2}|dictsort(reverse=true)", "[('b', 1), ('a', 2)]"],
        ["user|items|list", "[('name', 'Ada'), ('tags', ['a', 'b']), ('age', 36)]"],
        ["missing|items|list", "[]"],
        ["words|map('upper')|list", "['PEAR', 'APPLE', 'FIG']"],
        ["users|map(attribute='name')|list", "['Ada', 'Bob', 'cyd']"],
        ["users|map(attribute='zip', default='-')|list", "['-', '-', '-']"],
        ["[[1, 2], [3]]|map('join', '+')|list", "['1+2', '3']"],
        ["[0, 1, '', 'a']|select|list", "[1, 'a']"],
        ["[0, 1, '', 'a']|reject|list", "[0, '']"],
        ["[1, 2, 3]|select('odd')|list", "[1, 3]"],
        ["[1, 2, 3]|reject('gt', 1)|list", "[1]"],
        ["users|selectattr('age', 'equalto', 36)|map(attribute='name')|list", "['Ada', 'cyd']"],
        ["users|selectattr('zip', 'defined')|list", "[]"],
        ["users|rejectattr('city', 'in', ['Paris'])|map(attribute='name')|list", "['Ada', 'cyd']"],
        ["users|selectattr('age')|list|length", "3"],
        ["missing|default('d')", "d"],
        ["''|default('d')", ""],
        ["''|default('d', true)", "d"],
        ["none|default('d')", "None"],
        ["none|default('d', boolean=true)", "d"],
        ["missing|d('x')", "x"],
        ["'a'|attr('upper') is defined", "True"],
        ["user|attr('name') is defined", "False"],
        ["([]|select) and 'always true'", "always true"],
    ];

    private static readonly object[][] Json =
    [
        ["user|tojson", "{\"name\": \"Ada\", \"tags\": [\"a\", \"b\"], \"age\": 36}"],
        ["'<a & \"b\">\\n\\\\'|tojson", "\"<a & \\\"b\\\">\\n\\\\\""],
        ["uni|tojson", "\"\u00FC\u00DF \uD83D\uDE00 \u6F22\""],
        ["uni|tojson(ensure_ascii=true)", "\"\\u00fc\\u00df \\ud83d\\ude00 \\u6f22\""],
        ["none|tojson", "null"],
        ["1.0|tojson", "1.0"],
        ["1e20|tojson", "1e+20"],
        ["[1, 'a', none, true]|tojson", "[1, \"a\", null, true]"],
        ["(1, 2)|tojson", "[1, 2]"],
        ["{}|tojson(indent=2)", "{}"],
        ["user|tojson(indent=2)", "{\n  \"name\": \"Ada\",\n  \"tags\": [\n    \"a\",\n    \"b\"\n  ],\n  \"age\": 36\n}"],
        ["nested|tojson(indent=4)", "[\n    [\n        1,\n        [\n            2,\n            \"x\"\n        ]\n    ],\n    {\n        \"k\": null,\n        \"t\": true\n    }\n]"],
        ["{'b': 1, 'a': [1, 2]}|tojson(sort_keys=true)", "{\"a\": [1, 2], \"b\": 1}"],
        ["{'a': [1, 2]}|tojson(separators=(',', ':'))", "{\"a\":[1,2]}"],
        ["{1: 'a', none: 'b', true: 'c'}|tojson", "{\"1\": \"c\", \"null\": \"b\"}"],
        ["'\\x01\\x7f'|tojson", "\"\\u0001\u007F\""],
        ["[[]]|tojson(indent=1)", "[\n []\n]"],
    ];

    private static readonly object[][] Printing =
    [
        ["[1, 'a', \"it's\", none, true, 1.0, 1e-7]", "[1, 'a', \"it's\", None, True, 1.0, 1e-07]"],
        ["{'k': 'v', 'n': none}", "{'k': 'v', 'n': None}"],
        ["'a'|list", "['a']"],
        ["('x',)", "('x',)"],
        ["['\\n', '\\\\', '\\u200b']", "['\\n', '\\\\', '\\u200b']"],
        ["\"'\"|list", "[\"'\"]"],
        ["'\"\\''|list", "['\"', \"'\"]"],
        ["nested", "[[1, [2, 'x']], {'k': None, 't': True}]"],
        ["missing", ""],
        ["none", "None"],
        ["1.0", "1.0"],
        ["1e100", "1e+100"],
        ["1e-5", "1e-05"],
        ["123456.789", "123456.789"],
        ["100000000000000000000.0", "1e+20"],
        ["range(3)", "range(0, 3)"],
        ["range(1, 10, 2)", "range(1, 10, 2)"],
        ["user.items()", "dict_items([('name', 'Ada'), ('tags', ['a', 'b']), ('age', 36)])"],
        ["namespace(a=1)", "<Namespace {'a': 1}>"],
    ];

    private static readonly object[][] Tests =
    [
        ["missing is defined", "False"],
        ["name is defined", "True"],
        ["missing is undefined", "True"],
        ["none is none", "True"],
        ["0 is none", "False"],
        ["true is boolean", "True"],
        ["1 is boolean", "False"],
        ["1 is integer", "True"],
        ["true is integer", "False"],
        ["1.0 is integer", "False"],
        ["1.0 is float", "True"],
        ["1 is number", "True"],
        ["true is number", "True"],
        ["'a' is string", "True"],
        ["1 is string", "False"],
        ["{} is mapping", "True"],
        ["[] is mapping", "False"],
        ["[] is sequence", "True"],
        ["'a' is sequence", "True"],
        ["1 is sequence", "False"],
        ["{} is sequence", "True"],
        ["[] is iterable", "True"],
        ["1 is iterable", "False"],
        ["missing is iterable", "True"],
        ["range is callable", "True"],
        ["3 is odd", "True"],
        ["4 is even", "True"],
        ["9 is divisibleby(3)", "True"],
        ["9 is divisibleby 2", "False"],
        ["1 is eq 1", "True"],
        ["1 is ne 2", "True"],
        ["1 is lt 2", "True"],
        ["2 is gt 1", "True"],
        ["2 is ge 2", "True"],
        ["2 is le 1", "False"],
        ["1 is equalto 1", "True"],
        ["1 is in [1, 2]", "True"],
        ["'ab' is lower", "True"],
        ["'AB' is upper", "True"],
        ["none is sameas none", "True"],
        ["1 is sameas true", "False"],
        ["true is true", "True"],
        ["1 is true", "False"],
        ["false is false", "True"],
        ["'upper' is filter", "True"],
        ["'nope' is filter", "False"],
        ["'odd' is test", "True"],
        ["1 is not none", "True"],
        ["not 1 is none", "True"],
        ["1 is string or true", "True"],
        ["'x' is string and 'y' is string", "True"],
        ["('a'|safe) is escaped", "True"],
    ];

    private static readonly object[][] Functions =
    [
        ["range(3)|list", "[0, 1, 2]"],
        ["range(1, 4)|list", "[1, 2, 3]"],
        ["range(5, 0, -2)|list", "[5, 3, 1]"],
        ["dict(a=1, b=2)", "{'a': 1, 'b': 2}"],
        ["dict({'a': 1}, b=2)", "{'a': 1, 'b': 2}"],
        ["dict([('a', 1)])", "{'a': 1}"],
        ["strftime_now('%d %b %Y')", "26 Jul 2024"],
        ["strftime_now('%Y-%m-%dT%H:%M:%S')", "2024-07-26T15:04:05"],
        ["strftime_now('%A, %B %-d, %y %I:%M %p %j %%')", "Friday, July 26, 24 03:04 PM 208 %"],
    ];

    [TestCaseSource(nameof(Literals))]
    public void Literals_are_as_in_Python(string expression, string expected) => Check(expression, expected);

    [TestCaseSource(nameof(Arithmetic))]
    public void Arithmetic_are_as_in_Python(string expression, string expected) => Check(expression, expected);

    [TestCaseSource(nameof(Comparison))]
    public void Comparison_are_as_in_Python(string expression, string expected) => Check(expression, expected);

    [TestCaseSource(nameof(Logic))]
    public void Logic_are_as_in_Python(string expression, string expected) => Check(expression, expected);

    [TestCaseSource(nameof(Lookups))]
    public void Lookups_are_as_in_Python(string expression, string expected) => Check(expression, expected);

    [TestCaseSource(nameof(Slices))]
    public void Slices_are_as_in_Python(string expression, string expected) => Check(expression, expected);

    [TestCaseSource(nameof(StringMethods))]
    public void StringMethods_are_as_in_Python(string expression, string expected) => Check(expression, expected);

    [TestCaseSource(nameof(TextFilters))]
    public void TextFilters_are_as_in_Python(string expression, string expected) => Check(expression, expected);

    [TestCaseSource(nameof(NumberFilters))]
    public void NumberFilters_are_as_in_Python(string expression, string expected) => Check(expression, expected);

    [TestCaseSource(nameof(ListFilters))]
    public void ListFilters_are_as_in_Python(string expression, string expected) => Check(expression, expected);

    [TestCaseSource(nameof(Json))]
    public void Json_are_as_in_Python(string expression, string expected) => Check(expression, expected);

    [TestCaseSource(nameof(Printing))]
    public void Printing_are_as_in_Python(string expression, string expected) => Check(expression, expected);

    [TestCaseSource(nameof(Tests))]
    public void Tests_are_as_in_Python(string expression, string expected) => Check(expression, expected);

    [TestCaseSource(nameof(Functions))]
    public void Functions_are_as_in_Python(string expression, string expected) => Check(expression, expected);

    private static void Check(string expression, string expected) => Assert.That(Jinja.Render($"{{{{ {expression} }}}}", Variables), Is.EqualTo(expected));
}
