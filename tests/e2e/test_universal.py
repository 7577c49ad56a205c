"""POST /v1/inference finds the dialect out by itself, and a chat with `input` is Responses: one model, asked in every dialect."""

import json

import anthropic
import openai
import pytest

from lib import canned

MODEL = "gpt-4o-mini"
TURNS = [{"role": "user", "content": "Hi"}]


@pytest.fixture(scope="module")
def up(module_faultd):
    return module_faultd()


@pytest.fixture(scope="module")
def gateway(start_module_gateway, up):
    return start_module_gateway({"providers": {
        "openai": {"type": "openai", "base_url": f"{up.origin}/v1", "api_key": "sk-up", "discover": False, "default": True},
        "google": {"type": "google", "base_url": up.origin, "api_key": "k", "discover": False},
        "groq": {"base_url": f"{up.origin}/groq/v1", "api_key": "k", "discover": False, "models": ["chats"]}}})


@pytest.fixture
def chats(up):
    up.clear()
    for path in ("/v1/chat/completions", "/groq/v1/chat/completions"):
        up.reply("POST", path, when=lambda r: r.json().get("stream"), body=canned.openai_stream(("Hel", "lo.")))
        up.reply("POST", path, body=canned.openai_answer("Hello."))
    return up


def ask(gateway, body, path="/v1/inference", **fields):
    head = [("content-type", "application/json")] + [(k.replace("_", "-"), v) for k, v in fields.items()]
    with gateway.connect(timeout=60) as client:
        client.request("POST", path, head, body if isinstance(body, bytes) else json.dumps(body).encode())
        response = client.read_response("POST")
    return response.status, response.body


SHAPES = [
    ({"messages": TURNS}, {}, lambda a: (a["object"], a["choices"][0]["message"]["content"]), ("chat.completion", "Hello.")),
    ({"messages": TURNS, "max_tokens": 9, "system": "Be brief."}, {}, lambda a: (a["type"], a["content"][0]["text"]),
     ("message", "Hello.")),
    ({"messages": TURNS, "max_tokens": 9}, {"x_lals_provider": "anthropic"}, lambda a: (a["type"], a["stop_reason"]),
     ("message", "end_turn")),
    ({"messages": TURNS, "max_tokens": 9}, {"anthropic_version": "2023-06-01"}, lambda a: a["type"], "message"),
    ({"messages": TURNS, "max_tokens": 9, "system": "x"}, {"x_lals_provider": "openai"}, lambda a: a["object"], "chat.completion"),
    ({"input": "Hi"}, {}, lambda a: (a["object"], a["output"][0]["content"][0]["text"]), ("response", "Hello.")),
    ({"prompt": "Hi"}, {}, lambda a: (a["object"], a["choices"][0]["text"]), ("text_completion", "Hello.")),
    ({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}, {},
     lambda a: a["candidates"][0]["content"]["parts"][0]["text"], "Hello."),
    ({"messages": TURNS, "options": {"temperature": 0}, "stream": False}, {}, lambda a: (a["done"], a["message"]["content"]),
     (True, "Hello.")),
    ({"prompt": "Hi", "keep_alive": 5, "stream": False}, {}, lambda a: (a["done"], a["response"]), (True, "Hello.")),
    ({"messages": TURNS, "stream": False}, {"x_llm_gateway_protocol": "ollama-chat"}, lambda a: a["done"], True),
]


@pytest.mark.parametrize("body, fields, read, want", SHAPES)
def test_a_body_is_answered_in_its_own_dialect(gateway, chats, body, fields, read, want):
    status, answer = ask(gateway, {"model": "chats", **body}, **fields)
    assert status == 200, answer
    assert read(json.loads(answer)) == want


def test_openais_own_body_goes_on_byte_for_byte(gateway, chats):
    body = b'{ "messages":[{"role":"user","content":"Hi"}],\n"n":1, "model":"gpt-4o-mini"}'
    status, answer = ask(gateway, body)
    assert (status, answer) == (200, canned.openai_answer("Hello.")) and chats.requests[-1].body == body


def test_a_stream_is_one_of_the_dialect(gateway, chats):
    status, answer = ask(gateway, {"model": "chats", "messages": TURNS, "system": "x", "max_tokens": 9, "stream": True})
    assert status == 200 and b"event: message_start" in answer and b"event: message_stop" in answer
    status, answer = ask(gateway, {"model": "chats", "input": "x", "stream": True})
    assert status == 200 and b"event: response.completed" in answer


