"""The client's side of the path: pipelining, expectations, HEAD, keep-alive, trailers, HTTP/1.0, and what is no HTTP (R21)."""

import json

import pytest

from lib import canned
from lib.stand import ANTHROPIC, DIALECTS, MODELS, OPENAI, PAIR_IDS, PAIRS, ask, check_error, check_whole, config, open_stream, send


@pytest.fixture(scope="module")
def up(module_faultd):
    return module_faultd()


@pytest.fixture(scope="module")
def gateway(start_module_gateway, up):
    return start_module_gateway(config(up, server={"workers": 1}))


def body_of(dialect, text="Hi", **more):
    return json.dumps(canned.request(dialect, MODELS[dialect], text, **more)).encode()


def raw_post(dialect, *fields, body=None, version="1.1", host="Host: x", path=None):
    body = body_of(dialect) if body is None else body
    lines = [f"POST {path or canned.PATHS[dialect]} HTTP/{version}", *([host] if host else []), *fields]
    if not any(f.lower().startswith(("content-length", "transfer-encoding")) for f in fields):
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


# ---- pipelining, keep-alive --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [None, 1, 7])
def test_pipelined_requests_are_answered_in_order(gateway, up, step):
    """A slow one first: those behind it wait, whole and streamed ones mixed."""
    slow = up.reply("POST", "/v1/chat/completions", body=canned.openai_answer("slow"), hold_head=True,
                    when=lambda r: b"first" in r.body)
    up.reply("POST", "/v1/chat/completions", body=canned.openai_stream(["streamed"]), when=lambda r: b'"stream"' in r.body)
    up.reply("POST", "/v1/messages", body=canned.anthropic_answer("last"))
    with gateway.connect() as c:
        c.send(raw_post(OPENAI, body=body_of(OPENAI, "first")) + raw_post(OPENAI, body=body_of(OPENAI, "x", stream=True))
               + b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" + b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"
               + raw_post(ANTHROPIC), step=step)
        slow.wait_for_request().release()
        assert b"slow" in c.read_response("POST").body
        check_whole(OPENAI, c.open_stream(), "streamed")
        assert c.read_response("GET").json() == {"status": "ok"}
        assert c.read_response("GET").status == 404
        assert b"last" in c.read_response("POST").body
        assert c.surplus() == b""


def test_pipelined_request_is_not_started_before_the_answer_ahead_ended(gateway, up):
    slow = up.reply("POST", "/v1/chat/completions", body=canned.openai_answer("slow"), hold_head=True)
    with gateway.connect() as c:
        c.send(raw_post(OPENAI) + raw_post(ANTHROPIC))
        hit = slow.wait_for_request()
        with gateway.connect() as other:      # a turn of the same worker's loop has passed once this is answered
            other.request("GET", "/health")
            other.read_response("GET")
        assert not any("messages" in r.target for r in up.requests)
        up.reply("POST", "/v1/messages", body=canned.anthropic_answer())
        hit.release()
        assert c.read_response("POST").status == 200 and c.read_response("POST").status == 200


def test_keep_alive_both_sides_one_upstream_connection_for_20_requests(gateway, up):
    up.wait_idle()
    up.close_idle()
    before = len(up.conns)
    up.reply("POST", "/v1/chat/completions", body=canned.openai_answer())
    with gateway.connect() as c:
        for _ in range(20):
            send(c, OPENAI, MODELS[OPENAI])
            assert c.read_response("POST").status == 200
    assert len(up.conns) == before + 1


@pytest.mark.parametrize("client,upstream", PAIRS, ids=PAIR_IDS)
def test_streams_of_every_pair_leave_their_upstream_connection_usable(gateway, up, client, upstream):
    up.wait_idle()
    up.close_idle()
    before = len(up.conns)
    up.reply("POST", canned.PATHS[upstream], body=canned.stream(upstream))
    for _ in range(5):
        with gateway.connect() as c:
            send(c, client, MODELS[upstream], stream=True)
            check_whole(client, c.open_stream(), "Hello.")
        up.wait_idle()
    # The client has its end with [DONE]; the upstream's last chunk may come after the next request has gone out.
    assert len(up.conns) <= before + 2


