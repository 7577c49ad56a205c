"""Ollama's native API, in front and behind: the official SDK before scripted providers of every dialect, the others' SDKs before a
scripted Ollama, and recorded traffic relayed.
"""

import base64
import json

import ollama
import openai
import pytest

from lib import canned, matrix, recordings
from lib.recordings_tally import Tally, play

UPSTREAM_PATH = {**canned.PATHS, "ollama-chat": "/api/chat"}
MODELS = {"openai-chat": "gpt-5-mini", "anthropic-messages": "claude-sonnet-4-5", "ollama-chat": "llama3.2:1b"}
PNG = base64.b64encode(bytes.fromhex("89504e470d0a1a0a0000000d49484452")).decode()
WEATHER = matrix.WEATHER


@pytest.fixture(scope="module")
def up(module_faultd):
    return module_faultd()


@pytest.fixture(scope="module")
def gateway(start_module_gateway, up):
    return start_module_gateway({
        "providers": {"chat": {"type": "openai", "base_url": f"{up.origin}/v1", "api_key": "sk-up-chat", "models": ["gpt-5-mini"]},
                      "claude": {"type": "anthropic", "base_url": up.origin, "api_key": "sk-up-claude",
                                 "models": ["claude-sonnet-4-5"]},
                      "ollama": {"base_url": up.origin, "models": ["llama3.2:1b", "mistral:latest"]}}})


@pytest.fixture
def clients(gateway, openai_client, anthropic_client, ollama_client):
    return {"openai-chat": matrix.ChatClient(openai_client(gateway)),
            "anthropic-messages": matrix.ClaudeClient(anthropic_client(gateway)),
            "ollama-chat": matrix.OllamaClient(ollama_client(gateway))}


@pytest.fixture
def sdk(clients):
    return clients["ollama-chat"].sdk


class Path:
    def __init__(self, clients, up, front, provider, stream):
        self.client, self.up, self.provider, self.stream = clients[front], up, provider, stream

    def script(self, *blocks, stop="end"):
        self.up.clear()
        self.next = self.up.reply("POST", UPSTREAM_PATH[self.provider], body=matrix.answer(self.provider, blocks, stop, self.stream))

    def ask(self, words="Hi", **request):
        request = {**self.client.request(words), **request}
        return self.client.ask(self.stream, model=MODELS[self.provider], **request)

    @property
    def sent(self):
        return self.next.wait_for_request().request.json()


@pytest.fixture
def path(clients, up, front, provider, stream):
    return Path(clients, up, front, provider, stream)


fronts = pytest.mark.parametrize("front, provider", [
    ("ollama-chat", "openai-chat"), ("ollama-chat", "anthropic-messages"), ("ollama-chat", "ollama-chat"),
    ("openai-chat", "ollama-chat"), ("anthropic-messages", "ollama-chat")])
before = pytest.mark.parametrize("front, provider", [("ollama-chat", p) for p in UPSTREAM_PATH])
behind = pytest.mark.parametrize("front, provider", [("openai-chat", "ollama-chat"), ("anthropic-messages", "ollama-chat")])
each_way = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


# ---- one subject a test ------------------------------------------------------------------------------------------------------

@fronts
@each_way
def test_text_and_usage(path):
    path.script(("text", "Grüße aus Bonn, 🌍."))
    seen = path.ask()
    assert (seen.text, seen.stop, seen.usage) == ("Grüße aus Bonn, 🌍.", "end", matrix.TOKENS)


@fronts
@each_way
def test_max_tokens(path):
    path.script(("text", "Grüße"), stop="length")
    assert path.ask().stop == "length"


@fronts
@each_way
def test_thoughts_and_parallel_calls(path):
    path.script(("think", "Rain is likely.", "sig+AAA="), ("text", "I look."), ("call", "call_a", "weather", {"city": "Bonn"}),
                ("call", "call_b", "weather", {"city": "Ulm"}), stop="tools")
    seen = path.ask(tools=path.client.tools)
    assert (seen.thinking, seen.text, seen.stop) == ("Rain is likely.", "I look.", "tools")
    assert [c[1:] for c in seen.calls] == [("weather", {"city": "Bonn"}), ("weather", {"city": "Ulm"})]


