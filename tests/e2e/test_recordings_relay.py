"""Recorded traffic of real providers, relayed: a client of the provider's own dialect gets the recorded bytes, and the
provider gets the client's, except the few fields that are the gateway's own.

Each test goes through all recordings of a kind and reports the wrong ones together, by the recordings' ids.
"""

import contextlib
import json

import pytest

from lib import expected, recordings
from lib.recordings_tally import Tally, in_band_error, in_band_errors, play, successes

pytestmark = [pytest.mark.usefixtures("need_recordings"), pytest.mark.timeout(600)]

DIALECTS = {"openai_chat": "/v1/chat/completions", "other": "/v1/chat/completions", "openai_compat_chat": "/v1/chat/completions",
            "anthropic_messages": "/v1/messages"}
ASKED = b'"stream_options":{"include_usage":true}'


@pytest.fixture(scope="module")
def up(module_faultd):
    return module_faultd()


@pytest.fixture(scope="module")
def gateways(start_module_gateway, up):
    """One gateway per kind: each has one provider, which gets whatever model the recorded request names."""
    kinds = {"openai_chat": {"type": "openai", "base_url": f"{up.origin}/v1", "api_key": "sk-up"},
             "openai_compat_chat": {"type": "openai-compatible", "base_url": f"{up.origin}/v1"},
             "other": {"type": "openai-compatible", "base_url": f"{up.origin}/v1"},
             "anthropic_messages": {"type": "anthropic", "base_url": up.origin, "api_key": "sk-up"}}
    return {kind: start_module_gateway({"providers": {"upstream": {**p, "default": True, "discover": False}}})
            for kind, p in kinds.items()}


class Wire:
    """One connection to the gateway, kept over all recordings of a test."""

    def __init__(self, gateway):
        self.gateway, self.client = gateway, None

    def post(self, path, body):
        """(status, headers, body) of a raw request; a connection that the gateway closed is made anew."""
        if self.client is None:
            self.client = self.gateway.connect(timeout=60)
        self.client.request("POST", path, [("content-type", "application/json")], body)
        response = self.client.read_response("POST")
        if response.headers.get("connection", "") == "close" or response.end != "complete":
            self.client.close()
            self.client = None
        return response


def dumps(value):
    """The request as clients send it; escapes and blanks vary from client to client."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def request_of(recording, usage=None):
    """The recorded request's bytes. `usage`: with or without stream_options.include_usage."""
    req = dict(recording.req)
    req["stream"] = recording.stream
    if usage is not None:
        req.pop("stream_options", None)
    if usage:
        req["stream_options"] = {"include_usage": True}
    return dumps(req)


def upstream_problem(sent, got, asked):
    """The body that reached the provider is the client's; where the gateway asked for usage, plus that."""
    if not asked:
        return None if got == sent else f"upstream body {difference(sent, got)}"
    rest = got.replace(ASKED + b",", b"").replace(b"," + ASKED, b"")
    if got.count(b"include_usage") != 1:
        return f"upstream body asks for usage {got.count(b'include_usage')} times"
    return None if rest == sent else f"upstream body {difference(sent, rest)}"


def difference(want, got):
    """Where two byte strings part."""
    at = next((i for i, (a, b) in enumerate(zip(want, got)) if a != b), min(len(want), len(got)))
    near = slice(max(0, at - 20), at + 60)
    return f"differs at {at} of {len(want)}: want {want[near]!r}, got {got[near]!r}"


# ---- whole bodies ---------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind, at_least", [("openai_chat", 185), ("openai_compat_chat", 230), ("anthropic_messages", 175)])
def test_whole_answers_are_relayed_byte_for_byte(gateways, up, capsys, kind, at_least):
    wire, tally = Wire(gateways[kind]), Tally(f"{kind}, whole, byte-identical")
    for number, recording in enumerate(successes([kind], stream=False)):
        script, sent = play(up, recording, number), request_of(recording)
        response = wire.post(DIALECTS[kind], sent)
        problem = upstream_problem(sent, script.wait_for_request().request.body, asked=False)
        if response.status != 200 or response.body != recording.body:
            problem = f"{response.status}, answer {difference(recording.body, response.body)}"
        tally.judge(recording, problem)
    tally.finish(capsys, at_least)


# ---- streams -----------------------------------------------------------------------------------------------------------------

def until_done(body):
    """What a client may see of a stream: all of it up to the end that the dialect gives it."""
    blocks = expected.sse_blocks(body)
    last = next((i for i, b in enumerate(blocks) if (expected.sse_data(b) or "").strip() == "[DONE]"), len(blocks) - 1)
    return blocks[: last + 1]


