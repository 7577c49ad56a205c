"""Bars 23 and 24: clients that leave, in every phase, and clients that hardly read. Leaving frees the upstream within a
second; reading slowly costs a bounded buffer, never the memory for all that is still to come."""

import threading
import time

import pytest

from lib import canned
from lib.faultd import BlackHole
from lib.stand import (ANTHROPIC, DIALECTS, MODELS, OPENAI, PAIR_IDS, PAIRS, check_whole, config, new_id, open_stream, provider,
                       record_of, send, settled, taken_in, wait_until)


@pytest.fixture(scope="module")
def up(module_faultd):
    return module_faultd(sndbuf=65536)


@pytest.fixture(scope="module")
def gateway(start_module_gateway, up):
    return start_module_gateway(config(up, server={"write_timeout": "1500ms", "stream_buffer": "64KiB", "workers": 1,
                                                   "max_body": "64MiB"}))


def leave(client, how):
    """Closes the client's connection; when it did."""
    t = time.monotonic()
    if how == "rst":
        client.reset()
    else:
        client.close()
    return t


def gone(gateway, hit, id, t):
    """The upstream saw the close within a second, and the record says why."""
    assert hit.wait_disconnect(2) - t <= 1.0
    record = record_of(gateway, id)
    assert record["end"] == "client_gone", record
    return record


HOWS = pytest.mark.parametrize("how", ["fin", "rst"])