@behind
@each_way
def test_trap_062_a_call_and_its_result_towards_ollama(path):
    path.script(("call", "call_a", "weather", {"city": "Bonn"}), stop="tools")
    first = path.ask(tools=path.client.tools)
    history = {"openai-chat": [
        {"role": "assistant", "content": None, "tool_calls": [
            {"id": i, "type": "function", "function": {"name": n, "arguments": json.dumps(a)}} for i, n, a in first.calls]},
        {"role": "tool", "tool_call_id": first.calls[0][0], "content": "Rain"}],
        "anthropic-messages": [
        {"role": "assistant", "content": [{"type": "tool_use", "id": i, "name": n, "input": a} for i, n, a in first.calls]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": first.calls[0][0], "content": "Rain"}]}]}
    path.script(("text", "It rains."))
    path.ask(messages=[{"role": "user", "content": "Hi"}, *history[path.client.dialect]], tools=path.client.tools)
    assert path.sent["messages"] == [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "", "tool_calls": [
            {"id": first.calls[0][0], "function": {"index": 0, "name": "weather", "arguments": {"city": "Bonn"}}}]},
        {"role": "tool", "content": "Rain", "tool_name": "weather", "tool_call_id": first.calls[0][0]}]


@pytest.mark.parametrize("front", ["ollama-chat"])
@pytest.mark.parametrize("provider", ["openai-chat", "anthropic-messages"])
@each_way
def test_trap_062_ollamas_results_find_their_calls_by_name(path):
    """The SDK of Ollama knows no ids: two calls of one turn and their results are told apart by name and order."""
    path.script(("text", "Rain and sun."))
    path.ask(tools=path.client.tools, messages=[
        {"role": "user", "content": "How is it?"},
        {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "weather", "arguments": {"city": "Bonn"}}},
                                                           {"function": {"name": "time", "arguments": {}}}]},
        {"role": "tool", "tool_name": "time", "content": "12:00"}, {"role": "tool", "tool_name": "weather", "content": "Rain"}])
    sent = path.sent["messages"]
    if path.provider == "openai-chat":
        ids = [c["id"] for c in sent[1]["tool_calls"]]
        assert [(m["tool_call_id"], m["content"]) for m in sent[2:]] == [(ids[1], "12:00"), (ids[0], "Rain")]
    else:
        ids = [b["id"] for b in sent[1]["content"] if b["type"] == "tool_use"]
        assert [(b["tool_use_id"], b["content"]) for b in sent[2]["content"]] == [(ids[1], "12:00"), (ids[0], "Rain")] or \
            [(b["tool_use_id"], b["content"][0]["text"]) for b in sent[2]["content"]] == [(ids[1], "12:00"), (ids[0], "Rain")]


@before
@each_way
def test_options_reach_the_provider(path):
    path.script(("text", "x"))
    path.ask(options={"temperature": 0.5, "num_predict": 33, "stop": ["END"], "top_p": 0.5, "num_ctx": 4096}, keep_alive="5m")
    sent = path.sent
    if path.provider == "ollama-chat":
        assert sent["options"] == {"temperature": 0.5, "num_predict": 33, "stop": ["END"], "top_p": 0.5, "num_ctx": 4096}
        assert sent["keep_alive"] == "5m"
    elif path.provider == "openai-chat":
        assert sent["max_completion_tokens"] == 33
        assert not {"temperature", "top_p", "stop"} & set(sent)     # of a model that always thinks (trap 70)
    else:
        assert (sent["temperature"], sent["max_tokens"], sent["stop_sequences"]) == (0.5, 33, ["END"])


def test_trap_089_what_a_provider_cannot_take_is_named(gateway, up):
    up.clear()
    up.reply("POST", "/v1/chat/completions", body=matrix.answer("openai-chat", [("text", "x")], stream=False))
    with gateway.connect() as client:
        client.request("POST", "/api/chat", json_body={**canned.request("x", "gpt-5-mini"), "stream": False, "keep_alive": 60,
                                                       "options": {"num_ctx": 8192, "temperature": 1}})
        response = client.read_response("POST")
    assert response.status == 200
    assert set(response.headers.get("x-llm-gateway-dropped").split(", ")) == {"keep_alive", "options.num_ctx"}


@before
@pytest.mark.parametrize("stream", [False], ids=["whole"])
def test_trap_081_structured_output(path):
    path.script(("text", '{"city":"Bonn"}'))
    assert json.loads(path.ask(format=WEATHER).text) == {"city": "Bonn"}
    sent = path.sent
    where = {"ollama-chat": lambda: sent["format"], "openai-chat": lambda: sent["response_format"]["json_schema"]["schema"],
             "anthropic-messages": lambda: sent["output_config"]["format"]["schema"]}
    assert where[path.provider]() == WEATHER


