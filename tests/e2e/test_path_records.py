"""What people see of an exchange: its id, our headers, its access record; the operations' endpoints; refusals of routes and
models; and R27: what goes up holds only what was meant to."""

import json
import re

import pytest

from lib import canned
from lib.stand import (ANTHROPIC, DIALECTS, MODELS, OPENAI, PAIR_IDS, PAIRS, PROVIDER_KEYS, PROVIDERS, ask, check_error, check_whole,
                       config, open_stream, record_of)


@pytest.fixture(scope="module")
def up(module_faultd):
    return module_faultd()


@pytest.fixture(scope="module")
def gateway(start_module_gateway, up):
    return start_module_gateway(config(up))


# ---- ids and headers -------------------------------------------------------------------------------------------------------------

SANE = ["abc", "req_0123-AB.cd", "x" * 128]
INSANE = ["", "a b", "x" * 129, "a;b", "é", '"quoted"', "a/b", "<x>"]


@pytest.mark.parametrize("client,upstream", PAIRS, ids=PAIR_IDS)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_request_id_of_the_caller_is_kept_if_sane(gateway, up, client, upstream, stream):
    up.reply("POST", canned.PATHS[upstream], body=canned.stream(upstream) if stream else canned.answer(upstream),
             headers=(("x-request-id", "the-upstreams-own"), ("request-id", "the-upstreams-own")))
    for id in SANE:
        response = ask(gateway, client, MODELS[upstream], stream=stream, id=id)
        assert response.headers.all("x-request-id") == [id]
        assert response.headers.all("request-id") == ([id] if client == ANTHROPIC else [])
        assert response.headers.get("x-llm-gateway-upstream-request-id") == "the-upstreams-own"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_request_id_is_minted_when_there_is_none_or_a_bad_one(gateway, up, dialect):
    up.reply("POST", canned.PATHS[dialect], body=canned.answer(dialect))
    seen = set()
    for id in [None, *INSANE]:
        with gateway.connect() as c:
            headers = [("x-request-id", id)] if id is not None else []
            c.request("POST", canned.PATHS[dialect], [(n, v.encode().decode("latin-1")) for n, v in headers],
                      json_body=canned.request(dialect, MODELS[dialect]))
            response = c.read_response("POST")
        minted = response.headers.get("x-request-id")
        assert re.fullmatch(r"req_[A-Za-z0-9]{16,}", minted), minted
        seen.add(minted)
        if dialect == ANTHROPIC:
            assert response.headers.get("request-id") == minted
    assert len(seen) == 1 + len(INSANE)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_request_id_stands_in_errors_too(gateway, dialect):
    response = ask(gateway, dialect, "no-such-model-at-all", id="my-own-id")
    assert response.headers.get("x-request-id") == "my-own-id"
    if dialect == ANTHROPIC:
        assert response.json()["request_id"] == "my-own-id"


def test_request_id_of_anthropics_own_spelling_is_kept(gateway, up):
    up.reply("POST", "/v1/messages", body=canned.anthropic_answer())
    with gateway.connect() as c:
        c.request("POST", "/v1/messages", [("request-id", "req_mine")], json_body=canned.request(ANTHROPIC, MODELS[ANTHROPIC]))
        response = c.read_response("POST")
    assert response.headers.get("request-id") == "req_mine" == response.headers.get("x-request-id")


@pytest.mark.parametrize("client,upstream", PAIRS, ids=PAIR_IDS)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_headers_of_ours_say_who_answered(gateway, up, client, upstream, stream):
    up.reply("POST", canned.PATHS[upstream], body=canned.stream(upstream) if stream else canned.answer(upstream),
             headers=(("server", "up/1"), ("set-cookie", "a=b"), ("x-llm-gateway-provider", "fake"), ("openai-organization", "org-secret"),
                      ("connection", "keep-alive"), ("x-powered-by", "x")))
    response = ask(gateway, client, MODELS[upstream], stream=stream)
    h = response.headers
    assert h.all("x-llm-gateway-provider") == [PROVIDERS[upstream]]
    assert h.get("x-llm-gateway-model") == MODELS[upstream] and h.get("x-llm-gateway-attempts") == "1"
    for name in ("set-cookie", "openai-organization", "x-powered-by"):
        assert name not in h
    assert "up/1" not in str(h)
    if stream:
        assert h.get("content-type").startswith("text/event-stream")
        assert "no-store" in h.get("cache-control") and h.get("x-accel-buffering") == "no"
    assert "date" in h


