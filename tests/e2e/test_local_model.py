"""The real thing: llama-server and the default model behind the daemon, through the official SDKs.

The model is small and says what it likes; so the tests hold what the gateway promises (form, calls that fit their schema,
counts, processes), never words. All answers are short.
"""

import base64
import datetime
import json
import os
import pathlib
import signal
import time

import anthropic
import jsonschema
import ollama
import openai
import pytest

from lib import node
from lib.fronts import FRONTS, Refused, Wish

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "llm-gateway"
MODEL_FILE = CACHE / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf"
ENGINES = sorted(CACHE.glob("engine/*/llama-server"))
CONTEXT = 1024
SLOW = 120      # seconds for anything the engine does on a busy machine

pytestmark = [
    pytest.mark.local, pytest.mark.timeout(300),
    pytest.mark.skipif(not ENGINES, reason=f"no llama-server in {CACHE}/engine: make engine"),
    pytest.mark.skipif(not MODEL_FILE.exists(), reason=f"no model {MODEL_FILE}: make engine")]

WEATHER = {"type": "object", "properties": {"city": {"type": "string", "enum": ["Bonn", "Ulm"]}}, "required": ["city"],
           "additionalProperties": False}
TIME = {"type": "object", "properties": {"hours": {"type": "integer", "minimum": 0, "maximum": 23}}, "required": ["hours"],
        "additionalProperties": False}
SCHEMAS = {"weather": WEATHER, "time": TIME}
CHAT_TOOLS = [{"type": "function", "function": {"name": n, "description": f"Tells the {n}.", "parameters": s}} for n, s in SCHEMAS.items()]
CLAUDE_TOOLS = [{"name": n, "description": f"Tells the {n}.", "input_schema": s} for n, s in SCHEMAS.items()]
PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==")
HI = [{"role": "user", "content": "What is the weather in Bonn?"}]


def config(**model):
    """A configuration with the model; more of its members by name."""
    return {"engine": str(ENGINES[-1]), "providers": {"local": {"type": "local", "models": [
        {"name": "small", "path": str(MODEL_FILE), "context": CONTEXT, "threads": 1, "parallel": 1, **model}]}}}


@pytest.fixture(scope="module")
def gateway(start_module_gateway):
    gateway = start_module_gateway(config(preload=True))
    gateway.expected_children = 1
    gateway.baseline["other"] += 2      # a worker may keep a connection to the engine, which is no TCP connection
    wait(lambda: "ready" in ready_states(gateway), "the model to be ready")
    return gateway


@pytest.fixture
def chat(gateway, openai_client):
    return openai_client(gateway, timeout=SLOW).chat.completions


@pytest.fixture
def claude(gateway, anthropic_client):
    return anthropic_client(gateway, timeout=SLOW).messages


def wait(condition, what, timeout=SLOW):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout} s for {what}"
        time.sleep(0.05)


def ready_states(gateway):
    """What /ready says, as text: the states of all models are in it."""
    with gateway.connect(timeout=SLOW) as client:
        client.request("GET", "/ready")
        return client.read_response("GET").body.decode()