def test_connection_close_of_the_client_is_obeyed(gateway, up):
    up.reply("POST", "/v1/chat/completions", body=canned.openai_stream())
    with gateway.connect() as c:
        send(c, OPENAI, MODELS[OPENAI], stream=True, headers=[("connection", "close")])
        stream = c.open_stream()
        check_whole(OPENAI, stream)
        assert stream.headers.get("connection", "").lower() == "close"
        assert c.wait_closed(1) == "eof"


def test_connection_close_of_the_upstream_is_its_own(gateway, up):
    """Hop by hop: what the upstream does with its connection is nothing to the client's."""
    up.reply("POST", "/v1/chat/completions", body=canned.openai_answer(), keep_alive=False)
    with gateway.connect() as c:
        for _ in range(3):
            send(c, OPENAI, MODELS[OPENAI])
            response = c.read_response("POST")
            assert response.status == 200 and response.headers.get("connection", "keep-alive").lower() != "close"


# ---- Expect, HEAD, chunked, 1.0 -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", DIALECTS)
def test_expect_100_continue_is_said_once_and_before_the_body(gateway, up, dialect):
    up.reply("POST", canned.PATHS[dialect], body=canned.answer(dialect))
    body = body_of(dialect)
    with gateway.connect() as c:
        c.send(raw_post(dialect, "Expect: 100-continue", f"Content-Length: {len(body)}", body=b""))
        interim = c._read_head_bytes()
        assert interim.startswith(b"HTTP/1.1 100 ")
        c.send(body)
        response = c.read_response("POST")
        assert response.status == 200 and response.interim == []


def test_expect_100_with_the_body_at_once_needs_no_interim(gateway, up):
    up.reply("POST", "/v1/chat/completions", body=canned.openai_answer())
    with gateway.connect() as c:
        c.send(raw_post(OPENAI, "Expect: 100-continue"))
        response = c.read_response("POST")
        assert response.status == 200 and len(response.interim) <= 1


def test_expect_of_anything_else_is_417(gateway):
    with gateway.connect() as c:
        c.send(raw_post(OPENAI, "Expect: the-unexpected"))
        check_error(OPENAI, c.read_response("POST"), 417)


@pytest.mark.parametrize("target", ["/health", "/ready", "/v1/models", "/v1/models/up-openai", "/nowhere", "/"])
def test_head_is_get_without_the_body(gateway, target):
    with gateway.connect() as c:
        c.request("GET", target)
        get = c.read_response("GET")
        c.request("HEAD", target)
        head = c.read_response("HEAD")
        c.request("GET", "/health")          # nothing of a body stands between
        assert c.read_response("GET").status == 200
    assert head.status == get.status and head.body == b""
    if target != "/nowhere":        # its message repeats the method
        assert head.headers.get("content-length") == get.headers.get("content-length")
    assert head.headers.get("content-type") == get.headers.get("content-type")


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("size", [True, 1, 5])
@pytest.mark.parametrize("step", [None, 1])
def test_chunked_request_with_trailers(gateway, up, dialect, size, step):
    script = up.reply("POST", canned.PATHS[dialect], body=canned.answer(dialect))
    body = body_of(dialect, "héllo")
    with gateway.connect() as c:
        c.request("POST", canned.PATHS[dialect], [("content-type", "application/json")], body, chunked=size,
                  trailers=[("x-checksum", "abc"), ("authorization", "Bearer smuggled")], step=step)
        assert c.read_response("POST").status == 200
        c.request("GET", "/health")
        assert c.read_response("GET").status == 200
    request = script.wait_for_request().request
    assert request.body == body and request.framing == ("length", len(body))
    assert b"smuggled" not in request.raw and b"x-checksum" not in request.raw


def test_chunked_answer_of_the_upstream_with_trailers(gateway, up):
    up.reply("POST", "/v1/chat/completions", body=canned.openai_stream(), trailers=(("x-t", "1"),))
    check_whole(OPENAI, open_stream(gateway, OPENAI, MODELS[OPENAI]), "Hello.")
    up.clear()
    up.reply("POST", "/v1/chat/completions", body=canned.openai_answer(), trailers=(("x-t", "1"),), framing="chunked",
             split=3)
    response = ask(gateway, OPENAI, MODELS[OPENAI])
    assert response.body == canned.openai_answer() and "x-t" not in response.headers