def test_dropped_parameters_are_disclosed_and_strict_refuses_them(gateway, up):
    up.reply("POST", "/v1/messages", body=canned.anthropic_answer())
    response = ask(gateway, OPENAI, MODELS[ANTHROPIC], logit_bias={"5": 1}, seed=7)
    assert response.status == 200
    dropped = response.headers.get("x-llm-gateway-dropped", "")
    assert "logit_bias" in dropped and "seed" in dropped
    assert record_of(gateway, response.id)["dropped"] == dropped
    seen = len(up.requests)
    error = check_error(OPENAI, ask(gateway, OPENAI, MODELS[ANTHROPIC], seed=7, headers=[("x-llm-gateway-strict", "true")]), 400)
    assert "seed" in error["message"] and len(up.requests) == seen
    whole = ask(gateway, OPENAI, MODELS[ANTHROPIC], headers=[("x-llm-gateway-strict", "true")])
    assert whole.status == 200 and "x-llm-gateway-dropped" not in whole.headers


@pytest.mark.parametrize("dialect", DIALECTS)
def test_rate_limit_headers_pass_in_their_own_dialect_only(gateway, up, dialect):
    names = ("x-ratelimit-remaining-requests", "anthropic-ratelimit-requests-remaining")
    up.reply("POST", canned.PATHS[dialect], body=canned.answer(dialect), headers=tuple((n, "5") for n in names))
    same = ask(gateway, dialect, MODELS[dialect])
    other = ask(gateway, ANTHROPIC if dialect == OPENAI else OPENAI, MODELS[dialect])
    assert any(n in same.headers for n in names)
    assert not any(n in other.headers for n in names)


# ---- the access record -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("client,upstream", PAIRS, ids=PAIR_IDS)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_access_record_is_complete(gateway, up, client, upstream, stream):
    usage = (canned.openai_usage if upstream == OPENAI else canned.anthropic_usage)(23, 41)
    if stream and upstream == ANTHROPIC:
        body = canned.anthropic_stream(["x"], output_tokens=41, usage=canned.anthropic_usage(23, 1))
    else:
        body = (canned.stream if stream else canned.answer)(upstream, usage=usage)
    up.reply("POST", canned.PATHS[upstream], body=body, head_delay=0.05)
    response = ask(gateway, client, MODELS[upstream], stream=stream)
    assert response.status == 200
    r = record_of(gateway, response.id)
    wanted = {"method": "POST", "path": canned.PATHS[client], "protocol": client, "upstream_protocol": upstream,
              "provider": PROVIDERS[upstream], "model": MODELS[upstream], "upstream_model": MODELS[upstream], "status": 200,
              "stream": stream, "input_tokens": 23, "output_tokens": 41, "attempts": 1, "end": "ok"}
    assert {k: r.get(k) for k in wanted} == wanted
    assert 50 <= r["first_byte_ms"] <= r["total_ms"] < 5000
    assert r["client"].startswith("127.0.0.1:")
    assert "time" in r or "ts" in r


@pytest.mark.parametrize("upstream", DIALECTS)
def test_access_record_counts_usage_that_the_client_did_not_ask_for(gateway, up, upstream):
    """Trap 10: usage is always asked for upstream, and hidden from a client that did not."""
    script = up.reply("POST", canned.PATHS[upstream], body=canned.stream(upstream))
    stream = open_stream(gateway, OPENAI, MODELS[upstream])
    check_whole(OPENAI, stream)
    assert not any(json.loads(e.data).get("usage") for e in stream.events if e.data != "[DONE]")
    assert record_of(gateway, stream.id)["output_tokens"] == 7
    if upstream == OPENAI:
        assert script.wait_for_request().request.json()["stream_options"] == {"include_usage": True}
    again = open_stream(gateway, OPENAI, MODELS[upstream], stream_options={"include_usage": True})
    check_whole(OPENAI, again)
    assert json.loads(again.events[-2].data)["usage"]["completion_tokens"] == 7


