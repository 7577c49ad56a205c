"""Bars 15 and 16: an upstream that says nothing, and one that stops in the middle. The deadline that is meant fires, at its
time; another target answers where there is one; else the client gets an error of its own dialect."""

import time

import pytest

from lib import canned
from lib.faultd import BlackHole
from lib.stand import (ANTHROPIC, DIALECTS, MODELS, OPENAI, PAIR_IDS, PAIRS, ask, check_error, check_failed, check_whole,
                       config, open_stream, provider, record_of, settled, taken_in, text_of)

FIRST_BYTE, IDLE, CONNECT = 0.7, 0.6, 0.5
TIMEOUTS = {"first_byte": "700ms", "idle": "600ms", "connect": "500ms", "tls": "500ms"}


@pytest.fixture(scope="module")
def up(module_faultd):
    return module_faultd(sndbuf=65536)


@pytest.fixture(scope="module")
def spare(module_faultd):
    return module_faultd()


@pytest.fixture(scope="module")
def gateway(start_module_gateway, up, spare):
    return start_module_gateway(config(up, spare, timeouts=TIMEOUTS, server={"workers": 1, "stream_buffer": "64KiB"}))


def within(elapsed, deadline):
    """±10 % of the deadline, and what a busy machine adds."""
    assert deadline * 0.9 <= elapsed <= deadline * 1.1 + 0.4, f"{elapsed:.3f} s for a deadline of {deadline} s"


@pytest.mark.parametrize("client,upstream", PAIRS, ids=PAIR_IDS)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_bar_15_silent_upstream_is_504_at_the_first_byte_deadline(gateway, up, client, upstream, stream):
    script = up.reply("POST", canned.PATHS[upstream], answer="never")
    t = time.monotonic()
    response = ask(gateway, client, MODELS[upstream], stream=stream)
    within(time.monotonic() - t, FIRST_BYTE)
    error = check_error(client, response, 504)
    assert {OPENAI: "oai", ANTHROPIC: "ant"}[upstream] in error["message"]
    script.wait_for_request().wait_disconnect(1)
    record = record_of(gateway, response.id)
    assert record["status"] == 504 and record["attempts"] == 1 and record["end"] == "upstream_error"


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_bar_15_second_target_of_an_alias_answers(gateway, up, spare, dialect, stream):
    up.reply("POST", canned.PATHS[dialect], answer="never")
    spare.reply("POST", canned.PATHS[dialect],
                body=canned.stream(dialect, ["saved"]) if stream else canned.answer(dialect, "saved"))
    t = time.monotonic()
    if stream:
        s = open_stream(gateway, dialect, f"either-{MODELS[dialect]}")
        check_whole(dialect, s, "saved")
        headers, id = s.headers, s.id
    else:
        response = ask(gateway, dialect, f"either-{MODELS[dialect]}")
        assert response.status == 200 and b"saved" in response.body
        headers, id = response.headers, response.id
    within(time.monotonic() - t, FIRST_BYTE)
    assert headers.get("x-llm-gateway-attempts") == "2"
    assert headers.get("x-llm-gateway-provider").endswith("-spare")
    record = record_of(gateway, id)
    assert (record["attempts"], record["end"]) == (2, "ok") and record["provider"].endswith("-spare")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_bar_15_a_head_alone_is_no_answer(gateway, up, spare, dialect):
    """200 and then silence: nothing has been committed, so the second target still may answer."""
    up.reply("POST", canned.PATHS[dialect], body=canned.stream(dialect), fault="stall", at=0)
    spare.reply("POST", canned.PATHS[dialect], body=canned.stream(dialect, ["saved"]))
    t = time.monotonic()
    check_whole(dialect, open_stream(gateway, dialect, f"either-{MODELS[dialect]}"), "saved")
    within(time.monotonic() - t, IDLE)


@pytest.mark.parametrize("client,upstream", PAIRS, ids=PAIR_IDS)
def test_bar_15_whole_answer_that_stops_inside_its_body_is_504(gateway, up, client, upstream):
    up.reply("POST", canned.PATHS[upstream], body=canned.answer(upstream), fault="stall", at=40)
    t = time.monotonic()
    check_error(client, ask(gateway, client, MODELS[upstream]), 504)
    within(time.monotonic() - t, IDLE)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_bar_15_connect_deadline(start_gateway, stage, dialect):
    with BlackHole() as hole:
        gateway = start_gateway({"providers": {"hole": provider(dialect, f"http://127.0.0.1:{hole.port}", models=["m"])},
                                 "timeouts": TIMEOUTS, "server": {"workers": 1}})
        t = time.monotonic()
        error = check_error(dialect, ask(gateway, dialect, "m"), 504)
        within(time.monotonic() - t, CONNECT)
        assert "connect" in error["message"]


def test_bar_15_tls_deadline(start_gateway, faultd, certs):
    up = faultd()
    up.accept_default = "ignore"
    gateway = start_gateway({"providers": {"mute": provider(OPENAI, f"https://localhost:{up.port}", models=["m"],
                                                            ca_file=certs.ca_file)},
                             "timeouts": TIMEOUTS, "server": {"workers": 1}})
    t = time.monotonic()
    error = check_error(OPENAI, ask(gateway, OPENAI, "m"), 504)
    within(time.monotonic() - t, 0.5)
    assert "TLS" in error["message"]


