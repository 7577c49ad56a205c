"""The official SDKs in front of scripted providers: {openai, anthropic} x {Chat, Messages} x {whole, streamed}, one subject a
test. What the SDK returns is looked at, and what the provider was asked, as exact JSON.
"""

import base64
import json

import anthropic
import openai
import pytest

from lib import canned, matrix

MODEL = {"openai-chat": "to-chat", "anthropic-messages": "to-claude"}
UPSTREAM_MODEL = {"openai-chat": "gpt-5-mini", "anthropic-messages": "claude-sonnet-4-5"}
DIALECTS = list(canned.PATHS)
PNG = base64.b64encode(bytes.fromhex("89504e470d0a1a0a0000000d49484452")).decode()
PDF = base64.b64encode(b"%PDF-1.4\n%%EOF\n").decode()


@pytest.fixture(scope="module")
def up(module_faultd):
    return module_faultd()


@pytest.fixture(scope="module")
def gateway(start_module_gateway, up):
    return start_module_gateway({
        "providers": {"chat": {"type": "openai", "base_url": f"{up.origin}/v1", "api_key": "sk-up-chat", "models": ["gpt-5-mini"]},
                      "claude": {"type": "anthropic", "base_url": up.origin, "api_key": "sk-up-claude",
                                 "models": ["claude-sonnet-4-5"]}},
        "models": [{"name": "to-chat", "provider": "chat", "provider_model_id": "gpt-5-mini"},
                   {"name": "to-claude", "provider": "claude", "provider_model_id": "claude-sonnet-4-5"}]})


@pytest.fixture
def clients(gateway, openai_client, anthropic_client):
    return {"openai-chat": matrix.ChatClient(openai_client(gateway)),
            "anthropic-messages": matrix.ClaudeClient(anthropic_client(gateway))}


both = pytest.mark.parametrize("provider", DIALECTS)
each_client = pytest.mark.parametrize("front", DIALECTS)
each_way = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


class Path:
    """A client, a provider, and whether they stream."""

    def __init__(self, clients, up, front, provider, stream):
        self.client, self.up, self.front, self.provider, self.stream = clients[front], up, front, provider, stream
        self.relayed = front == provider

    def script(self, *blocks, stop="end", **kw):
        """The provider's next answer."""
        self.up.clear()
        self.next = self.up.reply("POST", canned.PATHS[self.provider],
                                  body=matrix.answer(self.provider, blocks, stop, self.stream, **kw))
        return self.next

    def ask(self, words="Hi", **request):
        return self.client.ask(self.stream, model=MODEL[self.provider], **self.client.request(words, **request))

    def ask_messages(self, messages, **request):
        request = self.client.request(**request)
        return self.client.ask(self.stream, model=MODEL[self.provider], **{**request, "messages": messages})

    @property
    def sent(self):
        """What the provider got, without the members that every request has and that `envelope` checks."""
        body = self.next.wait_for_request().request.json()
        assert body.pop("model") == UPSTREAM_MODEL[self.provider]
        assert body.pop("stream", False) is self.stream
        options = body.pop("stream_options", None)
        assert options == ({"include_usage": True} if self.stream and self.provider == "openai-chat" else None)
        limit = body.pop("max_tokens", None) or body.pop("max_completion_tokens", None)
        assert limit or self.front == self.provider == "openai-chat" or self.provider == "openai-chat"
        self.limit = limit
        return body


@pytest.fixture
def path(clients, up, front, provider, stream):
    return Path(clients, up, front, provider, stream)


def one_text(text="Hi"):
    return [{"role": "user", "content": text}]


def texts(content):
    """Content as one text, whichever of its forms it has."""
    return content if isinstance(content, str) else "".join(p["text"] for p in content)


def plain(messages):
    """Messages with their text content as strings: lists of text and strings mean the same."""
    return [{**m, "content": texts(m["content"])} if isinstance(m["content"], list) and
            all(p["type"] == "text" for p in m["content"]) else m for m in messages]