@before
@pytest.mark.parametrize("stream", [False], ids=["whole"])
def test_trap_052_and_trap_053_images(path):
    path.script(("text", "A cat."))
    path.ask(messages=[{"role": "user", "content": "What is it?", "images": [PNG]}])
    message = path.sent["messages"][0]
    if path.provider == "ollama-chat":
        assert message["images"] == [PNG]
    elif path.provider == "openai-chat":
        assert message["content"][1]["image_url"]["url"] == f"data:image/png;base64,{PNG}"
    else:
        assert message["content"][1]["source"] == {"type": "base64", "media_type": "image/png", "data": PNG}


@pytest.mark.parametrize("front", ["openai-chat"])
@pytest.mark.parametrize("provider", ["ollama-chat"])
@pytest.mark.parametrize("stream", [False], ids=["whole"])
def test_trap_052_a_pictures_url_is_refused(path):
    path.script(("text", "A cat."))
    with pytest.raises(openai.BadRequestError, match="not by URL"):
        path.ask(messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]}])


@pytest.mark.parametrize("front", ["openai-chat"])
@pytest.mark.parametrize("provider", ["ollama-chat"])
@each_way
def test_trap_075_a_forced_call_is_held_by_a_schema(path):
    """Ollama has no tool_choice, but does hold an answer to a schema."""
    path.script(("text", '{"city":"Bonn"}'))
    seen = path.ask(tools=path.client.tools, tool_choice={"type": "function", "function": {"name": "weather"}})
    assert seen.stop == "tools" and [c[1:] for c in seen.calls] == [("weather", {"city": "Bonn"})]
    sent = path.sent
    assert sent["format"]["properties"] == WEATHER["properties"] and "tools" not in sent


def test_trap_046_signed_thinking_comes_back_with_the_message(gateway, up):
    """A client that sends the message back as it came: the thinking reaches its vendor unmodified."""
    def post(messages):
        with gateway.connect() as client:
            client.request("POST", "/api/chat", json_body={
                "model": "claude-sonnet-4-5", "messages": messages, "stream": False, "tools": matrix.OllamaClient.tools, "think": True})
            return client.read_response("POST").json()["message"]
    up.clear()
    up.reply("POST", "/v1/messages", times=1, body=matrix.answer("anthropic-messages", [
        ("think", "Rain is likely.", "sig+AAA="), ("call", "call_a", "weather", {"city": "Bonn"})], "tools"))
    hi = {"role": "user", "content": "Hi"}
    first = post([hi])
    assert first["thinking"] == "Rain is likely."
    script = up.reply("POST", "/v1/messages", body=matrix.answer("anthropic-messages", [("text", "Rain.")]))
    assert post([hi, first, {"role": "tool", "tool_name": "weather", "content": "Rain"}])["content"] == "Rain."
    sent = script.wait_for_request().request.json()["messages"]
    assert sent[1]["content"] == [{"type": "thinking", "thinking": "Rain is likely.", "signature": "sig+AAA="},
                                  {"type": "tool_use", "id": "call_a", "name": "weather", "input": {"city": "Bonn"}}]
    assert sent[2]["content"][0]["tool_use_id"] == "call_a"


# ---- generate ----------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("provider", UPSTREAM_PATH)
@each_way
def test_generate(sdk, up, provider, stream):
    up.clear()
    lines = [canned.ollama_line(response=t, done=False) for t in ("Hel", "lo")]
    lines.append(canned.ollama_line(response="", **canned.ollama_end("stop", *matrix.TOKENS)))
    whole = canned.ollama_line(response="Hello", **canned.ollama_end("stop", *matrix.TOKENS)).strip()
    if provider == "ollama-chat":
        script = up.reply("POST", "/api/generate", body=b"".join(lines) if stream else whole)
    else:
        script = up.reply("POST", UPSTREAM_PATH[provider], body=matrix.answer(provider, [("text", "Hello")], stream=stream))
    answers = sdk.generate(model=MODELS[provider], prompt="Say hello.", system="Be brief.", stream=stream)
    answers = list(answers) if stream else [answers]
    assert "".join(a.response for a in answers) == "Hello" and [a.done for a in answers][-1] is True
    assert (answers[-1].prompt_eval_count, answers[-1].eval_count, answers[-1].done_reason) == (*matrix.TOKENS, "stop")
    sent = script.wait_for_request().request.json()
    if provider == "openai-chat":
        assert sent["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say hello."}]
    elif provider == "ollama-chat":
        assert (sent["prompt"], sent["system"]) == ("Say hello.", "Be brief.")


