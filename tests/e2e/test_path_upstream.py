"""The upstream's side of the path: Unix sockets, TLS, names, encodings, failover, statuses, keep-alives while it is silent."""

import gzip
import threading
import time

import pytest

from lib import canned
from lib.stand import (ANTHROPIC, DIALECTS, MODELS, OPENAI, PAIR_IDS, PAIRS, PROVIDER_KEYS, ask, check_error, check_failed, check_whole,
                       config, open_stream, provider, record_of)


@pytest.fixture(scope="module")
def up(module_faultd):
    return module_faultd()


@pytest.fixture(scope="module")
def spare(module_faultd):
    return module_faultd()


@pytest.fixture(scope="module")
def gateway(start_module_gateway, up, spare):
    return start_module_gateway(config(up, spare, timeouts={"first_byte": "5s"}))


def one_provider(dialect, origin, **more):
    return {"providers": {"p": provider(dialect, origin, models=["m"], **more)}, "server": {"workers": 1}}


# ---- where it may be -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", DIALECTS)
def test_unix_socket_upstream(start_gateway, faultd, tmp_path, dialect):
    path = str(tmp_path / "up.sock")
    server = faultd(unix=path)
    script = server.reply("POST", canned.PATHS[dialect], body=canned.stream(dialect))
    base = f"unix:{path}:/v1" if dialect == OPENAI else f"unix:{path}"
    gateway = start_gateway(one_provider(dialect, base))
    for _ in range(3):
        stream = open_stream(gateway, dialect, "m")
        check_whole(dialect, stream, "Hello.")
        server.wait_idle()
    assert len(server.conns) == 1
    assert script.hits[0].request.headers.get("host") == "localhost"
    server.refuse()
    server.close_idle()
    assert check_error(dialect, ask(gateway, dialect, "m"), 502)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_unix_socket_that_does_not_exist_is_502(start_gateway, tmp_path, dialect):
    gateway = start_gateway(one_provider(dialect, f"unix:{tmp_path}/none.sock"))
    error = check_error(dialect, ask(gateway, dialect, "m"), 502)
    assert '"p"' in error["message"] or "p" in error["message"]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_https_upstream_with_a_ca_file(start_gateway, faultd, certs, dialect):
    server = faultd(tls=certs.server_context())
    server.reply("POST", canned.PATHS[dialect], body=canned.stream(dialect))
    gateway = start_gateway(one_provider(dialect, server.origin, ca_file=certs.ca_file))
    for _ in range(3):
        check_whole(dialect, open_stream(gateway, dialect, "m"), "Hello.")
        server.wait_idle()
    assert len(server.conns) == 1, "TLS connections are pooled too"
    server.close_idle("rst")
    check_whole(dialect, open_stream(gateway, dialect, "m"), "Hello.")


def test_https_upstream_large_bodies_both_ways_and_byte_by_byte(start_gateway, faultd, certs):
    server = faultd(tls=certs.server_context())
    text = "x" * (2 << 20)
    script = server.reply("POST", "/v1/chat/completions", body=canned.openai_answer(text), times=1)
    gateway = start_gateway(one_provider(OPENAI, server.origin, ca_file=certs.ca_file))
    response = ask(gateway, OPENAI, "m", text=text)
    assert response.body == canned.openai_answer(text)
    assert script.wait_for_request().request.json()["messages"][0]["content"] == text
    server.reply("POST", "/v1/chat/completions", body=canned.openai_stream(["é🌍"]), wire_split="byte")
    check_whole(OPENAI, open_stream(gateway, OPENAI, "m"), "é🌍")


def _refused_tls(gateway, server, dialect):
    error = check_error(dialect, ask(gateway, dialect, "m"), 502)
    assert "TLS" in error["message"] or "certificate" in error["message"], error
    assert PROVIDER_KEYS[dialect].encode() not in server.received and not server.requests


