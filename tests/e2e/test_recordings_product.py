"""Every recorded answer of every provider, told on to the clients of every other dialect: the official SDK reads from it what the
recording says: text, reasoning, calls, cited pages, stop reason and tokens.

All of them go through the codecs, streams in random pieces; of each pair some go through a running gateway too: whatever is of
a kind that did not come before, and a sample of the rest. Each test reports the wrong ones together, by the recordings' ids.
"""

import copy
import json
import random

import anthropic
import ollama
import openai
import pytest
from google.genai import errors as genai_errors

from lib import expected, node, recordings
from lib.codec import codec, find_codec
from lib.readers import Held, Readers
from lib.recordings_tally import Tally, in_band_error, play

pytestmark = [pytest.mark.usefixtures("need_recordings"), pytest.mark.timeout(600)]

KINDS = {"openai_chat": "openai-chat", "openai_compat_chat": "openai-chat", "other": "openai-chat",
         "responses": "openai-responses", "anthropic_messages": "anthropic-messages", "gemini": "gemini",
         "ollama_native": "ollama-chat", "ollama_native/generate": "ollama-generate", "legacy_completions": "openai-completions"}
FRONTS = ["openai-chat", "openai-responses", "anthropic-messages", "gemini", "ollama-chat", "openai-completions",
          "ollama-generate"]
PATHS = {"ollama-chat": "/api/chat", "ollama-generate": "/api/generate", "openai-responses": "/responses",
         "openai-chat": "/chat/completions", "anthropic-messages": "/v1/messages", "openai-completions": "/completions"}
CONTENT = {"gemini": "text/event-stream", "ollama-chat": "application/x-ndjson", "ollama-generate": "application/x-ndjson"}
SAYS = {("openai-chat", False): expected.openai_whole, ("openai-chat", True): expected.openai_streamed,
        ("anthropic-messages", False): expected.anthropic_whole, ("anthropic-messages", True): expected.anthropic_streamed,
        ("gemini", False): expected.gemini_whole, ("gemini", True): expected.gemini_streamed}
SAYS.update({(d, s): say for d, say in (("openai-responses", expected.responses), ("ollama-chat", expected.ollama),
                                        ("ollama-generate", expected.ollama), ("openai-completions", expected.completions))
             for s in (False, True)})

AT_LEAST = {"openai_chat": 251, "openai_compat_chat": 290, "other": 4, "responses": 280, "anthropic_messages": 280, "gemini": 245,
            "ollama_native": 8, "ollama_native/generate": 3, "legacy_completions": 33}


def is_turn(recording, dialect):
    """A finished answer of a model, without an error in it; no count, no vectors, nothing that still runs in the background."""
    if recording.status != 200 or recording.method != "POST":
        return False
    if dialect == "gemini":
        return recording.target.endswith(":streamGenerateContent" if recording.stream else ":generateContent")
    if not recording.target.endswith(PATHS[dialect]):
        return False
    if dialect == "openai-responses":
        return recording.stream or json.loads(recording.body)["status"] not in ("queued", "in_progress")
    return dialect.startswith("ollama") or not in_band_error(recording)


def as_asked(recording):
    """The gateway asks Google for events; what was recorded as a list is the same chunks in another form."""
    if not recording.body.lstrip().startswith(b"["):
        return recording
    out = copy.copy(recording)
    out.body = b"".join(b"data: " + json.dumps(chunk).encode() + b"\r\n\r\n" for chunk in json.loads(recording.body))
    out.headers = {"Content-Type": "text/event-stream"}
    return out


def answers(kind, stream):
    return [as_asked(r) for r in recordings.load(kind.partition("/")[0]) if r.stream == stream and is_turn(r, KINDS[kind])]


# ---- what a dialect has no form for ----------------------------------------------------------------------------------------