# ---- embeddings --------------------------------------------------------------------------------------------------------------

def test_embed_from_an_openai_provider(sdk, up):
    up.clear()
    script = up.reply("POST", "/v1/embeddings", body=canned.dumps({
        "object": "list", "model": "e", "data": [{"object": "embedding", "index": i, "embedding": [i + 0.25, -1e-3]} for i in (1, 0)],
        "usage": {"prompt_tokens": 5, "total_tokens": 5}}).encode())
    answer = sdk.embed(model="gpt-5-mini", input=["a", "b"], dimensions=2)
    assert [list(v) for v in answer.embeddings] == [[0.25, -1e-3], [1.25, -1e-3]] and answer.prompt_eval_count == 5
    sent = script.wait_for_request().request.json()
    assert (sent["input"], sent["dimensions"]) == (["a", "b"], 2)


def test_trap_099_the_older_single_form(sdk, up):
    up.clear()
    up.reply("POST", "/v1/embeddings", body=canned.dumps({
        "object": "list", "model": "e", "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 1]}],
        "usage": {"prompt_tokens": 5, "total_tokens": 5}}).encode())
    assert list(sdk.embeddings(model="gpt-5-mini", prompt="a").embedding) == [0.5, 1]
    up.clear()
    up.reply("POST", "/api/embeddings", body=b'{"embedding":[0.5,2]}')
    assert list(sdk.embeddings(model="llama3.2:1b", prompt="a").embedding) == [0.5, 2]


def test_ollamas_embeddings_for_the_openai_sdk(clients, up):
    up.clear()
    script = up.reply("POST", "/api/embed", body=b'{"model":"m","embeddings":[[0.5,-0.25],[1,2]],"prompt_eval_count":4}')
    answer = clients["openai-chat"].sdk.embeddings.create(model="llama3.2:1b", input=["a", "b"])
    assert [d.embedding for d in answer.data] == [[0.5, -0.25], [1, 2]] and answer.usage.prompt_tokens == 4
    assert script.wait_for_request().request.json() == {"model": "llama3.2:1b", "input": ["a", "b"]}


# ---- what the gateway itself answers ---------------------------------------------------------------------------------------------

def test_models(sdk):
    listed = sdk.list().models
    assert {"gpt-5-mini", "claude-sonnet-4-5", "llama3.2:1b"} <= {m.model for m in listed}
    assert all(len(m.digest) == 64 and m.modified_at and m.details for m in listed)
    shown = sdk.show("gpt-5-mini")
    assert shown.capabilities == ["completion", "tools", "vision", "thinking"] and shown.modelinfo["general.basename"] == "gpt-5-mini"
    assert sdk.ps().models == []
    with pytest.raises(ollama.ResponseError) as e:
        sdk.show("nothing")
    assert e.value.status_code == 404


def test_version_and_the_rest(gateway):
    def ask(method, path):
        with gateway.connect() as client:
            client.request(method, path)
            return client.read_response(method)
    assert ask("GET", "/api/version").json()["version"].count(".") == 2
    assert ask("HEAD", "/").status == 200
    unknown = ask("POST", "/api/pull")
    assert unknown.status == 404 and list(unknown.json()) == ["error"]
    assert ask("GET", "/api/chat").status == 405


@pytest.mark.parametrize("asked, there", [("llama3.2:1b", "llama3.2:1b"), ("mistral", "mistral:latest"), ("mistral:latest", "mistral:latest")])
def test_trap_100_names_with_and_without_latest(sdk, up, asked, there):
    up.clear()
    script = up.reply("POST", "/api/chat", body=canned.ollama_answer())
    assert sdk.chat(model=asked, messages=[{"role": "user", "content": "Hi"}]).message.content == "Hello."
    assert script.wait_for_request().request.json()["model"] == there
    up.clear()
    up.reply("POST", "/v1/chat/completions", body=canned.openai_answer())
    assert sdk.chat(model="gpt-5-mini:latest", messages=[{"role": "user", "content": "Hi"}]).message.content == "Hello."


def test_a_request_without_messages_only_loads(sdk, up):
    up.clear()
    for answer in (sdk.chat(model="gpt-5-mini", messages=[]), sdk.generate(model="gpt-5-mini")):
        assert answer.done and answer.done_reason == "load"
    assert sdk.generate(model="gpt-5-mini", keep_alive=0).done_reason == "unload"
    script = up.reply("POST", "/api/chat", body=canned.ollama_answer("", stop="load"))
    assert sdk.chat(model="llama3.2:1b", messages=[]).done_reason == "load"
    assert script.wait_for_request()


