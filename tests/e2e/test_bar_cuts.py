"""Bars 17 and 18: answers that end too early, at any byte, and answers that are errors, empty, or something else altogether.

Whatever the upstream does, a client gets whole events only; a stream that broke ends in the dialect's error event and is
cut, a stream that had not begun is a 502, and nobody ever makes up an end."""

import json
import time

import pytest

from lib import canned, recordings
from lib.stand import (ANTHROPIC, DIALECTS, MODELS, OPENAI, PAIR_IDS, PAIRS, ask, check_error, check_error_body, check_failed,
                       check_whole, config, new_id, open_stream, problems, record_of, send, text_of)


@pytest.fixture(scope="module")
def up(module_faultd):
    return module_faultd()


@pytest.fixture(scope="module")
def spare(module_faultd):
    return module_faultd()


@pytest.fixture(scope="module")
def gateway(start_module_gateway, up, spare):
    return start_module_gateway(config(up, spare, timeouts={"first_byte": "5s", "idle": "5s"}))


# ---- bar 17: cuts --------------------------------------------------------------------------------------------------------


def small_stream(dialect):
    """About 700 bytes: two texts and an end, with bytes of several lengths in UTF-8."""
    return canned.stream(dialect, ["Hé", "llo 🌍"])


def ends_at(client, upstream, body):
    """(the offset from which nothing of the answer is missing, the offset from which its finish reason has been said)

    Of an OpenAI upstream a translation needs the finish reason and the usage, a relay also needs [DONE].
    """
    end = len(body)
    if upstream == OPENAI:
        starts = canned.event_starts(body)
        finish = next(b for a, b in zip(starts, starts[1:]) if b'"finish_reason":"stop"' in body[a:b])
        return starts[-2] if client != upstream else end, finish
    return end, end


class Cutter:
    """Cuts one stream at many places; judges each, and all access records at the end."""

    def __init__(self, gateway, up, client, upstream, body):
        self.gateway, self.up, self.client, self.upstream, self.body = gateway, up, client, upstream, body
        self.whole_text = text_of(upstream, _parse(body))
        self.end, self.finish = ends_at(client, upstream, body)
        self.expected = {}        # id: what its record may say

    def cut(self, fault, at, framing="chunked", **fields):
        script = self.up.reply("POST", canned.PATHS[self.upstream], body=self.body, fault=fault, at=at, framing=framing,
                               **fields)
        try:
            with self.gateway.connect() as connection:
                stream = open_stream(self.gateway, self.client, MODELS[self.upstream], connection)
                stream.rest()
                self.judge(stream, fault, at, framing)
        except AssertionError as e:
            raise AssertionError(f"{fault} after {at} of {len(self.body)} bytes, {framing}: {e}") from e
        finally:
            self.up.scripts.remove(script)

    def judge(self, stream, fault, at, framing):
        received = bytes(stream.body)
        # In a chunked answer only the answer's own end counts; one delimited by the close may also end after its finish reason.
        may_end = at >= self.end or (framing == "close" and at >= self.finish and fault != "rst")
        must_end = at >= self.end and fault != "rst"
        if stream.status != 200:
            assert stream.status == 502 and not must_end, (stream.status, received[:200])
            stream.response.body = received
            check_error(self.client, stream.response, 502)
            self.expected[stream.id] = ("upstream_truncated", "upstream_error")
            return
        assert not stream.torn, received[-200:]
        if stream.end == "complete":
            assert may_end, f"a made-up end: {received[-200:]}"
            assert _whole_problems(self.client, stream.events) == [], received[-300:]
            assert text_of(self.client, stream.events) == self.whole_text
            self.expected[stream.id] = ("ok",)
            return
        assert not must_end, f"{stream.end}: {received[-200:]}"
        assert stream.end in ("truncated", "reset")
        assert problems(self.client, stream.events, failed=True) == [], received[-300:]
        check_error_body(self.client, stream.json_events()[-1][1])
        assert self.whole_text.startswith(text_of(self.client, stream.events[:-1]))
        self.expected[stream.id] = ("upstream_truncated",)

    def check_records(self):
        ids = self.expected
        records = {r["id"]: r for r in self.gateway.wait_access(lambda r: r["id"] in ids, n=len(ids))}
        wrong = [(r["end"], ids[i]) for i, r in records.items() if r["end"] not in ids[i]]
        assert not wrong, wrong[:5]