def told(answer, front):
    """What a client of this dialect can see of an answer."""
    answer.input, answer.output = answer.input or 0, answer.output or 0     # its SDK insists on numbers
    if front == "gemini":               # a call has an object; of a model's broken JSON it is an empty one
        answer.tools = [(n, a if isinstance(a, dict) else {}) for n, a in answer.tools]
    if front.startswith("ollama"):
        answer.cached, answer.thought, answer.cites = 0, 0, set()
        answer.tools = [(n, a if isinstance(a, dict) else {"input": a}) for n, a in answer.tools]
        answer.stop = "tools" if answer.tools and answer.stop != "length" else "end" if answer.stop == "refusal" else answer.stop
    if front in ("openai-completions", "ollama-generate"):      # a text and no more
        answer.tools, answer.cites = [], set()
        answer.stop = "end" if answer.stop == "tools" else answer.stop
    if front == "openai-completions":
        answer.reasoning = ""
    return answer


def problem_of(want, take):
    """What is wrong with the answer that take() returns, in words; None if nothing is."""
    try:
        got = take()
    except Exception as e:      # every kind is a finding about this recording
        return f"{type(e).__name__}: {e}"[:600]
    return ", ".join(f"{k} {got_!r}, recorded {want_!r}"[:400]
                     for k, (got_, want_) in got.differences(want).items()) or None


def pairs():
    return [(kind, front) for kind, dialect in KINDS.items() for front in FRONTS if front != dialect]


# ---- all of them, through the codecs -----------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def reader():
    held = Held()
    readers = Readers("http://gateway", held)
    yield held, readers
    readers.close()


@pytest.mark.skipif(find_codec() is None, reason="tests/tools/codec is not built")
@pytest.mark.parametrize("kind, front", pairs())
def test_every_sdk_reads_what_every_provider_said(reader, capsys, kind, front):
    held, readers = reader
    tally, dialect = Tally(f"{kind} read by {front} SDK"), KINDS[kind]
    for stream in (False, True):
        tests = answers(kind, stream)
        sent = codec("stream" if stream else "whole", dialect, front, "4711", inputs=[r.body for r in tests])
        held.kind = CONTENT.get(front, "text/event-stream") if stream else "application/json"
        for recording, held.body in zip(tests, sent):
            want = told(SAYS[dialect, stream](recording), front)
            tally.judge(recording, problem_of(want, lambda: readers.read(front, "m", stream)))
    tally.finish(capsys, AT_LEAST[kind])


# ---- and by the SDKs for Node ----------------------------------------------------------------------------------------------------

NODE_FRONTS = [f for f in FRONTS if f not in ("openai-completions", "ollama-generate")]


def answer_of(read):
    """The Answer that tests/node/read.mjs tells of."""
    answer = expected.Answer(read["text"], read["reasoning"], [tuple(c) for c in read["calls"]], read["stop"], cites=set(read["cites"]))
    answer.input, answer.output, answer.cached, answer.thought = read["usage"]
    return answer


@pytest.mark.skipif(find_codec() is None, reason="tests/tools/codec is not built")
@pytest.mark.parametrize("kind", KINDS)
def test_every_sdk_for_node_reads_what_every_provider_said(tmp_path, capsys, kind):
    tally, dialect, tests, held = Tally(f"{kind} read by every SDK for Node"), KINDS[kind], [], []
    for front in (f for f in NODE_FRONTS if f != dialect):
        for stream in (False, True):
            chosen = answers(kind, stream)
            sent = codec("stream" if stream else "whole", dialect, front, "4711", inputs=[r.body for r in chosen])
            what = CONTENT.get(front, "text/event-stream") if stream else "application/json"
            tests += [(recording, front, stream) for recording in chosen]
            held += [{"front": front, "stream": stream, "kind": what, "body": body} for body in sent]
    try:
        read = node.read_answers(tmp_path, 300, held)
    except node.Missing as e:
        pytest.skip(str(e))
    for (recording, front, stream), got in zip(tests, read):
        want = told(SAYS[dialect, stream](recording), front)
        tally.judge(recording, f"{front}: {got['error']}" if "error" in got else problem_of(want, lambda: answer_of(got)))
    tally.finish(capsys, AT_LEAST[kind] * len({front for _, front, _ in tests}))


# ---- some of them, through a running gateway ---------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def up(module_faultd):
    return module_faultd()


