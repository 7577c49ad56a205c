"""Bars 13, 25 and 26: many streams at once without mixing, text that is cut anywhere, and very long lines."""

import itertools
import json
import threading
import time

import pytest

from lib import canned
from lib.sseclient import Client
from lib.stand import (ANTHROPIC, DIALECTS, MODELS, OPENAI, PAIR_IDS, PAIRS, check_error, check_failed, check_whole, config,
                       open_stream, send, text_of)


@pytest.fixture(scope="module")
def up(module_faultd):
    return module_faultd()


@pytest.fixture(scope="module")
def gateway(start_module_gateway, up):
    return start_module_gateway(config(up))


# ---- bar 13 ----------------------------------------------------------------------------------------------------------------


def _crowd(gateway, up, pair, n, events, gap):
    """n concurrent streams, each with a nonce in every event. Returns the added latencies in seconds."""
    client, upstream = pair
    scripts = {}
    for i in range(n):
        nonce = f"n{i:04d}n"
        body = canned.stream(upstream, [f"{nonce}:{k};" for k in range(events)])
        starts = canned.event_starts(body)
        scripts[nonce] = up.reply("POST", canned.PATHS[upstream], body=body, split=starts, gap=gap,
                                  when=lambda r, nonce=nonce.encode(): nonce in r.body)
    failures, threads = [], []

    def one(nonce):
        try:
            with Client(gateway.address, timeout=60) as c:
                send(c, client, MODELS[upstream], stream=True, text=nonce)
                stream = c.open_stream()
                check_whole(client, stream, "".join(f"{nonce}:{k};" for k in range(events)))
        except BaseException as e:      # of any kind: it is told in the test's thread
            failures.append(f"{nonce}: {type(e).__name__}: {str(e)[:300]}")

    for nonce in scripts:
        threads.append(threading.Thread(target=one, args=(nonce,), daemon=True))
    for t in threads:
        t.start()
    for t in threads:
        t.join(90)
    assert not any(t.is_alive() for t in threads), "streams that never ended"
    assert failures == [], failures[:3]
    assert all(len(s.hits) == 1 for s in scripts.values())


@pytest.mark.parametrize("pair", PAIRS, ids=PAIR_IDS)
def test_bar_13_sixty_streams_of_30_events_do_not_mix(gateway, up, pair):
    _crowd(gateway, up, pair, 60, 30, 0.001)


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.parametrize("pair", PAIRS, ids=PAIR_IDS)
def test_bar_13_five_hundred_streams_of_200_events(gateway, up, pair):
    _crowd(gateway, up, pair, 500, 200, 0.02)


@pytest.mark.parametrize("client,upstream", PAIRS, ids=PAIR_IDS)
def test_bar_13_each_event_leaves_when_it_comes(gateway, up, client, upstream):
    """No event waits for the next one: with the upstream held after each text, the client has that text."""
    texts = ["one ", "two ", "three "]
    body = canned.stream(upstream, texts)
    starts = canned.event_starts(body)
    after = [next(b for a, b in zip(starts, starts[1:]) if t.encode() in body[a:b]) for t in texts]
    script = up.reply("POST", canned.PATHS[upstream], body=body, holds=after)
    stream = open_stream(gateway, client, MODELS[upstream])
    hit = script.wait_for_request()
    for i, text in enumerate(texts):
        hit.wait_held(n=i + 1)
        while text_of(client, stream.events) != "".join(texts[:i + 1]):
            assert stream.take(1), "the stream ended early"
        hit.release(1)
    check_whole(client, stream, "".join(texts))


def _responses_text(events):
    bodies = [json.loads(e.data) for e in events if e.data != "[DONE]"]
    return "".join(b["delta"] for b in bodies if b["type"] == "response.output_text.delta")


@pytest.mark.parametrize("client,upstream", [*PAIRS, ("openai-responses", ANTHROPIC)], ids=[*PAIR_IDS, "responses-client"])
def test_trap_031_an_event_goes_out_in_one_piece_and_at_once(gateway, up, client, upstream):
    """Naive readers lose an event that comes in two: with the upstream held inside each event, all that came before is there,
    and no chunk ends inside an event."""
    texts = ["one ", "two ", "three ", "four"]
    body = canned.stream(upstream, texts)
    inside = [body.index(f'"{text}"'.encode()) + 2 for text in texts]
    script = up.reply("POST", canned.PATHS[upstream], body=body, holds=inside)
    said = _responses_text if client == "openai-responses" else lambda events: text_of(client, events)
    with gateway.connect() as c:
        if client == "openai-responses":
            c.request("POST", "/v1/responses", json_body={"model": MODELS[upstream], "input": "Hi", "stream": True, "store": False})
        else:
            send(c, client, MODELS[upstream], stream=True)
        hit = script.wait_for_request()
        hit.wait_held()
        hit.release(1)              # what is held before the first text is not shown: it may still go elsewhere
        stream = c.open_stream()
        for i in range(1, len(texts)):
            hit.wait_held(n=i + 1)
            while said(stream.events) != "".join(texts[:i]):
                assert stream.take(1), "the stream ended early"
            hit.release(1)
        stream.rest()
    assert stream.end == "complete" and said(stream.events) == "".join(texts)
    borders = list(itertools.accumulate(s for s in stream.response.chunk_sizes if s))
    assert len(borders) >= len(texts) and borders[-1] == len(stream.body)
    for border in borders:
        assert bytes(stream.body[:border]).endswith(b"\n\n"), bytes(stream.body[max(0, border - 80):border])


