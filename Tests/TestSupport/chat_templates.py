"""Renders conversations in chat templates as apply_chat_template of transformers does, by Jinja itself.

Reads {"templates": [...], "conversations": [[{"role", "content"}]], "variables": {...}, "date": "2026-03-07T09:05:02"}
from standard input; writes, for each template and conversation, [closed, open], each {"text"} or {"error"}.
"""

import datetime
import json
import sys

import jinja2
import jinja2.ext
import jinja2.nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment


class Generation(jinja2.ext.Extension):
    """{% generation %}: marks what an assistant wrote; changes nothing in the text."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_same"), [], [], body).set_lineno(line)

    def _same(self, caller):
        return caller()


def environment(date):
    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(
            value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    result = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
    result.filters["tojson"] = tojson
    result.globals["raise_exception"] = raise_exception
    result.globals["strftime_now"] = date.strftime
    return result


def rendered(template, messages, is_open, variables):
    try:
        return {"text": template.render(
            messages=messages, tools=None, documents=None, add_generation_prompt=is_open, **variables)}
    except Exception as error:  # whatever Jinja says is what is compared
        return {"error": str(error)}


def main():
    problem = json.load(sys.stdin)
    # Whoever wrote the file may have sorted the keys in any way; a template that prints a message shows their order.
    problem["conversations"] = [
        [{"role": message["role"], "content": message["content"]} for message in messages]
        for messages in problem["conversations"]]
    jinja = environment(datetime.datetime.fromisoformat(problem["date"]))
    results = []
    for source in problem["templates"]:
        template = jinja.from_string(source)
        results.append([
            [rendered(template, messages, is_open, problem["variables"]) for is_open in (False, True)]
            for messages in problem["conversations"]])
    json.dump(results, sys.stdout)


main()
