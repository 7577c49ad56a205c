"""Google's official SDK in front of scripted providers, and the other SDKs in front of a scripted Google: what the SDK returns is
looked at, and what the provider was asked, as exact JSON.
"""

import base64
import json
import struct

import pytest
from google.genai import errors, types

from lib import canned

GENERATE = "/v1beta/models/gemini-2.5-flash:generateContent"
STREAM = "/v1beta/models/gemini-2.5-flash:streamGenerateContent"
WEATHER = {"name": "weather", "description": "Tells it.",
           "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}


@pytest.fixture(scope="module")
def up(module_faultd):
    return module_faultd()


@pytest.fixture(scope="module")
def gateway(start_module_gateway, up):
    return start_module_gateway({"providers": {
        "google": {"type": "gemini", "base_url": up.origin, "api_key": "up-google", "models": ["gemini-2.5-flash"],
                   "discover": False},
        "vertex": {"type": "google", "base_url": f"{up.origin}/v1/projects/p/locations/l", "api_key": "up-token",
                   "models": ["gemini-v"], "discover": False},
        "chat": {"type": "openai", "base_url": f"{up.origin}/v1", "api_key": "up", "models": ["c"], "discover": False},
        "claude": {"type": "anthropic", "base_url": up.origin, "api_key": "up", "models": ["a"], "discover": False}}})


def answer(*parts, finish="STOP", **usage):
    return {"candidates": [{"content": {"role": "model", "parts": list(parts)}, "finishReason": finish, "index": 0}],
            "usageMetadata": {"promptTokenCount": 4, "candidatesTokenCount": 3, "totalTokenCount": 7, **usage},
            "modelVersion": "gemini-2.5-flash", "responseId": "resp"}


def reply(up, body, path=None, **kw):
    up.clear()
    return up.reply("POST", path, body=json.dumps(body).encode() if isinstance(body, dict) else body,
                    headers=kw.pop("headers", (("content-type", "application/json"),)), **kw)


def sent(script):
    return script.wait_for_request().request


# ---- tools, turn by turn -----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_tool_turn_of_googles_sdk_on_an_openai_upstream(gateway, up, genai_client, stream):
    client = genai_client(gateway)
    tool = types.Tool(function_declarations=[types.FunctionDeclaration(
        name="weather", description="Tells it.", parameters_json_schema=WEATHER["parameters"])])
    config = types.GenerateContentConfig(tools=[tool], system_instruction="Be brief.", max_output_tokens=50,
                                         automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True))
    script = reply(up, canned.openai_answer(None, tool_calls=[("call_1", "weather", '{"city":"Oslo"}')]))
    chat = client.chats.create(model="c", config=config)
    call = chat.send_message("How is it in Oslo?").function_calls[0]
    assert (call.id, call.name, call.args) == ("call_1", "weather", {"city": "Oslo"})
    asked = sent(script).json()
    assert asked["messages"][0] == {"role": "system", "content": "Be brief."}
    assert asked["tools"][0]["function"]["parameters"] == WEATHER["parameters"]
    if stream:
        up.clear()
        script = up.reply("POST", body=canned.stream("openai-chat"), headers=(("content-type", "text/event-stream"),))
    else:
        script = reply(up, canned.openai_answer("Rain."))
    result = types.Part.from_function_response(name="weather", response={"result": "rain"})
    result.function_response.id = call.id
    answers = list(chat.send_message_stream(result)) if stream else [chat.send_message(result)]
    assert "".join(a.text or "" for a in answers)
    asked = sent(script).json()["messages"]
    assert asked[-2]["tool_calls"][0]["id"] == asked[-1]["tool_call_id"] == "call_1"
    assert asked[-1]["content"] == "rain"