# ---- bar 25 ----------------------------------------------------------------------------------------------------------------

TEXTS = ["Grüße ", "привет ", "你好，", "नमस्ते ", "🌍👩‍👩‍👧", " end."]


def in_style(body, style):
    """The same events in another spelling that WHATWG's grammar allows."""
    if style == "crlf":
        return body.replace(b"\n", b"\r\n")
    if style == "cr":
        return body.replace(b"\n", b"\r")
    if style == "bom":
        return b"\xef\xbb\xbf" + body
    if style == "comments":
        return b": hi\n" + body.replace(b"\n\n", b"\n\n: between\n\n").replace(b"data: ", b": before\ndata: ")
    if style == "no-blank":
        return body.replace(b"data: ", b"data:").replace(b"event: ", b"event:")
    if style == "other-fields":
        return body.replace(b"data: ", b"id: 7\nretry: 100\nunknown: x\ndata: ")
    if style == "multi-line":
        return body.replace(b'data: {"', b'data: {\ndata: "')
    if style == "empty-data":
        return body.replace(b"\n\n", b"\n\ndata\n\ndata:\n\n")
    return body


STYLES = ["lf", "crlf", "cr", "bom", "comments", "no-blank", "other-fields", "multi-line", "empty-data"]


def _answer_with(gateway, up, client, upstream, body, **fields):
    script = up.reply("POST", canned.PATHS[upstream], body=body, content_type="text/event-stream", **fields)
    with gateway.connect() as c:
        stream = open_stream(gateway, client, MODELS[upstream], c)
        stream.rest()
        assert stream.status == 200 and stream.end == "complete" and not stream.torn, bytes(stream.body)[-300:]
    up.scripts.remove(script)
    return stream


@pytest.mark.parametrize("client,upstream", PAIRS, ids=PAIR_IDS)
@pytest.mark.parametrize("style", STYLES)
def test_bar_25_every_spelling_of_a_stream_says_the_same(gateway, up, client, upstream, style):
    body = in_style(canned.stream(upstream, TEXTS), style)
    stream = _answer_with(gateway, up, client, upstream, body)
    events = [e for e in stream.events if e.data]
    assert text_of(client, events) == "".join(TEXTS)
    again = _answer_with(gateway, up, client, upstream, body, split=("random", 25, 5))
    assert [e.data for e in again.events if e.data and '"id"' not in e.data] == \
           [e.data for e in events if '"id"' not in e.data]
    if client == upstream and style != "bom":
        assert bytes(stream.body) == bytes(again.body)


@pytest.mark.parametrize("client,upstream", PAIRS, ids=PAIR_IDS)
def test_bar_25_every_split_point_of_four_scripts_and_emoji(gateway, up, client, upstream):
    """Two pieces, cut at every byte of the text events; byte by byte over all. Never a U+FFFD, never another text."""
    body = canned.stream(upstream, TEXTS)
    first, last = body.index(TEXTS[0].encode()), body.index(TEXTS[-1].encode())
    texts = [i for i in range(first, last) if body[i] >= 0x80]
    for cut in sorted(texts + list(range(0, len(body), 41))):
        stream = _answer_with(gateway, up, client, upstream, body, split=[cut], settle=True)
        assert text_of(client, stream.events) == "".join(TEXTS), cut
        assert b"\xef\xbf\xbd" not in stream.body and "\\ufffd" not in bytes(stream.body).decode().lower()
    stream = _answer_with(gateway, up, client, upstream, body, split="byte")
    assert text_of(client, stream.events) == "".join(TEXTS)


@pytest.mark.parametrize("upstream", DIALECTS)
def test_bar_25_relay_is_byte_identical_for_every_wire_split(gateway, up, upstream):
    body = canned.stream(upstream, TEXTS)
    wanted = bytes(_answer_with(gateway, up, upstream, upstream, body).body)
    for seed in range(20):
        got = _answer_with(gateway, up, upstream, upstream, body, wire_split=("random", seed, 30))
        assert bytes(got.body) == wanted


@pytest.mark.parametrize("client,upstream", PAIRS, ids=PAIR_IDS)
def test_bar_25_escaped_and_raw_text_arrive_alike(gateway, up, client, upstream):
    """Surrogate pairs written as \\u escapes, cut between the two halves too."""
    plain = canned.stream(upstream, ["a🌍b"])
    escaped = plain.replace("🌍".encode(), b"\\ud83c\\udf0d")
    at = escaped.index(b"\\ud83c")
    for cut in range(at, at + 13):
        stream = _answer_with(gateway, up, client, upstream, escaped, split=[cut], settle=True)
        assert text_of(client, stream.events) == "a🌍b"


# ---- bar 26 ----------------------------------------------------------------------------------------------------------------

