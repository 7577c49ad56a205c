"""R6, R7, R9, R22 and the matrix of bar 40 as far as there are routes: who may call what, by which carrier."""

import hashlib
import urllib.parse

import pytest

from lib import canned
from lib.stand import ANTHROPIC, DIALECTS, MODELS, OPENAI, ask, check_error, config, record_of

KEYS = {"all": "gw-all-+/=.~key", "reader": "gw-reader-1", "writer": "gw-writer-1", "globbed": "gw-globbed-1"}


def sha(key):
    return hashlib.sha256(key.encode()).hexdigest()


@pytest.fixture(scope="module")
def up(module_faultd):
    return module_faultd()


@pytest.fixture(scope="module")
def gateway(start_module_gateway, up):
    conf = config(up, auth={"keys": [
        {"name": "all", "sha256": sha(KEYS["all"])},
        {"name": "reader", "sha256": sha(KEYS["reader"]), "permissions": ["read"]},
        {"name": "writer", "sha256": sha(KEYS["writer"]), "permissions": ["write"]},
        {"name": "globbed", "sha256": sha(KEYS["globbed"]), "models": ["up-anth*", "other-?"]}]})
    conf["models"] = [{"name": "secret-alias", "provider": "ant", "provider_model_id": MODELS[ANTHROPIC]},
                      {"name": "other-1", "provider": "ant", "provider_model_id": MODELS[ANTHROPIC]}]
    return start_module_gateway(conf)


@pytest.fixture(autouse=True)
def answers(up):
    for d in DIALECTS:
        up.reply("POST", canned.PATHS[d], body=canned.answer(d))


CARRIERS = {
    "bearer": lambda k: ([("authorization", f"Bearer {k}")], ""),
    "bearer-lower-case": lambda k: ([("Authorization", f"bearer {k}")], ""),
    "x-api-key": lambda k: ([("x-api-key", k)], ""),
    "api-key": lambda k: ([("api-key", k)], ""),
    "x-goog-api-key": lambda k: ([("X-Goog-Api-Key", k)], ""),
    "query": lambda k: ([], "?key=" + urllib.parse.quote(k, safe="")),
    "query-among-others": lambda k: ([], "?beta=true&key=" + urllib.parse.quote(k, safe="") + "&x=1"),
}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("carrier", CARRIERS)
def test_R6_every_carrier_leads_to_the_same_principal(gateway, dialect, carrier):
    headers, query = CARRIERS[carrier](KEYS["all"])
    response = ask(gateway, dialect, MODELS[dialect], headers=headers, path=canned.PATHS[dialect] + query)
    assert response.status == 200
    assert record_of(gateway, response.id)["key"] == "all"


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("key", ["wrong", KEYS["all"][:-1], KEYS["all"] + "x", KEYS["all"].upper(), "a" * 5000],
                         ids=["wrong", "prefix", "longer", "case", "very-long"])
def test_R6_every_carrier_refuses_what_is_no_key(gateway, up, dialect, carrier, key):
    headers, query = CARRIERS[carrier](key)
    error = check_error(dialect, ask(gateway, dialect, MODELS[dialect], headers=headers, path=canned.PATHS[dialect] + query), 401)
    assert key not in error["message"] or key == "wrong"
    assert not up.requests


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("one", CARRIERS)
@pytest.mark.parametrize("two", ["bearer", "x-api-key", "query"])
def test_R6_two_carriers_that_disagree_are_401_and_two_that_agree_are_one(gateway, dialect, one, two):
    first, q1 = CARRIERS[one](KEYS["all"])
    second, q2 = CARRIERS[two](KEYS["writer"])
    if q1 and q2:
        q2 = "&" + q2[1:]
    headers = [*first, *second]
    check_error(dialect, ask(gateway, dialect, MODELS[dialect], headers=headers, path=canned.PATHS[dialect] + q1 + q2), 401)
    same, q3 = CARRIERS[two](KEYS["all"])
    if q1 and q3:
        q3 = "&" + q3[1:]
    assert ask(gateway, dialect, MODELS[dialect], headers=[*first, *same], path=canned.PATHS[dialect] + q1 + q3).status == 200


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("headers", [[("authorization", "Basic " + "Z3ctYWxs")], [("authorization", "Bearer")],
                                     [("authorization", "Bearer ")], [("x-api-key", "")], [("authorization", KEYS["all"])],
                                     [("authorization", f"Bearer {KEYS['all']}"), ("authorization", "Bearer other")],
                                     [("x-api-key", KEYS["all"]), ("x-api-key", "other")], [("cookie", f"key={KEYS['all']}")],
                                     [("authorization", f"Bearer {KEYS['all']} {KEYS['all']}")]])
