"""Answers, events and requests of the Responses API held against both of its specifications: OpenAI's OpenAPI description and
the Open Responses document (shared material, not in the repository).

`oneOf` is read as `anyOf`: the documents tell their alternatives apart by a discriminator, which is no part of JSON schema.
"""

import functools
import json

import jsonschema
import yaml

from . import recordings

CORE_ITEMS = {"message", "function_call", "function_call_output", "reasoning", "compaction"}
# Codes that the API itself uses in response.failed, beside those that its description lists (agents act on them).
REAL_CODES = {"context_length_exceeded", "insufficient_quota"}


def _any_of(node):
    if isinstance(node, dict):
        return {"anyOf" if k == "oneOf" and isinstance(v, list) else k: _any_of(v) for k, v in node.items()}
    return [_any_of(v) for v in node] if isinstance(node, list) else node


@functools.lru_cache(maxsize=2)
def _components(which):
    spec = recordings.shared_dir() / "spec"
    if which == "openai":
        text = (spec / "openai-openapi.yaml").read_text(encoding="utf-8")
        return _any_of(yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))["components"])
    return _any_of(json.loads((spec / "openresponses-2026-04-24.json").read_text(encoding="utf-8"))["components"])


@functools.lru_cache(maxsize=None)
def _validator(which, name):
    return jsonschema.Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": _components(which)})


@functools.lru_cache(maxsize=2)
def _events(which):
    """{type of an event: name of its schema}"""
    out = {}
    for name, schema in _components(which)["schemas"].items():
        kinds = schema.get("properties", {}).get("type", {}).get("enum") if isinstance(schema, dict) else None
        if kinds and len(kinds) == 1 and name.endswith("Event") and "sequence_number" in schema["properties"]:
            out[kinds[0]] = name
    return out


def event_types():
    """The events that either document knows."""
    return {*_events("openai"), *_events("openresponses")}


def _worst(which, name, value):
    error = jsonschema.exceptions.best_match(_validator(which, name).iter_errors(value))
    return f"{which} {name}: {error.json_path}: {error.message[:300]}" if error else None


def _cites_files(value):
    return '"file_citation"' in json.dumps(value)


def _is_core(response):
    """Open Responses knows functions alone, and fewer kinds of items."""
    return (all(i["type"] in CORE_ITEMS for i in response["output"]) and not _cites_files(response["output"])
            and all(t["type"] == "function" for t in response["tools"])
            and (response["text"].get("format") or {}).get("type") != "json_schema")


def resource_problem(response):
    """What either document finds wrong with a whole answer, or None."""
    # null until the end, and where nobody was named, whatever the description says
    ours = {k: v for k, v in response.items() if k not in ("usage", "user") or v}
    if (response.get("error") or {}).get("code") in REAL_CODES:
        ours = {**ours, "error": {**response["error"], "code": "server_error"}}
    problem = _worst("openai", "Response", ours)
    return problem or (_worst("openresponses", "ResponseResource", response) if _is_core(response) else None)


def event_problem(event):
    """The same of one event of a stream."""
    kind = event.get("type")
    name = _events("openai").get(kind)
    if name is None:
        return f"OpenAI has no event {kind!r}"
    if "response" in event:
        problem = resource_problem(event["response"])
        if problem:
            return problem
    else:
        problem = _worst("openai", name, event)
        if problem:
            return problem
    other = _events("openresponses").get(kind)
    core = event.get("item", {}).get("type", "message") in CORE_ITEMS and kind != "error"  # the flat form is OpenAI's
    core = core and not _cites_files(event)
    return _worst("openresponses", other, event) if other and core and "response" not in event else None


def socket_error_problem(event):
    """The same of an error envelope on a WebSocket."""
    return _worst("openresponses", "WebSocketErrorEvent", event) or _worst("openai", "ResponseWsError", event)


def _with_ids(item):
    """The API takes its own items without their ids (recorded requests answered with 200); the description does not."""
    if item.get("type") == "reasoning":
        return {"id": "rs_1", **item}
    if item.get("type") == "message" and isinstance(item["content"], list) and item["role"] == "assistant":
        parts = [{"logprobs": [], **p} if p["type"] == "output_text" else p for p in item["content"]]
        return {"id": "msg_1", "status": "completed", **item, "content": parts}
    return item


def request_problem(body):
    """What OpenAI would refuse in this request, or None."""
    return _worst("openai", "CreateResponse", {**body, "input": [_with_ids(i) for i in body["input"]]})


def stream_problems(events, failed=False):
    """What is wrong with a whole stream of a client, its events as (name, data): each by itself, and their order."""
    out, open_items, bodies = [], {}, []
    if [e.data for e in events[-1:]] != ["[DONE]"] and not failed:
        out.append("no [DONE] at the end")
    bodies = [json.loads(e.data) for e in events if e.data != "[DONE]"]
    for e, body in zip(events, bodies):
        if e.event != body["type"]:
            out.append(f"event {e.event!r} holds {body['type']!r}")
    if [b["sequence_number"] for b in bodies] != list(range(len(bodies))):
        out.append("sequence numbers do not count from 0")
    if [b["type"] for b in bodies[:2]] != ["response.created", "response.in_progress"] and not failed:
        out.append("it does not begin with response.created and response.in_progress")
    for body in bodies:
        problem = event_problem(body)
        if problem:
            out.append(f"{body['type']}: {problem}")
        kind = body["type"]
        if kind == "response.output_item.added":
            open_items[body["output_index"]] = body["item"]["id"]
        elif "output_index" in body and body["output_index"] not in open_items:
            out.append(f"{kind} of item {body['output_index']}, which did not begin")
        elif kind == "response.output_item.done" and open_items.pop(body["output_index"]) != body["item"]["id"]:
            out.append(f"item {body['output_index']} changed its id")
    ends = [b["type"] for b in bodies if b["type"] in ("response.completed", "response.incomplete", "response.failed")]
    if ends != [bodies[-1]["type"]] or (ends == ["response.failed"]) != failed:
        out.append(f"it ends in {ends}")
    if not failed:
        done = [b["item"] for b in bodies if b["type"] == "response.output_item.done"]
        if done != bodies[-1]["response"]["output"] or open_items:
            out.append("the last event does not repeat the items")
    return out[:5]
