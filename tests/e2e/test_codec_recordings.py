"""The codecs on recorded traffic, by way of tests/tools/codec.c: what the vendors really sent is decoded into what a
plain reading of the JSON says it holds, however it is told on to a client.

The reading here is written anew and knows nothing of the decoder: it takes the chunks apart in a dozen lines.
"""

import json
import pathlib

import pytest

from lib import recordings
from lib.codec import codec, find_codec
from lib.sseclient import anthropic_problems, openai_chat_problems
from lib.wire import SseParser

FILES = ("openai_chat", "openai_compat_chat")


pytestmark = [
    pytest.mark.skipif(recordings.shared_dir() is None, reason=recordings.reason_missing()),
    pytest.mark.skipif(find_codec() is None, reason="tests/tools/codec is not built"),
]


def events_of(protocol, streams):
    return [Events(out.decode().splitlines()) for out in codec("events", protocol, inputs=streams)]


def answers():
    """Recordings with an answer in them, errors inside a 200 included."""
    return [r for name in FILES for r in recordings.load(name) if r.status < 400]


def refusals():
    return [r for name in FILES for r in recordings.load(name) if r.status >= 400]


# ---- a plain reading -----------------------------------------------------------------------------------------------


def sse_data(body):
    """The data of every event of a stream."""
    parser = SseParser()
    return [e.data for e in parser.feed(body, 0) if e.data]


def text_of(content, kind="text"):
    if isinstance(content, str):
        return content if kind == "text" else ""
    out = ""
    for part in content or []:
        if part.get("type") == kind:
            inner = part.get(kind)
            out += inner if isinstance(inner, str) else text_of(inner)
    return out


def reasoning_of(delta):
    details = "".join(d.get("text") or d.get("summary") or "" for d in delta.get("reasoning_details") or [])
    return details or delta.get("reasoning_content") or delta.get("reasoning") or text_of(delta.get("content"), "thinking")


class Reading:
    def __init__(self, recording):
        self.text = self.reasoning = self.refusal = ""
        self.calls, self.usage, self.error, self.finish = [], None, None, None
        if recording.stream:
            chunks = [json.loads(d) for d in sse_data(recording.body) if d.strip() != "[DONE]"]
        else:
            chunks = [json.loads(recording.body)]
        for chunk in chunks:
            self.error = chunk.get("error") or self.error
            self.usage = chunk.get("usage") or (chunk.get("x_groq") or {}).get("usage") or self.usage
            for choice in chunk.get("choices") or []:
                if choice.get("index", 0) == 0:
                    self.read(choice, choice.get("delta" if recording.stream else "message") or {})

    def read(self, choice, delta):
        self.text += text_of(delta.get("content")) or (delta.get("audio") or {}).get("transcript") or ""
        self.reasoning += reasoning_of(delta)
        self.refusal += delta.get("refusal") or ""
        for call in delta.get("tool_calls") or []:
            function = call.get("function") or {}
            if call.get("id") and call["id"] not in [c[0] for c in self.calls]:
                self.calls.append([call["id"], function.get("name"), ""])
            self.calls[-1][2] += function.get("arguments") or ""
        legacy = delta.get("function_call") or {}
        if legacy.get("name"):
            self.calls.append([None, legacy["name"], legacy["arguments"]])
        self.finish = choice.get("finish_reason") or self.finish


class Events:
    """What the codec made of it."""

    def __init__(self, lines):
        self.text = self.reasoning = self.refusal = ""
        self.calls, self.usage, self.error, self.stop, self.end = [], {}, None, None, None
        block = None
        for event in map(json.loads, lines):
            if "end" in event:
                self.end = event["end"]
            elif event["event"] == "OPEN":
                block = event["block"]
                if block == "tool_call":
                    self.calls.append([event["id"], event["name"], ""])
            elif event["event"] == "DELTA" and event["of"] == "text":
                setattr(self, block, getattr(self, block) + event["text"])
            elif event["event"] == "DELTA" and event["of"] == "arguments":
                self.calls[-1][2] += event["text"]
            elif event["event"] == "USAGE":
                self.usage = event["usage"]
            elif event["event"] == "FINISH":
                self.stop = event["stop"]
            elif event["event"] == "ERROR":
                self.error = event


STOPS = {"length": {"length"}, "tool_calls": {"tool_calls"}, "function_call": {"tool_calls"},
         "stop": {"end", "tool_calls", "refusal"}, "": {"end"}, None: {"end", "tool_calls"}}


def compare(recording, got):
    want = Reading(recording)
    assert got.end == "ok"
    if want.error:
        assert got.error and got.error["message"] == want.error["message"]
        return
    assert (got.text, got.reasoning, got.refusal) == (want.text, want.reasoning, want.refusal)
    assert [c[1:] for c in got.calls] == [c[1:] for c in want.calls]
    if all(c[0] for c in want.calls):
        assert [c[0] for c in got.calls] == [c[0] for c in want.calls]
    assert got.stop in STOPS[want.finish]
    assert (got.stop == "tool_calls") == (bool(want.calls) and want.finish != "length")
    if want.usage:
        assert got.usage["input"] == want.usage["prompt_tokens"]
        assert got.usage["output"] >= want.usage["completion_tokens"]


# ---- the tests -----------------------------------------------------------------------------------------------------


def each(tests, results, what):
    """Runs all of them, and says of every one that fails which it was: hundreds of test ids say less."""
    faults = []
    for recording, *result in zip(tests, *results, strict=True):
        try:
            what(recording, *result)
        except AssertionError as fault:
            faults.append(f"{recording.id}\n{str(fault)[:600]}")
    assert not faults, f"{len(faults)} of {len(tests)}:\n" + "\n\n".join(faults[:10])
    assert tests


