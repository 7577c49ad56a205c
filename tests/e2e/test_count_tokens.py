"""How long is this request: asked of a provider that counts, in its own form, by clients of every dialect; elsewhere an estimate, marked.

The request is translated as if it were to be answered, and what it becomes is counted: instructions and tools included.
"""

import json

import anthropic
import pytest

from lib import canned
from lib.vendors import VENDORS

HI = [{"role": "user", "content": "Hi"}]
TOOL = {"name": "find", "description": "Finds what is lost.", "input_schema": {"type": "object", "properties": {}}}
PICTURE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
MARK = "x-llm-gateway-estimated"
# What POST /v1/responses/input_tokens takes, by OpenAI's description of it.
COUNTED = {"model", "input", "previous_response_id", "tools", "text", "reasoning", "truncation", "instructions", "personality", "conversation",
           "tool_choice", "parallel_tool_calls"}


@pytest.fixture(scope="module")
def up(module_faultd):
    return module_faultd()


@pytest.fixture(scope="module")
def other(module_faultd):
    return module_faultd()


@pytest.fixture(scope="module")
def gateway(start_module_gateway, up, other):
    def compatible(name, **more):
        return {"base_url": f"{up.origin}/v1", "models": [f"at-{name}"], "discover": False, **more}

    def alias(first, then):
        return {"name": f"{first}-then-{then}", "targets": [{"provider": p, "model": f"at-{p}"} for p in (first, then)]}
    return start_module_gateway({
        "providers": {
            "claude": {**VENDORS["anthropic"].provider(up.origin), "models": ["at-claude"]},
            "google": {**VENDORS["gemini"].provider(up.origin), "models": ["at-google"]},
            "vertex": {"type": "google", "base_url": f"{up.origin}/v1/projects/p/locations/l/publishers/google", "api_key": "k",
                       "models": ["at-vertex"], "discover": False},
            "openai": compatible("openai", type="openai", api_key="k"),
            "azure": {"type": "azure", "base_url": up.origin, "api_key": "k", "models": ["at-azure"]},
            "chat": {**compatible("chat", type="openai-compatible"), "base_url": f"{other.origin}/v1"},
            "vllm": compatible("vllm", type="vllm"),
            "llamacpp": compatible("llamacpp", type="llamacpp"),
            "both": compatible("both", type="openai-compatible", protocols=["openai-chat", "openai-responses"]),
            "tells": compatible("tells", type="openai-compatible", protocols=["openai-chat", "openai-responses"], quirks=["counts_tokens"]),
            "messages": compatible("messages", type="openai-compatible", protocols=["anthropic-messages"])},
        "models": [alias("claude", "openai"), alias("claude", "chat"), alias("chat", "claude"), alias("messages", "claude")]})


PATHS = {"claude": "/v1/messages/count_tokens", "google": "/v1beta/models/at-google:countTokens",
         "vertex": "/v1/projects/p/locations/l/publishers/google/models/at-vertex:countTokens", "openai": "/v1/responses/input_tokens",
         "tells": "/v1/responses/input_tokens", "both": "/v1/responses/input_tokens", "vllm": "/tokenize", "messages": "/v1/messages/count_tokens",
         "llamacpp": "/v1/chat/completions/input_tokens"}
SAYS = {"claude": {"input_tokens": 42}, "google": {"totalTokens": 31}, "vertex": {"totalTokens": 32, "totalBillableCharacters": 9},
        "openai": {"object": "response.input_tokens", "input_tokens": 33}, "tells": {"object": "response.input_tokens", "input_tokens": 34},
        "vllm": {"count": 35, "max_model_len": 4096, "tokens": list(range(35))}, "llamacpp": {"input_tokens": 36}}
FRONTS = ["messages", "gemini", "responses"]


def says(up, who, status=200, body=None):
    """The provider's scripted counter, alone."""
    up.clear()
    if body is None:
        body = SAYS[who] if status == 200 else {"error": {"message": "Not Found"}}
    return up.reply("POST", PATHS[who], status=status, body=body if isinstance(body, bytes) else json.dumps(body).encode())


