"""Bars 35 and 36: reload under live streams, wrong files, revoked keys; SIGTERM with streams under way; a successor that takes
the port over."""

import hashlib
import signal
import socket
import threading
import time

import pytest

from lib import canned
from lib.sseclient import Client
from lib.stand import (ANTHROPIC, DIALECTS, MODELS, OPENAI, ask, check_error, check_failed, check_whole, config, open_stream,
                       record_of, send, wait_until)


def key_entry(name, key, **more):
    return {"name": name, "sha256": hashlib.sha256(key.encode()).hexdigest(), **more}


def bearer(key):
    return [("authorization", f"Bearer {key}")]


def events(gateway, *names):
    return [r for r in gateway.log_records() if r.get("event") in names]


def wait_reloads(gateway, n):
    wait_until(lambda: len(events(gateway, "reload", "reload.refused")) >= n, what=f"reload {n}", timeout=10)


# ---- bar 35 ----------------------------------------------------------------------------------------------------------------

WRONG = [
    ("servr:\n  workers: 1\n", 1, "servr"),
    ("server:\n  max_body: many\n", 2, "max_body"),
    ("server:\n  max_body: 64MiB\n  max_body: 1MiB\n", 3, "max_body"),
    ("server:\n  max_bdoy: 64MiB\n", 2, "max_body"),
    ("providers:\n  a: {type: openai, api_key: x, base_url: 'ftp://x'}\n", 2, "base_url"),
    ("server: [\n", 0, ""),
    ("models:\n  - {name: x, provider: nobody}\n", 2, "nobody"),
    ("\tserver: {}\n", 1, ""),
]


