"""The vendors' SDKs for Node, each with only its base URL changed, against every kind of provider: whole and streamed answers,
tools, errors before and during the answer, cuts, and the faults of protocols.md 3.4 that a provider may make.

The cases of one SDK run in one process of node's own test runner (tests/node); each is a test here. The scripted providers go by
the words of the request, which name the case.
"""

import functools
import json
import re

import pytest

from conftest import Stage
from lib import node
from lib.vendors import FORCED, VENDORS
from test_embeddings import ANSWERS_BY_KIND

# What the gateway has; a protocol or a kind of provider joins by its name here.
SDKS = {"openai_chat": "openai-chat", "anthropic": "anthropic-messages", "google": "gemini", "ollama": "ollama-chat",
        "openai_responses": "openai-responses", "openai_responses_ws": "openai-responses"}
STREAMS_ALWAYS = {"openai_responses_ws"}
KINDS = ["openai", "anthropic", "gemini", "ollama", "responses"]

TEXT = "Hello, wörld. 🌍 And so on."
SAY, CALL = ("text", TEXT), ("call", "call_1", "weather", {"city": "Köln"})
EMPTY_CALL = ("call", "call_2", "time", {})
ROUND = [("call", "call_a", "weather", {"city": "Bonn"}), ("call", "call_b", "weather", {"city": "Ulm"})]
WAYS = ("whole", "stream")


# ---- answers of the providers --------------------------------------------------------------------------------------------

def answers(*blocks, stop=None):
    return lambda vendor: {"body": lambda request: vendor.reply(request, list(blocks), stop)}


def round_trip(vendor):
    def body(request):
        results = vendor.results(request.json())
        if not results:
            return vendor.reply(request, ROUND)
        fine = len(results) == 2 and "Rain" in results[0] and "Sun" in results[1]
        return vendor.reply(request, [("text", "Rain and sun." if fine else f"Results: {results}")])
    return {"body": body}


def if_asked(part, words):
    """An answer that depends on whether the request holds a part."""
    def script(vendor):
        return {"body": lambda request: vendor.reply(request, [("text", words if part in request.body else "Not asked.")],
                                                     "length" if words.startswith("It is") else None)}
    return script


def error(status, **kinds):
    def script(vendor):
        code = kinds.get(vendor.dialect.split("-")[0], status)
        return {"status": code, "body": vendor.error("It was so.", code), "headers": (("retry-after", "7"),)}
    return script


def breaks(vendor):
    begun = b"".join(vendor.events([SAY])[:vendor.begun])
    return {"body": begun + vendor.stream_error("It broke.")}


def cut(vendor):
    def body(request):
        return b"".join(vendor.events([SAY])[:vendor.begun]) if vendor.streams(request) else vendor.reply(request, [SAY])[:60]
    return {"body": body, "fault": "fin", "at": 1 << 30, "framing": "chunked"}


# ---- streams with something odd ------------------------------------------------------------------------------------------

def changed(edit, *blocks):
    """A stream whose events' data went through edit(value, number), which changes it or gives another (None: left out)."""
    def script(vendor):
        out = []
        for n, event in enumerate(vendor.events(list(blocks) or [SAY])):
            head, _, data = event.decode().rstrip().rpartition("data: ")
            value = json.loads(data) if data != "[DONE]" else data
            new = edit(value, n)
            if (value := value if new is None else new) is not False:
                text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
                out.append(f"{head}data: {text}".encode() + vendor.end)
        return {"body": b"".join(out)}
    return script


def bytes_of(edit, *blocks, **fields):
    """A stream whose bytes went through edit."""
    return lambda vendor: {"body": edit(b"".join(vendor.events(list(blocks) or [SAY]))), **fields}


def with_comments(vendor):
    events = vendor.events([SAY])
    return {"body": b": OPENROUTER PROCESSING\n\n" + b": ping\n\n".join(events)}


def delta_of(value):
    return value["choices"][0]["delta"] if isinstance(value, dict) and value["choices"] else {}


def no_role(value, n):
    delta_of(value).pop("role", None)


def role_everywhere(value, n):
    if delta_of(value):
        delta_of(value)["role"] = "assistant"


def no_done(value, n):
    return False if value == "[DONE]" else None


def usage_with_the_choice(value, n):
    if isinstance(value, dict) and value["choices"] and value["choices"][0]["finish_reason"]:
        value["usage"] = {"prompt_tokens": 21, "completion_tokens": 9, "total_tokens": 30}
    return False if isinstance(value, dict) and not value["choices"] else None