class Count:
    """A count asked for by a client, with instructions, a tool and what is only about the answer."""

    def __init__(self, gateway, front, model, body=None):
        path, plain = {
            "messages": ("/v1/messages/count_tokens", {
                "model": model, "system": "Be brief.", "messages": HI, "tools": [TOOL], "tool_choice": {"type": "auto"}}),
            "gemini": (f"/v1beta/models/{model}:countTokens", {"generateContentRequest": {
                "model": f"models/{model}", "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
                "systemInstruction": {"parts": [{"text": "Be brief."}]}, "generationConfig": {"temperature": 0.5, "maxOutputTokens": 9},
                "tools": [{"functionDeclarations": [{"name": "find", "description": "Finds what is lost.",
                                                     "parameters": {"type": "OBJECT", "properties": {}}}]}]}}),
            "responses": ("/v1/responses/input_tokens", {
                "model": model, "instructions": "Be brief.", "input": "Hi", "tools": [
                    {"type": "function", "name": "find", "description": "Finds what is lost.", "parameters": TOOL["input_schema"], "strict": False}]}),
        }[front]
        self.asked = json.dumps(plain if body is None else body).encode()
        answer = gateway.request("POST", path, [("content-type", "application/json")], self.asked)
        self.status, self.headers, self.body, self.estimated = answer.status, answer.headers, answer.body, answer.headers.get(MARK)
        said = answer.json()
        self.n = said.get("totalTokens") if front == "gemini" else said.get("input_tokens")
        assert self.estimated in (None, "input_tokens")


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("who", sorted(SAYS))
def test_trap_098_who_counts_is_asked_by_clients_of_every_dialect(gateway, up, who, front):
    script = says(up, who)
    count = Count(gateway, front, f"at-{who}")
    assert (count.status, count.n, count.estimated) == (200, list(SAYS[who].values())[who in ("openai", "tells")], None)
    request = script.wait_for_request().request
    sent = request.body.decode()
    assert "Be brief." in sent and "Finds what is lost." in sent and "Hi" in sent and f"at-{who}" in sent + request.target


# ---- each in its own form --------------------------------------------------------------------------------------------

def test_google_gets_a_request_inside_which_names_its_model(gateway, up, anthropic_client):
    script = says(up, "google")
    raw = anthropic_client(gateway).messages.with_raw_response.count_tokens(model="at-google", system="Be brief.", tools=[TOOL], messages=HI)
    assert raw.parse().input_tokens == 31 and MARK not in raw.headers
    (asked,) = script.wait_for_request().request.json().values()
    assert asked["model"] == "models/at-google" and asked["contents"] == [{"role": "user", "parts": [{"text": "Hi"}]}]
    assert asked["systemInstruction"]["parts"] == [{"text": "Be brief."}]
    assert asked["tools"][0]["functionDeclarations"][0]["name"] == "find"


def test_vertex_ai_gets_them_at_the_top_and_nothing_else(gateway, up, anthropic_client):
    script = says(up, "vertex")
    raw = anthropic_client(gateway).messages.with_raw_response.count_tokens(
        model="at-vertex", system="Be brief.", tools=[TOOL], tool_choice={"type": "any"}, messages=HI)
    assert raw.parse().input_tokens == 32 and MARK not in raw.headers
    request = script.wait_for_request().request
    asked = request.json()
    assert set(asked) <= {"contents", "systemInstruction", "tools", "generationConfig"} and request.headers.get("authorization") == "Bearer k"
    assert asked["contents"] == [{"role": "user", "parts": [{"text": "Hi"}]}] and asked["systemInstruction"]["parts"] == [{"text": "Be brief."}]
    assert asked["tools"][0]["functionDeclarations"][0]["name"] == "find"


CONTENTS = [{"role": "user", "parts": [{"text": "Hi"}]}]
TOP = {"contents": CONTENTS, "systemInstruction": {"parts": [{"text": "Be brief."}]}, "tools": [{"googleSearch": {}}], "generationConfig": {}}
INSIDE = {"generateContentRequest": {**TOP, "model": "models/at-vertex", "safetySettings": []}}


@pytest.mark.parametrize("who, body, becomes", [
    ("google", {"contents": CONTENTS}, None), ("google", {"generateContentRequest": {"model": "models/at-google", **TOP}}, None),
    ("google", TOP, {"generateContentRequest": {"model": "models/at-google", **TOP}}),
    ("google", {**TOP, "model": "projects/p/x"}, {"generateContentRequest": {"model": "models/at-google", **TOP}}),
    ("vertex", {"contents": CONTENTS}, None), ("vertex", TOP, None), ("vertex", INSIDE, TOP),
    ("vertex", {"generate_content_request": {"contents": CONTENTS, "system_instruction": TOP["systemInstruction"]}},
     {"contents": CONTENTS, "systemInstruction": TOP["systemInstruction"]})])
