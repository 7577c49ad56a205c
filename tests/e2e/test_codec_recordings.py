"""The codecs on recorded traffic, by way of tests/tools/codec.c: what the vendors really sent is decoded into what a
plain reading of the JSON says it holds, however it is told on to a client.

The reading here is written anew and knows nothing of the decoder: it takes the chunks apart in a dozen lines.
"""

import json
import os
import pathlib
import subprocess

import pytest

from lib import recordings
from lib.sseclient import anthropic_problems, openai_chat_problems
from lib.wire import SseParser

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
FILES = ("openai_chat", "openai_compat_chat")


def find_codec():
    named = os.environ.get("LLM_GATEWAY_CODEC")
    if named:
        return named
    for build in ("asan", "debug", "asan-gcc"):
        path = CHECKOUT / "build" / build / "tests" / "tools" / "codec"
        if path.is_file():
            return str(path)
    return None


pytestmark = [
    pytest.mark.skipif(recordings.shared_dir() is None, reason=recordings.reason_missing()),
    pytest.mark.skipif(find_codec() is None, reason="tests/tools/codec is not built"),
]


def codec(*args, stdin):
    return subprocess.run([find_codec(), *args], input=stdin, capture_output=True, timeout=60)


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


def prompt_tokens(usage):
    """With what was cached: Azure's Grok counts that beside the prompt, of which there is then less."""
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    return usage["prompt_tokens"] + (cached if cached > usage["prompt_tokens"] else 0)


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
        assert got.usage["input"] == prompt_tokens(want.usage)
        assert got.usage["output"] >= want.usage["completion_tokens"]


# ---- the tests -----------------------------------------------------------------------------------------------------


def each(tests, what):
    """Runs all of them, and says of every one that fails which it was: hundreds of test ids say less."""
    faults = []
    for recording in tests:
        try:
            what(recording)
        except AssertionError as fault:
            faults.append(f"{recording.id}\n{str(fault)[:600]}")
    assert not faults, f"{len(faults)} of {len(tests)}:\n" + "\n\n".join(faults[:10])
    assert tests


def test_every_recorded_answer_becomes_the_events_it_says():
    def check(recording):
        out = codec("events" if recording.stream else "body", "openai-chat", stdin=recording.body)
        assert out.returncode == 0, out.stderr.decode()
        compare(recording, Events(out.stdout.decode().splitlines()))
    each(answers(), check)


def test_trap_024_events_do_not_depend_on_how_the_bytes_are_cut():
    streams = [r for r in answers() if r.stream]

    def check(recording):
        whole = codec("events", "openai-chat", stdin=recording.body).stdout
        for step in ("1", "7", "1000"):
            assert codec("events", "openai-chat", "--split", step, stdin=recording.body).stdout == whole
    each(streams, check)


def test_what_a_chat_client_gets_is_a_stream_as_the_sdk_wants_it():
    def check(recording):
        out = codec("stream", "openai-chat", "openai-chat", stdin=recording.body)
        assert out.returncode == 0, out.stderr.decode()
        want = Reading(recording)
        events = list(SseParser().feed(out.stdout, 0))
        assert openai_chat_problems(events, failed=bool(want.error)) == []
        again = codec("events", "openai-chat", stdin=out.stdout)
        got = Events(again.stdout.decode().splitlines())
        if not want.error:
            assert (got.text, got.reasoning, got.refusal) == (want.text, want.reasoning, want.refusal)
            assert [c[1] for c in got.calls] == [c[1] for c in want.calls]
            assert [json.loads(c[2]) for c in got.calls] == [json.loads(c[2] or "{}") for c in want.calls]
    each(answers(), check)


def test_what_an_anthropic_client_gets_is_a_stream_as_its_sdk_wants_it():
    def check(recording):
        out = codec("stream", "openai-chat", "anthropic-messages", stdin=recording.body)
        assert out.returncode == 0, out.stderr.decode()
        want = Reading(recording)
        assert anthropic_problems(list(SseParser().feed(out.stdout, 0)), failed=bool(want.error)) == []
        got = Events(codec("events", "anthropic-messages", stdin=out.stdout).stdout.decode().splitlines())
        if not want.error:
            assert got.end == "ok"
            assert (got.text + got.refusal, got.reasoning) == (want.text + want.refusal, want.reasoning)
            assert [c[1] for c in got.calls] == [c[1] for c in want.calls]
            if want.usage:
                assert got.usage["input"] == prompt_tokens(want.usage)
    each(answers(), check)


def test_the_relay_reads_what_the_decoder_reads_and_passes_every_byte():
    def check(recording):
        out = codec("tap", "openai-chat", stdin=recording.body).stdout
        passed, _, seen = out.rpartition(b"\n#")
        seen, want = json.loads(seen), Reading(recording)
        if recording.stream:
            assert passed == recording.body
        if want.error:
            assert seen["error"] == want.error["message"]
            return
        assert seen["finished"] == bool(want.finish)
        if want.usage:
            assert seen["usage"]["input"] == prompt_tokens(want.usage)
    each(answers(), check)


def test_trap_010_usage_that_the_client_did_not_ask_for_is_hidden_from_it():
    streams = [r for r in answers() if r.stream]

    def check(recording):
        passed = codec("tap", "openai-chat", "--hide-usage", stdin=recording.body).stdout.rpartition(b"\n#")[0]
        before = [json.loads(d) for d in sse_data(recording.body) if d.strip() != "[DONE]"]
        after = [json.loads(d) for d in sse_data(passed) if d.strip() != "[DONE]"]
        only_usage = [c for c in before if c.get("usage") and not c.get("choices")]
        assert after == [{k: v for k, v in c.items() if k != "usage"} for c in before if c not in only_usage]
    each(streams, check)


def test_every_recorded_request_is_understood_and_can_be_sent_on():
    def check(recording):
        if not isinstance(recording.req, dict) or "messages" not in recording.req:
            return
        body = json.dumps({"model": "m", **recording.req}).encode()
        out = json.loads(codec("request", "openai-chat", "openai-chat", stdin=body).stdout)
        assert "error" not in out, out
        sent = out["body"]
        before = [m for m in recording.req["messages"] if m["role"] not in ("tool", "function")]
        assert len([m for m in sent["messages"] if m["role"] != "tool"]) == len(before)
        assert len(sent.get("tools") or []) == len(recording.req.get("tools") or recording.req.get("functions") or [])
    each(answers() + refusals(), check)