def alive(pid):
    """Whether the process runs; a zombie does not."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# ---- text --------------------------------------------------------------------------------------------------------------------

def test_text_with_the_openai_sdk(chat):
    whole = chat.create(model="small", messages=HI, max_completion_tokens=8, temperature=0)
    choice = whole.choices[0]
    assert choice.message.role == "assistant" and choice.message.content and whole.model == "small"
    assert choice.finish_reason in ("length", "stop")
    assert 0 < whole.usage.completion_tokens <= 8 and whole.usage.prompt_tokens > 5
    with chat.stream(model="small", messages=HI, max_completion_tokens=8, temperature=0,
                     stream_options={"include_usage": True}) as stream:
        chunks = [e.chunk for e in stream if e.type == "chunk"]
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == choice.message.content       # the temperature is 0
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    assert chunks[-1].usage.prompt_tokens == whole.usage.prompt_tokens


def test_text_with_the_anthropic_sdk(claude):
    whole = claude.create(model="small", messages=HI, max_tokens=8, extra_body={"temperature": 0})
    assert [b.type for b in whole.content] == ["text"] and whole.content[0].text and whole.model == "small"
    assert whole.stop_reason in ("max_tokens", "end_turn") and 0 < whole.usage.output_tokens <= 8
    with claude.stream(model="small", messages=HI, max_tokens=8, extra_body={"temperature": 0}) as stream:
        text = "".join(stream.text_stream)
        streamed = stream.get_final_message()
    assert text == whole.content[0].text and streamed.stop_reason == whole.stop_reason
    assert streamed.usage.output_tokens == whole.usage.output_tokens


def test_stop_sequences_and_system_prompts_reach_the_model(claude):
    def count(system):
        return claude.create(model="small", system=system, messages=[{"role": "user", "content": "1 2 3"}],
                             max_tokens=16, stop_sequences=["e"])
    short, long = count("Count."), count("Count from one to nine, and then from nine down to one again.")
    assert all("e" not in block.text for answer in (short, long) for block in answer.content)
    assert long.usage.input_tokens > short.usage.input_tokens + 8


# ---- tools ------------------------------------------------------------------------------------------------------------------------

def check_call(name, arguments, named):
    assert name in SCHEMAS and (not named or name == named)
    jsonschema.validate(arguments, SCHEMAS[name])


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("named", [None, "weather", "time"])
def test_a_forced_tool_is_called_openai(chat, stream, named):
    choice = {"type": "function", "function": {"name": named}} if named else "required"
    request = {"model": "small", "messages": HI, "tools": CHAT_TOOLS, "tool_choice": choice, "max_completion_tokens": 60,
               "temperature": 0}
    if stream:
        with chat.stream(**request) as events:
            events.until_done()
            message, reason = (c := events.current_completion_snapshot.choices[0]).message, c.finish_reason
    else:
        message, reason = (c := chat.create(**request).choices[0]).message, c.finish_reason
    assert reason == "tool_calls" and not message.content
    assert len(message.tool_calls) == 1 and message.tool_calls[0].id
    function = message.tool_calls[0].function
    check_call(function.name, json.loads(function.arguments), named)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("named", [None, "weather", "time"])
def test_a_forced_tool_is_called_anthropic(claude, stream, named):
    choice = {"type": "tool", "name": named} if named else {"type": "any"}
    request = {"model": "small", "messages": HI, "tools": CLAUDE_TOOLS, "tool_choice": choice, "max_tokens": 60,
               "extra_body": {"temperature": 0}}
    if stream:
        with claude.stream(**request) as events:
            message = events.get_final_message()
    else:
        message = claude.create(**request)
    assert message.stop_reason == "tool_use" and [b.type for b in message.content] == ["tool_use"]
    check_call(message.content[0].name, message.content[0].input, named)


# What the engine's converter to grammars refuses, or forgets (src/ir/plain_schema.h): as agents' tools have it.
ODD_SCHEMAS = [
    {"type": "object", "properties": {"path": {"type": "string", "pattern": "[a-z]+"}, "when": {"type": "string", "format": "uri"}}, "required": ["path"]},
    {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "properties": {"x": True, "y": {"type": "any"}}, "required": ["y"]},
    {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
    {"type": "object", "properties": {"text": {"type": "string", "maxLength": 1000000}, "list": {"type": "array", "maxItems": 100000, "items": {"type": "string"}}}},
    {"type": "object", "properties": {"tree": {"$ref": "#"}, "node": {"$ref": "#/$defs/node"}}, "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}}},
]


@pytest.mark.parametrize("n_tools", [1, 2])
@pytest.mark.parametrize("schema", ODD_SCHEMAS, ids=["pattern", "boolean", "any_of", "bounds", "self"])
def test_a_forced_tool_of_any_schema_is_called(claude, schema, n_tools):
    tools = [{"name": f"tool_{i}", "description": "Does it.", "input_schema": schema} for i in range(n_tools)]
    message = claude.create(model="small", messages=HI, tools=tools, tool_choice={"type": "any"}, max_tokens=200,
                            extra_body={"temperature": 0})
    assert [b.type for b in message.content] == ["tool_use"] and message.content[0].name.startswith("tool_")
    assert message.stop_reason in ("tool_use", "max_tokens")


def test_a_tool_result_is_taken_back(claude):
    first = claude.create(model="small", messages=HI, tools=CLAUDE_TOOLS, tool_choice={"type": "tool", "name": "weather"}, max_tokens=60)
    call = first.content[0]
    second = claude.create(model="small", max_tokens=8, tools=CLAUDE_TOOLS, messages=[
        *HI, {"role": "assistant", "content": [call.model_dump(exclude_none=True)]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "Rain"}]}])
    assert second.content and second.stop_reason in ("max_tokens", "end_turn")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_trap_045_a_prefill_is_gone_on_from_and_not_repeated(claude, stream):
    words = "The capital of France is"
    request = {"model": "small", "max_tokens": 6, "extra_body": {"temperature": 0}, "messages": [
        {"role": "user", "content": "What is the capital of France?"}, {"role": "assistant", "content": words}]}
    if stream:
        with claude.stream(**request) as events:
            message = events.get_final_message()
    else:
        message = claude.create(**request)
    assert message.content[0].text and not message.content[0].text.startswith(words)


# ---- structured output, counting ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("front", [f for f in FRONTS if f != "openai-completions"])     # which has no forms
def test_every_sdk_has_the_model_answer_in_a_form(gateway, front, stream):
    seen = FRONTS[front](gateway).ask("small", Wish(words="Where is it?", schema=WEATHER, max_tokens=40), stream)
    jsonschema.validate(json.loads(seen.text), WEATHER)
    assert seen.stop == "end"


@pytest.mark.parametrize("request_of", [
    {"messages": HI}, {"messages": HI, "system": "Be brief."},
    {"messages": [*HI, {"role": "assistant", "content": "Rain."}, {"role": "user", "content": "And in Ulm? Grüße 🌍"}]},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "One."}, {"type": "text", "text": "Two."}]}]}],
    ids=["plain", "system", "turns", "parts"])
def test_trap_098_count_tokens_is_what_the_engine_bills(claude, request_of):
    counted = claude.count_tokens(model="small", **request_of).input_tokens
    usage = claude.create(model="small", max_tokens=1, **request_of).usage
    assert counted == usage.input_tokens + (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)


def test_the_engine_counts_where_the_provider_before_it_cannot_now(start_gateway, anthropic_client, faultd, tmp_path):
    """And one that cannot be started is passed over in turn."""
    link, up = tmp_path / "model.gguf", faultd()
    link.symlink_to(MODEL_FILE)
    conf = config()
    conf["providers"]["local"]["models"].append({"name": "gone", "path": str(link)})
    conf["providers"]["claude"] = {"type": "anthropic", "base_url": up.origin, "api_key": "k", "discover": False}
    conf["models"] = [{"name": "claude-then-small", "targets": [{"provider": "claude", "model": "c"}, {"provider": "local", "model": "small"}]},
                      {"name": "gone-then-claude", "targets": [{"provider": "local", "model": "gone"}, {"provider": "claude", "model": "c"}]}]
    gateway = start_gateway(conf)
    gateway.expected_children = 1
    gateway.baseline["other"] += 2
    claude = anthropic_client(gateway, timeout=SLOW).messages
    alone = claude.count_tokens(model="small", messages=HI).input_tokens
    up.reply("POST", "/v1/messages/count_tokens", status=529)
    counted = claude.with_raw_response.count_tokens(model="claude-then-small", messages=HI)
    assert counted.parse().input_tokens == alone and "x-llm-gateway-estimated" not in counted.headers
    link.unlink()
    up.clear()
    up.reply("POST", "/v1/messages/count_tokens", body=b'{"input_tokens":42}')
    assert claude.count_tokens(model="gone-then-claude", messages=HI).input_tokens == 42


# ---- errors --------------------------------------------------------------------------------------------------------------------------

LONG = [{"role": "user", "content": "word " * (2 * CONTEXT)}]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_prompt_that_does_not_fit(chat, claude, stream):
    with pytest.raises(openai.BadRequestError) as e:
        chat.create(model="small", messages=LONG, max_completion_tokens=8, stream=stream)
    assert e.value.code == "context_length_exceeded" and str(CONTEXT) in str(e.value)
    with pytest.raises(anthropic.BadRequestError) as e:
        claude.create(model="small", messages=LONG, max_tokens=8, stream=stream)
    assert e.value.body["error"]["type"] == "invalid_request_error" and str(CONTEXT) in str(e.value)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("front", [f for f in FRONTS if f != "openai-completions"])     # which has no pictures
def test_a_picture_for_a_model_that_cannot_see(gateway, front, stream):
    with pytest.raises(Refused, match="image") as e:
        FRONTS[front](gateway).ask("small", Wish(image=PNG, max_tokens=8), stream)
    assert 400 <= e.value.status < 600


# ---- the child ------------------------------------------------------------------------------------------------------------------------

def test_a_killed_engine_is_started_again(gateway, chat):
    old, = gateway.children()
    os.kill(old, signal.SIGKILL)
    wait(lambda: [p for p in gateway.children() if p != old and alive(p)], "another engine")
    assert chat.create(model="small", messages=HI, max_completion_tokens=4).choices[0].message.content
    assert not alive(old) and len(gateway.children()) == 1


def test_kill_9_leaves_no_engine(start_gateway):
    gateway = start_gateway(config(preload=True))
    gateway.expected_children = 1
    wait(lambda: gateway.children() and "ready" in ready_states(gateway), "the model to be ready")
    children = gateway.children()
    gateway.kill()
    wait(lambda: not any(alive(pid) for pid in children), "the end of the engine", timeout=10)


def test_an_idle_model_is_unloaded_and_comes_back(start_gateway, openai_client):
    gateway = start_gateway(config(idle_timeout="1s"))
    chat = openai_client(gateway, timeout=SLOW).chat.completions
    assert gateway.children() == []         # nobody has asked yet
    assert chat.create(model="small", messages=HI, max_completion_tokens=2).choices[0].message.content
    assert len(gateway.children()) == 1
    wait(lambda: not gateway.children(), "the idle model to be unloaded")
    assert chat.create(model="small", messages=HI, max_completion_tokens=2).choices[0].message.content
    wait(lambda: not gateway.children(), "the idle model to be unloaded again")


def test_a_request_says_how_long_the_model_stays(start_gateway, ollama_client):
    """Ollama's keep_alive, where the operator lets it; /api/ps tells until when."""
    gateway = start_gateway(config(keep_alive=True, keep_alive_max="2h"))
    gateway.expected_children = 0
    gateway.baseline["other"] += 2
    sdk = ollama_client(gateway, timeout=SLOW)

    def left():
        running, = sdk.ps().models
        return (running.expires_at - datetime.datetime.now(datetime.timezone.utc)).total_seconds()

    assert sdk.generate(model="small", keep_alive="10m").done_reason == "load" and 500 < left() < 601
    answer = sdk.chat(model="small", messages=HI, options={"num_predict": 2}, keep_alive=1800)
    assert answer.message.content and 1700 < left() < 1801
    assert sdk.chat(model="small", messages=HI, options={"num_predict": 2}).done and 1700 < left() < 1801    # as it was said last
    assert sdk.generate(model="small", prompt="Count.", options={"num_predict": 2}, keep_alive=-1).done and 7100 < left() < 7201
    assert len(gateway.children()) == 1
    assert sdk.generate(model="small", keep_alive=0).done_reason == "unload"
    wait(lambda: not gateway.children(), "the model to be unloaded")
    assert sdk.ps().models == [] and sdk.generate(model="small", keep_alive=0).done_reason == "unload" and not gateway.children()
    assert sdk.chat(model="small", messages=HI, options={"num_predict": 2}, keep_alive="0s").done
    wait(lambda: not gateway.children(), "the model to be unloaded once it has answered")