def test_bar_15_a_provider_may_have_deadlines_of_its_own(start_gateway, upstream):
    upstream.reply("POST", answer="never")
    gateway = start_gateway({"providers": {"own": provider(OPENAI, upstream.origin, models=["m"],
                                                           timeouts={"first_byte": "300ms"})},
                             "timeouts": {"first_byte": "60s"}, "server": {"workers": 1}})
    t = time.monotonic()
    check_error(OPENAI, ask(gateway, OPENAI, "m"), 504)
    within(time.monotonic() - t, 0.3)


@pytest.mark.parametrize("client,upstream", PAIRS, ids=PAIR_IDS)
@pytest.mark.parametrize("k", [1, 5, -1], ids=["after-1", "after-5", "before-the-last"])
def test_bar_16_stall_after_event_k_ends_in_the_error_event(gateway, up, client, upstream, k):
    """A stall before anything meaningful is still a 504; later it is the dialect's error event. Never an end."""
    body = canned.stream(upstream, ["a", "b", "c", "d", "e"])
    starts = canned.event_starts(body)
    at = starts[k] if k > 0 else starts[-2]
    up.reply("POST", canned.PATHS[upstream], body=body, fault="stall", at=at)
    t = time.monotonic()
    stream = open_stream(gateway, client, MODELS[upstream])
    if k < 0 and (client, upstream) == (ANTHROPIC, OPENAI):
        # Finish reason and usage have been said: nothing of the answer is missing but OpenAI's own [DONE].
        check_whole(client, stream, "abcde")
        return
    if stream.status == 200:
        error = check_failed(client, stream)
        assert text_of(client, stream.events[:-1]) == ("abcde" if k < 0 else text_of(upstream, _events(body[:at])))
        assert record_of(gateway, stream.id)["end"] == "upstream_truncated"
    else:
        assert k == 1
        response = stream.response
        stream.rest()
        response.body = bytes(stream.body)
        error = check_error(client, response, 504)
    within(time.monotonic() - t, IDLE)
    assert "idle" in error["message"] or "stopped" in error["message"], error


def _events(body):
    from lib.wire import SseParser
    return SseParser().feed(body, 0)


def test_bar_16_bytes_keep_a_slow_stream_alive(gateway, up):
    """The idle deadline counts from the last byte: a stream of twice its length, slow all along, is healthy."""
    body = canned.openai_stream(["x"] * 8)
    starts = canned.event_starts(body)
    up.reply("POST", "/v1/chat/completions", body=body, delays={at: 0.15 for at in starts[:-1]})
    t = time.monotonic()
    check_whole(OPENAI, open_stream(gateway, OPENAI, MODELS[OPENAI]), "x" * 8)
    assert time.monotonic() - t > 2 * IDLE


def test_bar_16_upstream_comments_count_as_life(gateway, up):
    body = b": thinking\n\n" * 8 + canned.openai_stream(["late"])
    up.reply("POST", "/v1/chat/completions", body=body, delays={12 * i: 0.2 for i in range(8)})
    check_whole(OPENAI, open_stream(gateway, OPENAI, MODELS[OPENAI]), "late")


def _big_stream(dialect, mib, piece=8192):
    texts = ["%08d" % i + "x" * (piece - 8) for i in range(mib * (1 << 20) // piece)]
    return canned.stream(dialect, texts), "".join(texts)


@pytest.mark.parametrize("client,upstream", PAIRS, ids=PAIR_IDS)
def test_bar_16_a_pause_of_ours_is_not_the_upstreams_stall(gateway, up, client, upstream):
    """The client stops reading for longer than the idle deadline; nothing fires, and nothing is lost."""
    body, text = _big_stream(upstream, 16, 65536)
    script = up.reply("POST", canned.PATHS[upstream], body=body)
    connection = gateway.connect(rcvbuf=4096, timeout=20)
    stream = open_stream(gateway, client, MODELS[upstream], connection)
    assert stream.status == 200
    hit = script.wait_for_request()
    assert settled(lambda: taken_in(hit)) < len(body) // 2, "no back-pressure"
    with pytest.raises(TimeoutError):
        hit.wait_disconnect(3 * IDLE)
    check_whole(client, stream, text)


def test_bar_16_stall_behind_a_pause_fires_once_the_client_reads(gateway, up):
    """Paused first, then the upstream really stops: the deadline runs again from the resumption."""
    body, _ = _big_stream(OPENAI, 16, 65536)
    at = canned.event_starts(body)[-8]
    script = up.reply("POST", "/v1/chat/completions", body=body, fault="stall", at=at)
    connection = gateway.connect(rcvbuf=4096, timeout=20)
    stream = open_stream(gateway, OPENAI, MODELS[OPENAI], connection)
    hit = script.wait_for_request()
    assert settled(lambda: taken_in(hit)) < at // 2
    with pytest.raises(TimeoutError):
        hit.wait_disconnect(2 * IDLE)
    check_failed(OPENAI, stream)
    hit.wait_disconnect(1)