def test_interim_answers_of_the_upstream_are_passed_over(gateway, up):
    up.reply("POST", "/v1/chat/completions", body=canned.openai_answer(),
             interim=((103, (("link", "</x>"),)), (102, ()), (100, ())))
    response = ask(gateway, OPENAI, MODELS[OPENAI])
    assert response.status == 200 and response.interim == [] and "link" not in response.headers


@pytest.mark.parametrize("host", [None, "Host: x"])
def test_http_1_0_whole_answer_has_a_length_and_closes(gateway, up, host):
    up.reply("POST", "/v1/chat/completions", body=canned.openai_answer())
    with gateway.connect() as c:
        c.send(raw_post(OPENAI, version="1.0", host=host))
        response = c.read_response("POST")
        assert response.status == 200 and response.body == canned.openai_answer()
        assert "transfer-encoding" not in response.headers
        assert c.wait_closed(1) == "eof"


@pytest.mark.parametrize("client,upstream", PAIRS, ids=PAIR_IDS)
def test_http_1_0_stream_is_delimited_by_the_close(gateway, up, client, upstream):
    up.reply("POST", canned.PATHS[upstream], body=canned.stream(upstream))
    body = json.dumps(canned.request(client, MODELS[upstream], stream=True)).encode()
    with gateway.connect() as c:
        c.send(raw_post(client, body=body, version="1.0"))
        stream = c.open_stream()
        stream.rest()
        assert "transfer-encoding" not in stream.headers and stream.end == "close" and not stream.torn
        from lib.stand import problems, text_of
        assert problems(client, stream.events) == [] and text_of(client, stream.events) == "Hello."