def no_usage(value, n):
    return False if isinstance(value, dict) and not value["choices"] else None


def finish_eos(value, n):
    if isinstance(value, dict) and value["choices"] and value["choices"][0]["finish_reason"]:
        value["choices"][0]["finish_reason"] = "eos"


def no_index(value, n):
    for call in delta_of(value).get("tool_calls", ()):
        call.pop("index")


def all_index_0(value, n):
    for call in delta_of(value).get("tool_calls", ()):
        call["index"] = 0


def no_arguments(value, n):
    for call in delta_of(value).get("tool_calls", ()):
        if not call.get("id"):
            return False
        call["function"].pop("arguments", None)


def one_delta(value, n):
    for call in delta_of(value).get("tool_calls", ()):
        if not call.get("id"):
            return False
        call["function"]["arguments"] = '{"city":"Köln"}'


def first_index_1(value, n):
    if "index" in value:
        value["index"] += 1


def no_usage_at_start(value, n):
    if value["type"] == "message_start":
        value["message"].pop("usage")


def two_starts(vendor):
    events = vendor.events([SAY])
    return {"body": b"".join([events[0], *events])}


def call_with_id(value, n):
    for part in value["candidates"][0]["content"]["parts"]:
        if "functionCall" in part:
            part["functionCall"]["id"] = "gjl2yj5t"


def no_event_lines(body):
    return re.sub(rb"^event: .*\n", b"", body, flags=re.M)


def event_lines(body):
    return body.replace(b"data: ", b"event: message\r\ndata: ")


def forced(vendor):
    """Who has no word for it is held to a form, which is the arguments of the one tool there is."""
    if vendor.dialect == "ollama-chat":
        return answers(("text", '{"city":"Bonn"}'))(vendor)
    return answers(("call", "call_1", "weather", {"city": "Bonn"}))(vendor)


def vectors(vendor):
    _, _, path, body = next(row for kind, row in ANSWERS_BY_KIND.items() if VENDORS[kind] is vendor)
    return {"path": path, "body": body}


class Subject:
    def __init__(self, script, ways=WAYS, kinds=None, relayed=True, sdks=None):
        self.script, self.ways, self.kinds, self.relayed, self.sdks = script, ways, kinds, relayed, sdks


def odd(kind, script):
    """Something a provider of that kind may do and its own SDK may not like: only where the gateway writes the stream."""
    return Subject(script, ("stream",), (kind,), relayed=False)