def test_trap_051_a_signature_survives_an_openai_client(gateway, up, openai_client):
    """Google signs a call; a Chat client that keeps what it is given brings the signature back to the same part."""
    client = openai_client(gateway)
    tools = [{"type": "function", "function": WEATHER}]
    messages = [{"role": "user", "content": "How is it in Oslo?"}]
    script = reply(up, answer({"functionCall": {"name": "weather", "args": {"city": "Oslo"}}, "thoughtSignature": "U0lH"}),
                   GENERATE)
    message = client.chat.completions.create(model="gemini-2.5-flash", messages=messages, tools=tools).choices[0].message
    assert sent(script).headers.get("x-goog-api-key") == "up-google"
    script = reply(up, answer({"text": "Rain."}), GENERATE)
    messages += [message.model_dump(exclude_none=True),
                 {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "rain"}]
    answered = client.chat.completions.create(model="gemini-2.5-flash", messages=messages, tools=tools)
    assert answered.choices[0].message.content == "Rain."
    assert (answered.usage.prompt_tokens, answered.usage.completion_tokens) == (4, 3)
    contents = sent(script).json()["contents"]
    assert contents[1]["parts"][0]["thoughtSignature"] == "U0lH"
    assert contents[2]["parts"][0]["functionResponse"]["name"] == "weather"


def test_trap_046_thinking_of_claude_survives_googles_sdk(gateway, up, genai_client):
    client = genai_client(gateway)
    blocks = [{"type": "thinking", "thinking": "Hm, let me see.", "signature": "c2ln+/=="}, {"type": "text", "text": "Yes."}]
    body = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": blocks,
            "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 2}}
    script = reply(up, body, "/v1/messages")
    chat = client.chats.create(model="a")
    got = chat.send_message("Well?")
    assert got.text == "Yes." and got.candidates[0].content.parts[0].thought
    sent(script)
    script = reply(up, body, "/v1/messages")
    chat.send_message("Sure?")
    assert sent(script).json()["messages"][1]["content"] == blocks


# ---- streams -----------------------------------------------------------------------------------------------------------

def test_the_list_form_of_a_stream(gateway, up):
    up.clear()
    up.reply("POST", body=canned.stream("openai-chat"), headers=(("content-type", "text/event-stream"),))
    client = gateway.connect(timeout=30)
    body = json.dumps({"contents": [{"parts": [{"text": "Hi"}]}]}).encode()
    client.request("POST", "/v1beta/models/c:streamGenerateContent", [("content-type", "application/json")], body)
    response = client.read_response("POST")
    chunks = json.loads(response.body)
    assert response.headers.get("content-type").startswith("application/json")
    assert chunks[-1]["candidates"][0]["finishReason"] == "STOP" and chunks[-1]["usageMetadata"]["totalTokenCount"]
    client.close()


def test_trap_111_an_error_in_the_middle_reaches_googles_sdk(gateway, up, genai_client):
    whole = canned.stream("openai-chat")
    cut = canned.event_starts(whole)[2]
    up.clear()
    up.reply("POST", body=whole[:cut] + b'data: {"error":{"message":"overheated","type":"server_error"}}\n\n',
             headers=(("content-type", "text/event-stream"),))
    with pytest.raises(errors.APIError, match="overheated"):
        list(genai_client(gateway).models.generate_content_stream(model="c", contents="Hi"))


# ---- embeddings, counts, models ----------------------------------------------------------------------------------------

def test_trap_099_embeddings_across(gateway, up, genai_client, openai_client):
    script = reply(up, {"object": "list", "model": "c", "usage": {"prompt_tokens": 2, "total_tokens": 2},
                        "data": [{"object": "embedding", "index": i, "embedding": [i, 0.5]} for i in (1, 0)]})
    got = genai_client(gateway).models.embed_content(model="c", contents=["a", "b"])
    assert [e.values for e in got.embeddings] == [[0, 0.5], [1, 0.5]]
    assert sent(script).json()["input"] == ["a", "b"]
    script = reply(up, {"embeddings": [{"values": [0.5, -1]}, {"values": [2, 3]}]},
                   "/v1beta/models/gemini-2.5-flash:batchEmbedContents")
    got = openai_client(gateway).embeddings.create(model="gemini-2.5-flash", input=["a", "b"], dimensions=2,
                                                   encoding_format="base64")
    assert [struct.unpack("<2f", base64.b64decode(d.embedding)) for d in got.data] == [(0.5, -1), (2, 3)]
    assert sent(script).json()["requests"][1] == {"model": "models/gemini-2.5-flash", "outputDimensionality": 2,
                                                  "content": {"parts": [{"text": "b"}]}}