@pytest.mark.parametrize("dialect", DIALECTS)
def test_https_wrong_authority_is_refused(start_gateway, faultd, certs, other_certs, dialect):
    server = faultd(tls=other_certs.server_context())
    _refused_tls(start_gateway(one_provider(dialect, server.origin, ca_file=certs.ca_file)), server, dialect)


def test_https_the_systems_store_does_not_know_our_authority(start_gateway, faultd, certs):
    server = faultd(tls=certs.server_context())
    _refused_tls(start_gateway(one_provider(OPENAI, server.origin)), server, OPENAI)


def test_https_wrong_host_is_refused(start_gateway, faultd, certs):
    server = faultd(tls=certs.server_context(names=("elsewhere.test",)))
    _refused_tls(start_gateway(one_provider(OPENAI, server.origin, ca_file=certs.ca_file)), server, OPENAI)


def test_https_address_of_a_certificate_for_a_name_is_refused(start_gateway, faultd, certs):
    server = faultd(tls=certs.server_context(names=("localhost",)))
    _refused_tls(start_gateway(one_provider(OPENAI, f"https://127.0.0.1:{server.port}", ca_file=certs.ca_file)), server, OPENAI)


def test_https_address_in_the_certificate_is_accepted(start_gateway, faultd, certs):
    server = faultd(tls=certs.server_context(names=("127.0.0.1",)))
    server.reply("POST", body=canned.openai_answer())
    gateway = start_gateway(one_provider(OPENAI, f"https://127.0.0.1:{server.port}", ca_file=certs.ca_file))
    assert ask(gateway, OPENAI, "m").status == 200


def test_https_expired_certificate_is_refused(start_gateway, faultd, certs):
    server = faultd(tls=certs.server_context(expired=True))
    _refused_tls(start_gateway(one_provider(OPENAI, server.origin, ca_file=certs.ca_file)), server, OPENAI)


def test_https_verification_may_be_switched_off_and_that_is_said(start_gateway, faultd, other_certs):
    server = faultd(tls=other_certs.server_context())
    server.reply("POST", body=canned.openai_answer())
    gateway = start_gateway(one_provider(OPENAI, server.origin, tls_verify=False))
    assert ask(gateway, OPENAI, "m").status == 200
    assert "tls_verify" in gateway.output()


@pytest.mark.parametrize("behaviour", ["fin", "rst", b"HTTP/1.1 400 Bad Request\r\n\r\n"], ids=["fin", "rst", "plain-http"])
def test_https_towards_something_that_speaks_no_tls(start_gateway, faultd, certs, behaviour):
    server = faultd()
    server.accept_default = behaviour
    gateway = start_gateway(one_provider(OPENAI, f"https://localhost:{server.port}", ca_file=certs.ca_file))
    check_error(OPENAI, ask(gateway, OPENAI, "m"), 502)
    assert PROVIDER_KEYS[OPENAI].encode() not in server.received


def test_dns_name_with_a_refused_v6_address_and_a_good_v4_one(start_gateway, faultd):
    """localhost is ::1 and 127.0.0.1 here: whichever comes first and refuses, the other is tried."""
    server = faultd()
    server.reply("POST", body=canned.openai_answer())
    gateway = start_gateway(one_provider(OPENAI, f"http://localhost:{server.port}"))
    response = ask(gateway, OPENAI, "m")
    assert response.status == 200 and response.headers.get("x-llm-gateway-attempts") == "1"
    assert server.requests[0].headers.get("host") == f"localhost:{server.port}"


def test_dns_name_that_does_not_exist_is_502_and_blocks_nobody(start_gateway, upstream):
    conf = one_provider(OPENAI, "http://no-such-host.invalid")
    conf["providers"]["good"] = provider(OPENAI, upstream.origin, models=["good"])
    upstream.reply("POST", body=canned.openai_answer())
    gateway = start_gateway(conf)
    errors = []
    t = threading.Thread(target=lambda: errors.append(ask(gateway, OPENAI, "m")))
    t.start()
    assert ask(gateway, OPENAI, "good").status == 200
    t.join(10)
    error = check_error(OPENAI, errors[0], 502)
    assert "resolve" in error["message"]


