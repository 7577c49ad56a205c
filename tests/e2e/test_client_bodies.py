"""Bodies as clients of Chat really send them, with what their authors never thought of: the answer has the form that such a client reads,
whoever is behind, and what a provider would stumble over does not reach it.
"""

import json

import pytest

from lib import canned
from lib.vendors import VENDORS

WEATHER = {"name": "get_weather", "description": "Tells the weather.",
           "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}
CALLS = [("text", "Let me see."), ("call", "call_1", "get_weather", {"city": "Bonn"}), ("call", "call_2", "get_weather", {"city": "Ulm"})]
FOREIGN = sorted(set(VENDORS) - {"openai"})


@pytest.fixture(scope="module")
def up(module_faultd):
    return module_faultd()


@pytest.fixture(scope="module")
def gateway(start_module_gateway, up):
    providers = {kind: {**vendor.provider(up.origin), "models": [f"model-of-{kind}"]} for kind, vendor in VENDORS.items()}
    providers["openai"].update(protocols=["openai-chat"])
    providers["responses"].update(type="openai-compatible", protocols=["openai-responses"])
    providers["deepseek"] = {"base_url": f"{up.origin}/v1", "api_key": "k", "models": ["model-of-deepseek"]}
    return start_module_gateway({"providers": providers})


def script(up, kind, blocks=(("text", "Hello."),)):
    """The vendor of that kind says these blocks."""
    vendor = VENDORS.get(kind, VENDORS["openai"])
    up.clear()
    return up.reply("POST", vendor.path, body=lambda request: vendor.reply(request, list(blocks)))


# ---- `functions` of old ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", FOREIGN)
def test_functions_of_old_are_called_in_function_call(gateway, up, openai_client, kind):
    script(up, kind, CALLS)
    done = openai_client(gateway).chat.completions.create(model=f"model-of-{kind}", functions=[WEATHER],
                                                          messages=[{"role": "user", "content": "Weather?"}])
    message = done.choices[0].message
    assert (message.function_call.name, json.loads(message.function_call.arguments)) == ("get_weather", {"city": "Bonn"})
    assert not message.tool_calls and done.choices[0].finish_reason == "function_call"


@pytest.mark.parametrize("kind", FOREIGN)
def test_functions_of_old_are_called_in_a_stream_too(gateway, up, openai_client, kind):
    script(up, kind, CALLS)
    name, arguments, finish = "", "", []
    for chunk in openai_client(gateway).chat.completions.create(model=f"model-of-{kind}", functions=[WEATHER], stream=True,
                                                                messages=[{"role": "user", "content": "Weather?"}]):
        delta = chunk.choices[0].delta
        assert not delta.tool_calls
        if delta.function_call:
            name += delta.function_call.name or ""
            arguments += delta.function_call.arguments or ""
        finish += [chunk.choices[0].finish_reason] if chunk.choices[0].finish_reason else []
    assert (name, json.loads(arguments), finish) == ("get_weather", {"city": "Bonn"}, ["function_call"])


# ---- what a provider of Chat itself would refuse -----------------------------------------------------------------------------

def sent_to(gateway, up, kind, **body):
    asked = script(up, kind)
    answer = gateway.request("POST", "/v1/chat/completions", {}, json.dumps({
        "model": f"model-of-{kind}", "messages": [{"role": "user", "content": "Hi"}], **body}).encode())
    assert answer.status == 200, answer.body
    return asked.wait_for_request().request.json(), answer.headers.get("x-llm-gateway-dropped")


def test_trap_036_who_does_not_know_the_developer_hears_the_system(gateway, up):
    """Where the body is passed on too, and nothing else in it changes."""
    messages = [{"role": "developer", "content": "Be brief.", "acme": 1}, {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
                {"role": "developer", "content": "Briefer."}, {"role": "user", "content": "\"developer\""}]
    sent, dropped = sent_to(gateway, up, "deepseek", messages=messages, seed=12345678901234567890, new_member={"a": 1.50})
    assert sent["messages"] == [{**messages[0], "role": "system"}, messages[1], {**messages[2], "role": "system"}, messages[3]]
    assert (sent["seed"], sent["new_member"], dropped) == (12345678901234567890, {"a": 1.5}, None)
    assert sent_to(gateway, up, "openai", messages=messages)[0]["messages"] == messages


def test_trap_081_a_schema_goes_in_words_to_who_knows_json_only(gateway, up):
    """A client of Chat gets what all others get, whose bodies are translated."""
    schema = {"type": "object", "properties": {"setup": {"type": "string"}}, "required": ["setup"], "additionalProperties": False}
    asked = {"type": "json_schema", "json_schema": {"name": "joke", "schema": schema, "strict": True}}
    sent, dropped = sent_to(gateway, up, "deepseek", response_format=asked, new_member=1)
    assert sent["response_format"] == {"type": "json_object"} and dropped == "response_format"
    assert json.dumps(schema, separators=(",", ":")) in sent["messages"][0]["content"] and sent["new_member"] == 1
    assert sent_to(gateway, up, "openai", response_format=asked)[0]["response_format"] == asked


@pytest.mark.parametrize("form, words", [
    ({"type": "json_object"}, "say one JSON object and nothing around it."),
    ({"type": "json_schema", "json_schema": {"name": "w", "schema": WEATHER["parameters"]}}, json.dumps(WEATHER["parameters"], separators=(",", ":")))])
def test_a_form_beside_tools_goes_in_words_to_who_refuses_the_two_together(gateway, up, form, words):
    """As typed agents ask for it; without a word about the form no answer of Gemini 2.5's could be read."""
    tool = {"type": "function", "function": WEATHER}
    asked = script(up, "gemini")
    for model, dropped in (("gemini-2.5-flash", "response_format"), ("gemini-3-pro-preview", None)):
        body = {"model": f"gemini/{model}", "tools": [tool], "response_format": form,
                "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Weather?"}]}
        answer = gateway.request("POST", "/v1/chat/completions", {}, json.dumps(body).encode())
        assert (answer.status, answer.headers.get("x-llm-gateway-dropped")) == (200, dropped), answer.body
        sent = asked.wait_for_request().request.json()
        assert VENDORS["gemini"].problem(sent) is None
        system = [part["text"] for part in sent["systemInstruction"]["parts"]]
        if dropped:
            assert "responseMimeType" not in sent["generationConfig"] and system[0] == "Be brief." and system[1].endswith(words)
        else:
            assert sent["generationConfig"]["responseMimeType"] == "application/json" and system == ["Be brief."]


