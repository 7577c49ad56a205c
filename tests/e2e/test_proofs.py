"""Traps 46-51, 61-63: what a vendor signed goes through a client of another dialect and back to that vendor unchanged, turn by turn.

A vendor here answers with reasoning it has signed and a call; the client keeps what its SDK gives it, brings it back
with the call's result, and the vendor must find its own proof where it put it.
"""

import json
import re

import anthropic
import openai
import pytest

from lib import canned
from lib.canned import anthropic_event, dumps, openai_chunk

TOOL = {"name": "weather", "description": "d", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}
SIGNATURE = "EqQBCkYIBBgCKkC+sig/natureAA" * 3      # Google's SDK wants base64
OPAQUE = "EroBCkYIBBgCKkDopaque=="


class Anthropic:
    """Signed thinking, redacted thinking, a call."""
    name, path, config = "anthropic", "/v1/messages", {"type": "anthropic"}

    def answer(self, n, stream):
        blocks = [{"type": "thinking", "thinking": f"Let me see {n}.", "signature": SIGNATURE + str(n) * 4},
                  {"type": "redacted_thinking", "data": OPAQUE + str(n)},
                  {"type": "tool_use", "id": f"toolu_0{n}", "name": "weather", "input": {"city": "Rom"}}]
        if not stream:
            return canned.anthropic_answer(content=blocks, stop="tool_use")
        out = [canned.anthropic_start()]
        for i, b in enumerate(blocks):
            start = {**b, "thinking": "", "signature": ""} if i == 0 else {**b, "input": {}} if i == 2 else b
            out.append(anthropic_event("content_block_start", index=i, content_block=start))
            if i == 0:
                out.append(anthropic_event("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": b["thinking"]}))
                out.append(anthropic_event("content_block_delta", index=0, delta={"type": "signature_delta", "signature": b["signature"]}))
            if i == 2:
                out.append(anthropic_event("content_block_delta", index=2, delta={"type": "input_json_delta", "partial_json": '{"city":"Rom"}'}))
            out.append(anthropic_event("content_block_stop", index=i))
        out.append(anthropic_event("message_delta", delta={"stop_reason": "tool_use", "stop_sequence": None}, usage={"output_tokens": 7}))
        return b"".join([*out, anthropic_event("message_stop")])

    def came_back(self, body, n):
        """Asserts that the n-th turn of the assistant is what was answered."""
        turn = [m for m in body["messages"] if m["role"] == "assistant"][n]["content"]
        sent = json.loads(self.answer(n, False))["content"]
        assert turn[:2] == sent[:2]
        assert [(b["id"], b["name"], b["input"]) for b in turn[2:]] == [(sent[2]["id"], "weather", {"city": "Rom"})]