@pytest.mark.parametrize("dialect", DIALECTS)
def test_access_record_of_refusals(gateway, dialect):
    response = ask(gateway, dialect, "no-such-model-at-all")
    r = record_of(gateway, response.id)
    assert (r["status"], r["end"], r["attempts"], r["model"]) == (404, "refused", 0, "no-such-model-at-all")
    assert "output_tokens" not in r or r["output_tokens"] is None


def test_access_record_keeps_hostile_names_inside_their_field(gateway):
    """A name with line breaks, quotes and control bytes is one JSON string of one line."""
    name = 'x"\n{"event":"access","id":"forged"}\x1b[31m\u2028'
    response = ask(gateway, OPENAI, name)
    assert record_of(gateway, response.id)["model"] == name
    assert not [r for r in gateway.access_records() if r["id"] == "forged"]
    assert "\x1b" not in gateway.output()


# ---- operations ---------------------------------------------------------------------------------------------------------------------


def test_health_and_ready_with_the_providers_states(start_gateway, faultd):
    up = faultd()
    gateway = start_gateway(config(up))
    assert gateway.request("GET", "/health").json() == {"status": "ok"}
    ready = gateway.request("GET", "/ready")
    assert ready.status == 200 and ready.json()["status"] == "ready"
    assert {n: p["state"] for n, p in ready.json()["providers"].items()} == {"oai": "unknown", "ant": "unknown"}
    assert {n: p["type"] for n, p in ready.json()["providers"].items()} == {"oai": "openai", "ant": "anthropic"}
    bad = up.reply("POST", "/v1/chat/completions", status=503, body=canned.openai_error())
    up.reply("POST", "/v1/messages", body=canned.anthropic_answer())
    ask(gateway, OPENAI, MODELS[OPENAI])
    ask(gateway, OPENAI, MODELS[OPENAI])
    ask(gateway, ANTHROPIC, MODELS[ANTHROPIC])
    state = gateway.request("GET", "/ready").json()["providers"]
    assert state["ant"]["state"] == "ok" and state["oai"]["state"] == "failing"
    assert state["oai"]["failures"] == 2 and state["oai"]["error"] == "status_503"
    # One provider's outage takes no gateway out of a load balancer.
    assert gateway.request("GET", "/ready").status == 200
    up.scripts.remove(bad)
    up.reply("POST", "/v1/chat/completions", body=canned.openai_answer())
    ask(gateway, OPENAI, MODELS[OPENAI])
    assert gateway.request("GET", "/ready").json()["providers"]["oai"]["state"] == "ok"


@pytest.mark.parametrize("path,dialect", [("/nowhere", OPENAI), ("/v1/nowhere", OPENAI), ("/v1/messages/batches", ANTHROPIC),
                                          ("/anthropic/v1/nowhere", ANTHROPIC), ("/openai/nowhere", OPENAI), ("/v1/chat", OPENAI),
                                          ("/v1/messages/", ANTHROPIC), ("//v1/messages", OPENAI), ("/V1/messages", OPENAI)])
def test_unknown_routes_are_404_in_the_dialect_of_the_path(gateway, path, dialect):
    for method in ("GET", "POST", "DELETE"):
        check_error(dialect, gateway.request(method, path, body=b"" if method == "POST" else None), 404)
    with_version = gateway.request("GET", "/nowhere", [("anthropic-version", "2023-06-01")])
    check_error(ANTHROPIC, with_version, 404)


GEMINI, OLLAMA = "gemini", "ollama"


def check_refusal_of_a_method(words, response):
    """In the words of whoever the path is of."""
    if words in DIALECTS:
        error = check_error(words, response, 405)
        assert words != OPENAI or error["code"] == "method_not_allowed"
        return error["message"]
    error = response.json()["error"]
    if words == OLLAMA:
        assert set(response.json()) == {"error"} and isinstance(error, str)
        return error
    assert error["code"] == 405 and error["status"] == "INVALID_ARGUMENT"
    return error["message"]


