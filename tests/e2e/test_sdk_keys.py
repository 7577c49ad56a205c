"""Gateway keys, disclosed losses and strictness as the official SDKs see them: typed errors and response headers."""

import hashlib

import anthropic
import openai
import pytest

from lib import canned

KEYS = {"all": "gw-everything", "some": "gw-only-mini", "look": "gw-read-only"}
CHAT = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "Hi"}]}
CLAUDE = {"model": "gpt-5-mini", "max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}]}


@pytest.fixture(scope="module")
def up(module_faultd):
    upstream = module_faultd()
    for dialect, path in canned.PATHS.items():
        upstream.reply("POST", path, body=canned.answer(dialect))
    return upstream


@pytest.fixture(scope="module")
def gateway(start_module_gateway, up):
    def key(name, **more):
        return {"name": name, "sha256": hashlib.sha256(KEYS[name].encode()).hexdigest(), **more}
    return start_module_gateway({
        "providers": {"chat": {"type": "openai", "base_url": f"{up.origin}/v1", "api_key": "sk-up", "models": ["gpt-5-mini", "gpt-5"]},
                      "claude": {"type": "anthropic", "base_url": up.origin, "api_key": "sk-up", "models": ["claude-sonnet-4-5"]}},
        "auth": {"keys": [key("all"), key("some", models=["*-mini"]), key("look", permissions=["read"])]}})


@pytest.fixture
def chat(gateway, openai_client):
    return lambda key: openai_client(gateway, api_key=key)


@pytest.fixture
def claude(gateway, anthropic_client):
    return lambda key: anthropic_client(gateway, api_key=key)


def test_a_key_lets_both_sdks_in_and_is_not_passed_on(chat, claude, up):
    assert chat(KEYS["all"]).chat.completions.create(**CHAT).choices[0].message.content == "Hello."
    assert claude(KEYS["all"]).messages.create(**CLAUDE).content[0].text == "Hello."
    assert KEYS["all"].encode() not in up.received


def test_a_wrong_key_is_an_authentication_error(chat, claude):
    with pytest.raises(openai.AuthenticationError) as e:
        chat("gw-wrong").chat.completions.create(**CHAT)
    assert e.value.code == "invalid_api_key" and "gw-wrong" not in str(e.value)
    with pytest.raises(anthropic.AuthenticationError) as e:
        claude("gw-wrong").messages.create(**CLAUDE)
    assert e.value.body["error"]["type"] == "authentication_error"
    assert e.value.body["request_id"] == e.value.request_id != None     # noqa: E711


def test_a_model_or_method_beyond_the_key_is_a_permission_error(chat, claude):
    some, look = chat(KEYS["some"]), chat(KEYS["look"])
    assert some.chat.completions.create(**CHAT).choices
    assert [m.id for m in look.models.list()]
    for client, request in ((some, {**CHAT, "model": "gpt-5"}), (look, CHAT)):
        with pytest.raises(openai.PermissionDeniedError):
            client.chat.completions.create(**request)
    with pytest.raises(anthropic.PermissionDeniedError):
        claude(KEYS["some"]).messages.create(**{**CLAUDE, "model": "gpt-5"})


def test_the_list_of_models_holds_what_the_key_may_ask_for(chat, claude):
    assert {m.id for m in chat(KEYS["some"]).models.list()} == {"gpt-5-mini"}
    assert {m.id for m in claude(KEYS["some"]).models.list()} == {"gpt-5-mini"}


def test_trap_089_what_was_dropped_is_in_the_headers(chat, claude):
    asked = {**CHAT, "model": "claude-sonnet-4-5", "seed": 7, "presence_penalty": 1, "temperature": 1.5}
    raw = chat(KEYS["all"]).chat.completions.with_raw_response.create(**asked)
    assert {n.strip() for n in raw.headers["x-llm-gateway-dropped"].split(",")} == {"seed", "presence_penalty", "temperature"}
    assert raw.headers["x-llm-gateway-provider"] == "claude" and raw.headers["x-llm-gateway-model"] == "claude-sonnet-4-5"
    raw = claude(KEYS["all"]).messages.with_raw_response.create(**CLAUDE, extra_body={"top_k": 3})
    assert raw.headers["x-llm-gateway-dropped"] == "top_k" and raw.headers["request-id"]
    raw = chat(KEYS["all"]).chat.completions.with_raw_response.create(**CHAT, seed=7)
    assert "x-llm-gateway-dropped" not in raw.headers and raw.headers["x-request-id"]


def test_a_strict_request_is_refused_instead(chat, up):
    before = len(up.requests)
    with pytest.raises(openai.BadRequestError, match="seed"):
        chat(KEYS["all"]).chat.completions.create(**{**CHAT, "model": "claude-sonnet-4-5"}, seed=7,
                                                  extra_headers={"x-llm-gateway-strict": "true"})
    assert len(up.requests) == before


def test_a_pinned_provider_gets_the_request(chat, up):
    raw = chat(KEYS["all"]).chat.completions.with_raw_response.create(**CHAT, extra_headers={"x-llm-gateway-provider": "claude"})
    assert raw.headers["x-llm-gateway-provider"] == "claude" and up.requests[-1].target == "/v1/messages"
    chat(KEYS["all"]).chat.completions.create(**CHAT, extra_body={"provider": "claude"})
    assert up.requests[-1].target == "/v1/messages" and "provider" not in up.requests[-1].json()
