"""Every member that a request may have by OpenAI's description, as pairs of requests: one with it, one without or with another value.

The walk goes down the schemas: members of the body, kinds of items, messages, parts and tools, and the members inside those. Whoever
reads a request and tells both of a pair apart has seen the member; who does not has lost it.
"""

import copy
import dataclasses
import functools

import yaml

from . import recordings

PNG = ("data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==",
       "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==")
PDF = ("data:application/pdf;base64,JVBERi0xLjQKJSVFT0Y=", "data:application/pdf;base64,JVBERi0xLjcKJSVFT0Y=")
# Two values of a member that has to make sense; by its name. All else is made from its schema.
SENSIBLE = {
    "image_url": PNG, "url": PNG, "file_data": PDF, "file_url": ("https://x.test/a.pdf", "https://x.test/b.pdf"),
    "filename": ("a.pdf", "b.pdf"), "arguments": ('{"a":1}', '{"a":2}'), "name": ("look_up", "look_down"), "data": ("UklGRiQA", "UklGRiQB"),
    "model": ("model-a", "model-b"), "parameters": ({"type": "object", "properties": {"a": {"type": "string"}}},
                                                    {"type": "object", "properties": {"b": {"type": "string"}}}),
    "schema": ({"type": "object", "properties": {"a": {"type": "string"}}}, {"type": "object", "properties": {"b": {"type": "string"}}}),
    "metadata": ({"k": "v"}, {"k": "w"}), "logit_bias": ({"1": 1}, {"2": 2}), "definition": ("start: \"a\"", "start: \"b\""),
    "call_id": ("call_1", "call_1"), "tool_call_id": ("call_1", "call_1"), "max_output_tokens": (700, 800), "max_tokens": (700, 800),
    "max_completion_tokens": (700, 800), "namespace": ("ns", "sn"), "n": (1, 1), "top_logprobs": (3, 4)}


@functools.lru_cache(maxsize=1)
def _schemas():
    text = (recordings.shared_dir() / "spec" / "openai-openapi.yaml").read_text(encoding="utf-8")
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))["components"]["schemas"]


@functools.lru_cache(maxsize=None)
def _named(name):
    return _plain(_schemas()[name])


def _plain(schema):
    """The schema without references and `allOf` at its top."""
    if "$ref" in schema:
        return _named(schema["$ref"].rsplit("/", 1)[1])
    if "allOf" in schema:
        out = {"type": "object", "properties": {}, "required": []}
        for one in map(_plain, schema["allOf"]):
            if "properties" not in one:
                return one
            out["properties"].update(one["properties"])
            out["required"] += one.get("required", [])
        return out
    return schema


def alternatives(schema):
    """The schemas that a value may follow, `null` aside."""
    schema = _plain(schema)
    for key in ("oneOf", "anyOf"):
        if key in schema:
            return [a for s in schema[key] for a in alternatives(s)]
    return [] if schema.get("type") == "null" else [schema]


def properties(schema):
    return _plain(schema).get("properties") or {}


def required(schema):
    return [m for m in _plain(schema).get("required", ()) if m in properties(schema)]


def _kind(schema):
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next(k for k in kind if k != "null")
    return kind or ("object" if "properties" in schema else "string")


def values(schema, member="", depth=0):
    """Values that follow the schema: two or more where it allows more than one, the first the plainest."""
    if member in SENSIBLE and _kind(alternatives(schema)[0]) != "boolean":
        return list(SENSIBLE[member])
    out = []
    for one in alternatives(schema):
        kind = _kind(one)
        if "const" in one:
            out.append(one["const"])
        elif "enum" in one:
            out += one["enum"]
        elif kind == "boolean":
            out += [True, False]
        elif kind == "integer":
            out += [max(2, one.get("minimum", 0)), max(3, one.get("minimum", 0) + 1)]
        elif kind == "number":
            out += [0.5, 0.25]
        elif kind == "array":
            out += [[v] for v in values(one.get("items", {"type": "string"}), member, depth + 1)[:2]]
        elif kind == "object":
            out.append(minimal(one) if depth < 6 else {})
        else:
            out += [f"{member or 'value'} one", f"{member or 'value'} two"]
    return [v for i, v in enumerate(out) if v not in out[:i]]


def minimal(schema):
    """An object with what is required."""
    props = properties(schema)
    return {m: values(props[m], m, 1)[0] for m in required(schema)}


@dataclasses.dataclass
class Pair:
    label: str       # "input[function_call].caller = {...}"
    member: str      # "input[function_call].caller"
    value: object
    having: dict     # requests
    lacking: dict
    bare: tuple      # requests without the item, the part or the object that the member stands in, each for itself