def test_refused_connection_is_502_naming_the_provider(gateway, faultd, start_gateway):
    server = faultd()
    server.refuse()
    own = start_gateway(one_provider(ANTHROPIC, server.origin))
    response = ask(own, ANTHROPIC, "m")
    assert '"p"' in check_error(ANTHROPIC, response, 502)["message"]
    assert record_of(own, response.id)["end"] == "upstream_error"


# ---- encodings ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("client,upstream", PAIRS, ids=PAIR_IDS)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_trap_123_gzip_of_the_upstream_although_identity_was_asked(gateway, up, client, upstream, stream):
    script = up.reply("POST", canned.PATHS[upstream], gzip=True, split=50,
                      body=canned.stream(upstream, ["zipped"]) if stream else canned.answer(upstream, "zipped"))
    if stream:
        s = open_stream(gateway, client, MODELS[upstream])
        check_whole(client, s, "zipped")
        headers = s.headers
    else:
        response = ask(gateway, client, MODELS[upstream])
        assert response.status == 200 and b"zipped" in response.body
        headers = response.headers
    assert "content-encoding" not in headers
    assert script.wait_for_request().request.headers.get("accept-encoding") == "identity"


def test_R18_gzip_bomb_of_the_upstream_is_capped(gateway, up):
    before = gateway.peak_rss_kib()
    # Members one after another are one stream to gzip: 256 MiB of nothing in a quarter of a megabyte.
    bomb = gzip.compress(b" " * (1 << 20)) * 256
    up.reply("POST", "/v1/chat/completions", headers=(("content-encoding", "gzip"),), body=bomb, content_type="application/json")
    check_error(OPENAI, ask(gateway, OPENAI, MODELS[OPENAI]), 502)
    assert gateway.peak_rss_kib() < before + 256 * 1024


@pytest.mark.parametrize("client,upstream", PAIRS, ids=PAIR_IDS)
def test_an_encoding_nobody_can_read_is_502(gateway, up, client, upstream):
    up.reply("POST", canned.PATHS[upstream], headers=(("content-encoding", "zstd"),), body=b"\x28\xb5\x2f\xfd", content_type="application/json")
    check_error(client, ask(gateway, client, MODELS[upstream]), 502)


# ---- failover and statuses -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 529, 401, 403, 404, 408, 402])
def test_failover_goes_in_order_and_counts_attempts(gateway, up, spare, dialect, status):
    first = up.reply("POST", canned.PATHS[dialect], status=status, body=canned.error(dialect))
    second = spare.reply("POST", canned.PATHS[dialect], body=canned.answer(dialect, "saved"))
    response = ask(gateway, dialect, f"either-{MODELS[dialect]}")
    assert response.status == 200 and b"saved" in response.body
    assert response.headers.get("x-llm-gateway-attempts") == "2"
    assert response.headers.get("x-llm-gateway-model") == f"spare-{MODELS[dialect]}"
    assert first.hits[0].request.t_end <= second.hits[0].request.t_first
    assert first.hits[0].request.json()["model"] == MODELS[dialect]
    assert second.hits[0].request.json()["model"] == f"spare-{MODELS[dialect]}"


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_mistake_of_the_request_is_not_tried_elsewhere(gateway, up, spare, dialect, status):
    up.reply("POST", canned.PATHS[dialect], status=status, body=canned.error(dialect, "your mistake"))
    response = ask(gateway, dialect, f"either-{MODELS[dialect]}")
    assert response.status == status and b"your mistake" in response.body
    assert response.headers.get("x-llm-gateway-attempts") == "1" and not spare.requests


@pytest.mark.parametrize("dialect", DIALECTS)
def test_when_all_targets_fail_the_last_ones_error_is_told(gateway, up, spare, dialect):
    up.reply("POST", canned.PATHS[dialect], status=500, body=canned.error(dialect, "first broke"))
    spare.reply("POST", canned.PATHS[dialect], status=503, body=canned.error(dialect, "second broke"))
    response = ask(gateway, dialect, f"either-{MODELS[dialect]}")
    assert response.status in (503, 500) and b"second broke" in response.body
    assert response.headers.get("x-llm-gateway-attempts") == "2"
    assert record_of(gateway, response.id)["attempts"] == 2