def test_without_leave_keep_alive_changes_nothing(start_gateway, ollama_client):
    """One client does not unload what all use, nor hold it in memory."""
    gateway = start_gateway(config(idle_timeout="1h"))
    gateway.expected_children = 1
    gateway.baseline["other"] += 2
    sdk = ollama_client(gateway, timeout=SLOW)
    for keep in (0, -1, "5m"):
        with gateway.connect(timeout=SLOW) as client:
            client.request("POST", "/api/chat", json_body={"model": "small", "messages": HI, "stream": False, "keep_alive": keep,
                                                           "options": {"num_predict": 1}})
            answer = client.read_response("POST")
        assert answer.status == 200 and "keep_alive" in answer.headers.get("x-llm-gateway-dropped")
    assert sdk.generate(model="small", keep_alive=0).done_reason == "unload"
    running, = sdk.ps().models
    assert 3500 < (running.expires_at - datetime.datetime.now(datetime.timezone.utc)).total_seconds() < 3601
    assert len(gateway.children()) == 1


def test_sigterm_takes_the_engine_along(start_gateway):
    gateway = start_gateway(config(preload=True))
    wait(lambda: gateway.children() and "ready" in ready_states(gateway), "the model to be ready")
    children = gateway.children()
    gateway.stop(timeout=30)
    assert not any(alive(pid) for pid in children)