# ---- text behind a gap ---------------------------------------------------------------------------------------------------------

def test_a_gap_is_filled_by_ollama_for_a_client_of_completions(gateway, up, openai_client):
    """As editors ask for what belongs between two pieces of a program; without one it is a conversation."""
    up.clear()
    line = canned.ollama_line(response="a, b", **canned.ollama_end())
    asked = up.reply("POST", "/api/generate", body=line)
    client = openai_client(gateway)
    done = client.completions.with_raw_response.create(model="model-of-ollama", prompt="def f(", suffix="):\n", max_tokens=9, stop="\n")
    assert done.parse().choices[0].text == "a, b" and "x-llm-gateway-dropped" not in done.headers
    body = asked.wait_for_request().request.json()
    assert (body["prompt"], body["suffix"], body["options"]) == ("def f(", "):\n", {"num_predict": 9, "stop": ["\n"]})
    assert "".join(c.choices[0].text for c in client.completions.create(model="model-of-ollama", prompt="f", suffix=")", stream=True)) == "a, b"
    script(up, "ollama")
    assert client.completions.create(model="model-of-ollama", prompt="def f(", suffix="").choices[0].text == "Hello."


def test_a_gap_is_filled_in_completions_for_a_client_of_ollama(gateway, up, ollama_client):
    up.clear()
    body = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m", "usage": canned.openai_usage(),
            "choices": [{"index": 0, "text": "a, b", "logprobs": None, "finish_reason": "stop"}]}
    asked = up.reply("POST", "/beta/completions", body=canned.dumps(body).encode())
    assert ollama_client(gateway).generate(model="model-of-deepseek", prompt="def f(", suffix="):").response == "a, b"
    sent = asked.wait_for_request().request.json()
    assert (sent["prompt"], sent["suffix"]) == ("def f(", "):")


# ---- words that say nothing, and other people's words --------------------------------------------------------------------------

NOTHING = {"logit_bias": {}, "metadata": {}, "user": "", "safety_identifier": "", "prompt_cache_key": "", "tools": [], "stop": [],
           "modalities": ["text"], "store": False, "n": 1, "logprobs": False, "temperature": 1, "top_p": 1}


@pytest.mark.parametrize("kind", FOREIGN)
def test_trap_089_what_is_empty_or_so_anyway_is_no_loss(gateway, up, kind):
    """Such members come with every request of some clients: not even who is strict stumbles over them."""
    asked = script(up, kind)
    body = {"model": f"model-of-{kind}", "messages": [{"role": "user", "content": "Hi"}], **NOTHING}
    answer = gateway.request("POST", "/v1/chat/completions", {"x-llm-gateway-strict": "true"}, json.dumps(body).encode())
    assert (answer.status, answer.headers.get("x-llm-gateway-dropped")) == (200, None), answer.body
    assert asked.wait_for_request()


@pytest.mark.parametrize("kind", FOREIGN)
def test_tools_in_the_form_of_responses_are_tools(gateway, up, kind):
    """Clients that speak both of OpenAI's protocols mix them up."""
    sent, dropped = sent_to(gateway, up, kind, tools=[{"type": "function", **WEATHER, "strict": False}])
    assert VENDORS[kind].tools(sent) == ["get_weather"] and not dropped