def test_failover_across_dialects(start_gateway, faultd):
    a, b = faultd(), faultd()
    a.reply("POST", "/v1/messages", status=529, body=canned.anthropic_error())
    b.reply("POST", "/v1/chat/completions", body=canned.openai_stream(["from the other side"]))
    conf = {"providers": {"ant": provider(ANTHROPIC, a.origin, models=["x"]), "oai": provider(OPENAI, b.origin, models=["y"])},
            "models": [{"name": "any", "targets": [{"provider": "ant", "model": "x"}, {"provider": "oai", "model": "y"}]}]}
    gateway = start_gateway(conf)
    for client in DIALECTS:
        stream = open_stream(gateway, client, "any")
        check_whole(client, stream, "from the other side")
        assert stream.headers.get("x-llm-gateway-provider") == "oai"


@pytest.mark.parametrize("client,upstream", PAIRS, ids=PAIR_IDS)
@pytest.mark.parametrize("status", [401, 403])
def test_R11_the_upstreams_refusal_of_our_key_is_502_without_the_key(gateway, up, client, upstream, status):
    """The client's own key is good: 401 would make it throw that away. The provider is named, its key is not."""
    leak = f"Incorrect API key provided: {PROVIDER_KEYS[upstream]}. sha256 abcdef"
    up.reply("POST", canned.PATHS[upstream], status=status, body=canned.error(upstream, leak))
    for stream in (False, True):
        response = ask(gateway, client, MODELS[upstream], stream=stream)
        error = check_error(client, response, 502)
        assert {OPENAI: "oai", ANTHROPIC: "ant"}[upstream] in error["message"] and "api_key" in error["message"]
        assert PROVIDER_KEYS[upstream].encode() not in response.body + response.raw_head
        assert "www-authenticate" not in response.headers


@pytest.mark.parametrize("client,upstream", PAIRS, ids=PAIR_IDS)
@pytest.mark.parametrize("value", ["7", "0", "3600"])
def test_429_passes_with_retry_after(gateway, up, client, upstream, value):
    body = canned.openai_error("slow down") if upstream == OPENAI else canned.anthropic_error("slow down", "rate_limit_error")
    up.reply("POST", canned.PATHS[upstream], status=429, body=body,
             headers=(("retry-after", value), ("x-should-retry", "true")))
    response = ask(gateway, client, MODELS[upstream])
    error = check_error(client, response, 429)
    assert "slow down" in error["message"]
    assert response.headers.get("retry-after") == value and response.headers.get("x-should-retry") == "true"


@pytest.mark.parametrize("status", [429, 503, 404])
def test_a_status_says_more_than_a_general_type(gateway, up, status):
    """Compatible servers write `api_error` into everything; the client must still back off at a 429."""
    up.reply("POST", "/v1/messages", status=status, body=canned.anthropic_error("slow down", "api_error"))
    check_error(OPENAI, ask(gateway, OPENAI, MODELS[ANTHROPIC]), status)


@pytest.mark.parametrize("client,upstream", PAIRS, ids=PAIR_IDS)
@pytest.mark.parametrize("status,openai,anthropic", [(400, 400, 400), (404, 404, 404), (413, 413, 413), (500, 500, 500),
                                                    (503, 503, 503), (529, 503, 529), (429, 429, 429), (402, 402, 402)])
