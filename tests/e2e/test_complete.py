"""Anthropic's Text Completions of old, POST /v1/complete: passed on to models that have them, asked of all others in a conversation.
The official SDKs have no such call any more: plain requests."""

import json

import pytest

from lib import canned, recordings
from lib.wire import SseParser

OLD, NEW, CHAT = "claude-2.1", "claude-sonnet-4-5", "gpt-4o-mini"
PROMPT = "Be brief.\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: More\n\nAssistant:"


@pytest.fixture(scope="module")
def up(module_faultd):
    return module_faultd()


@pytest.fixture(scope="module")
def gateway(start_module_gateway, up):
    return start_module_gateway({"providers": {
        "openai": {"type": "openai", "base_url": f"{up.origin}/v1", "api_key": "sk-up", "discover": False},
        "anthropic": {"type": "anthropic", "base_url": up.origin, "api_key": "sk-up", "discover": False}}})


def ask(gateway, body, path="/v1/complete"):
    head = [("content-type", "application/json"), ("anthropic-version", "2023-06-01")]
    with gateway.connect(timeout=60) as client:
        client.request("POST", path, head, body if isinstance(body, bytes) else json.dumps(body).encode())
        return client.read_response("POST")


def piece(text, reason=None, name="completion"):
    return canned.sse({"type": "completion", "id": "compl_01", "completion": text, "stop_reason": reason, "model": OLD}, name)


def events(response):
    return [(e.event, json.loads(e.data)) for e in SseParser().feed(response.body, 0) if e.data]


STREAM = piece(" Hel") + canned.sse({"type": "ping"}, "ping") + piece("lo") + piece("", "stop_sequence")
WHOLE = json.dumps({"type": "completion", "id": "compl_01", "completion": " Hello", "stop_reason": "stop_sequence", "model": OLD}).encode()


@pytest.mark.parametrize("stream", [False, True])
def test_an_old_model_gets_and_gives_the_very_bytes(gateway, up, stream):
    up.clear()
    up.reply("POST", "/v1/complete", body=STREAM if stream else WHOLE)
    body = json.dumps({"model": OLD, "prompt": PROMPT, "max_tokens_to_sample": 9, "stream": stream}).encode()
    response = ask(gateway, body)
    assert (response.status, response.end, response.body) == (200, "complete", STREAM if stream else WHOLE)
    assert up.requests[-1].body == body and up.requests[-1].headers.all("anthropic-version") == ["2023-06-01"]


@pytest.mark.parametrize("model, path", [(CHAT, "/v1/chat/completions"), (NEW, "/v1/messages")])
def test_newer_models_are_asked_in_a_conversation(gateway, up, model, path):
    up.clear()
    anthropic = model == NEW
    up.reply("POST", path, when=lambda r: r.json().get("stream"),
             body=canned.anthropic_stream(("Hel", "lo.")) if anthropic else canned.openai_stream(("Hel", "lo.")))
    up.reply("POST", path, body=canned.anthropic_answer("Hello.") if anthropic else canned.openai_answer("Hello."))
    asked = {"model": model, "prompt": PROMPT, "max_tokens_to_sample": 9, "stop_sequences": ["###"], "temperature": 0.5}
    answer = json.loads(ask(gateway, asked).body)
    assert (answer["type"], answer["completion"], answer["stop_reason"], answer["model"]) == (
        "completion", " Hello.", "stop_sequence", model)     # as recorded: " Hello!"
    assert answer["id"].startswith("compl_")
    sent = up.requests[-1].json()
    assert [m["role"] for m in sent["messages"]][-3:] == ["user", "assistant", "user"] and sent["temperature"] == 0.5
    assert sent["stop_sequences" if anthropic else "stop"] == ["###"]
    got = [e for e in events(ask(gateway, {**asked, "stream": True})) if e[0] == "completion"]    # trap 34
    assert "".join(d["completion"] for _, d in got) == " Hello."
    assert [d["stop_reason"] for _, d in got] == [None, None, "stop_sequence"]


def test_an_old_model_answers_other_dialects_in_messages(gateway, up, anthropic_client, openai_client):
    up.clear()
    up.reply("POST", "/v1/messages", body=canned.anthropic_answer("Hello."))
    made = openai_client(gateway).chat.completions.create(model=OLD, messages=[{"role": "user", "content": "Hi"}])
    assert made.choices[0].message.content == "Hello."
    made = anthropic_client(gateway).messages.create(model=OLD, max_tokens=9, messages=[{"role": "user", "content": "Hi"}])
    assert made.content[0].text == "Hello."


def test_errors_are_anthropics(gateway, up):
    up.clear()
    response = ask(gateway, {"model": CHAT, "prompt": "x"})
    error = json.loads(response.body)
    assert response.status == 400 and error["type"] == "error" and "max_tokens_to_sample" in error["error"]["message"]
    assert ask(gateway, {"prompt": "x", "max_tokens_to_sample": 1}).status == 400 and not up.requests
    up.reply("POST", "/v1/complete", status=429, body=canned.dumps(
        {"type": "error", "error": {"type": "rate_limit_error", "message": "Slow down."}}).encode())
    response = ask(gateway, {"model": OLD, "prompt": PROMPT, "max_tokens_to_sample": 1})
    assert response.status == 429 and json.loads(response.body)["error"]["type"] == "rate_limit_error"


def test_trap_113_a_stream_that_is_cut_does_not_look_finished(gateway, up):
    up.clear()
    up.reply("POST", "/v1/complete", body=piece(" Hel"))
    response = ask(gateway, {"model": OLD, "prompt": PROMPT, "max_tokens_to_sample": 1, "stream": True})
    got = events(response)
    assert got[0][1]["completion"] == " Hel" and got[-1][0] == "error"
    assert not any(d.get("stop_reason") for _, d in got)


def test_the_universal_endpoint_knows_it(gateway, up):
    up.clear()
    up.reply("POST", "/v1/complete", body=WHOLE)
    response = ask(gateway, {"model": OLD, "prompt": PROMPT, "max_tokens_to_sample": 9}, "/v1/inference")
    assert (response.status, response.body) == (200, WHOLE)


def test_the_blank_belongs_behind_the_colon_only(gateway, up):
    """Where the client wrote it, or the assistant had begun to speak, the text goes on as the model has it."""
    for prompt, want in (("\n\nHuman: Hi\n\nAssistant:", " Well."), ("\n\nHuman: Hi\n\nAssistant: ", "Well."),
                         ("\n\nHuman: Hi\n\nAssistant: I say", "Well.")):
        for stream in (False, True):
            up.clear()
            up.reply("POST", "/v1/messages", body=canned.anthropic_stream(("Well", ".")) if stream else canned.anthropic_answer("Well."))
            response = ask(gateway, {"model": NEW, "prompt": prompt, "max_tokens_to_sample": 9, "stream": stream})
            text = "".join(d["completion"] for e, d in events(response) if e == "completion") if stream else json.loads(response.body)["completion"]
            assert text == want, (prompt, stream)


@pytest.mark.usefixtures("need_recordings")
def test_recorded_answers_begin_with_a_blank():
    """What the rule above stands on."""
    seen = [json.loads(r.body)["completion"] for r in recordings.load("anthropic_messages") if r.target.endswith("/v1/complete")]
    assert seen and all(text.startswith(" ") for text in seen)
