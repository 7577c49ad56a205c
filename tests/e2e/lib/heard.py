"""What a provider was asked beside the conversation itself, read off the request in plain Python whatever its dialect: the system
prompt, sampling, stop sequences, the choice among the tools, results of calls, files.
"""

import dataclasses
import json


@dataclasses.dataclass
class Heard:
    system: str = ""
    temperature: float = None
    stop: list = dataclasses.field(default_factory=list)
    tools: list = dataclasses.field(default_factory=list)
    choice: str = None      # "none", a tool's name, or None: as it likes
    single: bool = False
    results: list = dataclasses.field(default_factory=list)     # (tool's name, text)
    files: int = 0


def _texts(content):
    return content if isinstance(content, str) else "".join(p.get("text", "") for p in content or ())


def _openai_choice(value):
    if isinstance(value, dict):
        return value.get("name") or value["function"]["name"]
    return value if value == "none" else None


def chat(body):
    names = {c["id"]: c["function"]["name"] for m in body["messages"] for c in m.get("tool_calls") or ()}
    parts = [p for m in body["messages"] if isinstance(m.get("content"), list) for p in m["content"]]
    return Heard("".join(_texts(m["content"]) for m in body["messages"] if m["role"] in ("system", "developer")), body.get("temperature"),
                 body.get("stop") or [], [t["function"]["name"] for t in body.get("tools") or ()], _openai_choice(body.get("tool_choice")),
                 body.get("parallel_tool_calls") is False,
                 [(names[m["tool_call_id"]], _texts(m["content"])) for m in body["messages"] if m["role"] == "tool"],
                 sum(p["type"] == "file" for p in parts))


def responses(body):
    items = body["input"] if isinstance(body["input"], list) else []
    names = {i["call_id"]: i["name"] for i in items if i.get("type") == "function_call"}
    parts = [p for i in items if isinstance(i.get("content"), list) for p in i["content"]]
    system = body.get("instructions") or "".join(_texts(i["content"]) for i in items if i.get("role") in ("system", "developer"))
    return Heard(system, body.get("temperature"), [], [t["name"] for t in body.get("tools") or ()], _openai_choice(body.get("tool_choice")),
                 body.get("parallel_tool_calls") is False,
                 [(names[i["call_id"]], _texts(i["output"])) for i in items if i.get("type") == "function_call_output"],
                 sum(p["type"] == "input_file" for p in parts))


def claude(body):
    blocks = [b for m in body["messages"] if isinstance(m["content"], list) for b in m["content"]]
    names = {b["id"]: b["name"] for b in blocks if b["type"] == "tool_use"}
    choice = body.get("tool_choice") or {}
    return Heard(_texts(body.get("system")), body.get("temperature"), body.get("stop_sequences") or [],
                 [t["name"] for t in body.get("tools") or ()], choice.get("name") or ("none" if choice.get("type") == "none" else None),
                 choice.get("disable_parallel_tool_use") is True,
                 [(names[b["tool_use_id"]], _texts(b["content"])) for b in blocks if b["type"] == "tool_result"],
                 sum(b["type"] == "document" for b in blocks))


def gemini(body):
    parts = [p for c in body["contents"] for p in c["parts"]]
    config, calling = body.get("generationConfig") or {}, (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    choice = (calling.get("allowedFunctionNames") or [None])[0] if calling.get("mode") == "ANY" else "none" if calling.get("mode") == "NONE" else None
    answers = [p["functionResponse"] for p in parts if "functionResponse" in p]
    return Heard(_texts((body.get("systemInstruction") or {}).get("parts")), config.get("temperature"), config.get("stopSequences") or [],
                 [f["name"] for t in body.get("tools") or () for f in t.get("functionDeclarations") or ()], choice, False,
                 [(a["name"], a["response"].get("output", a["response"].get("result"))) for a in answers],
                 sum("application/pdf" in (p.get("inlineData") or p.get("inline_data") or {}).values() for p in parts))


def ollama(body):
    """A forced call is a form with the tool's parameters; one that is forbidden has no tools."""
    options = body.get("options") or {}
    return Heard("".join(m["content"] for m in body["messages"] if m["role"] == "system"), options.get("temperature"), options.get("stop") or [],
                 [t["function"]["name"] for t in body.get("tools") or ()], json.dumps(body["format"]) if body.get("format") else None, False,
                 [(m["tool_name"], m["content"]) for m in body["messages"] if m["role"] == "tool"])


READ = {"openai-chat": chat, "openai-responses": responses, "anthropic-messages": claude, "gemini": gemini, "ollama-chat": ollama}