# ---- text, system, limits, stops -----------------------------------------------------------------------------------------

@both
@each_client
@each_way
def test_text(path):
    path.script(("text", "Hello, wörld. 🌍"))
    seen = path.ask("Grüße")
    assert (seen.text, seen.calls, seen.stop, seen.usage) == ("Hello, wörld. 🌍", [], "end", matrix.TOKENS)
    assert seen.raw.id.startswith({"openai-chat": "chatcmpl-", "anthropic-messages": "msg_"}[path.front])
    sent = path.sent
    assert plain(sent.pop("messages")) == one_text("Grüße")
    assert sent == {}


@both
@each_client
@each_way
def test_trap_100_model_in_the_answer(path):
    """Translated: the name the client asked for. Relayed: the provider's bytes."""
    path.script(("text", "Hello."))
    want = {"openai-chat": canned.OPENAI_MODEL, "anthropic-messages": canned.ANTHROPIC_MODEL}[path.provider]
    assert path.ask().raw.model == (want if path.relayed else MODEL[path.provider])


@both
@each_client
@each_way
def test_trap_035_system_prompt(path):
    path.script(("text", "Hello."))
    if path.front == "openai-chat":
        path.ask_messages([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}])
    else:
        path.ask(system="Be brief.")
    sent = path.sent
    if path.provider == "openai-chat":
        assert plain(sent["messages"]) == [{"role": "system", "content": "Be brief."}, *one_text()]
    else:
        assert texts(sent["system"]) == "Be brief." and plain(sent["messages"]) == one_text()


@both
@each_client
@each_way
def test_sampling_and_trap_071_stop_sequences(path):
    path.script(("text", "One"), stop="sequence", **({"sequence": "END"} if path.provider == "anthropic-messages" else {}))
    words = {"stop": ["END"]} if path.front == "openai-chat" else {"stop_sequences": ["END"]}
    limit = "max_completion_tokens" if path.front == "openai-chat" else "max_tokens"
    seen = path.ask(extra_body={"temperature": 0.25}, **words, **{limit: 77})
    assert seen.text == "One"
    known = path.provider == "anthropic-messages" == path.front
    assert seen.stop == ("sequence" if known else "end")
    sent = path.sent
    # A model that always thinks refuses it (trap 70): it is left out, where the body is not the client's own.
    thinks = path.provider == "openai-chat" and not path.relayed
    assert path.limit == 77 and sent.get("temperature") == (None if thinks else 0.25)
    # So are the sequences, at which the gateway cuts the answer itself.
    assert sent.get("stop" if path.provider == "openai-chat" else "stop_sequences") == (None if thinks else ["END"])


@both
@each_client
@each_way
def test_trap_101_max_tokens(path):
    path.script(("text", "It is a long"), stop="length")
    if path.front == "openai-chat" and path.stream:     # this SDK's helper raises on it
        with pytest.raises(openai.LengthFinishReasonError) as e:
            path.client.sdk.chat.completions.stream(model=MODEL[path.provider], **path.client.request()).__enter__().get_final_completion()
        assert e.value.completion.choices[0].message.content == "It is a long"
        return
    seen = path.ask()
    assert (seen.text, seen.stop) == ("It is a long", "length")


@both
@each_client
@each_way
def test_trap_056_refusal(path):
    path.script(("refuse", "I will not."), stop="refusal" if path.provider == "anthropic-messages" else "end")
    seen = path.ask()
    assert seen.text == "I will not."
    assert seen.stop == ("end" if path.relayed and path.front == "openai-chat" else "refusal")


# ---- tools -----------------------------------------------------------------------------------------------------------------

@both
@each_client
@each_way
def test_tools_and_a_call(path):
    path.script(("text", "Let me see."), ("call", "toolu_01A", "weather", {"city": "Köln"}), stop="tools")
    seen = path.ask(tools=path.client.tools)
    assert (seen.text, seen.stop) == ("Let me see.", "tools")
    assert seen.calls == [("toolu_01A", "weather", {"city": "Köln"})]
    clean = {"openai-chat": matrix.ChatClient.tools, "anthropic-messages": matrix.ClaudeClient.tools}[path.provider]
    assert path.sent["tools"] == clean