def test_R6_malformed_and_repeated_carriers_are_401(gateway, dialect, headers):
    check_error(dialect, ask(gateway, dialect, MODELS[dialect], headers=headers), 401)


ROUTES = [("POST", "/v1/chat/completions", OPENAI), ("POST", "/api/v1/chat/completions", OPENAI),
          ("POST", "/openai/v1/chat/completions", OPENAI), ("POST", "/v1/messages", ANTHROPIC),
          ("POST", "/v1/messages/count_tokens", ANTHROPIC), ("POST", "/anthropic/v1/messages", ANTHROPIC),
          ("GET", "/v1/models", OPENAI), ("GET", "/v1/models/up-openai", OPENAI), ("GET", "/openai/v1/models", OPENAI),
          ("GET", "/anthropic/v1/models", ANTHROPIC)]


def _call(gateway, method, path, dialect, key, model):
    headers = [("authorization", f"Bearer {key}")] if key else []
    if dialect == ANTHROPIC:
        headers.append(("anthropic-version", "2023-06-01"))
    body = canned.request(dialect, model) if method == "POST" else None
    return gateway.request(method, path, headers, json_body=body)


@pytest.mark.parametrize("method,path,dialect", ROUTES)
def test_R7_every_route_asks_for_a_key(gateway, up, method, path, dialect):
    for key in (None, "wrong"):
        check_error(dialect, _call(gateway, method, path, dialect, key, MODELS[dialect]), 401)
    assert not up.requests


@pytest.mark.parametrize("method,path,dialect", ROUTES)
def test_R7_permissions_hold_on_every_route(gateway, up, method, path, dialect):
    up.reply("POST", "/v1/messages/count_tokens", body=b'{"input_tokens":3}')
    up.reply("GET", "/v1/models", body=b'{"object":"list","data":[]}')
    right, lacking = ("reader", "writer") if method == "GET" else ("writer", "reader")
    assert _call(gateway, method, path, dialect, KEYS[right], MODELS[dialect]).status == 200
    seen = len(up.requests)
    error = check_error(dialect, _call(gateway, method, path, dialect, KEYS[lacking], MODELS[dialect]), 403)
    assert "read" in error["message"] or "write" in error["message"]
    assert len(up.requests) == seen


@pytest.mark.parametrize("method,path,dialect", [r for r in ROUTES if r[0] == "POST"])
@pytest.mark.parametrize("model,allowed", [(MODELS[ANTHROPIC], True), ("other-1", True), (MODELS[OPENAI], False),
                                           ("secret-alias", False), ("other-12", False), ("ant/up-anthropic", False),
                                           ("UP-ANTHROPIC", False), ("up-anth", True), ("nonsense", False)])
def test_R7_models_by_glob_on_every_route_and_name(gateway, up, method, path, dialect, model, allowed):
    up.reply("POST", "/v1/messages/count_tokens", body=b'{"input_tokens":3}')
    response = _call(gateway, method, path, dialect, KEYS["globbed"], model)
    if allowed:
        assert response.status == (404 if model == "up-anth" else 200), response.body
    else:
        error = check_error(dialect, response, 403)
        assert model in error["message"]
        assert not up.requests


def test_R7_a_pin_does_not_lead_around_the_globs(gateway, up):
    headers = [("authorization", f"Bearer {KEYS['globbed']}"), ("x-llm-gateway-provider", "oai")]
    check_error(OPENAI, ask(gateway, OPENAI, MODELS[OPENAI], headers=headers), 403)
    assert not up.requests