def test_gemini_gets_its_model_and_stream_in_the_path(gateway, up):
    up.clear()
    whole = {"candidates": [{"content": {"role": "model", "parts": [{"text": "Hello."}]}, "finishReason": "STOP", "index": 0}]}
    up.reply("POST", "/v1beta/models/gemini-2.5-flash:generateContent", body=json.dumps(whole).encode())
    up.reply("POST", "/v1beta/models/gemini-2.5-flash:streamGenerateContent", body=canned.sse(whole))
    contents = [{"role": "user", "parts": [{"text": "Hi"}]}]
    status, answer = ask(gateway, {"model": "gemini-2.5-flash", "contents": contents})
    assert (status, json.loads(answer)) == (200, whole)
    status, answer = ask(gateway, {"stream": True, "model": "gemini-2.5-flash", "contents": contents})
    assert (status, answer) == (200, canned.sse(whole))
    assert [json.loads(r.body) for r in up.requests] == [{"contents": contents}] * 2


@pytest.mark.parametrize("body, fields, says", [
    ({"model": "chats"}, {}, "none of `messages`"),
    ({"model": "chats", "messages": TURNS, "input": "x"}, {}, "both `messages` and `input`"),
    ({"model": "chats", "messages": TURNS, "system": "s", "stop": "x"}, {}, "`system`, which makes it anthropic-messages"),
    ({"model": "chats", "messages": TURNS}, {"x_lals_provider": "mistral"}, "may be `openai` or `anthropic`"),
    ({"model": "chats", "messages": TURNS}, {"x_llm_gateway_protocol": "grpc"}, "no protocol spoken here"),
    (b"{nonsense", {}, "not valid JSON"),
])
def test_what_is_of_no_dialect_is_refused_with_the_reason(gateway, chats, body, fields, says):
    status, answer = ask(gateway, body, **fields)
    error = json.loads(answer)["error"]
    assert status == 400 and says in error["message"] and error["type"] == "invalid_request_error"
    assert not chats.requests


def test_a_refusal_is_in_the_words_of_who_asks(gateway):
    status, answer = ask(gateway, {"model": "chats", "input": "x"}, x_lals_provider="anthropic")
    assert status == 400 and json.loads(answer)["type"] == "error"
    status, answer = ask(gateway, {"model": "chats", "messages": TURNS, "system": "x"})     # no max_tokens
    assert status == 400 and json.loads(answer)["error"]["message"].startswith("max_tokens")


def test_the_sdks_may_be_pointed_at_it(gateway, chats, openai_client, anthropic_client):
    """Their clients can post anywhere; the answer is parsed as their own."""
    made = openai_client(gateway).post("/inference", cast_to=openai.types.chat.ChatCompletion,
                                       body={"model": "chats", "messages": TURNS})
    assert made.choices[0].message.content == "Hello."
    made = anthropic_client(gateway).post("/v1/inference", cast_to=anthropic.types.Message,
                                          body={"model": "chats", "messages": TURNS, "max_tokens": 5})
    assert made.content[0].text == "Hello."


def test_it_can_be_switched_off(start_gateway, chats):
    providers = {"openai": {"base_url": f"{chats.origin}/v1", "api_key": "k", "discover": False, "models": [MODEL]}}
    off = start_gateway({"providers": providers, "enable": {"universal": False}})
    status, answer = ask(off, {"model": MODEL, "messages": TURNS})
    assert status == 404 and "enable.universal" in json.loads(answer)["error"]["message"]
    half = start_gateway({"providers": providers, "enable": {"anthropic": False}})
    assert ask(half, {"model": MODEL, "messages": TURNS})[0] == 200
    assert ask(half, {"model": MODEL, "messages": TURNS, "system": "x", "max_tokens": 5})[0] == 404


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/api/v1/chat/completions", "/openai/v1/chat/completions"])
def test_a_chat_with_input_is_responses(gateway, chats, path):
    status, answer = ask(gateway, {"model": "chats", "input": "Hi"}, path)
    assert status == 200 and json.loads(answer)["output"][0]["content"][0]["text"] == "Hello."
    status, answer = ask(gateway, {"model": "chats", "input": "Hi", "stream": True}, path)
    assert status == 200 and answer.endswith(b"data: [DONE]\n\n") and b"response.output_text.delta" in answer
    status, answer = ask(gateway, {"model": "chats", "input": "Hi", "messages": TURNS}, path)
    assert json.loads(answer)["object"] == "chat.completion"


def test_a_chat_with_input_can_be_continued(gateway, chats):
    first = json.loads(ask(gateway, {"model": "chats", "input": "Hi"}, "/v1/chat/completions")[1])
    status, answer = ask(gateway, {"model": "chats", "input": "More", "previous_response_id": first["id"]}, "/v1/chat/completions")
    assert status == 200 and json.loads(answer)["previous_response_id"] == first["id"]
    assert [m["content"] for m in chats.requests[-1].json()["messages"]] == ["Hi", "Hello.", "More"]