def test_a_model_file_that_went_away_is_named(start_gateway, openai_client, tmp_path):
    link = tmp_path / "gone.gguf"
    link.symlink_to(MODEL_FILE)
    gateway = start_gateway(config(path=str(link)))
    link.unlink()
    with pytest.raises(openai.InternalServerError, match="gone.gguf") as e:
        openai_client(gateway).chat.completions.create(model="small", messages=HI, max_completion_tokens=2)
    assert e.value.status_code == 503


# ---- embeddings --------------------------------------------------------------------------------------------------------------

@pytest.fixture
def both(start_gateway):
    """A chat model and an embedding model side by side: the same file, started in two ways."""
    conf = config()
    vectors = {"name": "vectors", "path": str(MODEL_FILE), "context": 256, "threads": 1, "parallel": 1, "embeddings": True,
               "args": ["--pooling", "mean"]}
    conf["providers"]["local"]["models"].append(vectors)
    gateway = start_gateway(conf)
    gateway.expected_children = 2
    gateway.baseline["other"] += 4
    return gateway


def test_chat_and_embeddings_side_by_side(both, openai_client):
    client = openai_client(both, timeout=SLOW)
    coded = client.embeddings.create(model="vectors", input=["rain in Bonn", "sun in Ulm"])     # in base64
    plain = client.embeddings.create(model="vectors", input=["rain in Bonn", "sun in Ulm"], encoding_format="float")
    assert client.chat.completions.create(model="small", messages=HI, max_completion_tokens=4).choices[0].message.content
    assert [d.index for d in plain.data] == [0, 1] and plain.usage.prompt_tokens > 4 and plain.model == "vectors"
    for a, b in zip(coded.data, plain.data):
        assert len(a.embedding) == len(b.embedding) == 576 and max(abs(x - y) for x, y in zip(a.embedding, b.embedding)) < 1e-4
    assert plain.data[0].embedding != plain.data[1].embedding
    with pytest.raises(openai.BadRequestError) as e:
        client.embeddings.create(model="small", input="a")
    assert "embeddings: true" in str(e.value)


