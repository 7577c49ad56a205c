"""The list of models: one over all providers and aliases, in each dialect's shape, never on an upstream's time."""

import json

import openai
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


def test_a_model_is_found_by_its_providers_name_too(gateway, openai_client, anthropic_client):
    settled(gateway, 5)
    found = openai_client(gateway).models.retrieve("ant/claude-opus-4-6")
    assert (found.id, found.owned_by, found.model_extra["max_output_tokens"]) == ("ant/claude-opus-4-6", "ant", 128000)
    assert anthropic_client(gateway).models.retrieve("oai/acme/own model").id == "oai/acme/own model"
    for name in ("oai/claude-opus-4-6", "ant/", "nobody/gpt-5"):
        with pytest.raises(openai.NotFoundError):
            openai_client(gateway).models.retrieve(name)


@pytest.mark.parametrize("query", ("limit=0", "limit=1001", "limit=x", "after_id=nobody", "before_id=nobody"))
def test_a_page_that_makes_no_sense_is_a_400(gateway, query):
    settled(gateway, 5)
    answer = gateway.request("GET", f"/v1/models?{query}", [("anthropic-version", "2023-06-01")])
    assert answer.status == 400 and json.loads(answer.body)["error"]["type"] == "invalid_request_error"


def test_who_makes_vectors_says_so(start_gateway, faultd, genai_client, ollama_client):
    names = ["text-embedding-3-small", "nomic-embed-text:latest", "gpt-5", "acme"]
    gateway = start_gateway({"providers": {"all": {"type": "openai-compatible", "base_url": f"{faultd().origin}/v1", "discover": False,
                                                   "models": names}}})
    listed = {m["id"]: m.get("capabilities", {}) for m in json.loads(gateway.request("GET", "/v1/models").body)["data"]}
    assert [listed[n].get("embeddings") for n in names] == [True, True, None, None]
    methods = {m.name.removeprefix("models/"): m.supported_actions for m in genai_client(gateway).models.list()}
    assert [("embedContent" in methods[n], "generateContent" in methods[n]) for n in names] == [
        (True, False), (True, False), (False, True), (True, True)]
    shown = {n: ollama_client(gateway).show(n).capabilities for n in names}
    assert [shown[n][0] for n in names] == ["embedding", "embedding", "completion", "completion"]


def test_nobodys_models_wait_for_a_provider_that_does_not_answer(start_gateway, faultd):
    quick, slow = faultd(), faultd()
    quick.reply("GET", "/v1/models", body=listing("here"))
    late = slow.reply("GET", "/v1/models", body=listing("late"), hold_head=True)
    gateway = start_gateway({"providers": {
        "slow": {"type": "openai-compatible", "base_url": f"{slow.origin}/v1"},
        "down": {"type": "openai-compatible", "base_url": "http://127.0.0.1:1/v1"},
        "quick": {"type": "openai-compatible", "base_url": f"{quick.origin}/v1"}}})
    gateway.wait_list = lambda: json.loads(gateway.request("GET", "/v1/models").body)["data"]
    late.wait_for_request()
    assert [m["id"] for m in settled(gateway, 1)] == ["here"]
    late.release()
    assert [m["id"] for m in settled(gateway, 2)] == ["late", "here"]


# ---- lists that come in pages ------------------------------------------------------------------------------------------------

def gemini_page(names, token=None):
    models = [{"name": f"models/{n}", "supportedGenerationMethods": ["generateContent"]} for n in names]
    return canned.dumps({"models": models, **({"nextPageToken": token} if token else {})}).encode()


def claude_page(names, more):
    return canned.dumps({"data": [{"type": "model", "id": n} for n in names], "has_more": more, "first_id": names[0],
                         "last_id": names[-1]}).encode()


def page_of(query):
    return lambda request: query in request.target


@pytest.fixture
def paged(start_gateway, faultd):
    """Two providers whose lists have three pages each."""
    up = faultd()
    up.reply("GET", "/v1beta/models", when=page_of("pageToken=a%20%2B%2F%3D"), body=gemini_page(["g3"], "b"))
    up.reply("GET", "/v1beta/models", when=page_of("pageToken=b"), body=gemini_page(["g4"]))
    up.reply("GET", "/v1beta/models", body=gemini_page(["g1", "g2"], "a +/="))
    up.reply("GET", "/v1/models", when=page_of("after_id=c%3A2"), body=claude_page(["c:3"], True))
    up.reply("GET", "/v1/models", when=page_of("after_id=c%3A3"), body=claude_page(["c:4"], False))
    up.reply("GET", "/v1/models", body=claude_page(["c:1", "c:2"], True))
    gateway = start_gateway({"providers": {"goo": {"type": "google", "base_url": up.origin, "api_key": "k"},
                                           "ant": {"type": "anthropic", "base_url": up.origin, "api_key": "k"}}})
    gateway.wait_list = lambda: json.loads(gateway.request("GET", "/v1/models").body)["data"]
    gateway.up = up
    return gateway


def test_every_page_of_a_providers_list_is_asked_for(paged):
    assert {m["id"] for m in settled(paged, 8)} == {"g1", "g2", "g3", "g4", "c:1", "c:2", "c:3", "c:4"}
    assert len(paged.up.requests) == 6


def test_a_list_that_breaks_off_is_no_list(start_gateway, faultd):
    """Half a list would take models away; what cannot be had is said in the log, and names still find their provider."""
    up = faultd()
    up.reply("GET", "/v1beta/models", when=page_of("pageToken"), status=500, body=b"{}")
    up.reply("GET", "/v1beta/models", body=gemini_page(["g1", "g2"], "more"))
    gateway = start_gateway({"providers": {"goo": {"type": "google", "base_url": up.origin, "api_key": "k"}}})
    up.wait_for_requests(2)
    gateway.wait_log("discovery.failed")
    assert json.loads(gateway.request("GET", "/v1/models").body)["data"] == []


def test_pages_without_an_end_are_not_turned_for_ever(start_gateway, faultd):
    up = faultd()
    up.reply("GET", "/v1beta/models", body=gemini_page(["g1"], "again"))
    gateway = start_gateway({"providers": {"goo": {"type": "google", "base_url": up.origin, "api_key": "k"}}})
    gateway.wait_log("discovery.failed", timeout=60)
    assert len(up.requests) == 100


def test_geminis_shape_and_pages(gateway, genai_client):
    all_ids = [f"models/{m['id']}" for m in settled(gateway, 5)]
    models = genai_client(gateway).models
    first = models.list(config={"page_size": 2})
    assert [m.name for m in first.page] == all_ids[:2] and first.page_size == 2
    assert [m.name for m in models.list(config={"page_size": 2})] == all_ids        # the SDK turns the pages
    assert [m.name for m in models.list(config={"page_size": 5})] == [m.name for m in models.list()] == all_ids
    for query in ("pageSize=-1", "pageSize=x", "pageToken=nobody"):
        answer = gateway.request("GET", f"/v1beta/models?{query}")
        assert answer.status == 400 and json.loads(answer.body)["error"]["status"] == "INVALID_ARGUMENT"