def _reload_under_streams(gateway, up, conf, rounds, n_streams):
    body = canned.openai_stream([f"{i} " for i in range(rounds + 1)])
    starts = canned.event_starts(body)
    script = up.reply("POST", "/v1/chat/completions", body=body, holds=starts[2: rounds + 2])
    streams = [open_stream(gateway, OPENAI, MODELS[OPENAI], gateway.connect(timeout=60)) for _ in range(n_streams)]
    hits = [script.wait_for_request() for _ in streams]
    for i in range(rounds):
        wrong = i % 5 == 4
        if wrong:
            gateway.write_config(WRONG[(i // 5) % len(WRONG)][0])
            gateway.reload()
        else:
            gateway.reload({**conf, "default_max_tokens": 1000 + i})
        wait_reloads(gateway, i + 1)
        for hit in hits:
            hit.wait_held(n=i + 1)
            hit.release(1)
    for stream in streams:
        check_whole(OPENAI, stream, "".join(f"{i} " for i in range(rounds + 1)))
    refused = len(events(gateway, "reload.refused"))
    assert refused == rounds // 5 and len(events(gateway, "reload")) == rounds - refused


def test_bar_35_twenty_reloads_with_ten_live_streams(start_gateway, upstream):
    conf = config(upstream)
    gateway = start_gateway(conf)
    _reload_under_streams(gateway, upstream, conf, 20, 10)


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_bar_35_hundred_reloads_with_hundred_live_streams(start_gateway, upstream):
    conf = config(upstream)
    gateway = start_gateway(conf)
    _reload_under_streams(gateway, upstream, conf, 10, 2)
    before = gateway.rss_kib()
    upstream.clear()
    gateway.stderr_file.write_text("")
    _reload_under_streams(gateway, upstream, conf, 100, 100)
    if not gateway.sanitized:
        # 100 streams were open in between: their memory may stay with the allocator, reloads must add nothing to it.
        assert gateway.rss_kib() < before + 100 * 64 + 4096


@pytest.mark.parametrize("text,line,word", WRONG, ids=range(len(WRONG)))
def test_bar_35_a_wrong_file_stays_out_and_is_named_by_line_and_column(start_gateway, upstream, text, line, word):
    gateway = start_gateway(config(upstream))
    upstream.reply("POST", body=canned.openai_answer("as before"))
    gateway.write_config(text)
    gateway.reload()
    wait_reloads(gateway, 1)
    assert events(gateway, "reload.refused") and not events(gateway, "reload")
    problems = [r for r in events(gateway, "configuration") if r.get("level") == "error"]
    assert problems, gateway.last_output()
    assert all(p["file"] == str(gateway.config_file) and p["line"] >= 1 and p["column"] >= 1 for p in problems), problems
    if line:
        assert any(p["line"] == line and word in p["problem"] for p in problems), problems
    assert b"as before" in ask(gateway, OPENAI, MODELS[OPENAI]).body


@pytest.mark.parametrize("dialect", DIALECTS)
def test_bar_35_a_revoked_key_is_refused_within_a_second(start_gateway, upstream, dialect):
    keep, revoke = "gw-keep-1c", "gw-revoke-7e"
    conf = config(upstream)
    keys = [key_entry("keep", keep), key_entry("revoke", revoke)]
    gateway = start_gateway({**conf, "auth": {"keys": keys}})
    body = canned.stream(dialect, ["a", "b"])
    script = upstream.reply("POST", canned.PATHS[dialect], body=body, holds=[canned.event_starts(body)[-2]],
                            when=lambda r: b'"stream"' in r.body)
    upstream.reply("POST", canned.PATHS[dialect], body=canned.answer(dialect))
    live = open_stream(gateway, dialect, MODELS[dialect], headers=bearer(revoke))
    hit = script.wait_for_request()
    hit.wait_held()
    connection = gateway.connect()
    send(connection, dialect, MODELS[dialect], headers=bearer(revoke))
    assert connection.read_response("POST").status == 200
    t = time.monotonic()
    gateway.reload({**conf, "auth": {"keys": keys[:1]}})

    def status():
        send(connection, dialect, MODELS[dialect], headers=bearer(revoke))
        response = connection.read_response("POST")
        if response.status == 401:
            check_error(dialect, response, 401)
            return True
        connection.t_head = None
        return False
    # Also on the connection that was open before the key was revoked (R22).
    wait_until(status, timeout=3, what="401")
    assert time.monotonic() - t <= 1.0
    assert ask(gateway, dialect, MODELS[dialect], headers=bearer(keep)).status == 200
    hit.release()
    check_whole(dialect, live, "ab")


def test_bar_35_new_provider_address_counts_for_the_next_request(start_gateway, faultd):
    one, two = faultd(), faultd()
    one.reply("POST", body=canned.openai_answer("one"))
    two.reply("POST", body=canned.openai_answer("two"))
    gateway = start_gateway(config(one))
    with gateway.connect() as client:
        send(client, OPENAI, MODELS[OPENAI])
        assert b"one" in client.read_response("POST").body
        gateway.reload(config(two))
        wait_reloads(gateway, 1)

        def moved():
            send(client, OPENAI, MODELS[OPENAI])
            return b"two" in client.read_response("POST").body
        wait_until(moved, timeout=2, what="an answer of the new address")


def test_bar_35_what_needs_a_restart_is_said(start_gateway, upstream):
    conf = config(upstream)
    gateway = start_gateway(conf)
    gateway.reload({**conf, "server": {"workers": 7}})
    wait_reloads(gateway, 1)
    said = [r for r in events(gateway, "configuration") if "workers" in r.get("problem", "")]
    assert said and "restart" in said[0]["problem"], gateway.last_output()


# ---- bar 36 ----------------------------------------------------------------------------------------------------------------


def _held_streams(gateway, up, dialect, n):
    body = canned.stream(dialect, ["first ", "second"])
    starts = canned.event_starts(body)
    at = next(b for a, b in zip(starts, starts[1:]) if b"first" in body[a:b])
    script = up.reply("POST", canned.PATHS[dialect], body=body, holds=[at])
    streams = [open_stream(gateway, dialect, MODELS[dialect]) for _ in range(n)]
    hits = [script.wait_for_request() for _ in streams]
    for hit in hits:
        hit.wait_held()
    return streams, hits


@pytest.mark.parametrize("dialect", DIALECTS)
def test_bar_36_sigterm_lets_streams_finish_and_ends_the_rest_properly(start_gateway, upstream, dialect):
    gateway = start_gateway({**config(upstream), "timeouts": {"drain": "1500ms"}})
    streams, hits = _held_streams(gateway, upstream, dialect, 10)
    idle = gateway.connect()
    idle.request("GET", "/health")
    assert idle.read_response("GET").status == 200
    t = time.monotonic()
    gateway.signal(signal.SIGTERM)
    assert idle.wait_closed(1) == "eof", "an idle connection is closed at once"
    wait_until(lambda: not _accepts(gateway), timeout=1, what="the listener closed")
    by_conn = {h.conn.number: h for h in hits}
    assert len(by_conn) == 10
    for hit in hits[:5]:
        hit.release()
    done = []
    for stream in streams:
        stream.rest()
        done.append(stream.end)
    whole = [s for s in streams if s.end == "complete"]
    cut = [s for s in streams if s.end != "complete"]
    assert len(whole) == 5 and len(cut) == 5, done
    for s in whole:
        check_whole(dialect, s, "first second")
    for s in cut:
        error = check_failed(dialect, s)
        assert "shutting down" in error["message"]
    assert gateway.wait_exit(5) == 0
    assert 1.4 <= time.monotonic() - t <= 4
    ends = [r["end"] for r in gateway.access_records() if r["stream"]]
    assert sorted(ends) == ["ok"] * 5 + ["shutdown"] * 5


def _accepts(gateway):
    try:
        socket.create_connection(gateway.address, timeout=1).close()
        return True
    except OSError:
        return False


def test_bar_36_sigterm_with_nothing_under_way_exits_at_once(start_gateway, upstream):
    gateway = start_gateway({**config(upstream), "timeouts": {"drain": "60s"}})
    t = time.monotonic()
    gateway.signal(signal.SIGTERM)
    assert gateway.wait_exit(5) == 0
    assert time.monotonic() - t < 2


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
def test_bar_36_a_second_signal_ends_it_now(start_gateway, upstream, first):
    gateway = start_gateway({**config(upstream), "timeouts": {"drain": "600s"}})
    streams, _ = _held_streams(gateway, upstream, ANTHROPIC, 3)
    gateway.signal(first)
    gateway.wait_log(r'"drain"')
    gateway.signal(first)
    for s in streams:
        check_failed(ANTHROPIC, s)
    assert gateway.wait_exit(5) == 0


def test_bar_36_whole_answers_under_way_are_waited_for(start_gateway, upstream):
    gateway = start_gateway({**config(upstream), "timeouts": {"drain": "60s"}})
    script = upstream.reply("POST", body=canned.openai_answer("late but whole"), hold_head=True)
    client = gateway.connect()
    id = send(client, OPENAI, MODELS[OPENAI])
    hit = script.wait_for_request()
    gateway.signal(signal.SIGTERM)
    gateway.wait_log(r'"drain"')
    hit.release()
    response = client.read_response("POST")
    assert response.status == 200 and b"late but whole" in response.body
    assert response.headers.get("connection", "").lower() == "close"
    assert gateway.wait_exit(5) == 0
    assert record_of(gateway, id)["end"] == "ok"


def test_bar_36_an_answer_not_begun_at_the_end_of_the_drain_is_503(start_gateway, upstream):
    gateway = start_gateway({**config(upstream), "timeouts": {"drain": "300ms"}})
    upstream.reply("POST", answer="never")
    client = gateway.connect()
    send(client, ANTHROPIC, MODELS[ANTHROPIC])
    wait_until(lambda: upstream.requests, what="the request upstream")
    gateway.signal(signal.SIGTERM)
    check_error(ANTHROPIC, client.read_response("POST"), 503)
    assert gateway.wait_exit(5) == 0


def test_the_admin_listener_answers_operations_only(start_gateway, upstream):
    gateway = start_gateway(config(upstream))
    with Client(gateway.admin_address) as admin:
        for path, status in (("/health", 200), ("/ready", 200), ("/", 200), ("/v1/models", 404), ("/nowhere", 404)):
            admin.request("GET", path)
            assert admin.read_response("GET").status == status
    with Client(gateway.admin_address) as admin:
        send(admin, OPENAI, MODELS[OPENAI])
        assert admin.read_response("POST").status == 404
    assert not upstream.requests


def test_bar_36_ready_says_503_while_draining(start_gateway, upstream):
    """On the operations' own listener, which stays until the end."""
    gateway = start_gateway({**config(upstream), "timeouts": {"drain": "60s"}})
    streams, hits = _held_streams(gateway, upstream, OPENAI, 1)
    with Client(gateway.admin_address) as admin:
        admin.request("GET", "/ready")
        assert admin.read_response("GET").status == 200
    gateway.signal(signal.SIGTERM)

    def ready():
        with Client(gateway.admin_address) as admin:
            admin.request("GET", "/ready")
            return admin.read_response("GET").status
    wait_until(lambda: ready() == 503, timeout=1, what="503 from /ready")
    hits[0].release()
    check_whole(OPENAI, streams[0], "first second")
    assert gateway.wait_exit(5) == 0


class Knocker:
    """Makes connections, one after another, and asks for /health on each; counts those that fail."""

    def __init__(self, address):
        self.address, self.asked, self.failed, self._stop = address, 0, [], False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self._stop:
            try:
                with Client(self.address, timeout=5) as c:
                    c.request("GET", "/health", [("connection", "close")])
                    r = c.read_response("GET")
                    if r is None or r.status != 200:
                        self.failed.append(f"{r}")
            except Exception as e:      # whatever it is, a client saw it
                self.failed.append(repr(e))
            self.asked += 1

    def stop(self):
        self._stop = True
        self.thread.join(10)


def _take_over(start_gateway, new_gateway, up, rounds):
    old = start_gateway({**config(up), "server": {"workers": 1}})
    knockers = [Knocker(old.address) for _ in range(3)]
    for _ in range(rounds):
        new = new_gateway({**config(up), "server": {"workers": 1, "address": f"127.0.0.1:{old.port}"}}, args=["--takeover"])
        new.start(wait=False)
        wait_until(lambda: any(s[0] == "LISTEN" and s[1] == old.port for s in new.sockets()), timeout=15,
                   what="the successor listening")
        asked = sum(k.asked for k in knockers)
        wait_until(lambda: sum(k.asked for k in knockers) > asked + 20, what="some requests with both")
        new.port, new.address = old.port, old.address
        old.signal(signal.SIGTERM)
        assert old.wait_exit(5) == 0
        asked = sum(k.asked for k in knockers)
        wait_until(lambda: sum(k.asked for k in knockers) > asked + 20, what="some requests with the successor alone")
        old = new
    for k in knockers:
        k.stop()
    old.baseline = {"listen": 4, "connected": 0, "close_wait": 0, "other": 200}
    failed = [f for k in knockers for f in k.failed]
    assert not failed, f"{len(failed)} of {sum(k.asked for k in knockers)}: {failed[:3]}"


def test_bar_36_takeover_refuses_nobody(start_gateway, new_gateway, upstream):
    _take_over(start_gateway, new_gateway, upstream, 2)


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_bar_36_twenty_takeovers_refuse_nobody(start_gateway, new_gateway, upstream):
    _take_over(start_gateway, new_gateway, upstream, 20)


def test_bar_36_a_second_gateway_on_the_port_is_refused_without_takeover(start_gateway, new_gateway, upstream):
    first = start_gateway(config(upstream))
    second = new_gateway({**config(upstream), "server": {"address": f"127.0.0.1:{first.port}"}})
    second.start(wait=False)
    assert second.wait_exit(10) != 0
    assert "takeover" in second.output() and str(first.port) in second.output()