# ---- Ollama's clients ----------------------------------------------------------------------------------------------------------------

@pytest.fixture
def ollama_sdk(gateway, ollama_client):
    return ollama_client(gateway, timeout=SLOW)


def test_text_with_the_ollama_sdk(ollama_sdk):
    request = {"model": "small:latest", "messages": HI, "options": {"num_predict": 8, "temperature": 0}}
    whole = ollama_sdk.chat(**request)
    assert whole.message.content and whole.done and whole.done_reason in ("length", "stop") and 0 < whole.eval_count <= 8
    parts = list(ollama_sdk.chat(**request, stream=True))
    assert "".join(p.message.content for p in parts) == whole.message.content and parts[-1].done
    assert (parts[-1].eval_count, parts[-1].done_reason) == (whole.eval_count, whole.done_reason)
    assert ollama_sdk.generate(model="small", prompt="Count.", options={"num_predict": 4}).response


def test_what_runs_with_the_ollama_sdk(ollama_sdk):
    wait(lambda: ollama_sdk.ps().models, "the model to be in memory")
    running, = ollama_sdk.ps().models
    assert running.model == "small" and running.context_length == CONTEXT
    assert running.expires_at.year > 2200       # it stays, as `keep_alive: -1` has it at Ollama
    assert ollama_sdk.show("small").modelinfo["gateway.context_length"] == CONTEXT
    assert ollama_sdk.chat(model="small", messages=[]).done_reason == "load"