def test_statuses_of_the_upstream_in_the_clients_dialect(gateway, up, client, upstream, status, openai, anthropic):
    kinds = {400: "invalid_request_error", 404: "not_found_error", 413: "request_too_large", 500: "api_error",
             503: "overloaded_error", 529: "overloaded_error", 429: "rate_limit_error", 402: "billing_error"}
    body = canned.anthropic_error("as it is", kinds[status]) if upstream == ANTHROPIC else canned.openai_error("as it is")
    up.reply("POST", canned.PATHS[upstream], status=status, body=body)
    response = ask(gateway, client, MODELS[upstream])
    wanted = {openai, anthropic} if client == upstream else {openai if client == OPENAI else anthropic}
    assert response.status in wanted, response.body
    assert b"as it is" in response.body
    if client == upstream:
        assert response.body == body, "the vendor's own error is relayed as it is"


@pytest.mark.parametrize("client,upstream", PAIRS, ids=PAIR_IDS)
@pytest.mark.parametrize("body,content_type", [(b'{"detail":"nothing here"}', "application/json"), (b'"nothing here"', "application/json"),
                                               (b"nothing here", "text/plain"), (b"", "text/plain"),
                                               (b"<html>nothing here</html>", "text/html"), (b"\xff\xfe\x00", "application/json"),
                                               (b"[" * 5000, "application/json"), (b"x" * (1 << 20), "text/plain")],
                         ids=["detail", "string", "text", "empty", "html", "binary", "deep", "long"])
def test_errors_of_any_shape_become_the_dialects_own(gateway, up, client, upstream, body, content_type):
    up.reply("POST", canned.PATHS[upstream], status=500, body=body, content_type=content_type)
    response = ask(gateway, client, MODELS[upstream])
    error = check_error(client, response, 500)
    assert len(response.body) < 8192 and "<html" not in error["message"]
    if b"nothing here" in body and b"<" not in body:
        assert "nothing here" in error["message"]


@pytest.mark.parametrize("raw", [b"HTTP/2 200 OK\r\n\r\n", b"hello\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
                                 b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nhello",
                                 b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"HTTP/1.1 999 X\r\n\r\n",
                                 b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}", b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 400000 + b"\r\n\r\n",
                                 b"HTTP/1.1 200 OK\r\nBad Name: x\r\nContent-Length: 2\r\n\r\n{}", b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n"],
                         ids=["h2", "text", "two-lengths", "te-cl", "bad-chunk", "999", "lf", "huge-head", "bad-name", "101"])
def test_R21_what_is_no_http_from_the_upstream_is_502(gateway, up, raw):
    up.reply("POST", "/v1/chat/completions", raw=raw, after="fin")
    check_error(OPENAI, ask(gateway, OPENAI, MODELS[OPENAI]), 502)
    up.clear()
    up.reply("POST", "/v1/chat/completions", body=canned.openai_answer())
    assert ask(gateway, OPENAI, MODELS[OPENAI]).status == 200


def test_an_early_error_while_the_request_is_still_being_sent(gateway, up):
    """The upstream refuses at the head and closes without reading: its answer is what the client hears, not a broken pipe."""
    up.reply("POST", "/v1/chat/completions", early=True, status=413, keep_alive=False, after="fin",
             body=canned.openai_error("too much for me", "invalid_request_error"))
    response = ask(gateway, OPENAI, MODELS[OPENAI], text="x" * (8 << 20))
    assert response.status in (413, 502)
    assert response.status == 413 or "too much" not in response.json()["error"]["message"]


# ---- keep-alives while it is silent ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def warm(start_module_gateway, up):
    return start_module_gateway(config(up, server={"keepalive": "1s"}))


def _at_once(jobs):
    """Runs the jobs at the same time, for they mostly wait; the first failure is raised here."""
    failures = []

    def run(job):
        try:
            job()
        except BaseException as e:      # told in the test's thread
            failures.append(e)
    threads = [threading.Thread(target=run, args=(j,), daemon=True) for j in jobs]
    for t in threads:
        t.start()
    for t in threads:
        t.join(40)
    if failures:
        raise failures[0]
    assert not any(t.is_alive() for t in threads)


def _silences(upstream):
    """A stream that says nothing for 2.3 s before its head, and again in the middle."""
    body = canned.stream(upstream, ["one ", "two"])
    starts = canned.event_starts(body)
    at = next(b for a, b in zip(starts, starts[1:]) if b"one" in body[a:b])
    return {"body": body, "head_delay": 2.3, "delays": {at: 2.3}}


