"""Renders templates in the style of model families with Jinja2, set up as transformers sets it up.

    python3 make_renderings.py        (needs jinja2 3.1)

Every *.jinja of this folder is rendered for every conversation; renderings.json holds what came out, or null where the template refused.
"""
import datetime
import json
import pathlib

from jinja2 import nodes
from jinja2.exceptions import TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

NOW = datetime.datetime(2024, 7, 26, 15, 4, 5)


class Generation(Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("_render"), [], [], body).set_lineno(line)

    def _render(self, caller):
        return caller()


def refuse(message):
    raise TemplateError(message)


def to_json(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
environment.filters["tojson"] = to_json
environment.globals["raise_exception"] = refuse
environment.globals["strftime_now"] = NOW.strftime

WEATHER = {"type": "function", "function": {"name": "get_weather", "description": "The weather <now>, \"as it is\".", "parameters": {"type": "object", "properties": {
    "city": {"type": "string", "description": "A city's name: Zürich"}, "unit": {"type": "string", "enum": ["C", "F"], "default": "C"},
    "days": {"type": ["integer", "null"], "nullable": True}, "places": {"type": "array", "items": {"type": "object", "properties": {"lat": {"type": "number"}}, "required": ["lat"]}}}, "required": ["city"]}}}
CLOCK = {"type": "function", "function": {"name": "get_time", "description": "", "parameters": {"type": "object", "properties": {}}, "return": {"type": "string"}}}

USER = {"role": "user", "content": " What's the weather in 東京? <b>\t"}
SYSTEM = {"role": "system", "content": "You are terse.\n"}
CALL = {"role": "assistant", "content": "", "tool_calls": [{"id": "abcdefghi", "type": "function", "function": {"name": "get_weather", "arguments": {"city": "東京", "days": 3, "x": None, "y": True}}}]}
CALLS = {"role": "assistant", "content": "Let me see.", "reasoning_content": "Two calls.\n", "tool_calls": CALL["tool_calls"] + [{"id": "jklmnopqr", "type": "function", "function": {"name": "get_time", "arguments": {}}}]}
RESULT = {"role": "tool", "name": "get_weather", "tool_call_id": "abcdefghi", "content": "{\"temperature\": 31.5}"}
RESULT2 = {"role": "tool", "name": "get_time", "tool_call_id": "jklmnopqr", "content": "12:00"}
THOUGHT = {"role": "assistant", "content": "<think>\nHm, 東京.\n</think>\n\nIt is warm."}
PARTS = {"role": "user", "content": [{"type": "text", "text": "Look"}, {"type": "image"}, {"type": "text", "text": " here"}]}

CONVERSATIONS = {
    "a question": dict(messages=[USER]),
    "a system message": dict(messages=[SYSTEM, USER]),
    "an answer": dict(messages=[SYSTEM, USER, THOUGHT, {"role": "user", "content": "And now?"}]),
    "an answer that goes on": dict(messages=[USER, {"role": "assistant", "content": "It is"}], add_generation_prompt=False),
    "tools": dict(messages=[SYSTEM, USER], tools=[WEATHER, CLOCK]),
    "a call": dict(messages=[USER, CALL, RESULT], tools=[WEATHER]),
    "two calls": dict(messages=[SYSTEM, USER, CALLS, RESULT, RESULT2, THOUGHT, {"role": "user", "content": "Thanks"}], tools=[WEATHER, CLOCK]),
    "no thinking": dict(messages=[SYSTEM, USER], enable_thinking=False, thinking=False),
    "thinking": dict(messages=[USER, THOUGHT, USER], enable_thinking=True, thinking=True, reasoning_effort="high"),
    "documents": dict(messages=[USER], documents=[{"title": "T", "text": "Some text."}, {"doc_id": 5, "title": "U", "text": "More: ü"}]),
    "parts": dict(messages=[PARTS]),
    "two questions": dict(messages=[USER, USER]),
    "nothing": dict(messages=[], tools=[]),
}


def main():
    folder = pathlib.Path(__file__).parent
    renderings = {}
    for path in sorted(folder.glob("*.jinja")):
        template = environment.from_string(path.read_text())
        for name, given in CONVERSATIONS.items():
            variables = dict(add_generation_prompt=True, bos_token="<s>", eos_token="</s>", tools=None, documents=None) | given
            try:
                renderings.setdefault(path.stem, {})[name] = template.render(**variables)
            except Exception as error:
                print(f"{path.stem}, {name}: {type(error).__name__}: {error}")
                renderings.setdefault(path.stem, {})[name] = None
    result = dict(conversations={name: dict(add_generation_prompt=True, bos_token="<s>", eos_token="</s>", tools=None, documents=None) | given for name, given in CONVERSATIONS.items()}, renderings=renderings)
    (folder / "renderings.json").write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n")


main()
