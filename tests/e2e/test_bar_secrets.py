"""Bars 38 and 39: nothing a client or an upstream says moves a request, or a credential, to another place; and no secret is
ever said by the gateway, in any answer, log or listing.

The canary listens where every attempt to steer points to: a single connection there is a failure."""

import hashlib
import json
import pathlib

import pytest

from lib import canned
from lib.stand import (ANTHROPIC, DIALECTS, MODELS, OPENAI, PAIR_IDS, PAIRS, PROVIDER_KEYS, PROVIDERS, ask, check_error, config,
                       wait_until)


@pytest.fixture(scope="module")
def up(module_faultd):
    return module_faultd()


@pytest.fixture(scope="module")
def canary(module_faultd):
    return module_faultd()


@pytest.fixture(scope="module")
def gateway(start_module_gateway, up):
    return start_module_gateway(config(up, timeouts={"connect": "1s"}))


@pytest.fixture(autouse=True)
def quiet_canary(canary, up):
    before, seen = len(canary.conns), len(up.requests)
    yield
    assert len(canary.conns) == before, f"the canary was reached: {canary.received[-500:]!r}"
    for request in up.requests[seen:]:
        assert request.target.partition("?")[0] in canned.PATHS.values(), request.target
        assert request.headers.all("host") == [f"127.0.0.1:{up.port}"]


# ---- bar 38: R1 ------------------------------------------------------------------------------------------------------------

NAMES = ["api_base", "base_url", "api_url", "endpoint", "host", "url", "azure_endpoint", "custom_llm_provider", "proxy",
         "api_key", "extra_headers", "organization", "litellm_params", "target_url"]


def _place(body, where, name, value):
    if where == "top":
        body[name] = value
    elif where == "metadata":
        body["metadata"] = {name: value}
    elif where == "extra_body":
        body["extra_body"] = {"extra_body": {name: value}}
    elif where == "message":
        body["messages"][0][name] = value
    elif where == "tool":
        body["tools"] = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, name: value},
                          name: value}]
    elif where == "deep":
        body["x"] = {"a": [{"b": {"c": [{name: value}]}}]}
    return body


@pytest.mark.parametrize("client,upstream", PAIRS, ids=PAIR_IDS)
@pytest.mark.parametrize("where", ["top", "metadata", "extra_body", "message", "tool", "deep"])
def test_bar_38_R1_no_body_field_at_any_depth_steers(gateway, up, canary, client, upstream, where):
    up.reply("POST", canned.PATHS[upstream], body=canned.answer(upstream))
    with gateway.connect() as c:
        for name in NAMES:
            value = {"authorization": "Bearer x", "host": f"127.0.0.1:{canary.port}"} if name == "extra_headers" else \
                f"http://127.0.0.1:{canary.port}/v1"
            body = _place(canned.request(client, MODELS[upstream]), where, name, value)
            c.request("POST", canned.PATHS[client], json_body=body)
            response = c.read_response("POST")
            assert response.status in (200, 400), response.body
    for request in up.requests:
        key = request.headers.get("authorization") or request.headers.get("x-api-key")
        assert key.endswith(tuple(PROVIDER_KEYS.values()))


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", ["x-forwarded-host", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-server", "forwarded",
                                  "x-original-url", "x-rewrite-url", "x-host", "x-api-base", "x-base-url", "x-litellm-api-base",
                                  "x-portkey-custom-host", "helicone-target-url", "x-target-url", "x-llm-gateway-base-url",
                                  "openai-base-url", "proxy-authorization", "via", "x-real-ip", "cookie", "referer", "origin"])
