"""Bar 4 and 11 over the wire: everything a client may send too much, too slowly or wrongly is refused in the dialect of the
path, with bounded memory, and not a byte of it reaches an upstream."""

import hashlib
import json
import time

import pytest

from lib import canned
from lib.stand import (ANTHROPIC, DIALECTS, MODELS, OPENAI, check_error, config, new_id, record_of)

KEY = "gw-limits-key-71f3"
AUTH = [("authorization", f"Bearer {KEY}")]
MAX_BODY = 256 * 1024
HEAD_TIMEOUT, BODY_TIMEOUT = 0.6, 0.6


@pytest.fixture(scope="module")
def up(module_faultd):
    return module_faultd()


@pytest.fixture(scope="module")
def gateway(start_module_gateway, up):
    return start_module_gateway(config(
        up, server={"max_body": MAX_BODY, "max_head": "8KiB", "max_target": "1KiB", "max_fields": 32,
                    "head_timeout": "600ms", "body_timeout": "600ms", "workers": 1},
        auth={"keys": [{"name": "limits", "sha256": hashlib.sha256(KEY.encode()).hexdigest()}]}))


def padded(dialect, size):
    """A valid request body of exactly that many bytes."""
    body = canned.request(dialect, MODELS[dialect], "")
    body["messages"][0]["content"] = "x" * (size - len(json.dumps(body)))
    data = json.dumps(body).encode()
    assert len(data) == size
    return data