def provider(origin, kind):
    """One that is asked in the protocol of these recordings, whatever the client speaks."""
    dialect = KINDS[kind]
    if dialect in ("anthropic-messages", "gemini"):
        what = {"type": "google" if dialect == "gemini" else "anthropic", "base_url": origin}
    elif dialect.startswith("ollama"):
        what = {"type": "ollama", "base_url": origin, "protocols": [dialect]}
    else:
        what = {"type": "openai-compatible", "base_url": f"{origin}/v1", "protocols": [dialect]}
    return {**what, "api_key": "sk-up", "discover": False, "models": [f"m-{kind.replace('/', '-')}"]}


@pytest.fixture(scope="module")
def gateway(start_module_gateway, up):
    return start_module_gateway({"providers": {
        kind.replace("_", "-").replace("/", "-"): provider(up.origin, kind) for kind in KINDS}})


@pytest.fixture
def gateway_readers(gateway):
    readers = Readers(gateway.url)
    yield readers
    readers.close()


def sample(kind, front):
    """The first of each sort of answer, and of the others one in twenty."""
    chance, sorts = random.Random(f"{kind} {front}"), set()
    for stream in (False, True):
        for recording in answers(kind, stream):
            says = SAYS[KINDS[kind], stream](recording)
            sort = (stream, says.stop, says.refused, bool(says.text), bool(says.reasoning), bool(says.cites), min(len(says.tools), 2),
                    says.input is None, bool(says.cached), bool(says.thought))
            if sort not in sorts or chance.random() < 0.05:
                yield recording
            sorts.add(sort)


@pytest.mark.parametrize("kind", KINDS)
def test_every_sdk_reads_it_through_the_gateway(gateway_readers, up, capsys, kind):
    tally = Tally(f"{kind} read by every SDK through the gateway, sampled")
    model = f"m-{kind.replace('/', '-')}"
    for front in (f for f in FRONTS if f != KINDS[kind]):
        for number, recording in enumerate(sample(kind, front)):
            play(up, recording, number)
            want = told(SAYS[KINDS[kind], recording.stream](recording), front)
            tally.judge(recording, problem_of(want, lambda: gateway_readers.read(front, model, recording.stream)))
    tally.finish(capsys, 5)


# ---- errors, all of them through the gateway -----------------------------------------------------------------------------------

def errors(kind):
    return [r for r in recordings.load(kind) if r.status != 200 and r.method == "POST"]


def words_of(error):
    """What the recorded error says, wherever the vendor put it."""
    if isinstance(error, list) and error:
        return words_of(error[0])
    if isinstance(error, str):
        return error
    for name in ("error", "message", "detail"):
        if isinstance(error, dict) and error.get(name):
            return words_of(error[name])
    return json.dumps(error)


def error_problem(recording, front, take):
    """The SDK raises its error for the status, with the vendor's words; what is wrong with our own key is a 502 (trap 108)."""
    ours = recording.status in (401, 403) or b"API_KEY_INVALID" in recording.body
    want = 502 if ours else recording.status
    if want == 404 and front == "openai-responses":     # in Responses a model that is not there is a bad request
        want = 400
    try:
        return f"no error but {take()!r}"
    except (openai.APIStatusError, anthropic.APIStatusError) as e:
        status, said = e.status_code, e.message
    except genai_errors.APIError as e:
        status, said = e.code, e.message
    except ollama.ResponseError as e:
        status, said = e.status_code, e.error
    if status != want:
        return f"{status} {said!r}, recorded {recording.status}"
    return None if ours or words_of(json.loads(recording.body)) in said else f"{said!r}, recorded {recording.body[:300]!r}"


@pytest.mark.parametrize("kind, at_least", [("openai_chat", 4), ("openai_compat_chat", 12), ("responses", 13), ("anthropic_messages", 4),
                                            ("gemini", 5)])
def test_trap_107_108_every_sdk_raises_what_every_provider_answered(gateway_readers, up, capsys, kind, at_least):
    tally, number = Tally(f"{kind}, errors raised by every SDK"), 0
    for front in FRONTS:
        for stream in (False, True):
            for recording in errors(kind):
                number += 1
                play(up, recording, number)
                tally.judge(recording, error_problem(recording, front, lambda: gateway_readers.read(front, f"m-{kind}", stream)))
    tally.finish(capsys, 2 * len(FRONTS) * at_least)
