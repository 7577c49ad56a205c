"""Custom tools, whose input is free text: OpenAI's Chat clients, OpenAI's own answers, and models that know functions only."""

import json

import pytest

from lib import canned
from lib.canned import dumps, openai_chunk

CODE = 'print("a")\nif x:\n\tpass  # \\n "quoted" é'
TOOL = {"type": "custom", "custom": {"name": "run", "description": "Runs code", "format": {"type": "text"}}}
ASK = [{"role": "user", "content": "go"}]


@pytest.fixture
def up(faultd):
    return faultd()


@pytest.fixture
def gateway(start_gateway, up):
    return start_gateway({"providers": {
        "oai": {"type": "openai", "base_url": f"{up.origin}/v1", "api_key": "k", "discover": False},
        "other": {"type": "openai-compatible", "base_url": f"{up.origin}/v1", "discover": False},
        "ant": {"type": "anthropic", "base_url": up.origin, "api_key": "k", "discover": False}}})


def ask(client, model, messages, stream):
    if not stream:
        return client.chat.completions.create(model=model, messages=messages, tools=[TOOL]).choices[0].message.to_dict()["tool_calls"]
    calls = {}
    for chunk in client.chat.completions.create(model=model, messages=messages, tools=[TOOL], stream=True):
        for d in (chunk.to_dict()["choices"] or [{"delta": {}}])[0]["delta"].get("tool_calls") or []:
            call = calls.setdefault(d["index"], {"id": d.get("id"), "type": d.get("type"), "custom": {"name": d["custom"].get("name"), "input": ""}})
            call["custom"]["input"] += d["custom"].get("input", "")
    return list(calls.values())


@pytest.mark.parametrize("stream", (False, True), ids=("whole", "stream"))
def test_a_chat_client_gets_the_text_from_a_model_of_functions(stream, gateway, up, openai_client):
    """Towards Anthropic it is a tool with one text; the client sees a custom call, and its result goes back."""
    use = {"type": "tool_use", "id": "toolu_1", "name": "run", "input": {"input": CODE}}
    if stream:
        text = dumps(use["input"])
        body = canned.anthropic_start() + canned.anthropic_event("content_block_start", index=0, content_block={**use, "input": {}})
        for piece in (text[:7], text[7:20], text[20:]):
            body += canned.anthropic_event("content_block_delta", index=0, delta={"type": "input_json_delta", "partial_json": piece})
        body += canned.anthropic_event("content_block_stop", index=0) + canned.anthropic_event(
            "message_delta", delta={"stop_reason": "tool_use", "stop_sequence": None}, usage={"output_tokens": 7}) + canned.anthropic_event("message_stop")
    else:
        body = canned.anthropic_answer(content=[use], stop="tool_use")
    up.reply("POST", "/v1/messages", body=body)
    client = openai_client(gateway)
    calls = ask(client, "ant/m", ASK, stream)
    assert calls == [{"id": "toolu_1", "type": "custom", "custom": {"name": "run", "input": CODE}}]
    tool = up.requests[-1].json()["tools"][0]
    assert tool["name"] == "run" and tool["input_schema"]["required"] == ["input"]
    ask(client, "ant/m", [*ASK, {"role": "assistant", "content": None, "tool_calls": calls},
                          {"role": "tool", "tool_call_id": "toolu_1", "content": "ok"}], stream)
    assert up.requests[-1].json()["messages"][1]["content"] == [use]


@pytest.mark.parametrize("stream", (False, True), ids=("whole", "stream"))
def test_openais_custom_calls_reach_an_anthropic_client(stream, gateway, up, anthropic_client):
    """It cannot ask for one, but a model behind a proxy may call one: a call with its text as `input`, never a nameless one."""
    first, second = ({"id": f"call_{i}", "type": "custom", "custom": {"name": "run", "input": CODE + str(i)}} for i in range(2))
    if stream:
        def delta(i, **call):
            return openai_chunk({"tool_calls": [{"index": i, **call}]})
        body = openai_chunk({"role": "assistant"}) + b"".join(
            delta(i, id=c["id"], type="custom", custom={"name": "run", "input": ""}) + delta(i, custom={"input": c["custom"]["input"][:9]}) +
            delta(i, custom={"input": c["custom"]["input"][9:]}) for i, c in enumerate((first, second)))
        body += openai_chunk({}, "tool_calls") + openai_chunk(usage=canned.openai_usage(), choices=[]) + b"data: [DONE]\n\n"
    else:
        answer = json.loads(canned.openai_answer(None, tool_calls=[("x", "y", "{}")]))
        answer["choices"][0]["message"]["tool_calls"] = [first, second]
        body = dumps(answer).encode()
    up.reply("POST", "/v1/chat/completions", body=body)
    client = anthropic_client(gateway)
    more = {"model": "oai/m", "max_tokens": 99, "messages": ASK}
    if stream:
        with client.messages.stream(**more) as s:
            message = s.get_final_message()
    else:
        message = client.messages.create(**more)
    assert [(b.id, b.name, b.input) for b in message.content] == [(f"call_{i}", "run", {"input": CODE + str(i)}) for i in range(2)]
    assert message.stop_reason == "tool_use"


def test_any_json_object_is_asked_for_in_words(gateway, up, openai_client):
    """Trap 81: Anthropic has no such mode; the model is told, and the loss is named."""
    up.reply("POST", "/v1/messages", body=canned.anthropic_answer('{"a":1}'))
    raw = openai_client(gateway).chat.completions.with_raw_response.create(
        model="ant/m", messages=[{"role": "system", "content": "S"}, *ASK], response_format={"type": "json_object"})
    system = up.requests[-1].json()["system"]
    assert system[0]["text"] == "S" and "JSON object" in system[-1]["text"]
    assert raw.headers["x-llm-gateway-dropped"] == "response_format"