def test_bar_38_R1_R20_no_header_steers_or_goes_up(gateway, up, canary, dialect, name):
    script = up.reply("POST", canned.PATHS[dialect], body=canned.answer(dialect))
    value = f"http://127.0.0.1:{canary.port}/"
    assert ask(gateway, dialect, MODELS[dialect], headers=[(name, value)]).status == 200
    head = script.wait_for_request().request
    assert name not in head.headers and str(canary.port) not in head.head.decode("latin-1")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_bar_38_R1_host_and_absolute_form_steer_nothing(gateway, up, canary, dialect):
    up.reply("POST", canned.PATHS[dialect], body=canned.answer(dialect))
    body = json.dumps(canned.request(dialect, MODELS[dialect])).encode()
    away, path = f"127.0.0.1:{canary.port}", canned.PATHS[dialect]
    heads = [f"POST {path} HTTP/1.1\r\nHost: {away}", f"POST http://{away}{path} HTTP/1.1\r\nHost: {away}",
             f"POST http://{away}{path} HTTP/1.1\r\nHost: gateway", f"POST http://gateway{path} HTTP/1.1\r\nHost: {away}",
             f"POST https://{away}{path} HTTP/1.1\r\nHost: {away}", f"POST http://user:pw@{away}{path} HTTP/1.1\r\nHost: {away}",
             f"POST //{away}{path} HTTP/1.1\r\nHost: x", f"POST {path}?api_base=http://{away} HTTP/1.1\r\nHost: x",
             f"POST {path}@{away} HTTP/1.1\r\nHost: x", f"POST {path}/../../{away} HTTP/1.1\r\nHost: x",
             f"POST {path}%3f@{away} HTTP/1.1\r\nHost: x", f"POST \\\\{away}{path} HTTP/1.1\r\nHost: x",
             f"CONNECT {away} HTTP/1.1\r\nHost: {away}", f"POST {path}#@{away} HTTP/1.1\r\nHost: x"]
    for head in heads:
        with gateway.connect() as c:
            c.send(f"{head}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            response = c.read_response("POST")
            assert response is None or response.status in (200, 400, 404, 405, 501), (head, response)


MODEL_NAMES = ["up-openai\r\nHost: {away}", "up-openai\r\n\r\nGET / HTTP/1.1", "../../x", "up-openai?x=http://{away}",
               "up-openai#{away}", "http://{away}/v1", "oai/http://{away}", "oai/../../{away}", "oai/up\r\nx: y",
               "oai/m?api_base={away}", "oai/m#x", "oai/%0d%0aHost:%20{away}", "oai/\u0000", "oai/m\u2028n", "@{away}/m",
               "oai@{away}/m", "oai//{away}/m", "oai/{away}", "ant/\r\nx-api-key: stolen", "ant/../complete", "ant/m\\..\\x",
               "oai/" + "m" * 4000, "ant/ ", "oai/\x7f", "oai/é🌍"]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_bar_38_R20_no_model_name_reaches_the_upstreams_head(gateway, up, canary, dialect):
    """In both protocols the name stands in the body: it goes there as JSON, or nowhere."""
    for path in canned.PATHS.values():
        up.reply("POST", path, body=canned.answer(OPENAI if "chat" in path else ANTHROPIC))
    away = f"127.0.0.1:{canary.port}"
    seen = len(up.requests)
    for name in MODEL_NAMES:
        name = name.replace("{away}", away)
        response = ask(gateway, dialect, name)
        assert response.status in (200, 400, 404), (name, response.status)
        if response.status != 200:
            check_error(dialect, response, response.status)
        # What is repeated of it in a head must not be able to end a line.
        assert response.raw_head.count(b"\r\n\r\n") == 1 and b"\nHost" not in response.raw_head
    for request in up.requests[seen:]:
        assert request.target in canned.PATHS.values()
        assert b"stolen" not in request.head and away.encode() not in request.head
        assert any(request.json()["model"] == n.replace("{away}", away).partition("/")[2] for n in MODEL_NAMES)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_bar_38_R20_pins_choose_among_configured_providers_only(gateway, up, canary, dialect):
    up.reply("POST", canned.PATHS[dialect], body=canned.answer(dialect))
    away = f"http://127.0.0.1:{canary.port}"
    for pin in (away, f"oai@{away}", f"oai?base={away}", "nobody", "OAI ", "../oai"):
        response = ask(gateway, dialect, MODELS[dialect], headers=[("x-llm-gateway-provider", pin)])
        check_error(dialect, response, 400)
        response = ask(gateway, dialect, MODELS[dialect], provider=pin)
        check_error(dialect, response, 400)
    right = ask(gateway, dialect, MODELS[dialect], headers=[("x-llm-gateway-provider", PROVIDERS[dialect])])
    assert right.status == 200


# ---- bar 38: R12 -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("client,upstream", PAIRS, ids=PAIR_IDS)
@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308, 304])
def test_bar_38_R12_redirects_of_the_upstream_are_never_followed(gateway, up, canary, client, upstream, status):
    up.reply("POST", canned.PATHS[upstream], status=status, body=b"", headers=(
        ("location", f"http://127.0.0.1:{canary.port}{canned.PATHS[upstream]}"), ("alt-svc", f'h2=":{canary.port}"'),
        ("refresh", f"0; url=http://127.0.0.1:{canary.port}/"), ("content-location", f"http://127.0.0.1:{canary.port}/")))
    for stream in (False, True):
        response = ask(gateway, client, MODELS[upstream], stream=stream)
        check_error(client, response, 502)
        assert "location" not in response.headers and str(canary.port).encode() not in response.raw_head + response.body