def test_http_1_0_keep_alive_is_honoured_where_the_length_is_known(gateway):
    with gateway.connect() as c:
        for _ in range(2):
            c.send(b"GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            response = c.read_response("GET")
            assert response.status == 200
            if response.headers.get("connection", "").lower() != "keep-alive":
                assert c.wait_closed(1) == "eof"
                break


def test_a_blank_line_before_the_request_is_forgiven(gateway):
    with gateway.connect() as c:
        c.send(b"\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert c.read_response("GET").status == 200


@pytest.mark.parametrize("step", [1, 2, 3])
def test_requests_in_pieces_of_any_size(gateway, up, step):
    script = up.reply("POST", "/v1/messages", body=canned.anthropic_answer())
    body = body_of(ANTHROPIC, "größer 🌍")
    with gateway.connect() as c:
        c.request("POST", "/v1/messages", [("content-type", "application/json")], body, step=step)
        assert c.read_response("POST").status == 200
    assert script.wait_for_request().request.body == body


def test_upgrade_is_ignored(gateway):
    with gateway.connect() as c:
        c.send(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
               b"HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n")
        assert c.read_response("GET").status == 200


# ---- R21 -----------------------------------------------------------------------------------------------------------------------

BODY = body_of(OPENAI)
N = len(BODY)
CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (N, BODY)
LINE = b"POST /v1/chat/completions HTTP/1.1\r\n"


def bad(*fields, line=LINE, host=b"Host: x", payload=BODY, end=b"\r\n"):
    return line + end.join([*([host] if host else []), *fields]) + end + end + payload


def length(value=b"%d" % N):
    return b"Content-Length: " + value


TE = b"Transfer-Encoding: chunked"
MALFORMED = {
    "cl-and-te": bad(length(), TE, payload=CHUNKED), "te-and-cl": bad(TE, length(), payload=CHUNKED),
    "te-and-cl-0": bad(TE, length(b"0"), payload=CHUNKED), "two-cl-same": bad(length(), length()),
    "two-cl-differ": bad(length(), length(b"3")), "cl-list": bad(length(b"%d, %d" % (N, N))), "cl-plus": bad(length(b"+%d" % N)),
    "cl-minus": bad(length(b"-1")), "cl-hex": bad(length(b"0x%x" % N)), "cl-empty": bad(length(b"")),
    "cl-words": bad(length(b"ten")), "cl-inner-blank": bad(length(b"1 0")), "cl-decimal": bad(length(b"%d.0" % N)),
    "cl-overflow": bad(length(b"18446744073709551617")), "cl-huge": bad(length(b"9" * 40)),
    "cl-underscore": bad(length(b"1_0")), "te-identity": bad(b"Transfer-Encoding: identity", length()),
    "te-gzip": bad(b"Transfer-Encoding: gzip", payload=CHUNKED),
    "te-not-last": bad(b"Transfer-Encoding: chunked, gzip", payload=CHUNKED),
    "te-twice": bad(TE, TE, payload=CHUNKED), "te-chunked-chunked": bad(b"Transfer-Encoding: chunked, chunked", payload=CHUNKED),
    "te-x": bad(b"Transfer-Encoding: xchunked", payload=CHUNKED), "te-vt": bad(b"Transfer-Encoding: \x0bchunked", payload=CHUNKED),
    "te-quoted": bad(b'Transfer-Encoding: "chunked"', payload=CHUNKED), "te-empty": bad(b"Transfer-Encoding:", payload=CHUNKED),
    "te-param": bad(b"Transfer-Encoding: chunked;q=1", payload=CHUNKED),
    "te-in-1.0": bad(TE, line=LINE.replace(b"1.1", b"1.0"), payload=CHUNKED),
    "te-space-before-colon": bad(b"Transfer-Encoding : chunked", payload=CHUNKED),
    "chunk-size-plus": bad(TE, payload=b"+" + CHUNKED), "chunk-size-0x": bad(TE, payload=b"0x" + CHUNKED),
    "chunk-size-minus": bad(TE, payload=b"-1\r\n"), "chunk-size-empty": bad(TE, payload=b"\r\n" + CHUNKED),
    "chunk-size-huge": bad(TE, payload=b"f" * 17 + b"\r\n" + BODY), "chunk-size-words": bad(TE, payload=b"zz\r\n"),
    "chunk-no-crlf": bad(TE, payload=b"%x\r\n%sX0\r\n\r\n" % (N, BODY)),
    "chunk-lf": bad(TE, payload=b"%x\n%s\n0\n\n" % (N, BODY)), "chunk-cr": bad(TE, payload=b"%x\r%s\r0\r\r" % (N, BODY)),
    "chunk-ext-lf": bad(TE, payload=b"%x;a\nb\r\n%s\r\n0\r\n\r\n" % (N, BODY)),
    "chunk-ext-ctl": bad(TE, payload=b"%x;a=\x01\r\n%s\r\n0\r\n\r\n" % (N, BODY)),
    "trailer-bad": bad(TE, payload=b"%x\r\n%s\r\n0\r\nno colon\r\n\r\n" % (N, BODY)),
    "lf-lines": bad(length(), end=b"\n"), "lf-one": LINE + b"Host: x\nContent-Length: %d\r\n\r\n" % N + BODY,
    "cr-in-value": bad(length(), b"X-A: b\rX-C: d"), "nul-in-value": bad(length(), b"X-A: b\x00c"),
    "ctl-in-value": bad(length(), b"X-A: b\x01c"), "nul-in-name": bad(length(), b"X\x00A: b"),
    "space-in-name": bad(length(), b"X A: b"), "space-before-colon": bad(length(), b"X-A : b"), "no-name": bad(length(), b": b"),
    "no-colon": bad(length(), b"X-A"), "paren-in-name": bad(length(), b"X(A): b"), "utf8-in-name": bad(length(), "Ü: b".encode()),
    "fold": bad(length(), b"X-A: b\r\n c"), "fold-tab": bad(length(), b"X-A: b\r\n\tc"), "fold-first": bad(b" Host: x", length(), host=None),
    "no-host": bad(length(), host=None), "two-hosts": bad(length(), b"Host: y"), "host-blank-inside": bad(length(), host=b"Host: a b"),
    "host-user": bad(length(), host=b"Host: a@b"), "host-path": bad(length(), host=b"Host: a/b"),
    "version-2": bad(length(), line=LINE.replace(b"1.1", b"2.0")), "version-9": bad(length(), line=LINE.replace(b"1.1", b"1.9")),
    "version-lower": bad(length(), line=LINE.replace(b"HTTP", b"http")), "version-none": bad(length(), line=b"POST /v1/chat/completions\r\n"),
    "version-trailing": bad(length(), line=LINE[:-2] + b" x\r\n"), "two-blanks": bad(length(), line=LINE.replace(b" /", b"  /")),
    "tab": bad(length(), line=LINE.replace(b" /", b"\t/")), "leading-blank": bad(length(), line=b" " + LINE),
    "target-ctl": bad(length(), line=LINE.replace(b"/v1", b"/\x01v1")), "target-nul": bad(length(), line=LINE.replace(b"/v1", b"/\x00v1")),
    "target-blank": bad(length(), line=LINE.replace(b"/v1", b"/ v1")), "target-relative": bad(length(), line=LINE.replace(b"/v1", b"v1")),
    "method-ctl": bad(length(), line=b"PO\x01ST" + LINE[4:]), "method-empty": bad(length(), line=LINE[4:]),
    "h2-preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "tls-hello": bytes.fromhex("16030100a5010000a10303") + b"x" * 40 + b"\r\n\r\n",
    "garbage": b"\x00\x01\x02\x03\r\n\r\n", "sslv2": b"\x80\x2e\x01\x03\x01\r\n\r\n", "json": b'{"model":"x"}\r\n\r\n',
}
SMUGGLED = b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body_of(ANTHROPIC)), body_of(ANTHROPIC))