SSE = ("openai", "anthropic", "responses", "gemini")
SUBJECTS = {
    "text": Subject(answers(SAY)),
    "call": Subject(answers(("text", "Let me see."), CALL)),
    "empty_call": Subject(answers(EMPTY_CALL)),
    "two_calls": Subject(answers(CALL, EMPTY_CALL)),
    "tool_round_trip": Subject(round_trip),
    "forced_tool": Subject(forced, sdks=[sdk for sdk in SDKS if sdk != "ollama"]),      # which has no word for it
    "image": Subject(if_asked(b"iVBORw0KGgo=", "A dot.")),
    "structured": Subject(if_asked(b'"required"', '{"city":"Ulm"}')),
    "reasoning": Subject(answers(("think", "Hm, let me see.", "c2lnbmF0dXJl"), SAY)),
    "vectors": Subject(vectors, ("whole",), tuple(ANSWERS_BY_KIND), sdks=("openai_chat", "google", "ollama")),
    "system": Subject(if_asked(b"Be brief.", "Brief.")),
    "max_tokens": Subject(if_asked(b":33", "It is a long")),
    "error_400": Subject(error(400)),
    "error_429": Subject(error(429)),
    "error_500": Subject(error(500)),
    "error_overloaded": Subject(error(503, anthropic=529)),
    "error_during": Subject(breaks, ("stream",)),
    "cut": Subject(cut),
    "unknown_model": Subject(None, kinds=("openai",)),

    "crlf": Subject(bytes_of(lambda body: body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")), ("stream",)),
    "bytewise": Subject(bytes_of(bytes, split="byte"), ("stream",)),
    "comments": Subject(with_comments, ("stream",), SSE),

    "no_role": odd("openai", changed(no_role)),
    "role_in_every_delta": odd("openai", changed(role_everywhere)),
    "no_done": odd("openai", changed(no_done)),
    "usage_with_the_choice": odd("openai", changed(usage_with_the_choice)),
    "no_usage": odd("openai", changed(no_usage)),
    "finish_eos": odd("openai", changed(finish_eos)),
    "call_without_index": odd("openai", changed(no_index, ("text", "Let me see."), CALL)),
    "calls_both_index_0": odd("openai", changed(all_index_0, CALL, EMPTY_CALL)),
    "call_without_arguments": odd("openai", changed(no_arguments, EMPTY_CALL)),
    "call_in_one_delta": odd("openai", changed(one_delta, ("text", "Let me see."), CALL)),
    "no_event_lines": odd("anthropic", bytes_of(no_event_lines)),
    "first_index_1": odd("anthropic", changed(first_index_1)),
    "two_starts": odd("anthropic", two_starts),
    "no_usage_at_start": odd("anthropic", changed(no_usage_at_start)),
    "done_at_the_end": odd("gemini", bytes_of(lambda body: body + b"data: [DONE]\r\n\r\n")),
    "last_event_unended": odd("gemini", bytes_of(bytes.rstrip)),
    "event_lines": odd("gemini", bytes_of(event_lines)),
    "call_id_given": odd("gemini", changed(call_with_id, ("text", "Let me see."), CALL)),
    "blank_lines": odd("ollama", bytes_of(lambda body: body.replace(b"\n", b"\n\n"))),
}


# ---- what is run -----------------------------------------------------------------------------------------------------------

def cases_of(sdk):
    """(subject, kind, way) of all cases of an SDK."""
    out = []
    for name, subject in SUBJECTS.items():
        for kind in subject.kinds or KINDS:
            if subject.sdks and sdk not in subject.sdks:
                continue
            relayed = VENDORS[kind].dialect == SDKS[sdk]
            # A provider that speaks Responses speaks Chat too, and is asked in that by whoever speaks neither.
            if kind not in KINDS or (relayed and not subject.relayed) or (kind == "responses" and not relayed):
                continue
            out += [(name, kind, way) for way in subject.ways if way == "stream" or sdk not in STREAMS_ALWAYS]
    return out


def name_of(sdk, subject, kind, way):
    return f"{sdk}-{subject}-{kind}-{way}"


def scripted(upstream):
    """Puts the answers of all subjects on an upstream."""
    for kind in KINDS:
        for name, subject in SUBJECTS.items():
            if subject.script and (subject.kinds is None or kind in subject.kinds):
                marker = f"-{name}-{kind}-".encode()
                upstream.reply("POST", **{"path": VENDORS[kind].path, **subject.script(VENDORS[kind])}, when=lambda r, m=marker: m in r.body)
    return upstream


class Run:
    """One SDK's run: the verdicts, and what the providers were asked meanwhile."""

    def __init__(self, sdk, stage, folder):
        cases = [dict(name=name_of(sdk, *case), subject=case[0], kind=case[1], way=case[2]) for case in cases_of(sdk)]
        up = scripted(stage.faultd())
        gateway = stage.start_gateway({"providers": {
            f"up-{kind}": {**VENDORS[kind].provider(up.origin), "models": [f"at-{kind}"], "discover": False} for kind in KINDS}})
        self.verdicts = node.run_suite(folder, 100, GATEWAY=gateway.url, SDK=sdk, CASES=cases)
        self.requests = up.requests


@pytest.fixture(scope="module")
def runs(gateway_binary, tmp_path_factory):
    """runs(sdk): its run, made once, with a stage of its own: the gateway is done when it is over."""
    @functools.lru_cache(maxsize=None)
    def run(sdk):
        stage = Stage(tmp_path_factory.mktemp("stage"))
        try:
            made = Run(sdk, stage, tmp_path_factory.mktemp(sdk))
        except node.Missing as e:
            made = e
        try:
            stage.finish()
        except Exception as e:      # said once by each case, and not tried again for each
            made = e
        return made
    return run


@pytest.mark.parametrize("sdk, subject, kind, way", [(sdk, *case) for sdk in SDKS for case in cases_of(sdk)])
def test_node(runs, sdk, subject, kind, way):
    run = runs(sdk)
    if isinstance(run, node.Missing):
        pytest.skip(str(run))
    if isinstance(run, Exception):
        raise run
    name = name_of(sdk, subject, kind, way)
    assert run.verdicts[name] is None, run.verdicts[name]
    asked = [r for r in run.requests if f"case={name};".encode() in r.body]
    assert len(asked) == {"tool_round_trip": 2, "unknown_model": 0}.get(subject, 1), "each request goes up once"
    vendor = VENDORS[kind]
    if subject == "forced_tool":
        assert FORCED[vendor.dialect](asked[0].json()), asked[0].body
    if vendor.dialect != SDKS[sdk] and subject != "vectors":
        for request in asked:
            assert vendor.problem(request.json()) is None