@both
@each_client
@each_way
def test_trap_001_parallel_calls(path):
    calls = [("call", "call_1", "weather", {"city": "Bonn"}), ("call", "call_2", "weather", {"city": "Ulm"}),
             ("call", "call_3", "time", {})]
    path.script(*calls, stop="tools")
    seen = path.ask(tools=path.client.tools)
    assert seen.calls == [c[1:] for c in calls] and seen.stop == "tools"


CHOICES = {"auto": ("auto", {"type": "auto"}), "none": ("none", {"type": "none"}), "forced": ("required", {"type": "any"}),
           "named": ({"type": "function", "function": {"name": "time"}}, {"type": "tool", "name": "time"})}


@both
@each_client
@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("stream", [False], ids=["whole"])
def test_trap_075_tool_choice(path, choice):
    path.script(("text", "Hello."))
    front, back = (DIALECTS.index(d) for d in (path.front, path.provider))
    path.ask(tools=path.client.tools, tool_choice=CHOICES[choice][front])
    assert path.sent["tool_choice"] == CHOICES[choice][back]


@both
@each_client
@pytest.mark.parametrize("stream", [False], ids=["whole"])
def test_trap_077_no_parallel_calls(path):
    path.script(("text", "Hello."))
    words = {"parallel_tool_calls": False} if path.front == "openai-chat" else {
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}
    path.ask(tools=path.client.tools, **words)
    sent = path.sent
    if path.provider == "openai-chat":
        assert sent["parallel_tool_calls"] is False
    else:
        assert sent["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}


def tool_history(front, first):
    """The messages of a second turn, made of the first turn's answer as the SDK's users make them."""
    if front == "openai-chat":
        message = first.raw.choices[0].message.model_dump(exclude_none=True)
        message.pop("parsed", None)
        for call in message["tool_calls"]:
            call["function"].pop("parsed_arguments", None)
            call.pop("index", None)
        return [*one_text("How is it?"), message,
                {"role": "tool", "tool_call_id": first.calls[0][0], "content": "Rain"},
                {"role": "tool", "tool_call_id": first.calls[1][0], "content": "Sun"}]
    return [*one_text("How is it?"), {"role": "assistant", "content": [b.model_dump(exclude_none=True) for b in first.raw.content]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": first.calls[0][0], "content": "Rain"},
                {"type": "tool_result", "tool_use_id": first.calls[1][0], "content": [{"type": "text", "text": "Sun"}]}]}]


@both
@each_client
@each_way
def test_trap_039_tool_results_round_trip(path):
    path.script(("text", "Wait."), ("call", "call_a", "weather", {"city": "Bonn"}), ("call", "call_b", "weather", {"city": "Ulm"}),
                stop="tools")
    first = path.ask("How is it?", tools=path.client.tools)
    path.script(("text", "Rain and sun."))
    second = path.ask_messages(tool_history(path.front, first), tools=path.client.tools)
    assert (second.text, second.stop) == ("Rain and sun.", "end")
    sent = plain(path.sent["messages"])
    if path.provider == "openai-chat":
        assert [m["role"] for m in sent] == ["user", "assistant", "tool", "tool"]
        assert texts(sent[1]["content"]) == "Wait."
        assert [(c["id"], c["function"]["name"], json.loads(c["function"]["arguments"])) for c in sent[1]["tool_calls"]] == [
            ("call_a", "weather", {"city": "Bonn"}), ("call_b", "weather", {"city": "Ulm"})]
        assert [(m["tool_call_id"], texts(m["content"])) for m in sent[2:]] == [("call_a", "Rain"), ("call_b", "Sun")]
        return
    assert [m["role"] for m in sent] == ["user", "assistant", "user"]
    assert [(b["type"], b.get("id")) for b in sent[1]["content"]] == [("text", None), ("tool_use", "call_a"), ("tool_use", "call_b")]
    assert [(b["type"], b["tool_use_id"], texts(b["content"])) for b in sent[2]["content"]] == [
        ("tool_result", "call_a", "Rain"), ("tool_result", "call_b", "Sun")]