def members(schema, base, put, label, bare=(), skip=(), depth=0):
    """Pairs for each member of an object. `base` is the object as it stands in a request, `put` makes a request of one."""
    for member, sub in properties(schema).items():
        if member in skip:
            continue
        at = f"{label}.{member}" if label else member
        choices = values(sub, member)
        lacking = {k: v for k, v in base.items() if k != member}
        without = bare if member not in required(schema) else (*bare, put(lacking))
        for value in choices:
            if member not in required(schema):
                other = put(lacking)
            elif (rest := [c for c in choices if c != value]):
                other = put({**base, member: rest[0]})
            else:
                continue        # it can only be what it is
            yield Pair(f"{at} = {value!r}"[:160], at, value, put({**base, member: value}), other, without)
        if depth < 3:
            empty = {**base, member: []} if member in required(schema) and isinstance(choices[0], list) else lacking
            yield from _inside(sub, base, member, put, at, (*bare, put(empty)), depth)


def _inside(sub, base, member, put, at, bare, depth):
    if member in SENSIBLE:
        return
    for one in alternatives(sub):
        items = alternatives(one["items"]) if _kind(one) == "array" and "items" in one else []
        for inner, wrap in [(one, lambda o: o)] + [(i, lambda o: [o]) for i in items]:
            if properties(inner):
                yield from members(inner, minimal(inner), lambda o, wrap=wrap: put({**base, member: wrap(o)}),
                                   f"{at}{_tag(inner)}", bare, depth=depth + 1)


def _tag(schema):
    kinds = _plain(properties(schema).get("type", {})).get("enum") or [_plain(properties(schema).get("type", {})).get("const")]
    return f"[{kinds[0]}]" if kinds[0] else ""


# ---- the Responses API --------------------------------------------------------------------------------------------------

USER = {"role": "user", "content": "Hello."}
FUNCTION = {"type": "function", "name": "look_up", "parameters": {"type": "object", "properties": {}}, "strict": False}
CUSTOM = {"type": "custom", "name": "write"}


def _responses(items=(USER,), **more):
    return {"model": "model-a", "input": copy.deepcopy(list(items)), "tools": [FUNCTION, CUSTOM], **more}


def _around(kind, *item):
    """A conversation in which the item may stand, or without it."""
    custom = kind.startswith("custom_tool_call")
    call_type, result_type = ("custom_tool_call", "custom_tool_call_output") if custom else ("function_call", "function_call_output")
    body = {"name": "write", "input": "x"} if custom else {"name": "look_up", "arguments": "{}"}
    if kind == call_type and item:
        return [USER, *item, {"type": result_type, "call_id": item[0].get("call_id", "call_1"), "output": "done"}]
    if kind == result_type and item:
        return [USER, {"type": call_type, "call_id": "call_1", **body}, {**item[0], "call_id": "call_1"}]
    if kind == "reasoning":
        return [USER, *item, {"role": "assistant", "content": "Yes."}, USER]
    return [USER, *item, USER]


def responses():
    """Pairs of requests of the Responses API."""
    yield from members(_named("CreateResponse"), _responses(), lambda o: o, "", skip=("input", "tools", "tool_choice"))
    for value in ("none", "auto", "required"):
        yield Pair(f"tool_choice = {value}", "tool_choice", value, _responses(tool_choice=value), _responses(), ())
    for value in ({"type": "function", "name": "look_up"}, {"type": "custom", "name": "write"},
                  {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "look_up"}]}):
        yield Pair(f"tool_choice = {value}", "tool_choice", value, _responses(tool_choice=value), _responses(), ())
    for schema in alternatives(_schemas()["InputItem"]):
        yield from _item(schema)
    for schema in alternatives(_schemas()["InputContent"]):
        yield from _part(schema)
    for schema in alternatives(_schemas()["Tool"]):
        yield from _tool(schema)


def _item(schema):
    kind = (_tag(schema)[1:-1] or "item_reference")
    tools = {"tools": []} if kind == "additional_tools" else {}
    put = lambda o: _responses(_around(kind, o), **tools)
    base = minimal(schema)
    if kind == "message" and "assistant" not in str(properties(schema)["role"]):
        base["type"] = "message"
    if kind == "reasoning":
        base["summary"] = []
    if kind == "message":
        base["content"] = ([{"type": "output_text", "text": "Yes.", "annotations": [], "logprobs": []}] if "id" in required(schema)
                           else [{"type": "input_text", "text": "And?"}])
    label = f"input[{kind}]" if kind != "message" else f"input[message:{'|'.join(values(properties(schema)['role']))}]"
    bare = _responses(_around(kind), **tools)
    if kind != "reasoning":     # one that holds nothing says nothing
        yield Pair(label, label, None, put(base), bare, ())
    # The parts of a message are walked apart.
    skip = ("content",) if kind == "message" and "id" not in required(schema) else ()
    yield from members(schema, base, put, label, (bare,), skip=("call_id", *skip))


def _part(schema):
    kind = _tag(schema)[1:-1]
    base = minimal(schema)
    sources = {"input_image": ("image_url", "file_id"), "input_file": ("file_data", "file_id", "file_url")}.get(kind, ("",))
    for source in sources:
        whole = {**base, **({source: values({"type": "string"}, source)[0]} if source else {})}
        for role in ("user", "result"):
            put = (lambda o: _responses([{"role": "user", "content": [{"type": "input_text", "text": "See:"}, o]}])) if role == "user" else \
                (lambda o: _responses(_around("function_call_output", {"type": "function_call_output", "output": [o]})))
            label = f"{role}.content[{kind}:{source}]"
            without = put({"type": "input_text", "text": ""})
            yield from members(schema, whole, put, label, (without,), skip=[s for s in sources if s != source])