@pytest.mark.parametrize("step", [None, 1], ids=["whole", "bytewise"])
@pytest.mark.parametrize("name", MALFORMED)
def test_R21_malformed_requests_are_400_and_closed_and_nothing_goes_up(gateway, up, name, step):
    before = len(up.received)
    with gateway.connect(timeout=5) as c:
        try:
            c.send(MALFORMED[name] + SMUGGLED, step=step)
        except OSError:
            pass                # refused and closed while we still sent
        try:
            response = c.read_response("POST")
        except ConnectionError:
            response = None
        if response is not None:
            assert response.status in (400, 501, 505, 431), (name, response)
            assert response.headers.get("connection", "").lower() == "close"
            assert c.wait_closed(2) in ("eof", "reset")
        else:
            assert step == 1 or name, "closed without a word"
    assert len(up.received) == before, up.received[before:][:300]


def test_R21_a_malformed_request_behind_a_good_one_does_not_spoil_its_answer(gateway, up):
    up.reply("POST", "/v1/chat/completions", body=canned.openai_answer("good"))
    with gateway.connect() as c:
        c.send(raw_post(OPENAI) + MALFORMED["cl-and-te"])
        assert b"good" in c.read_response("POST").body
        assert c.read_response("POST").status == 400
        assert c.wait_closed(2) in ("eof", "reset")
    assert len(up.requests) == 1


@pytest.mark.parametrize("dialect", DIALECTS)
def test_R21_the_refusal_speaks_the_dialect_of_the_path(gateway, dialect):
    with gateway.connect() as c:
        c.send(raw_post(dialect, "Content-Length: 5", "Content-Length: 6"))
        response = c.read_response("POST")
        assert response.status == 400
        assert response.headers.get("content-type", "").startswith("application/json")
        assert "error" in response.json()


HARMLESS = {
    "te-case": ([b"Transfer-Encoding: Chunked"], CHUNKED), "chunk-ext": ([TE], b"%x;a=b\r\n%s\r\n0;z\r\n\r\n" % (N, BODY)),
    "chunk-upper": ([TE], b"%X\r\n%s\r\n0\r\n\r\n" % (N, BODY)), "chunk-leading-0": ([TE], b"000%x\r\n%s\r\n00\r\n\r\n" % (N, BODY)),
    "cl-leading-0": ([b"Content-Length: 0%d" % N], BODY), "many-hops": ([length(), b"Connection: close, x-a", b"X-A: 1"], BODY),
    "obs-text": ([length(), b"X-A: \xe9\xff"], BODY), "blank-value": ([length(), b"X-A:"], BODY),
    "ows": ([b"Content-Length: \t %d \t" % N], BODY),
}


@pytest.mark.parametrize("step", [None, 1], ids=["whole", "bytewise"])
@pytest.mark.parametrize("name", HARMLESS)
def test_R21_what_only_looks_odd_goes_through_unharmed(gateway, up, name, step):
    """Or is refused: but what goes up is exactly the request, framed by us."""
    script = up.reply("POST", "/v1/chat/completions", body=canned.openai_answer())
    fields, payload = HARMLESS[name]
    with gateway.connect() as c:
        c.send(bad(*fields, payload=payload), step=step)
        response = c.read_response("POST")
        assert response.status in (200, 400)
    for hit in script.hits:
        assert hit.request.body == BODY and hit.request.problems == []
        assert "x-a" not in hit.request.headers