def test_R7_listings_show_only_what_the_key_may_use(gateway):
    def names(key, headers=()):
        response = gateway.request("GET", "/v1/models", [("authorization", f"Bearer {KEYS[key]}"), *headers])
        return {m["id"] for m in response.json()["data"]}
    assert names("all") == {MODELS[OPENAI], MODELS[ANTHROPIC], "secret-alias", "other-1"}
    assert names("globbed") == {MODELS[ANTHROPIC], "other-1"} == names("globbed", [("anthropic-version", "2023-06-01")])
    for model, status in ((MODELS[ANTHROPIC], 200), (MODELS[OPENAI], 404), ("secret-alias", 404)):
        assert gateway.request("GET", f"/v1/models/{model}", [("authorization", f"Bearer {KEYS['globbed']}")]).status == status


def test_R7_an_unknown_models_near_names_are_the_keys_own(gateway):
    error = check_error(OPENAI, ask(gateway, OPENAI, "up-anthropik", headers=[("x-api-key", KEYS["globbed"])]), 404)
    assert MODELS[ANTHROPIC] in error["message"] and MODELS[OPENAI] not in error["message"] and "secret" not in error["message"]


def test_R7_ready_tells_providers_only_to_those_with_a_key(gateway):
    assert "providers" not in gateway.request("GET", "/ready").json()
    assert gateway.request("GET", "/ready").status == 200
    assert set(gateway.request("GET", "/ready", [("x-api-key", KEYS["reader"])]).json()["providers"]) == {"oai", "ant"}


@pytest.mark.parametrize("auth,why", [
    ({"mode": "keys"}, "no key at all"), ({"keys": [{"name": "x", "sha256": ""}]}, "an empty digest"),
    ({"keys": [{"name": "x", "sha256": sha("")}]}, "the digest of the empty key"),
    ({"keys": [{"name": "x", "sha256": "abc"}]}, "half a digest"), ({"keys": [{"name": "x"}]}, "none"),
    ({"keys": [{"name": "x", "sha256": sha("a")}, {"name": "y", "sha256": sha("a")}]}, "one key twice")])
def test_R9_empty_or_default_secrets_refuse_the_start(new_gateway, upstream, auth, why):
    gateway = new_gateway({**config(upstream), "auth": auth})
    gateway.start(wait=False)
    assert gateway.wait_exit(10) == 3, why
    assert "key" in gateway.output() or "sha256" in gateway.output()


def test_R9_an_empty_provider_key_refuses_the_start(new_gateway, upstream):
    conf = config(upstream)
    conf["providers"]["oai"]["api_key"] = "${NO_SUCH_VARIABLE_HERE:-}"
    gateway = new_gateway(conf)
    gateway.start(wait=False)
    assert gateway.wait_exit(10) == 3
    assert "api_key" in gateway.output()


def test_R9_beyond_loopback_it_does_not_start_without_keys(new_gateway, upstream):
    gateway = new_gateway(config(upstream))
    gateway.write_config({**config(upstream), "server": {"address": f"0.0.0.0:{gateway.port}"}})
    gateway.start(wait=False)
    assert gateway.wait_exit(10) == 3
    assert "auth" in gateway.output()
    allowed = new_gateway(config(upstream))
    allowed.write_config({**config(upstream), "server": {"address": f"0.0.0.0:{allowed.port}"}, "auth": {"mode": "none"}})
    allowed.start()
    assert allowed.request("GET", "/v1/models").status == 200


def test_R7_mode_none_takes_any_key_and_none(start_gateway, upstream):
    upstream.reply("POST", body=canned.openai_answer())
    gateway = start_gateway(config(upstream))
    for headers in ([], [("authorization", "Bearer anything")], [("x-api-key", "a"), ("api-key", "b")]):
        assert ask(gateway, OPENAI, MODELS[OPENAI], headers=headers).status == 200