# ---- what goes wrong ----------------------------------------------------------------------------------------------------------------

@before
@each_way
def test_error_before_the_answer(path):
    body = {"ollama-chat": b'{"error":"It was so."}', "anthropic-messages": canned.anthropic_error("It was so.", "invalid_request_error"),
            "openai-chat": canned.openai_error("It was so.", "invalid_request_error")}
    path.up.clear()
    path.up.reply("POST", UPSTREAM_PATH[path.provider], status=400, body=body[path.provider])
    with pytest.raises(ollama.ResponseError) as e:
        path.ask()
    assert (e.value.status_code, e.value.error) == (400, "It was so.")


@behind
@each_way
def test_trap_107_ollamas_errors_elsewhere(path):
    path.up.clear()
    path.up.reply("POST", "/api/chat", status=404, body=b'{"error":"model \\"llama3.2:1b\\" not found, try pulling it first"}')
    with pytest.raises(Exception, match="try pulling it first") as e:
        path.ask()
    assert type(e.value).__name__ == "NotFoundError"


@before
@pytest.mark.parametrize("how", ["error", "cut"])
@pytest.mark.parametrize("stream", [True], ids=["stream"])
def test_trap_111_and_trap_113_error_during_the_stream(path, how):
    """The words that came are there, then the SDK raises; no line says that the answer is done."""
    whole = matrix.answer(path.provider, [("text", "Hello there, my friend.")], stream=True)
    end = b"}\n" if path.provider == "ollama-chat" else b"\n\n"
    cut = [i + len(end) for i in range(len(whole)) if whole.startswith(end, i)][3]
    event = {"ollama-chat": b'{"error":"It broke."}\n', "openai-chat": canned.sse(canned.openai_error("It broke.").decode()),
             "anthropic-messages": canned.sse({"type": "error", "error": {"type": "api_error", "message": "It broke."}}, event="error")}
    path.up.clear()
    if how == "error":
        path.up.reply("POST", UPSTREAM_PATH[path.provider], body=whole[:cut] + event[path.provider], content_type=(
            "application/x-ndjson" if path.provider == "ollama-chat" else "text/event-stream"))
    else:
        path.up.reply("POST", UPSTREAM_PATH[path.provider], body=whole, fault="fin", at=cut)
    words, done = [], False
    with pytest.raises(ollama.ResponseError) as e:
        for part in path.client.sdk.chat(model=MODELS[path.provider], messages=[{"role": "user", "content": "Hi"}], stream=True):
            words.append(part.message.content)
            done = done or part.done
    assert "".join(words).startswith("Hello"[:5]) and not done
    assert ("It broke." if how == "error" else "before its answer was whole") in e.value.error


@pytest.mark.parametrize("front, provider", [("ollama-chat", "ollama-chat"), ("openai-chat", "ollama-chat")])
@pytest.mark.parametrize("stream", [True], ids=["stream"])
def test_a_last_line_without_its_end(path):
    path.up.clear()
    path.up.reply("POST", "/api/chat", body=canned.ollama_stream().rstrip(b"\n"))
    assert path.ask().text == "Hello."


# ---- recordings ---------------------------------------------------------------------------------------------------------------------

def ollama_recordings():
    return [r for r in recordings.load("ollama_native") if r.status == 200]


@pytest.mark.usefixtures("need_recordings")
def test_recorded_ollama_is_relayed_byte_for_byte(start_gateway, up, capsys):
    gateway = start_gateway({"providers": {"ollama": {"base_url": up.origin, "default": True, "discover": False}}})
    tally = Tally("ollama_native, byte-identical")
    for number, recording in enumerate(ollama_recordings()):
        script, sent = play(up, recording, number), json.dumps(recording.req, ensure_ascii=False).encode()
        with gateway.connect(timeout=60) as client:
            client.request("POST", recording.target, [("content-type", "application/json")], sent)
            response = client.read_response("POST")
        hit = script.wait_for_request().request
        problem = None if (response.status, response.body) == (200, recording.body) else f"{response.status} {response.body[:200]}"
        if hit.body != sent or hit.target != recording.target:
            problem = f"upstream got {hit.target} {hit.body[:200]}"
        tally.judge(recording, problem)
    tally.finish(capsys, 14)