# ---- completions ---------------------------------------------------------------------------------------------------------------

def test_a_text_is_gone_on_with(gateway, openai_client):
    client = openai_client(gateway, timeout=SLOW)
    whole = client.completions.create(model="small", prompt="1 2 3 4", max_tokens=6, temperature=0)
    choice = whole.choices[0]
    assert choice.text and choice.finish_reason == "length" and whole.usage.completion_tokens == 6 and whole.model == "small"
    parts = list(client.completions.create(model="small", prompt="1 2 3 4", max_tokens=6, temperature=0, stream=True))
    assert "".join(c.text for p in parts for c in p.choices) == choice.text


# ---- the state of Responses ----------------------------------------------------------------------------------------------------

@pytest.fixture
def responses(gateway, openai_client):
    return openai_client(gateway, timeout=SLOW).responses


def ask(responses, words, **more):
    return responses.create(model="small", input=words, temperature=0, max_output_tokens=16, **more)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_conversation_goes_on_by_its_id(responses, stream):
    def turn(words, **more):
        answer = ask(responses, words, stream=stream, **more)
        return list(answer)[-1].response if stream else answer
    one = turn("My name is Ann.")
    two = turn("What is my name?", previous_response_id=one.id)
    assert one.output_text and two.output_text and two.previous_response_id == one.id
    assert one.status in ("completed", "incomplete") and 0 < one.usage.output_tokens <= 16
    # the engine got all three: it bills what it does for the conversation written out
    spelt = ask(responses, [{"role": "user", "content": "My name is Ann."}, {"role": "assistant", "content": one.output_text},
                            {"role": "user", "content": "What is my name?"}], store=False)
    assert two.usage.input_tokens == spelt.usage.input_tokens and two.output_text == spelt.output_text
    items = list(responses.input_items.list(two.id, order="asc"))
    assert [(i.role, i.content[0].text) for i in items] == [("user", "My name is Ann."), ("assistant", one.output_text),
                                                            ("user", "What is my name?")]
    assert responses.retrieve(two.id).output_text == two.output_text
    responses.delete(two.id)
    with pytest.raises(openai.NotFoundError):
        responses.retrieve(two.id)
    assert responses.retrieve(one.id).output_text == one.output_text


def test_tokens_of_a_conversation_are_counted_as_they_are_billed(responses):
    one = ask(responses, "My name is Ann.")
    for more in ({}, {"instructions": "Be brief."}, {"previous_response_id": one.id}):
        counted = responses.input_tokens.count(model="small", input="What is my name?", **more).input_tokens
        assert counted == ask(responses, "What is my name?", **more).usage.input_tokens, more


def test_a_background_response_of_the_model_is_polled(responses):
    made = ask(responses, "Count to three.", background=True)
    assert made.status in ("queued", "in_progress")
    wait(lambda: responses.retrieve(made.id).status not in ("queued", "in_progress"), "the answer")
    done = responses.retrieve(made.id)
    assert done.status in ("completed", "incomplete") and done.output_text and done.usage.output_tokens <= 16
    assert ask(responses, "And on?", previous_response_id=made.id).usage.input_tokens > done.usage.input_tokens


def test_a_cancelled_background_response_frees_the_model(responses):
    """It has one slot: the next is answered long before what was cancelled would have been finished."""
    def seconds():
        begin = time.monotonic()
        assert ask(responses, "Hello.").output_text
        return time.monotonic() - begin
    usual = seconds()
    stream = responses.create(model="small", input="Count from one to nine hundred, in words.", background=True, stream=True,
                              max_output_tokens=CONTEXT - 100)
    made = next(e.response for e in stream if e.type == "response.created")
    next(e for e in stream if e.type == "response.output_text.delta")
    cancelled = responses.cancel(made.id)
    stream.close()
    assert cancelled.status == "cancelled" == responses.retrieve(made.id).status
    assert seconds() < 8 * usual       # which is for 16 tokens at most, and more than 900 were asked for


