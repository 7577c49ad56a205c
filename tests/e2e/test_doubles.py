"""Tests of the test doubles: each fails when the double no longer does what the other tests trust it to do."""

import json
import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from lib import canned, recordings
from lib.faultd import BlackHole, Script
from lib.gateway import Gateway, GatewayFailed, PortHold, to_yaml
from lib.sseclient import (Client, FramingError, anthropic_problems, anthropic_text, openai_chat_problems,
                           openai_chat_text)
from lib.wire import Chunked, SseParser


@pytest.fixture
def up(faultd):
    return faultd()


@pytest.fixture
def dial(stage):
    """dial(upstream, **kw): a client connected to it, closed after the test."""
    def make(upstream, **kw):
        client = Client(upstream.address, **kw)
        stage.closing.append(client)
        return client
    return make


def chat(client, **kw):
    return client.request("POST", "/v1/chat/completions", json_body={"model": "m", "messages": []}, **kw)


# ---- faultd: what it sends -----------------------------------------------------------------------------------------


def test_faultd_answers_with_the_exact_bytes_of_the_script(up, dial):
    script = up.reply("POST", "/v1/chat/completions", status=429, reason="Slow Down",
                      headers=(("Retry-After", "7"),), body=b'{"a":1}')
    client = dial(up)
    sent = chat(client, headers=[("X-Odd", "a  b")])
    response = client.read_response("POST")
    assert response.raw_head == (b"HTTP/1.1 429 Slow Down\r\nRetry-After: 7\r\ncontent-type: application/json\r\n"
                                 b"content-length: 7\r\n\r\n")
    assert (response.body, response.end) == (b'{"a":1}', "complete")
    hit = script.wait_for_request()
    assert hit.request.raw == sent
    assert hit.request.headers.get("x-odd") == "a  b"
    assert hit.request.json() == {"model": "m", "messages": []}
    assert hit.wait_done() == "complete"
    assert up.problems == []


def test_faultd_takes_the_first_script_that_matches_and_counts_times(up, dial):
    up.reply("POST", "/a", status=201, times=1)
    up.reply("POST", "/a", status=202, when=lambda r: b"x" in r.body)
    up.reply("POST", "/a", status=203)
    client = dial(up)
    got = []
    for body in (b"x", b"x", b"y"):
        client.request("POST", "/a?q=1", body=body)
        got.append(client.read_response().status)
    assert got == [201, 202, 203]
    assert len(up.conns) == 1 and len(up.conns[0].requests) == 3


def test_faultd_tells_of_a_request_no_script_wanted(up, dial, stage):
    stage.allow_unmatched = True
    client = dial(up)
    client.request("GET", "/nothing")
    assert client.read_response().status == 500
    assert [r.target for r in up.unmatched] == ["/nothing"]