class OpenRouter:
    """Details of reasoning in OpenRouter's form, minted by vendors behind it: `format` says by whom."""
    path, config = "/v1/chat/completions", {"type": "openrouter"}

    def __init__(self, format, encrypted, item=False):
        self.format, self.encrypted, self.item, self.name = format, encrypted, item, f"openrouter-{format}{'-item' if item else ''}"

    def details(self, n):
        if self.item:       # as OpenAI's models think: a summary, and what only they can read, bound to an id
            return [{"type": "reasoning.summary", "summary": f"Let me see {n}.", "format": self.format, "index": 0},
                    {"type": "reasoning.encrypted", "data": SIGNATURE + str(n) * 4, "id": f"rs_0{n}", "format": self.format, "index": 0}]
        if self.encrypted:
            return [{"type": "reasoning.encrypted", "data": SIGNATURE + str(n) * 4, "format": self.format, "index": 0}]
        return [{"type": "reasoning.text", "text": f"Let me see {n}.", "signature": SIGNATURE + str(n) * 4, "format": self.format, "index": 0}]

    def answer(self, n, stream):
        call = {"id": f"call_{n}", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Rom"}'}}
        if not stream:
            answer = json.loads(canned.openai_answer(None, tool_calls=[(call["id"], "weather", '{"city":"Rom"}')]))
            answer["choices"][0]["message"]["reasoning_details"] = self.details(n)
            return dumps(answer).encode()
        return b"".join([openai_chunk({"role": "assistant", "reasoning_details": self.details(n)}), openai_chunk({"tool_calls": [{"index": 0, **call}]}),
                         openai_chunk({}, "tool_calls"), openai_chunk(usage=canned.openai_usage(), choices=[]), b"data: [DONE]\n\n"])

    def came_back(self, body, n):
        turn = [m for m in body["messages"] if m["role"] == "assistant"][n]
        # Google's SDK writes bytes back in the other alphabet of base64, which is the same to Google.
        same = json.loads(dumps(turn["reasoning_details"]).replace("-sig_", "+sig/"))
        assert same == self.details(n)
        assert turn["tool_calls"][0]["id"] == f"call_{n}"


class Google:
    """Google's endpoint for OpenAI's clients: the signature stands with the call."""
    name, path = "google-compat", "/v1/chat/completions"
    config = {"type": "openai-compatible", "quirks": ["google_signatures", "max_tokens"]}

    def calls(self, n):
        return [{"id": f"call_{n}{k}", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Rom"}'},
                 **({"extra_content": {"google": {"thought_signature": f"c2ln{n}{k}aa"}}} if k < 2 else {})} for k in range(3)]

    def answer(self, n, stream):
        if not stream:
            answer = json.loads(canned.openai_answer(None, tool_calls=[("x", "y", "{}")]))
            answer["choices"][0]["message"]["tool_calls"] = self.calls(n)
            return dumps(answer).encode()
        return b"".join([openai_chunk({**({} if k else {"role": "assistant"}), "tool_calls": [{"index": k, **c}]}) for k, c in enumerate(self.calls(n))] +
                        [openai_chunk({}, "stop"), b"data: [DONE]\n\n"])

    def came_back(self, body, n):
        turn = [m for m in body["messages"] if m["role"] == "assistant"][n]
        assert turn["tool_calls"] == self.calls(n)


class Gemini:
    """Gemini's own protocol: signatures on calls, in base64."""
    name, config = "gemini", {"type": "google"}
    path = re.compile(r"^/v1beta/models/m:(generate|streamGenerate)Content$")

    def parts(self, n):
        return [{"functionCall": {"name": "weather", "args": {"city": "Rom"}}, "thoughtSignature": f"c2lnbmF0dXJl{n}{k}aa"} for k in range(2)]

    def answer(self, n, stream):
        body = {"candidates": [{"content": {"role": "model", "parts": self.parts(n)}, "finishReason": "STOP", "index": 0}],
                "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 3, "totalTokenCount": 8}, "modelVersion": "m"}
        return canned.sse(body, end="\r\n") if stream else dumps(body).encode()

    def came_back(self, body, n):
        turn = [c for c in body["contents"] if c["role"] == "model"][n]["parts"]
        assert [(p["functionCall"]["name"], p["functionCall"]["args"], p.get("thoughtSignature")) for p in turn if "functionCall" in p] == [
            ("weather", {"city": "Rom"}, p["thoughtSignature"]) for p in self.parts(n)]


class Responses:
    """Responses' own items: a summary, and what only who minted it can read, bound to an id."""
    path = "/v1/responses"

    def __init__(self, kind):
        self.name, self.config = f"responses-{kind}", {"type": kind, "protocols": ["openai-responses"]}

    def items(self, n):
        return [{"type": "reasoning", "id": f"rs_0{n}", "summary": [{"type": "summary_text", "text": f"Let me see {n}."}],
                 "encrypted_content": SIGNATURE + str(n) * 4},
                {"type": "function_call", "id": f"fc_0{n}", "call_id": f"call_{n}", "name": "weather", "arguments": '{"city":"Rom"}'}]

    def answer(self, n, stream):
        done = {"id": f"resp_{n}", "object": "response", "created_at": 1, "status": "completed", "error": None, "model": "m",
                "output": self.items(n), "tools": [], "usage": {"input_tokens": 5, "output_tokens": 3, "total_tokens": 8}}
        if not stream:
            return dumps(done).encode()
        events = [{"type": "response.created", "response": {**done, "status": "in_progress", "output": []}}]
        for i, item in enumerate(self.items(n)):
            events += [{"type": "response.output_item.added", "output_index": i, "item": item},
                       {"type": "response.output_item.done", "output_index": i, "item": item}]
        events.append({"type": "response.completed", "response": done})
        return b"".join(canned.sse({**e, "sequence_number": i}, event=e["type"]) for i, e in enumerate(events))

    def came_back(self, body, n):
        sent = [i for i in body["input"] if i.get("type") in ("reasoning", "function_call")][2 * n:2 * n + 2]
        assert {**sent[0], "encrypted_content": sent[0]["encrypted_content"].replace("-sig_", "+sig/")} == self.items(n)[0]
        assert sent[1]["call_id"] == f"call_{n}"


class ChatClient:
    name = "openai-sdk"

    def __init__(self, make, gateway):
        self.sdk, self.messages = make(gateway), [{"role": "user", "content": "Weather?"}]

    def turn(self, model, stream):
        ask = {"model": model, "messages": self.messages, "tools": [{"type": "function", "function": TOOL}], "max_tokens": 9000,
               "reasoning_effort": "low"}
        if stream:
            with self.sdk.chat.completions.stream(**ask) as s:
                details = [d for e in s if e.type == "chunk" for c in e.chunk.choices for d in getattr(c.delta, "reasoning_details", ())]
                message = s.get_final_completion().choices[0].message
        else:
            details, message = [], self.sdk.chat.completions.create(**ask).choices[0].message
        kept = message.to_dict()
        if len({d["type"] for d in details}) > 1:       # the SDK takes what has one index for pieces of one thing
            kept["reasoning_details"] = details
        for call in kept["tool_calls"]:
            call["function"].pop("parsed_arguments", None)
            call.pop("index", None)
        self.messages = [*self.messages, {k: v for k, v in kept.items() if v is not None and k != "parsed"}] + [
            {"role": "tool", "tool_call_id": c.id, "content": "sun"} for c in message.tool_calls]


class ClaudeClient:
    name = "anthropic-sdk"

    def __init__(self, make, gateway):
        self.sdk, self.messages = make(gateway), [{"role": "user", "content": "Weather?"}]

    def turn(self, model, stream):
        tool = {"name": "weather", "description": "d", "input_schema": TOOL["parameters"]}
        ask = {"model": model, "messages": self.messages, "tools": [tool], "max_tokens": 9000,
               "thinking": {"type": "enabled", "budget_tokens": 2048}}
        if stream:
            with self.sdk.messages.stream(**ask) as s:
                message = s.get_final_message()
        else:
            message = self.sdk.messages.create(**ask)
        content = [b.model_dump(exclude_none=True) for b in message.content]
        for b in content:
            b.pop("parsed_output", None)
        self.messages = [*self.messages, {"role": "assistant", "content": content}, {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": b["id"], "content": "sun"} for b in content if b["type"] == "tool_use"]}]


class ResponsesClient:
    name = "responses-sdk"

    def __init__(self, make, gateway):
        self.sdk, self.messages = make(gateway), [{"role": "user", "content": "Weather?"}]

    def turn(self, model, stream):
        ask = {"model": model, "input": self.messages, "tools": [{"type": "function", "strict": False, **TOOL}], "max_output_tokens": 9000,
               "store": False, "include": ["reasoning.encrypted_content"], "reasoning": {"effort": "low"}}
        if stream:
            response = [e for e in self.sdk.responses.create(**ask, stream=True) if e.type == "response.completed"][-1].response
        else:
            response = self.sdk.responses.create(**ask)
        items = [i.to_dict() for i in response.output]
        self.messages = [*self.messages, *items] + [
            {"type": "function_call_output", "call_id": i["call_id"], "output": "sun"} for i in items if i["type"] == "function_call"]


class GeminiClient:
    """google-genai: the content of an answer goes back as the SDK gave it."""
    name = "genai-sdk"

    def __init__(self, make, gateway):
        self.sdk, self.messages = make(gateway), [{"role": "user", "parts": [{"text": "Weather?"}]}]

    def turn(self, model, stream):
        ask = {"model": model, "contents": self.messages, "config": {
            "tools": [{"function_declarations": [{**{k: TOOL[k] for k in ("name", "description")}, "parameters_json_schema": TOOL["parameters"]}]}],
            "max_output_tokens": 9000, "thinking_config": {"thinking_budget": 2048, "include_thoughts": True},
            "automatic_function_calling": {"disable": True}}}
        chunks = list(self.sdk.models.generate_content_stream(**ask)) if stream else [self.sdk.models.generate_content(**ask)]
        parts = [p for c in chunks for p in (c.candidates[0].content.parts or ())]
        calls = [p.function_call for p in parts if p.function_call]
        self.messages = [*self.messages, {"role": "model", "parts": parts}, {"role": "user", "parts": [
            {"function_response": {"id": c.id, "name": c.name, "response": {"output": "sun"}}} for c in calls]}]


VENDORS = [Anthropic(), Google(), Gemini(), OpenRouter("anthropic-claude-v1", False), OpenRouter("google-gemini-v1", True),
           OpenRouter("openai-responses-v1", True), OpenRouter("openai-responses-v1", True, item=True),
           OpenRouter("xai-responses-v1", True, item=True), OpenRouter("vendor-to-come-v7", True), OpenRouter("unknown", False),
           Responses("xai"), Responses("openai-compatible")]


@pytest.fixture(params=(ChatClient, ClaudeClient, ResponsesClient, GeminiClient), ids=lambda c: c.name)
def client_class(request):
    return request.param


@pytest.fixture
def start(start_gateway, faultd):
    def make(vendor):
        up = faultd()
        base = up.origin + {"anthropic": "", "gemini": "/v1beta"}.get(vendor.name, "/v1")
        return up, start_gateway({"providers": {"a": {**vendor.config, "api_key": "k", "base_url": base, "discover": False}}})
    return make


@pytest.mark.parametrize("stream", (False, True), ids=("whole", "stream"))
@pytest.mark.parametrize("vendor", VENDORS, ids=lambda v: v.name)
def test_trap_046_048_050_051_a_proof_comes_back_to_who_minted_it(vendor, stream, client_class, start, openai_client, anthropic_client,
                                                                      genai_client):
    up, gateway = start(vendor)
    client = client_class({ClaudeClient: anthropic_client, GeminiClient: genai_client}.get(client_class, openai_client), gateway)
    for n in range(3):
        up.reply("POST", vendor.path, body=vendor.answer(n, stream), times=1)
        client.turn("a/m", stream)
        for k in range(n):
            vendor.came_back(up.requests[-1].json(), k)


@pytest.mark.parametrize("stream", (False, True), ids=("whole", "stream"))
def test_trap_047_anthropic_never_sees_proofs_of_others(stream, start_gateway, faultd, anthropic_client):
    """A conversation that began at other vendors goes on at Anthropic: their thinking stays away, all else is there."""
    up = faultd()
    others = [Google(), OpenRouter("google-gemini-v1", True), OpenRouter("unknown", False)]
    gateway = start_gateway({"providers": {
        **{f"v{i}": {**v.config, "api_key": "k", "base_url": f"{up.origin}/v{i}", "discover": False} for i, v in enumerate(others)},
        "real": {"type": "anthropic", "api_key": "k", "base_url": up.origin, "discover": False}}})
    client = ClaudeClient(anthropic_client, gateway)
    for i, vendor in enumerate(others):
        up.reply("POST", f"/v{i}/chat/completions", body=vendor.answer(i, stream), times=1)
        client.turn(f"v{i}/m", stream)
    thinking = [b for m in client.messages for b in m["content"] if isinstance(b, dict) and "thinking" in b["type"]]
    assert len(thinking) == 4 and all(b["signature"].startswith("lgw1.") for b in thinking)
    up.reply("POST", "/v1/messages", body=Anthropic().answer(9, False), times=1)
    ask = {"model": "real/m", "max_tokens": 9000, "messages": client.messages}
    assert client.sdk.messages.with_raw_response.create(**ask).headers["x-llm-gateway-dropped"] == "reasoning_content"
    with pytest.raises(anthropic.BadRequestError):
        client.sdk.messages.create(**ask, extra_headers={"x-llm-gateway-strict": "true"})
    up.reply("POST", "/v1/messages", body=Anthropic().answer(9, stream), times=1)
    client.turn("real/m", stream)
    got = up.requests[-1].json()["messages"]
    assert "lgw1." not in dumps(got) and "c2ln" not in dumps(got)
    assert [[b["id"] for b in m["content"]] for m in got if m["role"] == "assistant"] == [
        ["call_00", "call_01", "call_02"], ["call_1"], ["call_2"]]
    # And its own proof is whole in the turn after.
    up.reply("POST", "/v1/messages", body=Anthropic().answer(9, stream), times=1)
    client.turn("real/m", stream)
    own = up.requests[-1].json()["messages"][-2]["content"]
    assert own[:2] == json.loads(Anthropic().answer(9, False))["content"][:2]


@pytest.mark.parametrize("stream", (False, True), ids=("whole", "stream"))
def test_trap_047_openai_never_sees_proofs_of_others(stream, start_gateway, faultd, openai_client):
    """A Chat client's conversation goes on at OpenAI, which refuses members it does not have: they stay away and are named, all else is there."""
    up = faultd()
    others = [Anthropic(), Google(), OpenRouter("unknown", False)]
    gateway = start_gateway({"providers": {
        **{f"v{i}": {**v.config, "api_key": "k", "base_url": f"{up.origin}/v{i}", "discover": False} for i, v in enumerate(others)},
        "real": {"type": "openai", "api_key": "k", "base_url": f"{up.origin}/v1", "discover": False, "quirks": ["strict_messages"]}}})
    client = ChatClient(openai_client, gateway)
    for i, vendor in enumerate(others):
        up.reply("POST", f"/v{i}{vendor.path.removeprefix('/v1') if i else vendor.path}", body=vendor.answer(i, stream), times=1)
        client.turn(f"v{i}/m", stream)
    carried = [m for m in client.messages if "reasoning_details" in m or "extra_content" in dumps(m)]
    assert len(carried) == 3
    up.reply("POST", "/v1/chat/completions", body=canned.openai_answer("Sunny."))
    answer = client.sdk.chat.completions.with_raw_response.create(model="real/m", messages=client.messages)
    assert answer.headers["x-llm-gateway-dropped"] == "reasoning_content"
    strange = ("reasoning_content", "reasoning_details", "extra_content")
    plain = [{k: v for k, v in m.items() if k not in strange} for m in json.loads(dumps(client.messages))]
    for call in [c for m in plain for c in m.get("tool_calls", ())]:
        call.pop("extra_content", None)
    assert up.requests[-1].json()["messages"] == plain
    with pytest.raises(openai.BadRequestError):
        client.sdk.chat.completions.create(model="real/m", messages=client.messages, extra_headers={"x-llm-gateway-strict": "true"})
    # A conversation without them is OpenAI's byte for byte.
    answer = client.sdk.chat.completions.with_raw_response.create(model="real/m", messages=plain)
    assert "x-llm-gateway-dropped" not in answer.headers


@pytest.mark.parametrize("stream", (False, True), ids=("whole", "stream"))
@pytest.mark.parametrize("client_class", (ChatClient, ClaudeClient), ids=lambda c: c.name)
def test_trap_050_vendors_of_one_protocol_get_only_what_they_minted(client_class, stream, start_gateway, faultd, openai_client, anthropic_client):
    """xAI and another server both speak Responses, and neither reads what the other has encrypted."""
    up, vendor = faultd(), Responses("xai")
    gateway = start_gateway({"providers": {
        "grok": {**vendor.config, "api_key": "k", "base_url": f"{up.origin}/v1", "discover": False},
        "other": {**Responses("openai-compatible").config, "base_url": f"{up.origin}/v1", "discover": False}}})
    client = client_class({ClaudeClient: anthropic_client}.get(client_class, openai_client), gateway)
    for n, model in enumerate(("grok/m", "other/m", "grok/m", "grok/m")):
        up.reply("POST", "/v1/responses", body=vendor.answer(n, stream), times=1)
        client.turn(model, stream)
    minted = [[i["id"] for i in r.json()["input"] if i.get("type") == "reasoning"] for r in up.requests]
    assert minted == [[], [], ["rs_00"], ["rs_00", "rs_02"]]
    assert all(len([i for i in r.json()["input"] if i.get("type") == "function_call"]) == n for n, r in enumerate(up.requests))


def test_trap_061_ids_no_other_vendor_would_take_come_back(start_gateway, faultd, anthropic_client):
    """Ids with dots and colons, or longer than anybody's limit, are the vendor's own again when they come back to it."""
    up = faultd()
    gateway = start_gateway({"providers": {"a": {"type": "openai-compatible", "base_url": f"{up.origin}/v1", "discover": False}}})
    ids = ["functions.weather:0", "c" * 60]
    client = ClaudeClient(anthropic_client, gateway)
    up.reply("POST", "/v1/chat/completions", body=canned.openai_answer(None, tool_calls=[(i, "weather", "{}") for i in ids]), times=1)
    client.turn("a/m", False)
    up.reply("POST", "/v1/chat/completions", body=canned.openai_answer(None, tool_calls=[("x", "weather", "{}")]), times=1)
    client.turn("a/m", False)
    sent = up.requests[-1].json()["messages"]
    assert [c["id"] for c in sent[1]["tool_calls"]] == ids == [m["tool_call_id"] for m in sent[2:4]]
