"""Bar 21: pooled connections that the upstream closes just before they are used again. A request goes out a second time only
where it cannot have been processed: on a reused connection that closed before one byte of an answer."""

import pytest

from lib import canned
from lib.stand import DIALECTS, MODELS, OPENAI, ask, check_error, check_whole, config, open_stream, record_of, wait_until


@pytest.fixture(scope="module")
def up(module_faultd):
    return module_faultd()


@pytest.fixture(scope="module")
def gateway(start_module_gateway, up):
    return start_module_gateway(config(up, server={"workers": 1}, timeouts={"first_byte": "2s"}))


@pytest.fixture(autouse=True)
def fresh_pool(gateway, up):
    """Each test begins without connections, so that numbers of connections mean something."""
    up.wait_idle()
    up.close_idle()
    wait_until(lambda: not gateway_connections(gateway, up), what="an empty pool")


def gateway_connections(gateway, up):
    return [s for s in gateway.sockets() if s[2] == up.port and s[0] == "ESTABLISHED"]


def warm(gateway, up, dialect=OPENAI):
    """One request that leaves one idle connection in the pool; the connection."""
    script = up.reply("POST", canned.PATHS[dialect], body=canned.answer(dialect), times=1)
    assert ask(gateway, dialect, MODELS[dialect]).status == 200
    up.wait_idle()
    assert len(up.idle_conns()) == 1
    up.scripts.remove(script)
    return up.idle_conns()[0]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_bar_21_connection_closed_while_idle_is_not_used(gateway, up, dialect, how, stream):
    for _ in range(10):
        conn = warm(gateway, up, dialect)
        up.reply("POST", canned.PATHS[dialect], times=1,
                 body=canned.stream(dialect) if stream else canned.answer(dialect))
        conn.close(how)
        if stream:
            check_whole(dialect, open_stream(gateway, dialect, MODELS[dialect]), "Hello.")
        else:
            assert ask(gateway, dialect, MODELS[dialect]).status == 200
        up.wait_idle()
        up.close_idle()
        up.clear()


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("after", ["fin_on_next", "rst_on_next", "fin_after_next", "rst_after_next"])
def test_bar_21_connection_closed_at_the_next_request_is_replayed_once(gateway, up, dialect, after):
    """The upstream closes as the request arrives, or once it has read it whole, without a byte of an answer."""
    for _ in range(5):
        up.reply("POST", canned.PATHS[dialect], body=canned.answer(dialect), times=1, after=after)
        up.reply("POST", canned.PATHS[dialect], body=canned.answer(dialect, "second"))
        assert ask(gateway, dialect, MODELS[dialect]).status == 200
        response = ask(gateway, dialect, MODELS[dialect])
        assert response.status == 200 and b"second" in response.body
        # A replay is no other target: the client's count of attempts is that of targets.
        assert response.headers.get("x-llm-gateway-attempts") == "1"
        up.wait_idle()
        up.close_idle()
        up.clear()


def test_bar_21_a_new_connection_is_never_replayed(gateway, up):
    """On a connection that was not reused nobody can know whether the request was processed: 502, asked once."""
    for behaviour in ("fin", "rst"):
        script = up.reply("POST", "/v1/chat/completions", raw=b"", fault=behaviour, wire_at=0)
        before = len(up.conns)
        check_error(OPENAI, ask(gateway, OPENAI, MODELS[OPENAI]), 502)
        assert len(script.hits) == 1 and len(up.conns) == before + 1
        up.clear()


@pytest.mark.parametrize("at", [1, 9, 17, 60])
@pytest.mark.parametrize("fault", ["fin", "rst"])
def test_bar_21_once_a_byte_of_an_answer_came_it_is_not_replayed(gateway, up, at, fault):
    warm(gateway, up)
    script = up.reply("POST", "/v1/chat/completions", body=canned.answer(OPENAI), fault=fault, wire_at=at, settle=True)
    check_error(OPENAI, ask(gateway, OPENAI, MODELS[OPENAI]), 502)
    assert len(script.hits) == 1
    assert len(up.conns) == 1


def test_bar_21_the_replay_itself_is_not_replayed(gateway, up):
    """A stale connection, then a new one that breaks too: the client hears of it after two tries, not more."""
    up.reply("POST", "/v1/chat/completions", body=canned.answer(OPENAI), times=1, after="fin_after_next")
    assert ask(gateway, OPENAI, MODELS[OPENAI]).status == 200
    script = up.reply("POST", "/v1/chat/completions", raw=b"", fault="fin", wire_at=0)
    check_error(OPENAI, ask(gateway, OPENAI, MODELS[OPENAI]), 502)
    assert len(script.hits) == 1
    assert sum(len(c.unanswered) for c in up.conns[-3:]) == 1


def test_bar_21_a_silent_pooled_connection_is_a_timeout_not_a_replay(gateway, up):
    warm(gateway, up)
    script = up.reply("POST", "/v1/chat/completions", answer="never")
    check_error(OPENAI, ask(gateway, OPENAI, MODELS[OPENAI]), 504)
    assert len(script.hits) == 1


def test_bar_21_surplus_bytes_spoil_a_connection(gateway, up):
    """R26: an upstream that says more than its answer is not trusted with another request."""
    up.reply("POST", "/v1/chat/completions", body=canned.answer(OPENAI), times=1,
             extra=b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwrong")
    first = ask(gateway, OPENAI, MODELS[OPENAI])
    assert first.status == 200 and b"wrong" not in first.body
    up.reply("POST", "/v1/chat/completions", body=canned.answer(OPENAI, "right"))
    second = ask(gateway, OPENAI, MODELS[OPENAI])
    assert second.status == 200 and b"right" in second.body
    assert up.conns[-1].number != up.conns[-2].number


def test_bar_21_a_cut_answers_connection_is_never_reused(gateway, up):
    """R26: after a client left in the middle, the rest of that answer must not become somebody else's."""
    body = canned.openai_stream(["mine"] * 4)
    script = up.reply("POST", "/v1/chat/completions", body=body, holds=[canned.event_starts(body)[3]], times=1)
    client = gateway.connect()
    stream = open_stream(gateway, OPENAI, MODELS[OPENAI], client)
    stream.take(1)
    hit = script.wait_for_request()
    hit.wait_held()
    client.close()
    hit.wait_disconnect(1)
    up.reply("POST", "/v1/chat/completions", body=canned.answer(OPENAI, "yours"))
    response = ask(gateway, OPENAI, MODELS[OPENAI])
    assert response.status == 200 and b"yours" in response.body and b"mine" not in response.body
    assert record_of(gateway, stream.id)["end"] == "client_gone"


def _many(gateway, up, n, how):
    """n requests one after another; the connection is closed under each second one."""
    bad = 0
    up.reply("POST", "/v1/chat/completions", body=canned.answer(OPENAI))
    with gateway.connect() as client:
        for i in range(n):
            client.request("POST", "/v1/chat/completions", json_body=canned.request(OPENAI, MODELS[OPENAI]))
            bad += client.read_response("POST").status != 200
            if i % 2:
                up.close_idle(how)
    return bad


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_bar_21_no_client_error_in_300_posts_over_a_stale_pool(gateway, up, how):
    assert _many(gateway, up, 300, how) == 0


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("how", ["fin", "rst"])
def test_bar_21_no_client_error_in_5000_posts_over_a_stale_pool(gateway, up, how):
    assert _many(gateway, up, 5000, how) == 0