LINE = 16 << 20


@pytest.fixture(scope="module")
def wide(start_module_gateway, up):
    """A gateway whose longest event is exactly 16 MiB."""
    return start_module_gateway(config(up, server={"max_event": LINE, "max_response": LINE}))


def long_event_stream(upstream, size):
    """A stream whose text event is exactly `size` bytes, its blank line not counted."""
    probe = canned.stream(upstream, ["@"])
    starts = canned.event_starts(probe)
    empty = next(b - a for a, b in zip(starts, starts[1:]) if b"@" in probe[a:b]) - 2
    return canned.stream(upstream, ["x" * (size - empty)]), size - empty


@pytest.mark.parametrize("client,upstream", PAIRS, ids=PAIR_IDS)
def test_bar_26_an_event_of_16_mib_passes(wide, up, client, upstream):
    body, n = long_event_stream(upstream, LINE)
    up.reply("POST", canned.PATHS[upstream], body=body)
    t = time.monotonic()
    check_whole(client, open_stream(wide, client, MODELS[upstream], wide.connect(timeout=30)), "x" * n)
    assert time.monotonic() - t < 15


@pytest.mark.parametrize("client,upstream", PAIRS, ids=PAIR_IDS)
@pytest.mark.parametrize("first", ["", "before"], ids=["alone", "after-a-text"])
def test_bar_26_one_byte_more_is_a_clean_error(wide, up, client, upstream, first):
    body, n = long_event_stream(upstream, LINE + 1)
    if first:
        small = canned.stream(upstream, [first])
        starts = canned.event_starts(small)
        at = next(b for a, b in zip(starts, starts[1:]) if first.encode() in small[a:b])
        long_at = body.index(b"x" * 1000)
        begin = body.rindex(b"\n\n", 0, long_at) + 2
        body = small[:at] + body[begin:]
    up.reply("POST", canned.PATHS[upstream], body=body)
    stream = open_stream(wide, client, MODELS[upstream], wide.connect(timeout=30))
    if first:
        error = check_failed(client, stream)
        assert text_of(client, stream.events[:-1]) == first
    else:
        stream.rest()
        stream.response.body = bytes(stream.body)
        error = check_error(client, stream.response, 502)
    assert "max_event" in error["message"]


def _in_bytes(gateway, up, upstream, n):
    """CPU seconds of a stream whose one line of n bytes comes byte by byte."""
    body = canned.stream(upstream, ["x" * n])
    at = body.index(b"x" * 1000)
    up.reply("POST", canned.PATHS[upstream], body=body, split=list(range(at, at + n)), times=1)
    before = gateway.cpu_seconds()
    check_whole(upstream, open_stream(gateway, upstream, MODELS[upstream], gateway.connect(timeout=60)), "x" * n)
    return gateway.cpu_seconds() - before


def test_bar_26_a_long_line_in_single_bytes_costs_linear_time(wide, up):
    small, large = _in_bytes(wide, up, OPENAI, 8192), _in_bytes(wide, up, OPENAI, 32768)
    assert large <= 8 * small + 0.5


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_bar_26_a_line_of_1_mib_in_single_bytes(wide, up):
    for upstream in DIALECTS:
        small, large = _in_bytes(wide, up, upstream, 1 << 18), _in_bytes(wide, up, upstream, 1 << 20)
        assert large <= 6 * small + 0.5


@pytest.mark.parametrize("client,upstream", PAIRS, ids=PAIR_IDS)
def test_bar_26_a_whole_answer_too_large_is_a_clean_error(wide, up, client, upstream):
    up.reply("POST", canned.PATHS[upstream], body=canned.answer(upstream, "x" * LINE), times=1)
    with wide.connect(timeout=30) as c:
        send(c, client, MODELS[upstream])
        error = check_error(client, c.read_response("POST"), 502)
    assert "max_response" in error["message"]
    up.reply("POST", canned.PATHS[upstream], body=canned.answer(upstream, "x" * (LINE - 4096)))
    with wide.connect(timeout=30) as c:
        send(c, client, MODELS[upstream])
        assert c.read_response("POST").status == 200


def test_bar_25_tool_arguments_in_other_scripts_survive_every_split(gateway, up):
    arguments = '{"город":"Москва","emoji":"👩‍👩‍👧"}'
    parts = [arguments[:9], arguments[9:20], arguments[20:]]
    chunk = canned.openai_chunk
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "погода", "arguments": ""}}
    body = b"".join([chunk({"role": "assistant", "content": None, "tool_calls": [call]}),
                     *[chunk({"tool_calls": [{"index": 0, "function": {"arguments": p}}]}) for p in parts],
                     chunk({}, "tool_calls"), chunk(usage=canned.openai_usage(), choices=[]), b"data: [DONE]\n\n"])
    wide = [i for i in range(len(body)) if body[i] >= 0x80]
    for cut in wide[::3]:
        stream = _answer_with(gateway, up, ANTHROPIC, OPENAI, body, split=[cut], settle=True)
        got = "".join(d["delta"].get("partial_json", "") for _, d in stream.json_events()
                      if d["type"] == "content_block_delta")
        assert got == arguments