@HOWS
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_bar_23_before_the_end_of_the_body(gateway, up, how, framing):
    """Nothing reaches the upstream of a request that never became whole."""
    before = len(up.conns)
    client, id = gateway.connect(), new_id()
    head = "Content-Length: 1000" if framing == "length" else "Transfer-Encoding: chunked"
    client.send(f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nx-request-id: {id}\r\n{head}\r\n\r\n".encode())
    client.send(b'{"model":' if framing == "length" else b'9\r\n{"model":\r\n')
    leave(client, how)
    record = record_of(gateway, id)
    assert record["end"] == "client_gone" and record["attempts"] == 0
    assert len(up.conns) == before


@HOWS
@pytest.mark.parametrize("client,upstream", PAIRS, ids=PAIR_IDS)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_bar_23_trap_124_while_waiting_for_the_first_byte(gateway, up, how, client, upstream, stream):
    script = up.reply("POST", canned.PATHS[upstream], body=canned.stream(upstream), hold_head=True)
    c = gateway.connect()
    id = send(c, client, MODELS[upstream], stream=stream)
    hit = script.wait_for_request()
    gone(gateway, hit, id, leave(c, how))


@HOWS
@pytest.mark.parametrize("client,upstream", PAIRS, ids=PAIR_IDS)
@pytest.mark.parametrize("k", [1, 4])
def test_bar_23_trap_124_at_event_k_of_a_stream(gateway, up, how, client, upstream, k):
    texts = [f"text{i}" for i in range(6)]
    body = canned.stream(upstream, texts)
    at = next(b for b in canned.event_starts(body) if texts[k - 1].encode() in body[:b])
    script = up.reply("POST", canned.PATHS[upstream], body=body, holds=[at])
    c = gateway.connect()
    stream = open_stream(gateway, client, MODELS[upstream], c)
    stream.take(1)
    hit = script.wait_for_request()
    hit.wait_held()
    record = gone(gateway, hit, stream.id, leave(c, how))
    assert record["status"] == 200


@HOWS
@pytest.mark.parametrize("upstream", DIALECTS)
def test_bar_23_inside_a_whole_answer(gateway, up, how, upstream):
    script = up.reply("POST", canned.PATHS[upstream], body=canned.answer(upstream), holds=[40])
    c = gateway.connect()
    id = send(c, OPENAI, MODELS[upstream])
    hit = script.wait_for_request()
    hit.wait_held()
    gone(gateway, hit, id, leave(c, how))


@HOWS
def test_bar_23_while_the_upstream_is_paused(gateway, up, how):
    """The client does not read, the upstream is not read: its leaving is noticed all the same."""
    script = up.reply("POST", "/v1/chat/completions", body=canned.openai_stream(["x" * 65536] * 256))
    c = gateway.connect(rcvbuf=4096)
    id = send(c, OPENAI, MODELS[OPENAI], stream=True)
    hit = script.wait_for_request()
    settled(lambda: taken_in(hit))
    gone(gateway, hit, id, leave(c, how))


@HOWS
def test_bar_23_while_connecting(start_gateway, how):
    """There is no upstream connection to close yet: the dial is given up, the descriptor with it."""
    with BlackHole() as hole:
        gateway = start_gateway({"providers": {"hole": provider(OPENAI, f"http://127.0.0.1:{hole.port}", models=["m"])},
                                 "timeouts": {"connect": "30s"}})
        c = gateway.connect()
        id = send(c, OPENAI, "m")
        wait_until(lambda: any(s[0] == "SYN_SENT" for s in gateway.sockets()), what="a dial under way")
        leave(c, how)
        assert record_of(gateway, id)["end"] == "client_gone"
        wait_until(lambda: not any(s[0] == "SYN_SENT" for s in gateway.sockets()), timeout=1, what="the dial given up")


def test_bar_23_while_sending_a_long_request_upstream(gateway, faultd, start_gateway):
    """The upstream does not read the request; the client leaves in the middle of our writing it."""
    up = faultd(rcvbuf=4096)
    up.accept_default = "ignore"
    own = start_gateway(config(up))
    c = own.connect()
    id = send(c, OPENAI, MODELS[OPENAI], text="x" * (16 << 20))
    up.wait_for_conns(1)
    wait_until(lambda: up.conns, what="a connection")
    t = leave(c, "fin")
    assert up.conns[0].wait_peer_closed(2) - t <= 1.0
    assert record_of(own, id)["end"] == "client_gone"


def _leaving_crowd(gateway, up, n):
    """n clients, each leaving in one of four phases; how many of the upstream connections closed in time."""
    body = canned.openai_stream(["a", "b", "c"])
    starts = canned.event_starts(body)
    phases = [{"hold_head": True}, {"holds": [starts[1]]}, {"holds": [starts[3]]}, {"holds": [starts[4]]}]
    late = []
    for i in range(n):
        script = up.reply("POST", "/v1/chat/completions", body=body, times=1, **phases[i % 4])
        c = gateway.connect()
        send(c, OPENAI, MODELS[OPENAI], stream=True)
        hit = script.wait_for_request()
        hit.wait_held()
        t = leave(c, "rst" if i % 3 == 0 else "fin")
        if hit.wait_disconnect(5) - t > 1.0:
            late.append(i)
        up.clear()
    return late


def test_bar_23_forty_clients_leave(gateway, up):
    assert _leaving_crowd(gateway, up, 40) == []


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_bar_23_eight_hundred_clients_leave(gateway, up):
    before = gateway.rss_kib()
    assert _leaving_crowd(gateway, up, 800) == []
    if not gateway.sanitized:
        assert gateway.rss_kib() < before * 1.1 + 4096


def test_bar_23_client_gone_never_counts_against_the_provider(gateway, up):
    script = up.reply("POST", "/v1/messages", hold_head=True, body=canned.answer(ANTHROPIC))
    c = gateway.connect()
    id = send(c, ANTHROPIC, MODELS[ANTHROPIC])
    hit = script.wait_for_request()
    gone(gateway, hit, id, leave(c, "fin"))
    assert gateway.request("GET", "/ready").json()["providers"]["ant"]["state"] != "failing"


# ---- bar 24 ----------------------------------------------------------------------------------------------------------------


def test_bar_24_a_client_that_takes_nothing_is_cut_at_its_deadline(gateway, up):
    script = up.reply("POST", "/v1/chat/completions", body=canned.openai_stream(["x" * 65536] * 512))
    c = gateway.connect(rcvbuf=4096)
    t = time.monotonic()
    id = send(c, OPENAI, MODELS[OPENAI], stream=True)
    hit = script.wait_for_request()
    hit.wait_disconnect(6)
    assert 1.5 * 0.9 <= time.monotonic() - t <= 1.5 + 2.0
    assert record_of(gateway, id)["end"] == "client_gone"


def _slow_readers(gateway, up, n, mib, piece=65536):
    """n clients that read 64 KiB and then stop, of streams of that many MiB. What they cost, and that others do not notice."""
    body = canned.openai_stream(["x" * piece] * (mib * (1 << 20) // piece))
    script = up.reply("POST", "/v1/chat/completions", body=body, when=lambda r: b'"stream"' in r.body)
    up.reply("POST", "/v1/chat/completions", body=canned.answer(OPENAI))
    before = gateway.rss_kib()
    clients = [gateway.connect(rcvbuf=4096, timeout=30) for _ in range(n)]
    streams = [open_stream(gateway, OPENAI, MODELS[OPENAI], c) for c in clients]
    for s in streams:
        s.take(1)
    hits = [script.wait_for_request() for _ in range(n)]
    taken = settled(lambda: sum(taken_in(h) for h in hits), for_seconds=0.2)
    return before, gateway.rss_kib(), taken, clients, streams


def test_bar_24_slow_readers_cost_a_bounded_buffer(start_gateway, faultd):
    up = faultd(sndbuf=65536)
    gateway = start_gateway(config(up, server={"write_timeout": "60s", "stream_buffer": "64KiB"}))
    n, mib = 8, 16
    before, after, taken, clients, streams = _slow_readers(gateway, up, n, mib)
    # What was taken in lies in the kernel's send buffers, at most 4 MiB a connection; a gateway that buffers takes in all.
    assert taken < n * mib * (1 << 20) // 2
    if not gateway.sanitized:
        assert after - before < n * 512
    t = time.monotonic()
    for _ in range(20):
        assert gateway.request("POST", "/v1/chat/completions", json_body=canned.request(OPENAI, MODELS[OPENAI])).status == 200
    assert time.monotonic() - t < 4
    done = []
    reader = threading.Thread(target=lambda: done.append(check_whole(OPENAI, streams[0])))
    reader.start()
    reader.join(30)
    assert done == [None], "a reader that goes on reading gets all of it"
    for c in clients:
        c.close()


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_bar_24_fifty_slow_readers_of_50_mib(start_gateway, faultd):
    up = faultd(sndbuf=65536)
    gateway = start_gateway(config(up, server={"write_timeout": "60s"}))
    before, after, taken, clients, _ = _slow_readers(gateway, up, 50, 50)
    assert taken < 50 * 50 * (1 << 20) // 4
    if not gateway.sanitized:
        assert after - before < 50 * 512
    for c in clients:
        c.close()


def test_bar_24_whole_answers_to_a_client_that_does_not_read(gateway, up):
    """Not only streams: a large whole answer waits in the buffer it is in, and the client is cut at its deadline."""
    script = up.reply("POST", "/v1/chat/completions", body=canned.openai_answer("x" * (12 << 20)))
    c = gateway.connect(rcvbuf=4096)
    t = time.monotonic()
    send(c, OPENAI, MODELS[OPENAI])
    script.wait_for_request()
    wait_until(lambda: not [s for s in gateway.sockets() if s[1] == gateway.port and s[0] == "ESTABLISHED"],
               timeout=8, what="the client cut")
    assert time.monotonic() - t >= 1.5 * 0.9