@pytest.mark.parametrize("path,allow,words", [
    ("/v1/chat/completions", "POST", OPENAI), ("/api/v1/chat/completions", "POST", OPENAI), ("/v1/inference", "POST", OPENAI),
    ("/v1/completions", "POST", OPENAI), ("/v1/embeddings", "POST", OPENAI), ("/v1/models", "GET, HEAD", OPENAI), ("/v1/models/x", "GET, HEAD", OPENAI),
    ("/openai/deployments/x/chat/completions", "POST", OPENAI), ("/openai/deployments/x/embeddings", "POST", OPENAI),
    ("/v1/responses", "POST", OPENAI), ("/v1/responses/x", "GET, HEAD, DELETE", OPENAI), ("/v1/responses/x/cancel", "POST", OPENAI),
    ("/v1/responses/x/input_items", "GET, HEAD", OPENAI), ("/v1/responses/compact", "POST", OPENAI), ("/v1/responses/input_tokens", "POST", OPENAI),
    ("/openai/responses/x/cancel", "POST", OPENAI),
    ("/v1/messages", "POST", ANTHROPIC), ("/v1/messages/count_tokens", "POST", ANTHROPIC), ("/v1/complete", "POST", ANTHROPIC),
    ("/anthropic/v1/models", "GET, HEAD", ANTHROPIC), ("/anthropic/v1/models/x", "GET, HEAD", ANTHROPIC),
    ("/v1beta/models", "GET, HEAD", GEMINI), ("/v1beta/models/x", "GET, HEAD", GEMINI), ("/v1beta/models/x:generateContent", "POST", GEMINI),
    ("/v1/models/x:countTokens", "POST", GEMINI), ("/google/v1beta/models/x:batchEmbedContents", "POST", GEMINI),
    ("/v1/projects/p/locations/l/publishers/google/models/x:streamGenerateContent", "POST", GEMINI),
    ("/api/chat", "POST", OLLAMA), ("/api/generate", "POST", OLLAMA), ("/api/embed", "POST", OLLAMA), ("/api/embeddings", "POST", OLLAMA),
    ("/api/tags", "GET, HEAD", OLLAMA), ("/api/show", "POST", OLLAMA), ("/api/ps", "GET, HEAD", OLLAMA), ("/api/version", "GET, HEAD", OLLAMA),
    ("/health", "GET, HEAD", OPENAI), ("/ready", "GET, HEAD", OPENAI), ("/", "GET, HEAD", OPENAI)])
def test_wrong_methods_are_405_with_allow(gateway, path, allow, words):
    for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "BREW", "post"):
        if method in allow.split(", "):
            continue
        with gateway.connect() as c:
            c.request(method, path)
            response = c.read_response(method)
        if method in ("BREW", "post") and response.status in (400, 501):
            continue            # a method HTTP itself does not know here
        assert response.status == 405, (method, response)
        assert response.headers.get("allow") == allow
        if method != "HEAD":
            message = check_refusal_of_a_method(words, response)
            assert message == f"Method {method} is not allowed for {path}; use {allow}."


@pytest.mark.parametrize("dialect", DIALECTS)
def test_unknown_model_is_404_with_the_nearest_names(gateway, up, dialect):
    error = check_error(dialect, ask(gateway, dialect, "up-opnai"), 404)
    assert "up-opnai" in error["message"] and MODELS[OPENAI] in error["message"]
    if dialect == OPENAI:
        assert (error["code"], error["param"]) == ("model_not_found", "model")
    assert not up.requests


# ---- R27 --------------------------------------------------------------------------------------------------------------------------------

UNKNOWN = {"user_id": "u-1", "internal": {"budget": 5}, "x_trace": [1], "litellm_metadata": {"a": 1}, "provider_options": {"b": 2}}