def test_counts_and_models(gateway, up, genai_client):
    client = genai_client(gateway)
    script = reply(up, {"totalTokens": 31}, "/v1beta/models/gemini-2.5-flash:countTokens")
    assert client.models.count_tokens(model="gemini-2.5-flash", contents="Hi").total_tokens == 31
    sent(script)
    script = reply(up, {"object": "response.input_tokens", "input_tokens": 32}, "/v1/responses/input_tokens")
    assert client.models.count_tokens(model="c", contents="Hello there").total_tokens == 32
    assert sent(script).json()["model"] == "c"
    assert {"models/c", "models/gemini-2.5-flash"} <= {m.name for m in client.models.list()}
    assert client.models.get(model="c").name == "models/c"


# ---- Vertex AI, refusals -----------------------------------------------------------------------------------------------

def test_vertex_takes_a_token_and_the_project_in_the_path(gateway, up, openai_client):
    script = reply(up, answer({"text": "Hi."}), "/v1/projects/p/locations/l/publishers/google/models/gemini-v:generateContent")
    client = openai_client(gateway)
    got = client.chat.completions.create(model="gemini-v", messages=[{"role": "user", "content": "Hi"}])
    assert got.choices[0].message.content == "Hi."
    request = sent(script)
    assert request.headers.get("authorization") == "Bearer up-token" and not request.headers.get("x-goog-api-key")


def test_trap_110_a_wait_in_the_body_reaches_the_head(gateway, up, openai_client):
    import openai
    reply(up, {"error": {"code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED", "details": [
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "12.5s"}]}}, status=429)
    with pytest.raises(openai.RateLimitError) as e:
        openai_client(gateway).chat.completions.create(model="gemini-2.5-flash", messages=[{"role": "user", "content": "Hi"}])
    assert e.value.response.headers["retry-after"] == "13"


def test_refusals_are_in_googles_words(gateway, genai_client):
    with pytest.raises(errors.ClientError) as e:
        genai_client(gateway).models.generate_content(model="nowhere", contents="Hi")
    assert (e.value.code, e.value.status) == (404, "NOT_FOUND")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_picture_that_the_model_draws_reaches_chats_clients(gateway, up, openai_client, stream):
    """In the form that OpenRouter has for it; of two pictures each has its place."""
    pictures = [("image/png", "iVBORw0KGgo="), ("image/webp", "UklGRg==")]
    parts = [{"text": "Here: "}, *({"inlineData": {"mimeType": m, "data": d}} for m, d in pictures), {"inlineData": {
        "mimeType": "audio/wav", "data": "UklG"}}]
    verb = "streamGenerateContent" if stream else "generateContent"
    reply(up, answer(*parts), f"/v1beta/models/gemini-2.5-flash:{verb}")
    ask = {"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "Draw."}]}
    api = openai_client(gateway).chat.completions
    if stream:
        deltas = [c.choices[0].delta for c in api.create(**ask, stream=True) if c.choices]
        text = "".join(d.content or "" for d in deltas)
        images = [i for d in deltas for i in (d.model_extra or {}).get("images", ())]
    else:
        message = api.create(**ask).choices[0].message
        text, images = message.content, message.model_extra["images"]
    assert text == "Here: "
    assert [(i["type"], i["index"], i["image_url"]["url"]) for i in images] == [
        ("image_url", n, f"data:{m};base64,{d}") for n, (m, d) in enumerate(pictures)]
