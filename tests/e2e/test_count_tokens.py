"""How long is this request: asked of a provider that counts, by clients that speak another dialect than it does.

The request is translated as if it were to be answered, and what it becomes is counted: instructions and tools included.
"""

import json

import pytest

from lib.vendors import VENDORS

TOOL = {"name": "find", "description": "Finds what is lost.", "input_schema": {"type": "object", "properties": {}}}


@pytest.fixture(scope="module")
def up(module_faultd):
    return module_faultd()


@pytest.fixture(scope="module")
def gateway(start_module_gateway, up):
    return start_module_gateway({"providers": {
        "claude": {**VENDORS["anthropic"].provider(up.origin), "models": ["at-claude"]},
        "google": {**VENDORS["gemini"].provider(up.origin), "models": ["at-google"]},
        "vertex": {"type": "google", "base_url": f"{up.origin}/v1/projects/p/locations/l/publishers/google", "api_key": "k",
                   "models": ["at-vertex"], "discover": False}}})


def claude_says(up, status=200, body=None):
    up.clear()
    return up.reply("POST", "/v1/messages/count_tokens", status=status, body=json.dumps(body or {"input_tokens": 42}).encode())


def google_says(up, body=None):
    up.clear()
    return up.reply("POST", "/v1beta/models/at-google:countTokens", body=json.dumps(body or {"totalTokens": 31}).encode())


def test_trap_098_google_counts_for_clients_of_messages(gateway, up, anthropic_client):
    script = google_says(up)
    raw = anthropic_client(gateway).messages.with_raw_response.count_tokens(
        model="at-google", system="Be brief.", tools=[TOOL], messages=[{"role": "user", "content": "Hi"}])
    assert raw.parse().input_tokens == 31 and "x-llm-gateway-estimated" not in raw.headers
    (asked,) = script.wait_for_request().request.json().values()
    assert asked["model"] == "models/at-google" and asked["contents"] == [{"role": "user", "parts": [{"text": "Hi"}]}]
    assert asked["systemInstruction"]["parts"] == [{"text": "Be brief."}]
    assert asked["tools"][0]["functionDeclarations"][0]["name"] == "find"


def test_trap_098_anthropic_counts_for_clients_of_gemini(gateway, up, genai_client):
    script = claude_says(up)
    assert genai_client(gateway).models.count_tokens(model="at-claude", contents="Hi").total_tokens == 42
    assert script.wait_for_request().request.json() == {
        "model": "at-claude", "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]}


@pytest.mark.parametrize("model, says, n", [("at-claude", claude_says, 42), ("at-google", google_says, 31)])
def test_trap_098_both_count_for_clients_of_responses(gateway, up, openai_client, model, says, n):
    script = says(up)
    counted = openai_client(gateway).responses.input_tokens.count(model=model, input="Hi", instructions="Be brief.")
    assert counted.input_tokens == n
    assert "Be brief." in script.wait_for_request().request.body.decode()


def test_vertex_ai_has_another_form_so_its_counts_are_estimates(gateway, up, anthropic_client):
    up.clear()
    raw = anthropic_client(gateway).messages.with_raw_response.count_tokens(
        model="at-vertex", messages=[{"role": "user", "content": "Hi"}])
    assert raw.headers["x-llm-gateway-estimated"] == "input_tokens" and raw.parse().input_tokens > 0


def test_what_the_counter_refuses_the_client_hears(gateway, up, genai_client):
    from google.genai import errors
    claude_says(up, 400, {"type": "error", "error": {"type": "invalid_request_error", "message": "messages: too odd"}})
    with pytest.raises(errors.ClientError, match="too odd"):
        genai_client(gateway).models.count_tokens(model="at-claude", contents="Hi")


def test_an_answer_that_is_no_count_is_none(gateway, up, genai_client):
    from google.genai import errors
    claude_says(up, 200, {"tokens": 1})
    with pytest.raises(errors.ServerError):
        genai_client(gateway).models.count_tokens(model="at-claude", contents="Hi")