def test_R27_translated_bodies_hold_only_mapped_fields_openai_to_anthropic(gateway, up):
    script = up.reply("POST", "/v1/messages", body=canned.anthropic_answer())
    response = ask(gateway, OPENAI, MODELS[ANTHROPIC], max_tokens=50, temperature=0.5, top_p=0.9, stop=["END"], metadata={"team": "x"},
                   store=True, n=1, service_tier="auto", **UNKNOWN)
    assert response.status == 200
    sent = script.wait_for_request().request.json()
    assert set(sent) <= {"model", "max_tokens", "messages", "temperature", "top_p", "stop_sequences", "metadata", "service_tier", "stream"}, sent
    assert sent["model"] == MODELS[ANTHROPIC] and sent["max_tokens"] == 50 and sent["stop_sequences"] == ["END"]
    assert sent["messages"] == [{"role": "user", "content": "Hi"}] or \
        sent["messages"] == [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]
    for value in ("u-1", "x_trace", "budget", "team"):
        assert value not in json.dumps({k: v for k, v in sent.items() if k != "metadata"})


def test_R27_translated_bodies_hold_only_mapped_fields_anthropic_to_openai(gateway, up):
    script = up.reply("POST", "/v1/chat/completions", body=canned.openai_answer())
    response = ask(gateway, ANTHROPIC, MODELS[OPENAI], max_tokens=50, temperature=0.5, top_k=5, stop_sequences=["END"], system="Be brief.",
                   **UNKNOWN)
    assert response.status == 200
    sent = script.wait_for_request().request.json()
    assert set(sent) <= {"model", "max_tokens", "max_completion_tokens", "messages", "temperature", "stop", "stream"}, sent
    assert [m["role"] for m in sent["messages"]] in (["system", "user"], ["developer", "user"])
    assert not set(json.dumps(sent).split('"')) & {"u-1", "x_trace", "budget", "internal", "provider_options"}


@pytest.mark.parametrize("client,upstream", PAIRS, ids=PAIR_IDS)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_R27_R20_the_upstreams_head_holds_only_what_we_put_there(gateway, up, client, upstream, stream):
    script = up.reply("POST", canned.PATHS[upstream], body=canned.stream(upstream) if stream else canned.answer(upstream))
    response = ask(gateway, client, MODELS[upstream], stream=stream, headers=[
        ("user-agent", "evil/1"), ("cookie", "session=1"), ("authorization", "Bearer client-key"), ("x-stainless-lang", "python"),
        ("x-forwarded-for", "1.2.3.4"), ("te", "trailers"), ("accept-encoding", "gzip, br"), ("openai-organization", "org-x"),
        ("openai-project", "p"), ("x-custom", "1")])
    assert response.status == 200
    request = script.wait_for_request().request
    allowed = {"host", "content-type", "content-length", "accept", "accept-encoding", "user-agent", "x-request-id"}
    allowed |= {"authorization"} if upstream == OPENAI else {"x-api-key", "anthropic-version"}
    assert set(request.headers.names()) == allowed, request.headers.names()
    assert request.headers.get("user-agent").startswith("llm-gateway/")
    key = request.headers.get("authorization") if upstream == OPENAI else request.headers.get("x-api-key")
    assert key.endswith(PROVIDER_KEYS[upstream]) and b"client-key" not in request.raw


@pytest.mark.parametrize("dialect", DIALECTS)
def test_R27_relay_changes_nothing_but_the_model_and_our_own_fields(gateway, up, dialect):
    script = up.reply("POST", canned.PATHS[dialect], body=canned.answer(dialect))
    body = ('{ "x_new" : [1.50, 1e400, "\\u00e9"],\t"model":"%s" , "messages":[{"role":"user","content":"h\\u00e9"}],"max_tokens": 5,'
            '\n "beta_feature": {"a":null}}' % MODELS[dialect]).encode()
    assert gateway.request("POST", canned.PATHS[dialect], [("content-type", "application/json")], body).status == 200
    assert script.wait_for_request().request.body == body
    pinned = body.replace(b'"x_new"', b'"provider": "%s", "x_new"' % PROVIDERS[dialect].encode())
    assert gateway.request("POST", canned.PATHS[dialect], [("content-type", "application/json")], pinned).status == 200
    assert b"provider" not in script.wait_for_request().request.body