@pytest.mark.parametrize("framing,end", [("length", "complete"), ("chunked", "complete"), ("close", "close")])
def test_faultd_frames_a_body_in_each_way(up, dial, framing, end):
    body = canned.openai_stream(["é", "漢", "🎉"])
    up.reply(body=body, framing=framing, split=7)
    client = dial(up)
    client.request("GET", "/")
    response = client.read_response()
    assert (response.body, response.end) == (body, end)
    if framing == "chunked":
        assert response.chunk_sizes == [7] * (len(body) // 7) + ([len(body) % 7] if len(body) % 7 else []) + [0]


@pytest.mark.parametrize("split", ["byte", 3, [1, 5, 6], ("random", 42, 9)])
def test_faultd_split_points_do_not_change_the_bytes(up, dial, split):
    body = canned.anthropic_stream()
    up.reply(body=body, split=split)
    up.reply("GET", "/unused")
    client = dial(up)
    client.request("GET", "/")
    response = client.read_response()
    assert response.body == body
    wanted = {"byte": len(body), 3: -(-len(body) // 3)}.get(split if not isinstance(split, (list, tuple)) else None)
    pieces = len(response.chunk_sizes) - 1
    assert pieces == wanted if wanted else pieces > 3


def test_faultd_settle_makes_the_peer_read_each_piece_alone(up, dial):
    body = b'{"text":"0123456789"}'
    up.reply(body=body, wire_split="byte", settle=True)
    client = dial(up)
    client.request("GET", "/")
    sizes = []
    while sum(sizes) < 60:
        sizes.append(len(client.sock.recv(65536)))
    assert set(sizes) == {1}


def test_faultd_settle_on_a_unix_socket(stage, dial, tmp_path):
    up = stage.faultd(unix=str(tmp_path / "up.sock"))
    up.reply(body=b"x" * 30, wire_split="byte", settle=True)
    client = dial(up)
    client.request("GET", "/")
    sizes = []
    while sum(sizes) < 60:
        sizes.append(len(client.sock.recv(65536)))
    assert set(sizes) == {1}


@pytest.mark.parametrize("at", [0, 1, 10, 40])
@pytest.mark.parametrize("fault,end", [("fin", "truncated"), ("rst", "reset"), ("half", "truncated")])
def test_faultd_fault_after_k_bytes_of_the_body(up, dial, fault, end, at):
    body = canned.openai_stream()
    script = up.reply(body=body, fault=fault, at=at, settle=True)
    client = dial(up)
    client.request("GET", "/")
    response = client.read_response()
    assert (response.body, response.end) == (body[:at], end)
    assert script.wait_for_request().wait_done() == "fault"


def test_faultd_half_close_still_reads(up, dial):
    up.reply(body=b"data: 1\n\n", fault="half", at=4)
    client = dial(up)
    client.request("GET", "/")
    assert client.read_response().end == "truncated"
    client.send(b"still here")
    up._wait(lambda: up.received.endswith(b"still here"), 5, "bytes after the half-close")
    assert up.conns[0].open
    client.close()
    up.conns[0].wait_peer_closed()


@pytest.mark.parametrize("wire_at", [0, 5, 50])
def test_faultd_fault_after_k_bytes_of_the_wire(up, dial, wire_at):
    up.reply(body=b"data: 1\n\n" * 10, fault="fin", wire_at=wire_at)
    client = dial(up)
    client.request("GET", "/")
    got = b""
    while piece := client.sock.recv(4096):
        got += piece
    assert len(got) == wire_at and b"HTTP/1.1 200 OK\r\n".startswith(got[:17])


def test_faultd_torn_chunk_claims_more_than_it_holds(up, dial):
    up.reply(body=b"data: 1\n\n" * 3, fault="fin", at=9, torn_chunk=True)
    client = dial(up)
    client.request("GET", "/")
    response = client.read_response()
    assert (response.end, response.chunk_sizes, response.body) == ("truncated", [25], b"data: 1\n\n")


def test_faultd_stall_keeps_the_connection_open_without_a_byte(up, dial):
    script = up.reply(body=b"data: 1\n\ndata: 2\n\n", fault="stall", at=9)
    client = dial(up, timeout=0.3)
    client.request("GET", "/")
    stream = client.open_stream()
    assert [e.data for e in stream] == ["1"]
    assert stream.end == "timeout"
    client.close()
    hit = script.wait_for_request()
    hit.wait_disconnect()
    assert hit.ended == "fault"


def test_faultd_holds_until_released_and_sees_the_disconnect(up, dial):
    body = canned.openai_stream(["a", "b", "c"])
    starts = canned.event_starts(body)
    script = up.reply(body=body, holds=(starts[1], starts[3]))
    client = dial(up)
    client.request("GET", "/")
    hit = script.wait_for_request()
    hit.wait_held(n=1)
    stream = client.open_stream()
    assert len(stream.take(1)) == 1
    hit.release(1)
    assert len(stream.take(2)) == 2
    hit.wait_held(n=2)
    assert not hit.ended
    before = time.monotonic()
    client.close()
    assert 0 <= hit.wait_disconnect(1) - before < 1
    assert hit.wait_done() == "peer-closed"


def test_faultd_hold_of_the_head_and_release_of_the_script(up, dial):
    script = up.reply(hold_head=True, body=b"{}")
    clients = [dial(up) for _ in range(3)]
    for client in clients:
        client.request("GET", "/")
    for _ in clients:
        script.wait_for_request().wait_held()
    assert all(hit.bytes_sent == 0 for hit in script.hits)
    script.release()
    assert [client.read_response().body for client in clients] == [b"{}"] * 3


def test_faultd_delays_and_drips(up, dial):
    up.reply("GET", "/delay", **canned.timed([b"data: 1\n\n", 0.2, b"data: 2\n\n"]))
    up.reply("GET", "/drip", body=b"x" * 100, content_type="text/plain", framing="close", rate=1000)
    client = dial(up)
    client.request("GET", "/delay")
    events = client.open_stream().rest()
    assert 0.19 < events[1].t_first - events[0].t_last < 2
    start = time.monotonic()
    client.request("GET", "/drip")
    assert len(client.read_response().body) == 100
    assert time.monotonic() - start > 0.09


def test_faultd_never_answers_but_sees_the_client_leave(up, dial):
    script = up.reply(answer="never")
    client = dial(up, timeout=0.2)
    chat(client)
    hit = script.wait_for_request()
    with pytest.raises(TimeoutError):
        client.read_response()
    client.close()
    hit.wait_disconnect(1)


def test_faultd_accepts_and_never_reads(up, dial):
    up.accepts.append("ignore")
    client = dial(up, timeout=0.3)
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    with pytest.raises(TimeoutError):
        client.send(b"x" * 50_000_000)
    assert bytes(up.conns[0].received) == b""
    # With unsent bytes in the client's queue its FIN cannot arrive; a short request's can.
    up.accepts.append("ignore")
    client = dial(up)
    client.send(b"GET / HTTP/1.1\r\n")
    client.close()
    up.wait_for_conns(2)
    up.conns[1].wait_peer_closed()
    assert bytes(up.conns[1].received) == b""


@pytest.mark.parametrize("how,end", [("fin", "eof"), ("rst", "reset")])
def test_faultd_closes_at_accept(up, dial, how, end):
    up.accepts.append(how)
    try:
        got = dial(up).wait_closed()
    except ConnectionResetError:
        got = "reset"       # so early that connect() itself reports it
    assert got == end and up.conns[0].closed_by == f"us-{how}"


def test_faultd_wrong_length_extra_bytes_interim_trailers_gzip_and_raw(up, dial):
    import gzip
    up.reply("GET", "/long", body=b"{}", length=10, keep_alive=False)
    up.reply("GET", "/extra", body=b"{}", extra=b"junk")
    up.reply("GET", "/interim", body=b"{}", interim=((103, (("Link", "x"),)),))
    up.reply("GET", "/trailers", body=b"{}", trailers=(("X-T", "1"),))
    up.reply("GET", "/gzip", body=b"{}" * 50, gzip=True)
    up.reply("GET", "/raw", raw=b"HTTP/1.0 200 OK\r\nContent-Length: +2\r\n\r\n{}", after="fin")

    def get(target):
        client = dial(up)
        client.request("GET", target)
        return client, client.read_response()
    assert get("/long")[1].end == "truncated"
    client, _ = get("/extra")
    with pytest.raises(FramingError, match="after the answer"):
        client.wait_closed()
    assert [r.status for r in get("/interim")[1].interim] == [103]
    assert get("/trailers")[1].trailers.get("x-t") == "1"
    zipped = get("/gzip")[1]
    assert zipped.headers.get("content-encoding") == "gzip" and gzip.decompress(zipped.body) == b"{}" * 50
    with pytest.raises(FramingError, match="Content-Length"):
        get("/raw")


# ---- faultd: connections ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how,end", [("fin", "eof"), ("rst", "reset")])
def test_faultd_closes_idle_connections_on_demand(up, dial, how, end):
    up.reply(body=b"{}")
    client = dial(up)
    client.request("GET", "/")
    assert client.read_response().complete
    up.wait_idle()
    assert up.close_idle(how) == 1
    assert client.wait_closed() == end
    assert up.conns[0].closed_by == f"us-{how}"


@pytest.mark.parametrize("after,whole", [("fin_on_next", False), ("rst_on_next", False),
                                         ("fin_after_next", True), ("rst_after_next", True)])
def test_faultd_closes_when_the_connection_is_reused(up, dial, after, whole):
    up.reply(body=b"{}", after=after)
    client = dial(up)
    client.request("GET", "/")
    assert client.read_response().complete
    chat(client)
    assert client.wait_closed() == ("eof" if after.startswith("fin") else "reset")
    assert len(up.conns[0].unanswered) == int(whole)


@pytest.mark.parametrize("after,end", [("fin", "eof"), ("rst", "reset")])
def test_faultd_closes_after_the_answer(up, dial, after, end):
    up.reply(body=b"{}", after=after)
    client = dial(up)
    client.request("GET", "/")
    assert client.read_response().complete
    assert client.wait_closed() == end


def test_faultd_refuses_and_listens_again(up, dial):
    up.reply(body=b"{}")
    up.refuse()
    with pytest.raises(ConnectionRefusedError):
        dial(up)
    up.listen_again()
    client = dial(up)
    client.request("GET", "/")
    assert client.read_response().complete


def test_faultd_logs_the_bytes_and_their_times(up, dial):
    script = up.reply(body=b"{}")
    client = dial(up)
    data = client.request_bytes("POST", "/", json_body={"k": "v"})
    before = time.monotonic()
    client.send(data[:30])
    up._wait(lambda: up.received == data[:30], 5, "the first part")
    client.send(data[30:])
    assert client.read_response().complete
    assert script.wait_for_request().wait_done() == "complete"
    conn = up.conns[0]
    assert bytes(conn.received) == data
    assert [n for _, n in conn.arrivals] == [30, len(data)]
    assert before <= conn.arrivals[0][0] <= conn.arrivals[1][0] <= script.hits[0].t_done


def test_faultd_reads_chunked_requests_and_answers_100_continue(up, dial):
    script = up.reply(body=b"{}")
    client = dial(up)
    data = client.request_bytes("POST", "/", [("Expect", "100-continue")], b"hello world", chunked=4,
                                trailers=[("X-T", "1")])
    client.send(data, step=1)
    response = client.read_response()
    assert [r.status for r in response.interim] == [100] and response.status == 200
    request = script.wait_for_request().request
    assert (request.body, request.raw, request.trailers.get("x-t")) == (b"hello world", data, "1")


def test_faultd_early_answer_comes_before_the_body(up, dial):
    script = up.reply(early=True, status=413, body=b"{}")
    client = dial(up)
    data = client.request_bytes("POST", "/", body=b"x" * 1000)
    client.send(data[:-1000])
    assert client.read_response().status == 413
    client.send(data[-1000:])
    script._open = True
    client.request("GET", "/again")
    assert client.read_response().status == 413
    assert len(script.hits) == 2


@pytest.mark.parametrize("head", [
    b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nX: y\nZ: w\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n"])
def test_faultd_notices_malformed_requests(up, dial, stage, head):
    stage.allow_problems = stage.allow_unmatched = True
    client = dial(up)
    client.send(head)
    up.wait_for_requests(1)
    assert up.problems


def test_faultd_shows_progress_under_back_pressure(stage, dial):
    up = stage.faultd(sndbuf=16384)
    script = up.reply(body=b"x" * 8_000_000, content_type="text/plain")
    client = dial(up, rcvbuf=16384)
    client.request("GET", "/")
    hit = script.wait_for_request()
    hit.wait_sent(1)
    response = client.read_head()
    stuck = hit.bytes_sent
    assert stuck < 4_000_000 and not hit.ended
    n = sum(len(p) for p, _ in client._body(response, "GET"))
    assert n == 8_000_000
    assert hit.wait_done() == "complete" and hit.bytes_sent > 8_000_000


def test_faultd_speaks_tls_and_reports_a_refused_certificate(stage, certs, other_certs, dial):
    up = stage.faultd(tls=certs.server_context())
    body = canned.openai_stream()
    up.reply(body=body, split="byte")
    client = dial(up, tls=certs.client_context())
    client.request("GET", "/")
    assert client.read_response().body == body
    with pytest.raises(ssl.SSLCertVerificationError):
        dial(up, tls=other_certs.client_context())
    up._wait(lambda: any(c.tls_error for c in up.conns), 5, "the alert")


@pytest.mark.parametrize("kw", [{"names": ("other.example",)}, {"expired": True}])
def test_certs_that_a_careful_client_refuses(stage, certs, dial, kw):
    up = stage.faultd(tls=certs.server_context(**kw))
    with pytest.raises(ssl.SSLCertVerificationError):
        dial(up, tls=certs.client_context())


def test_faultd_over_tls_cuts_without_close_notify(stage, certs, dial):
    up = stage.faultd(tls=certs.server_context())
    up.reply("GET", "/cut", body=b"data: 1\n\n" * 5, fault="fin", at=20)
    up.reply("GET", "/close", body=b"data: 1\n\n" * 5, framing="close")
    client = dial(up, tls=certs.client_context())
    client.request("GET", "/cut")
    assert client.read_response().end in ("truncated", "reset")
    client = dial(up, tls=certs.client_context())
    client.request("GET", "/close")
    assert client.read_response().end == "close"


def test_black_hole_never_completes_a_handshake():
    with BlackHole() as hole:
        with pytest.raises(TimeoutError):
            socket.create_connection(("127.0.0.1", hole.port), timeout=0.3)


def test_faultd_waits_time_out_with_a_reason(up):
    script = up.reply("GET", "/never")
    with pytest.raises(TimeoutError, match="request 1 for /never"):
        script.wait_for_request(0.05)


# ---- sseclient -------------------------------------------------------------------------------------------------------


def events_of(data, cuts=()):
    parser, out = SseParser(), []
    edges = [0, *sorted(cuts), len(data)]
    for i, (a, b) in enumerate(zip(edges, edges[1:])):
        out += parser.feed(data[a:b], float(i))
    return parser, [(e.event, e.data, e.id) for e in out]


HARD_SSE = ("\ufeff: hello\ndata: one\n\nevent: x\r\ndata: zwei\r\ndata:drei\r\n\r\ndata\n\n"
            "id: 7\rdata: 漢字 🎉\r\rdata:  two spaces\nunknown: y\n\n: end\n\n").encode()
HARD_EVENTS = [("message", "one", None), ("x", "zwei\ndrei", None), ("message", "", None),
               ("message", "漢字 🎉", "7"), ("message", " two spaces", None)]


def test_sse_events_are_independent_of_every_split_point():
    assert events_of(HARD_SSE)[1] == HARD_EVENTS
    for cut in range(1, len(HARD_SSE)):
        parser, events = events_of(HARD_SSE, [cut])
        assert events == HARD_EVENTS, cut
        assert not parser.torn
        assert [c for _, c in parser.comments] == [" hello", " end"]
    assert events_of(HARD_SSE, range(1, len(HARD_SSE)))[1] == HARD_EVENTS


def test_sse_random_splits_of_a_long_stream():
    rng = random.Random(5)
    data = canned.anthropic_stream(["ü" * rng.randint(1, 9) for _ in range(50)])
    whole = events_of(data)[1]
    for _ in range(50):
        assert events_of(data, rng.sample(range(1, len(data)), 40))[1] == whole


@pytest.mark.parametrize("cut", [1, 5, 8])
def test_sse_tells_a_torn_event(cut):
    parser, events = events_of(b"data: 1\n\ndata: 2\n\n"[: 9 + cut])
    assert len(events) == 1 and parser.torn


def test_sse_refuses_invalid_utf8():
    with pytest.raises(FramingError, match="UTF-8"):
        events_of(b"data: \xf0\x9f\x8e\n\n")


def test_sse_giant_line_is_linear():
    data = b"data: " + b"x" * 4_000_000 + b"\n\n"
    start = time.process_time()
    parser, out = SseParser(), []
    for at in range(0, len(data), 1000):
        out += parser.feed(data[at: at + 1000], 0.0)
    assert len(out[0].data) == 4_000_000 and time.process_time() - start < 2


def test_chunked_decoder_at_every_split_point():
    raw = b"4\r\nWiki\r\nA;x=1\r\n0123456789\r\n0\r\nT: v\r\n\r\nNEXT"
    for cut in range(len(raw)):
        decoder = Chunked()
        body = decoder.feed(raw[:cut]) + decoder.feed(raw[cut:])
        assert (body, decoder.done, decoder.trailers.get("t")) == (b"Wiki0123456789", True, "v")
        assert decoder.rest.endswith(b"NEXT"[-len(decoder.rest):])


@pytest.mark.parametrize("raw", [b"0x4\r\n", b"+4\r\n", b" 4\r\n", b"4\nWiki", b"4\r\nWikiX\r\n", b"\r\n", b"g\r\n",
                                 b"123456789\r\n", b"4\r\nWiki\n0\r\n\r\n"])
def test_chunked_decoder_refuses(raw):
    with pytest.raises(FramingError):
        Chunked().feed(raw)


@pytest.mark.parametrize("raw,match", [
    (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}", "Content-Length"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "both"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "Transfer-Encoding"),
    (b"HTTP/1.1 2000 OK\r\n\r\n", "status line"), (b"HTTP/1.1 200 OK\r\nA: b\nC: d\r\n\r\n", "bare"),
    (b"HTTP/1.1 200 OK\r\nBad Name: x\r\n\r\n", "header line"), (b"HTTP/1.1 204 X\r\nTransfer-Encoding: chunked\r\n\r\n",
                                                                 "204")])
def test_client_refuses_malformed_answers(up, dial, raw, match):
    up.reply(raw=raw, after="fin")
    client = dial(up)
    client.request("GET", "/")
    with pytest.raises(FramingError, match=match):
        client.read_response()


def test_client_stamps_events_in_order_and_flags_torn_streams(up, dial):
    body = canned.openai_stream(["a", "b"])
    up.reply("GET", "/good", body=body, delays={canned.event_starts(body)[2]: 0.1})
    up.reply("GET", "/torn", body=body, fault="fin", at=canned.event_starts(body)[2] + 9)
    client = dial(up)
    client.request("GET", "/good")
    stream = client.open_stream()
    events = stream.rest()
    assert bytes(stream.body) == body and b"".join(e.raw for e in events) == body
    assert (stream.end, stream.torn, openai_chat_text(events)) == ("complete", False, "ab")
    assert events[2].t_first - events[1].t_last > 0.09
    client.request("GET", "/torn")
    stream = client.open_stream()
    stream.rest()
    assert (stream.end, stream.torn, len(stream.events)) == ("truncated", True, 2)


def test_client_pipelines_half_closes_and_resets(up, dial):
    script = up.reply(body=b"{}")
    client = dial(up)
    data = client.request_bytes("GET", "/1") + client.request_bytes("GET", "/2")
    client.send(data, step=3)
    client.half_close()
    assert client.read_response().complete and client.read_response().complete
    assert [h.request.target for h in script.hits] == ["/1", "/2"]
    client = dial(up)
    up.wait_for_conns(2)
    client.reset()
    up.conns[1].wait_peer_closed()
    assert up.conns[1].closed_by == "peer-rst"


def test_client_reads_slowly(up, dial):
    up.reply(body=b"x" * 4000, content_type="text/plain")
    client = dial(up)
    client.rate = 20_000
    start = time.monotonic()
    client.request("GET", "/")
    assert len(client.read_response().body) == 4000
    assert time.monotonic() - start > 0.15


# ---- the grammars ----------------------------------------------------------------------------------------------------


def parsed(data):
    parser = SseParser()
    return parser.feed(data, 0.0)


def test_grammars_accept_the_canned_streams():
    assert openai_chat_problems(parsed(canned.openai_stream())) == []
    assert anthropic_problems(parsed(canned.anthropic_stream())) == []
    assert anthropic_text(parsed(canned.anthropic_stream(["a", "b"]))) == "ab"
    failed = canned.openai_stream(done=False)[:-1] + b"\n" + canned.sse(canned.openai_error().decode())
    assert openai_chat_problems(parsed(failed), failed=True) == []


def test_openai_grammar_refuses_every_dropped_doubled_or_swapped_event_that_matters():
    events = parsed(canned.openai_stream(["a"], include_usage=False))   # role, a, finish, [DONE]
    role, a, finish, done = events
    for bad in ([a, finish, done], [role, a, done], [role, a, finish], [role, a, finish, done, done],
                [role, finish, a, done], [role, a, finish, finish, done]):
        assert openai_chat_problems(bad), bad
    assert openai_chat_problems(events, failed=True)


def test_anthropic_grammar_refuses_every_dropped_doubled_or_swapped_event():
    events = [e for e in parsed(canned.anthropic_stream(["a"])) if e.event != "ping"]
    assert anthropic_problems(events) == []
    for i, e in enumerate(events):
        if e.event != "content_block_delta":
            assert anthropic_problems(events[:i] + events[i + 1:]), f"without {e.event}"
            assert anthropic_problems(events[:i] + [e, e] + events[i + 1:]), f"twice {e.event}"
        if i:
            swapped = events[:i - 1] + [e, events[i - 1]] + events[i + 1:]
            assert anthropic_problems(swapped), f"{e.event} before {events[i - 1].event}"
    assert anthropic_problems(events, failed=True)
    cut = events[:3] + parsed(canned.sse({"type": "error", "error": {"type": "api_error", "message": "x"}}, "error"))
    assert anthropic_problems(cut, failed=True) == []
    assert anthropic_problems(cut)


# ---- recordings ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name,least", [("openai_chat", 255), ("openai_compat_chat", 305), ("anthropic_messages", 292)])
def test_recordings_are_served_as_recorded(need_recordings, up, dial, name, least):
    items = recordings.load(name)
    assert len(items) >= least
    client = dial(up)
    for item in items:
        up.clear()
        up.add(item.script(split=("random", 1, 400), method=item.method, path=item.target))
        client.request(item.method, item.target, body=b"{}")
        response = client.read_response(item.method)
        assert (response.status, response.body, response.end) == (item.status, item.body, "complete"), item.id


def test_recorded_anthropic_streams_obey_the_grammar_the_client_checks(need_recordings):
    streams = [r for r in recordings.load("anthropic_messages")
               if r.stream and r.status == 200 and b"message_stop" in r.body and b"event: error" not in r.body]
    assert len(streams) > 50
    bad = {r.id: p for r in streams if (p := anthropic_problems(parsed(r.body)))}
    assert not bad


# ---- the gateway fixture, held against a stand-in with faults ---------------------------------------------------------

STAND_IN = textwrap.dedent("""\
    #!%s
    import http.server, json, os, re, signal, socket, subprocess, sys, threading, urllib.request
    config = open(sys.argv[sys.argv.index("--config") + 1]).read()
    port = int(re.search(r'server:\\s+address: "127.0.0.1:(\\d+)"', config).group(1))
    fault = re.search(r'fault: "(.*?)"', config)
    fault = fault.group(1) if fault else ""
    if fault == "no-start":
        sys.exit("config says no")
    kept = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        def do_GET(self):
            if self.path == "/leak-file":
                kept.append(open("/dev/zero"))
            if self.path == "/leak-socket":
                kept.append(socket.create_connection(("127.0.0.1", int(self.headers["x-port"]))))
            if self.path == "/child":
                subprocess.Popen(["sleep", "60"])
            if self.path == "/complain":
                print("==1==ERROR: AddressSanitizer: heap-use-after-free", file=sys.stderr, flush=True)
            if self.path == "/env":
                body = json.dumps(dict(os.environ)).encode()
            else:
                body = b"{}"
            print(json.dumps({"event": "access", "status": 200, "path": self.path}), flush=True)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        def log_message(self, *a):
            pass

    class Server(http.server.ThreadingHTTPServer):
        allow_reuse_address = True
        daemon_threads = True
    server = Server(("127.0.0.1", port), Handler)
    def on_term(*a):
        if fault != "deaf":
            os._exit(3 if fault == "exit-3" else 0)
    signal.signal(signal.SIGTERM, on_term)
    ready = os.environ["NOTIFY_SOCKET"].replace("@", "\\0", 1)
    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"READY=1", ready)
    server.serve_forever()
    """)


@pytest.fixture
def stand_in(tmp_path):
    """stand_in(fault=""): a Gateway around a small Python server that misbehaves on demand."""
    path = tmp_path / "llm-gateway"
    path.write_text(STAND_IN % sys.executable)
    path.chmod(0o755)
    made = []

    def make(fault="", **kw):
        gateway = Gateway({"fault": fault} if fault else {}, tmp_path / f"g{len(made)}", binary=str(path), start=False,
                          **kw)
        made.append(gateway)
        return gateway.start()
    yield make
    for gateway in made:
        children = gateway.children() if gateway.running else []
        gateway.kill()
        gateway._release_ports()
        for child in children:
            os.kill(child, signal.SIGKILL)


def test_gateway_fixture_starts_talks_and_stops(stand_in):
    gateway = stand_in()
    response = gateway.request("GET", "/hello")
    assert (response.status, response.body) == (200, b"{}")
    assert gateway.wait_access(lambda r: r["path"] == "/hello")
    assert gateway.rss_kib() > 1000 and gateway.cpu_seconds() > 0
    gateway.check_quiet()
    gateway.stop()
    assert gateway.exit_code == 0


def test_gateway_fixture_lets_no_key_or_proxy_in(stand_in, monkeypatch):
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "https_proxy", "LLM_GATEWAY_CONFIG"):
        monkeypatch.setenv(name, "secret")
    gateway = stand_in(env={"GIVEN": "yes"})
    env = gateway.request("GET", "/env").json()
    assert "secret" not in env.values() and env["GIVEN"] == "yes" and env["HOME"].startswith(str(gateway.folder))
    gateway.stop()


def test_gateway_fixture_reports_a_failed_start(stand_in):
    with pytest.raises(GatewayFailed, match="config says no"):
        stand_in("no-start")


@pytest.mark.parametrize("path,match", [("/leak-file", "other descriptors"), ("/complain", "AddressSanitizer"),
                                        ("/child", "children")])
def test_gateway_fixture_notices_what_a_test_leaves_behind(stand_in, path, match):
    gateway = stand_in()
    gateway.request("GET", path)
    with pytest.raises(GatewayFailed, match=match):
        gateway.check_quiet(timeout=0.3)


def test_gateway_fixture_notices_leaked_upstream_connections_and_close_wait(stand_in, up):
    gateway = stand_in()
    gateway.request("GET", "/leak-socket", [("x-port", str(up.port))])
    up.wait_for_conns(1)
    with pytest.raises(GatewayFailed, match="1 TCP connections, 0 allowed"):
        gateway.check_quiet(timeout=0.3)
    gateway.check_quiet(timeout=1, allowed_connections=1)
    up.close_idle()
    with pytest.raises(GatewayFailed, match="CLOSE_WAIT"):
        gateway.check_quiet(timeout=0.3, allowed_connections=1)


@pytest.mark.parametrize("fault,match", [("exit-3", "exit 3"), ("deaf", "still running")])
def test_gateway_fixture_insists_on_a_clean_exit(stand_in, fault, match):
    gateway = stand_in(fault)
    with pytest.raises(GatewayFailed, match=match):
        gateway.stop(timeout=1)
    assert not gateway.running


def test_gateway_fixture_notices_a_crash(stand_in):
    gateway = stand_in()
    gateway.process.kill()
    gateway.process.wait(5)
    with pytest.raises(GatewayFailed, match="died with -9"):
        gateway.check_quiet()


def test_stage_reports_what_the_upstream_saw(tmp_path):
    from conftest import Stage
    stage = Stage(tmp_path)
    up = stage.faultd()
    with Client(up.address) as client:
        client.request("GET", "/unwanted")
        client.read_response()
    with pytest.raises(AssertionError, match="no script wanted"):
        stage.finish()


@pytest.mark.parametrize("options", [[socket.SO_REUSEADDR], [socket.SO_REUSEPORT],
                                     [socket.SO_REUSEADDR, socket.SO_REUSEPORT]])
def test_held_port_can_be_bound_by_the_gateway_alone(options):
    hold = PortHold()
    with socket.socket() as sock:
        for option in options:
            sock.setsockopt(socket.SOL_SOCKET, option, 1)
        sock.bind(("127.0.0.1", hold.port))
        sock.listen()
        socket.create_connection(("127.0.0.1", hold.port), timeout=2).close()
    hold.close()


def test_yaml_writer():
    text = to_yaml({"server": {"address": "127.0.0.1:1"}, "models": [{"name": "a", "targets": [{"p": 1}, "x"]}],
                    "none": {}, "flag": True})
    assert text == textwrap.dedent("""\
        server:
          address: "127.0.0.1:1"
        models:
          - name: "a"
            targets:
              - p: 1
              - "x"
        none: {}
        flag: true
        """)


def test_scripts_do_not_share_state():
    first, second = Script(), Script()
    first.delays[1] = 1.0
    first.hits.append(1)
    assert second.delays == {} and second.hits == []


def test_faultd_serves_many_connections_at_once(up, stage):
    body = canned.openai_stream([f"{i} " for i in range(20)])
    up.reply(body=body, split=50)
    results = []

    def one():
        with Client(up.address) as client:
            client.request("GET", "/")
            results.append(client.read_response().body)
    threads = [threading.Thread(target=one) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert results == [body] * 40


def test_openssl_is_there_for_the_certificates():
    assert subprocess.run(["openssl", "version"], capture_output=True, check=True).stdout.startswith(b"OpenSSL")


def test_json_of_a_canned_request_is_what_the_sdks_send():
    assert json.loads(canned.dumps(canned.request("anthropic-messages", "m", stream=True))) == {
        "model": "m", "max_tokens": 256, "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