def test_keepalives_while_the_upstream_is_silent_in_every_pair(warm, up):
    for upstream in DIALECTS:
        up.reply("POST", canned.PATHS[upstream], **_silences(upstream))

    def job(client, upstream):
        with warm.connect(timeout=20) as c:
            t = time.monotonic()
            stream = open_stream(warm, client, MODELS[upstream], c)
            assert stream.response.t_head - t < 2.2, "no keep-alive before the upstream's head"
            check_whole(client, stream, "one two")
            pings = [e for e in stream.events if e.event == "ping"]
            before = [t for t, _ in stream.parser.comments]
            assert before, "a comment before the first event"
            if client == ANTHROPIC:
                assert pings, "a ping between events"
                assert stream.events[0].event == "message_start"
            else:
                assert len(before) >= 2
    _at_once([lambda c=c, u=u: job(c, u) for c, u in PAIRS])


def test_keepalives_are_survived_by_the_official_sdks(warm, up, openai_client, anthropic_client):
    pytest.importorskip("openai")
    for upstream in DIALECTS:
        up.reply("POST", canned.PATHS[upstream], **_silences(upstream))

    def openai_job(upstream):
        chunks = openai_client(warm).chat.completions.create(model=MODELS[upstream], stream=True,
                                                             messages=[{"role": "user", "content": "x"}])
        assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "one two"

    def anthropic_job(upstream):
        with anthropic_client(warm).messages.stream(model=MODELS[upstream], max_tokens=9,
                                                    messages=[{"role": "user", "content": "x"}]) as s:
            assert s.get_final_text() == "one two"
    _at_once([lambda u=u, j=j: j(u) for u in DIALECTS for j in (openai_job, anthropic_job)])


def test_an_error_after_a_keepalive_is_told_in_the_stream(warm, up, openai_client, anthropic_client):
    """The 200 is out, so a status cannot tell any more: the SDKs must raise nevertheless."""
    import anthropic
    import openai
    for upstream in DIALECTS:
        up.reply("POST", canned.PATHS[upstream], status=500, body=canned.error(upstream, "broke late"), head_delay=2.3)

    def raw(client, upstream):
        with warm.connect(timeout=20) as c:
            stream = open_stream(warm, client, MODELS[upstream], c)
            assert stream.status == 200
            assert "broke late" in check_failed(client, stream)["message"]

    def openai_job():
        with pytest.raises(openai.APIError, match="broke late"):
            list(openai_client(warm).chat.completions.create(model=MODELS[OPENAI], stream=True,
                                                             messages=[{"role": "user", "content": "x"}]))

    def anthropic_job():
        with pytest.raises(anthropic.APIStatusError, match="broke late"):
            with anthropic_client(warm).messages.stream(model=MODELS[ANTHROPIC], max_tokens=9,
                                                        messages=[{"role": "user", "content": "x"}]) as s:
                s.get_final_text()
    _at_once([lambda c=c, u=u: raw(c, u) for c, u in PAIRS] + [openai_job, anthropic_job])


def test_keepalives_do_not_commit_to_a_target(start_gateway, faultd):
    """A comment went out while the first target was silent; nothing of an answer did, so the second still may answer."""
    a, b = faultd(), faultd()
    conf = config(a, b, server={"keepalive": "500ms"}, timeouts={"first_byte": "1800ms"})
    gateway = start_gateway(conf)
    for d in DIALECTS:
        a.reply("POST", canned.PATHS[d], answer="never")
        b.reply("POST", canned.PATHS[d], body=canned.stream(d, ["saved"]))

    def job(d):
        with gateway.connect(timeout=20) as c:
            stream = open_stream(gateway, d, f"either-{MODELS[d]}", c)
            check_whole(d, stream, "saved")
            assert stream.comments
    _at_once([lambda d=d: job(d) for d in DIALECTS])