def test_googles_own_clients_get_there_in_the_form_that_is_taken(gateway, up, who, body, becomes):
    """Those of the Gemini API and those of Vertex AI have one each; where it fits, bytes pass as they are."""
    script = says(up, who)
    count = Count(gateway, "gemini", f"at-{who}", body)
    assert json.loads(count.body) == SAYS[who]
    request = script.wait_for_request().request
    assert request.json() == becomes if becomes else request.body == count.asked


def test_openai_gets_what_its_counter_takes(gateway, up, anthropic_client, genai_client):
    script = says(up, "openai")
    assert anthropic_client(gateway).messages.count_tokens(
        model="at-openai", system="Be brief.", tools=[TOOL], messages=HI, thinking={"type": "enabled", "budget_tokens": 2000}).input_tokens == 33
    asked = script.wait_for_request().request.json()
    assert set(asked) <= COUNTED and asked["model"] == "at-openai" and asked["tools"][0]["name"] == "find" and "effort" in asked["reasoning"]
    assert "Be brief." in json.dumps([asked.get("instructions"), asked["input"]])
    script = says(up, "openai")
    assert genai_client(gateway).models.count_tokens(model="at-openai", contents="Hi").total_tokens == 33
    assert set(script.wait_for_request().request.json()) == {"model", "input"}


def test_openais_own_clients_pass(gateway, up, openai_client):
    script = says(up, "openai")
    counted = openai_client(gateway).responses.input_tokens.count(
        model="at-openai", input="Hi", instructions="Be brief.", truncation="auto", extra_body={"personality": "friendly"})
    assert counted.input_tokens == 33
    assert script.wait_for_request().request.json() == {
        "model": "at-openai", "input": "Hi", "instructions": "Be brief.", "truncation": "auto", "personality": "friendly"}


def test_anthropic_gets_what_is_not_about_the_answer(gateway, up, genai_client):
    script = says(up, "claude")
    assert genai_client(gateway).models.count_tokens(model="at-claude", contents="Hi").total_tokens == 42
    assert script.wait_for_request().request.json() == {
        "model": "at-claude", "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]}


def test_vllm_gets_what_its_template_reads(gateway, up):
    script = says(up, "vllm")
    assert Count(gateway, "messages", "at-vllm").n == 35
    asked = script.wait_for_request().request.json()
    assert set(asked) == {"model", "messages", "tools"} and [m["role"] for m in asked["messages"]] == ["system", "user"]


def test_pictures_vllm_may_count_wrongly_so_they_are_estimated(gateway, up):
    script = says(up, "vllm")
    turn = [{"role": "user", "content": [PICTURE, {"type": "text", "text": "What is it?"}]}]
    result = [*HI, {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "find", "input": {}}]},
              {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [PICTURE]}]}]
    for messages in (turn, result):
        count = Count(gateway, "messages", "at-vllm", {"model": "at-vllm", "messages": messages})
        assert count.estimated and count.n > 1000
    assert not script.hits


# ---- who does not count ----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("model", ["at-azure", "at-chat", "openai/davinci-002"])
def test_trap_098_elsewhere_it_is_an_estimate_and_nobody_is_asked(gateway, up, other, model, front):
    up.clear()
    before = len(up.requests) + len(other.requests)
    count = Count(gateway, front, model)
    assert count.status == 200 and count.estimated and 10 < count.n < 60 and len(up.requests) + len(other.requests) == before


def test_of_compatible_servers_only_who_speaks_their_protocol_asks(gateway, up):
    script = says(up, "both", body=SAYS["openai"])
    assert Count(gateway, "messages", "at-both").estimated and not script.hits
    assert Count(gateway, "responses", "at-both").n == 33 and len(script.hits) == 1


MISSING = [(404, b""), (404, b"<html>Not Found</html>"), (404, b'{"detail":"Not Found"}'), (405, b'{"detail":"Method Not Allowed"}'), (501, b"{}"),
           (404, {"type": "error", "error": {"type": "not_found_error", "message": "Not Found"}}),
           (404, {"error": {"message": "Unknown request URL: POST /v1/responses/input_tokens. Please check the URL for typos.",
                            "type": "invalid_request_error", "param": None, "code": "unknown_url"}})]