def test_geminis_system_instruction_is_no_number(gateway, up):
    script(up, "openai")
    for wrong in (5, [{"text": "Be brief."}]):
        body = {"contents": [{"parts": [{"text": "Hi"}]}], "systemInstruction": wrong}
        answer = gateway.request("POST", "/v1beta/models/model-of-openai:generateContent", {}, json.dumps(body).encode())
        assert answer.status == 400 and "systemInstruction" in answer.json()["error"]["message"]


def test_trap_121_a_verb_nobody_knows_is_not_found(gateway):
    for path in ("/v1beta/models/model-of-openai:predict", "/v1/models/model-of-openai:generateImages"):
        answer = gateway.request("POST", path, {}, b"{}")
        assert answer.status == 404 and path in answer.json()["error"]["message"]


# ---- reasoning ---------------------------------------------------------------------------------------------------------------

THOUGHT = [("think", "Let me think.", "sig+AAA="), ("text", "Hello.")]


@pytest.mark.parametrize("kind", ["openai", "anthropic", "gemini", "ollama"])
def test_who_asks_for_a_summary_of_the_reasoning_gets_one(gateway, up, openai_client, kind):
    """Vercel's AI SDK, LangChain and Codex show nothing else of it, and bring nothing else back."""
    script(up, kind, THOUGHT)
    client, asked = openai_client(gateway), {"model": f"model-of-{kind}", "input": "Hi", "store": False}
    done = client.responses.create(**asked, reasoning={"effort": "low", "summary": "auto"})
    item = next(i for i in done.output if i.type == "reasoning")
    assert [part.text for part in item.summary] == ["Let me think."] and not item.content
    with client.responses.stream(**asked, reasoning={"effort": "low", "summary": "auto"}) as stream:
        said = "".join(e.delta for e in stream if e.type == "response.reasoning_summary_text.delta")
        assert said == stream.get_final_response().output[0].summary[0].text == "Let me think."
    for reasoning in ({"effort": "low"}, {"effort": "low", "summary": None}):
        item = next(i for i in client.responses.create(**asked, reasoning=reasoning).output if i.type == "reasoning")
        assert not item.summary and [part.text for part in item.content] == ["Let me think."]


def test_a_summary_comes_back_to_who_signed_it(gateway, up, openai_client):
    script(up, "anthropic", [*THOUGHT, ("call", "call_1", "get_weather", {"city": "Bonn"})])
    client, tool = openai_client(gateway), {"type": "function", **WEATHER}
    asked = {"model": "model-of-anthropic", "tools": [tool], "store": False, "reasoning": {"effort": "low", "summary": "auto"}}
    question = {"role": "user", "content": "Weather?"}
    output = [i.model_dump(exclude_none=True) for i in client.responses.create(**asked, input=[question]).output]
    result = {"type": "function_call_output", "call_id": "call_1", "output": "21"}
    script(up, "anthropic")
    sent = up.scripts[-1]
    client.responses.create(**asked, input=[question, *output, result])
    turn = sent.wait_for_request().request.json()["messages"][1]["content"]
    assert turn[0] == {"type": "thinking", "thinking": "Let me think.", "signature": "sig+AAA="}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_reasoning_that_nobody_signed_comes_back_from_who_keeps_encrypted_reasoning_alone(gateway, up, openai_client, stream):
    """Codex and Vercel's AI SDK give back `encrypted_content` and no text; DeepSeek refuses a turn of tools without its reasoning."""
    call = ("call", "call_1", "get_weather", {"city": "Bonn"})
    script(up, "deepseek", [("think", "Let me \"think\".\n", ""), call])
    client, tool = openai_client(gateway), {"type": "function", **WEATHER}
    asked = {"model": "model-of-deepseek", "tools": [tool], "store": False, "include": ["reasoning.encrypted_content"]}
    question = {"role": "user", "content": "Weather?"}
    if stream:
        with client.responses.stream(**asked, input=[question]) as events:
            output = events.get_final_response().output
    else:
        output = client.responses.create(**asked, input=[question]).output
    kept = [{"type": "reasoning", "id": i.id, "summary": [], "encrypted_content": i.encrypted_content} if i.type == "reasoning"
            else i.model_dump(exclude_none=True) for i in output]
    script(up, "deepseek")
    client.responses.create(**asked, input=[question, *kept, {"type": "function_call_output", "call_id": "call_1", "output": "21"}])
    sent = up.scripts[-1].wait_for_request().request.json()["messages"]
    assert sent[1]["reasoning_content"] == "Let me \"think\".\n" and sent[1]["tool_calls"][0]["id"] == "call_1"


def test_reasoning_that_nobody_signed_is_not_carried_for_who_does_not_ask(gateway, up, openai_client):
    script(up, "deepseek", [("think", "Let me think.", ""), ("text", "Hello.")])
    item = openai_client(gateway).responses.create(model="model-of-deepseek", input="Hi").output[0]
    assert (item.type, item.encrypted_content, item.content[0].text) == ("reasoning", None, "Let me think.")