@pytest.mark.parametrize("front, provider", [("anthropic-messages", "openai-chat")])
@each_way
def test_trap_057_long_tool_names_come_back_whole(path):
    """Anthropic allows 128 characters, OpenAI 64."""
    name = "look_up_" + "x" * 92
    path.script(("text", "Hello."))
    path.ask(tools=[{"name": name, "input_schema": {"type": "object"}}])
    short = path.sent["tools"][0]["function"]["name"]
    assert len(short) <= 64
    path.script(("call", "call_1", short, {}), stop="tools")
    assert path.ask(tools=[{"name": name, "input_schema": {"type": "object"}}]).calls == [("call_1", name, {})]


# ---- images, documents, formats ---------------------------------------------------------------------------------------------

IMAGE = {"openai-chat": {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
         "anthropic-messages": {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}}
IMAGE_URL = {"openai-chat": {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
             "anthropic-messages": {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}}
FILE = {"openai-chat": {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}},
        "anthropic-messages": {"type": "document", "title": "a.pdf",
                               "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}}}


@both
@each_client
@pytest.mark.parametrize("part", [IMAGE, IMAGE_URL, FILE], ids=["image", "image_url", "pdf"])
@pytest.mark.parametrize("stream", [False], ids=["whole"])
def test_trap_052_and_trap_054_images_and_files(path, part):
    path.script(("text", "A cat."))
    assert path.ask([{"type": "text", "text": "What is it?"}, part[path.front]]).text == "A cat."
    assert path.sent["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "What is it?"}, part[path.provider]]}]


@both
@each_client
@each_way
def test_trap_081_structured_output(path):
    path.script(("text", '{"city":"Bonn"}'))
    words = {"response_format": {"type": "json_schema", "json_schema": {"name": "place", "strict": True, "schema": WEATHER}}} \
        if path.front == "openai-chat" else {"output_config": {"format": {"type": "json_schema", "schema": WEATHER}}}
    assert json.loads(path.ask(**words).text) == {"city": "Bonn"}
    sent = path.sent
    if path.provider == "anthropic-messages":
        assert sent["output_config"] == {"format": {"type": "json_schema", "schema": WEATHER}}
    else:
        form = sent["response_format"]["json_schema"]
        assert (form["schema"], form["strict"]) == (WEATHER, True) and form["name"]


WEATHER = matrix.WEATHER


# ---- reasoning ------------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("provider", ["anthropic-messages"])
@each_client
@each_way
def test_trap_046_signed_thinking_comes_back_with_the_tool_results(path):
    """Two turns: the thinking goes back to its provider unmodified, whichever SDK carried it."""
    path.script(("think", "Rain is likely.", "sig+AAA="), ("call", "call_a", "weather", {"city": "Bonn"}),
                ("call", "call_b", "weather", {"city": "Ulm"}), stop="tools")
    asked = {"reasoning_effort": "low"} if path.front == "openai-chat" else {"thinking": {"type": "enabled", "budget_tokens": 2048}}
    limit = {"max_completion_tokens": 4000} if path.front == "openai-chat" else {"max_tokens": 4000}
    first = path.ask("How is it?", tools=path.client.tools, **asked, **limit)
    assert first.thinking == "Rain is likely."
    assert path.sent["thinking"] == {"type": "enabled", "budget_tokens": 2048}
    path.script(("text", "Rain and sun."))
    path.ask_messages(tool_history(path.front, first), tools=path.client.tools, **asked, **limit)
    sent = path.sent
    assert sent["messages"][1]["content"][0] == {"type": "thinking", "thinking": "Rain is likely.", "signature": "sig+AAA="}
    assert sent["thinking"] == {"type": "enabled", "budget_tokens": 2048}


@pytest.mark.parametrize("front, provider", [("anthropic-messages", "openai-chat")])
@each_way
def test_trap_047_unsigned_reasoning_is_shown_and_not_sent_back(path):
    path.script(("think", "Rain is likely.", ""), ("call", "call_a", "weather", {"city": "Bonn"}),
                ("call", "call_b", "weather", {"city": "Ulm"}), stop="tools")
    first = path.ask("How is it?", tools=path.client.tools)
    assert first.thinking == "Rain is likely."
    path.script(("text", "Rain."))
    path.ask_messages(tool_history(path.front, first), tools=path.client.tools)
    assert "Rain is likely." not in json.dumps(path.sent)


# ---- what goes wrong --------------------------------------------------------------------------------------------------------------

ERRORS = {400: ("BadRequestError", "invalid_request_error"), 404: ("NotFoundError", "not_found_error"),
          413: ("APIStatusError", "request_too_large"), 429: ("RateLimitError", "rate_limit_error"),
          500: ("InternalServerError", "api_error"), 529: ("InternalServerError", "overloaded_error")}


def sdk_of(front):
    return openai if front == "openai-chat" else anthropic


@both
@each_client
@each_way
@pytest.mark.parametrize("status", ERRORS)
def test_error_before_the_answer(path, status):
    name, kind = ERRORS[status]
    body = canned.openai_error("It was so.", kind) if path.provider == "openai-chat" else canned.anthropic_error("It was so.", kind)
    path.up.clear()
    path.up.reply("POST", canned.PATHS[path.provider], status=status, body=body, headers=(("retry-after", "7"),))
    with pytest.raises(getattr(sdk_of(path.front), name)) as e:
        path.ask()
    want = 503 if status == 529 and path.front == "openai-chat" and not path.relayed else status
    assert e.value.status_code == want and "It was so." in str(e.value)
    if status == 429:
        assert e.value.response.headers["retry-after"] == "7"
    if not path.relayed and path.front == "anthropic-messages" and status != 413:
        assert e.value.body["error"]["type"] == kind


@both
@each_client
@pytest.mark.parametrize("stream", [False], ids=["whole"])
def test_trap_108_the_gateways_own_key_is_refused(path):
    path.up.clear()
    path.up.reply("POST", canned.PATHS[path.provider], status=401, body=canned.openai_error("Incorrect API key sk-up", "auth"))
    with pytest.raises(sdk_of(path.front).InternalServerError) as e:
        path.ask()
    assert e.value.status_code == 502 and "sk-up" not in str(e.value)
    assert {"openai-chat": "chat", "anthropic-messages": "claude"}[path.provider] in str(e.value)


def failing(path, event):
    """A stream of some text that then breaks: with an error event, or (None) with the end of the connection."""
    whole = matrix.answer(path.provider, [("text", "Hello there, my friend.")], stream=True)
    cut = canned.event_starts(whole)[4]
    path.up.clear()
    if event is None:
        path.up.reply("POST", canned.PATHS[path.provider], body=whole, fault="fin", at=cut)
    else:
        path.up.reply("POST", canned.PATHS[path.provider], body=whole[:cut] + event)


def read_all(path):
    """The words that arrive before the SDK raises."""
    words, request = [], path.client.request()
    if path.front == "openai-chat":
        for chunk in path.client.sdk.chat.completions.create(model=MODEL[path.provider], stream=True, **request):
            words += [c.delta.content or "" for c in chunk.choices]
            yield words
    else:
        for event in path.client.sdk.messages.create(model=MODEL[path.provider], stream=True, **request):
            words += [event.delta.text] if event.type == "content_block_delta" else []
            yield words


@both
@each_client
@pytest.mark.parametrize("stream", [True], ids=["stream"])
@pytest.mark.parametrize("how", ["error", "cut"])
def test_trap_111_and_trap_113_error_during_the_stream(path, how):
    """The words that came are there, then the SDK raises: never a stream that seems to have ended well."""
    event = canned.openai_error("It broke.").join([b"data: ", b"\n\n"]) if path.provider == "openai-chat" else (
        canned.sse({"type": "error", "error": {"type": "overloaded_error", "message": "It broke."}}, event="error"))
    failing(path, event if how == "error" else None)
    words = []
    with pytest.raises((sdk_of(path.front).APIError, sdk_of(path.front).APIConnectionError)) as e:
        for words in read_all(path):
            pass
    assert "".join(words).startswith("Hello")
    assert ("It broke." if how == "error" else "before its answer was whole") in str(e.value)
    if path.front == "anthropic-messages" and not (path.relayed and how == "error"):
        assert e.value.body["request_id"] == e.value.response.headers["request-id"]


def test_trap_070_a_model_that_always_thinks_gets_no_sampling(clients, up):
    up.clear()
    up.reply("POST", "/v1/chat/completions", body=canned.openai_answer("Hello."))
    claude, request = clients["anthropic-messages"].sdk.messages, {"model": "to-chat", "max_tokens": 9, "messages": one_text()}
    answer = claude.with_raw_response.create(**request, extra_body={"temperature": 0.25, "top_p": 0.5})
    assert answer.headers["x-llm-gateway-dropped"] == "temperature, top_p"
    assert not {"temperature", "top_p"} & set(up.requests[-1].json())
    with pytest.raises(anthropic.BadRequestError, match="temperature"):
        claude.create(**request, extra_body={"temperature": 0.25}, extra_headers={"x-llm-gateway-strict": "true"})
    assert "x-llm-gateway-dropped" not in claude.with_raw_response.create(**request, extra_body={"temperature": 1}).headers


# ---- everything else the SDKs can ask ----------------------------------------------------------------------------------------------

def test_models_with_both_sdks(gateway, clients):
    want = {"to-chat", "to-claude"}
    chat, claude = clients["openai-chat"].sdk.models, clients["anthropic-messages"].sdk.models
    listed = [m for m in chat.list()]
    assert want <= {m.id for m in listed} and all(m.object == "model" for m in listed)
    assert want <= {m.id for m in claude.list()} and all(m.type == "model" for m in claude.list())
    assert chat.retrieve("to-claude").id == claude.retrieve("to-claude").id == "to-claude"
    with pytest.raises(openai.NotFoundError):
        chat.retrieve("to-nowhere")
    with pytest.raises(anthropic.NotFoundError):
        claude.retrieve("to-nowhere")


@each_client
def test_an_unknown_model_names_the_nearest(clients, front):
    client = clients[front]
    with pytest.raises(sdk_of(front).NotFoundError, match="to-chat"):
        client.ask(False, model="to-chatt", **client.request())


def test_count_tokens_is_asked_of_a_provider_that_can(clients, up):
    up.clear()
    script = up.reply("POST", "/v1/messages/count_tokens", body=b'{"input_tokens":42}')
    client = clients["anthropic-messages"]
    counted = client.sdk.messages.count_tokens(model="to-claude", system="Be brief.", messages=one_text(), tools=client.tools)
    assert counted.input_tokens == 42
    body = script.wait_for_request().request.json()
    assert body == {"model": "claude-sonnet-4-5", "system": "Be brief.", "messages": one_text(), "tools": client.tools}


def test_trap_098_count_tokens_is_estimated_elsewhere(clients, up):
    up.clear()
    up.reply("POST", "/v1/responses/input_tokens", status=404)
    client = clients["anthropic-messages"]

    def count(**more):
        return client.sdk.messages.count_tokens(model="to-chat", **{"messages": one_text("Hello there, how are you?"), **more}).input_tokens

    bare = count()
    assert 3 <= bare <= 30
    assert count(system="You are a helpful assistant and answer in short words.") > bare + 5
    assert count(tools=client.tools) > bare + 10