def test_a_conversation_is_made_shorter_by_the_model(start_gateway, openai_client):
    gateway = start_gateway(config(context=256))     # where a summary ends at the latest
    gateway.expected_children = 1
    gateway.baseline["other"] += 2
    responses = openai_client(gateway, timeout=SLOW).responses
    one = ask(responses, "My name is Ann.")
    short = responses.compact(model="small", previous_response_id=one.id)
    assert short.object == "response.compaction" and [i.type for i in short.output] == ["compaction"]
    assert short.usage.input_tokens > one.usage.input_tokens and short.usage.output_tokens
    again = ask(responses, [i.model_dump(exclude_none=True) for i in short.output] + [{"role": "user", "content": "So?"}])
    assert again.output_text


# ---- every dialect's own SDK ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("front", FRONTS)
def test_every_sdk_talks_to_the_model(gateway, front, stream):
    seen = FRONTS[front](gateway).ask("small", Wish(words="Say hello.", max_tokens=8), stream)
    assert seen.text and seen.stop in ("length", "end") and seen.usage[0] >= 3 and 0 < seen.usage[1] <= 8


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("front", [f for f in FRONTS if f not in ("ollama-chat", "openai-completions")])     # which cannot force a call
def test_every_sdk_has_the_model_call_a_tool(gateway, front, stream):
    wish = Wish(words="What is the weather in Bonn?", tools=(("weather", "Tells the weather.", WEATHER),), force=True, max_tokens=80)
    seen = FRONTS[front](gateway).ask("small", wish, stream)
    assert seen.stop == "tools" and [name for name, _ in seen.calls] == ["weather"] and not seen.text
    jsonschema.validate(seen.calls[0][1], WEATHER)


EMBEDDERS = ("openai-chat", "gemini", "ollama-chat")      # whose vendors have vectors
NODE_EMBEDDERS = ("openai_chat", "google", "ollama")


def test_every_sdk_embeds_a_text(both, openai_client, genai_client):
    of_openai = openai_client(both, timeout=SLOW).embeddings.create(model="vectors", input="rain in Bonn").data[0].embedding
    of_google = genai_client(both).models.embed_content(model="vectors", contents="rain in Bonn").embeddings[0].values
    client = ollama.Client(host=both.url, timeout=SLOW)
    of_ollama = client.embed(model="vectors", input="rain in Bonn").embeddings[0]
    client._client.close()
    for vector in (of_google, of_ollama):
        assert len(vector) == len(of_openai) and max(abs(a - b) for a, b in zip(vector, of_openai)) < 1e-4


# ---- the SDKs for Node -----------------------------------------------------------------------------------------------------------

NODE_SDKS = {"openai_chat": True, "openai_responses": True, "anthropic": True, "google": True, "ollama": False}     # can force a call


def run_node(tmp_path, gateway, sdk, cases):
    """Fails with what the cases of one SDK's run failed with."""
    try:
        verdicts = node.run_suite(tmp_path, 3 * SLOW, GATEWAY=gateway.url, SDK=sdk, CASES=cases)
    except node.Missing as e:
        pytest.skip(str(e))
    assert verdicts == {c["name"]: None for c in cases}


@pytest.mark.timeout(400)
@pytest.mark.parametrize("sdk", NODE_SDKS)
def test_every_sdk_for_node_talks_to_the_model(gateway, tmp_path, sdk):
    subjects = ["says_something", "in_a_form", *(["must_call"] if NODE_SDKS[sdk] else [])]
    run_node(tmp_path, gateway, sdk, [{"name": f"{s}-{way}", "subject": s, "model": "small", "way": way}
                                      for s in subjects for way in ("whole", "stream")])


@pytest.mark.timeout(400)
def test_every_sdk_for_node_embeds_a_text(both, tmp_path):
    for sdk in NODE_EMBEDDERS:
        folder = tmp_path / sdk
        folder.mkdir()
        run_node(folder, both, sdk, [{"name": "embeds", "subject": "embeds", "model": "vectors", "way": "whole"}])