def test_every_recorded_answer_becomes_the_events_it_says():
    for streams, mode in ((True, "events"), (False, "body")):
        tests = [r for r in answers() if r.stream == streams]
        results = codec(mode, "openai-chat", inputs=[r.body for r in tests])
        each(tests, [results], lambda r, out: compare(r, Events(out.decode().splitlines())))


def test_trap_024_events_do_not_depend_on_how_the_bytes_are_cut():
    tests = [r for r in answers() if r.stream]
    bodies = [r.body for r in tests]
    whole = codec("events", "openai-chat", inputs=bodies)

    def check(recording, cut, uncut):
        assert cut == uncut
    for step in ("1", "7", "1000"):
        each(tests, [codec("events", "openai-chat", step, inputs=bodies), whole], check)


def test_what_a_chat_client_gets_is_a_stream_as_the_sdk_wants_it():
    tests = answers()
    sent = codec("stream", "openai-chat", "openai-chat", inputs=[r.body for r in tests])

    def check(recording, out, got):
        want = Reading(recording)
        assert openai_chat_problems(SseParser().feed(out, 0), failed=bool(want.error)) == []
        if not want.error:
            assert (got.text, got.reasoning, got.refusal) == (want.text, want.reasoning, want.refusal)
            assert [c[1] for c in got.calls] == [c[1] for c in want.calls]
            assert [json.loads(c[2]) for c in got.calls] == [json.loads(c[2] or "{}") for c in want.calls]
    each(tests, [sent, events_of("openai-chat", sent)], check)


def test_what_an_anthropic_client_gets_is_a_stream_as_its_sdk_wants_it():
    tests = answers()
    sent = codec("stream", "openai-chat", "anthropic-messages", inputs=[r.body for r in tests])

    def check(recording, out, got):
        want = Reading(recording)
        assert anthropic_problems(SseParser().feed(out, 0), failed=bool(want.error)) == []
        if not want.error:
            assert got.end == "ok"
            assert (got.text + got.refusal, got.reasoning) == (want.text + want.refusal, want.reasoning)
            assert [c[1] for c in got.calls] == [c[1] for c in want.calls]
            if want.usage:
                assert got.usage["input"] == want.usage["prompt_tokens"]
    each(tests, [sent, events_of("anthropic-messages", sent)], check)


def test_the_relay_reads_what_the_decoder_reads_and_passes_every_byte():
    tests = answers()

    def check(recording, out):
        passed, _, seen = out.rpartition(b"\n#")
        seen, want = json.loads(seen), Reading(recording)
        if recording.stream:
            assert passed == recording.body
        if want.error:
            assert seen["error"] == want.error["message"]
            return
        assert seen["finished"] == bool(want.finish)
        if want.usage:
            assert seen["usage"]["input"] == want.usage["prompt_tokens"]
    each(tests, [codec("tap", "openai-chat", inputs=[r.body for r in tests])], check)


def test_trap_010_usage_that_the_client_did_not_ask_for_is_hidden_from_it():
    tests = [r for r in answers() if r.stream]

    def check(recording, out):
        passed = out.rpartition(b"\n#")[0]
        before = [json.loads(d) for d in sse_data(recording.body) if d.strip() != "[DONE]"]
        after = [json.loads(d) for d in sse_data(passed) if d.strip() != "[DONE]"]
        only_usage = [c for c in before if c.get("usage") and not c.get("choices")]
        assert after == [{k: v for k, v in c.items() if k != "usage"} for c in before if c not in only_usage]
    each(tests, [codec("tap", "openai-chat", "hide-usage", inputs=[r.body for r in tests])], check)


def test_every_recorded_request_is_understood_and_can_be_sent_on():
    tests = [r for r in answers() + refusals() if isinstance(r.req, dict) and "messages" in r.req]
    bodies = [json.dumps({"model": "m", **r.req}).encode() for r in tests]

    def check(recording, out):
        out = json.loads(out)
        assert "error" not in out, out
        sent, asked = out["body"], recording.req
        before = [m for m in asked["messages"] if m["role"] not in ("tool", "function")]
        # What a result cannot hold, an image, goes on in a user message of its own (trap 42).
        images = sum(m["role"] == "tool" and "image_url" in json.dumps(m["content"]) for m in asked["messages"])
        after = [m for m in sent["messages"] if m["role"] != "tool"]
        assert len(before) <= len(after) <= len(before) + images
        assert len(sent.get("tools") or []) == len(asked.get("tools") or asked.get("functions") or [])
    each(tests, [codec("request", "openai-chat", "openai-chat", inputs=bodies)], check)


def test_every_recorded_request_is_understood_by_an_anthropic_upstreams_encoder():
    tests = [r for r in answers() if isinstance(r.req, dict) and "messages" in r.req]
    bodies = [json.dumps({"model": "m", **r.req}).encode() for r in tests]

    def check(recording, out):
        out = json.loads(out)
        if "error" in out:  # refused, with a reason and a place
            assert out["error"] and out["param"]
            return
        sent = out["body"]
        assert sent["max_tokens"] > 0
        roles = [m["role"] for m in sent["messages"]]
        assert set(roles) <= {"user", "assistant", "system"}
        # Its own tools, and where the history has calls of others those too (trap 79).
        known = {(t.get("function") or t).get("name") for t in recording.req.get("tools") or []}
        known |= {f["name"] for f in recording.req.get("functions") or []}
        known |= {c["function"]["name"] for m in recording.req["messages"] for c in m.get("tool_calls") or []}
        assert {t["name"] for t in sent.get("tools") or []} <= known
    each(tests, [codec("request", "openai-chat", "anthropic-messages", inputs=bodies)], check)