def post_head(dialect, *fields):
    lines = [f"POST {canned.PATHS[dialect]} HTTP/1.1", "Host: gateway", "Content-Type: application/json",
             f"Authorization: Bearer {KEY}", *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_bar_11_body_of_the_limit_passes_and_one_byte_more_is_413(gateway, up, dialect):
    up.reply("POST", canned.PATHS[dialect], body=canned.answer(dialect))
    fits = gateway.request("POST", canned.PATHS[dialect], [*AUTH, ("content-type", "application/json")],
                           padded(dialect, MAX_BODY))
    assert fits.status == 200
    before = len(up.requests)
    with gateway.connect() as client:
        client.request("POST", canned.PATHS[dialect], AUTH, padded(dialect, MAX_BODY + 1))
        check_error(dialect, client.read_response("POST"), 413)
    assert len(up.requests) == before


@pytest.mark.parametrize("dialect", DIALECTS)
def test_bar_11_413_by_content_length_comes_before_the_body(gateway, up, dialect):
    with gateway.connect() as client:
        client.send(post_head(dialect, f"Content-Length: {1 << 30}"))
        response = client.read_response("POST")
        error = check_error(dialect, response, 413)
        assert "max_body" in error["message"] or str(MAX_BODY) in error["message"] or "large" in error["message"]
        assert client.wait_closed() in ("eof", "reset")
    assert not up.received


@pytest.mark.parametrize("dialect", DIALECTS)
def test_bar_11_413_by_chunked_has_the_same_shape(gateway, up, dialect):
    with gateway.connect() as client:
        client.send(post_head(dialect, f"Content-Length: {1 << 30}"))
        by_length = client.read_response("POST")
    with gateway.connect() as client:
        client.send(post_head(dialect, "Transfer-Encoding: chunked"))
        piece = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        for _ in range(MAX_BODY // 65536 + 1):
            client.send(piece)
        by_chunks = client.read_response("POST")
        assert client.wait_closed() in ("eof", "reset")
    one, two = check_error(dialect, by_length, 413), check_error(dialect, by_chunks, 413)
    assert (one["type"], one.get("code")) == (two["type"], two.get("code"))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_bar_11_expect_100_of_a_body_too_large_is_refused_without_100(gateway, up, dialect):
    with gateway.connect() as client:
        client.send(post_head(dialect, f"Content-Length: {MAX_BODY + 1}", "Expect: 100-continue"))
        response = client.read_response("POST")
        check_error(dialect, response, 413)
        assert response.interim == []


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("field", ["X-Filler: " + "a" * 9000, "\r\n".join(f"X-F{i}: {i}" for i in range(40))],
                         ids=["long-field", "many-fields"])
def test_bar_11_431_too_large_a_head(gateway, up, dialect, field):
    with gateway.connect() as client:
        client.send(post_head(dialect, "Content-Length: 2", field) + b"{}")
        check_error(dialect, client.read_response("POST"), 431)
        assert client.wait_closed() in ("eof", "reset")
    assert not up.received


def test_bar_11_431_endless_head_is_cut_at_the_limit(gateway, up):
    """A head that never ends is refused once it is too long, whatever still comes."""
    with gateway.connect() as client:
        client.send(b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nX-Endless: ")
        try:
            for _ in range(64):
                client.send(b"a" * 16384)
        except OSError:
            pass
        response = client.read_response("POST") if client else None
        if response:            # a reset may have overtaken the answer
            assert response.status == 431
    gateway.check_output()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_bar_11_414_too_long_a_target(gateway, up, dialect):
    with gateway.connect() as client:
        client.request("POST", canned.PATHS[dialect] + "?x=" + "a" * 2000, AUTH, b"{}")
        check_error(dialect, client.read_response("POST"), 414)
        assert client.wait_closed() in ("eof", "reset")


def test_bar_11_414_target_without_end(gateway):
    with gateway.connect() as client:
        client.send(b"GET /" + b"a" * 4000)
        response = client.read_response("GET")
        assert response.status == 414


@pytest.mark.parametrize("start", [b"", b"P", b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nX-Slow: "],
                         ids=["nothing", "one-byte", "inside-a-field"])
def test_bar_11_slow_head_is_ended_at_its_deadline(gateway, start):
    """408, or a silent close where nothing at all has come."""
    with gateway.connect() as client:
        t = time.monotonic()
        if start:
            client.send(start)
        response = client.read_response("POST")
        elapsed = time.monotonic() - t
        if start:
            assert response.status == 408
        else:
            assert response is None or response.status == 408
        if response:
            assert client.wait_closed() in ("eof", "reset")
    assert HEAD_TIMEOUT * 0.9 <= elapsed <= HEAD_TIMEOUT * 1.1 + 0.5


def test_bar_11_dripping_head_does_not_move_the_deadline(gateway):
    """The time is that of the whole head: a byte now and then buys nothing (slowloris)."""
    with gateway.connect(timeout=3) as client:
        t = time.monotonic()
        closed = False
        client.sock.settimeout(0.05)
        for byte in b"POST /v1/messages HTTP/1.1\r\n" + b"X-A: b\r\n" * 20:
            try:
                client.send(bytes([byte]))
                got = client.sock.recv(4096)
                closed = True
                assert not got or got.startswith(b"HTTP/1.1 408")
                break
            except TimeoutError:
                continue
            except OSError:
                closed = True
                break
        assert closed and time.monotonic() - t <= HEAD_TIMEOUT * 1.1 + 0.6


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("framing", ["Content-Length: 100", "Transfer-Encoding: chunked"])
def test_bar_11_slow_body_is_408(gateway, up, dialect, framing):
    with gateway.connect() as client:
        id = new_id()
        client.send(post_head(dialect, framing, f"x-request-id: {id}"))
        client.send(b"{" if "Length" in framing else b"1\r\n{\r\n")
        t = time.monotonic()
        response = client.read_response("POST")
        elapsed = time.monotonic() - t
        check_error(dialect, response, 408)
        assert client.wait_closed() in ("eof", "reset")
    assert BODY_TIMEOUT * 0.9 <= elapsed <= BODY_TIMEOUT * 1.1 + 0.5
    assert record_of(gateway, id)["status"] == 408
    assert not up.received


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("carrier", ["Authorization: Bearer wrong", "x-api-key: wrong", None], ids=["bearer", "x-api-key", "none"])
def test_bar_11_auth_failure_is_answered_without_the_body(gateway, up, dialect, carrier):
    """R17: the body is declared and never sent; the answer comes all the same, and the connection closes."""
    head = [f"POST {canned.PATHS[dialect]} HTTP/1.1", "Host: x", "Content-Length: 100000", "Expect: 100-continue"]
    with gateway.connect() as client:
        client.send(("\r\n".join(head + ([carrier] if carrier else [])) + "\r\n\r\n").encode())
        response = client.read_response("POST")
        check_error(dialect, response, 401)
        assert response.interim == [] and "www-authenticate" in response.headers
        assert client.wait_closed() in ("eof", "reset")


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("encoding", ["gzip", "zstd", "br", "deflate", "gzip, identity", "x-unknown"])
def test_bar_11_bar_12_content_encoding_is_415_body_unread(gateway, up, dialect, encoding):
    with gateway.connect() as client:
        client.send(post_head(dialect, f"Content-Encoding: {encoding}", "Content-Length: 50000"))
        check_error(dialect, client.read_response("POST"), 415)
        assert client.wait_closed() in ("eof", "reset")
    assert not up.received


@pytest.mark.parametrize("dialect", DIALECTS)
def test_bar_11_identity_encoding_and_no_content_type_pass(gateway, up, dialect):
    up.reply("POST", canned.PATHS[dialect], body=canned.answer(dialect))
    body = json.dumps(canned.request(dialect, MODELS[dialect])).encode()
    for headers in ([("content-encoding", "identity")], [("content-type", "text/plain")], []):
        assert gateway.request("POST", canned.PATHS[dialect], [*AUTH, *headers], body).status == 200


BROKEN = {
    "empty": b"", "blank": b"  \n", "not-json": b"model=x", "cut": b'{"model": "up-openai", "messages": [',
    "trailing": b'{"model":"up-openai","messages":[]} x', "two-values": b"{}{}", "nul": b'{"model":"a\x00b"}',
    "bad-utf8": b'{"model":"\xff\xfe","messages":[]}', "overlong-utf8": b'{"model":"\xc0\xaf","messages":[]}',
    "lone-surrogate": b'{"model":"\\ud800","messages":[]}', "comment": b'{"model":"up-openai"/**/}',
    "single-quotes": b"{'model':'up-openai'}", "trailing-comma": b'{"model":"up-openai",}', "nan": b'{"model":NaN}',
    "array": b'["model"]', "string": b'"model"', "null": b"null", "bare-control": b'{"model":"a\nb"}',
    "leading-zero": b'{"model":"up-openai","n":01}', "plus": b'{"model":"up-openai","n":+1}',
    "deep-arrays": b'{"model":"up-openai","x":' + b"[" * 20000 + b"]" * 20000 + b"}",
    "deep-objects": b'{"model":"up-openai","x":' + b'{"a":' * 20000 + b"1" + b"}" * 20000 + b"}",
    "deep-unclosed": b"[" * 100000, "model-number": b'{"model":4,"messages":[]}', "model-null": b'{"model":null}',
    "no-model": b'{"messages":[]}', "stream-word": b'{"model":"up-openai","stream":"yes","messages":[]}',
}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", BROKEN)
def test_bar_04_broken_json_is_400_in_the_dialect(gateway, up, dialect, name):
    with gateway.connect() as client:
        t = time.monotonic()
        client.request("POST", canned.PATHS[dialect], [*AUTH, ("content-type", "application/json")], BROKEN[name])
        response = client.read_response("POST")
        check_error(dialect, response, 400)
        assert time.monotonic() - t < 2
        # The request was framed well, so the connection lives on.
        client.request("GET", "/health")
        assert client.read_response("GET").status == 200
    assert not up.received


@pytest.mark.parametrize("dialect", DIALECTS)
def test_bar_04_answer_is_the_same_at_every_split_of_a_broken_body(gateway, up, dialect):
    body = BROKEN["trailing"]
    head = post_head(dialect, f"Content-Length: {len(body)}", "x-request-id: same")
    seen = set()
    with gateway.connect() as client:
        for cut in range(1, len(body)):
            client.send(head + body[:cut])
            client.send(body[cut:])
            seen.add(client.read_response("POST").body)
    assert len(seen) == 1


def test_bar_11_chunk_extension_flood_is_bounded(gateway, up):
    """Extensions are dead weight: a client that sends little else is refused, or read with bounded memory."""
    body = json.dumps(canned.request(OPENAI, MODELS[OPENAI])).encode()
    up.reply("POST", "/v1/chat/completions", body=canned.answer(OPENAI))
    before = gateway.rss_kib()
    with gateway.connect() as client:
        client.send(post_head(OPENAI, "Transfer-Encoding: chunked"))
        try:
            for i in range(len(body)):
                client.send(b"1;" + b"e" * 8000 + b"\r\n" + body[i: i + 1] + b"\r\n")
            client.send(b"0\r\n\r\n")
        except OSError:
            pass
        response = client.read_response("POST")
        assert response is None or response.status in (200, 400, 413, 431)
    if not gateway.sanitized:
        assert gateway.rss_kib() < before + 8 * 1024


def test_bar_11_one_endless_chunk_extension_is_refused(gateway, up):
    with gateway.connect() as client:
        client.send(post_head(OPENAI, "Transfer-Encoding: chunked") + b"1;")
        try:
            for _ in range(256):
                client.send(b"e" * 16384)
        except OSError:
            pass
        response = client.read_response("POST")
        assert response is None or response.status in (400, 413, 431)
    assert not up.received


def test_bar_11_endless_trailers_are_refused(gateway, up):
    with gateway.connect() as client:
        client.send(post_head(OPENAI, "Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n")
        try:
            for i in range(4096):
                client.send(b"x-t%d: %s\r\n" % (i, b"v" * 1000))
        except OSError:
            pass
        response = client.read_response("POST")
        assert response is None or response.status in (400, 413, 431)
    assert not up.received


def test_bar_11_pipelined_surplus_is_not_read_without_end(gateway, up):
    """While an answer is awaited, what a client sends on stays in the kernel: memory does not grow with it."""
    script = up.reply("POST", "/v1/messages", body=canned.answer(ANTHROPIC), hold_head=True)
    with gateway.connect() as client:
        body = json.dumps(canned.request(ANTHROPIC, MODELS[ANTHROPIC])).encode()
        client.request("POST", "/v1/messages", [*AUTH], body)
        hit = script.wait_for_request()
        client.sock.settimeout(0.3)
        sent = 0
        try:
            while sent < 64 << 20:
                sent += client.sock.send(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" * 2000)
        except TimeoutError:
            pass
        assert sent < 64 << 20, "64 MiB of pipelined requests were taken in"
        client.sock.settimeout(10)
        hit.release()
        assert client.read_response("POST").status == 200
        assert client.read_response("GET").status == 200
