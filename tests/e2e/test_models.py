"""The list of models: one over all providers and aliases, in each dialect's shape, never on an upstream's time."""

import json

import pytest

from lib import canned

CLAUDES = ["claude-sonnet-4-5", "claude-opus-4-6"]


def listing(*ids):
    return canned.dumps({"object": "list", "data": [{"id": i, "object": "model"} for i in ids]}).encode()


@pytest.fixture
def gateway(start_gateway, faultd):
    up = faultd()
    up.reply("GET", "/v1/models", body=listing("gpt-5", "acme/own model"), when=lambda r: "x-api-key" not in r.headers)
    up.reply("GET", "/v1/models", body=canned.dumps({"data": [{"type": "model", "id": i} for i in CLAUDES]}).encode())
    gateway = start_gateway({
        "providers": {"oai": {"type": "openai", "base_url": f"{up.origin}/v1", "api_key": "k"},
                      "ant": {"type": "anthropic", "base_url": up.origin, "api_key": "k"}},
        "models": [{"name": "best", "provider": "ant", "provider_model_id": "claude-opus-4-6"}]})
    up.wait_for_requests(2)
    gateway.wait_list = lambda: json.loads(gateway.request("GET", "/v1/models").body)["data"]
    gateway.up = up
    return gateway


def settled(gateway, n):
    from lib.stand import wait_until
    return wait_until(lambda: (m := gateway.wait_list()) and len(m) == n and m, what=f"{n} models")


def test_openais_shape(gateway, openai_client):
    settled(gateway, 5)
    asked = len(gateway.up.requests)
    models = {m.id: m for m in openai_client(gateway).models.list()}
    assert set(models) == {"best", "gpt-5", "acme/own model", *CLAUDES}
    assert models["gpt-5"].owned_by == "oai" and models["gpt-5"].model_extra["context_length"] == 400000
    assert models["gpt-5"].model_extra["capabilities"] == {"vision": True, "tools": True, "reasoning": True}
    assert models["best"].owned_by == "ant" and models["best"].model_extra["max_output_tokens"] == 128000
    assert models["acme/own model"].model_extra == {}       # nothing is known of it, and nothing is said
    assert openai_client(gateway).models.retrieve("acme/own model").id == "acme/own model"
    assert len(gateway.up.requests) == asked, "a list was fetched on a request's path"


def test_anthropics_shape_and_pages(gateway, anthropic_client):
    all_ids = [m["id"] for m in settled(gateway, 5)]
    client = anthropic_client(gateway)
    page = client.models.list(limit=2)
    assert ([m.id for m in page.data], page.has_more, page.first_id, page.last_id) == (all_ids[:2], True, all_ids[0], all_ids[1])
    assert [m.id for m in client.models.list(limit=2)] == all_ids          # the SDK turns the pages
    assert [m.id for m in client.models.list()] == all_ids
    assert [m.id for m in client.models.list(after_id=all_ids[3]).data] == all_ids[4:]
    before = client.models.list(before_id=all_ids[4], limit=2)
    assert [m.id for m in before.data] == all_ids[2:4] and before.has_more
    sonnet = client.models.retrieve("claude-sonnet-4-5")
    assert (sonnet.type, sonnet.lifecycle, sonnet.max_input_tokens, sonnet.max_tokens) == ("model", "active", 200000, 64000)
    assert sonnet.capabilities.thinking.types.enabled.supported and sonnet.capabilities.image_input.supported
    opus = client.models.retrieve("claude-opus-4-6")
    assert opus.capabilities.thinking.types.adaptive.supported and not opus.capabilities.thinking.types.enabled.supported
    assert client.models.retrieve("acme/own model").capabilities is None


@pytest.mark.parametrize("query", ("limit=0", "limit=1001", "limit=x", "after_id=nobody", "before_id=nobody"))
def test_a_page_that_makes_no_sense_is_a_400(gateway, query):
    settled(gateway, 5)
    answer = gateway.request("GET", f"/v1/models?{query}", [("anthropic-version", "2023-06-01")])
    assert answer.status == 400 and json.loads(answer.body)["error"]["type"] == "invalid_request_error"