def test_bar_38_R12_discovery_follows_no_redirect_either(start_gateway, faultd, canary):
    up = faultd()
    script = up.reply("GET", "/v1/models", status=302, body=b"",
                      headers=(("location", f"http://127.0.0.1:{canary.port}/v1/models"),))
    gateway = start_gateway({"providers": {"oai": {"type": "openai", "base_url": up.origin, "api_key": "sk-x"}}})
    script.wait_for_request(10)
    gateway.wait_log("discovery.failed")


# ---- bar 39 ----------------------------------------------------------------------------------------------------------------

SECRETS = {"openai": "sk-proj-CANARY-4f1e9b77aa02", "anthropic": "sk-ant-CANARY-c0ffee551234", "gateway": "gw-CANARY-90ab44de71",
           "header": "hdr-CANARY-55e0e0d1"}


def _secretive(up, **more):
    conf = config(up, logging={"level": "debug"}, timeouts={"first_byte": "500ms", "idle": "500ms"},
                  auth={"keys": [{"name": "ops", "sha256": hashlib.sha256(SECRETS["gateway"].encode()).hexdigest()}]}, **more)
    for dialect in DIALECTS:
        conf["providers"][PROVIDERS[dialect]]["api_key"] = "${%s_SECRET}" % PROVIDERS[dialect].upper()
        conf["providers"][PROVIDERS[dialect]]["headers"] = {"x-private": SECRETS["header"]}
    return conf, {"OAI_SECRET": SECRETS["openai"], "ANT_SECRET": SECRETS["anthropic"]}


def _parts(secret):
    """A secret and what would give most of it away."""
    return [secret, secret[:-4], secret[4:], hashlib.sha256(secret.encode()).hexdigest()]


def _everything_answered(gateway, up):
    """Asks for good and bad things; all bytes of all answers."""
    auth = [("authorization", f"Bearer {SECRETS['gateway']}"), ("x-debug-stream", "true")]
    faults = [{}, {"status": 401, "body": canned.dumps({"error": {"message": "Incorrect API key provided: " + SECRETS["openai"],
                                                                  "type": "invalid_request_error", "param": None,
                                                                  "code": "invalid_api_key"}}).encode()},
              {"status": 403, "body": SECRETS["anthropic"].encode(), "content_type": "text/plain"},
              {"status": 500, "body": b"<html>"}, {"fault": "fin", "at": 30}, {"fault": "rst", "wire_at": 5},
              {"answer": "never"}, {"raw": b"not http at all\r\n\r\n"}, {"status": 302, "headers": (("location", "http://x/"),)}]
    out = bytearray()

    def take(response):
        if response is not None:
            out.extend(response.raw_head + response.body)

    for client, upstream in PAIRS:
        for fault in faults:
            for stream in (False, True):
                body = canned.stream(upstream) if stream else canned.answer(upstream)
                script = up.reply("POST", canned.PATHS[upstream], **{"body": body, **fault})
                take(ask(gateway, client, MODELS[upstream], stream=stream, headers=auth))
                up.scripts.remove(script)
    for headers in (auth, auth[:1] + [("x-api-key", "another")], [("authorization", "Bearer " + SECRETS["gateway"] + "x")], []):
        for method, target in (("GET", "/v1/models"), ("GET", "/ready"), ("GET", "/health"), ("GET", "/"), ("GET", "/nowhere"),
                               ("PUT", "/v1/messages"), ("GET", "/v1/models?key=" + SECRETS["gateway"]), ("GET", "/metrics")):
            take(gateway.request(method, target, headers))
    with gateway.connect() as c:
        c.send(f"GET /v1/models HTTP/1.1\r\nAuthorization: Bearer {SECRETS['gateway']}\r\nBad header\r\n\r\n".encode())
        take(c.read_response("GET"))
    return bytes(out)


