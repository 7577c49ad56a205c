"""What Messages promises its clients beyond the fields that tests/e2e/fields/anthropic-messages.yaml enumerates: betas and what belongs to
them per target, blocks that only Anthropic understands in earlier turns, why an answer was refused, and what is counted.
"""

import json

import pytest

from lib import canned
from lib.vendors import VENDORS

BETA = {"anthropic-version": "2023-06-01", "anthropic-beta": "context-management-2025-06-27,mcp-client-2025-04-04"}
OWN = {"container": "c-1", "mcp_servers": [{"type": "url", "url": "https://e.com/mcp", "name": "e"}],
       "context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}, "cache_control": {"type": "ephemeral"}}
SEARCHED = [{"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}},
            {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1",
             "content": [{"type": "web_search_result", "url": "https://e.com", "title": "t", "encrypted_content": "x"}]},
            {"type": "text", "text": "So it is.", "citations": [
                {"type": "web_search_result_location", "url": "https://e.com", "title": "t", "cited_text": "c", "encrypted_index": "y"}]}]
HISTORY = [{"role": "user", "content": "Look it up."}, {"role": "assistant", "content": SEARCHED}, {"role": "user", "content": "And?"}]
FOUND = {"type": "search_result", "source": "https://e.com/a", "title": "Of dots", "content": [{"type": "text", "text": "A dot is small."}]}
ASKED = [{"role": "user", "content": "Search."},
         {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "find", "input": {}}]},
         {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": [FOUND]}]}]
FOREIGN = sorted(set(VENDORS) - {"anthropic"})


@pytest.fixture(scope="module")
def up(module_faultd):
    return module_faultd()


@pytest.fixture(scope="module")
def gateway(start_module_gateway, up):
    providers = {kind: {**vendor.provider(up.origin), "models": [f"model-of-{kind}"]} for kind, vendor in VENDORS.items()}
    providers["openai"].update(protocols=["openai-chat"])
    providers["responses"].update(type="openai-compatible", protocols=["openai-responses"])
    return start_module_gateway({"providers": providers})


class Asked:
    def __init__(self, gateway, up, kind, path="/v1/messages", answer=None, **more):
        vendor = VENDORS[kind]
        up.clear()
        script = up.reply("POST", vendor.path, body=answer or (lambda request: vendor.reply(request, [("text", "Hello.")])))
        self.body = {"model": f"model-of-{kind}", "max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}], **more}
        self.response = gateway.request("POST", path, BETA, json.dumps(self.body).encode())
        self.sent = script.wait_for_request().request if self.response.status == 200 else None

    @property
    def dropped(self):
        return set(self.response.headers.get("x-llm-gateway-dropped", "").split(", ")) - {""}


# ---- betas (traps 91, 92) ------------------------------------------------------------------------------------------------

def test_trap_092_betas_and_their_fields_go_to_anthropic_together(gateway, up):
    asked = Asked(gateway, up, "anthropic", "/v1/messages?beta=true", **OWN)
    assert asked.sent.target == "/v1/messages?beta=true"
    assert asked.sent.headers.get("anthropic-beta") == BETA["anthropic-beta"]
    assert asked.sent.json() == asked.body and not asked.dropped


@pytest.mark.parametrize("kind", FOREIGN)
def test_trap_092_neither_goes_to_anybody_else(gateway, up, kind):
    asked = Asked(gateway, up, kind, "/v1/messages?beta=true", **OWN)
    assert "beta" not in asked.sent.target.partition("?")[2]
    assert not [name for name in asked.sent.headers.names() if name.startswith("anthropic-")]
    assert asked.dropped >= set(OWN) and not set(OWN) & set(asked.sent.json())


def test_trap_092_tokens_are_counted_on_the_beta_route_too(gateway, up):
    up.clear()
    script = up.reply("POST", "/v1/messages/count_tokens", body=b'{"input_tokens":42}')
    body = json.dumps({"model": "model-of-anthropic", "messages": HISTORY}).encode()
    answer = gateway.request("POST", "/v1/messages/count_tokens?beta=true", BETA, body)
    assert answer.json() == {"input_tokens": 42}
    request = script.wait_for_request().request
    assert request.target.endswith("?beta=true") and request.headers.get("anthropic-beta") == BETA["anthropic-beta"]


@pytest.mark.parametrize("kind", sorted(set(FOREIGN) - {"gemini"}))
def test_trap_098_tokens_are_estimated_where_nobody_counts(gateway, up, kind):
    """max_tokens is not needed, and what is in the system text and the tools counts."""
    def count(**more):
        body = json.dumps({"model": f"model-of-{kind}", "messages": [{"role": "user", "content": "Hi"}], **more}).encode()
        answer = gateway.request("POST", "/v1/messages/count_tokens", BETA, body)
        assert answer.status == 200, answer.body
        return answer.json()["input_tokens"]

    plain = count()
    assert plain > 0
    assert count(system="Speak like a pirate, and be brief about it.") > plain
    assert count(tools=[{"name": "f", "description": "Finds what is lost.", "input_schema": {"type": "object"}}]) > plain


# ---- blocks of earlier turns ----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", FOREIGN)
def test_trap_094_what_anthropics_tools_did_is_named_and_what_was_said_stays(gateway, up, kind):
    asked = Asked(gateway, up, kind, messages=HISTORY)
    sent = json.dumps(asked.sent.json())
    assert "So it is." in sent and "srvtoolu_1" not in sent and "encrypted" not in sent
    assert asked.dropped and asked.dropped & {"content", "messages", "server_tool_use"} and "citations" in asked.dropped


def test_trap_094_anthropic_gets_them_back_as_they_were(gateway, up):
    assert Asked(gateway, up, "anthropic", messages=HISTORY).sent.json()["messages"] == HISTORY


@pytest.mark.parametrize("kind", FOREIGN)
def test_search_results_bring_their_title_and_source(gateway, up, kind):
    """Of a result of a tool: whoever answers can say where it stands."""
    sent = json.dumps(Asked(gateway, up, kind, messages=ASKED).sent.json())
    for words in ("Of dots", "https://e.com/a", "A dot is small."):
        assert words in sent


# ---- answers --------------------------------------------------------------------------------------------------------------

def refusal(request):
    details = {"type": "refusal", "category": "cyber", "explanation": "It would do harm."}
    if not request.json().get("stream"):
        return json.dumps({**json.loads(canned.anthropic_answer(content=[], stop="refusal")), "stop_details": details}).encode()
    head, mark, tail = canned.anthropic_stream((), stop="refusal").partition(b'"stop_reason":"refusal"')
    assert mark
    return head + b'"stop_details":' + json.dumps(details).encode() + b"," + mark + tail


@pytest.mark.parametrize("stream", [False, True])
def test_trap_056_why_it_was_refused_reaches_clients_of_openai(gateway, up, openai_client, stream):
    up.clear()
    up.reply("POST", VENDORS["anthropic"].path, body=refusal)
    chat = openai_client(gateway).chat.completions.create(model="model-of-anthropic", messages=[{"role": "user", "content": "Hi"}], stream=stream)
    if stream:
        choices = [c.choices[0] for c in chat if c.choices]
        said, finish = "".join(c.delta.refusal or "" for c in choices), choices[-1].finish_reason
    else:
        said, finish = chat.choices[0].message.refusal, chat.choices[0].finish_reason
    assert (said, finish) == ("It would do harm.", "content_filter")


def test_the_split_of_what_was_cached_survives_towards_a_client_of_its_own(gateway, up, anthropic_client):
    """The bytes pass: what is new in usage passes with them."""
    usage = {"input_tokens": 3, "output_tokens": 5, "cache_creation_input_tokens": 30, "cache_read_input_tokens": 7,
             "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20}, "service_tier": "priority",
             "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0}, "inference_geo": "us"}
    up.clear()
    up.reply("POST", VENDORS["anthropic"].path, body=canned.anthropic_answer(usage=usage))
    message = anthropic_client(gateway).messages.create(model="model-of-anthropic", max_tokens=9, messages=[{"role": "user", "content": "Hi"}])
    got = message.usage.model_dump(exclude_none=True)
    assert {k: got.get(k) for k in usage} == usage


def test_trap_115_what_was_cached_is_part_of_openais_input(gateway, up, openai_client):
    up.clear()
    up.reply("POST", VENDORS["anthropic"].path, body=canned.anthropic_answer(usage={
        "input_tokens": 3, "output_tokens": 5, "cache_creation_input_tokens": 30, "cache_read_input_tokens": 7}))
    usage = openai_client(gateway).chat.completions.create(model="model-of-anthropic", messages=[{"role": "user", "content": "Hi"}]).usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.prompt_tokens_details.cached_tokens) == (40, 5, 7)


@pytest.mark.parametrize("model,thinks", (("claude-3-5-sonnet-20241022", False), ("claude-3-haiku-20240307", False), ("claude-3-7-sonnet-latest", True),
                                          ("claude-of-tomorrow", True)))
def test_trap_085_models_of_old_are_not_asked_to_think(start_gateway, faultd, openai_client, model, thinks):
    up = faultd()
    up.reply("POST", "/v1/messages", body=canned.anthropic_answer())
    gateway = start_gateway({"providers": {"a": {"type": "anthropic", "api_key": "k", "base_url": up.origin, "discover": False}}})
    answer = openai_client(gateway).chat.completions.with_raw_response.create(
        model=f"a/{model}", messages=[{"role": "user", "content": "Hi"}], reasoning_effort="high")
    assert ("thinking" in up.requests[-1].json()) == thinks
    assert answer.headers.get("x-llm-gateway-dropped") == (None if thinks else "reasoning_effort")