@pytest.mark.parametrize("kind, at_least", [("openai_chat", 60), ("openai_compat_chat", 50), ("other", 4), ("anthropic_messages", 100)])
def test_streams_are_relayed_byte_for_byte(gateways, up, capsys, kind, at_least):
    """Cut at random; the client asked for usage itself, so that nothing of the stream is for the gateway alone."""
    wire, tally = Wire(gateways[kind]), Tally(f"{kind}, streamed, byte-identical")
    for number, recording in enumerate(successes([kind], stream=True)):
        script = play(up, recording, number)
        sent = request_of(recording, usage=True if kind != "anthropic_messages" else None)
        response = wire.post(DIALECTS[kind], sent)
        problem = upstream_problem(sent, script.wait_for_request().request.body, asked=False)
        want = b"".join(until_done(recording.body))
        if response.status != 200 or response.end != "complete" or response.body != want:
            problem = f"{response.status} {response.end}, stream {difference(want, response.body)}"
        tally.judge(recording, problem)
    tally.finish(capsys, at_least)


def is_usage_chunk(data):
    return isinstance(data, dict) and isinstance(data.get("usage"), dict) and not data.get("choices")


def json_of(block):
    data = expected.sse_data(block)
    with contextlib.suppress(TypeError, ValueError):
        return json.loads(data)
    return None


def cut_out(block, got):
    """Whether `got` is `block` less one piece."""
    prefix = next((i for i, (a, b) in enumerate(zip(block, got)) if a != b), len(got))
    return block.endswith(got[prefix:])


def hidden_problem(want, got):
    """Only the chunks and members that hold usage are missing from `got`; all else is the recorded bytes."""
    got = list(got)
    for block in want:
        data = json_of(block)
        if is_usage_chunk(data):
            continue
        if not got:
            return f"the stream ends before {block[:80]!r}"
        seen = got.pop(0)
        if not isinstance(data, dict) or "usage" not in data:
            if seen != block:
                return difference(block, seen)
            continue
        del data["usage"]
        if json_of(seen) != data or not cut_out(block, seen):
            return f"{seen[:200]!r} made of {block[:200]!r}"
    return f"more than was recorded: {got[:2]!r}" if got else None


@pytest.mark.parametrize("kind, at_least", [("openai_chat", 60), ("openai_compat_chat", 50)])
def test_trap_010_only_usage_is_hidden_from_who_did_not_ask(gateways, up, capsys, kind, at_least):
    wire, tally = Wire(gateways[kind]), Tally(f"{kind}, streamed, usage not asked for")
    for number, recording in enumerate(successes([kind], stream=True)):
        script, sent = play(up, recording, number), request_of(recording, usage=False)
        response = wire.post(DIALECTS[kind], sent)
        problem = upstream_problem(sent, script.wait_for_request().request.body, asked=True)
        problem = problem or hidden_problem(until_done(recording.body), expected.sse_blocks(response.body))
        tally.judge(recording, problem or (None if response.end == "complete" else response.end))
    tally.finish(capsys, at_least)


# ---- errors ------------------------------------------------------------------------------------------------------------------

def failures(kind):
    return [r for r in recordings.load(kind) if r.status != 200]


@pytest.mark.parametrize("kind, at_least", [("openai_chat", 4), ("openai_compat_chat", 12), ("anthropic_messages", 4)])
def test_errors_are_relayed_or_put_into_the_dialect(gateways, up, capsys, kind, at_least):
    """In the dialect's own form: the recorded bytes. Otherwise re-wrapped; and 401 is the gateway's own trouble."""
    wire, tally = Wire(gateways[kind]), Tally(f"{kind}, errors")
    for number, recording in enumerate(failures(kind)):
        play(up, recording, number)
        response = wire.post(DIALECTS[kind], request_of(recording))
        tally.judge(recording, error_problem(kind, recording, response))
    tally.finish(capsys, at_least)


def error_problem(kind, recording, response):
    if recording.status == 401:
        return None if response.status == 502 and b"api_key" in response.body else f"{response.status} {response.body!r}"
    if response.status != recording.status:
        return f"status {response.status}"
    said, error = json.loads(recording.body)["error"], response.json()["error"]
    if response.body != recording.body and kind == "anthropic_messages":
        return f"not the recorded bytes: {response.body!r}"
    return None if error["message"] == said["message"] else f"message {error['message']!r}"


def test_trap_112_an_error_with_status_200_is_an_error(gateways, up, capsys):
    """Nothing had been sent, so the client gets a status, not a stream that breaks off."""
    wire, tally = Wire(gateways["openai_compat_chat"]), Tally("openai_compat_chat, errors with status 200")
    for number, recording in enumerate(in_band_errors(["openai_compat_chat"])):
        play(up, recording, number)
        response = wire.post(DIALECTS["openai_compat_chat"], request_of(recording))
        meaningful = recording.stream and any(c.get("choices") for c in expected.events(recording))
        tally.judge(recording, late_problem(recording, response) if meaningful else early_problem(recording, response))
    tally.finish(capsys, 3)


def early_problem(recording, response):
    if response.status < 400:
        return f"status {response.status}: {response.body[:300]!r}"
    got, want = response.json()["error"]["message"], in_band_error(recording)["message"]
    return None if got == want else f"message {got!r}"


def late_problem(recording, response):
    """After the first content: the recorded bytes up to the error, the error, and no made-up end."""
    if response.status >= 400:
        return early_problem(recording, response)
    if b"[DONE]" in response.body:
        return "a [DONE] after the error"
    return None if in_band_error(recording)["message"] in response.body.decode() else f"{response.body[-300:]!r}"