def test_bar_39_no_secret_in_answers_logs_listings_or_the_command_line(start_gateway, upstream, stage):
    conf, env = _secretive(upstream)
    gateway = start_gateway(conf, env=env)
    stage.allow_unmatched = True
    answers = _everything_answered(gateway, upstream)
    gateway.reload()
    wait_until(lambda: '"reload"' in gateway.output(), what="the reload")
    gateway.reload("providers:\n  oai: {api_key: " + SECRETS["openai"] + ", nonsense: " + SECRETS["openai"] + "}\n")
    wait_until(lambda: "reload.refused" in gateway.output(), what="the refused reload")
    proc = pathlib.Path(f"/proc/{gateway.pid}")
    places = {"answers": answers, "log": gateway.output().encode(), "command line": (proc / "cmdline").read_bytes(),
              "names": b"".join((t / "comm").read_bytes() for t in (proc / "task").iterdir()),
              "data": b"".join(f.read_bytes() for f in (gateway.folder / "data").rglob("*") if f.is_file())}
    found = [(place, name) for place, text in places.items() for name, secret in SECRETS.items()
             for part in _parts(secret) if part.encode() in text]
    # What an upstream says in its own words of a failure that is not about our key is the client's to read; ours is not in it.
    assert not found, found
    assert b"CANARY" not in places["log"], [line for line in gateway.output().splitlines() if "CANARY" in line][:3]
    # The gateway's key stays here, and each provider's key goes to that provider alone.
    for request in upstream.requests:
        assert SECRETS["gateway"].encode() not in request.raw
        other = SECRETS["anthropic"] if "chat" in request.target else SECRETS["openai"]
        assert other.encode() not in request.head


def test_bar_39_no_core_is_dumped_with_the_keys_in_it(start_gateway, upstream):
    conf, env = _secretive(upstream)
    gateway = start_gateway(conf, env=env)
    limits = pathlib.Path(f"/proc/{gateway.pid}/limits").read_text()
    core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
    assert core.split()[4] == "0", core


def test_bar_39_check_and_status_say_no_secret(gateway_binary, tmp_path, upstream):
    from lib.gateway import run_cli, to_yaml
    conf, env = _secretive(upstream)
    file = tmp_path / "c.yaml"
    file.write_text(to_yaml({**conf, "data_dir": str(tmp_path / "data")}))
    outputs = [run_cli(*args, folder=tmp_path, env=env) for args in (
        ["check", str(file)], ["check", "--json", str(file)], ["models", "--config", str(file)], ["version"],
        ["serve", "--config", str(file), "--check"])]
    broken = tmp_path / "broken.yaml"
    broken.write_text("providers:\n  oai: {type: openai, api_key: " + SECRETS["openai"] + " with blank, base_url: 'x'}\n")
    outputs.append(run_cli("check", str(broken), folder=tmp_path, env=env))
    assert outputs[-1].returncode == 3
    for o in outputs:
        for secret in SECRETS.values():
            assert secret not in o.stdout + o.stderr