def _tool(schema):
    kind = _tag(schema)[1:-1]
    base = minimal(schema)
    label = f"tools[{kind}]"
    if kind == "namespace":
        base["tools"] = [FUNCTION]
    put = lambda o: {"model": "model-a", "input": "Hello.", "tools": [o]}
    bare = {"model": "model-a", "input": "Hello."}
    yield Pair(label, label, None, put(base), bare, ())
    yield from members(schema, base, put, label, (bare,), skip=("tools",) if kind == "namespace" else ())
    if kind == "namespace":
        for inner in alternatives(properties(schema)["tools"]["items"]):
            yield from members(inner, minimal(inner), lambda o: put({**base, "tools": [o]}), f"{label}.tools{_tag(inner)}", (bare,))


# ---- Chat Completions ----------------------------------------------------------------------------------------------------

CHAT_FUNCTION = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}
CHAT_CUSTOM = {"type": "custom", "custom": {"name": "write"}}


def _chat(messages=(USER,), **more):
    return {"model": "model-a", "messages": copy.deepcopy(list(messages)), "tools": [CHAT_FUNCTION, CHAT_CUSTOM], **more}


def chat():
    """Pairs of requests of Chat Completions."""
    yield Pair("top_logprobs = 3, logprobs", "top_logprobs, logprobs", 3, _chat(logprobs=True, top_logprobs=3), _chat(logprobs=True), ())
    schema = {"type": "json_schema", "json_schema": {"name": "n", "schema": SENSIBLE["schema"][0]}}
    described = {"type": "json_schema", "json_schema": {**schema["json_schema"], "description": "What it is."}}
    plain = {"model": "model-a", "messages": [USER]}
    yield Pair("response_format.json_schema.description beside a schema", "response_format.description", "What it is.",
               {**plain, "response_format": described}, {**plain, "response_format": schema}, ())
    yield from members(_named("CreateChatCompletionRequest"), _chat(), lambda o: o, "", skip=("messages", "tools", "tool_choice", "functions", "function_call"))
    for value in ("none", "auto", "required", {"type": "function", "function": {"name": "look_up"}}, {"type": "custom", "custom": {"name": "write"}},
                  {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "look_up"}}]}}):
        yield Pair(f"tool_choice = {value}", "tool_choice", value, _chat(tool_choice=value), _chat(), ())
    for schema in alternatives(_schemas()["ChatCompletionRequestMessage"]):
        yield from _message(schema)
    for schema in alternatives(properties(_named("CreateChatCompletionRequest"))["tools"]["items"]):
        put = lambda o: {"model": "model-a", "messages": [USER], "tools": [o]}
        yield from members(schema, minimal(schema), put, f"tools{_tag(schema)}", ({"model": "model-a", "messages": [USER]},))
    for schema in alternatives(properties(_named("CreateChatCompletionRequest"))["functions"]["items"]):
        put = lambda o: {"model": "model-a", "messages": [USER], "functions": [o]}
        yield from members(schema, minimal(schema), put, "functions", ({"model": "model-a", "messages": [USER]},))


CALL = {"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}


def _message(schema):
    role = properties(schema)["role"]["enum"][0]
    base = {**minimal(schema), "role": role, "content": "Text."}

    def put(o):
        if role == "tool":
            return _chat([USER, {"role": "assistant", "content": None, "tool_calls": [CALL]}, {**o, "tool_call_id": "call_1"}])
        if role == "function":
            call = {"name": o.get("name", "look_up"), "arguments": "{}"}
            return _chat([USER, {"role": "assistant", "content": None, "function_call": call}, o])
        answers = [{"role": "tool", "tool_call_id": c.get("id", "call_1"), "content": "done"} for c in o.get("tool_calls") or ()]
        if o.get("function_call"):
            answers.append({"role": "function", "name": o["function_call"].get("name", "look_up"), "content": "done"})
        return _chat([USER, o, *answers, USER])
    label = f"messages[{role}]"
    yield from members(schema, base, put, label, (), skip=("role", "content", "tool_call_id"))
    lists = [a for a in alternatives(properties(schema).get("content", {})) if _kind(a) == "array"]
    for part in [p for a in lists for p in alternatives(a["items"])]:
        kind = _tag(part)[1:-1]
        held = {"file": [{"file_data": PDF[0], "filename": "a.pdf"}, {"file_id": "file-1"}]}.get(kind, [None])
        for inner in held:
            whole = {**minimal(part), **({"file": inner} if inner else {})}
            text = {"type": "text", "text": "See:"}
            wrap = lambda o: put({**base, "content": [text, o]})
            at = f"{label}.content[{kind}{':' + next(iter(inner)) if inner else ''}]"
            yield from members(part, whole, wrap, at, (), skip=("file",) if inner else ())
            if inner:
                yield from members(properties(part)["file"], inner, lambda o: wrap({**whole, "file": o}), f"{at}.file", (),
                                   skip=("file_id",) if "file_data" in inner else ("file_data",))