@pytest.mark.parametrize("status, body", MISSING)
@pytest.mark.parametrize("who, front", [("claude", "messages"), ("claude", "gemini"), ("both", "responses"), ("openai", "messages"),
                                        ("vllm", "messages"), ("llamacpp", "gemini")])
def test_where_there_is_no_such_endpoint_it_is_an_estimate(gateway, up, who, front, status, body):
    script = says(up, who, status, body)
    count = Count(gateway, front, f"at-{who}")
    assert count.status == 200 and count.estimated and 10 < count.n < 60 and script.hits
    assert count.headers.get("x-llm-gateway-provider") == who


def test_it_says_nothing_of_the_provider(gateway, up):
    says(up, "claude", 404)
    assert Count(gateway, "messages", "at-claude").estimated
    assert gateway.request("GET", "/ready").json()["providers"]["claude"]["state"] == "ok"


@pytest.mark.parametrize("who, front, body", [
    ("claude", "messages", {"type": "error", "error": {"type": "not_found_error", "message": "model: at-claude"}}),
    ("openai", "gemini", {"error": {"message": "The model `at-openai` does not exist", "type": "invalid_request_error", "code": "model_not_found"}}),
    ("google", "messages", {"error": {"code": 404, "message": "models/at-google is not found for API version v1beta", "status": "NOT_FOUND"}})])
def test_where_there_is_no_such_model_that_is_said(gateway, up, who, front, body):
    says(up, who, 404, body)
    count = Count(gateway, front, f"at-{who}")
    assert count.status == 404 and f"at-{who}" in count.body.decode()


# ---- who cannot now --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("status", [401, 403, 429, 500, 503, 529])
def test_the_next_target_counts_when_the_first_cannot_now(gateway, up, front, status):
    says(up, "claude", status)
    script = up.reply("POST", PATHS["openai"], body=json.dumps(SAYS["openai"]).encode())
    count = Count(gateway, front, "claude-then-openai")
    assert (count.n, count.estimated) == (33, None) and count.headers.get("x-llm-gateway-provider") == "openai"
    assert count.headers.get("x-llm-gateway-attempts") == "2" and script.hits


@pytest.mark.parametrize("front", FRONTS)
def test_a_next_target_that_cannot_count_gives_an_estimate(gateway, up, other, front):
    says(up, "claude", 429)
    before = len(other.requests)
    count = Count(gateway, front, "claude-then-chat")
    assert count.status == 200 and count.estimated and 10 < count.n < 60 and count.headers.get("x-llm-gateway-provider") == "chat"
    assert len(other.requests) == before


@pytest.mark.parametrize("model, who, status", [("chat-then-claude", "chat", 200), ("messages-then-claude", "messages", 404)])
def test_who_would_answer_the_request_is_not_passed_over_for_one_that_counts(gateway, up, model, who, status):
    """A count by another model's tokenizer would be exact, and wrong."""
    says(up, "claude", status)
    count = Count(gateway, "messages", model)
    assert count.estimated and count.headers.get("x-llm-gateway-provider") == who


def test_the_last_ones_failure_is_told(gateway, up, anthropic_client):
    says(up, "claude", 529, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})
    up.reply("POST", PATHS["openai"], status=429, body=canned.openai_error("Slow down", "rate_limit_error"))
    with pytest.raises(anthropic.RateLimitError, match="Slow down"):
        anthropic_client(gateway).messages.count_tokens(model="claude-then-openai", messages=HI)


def test_what_the_counter_refuses_the_client_hears(gateway, up, genai_client):
    from google.genai import errors
    says(up, "claude", 400, {"type": "error", "error": {"type": "invalid_request_error", "message": "messages: too odd"}})
    with pytest.raises(errors.ClientError, match="too odd"):
        genai_client(gateway).models.count_tokens(model="at-claude", contents="Hi")


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("who", ["claude", "google", "openai", "vllm"])
@pytest.mark.parametrize("body", [{"tokens": 1}, {"input_tokens": "many", "totalTokens": None}, b"<html>Welcome</html>", b'{"input_tok'])
def test_an_answer_that_is_no_count_is_none(gateway, up, who, front, body):
    says(up, who, 200, body)
    assert Count(gateway, front, f"at-{who}").status == 502