def _parse(body):
    from lib.wire import SseParser
    return SseParser().feed(body, 0)


def _whole_problems(dialect, events):
    """As the grammar says, but without [DONE]: an upstream that closes after its finish reason never said it."""
    if dialect == OPENAI and events and events[-1].data != "[DONE]":
        return [p for p in problems(dialect, events) if "[DONE]" not in p]
    return problems(dialect, events)


@pytest.mark.parametrize("client,upstream", PAIRS, ids=PAIR_IDS)
def test_bar_17_cut_at_every_7th_byte_and_every_border(gateway, up, client, upstream):
    body = small_stream(upstream)
    cutter = Cutter(gateway, up, client, upstream, body)
    borders = canned.event_starts(body)
    for at in sorted(set(range(0, len(body), 7)) | {b + d for b in borders for d in (-1, 0, 1) if 0 <= b + d <= len(body)}):
        cutter.cut("fin", at)
    for at in borders:
        for fault, framing in (("rst", "chunked"), ("half", "chunked"), ("fin", "close"), ("half", "close")):
            cutter.cut(fault, at, framing)
    cutter.check_records()


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("client,upstream", PAIRS, ids=PAIR_IDS)
@pytest.mark.parametrize("fault", ["fin", "rst", "half"])
@pytest.mark.parametrize("framing", ["chunked", "close"])
def test_bar_17_cut_at_every_byte(gateway, up, client, upstream, fault, framing):
    body = canned.stream(upstream, ["Hé", "llo 🌍", "x" * 40])
    cutter = Cutter(gateway, up, client, upstream, body)
    for at in range(len(body) + 1):
        cutter.cut(fault, at, framing, settle=True)
    cutter.check_records()


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("client,upstream", PAIRS, ids=PAIR_IDS)
def test_bar_17_cut_of_recorded_streams(gateway, up, need_recordings, client, upstream):
    """3 KiB of real traffic, every byte."""
    name = "openai_chat" if upstream == OPENAI else "anthropic_messages"
    found = [r for r in recordings.load(name) if r.stream and r.status == 200 and 2000 < len(r.body) < 6000][:1]
    assert found
    body = found[0].body
    cutter = Cutter(gateway, up, client, upstream, body)
    for at in range(0, len(body)):
        cutter.cut("fin", at)
    cutter.check_records()


@pytest.mark.parametrize("client,upstream", PAIRS, ids=PAIR_IDS)
def test_bar_17_torn_chunk_and_cut_inside_the_framing(gateway, up, client, upstream):
    """The last chunk says more than it holds; the whole wire, head included, is cut at places that are no body offset."""
    body = small_stream(upstream)
    cutter = Cutter(gateway, up, client, upstream, body)
    for at in canned.event_starts(body)[1:]:
        cutter.cut("fin", at, torn_chunk=True)
    for wire_at in (0, 1, 9, 40, 100):
        script = up.reply("POST", canned.PATHS[upstream], body=body, fault="fin", wire_at=wire_at)
        response = ask(gateway, client, MODELS[upstream], stream=True)
        check_error(client, response, 502)
        up.scripts.remove(script)
    cutter.check_records()


@pytest.mark.parametrize("client,upstream", PAIRS, ids=PAIR_IDS)
@pytest.mark.parametrize("fault", ["fin", "rst"])
def test_bar_17_whole_answer_cut_at_every_7th_byte_is_502(gateway, up, client, upstream, fault):
    body = canned.answer(upstream, "whole")
    ids = []
    for at in range(0, len(body), 7 if fault == "fin" else 61):
        script = up.reply("POST", canned.PATHS[upstream], body=body, fault=fault, at=at)
        response = ask(gateway, client, MODELS[upstream])
        check_error(client, response, 502)
        ids.append(response.id)
        up.scripts.remove(script)
    records = gateway.wait_access(lambda r: r["id"] in ids, n=len(ids))
    assert {r["end"] for r in records} <= {"upstream_error", "upstream_truncated"}


@pytest.mark.parametrize("client,upstream", PAIRS, ids=PAIR_IDS)
def test_bar_17_close_delimited_whole_answer_that_is_cut_is_502(gateway, up, client, upstream):
    """Without a length only the JSON itself tells that something is missing."""
    body = canned.answer(upstream, "whole")
    for at in (0, 1, len(body) // 2, len(body) - 1):
        script = up.reply("POST", canned.PATHS[upstream], body=body, fault="fin", at=at, framing="close")
        check_error(client, ask(gateway, client, MODELS[upstream]), 502)
        up.scripts.remove(script)
    up.reply("POST", canned.PATHS[upstream], body=body, framing="close")
    assert ask(gateway, client, MODELS[upstream]).status == 200


@pytest.mark.parametrize("dialect", DIALECTS)
def test_bar_17_cut_before_anything_meaningful_goes_to_the_second_target(gateway, up, spare, dialect):
    body = canned.stream(dialect, ["lost"])
    starts = canned.event_starts(body)
    first_meaningful = next(i for i in range(len(starts)) if b"lost" in body[starts[i]:starts[i + 1]])
    spare.reply("POST", canned.PATHS[dialect], body=canned.stream(dialect, ["saved"]))
    for at in starts[:first_meaningful + 1]:
        for fault in ("fin", "rst"):
            script = up.reply("POST", canned.PATHS[dialect], body=body, fault=fault, at=at)
            stream = open_stream(gateway, dialect, f"either-{MODELS[dialect]}")
            check_whole(dialect, stream, "saved")
            assert stream.headers.get("x-llm-gateway-attempts") == "2"
            assert b"lost" not in stream.body
            stream.client.close()
            up.scripts.remove(script)
    asked = len(spare.requests)
    up.reply("POST", canned.PATHS[dialect], body=body, fault="fin", at=starts[first_meaningful + 1])
    stream = open_stream(gateway, dialect, f"either-{MODELS[dialect]}")
    check_failed(dialect, stream)
    assert len(spare.requests) == asked, "another target was asked after the commit"


# ---- bar 18: errors in a 200, and things that are no answer ------------------------------------------------------------------


def error_event(dialect, message="Overloaded now"):
    if dialect == OPENAI:
        return canned.sse({"error": {"message": message, "type": "server_error", "param": None, "code": "overloaded"}})
    return canned.anthropic_event("error", error={"type": "overloaded_error", "message": message})


FIRST_FRAMES = {
    "error-event": lambda d: {"body": error_event(d)},
    "error-after-comments": lambda d: {"body": b": hello\n\n: there\n\n" + error_event(d)},
    "error-after-the-start": lambda d: {"body": canned.stream(d)[:canned.event_starts(canned.stream(d))[1]] + error_event(d)},
    "empty-body": lambda d: {"body": b"", "content_type": "text/event-stream"},
    "empty-body-of-length-0": lambda d: {"body": b"", "framing": "length", "content_type": "application/json"},
    "comments-only": lambda d: {"body": b": a\n\n: b\n\n"},
    "html": lambda d: {"body": b"<!doctype html><html><body>Sign in</body></html>", "content_type": "text/html"},
    "html-called-a-stream": lambda d: {"body": b"<html>oops</html>\n\n", "content_type": "text/event-stream"},
    "error-json-with-200": lambda d: {"body": canned.error(d, "Overloaded now"), "content_type": "application/json"},
    "json-called-a-stream": lambda d: {"body": canned.error(d), "content_type": "text/event-stream", "framing": "chunked"},
    "not-json-data": lambda d: {"body": b"data: {broken\n\n" * 2},
    "done-alone": lambda d: {"body": b"data: [DONE]\n\n" if d == OPENAI else canned.anthropic_event("message_stop")},
    "nothing-but-204": lambda d: {"status": 204, "body": b"", "framing": "none", "content_type": ""},
}


@pytest.mark.parametrize("client,upstream", PAIRS, ids=PAIR_IDS)
@pytest.mark.parametrize("case", FIRST_FRAMES)
def test_bar_18_trap_122_no_answer_in_a_200_is_an_error_before_the_head(gateway, up, client, upstream, case):
    up.reply("POST", canned.PATHS[upstream], **FIRST_FRAMES[case](upstream))
    stream = open_stream(gateway, client, MODELS[upstream])
    stream.rest()
    stream.response.body = bytes(stream.body)
    assert stream.status >= 500, (stream.status, bytes(stream.body)[:300])
    error = check_error(client, stream.response, stream.status)
    if case.startswith("error-"):
        assert "Overloaded now" in error["message"]
        assert stream.status == (503 if client == OPENAI else 529) or stream.status in (500, 502)
    assert "<html" not in error["message"]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("case", FIRST_FRAMES)
def test_bar_18_no_answer_in_a_200_fails_over(gateway, up, spare, dialect, case):
    up.reply("POST", canned.PATHS[dialect], **FIRST_FRAMES[case](dialect))
    spare.reply("POST", canned.PATHS[dialect], body=canned.stream(dialect, ["saved"]))
    stream = open_stream(gateway, dialect, f"either-{MODELS[dialect]}")
    check_whole(dialect, stream, "saved")
    assert stream.headers.get("x-llm-gateway-attempts") == "2"


@pytest.mark.parametrize("client,upstream", PAIRS, ids=PAIR_IDS)
@pytest.mark.parametrize("after", [1, 2, 3])
def test_bar_18_error_after_content_becomes_the_dialects_error_event(gateway, up, client, upstream, after):
    texts = ["one", "two", "three"]
    body = canned.stream(upstream, texts)
    starts = canned.event_starts(body)
    at = next(b for a, b in zip(starts, starts[1:]) if texts[after - 1].encode() in body[a:b])
    up.reply("POST", canned.PATHS[upstream], body=body[:at] + error_event(upstream))
    stream = open_stream(gateway, client, MODELS[upstream])
    assert stream.status == 200
    stream.rest()
    error = check_failed(client, stream)
    assert "Overloaded now" in error["message"]
    assert text_of(client, stream.events[:-1]) == "".join(texts[:after])
    assert record_of(gateway, stream.id)["end"] == "upstream_error"


@pytest.mark.parametrize("client,upstream", PAIRS, ids=PAIR_IDS)
def test_bar_18_the_error_event_gets_a_start_on_the_cut(gateway, up, client, upstream):
    """A web stream that breaks forgets what has not been read of it, and fetch() sees a break at once: Vercel's AI SDK, which pipes its
    streams, was left without the error and without the text before it."""
    body = canned.stream(upstream, ["one", "two"])
    at = next(b for b in canned.event_starts(body) if b"one" in body[:b])
    script = up.reply("POST", canned.PATHS[upstream], body=body[:at] + error_event(upstream), holds=(at,))
    stream = open_stream(gateway, client, MODELS[upstream])
    said = time.monotonic()
    script.release()
    check_failed(client, stream)
    assert stream.client.t_closed_by_peer - said > 0.09


@pytest.mark.parametrize("after", [0, 2], ids=["first-frame", "later"])
@pytest.mark.parametrize("upstream", DIALECTS)
def test_bar_18_openai_sdk_raises_typed_errors(gateway, up, openai_client, upstream, after):
    import openai
    body = canned.stream(upstream, ["one", "two"])
    starts = canned.event_starts(body)
    at = 0 if not after else next(b for a, b in zip(starts, starts[1:]) if b'two' in body[a:b])
    up.reply("POST", canned.PATHS[upstream], body=body[:at] + error_event(upstream))
    client = openai_client(gateway)
    got = []
    with pytest.raises(openai.APIError) as raised:
        for chunk in client.chat.completions.create(model=MODELS[upstream], stream=True,
                                                    messages=[{"role": "user", "content": "x"}]):
            got += [c.delta.content for c in chunk.choices if c.delta.content]
    assert "Overloaded now" in str(raised.value)
    assert got == (["one", "two"] if after else [])
    if not after:
        assert isinstance(raised.value, openai.InternalServerError)


@pytest.mark.parametrize("after", [0, 2], ids=["first-frame", "later"])
@pytest.mark.parametrize("upstream", DIALECTS)
def test_bar_18_anthropic_sdk_raises_typed_errors(gateway, up, anthropic_client, upstream, after):
    import anthropic
    body = canned.stream(upstream, ["one", "two"])
    starts = canned.event_starts(body)
    at = 0 if not after else next(b for a, b in zip(starts, starts[1:]) if b'two' in body[a:b])
    up.reply("POST", canned.PATHS[upstream], body=body[:at] + error_event(upstream))
    client = anthropic_client(gateway)
    got = []
    with pytest.raises(anthropic.APIStatusError) as raised:
        with client.messages.stream(model=MODELS[upstream], max_tokens=10,
                                    messages=[{"role": "user", "content": "x"}]) as stream:
            for text in stream.text_stream:
                got.append(text)
    assert "Overloaded now" in str(raised.value)
    assert got == (["one", "two"] if after else [])


@pytest.mark.parametrize("client,upstream", PAIRS, ids=PAIR_IDS)
@pytest.mark.parametrize("content_type", ["text/plain", "application/octet-stream", ""])
def test_bar_18_a_stream_under_the_wrong_content_type_is_recognised(gateway, up, client, upstream, content_type):
    up.reply("POST", canned.PATHS[upstream], body=canned.stream(upstream), content_type=content_type, framing="chunked")
    stream = open_stream(gateway, client, MODELS[upstream])
    check_whole(client, stream, "Hello.")
    assert stream.headers.get("content-type").startswith("text/event-stream")


@pytest.mark.parametrize("client,upstream", PAIRS, ids=PAIR_IDS)
def test_bar_18_a_whole_answer_to_a_streamed_request_is_streamed(gateway, up, client, upstream):
    """Some servers ignore `stream`: the client asked for events and gets them."""
    up.reply("POST", canned.PATHS[upstream], body=canned.answer(upstream, "all at once"))
    stream = open_stream(gateway, client, MODELS[upstream])
    assert stream.headers.get("content-type", "").startswith("text/event-stream"), bytes(stream.rest() and stream.body)
    check_whole(client, stream, "all at once")


@pytest.mark.parametrize("client,upstream", PAIRS, ids=PAIR_IDS)
@pytest.mark.parametrize("case", ["empty", "html", "error-json", "wrong-json", "array", "cut-json", "stream"])
def test_bar_18_whole_answers_that_are_none_are_errors(gateway, up, client, upstream, case):
    fields = {"empty": {"body": b""}, "html": {"body": b"<html>x</html>", "content_type": "text/html"},
              "error-json": {"body": canned.error(upstream, "Overloaded now")}, "wrong-json": {"body": b'{"ok":true}'},
              "array": {"body": b"[]"}, "cut-json": {"body": canned.answer(upstream)[:-5]},
              "stream": {"body": canned.sse("[DONE]"), "content_type": "text/event-stream"}}[case]
    up.reply("POST", canned.PATHS[upstream], **fields)
    response = ask(gateway, client, MODELS[upstream])
    assert response.status >= 500, response.body[:200]
    error = check_error(client, response, response.status)
    if case == "error-json":
        assert "Overloaded now" in error["message"]


@pytest.mark.parametrize("client,upstream", PAIRS, ids=PAIR_IDS)
def test_bar_18_what_comes_after_the_answers_end_is_left_out(gateway, up, client, upstream):
    body = canned.stream(upstream) + canned.stream(upstream, ["again"]) + b"data: {}\n\n"
    up.reply("POST", canned.PATHS[upstream], body=body)
    stream = open_stream(gateway, client, MODELS[upstream])
    check_whole(client, stream, "Hello.")


def test_bar_18_error_event_with_the_sdks_own_request_id(gateway, up):
    """The terminal error names the exchange, for whoever reports it."""
    up.reply("POST", "/v1/messages", body=canned.stream(ANTHROPIC, ["x"]) [:-60], fault="fin")
    with gateway.connect() as client:
        id = send(client, ANTHROPIC, MODELS[ANTHROPIC], stream=True, id=new_id())
        stream = client.open_stream()
        check_failed(ANTHROPIC, stream)
        assert json.loads(stream.events[-1].data)["request_id"] == id
