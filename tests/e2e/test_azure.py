"""Azure, from both sides: as a provider in each form of its addresses, and as what a client takes the gateway for."""

import json

import anthropic
import openai
import pytest

from lib import canned, recordings

ASK = {"messages": [{"role": "user", "content": "Hi"}]}
DEPLOYED = "/openai/deployments/my%20gpt/chat/completions"
FILTERED = canned.dumps({"error": {
    "code": "content_filter", "message": "The response was filtered due to the prompt triggering our policy.",
    "param": "prompt", "status": 400, "type": None,
    "innererror": {"code": "ResponsibleAIPolicyViolation",
                   "content_filter_result": {"hate": {"filtered": True, "severity": "high"}}}}}).encode()


@pytest.fixture
def up(faultd):
    return faultd()


def config(up, **more):
    return {"providers": {"azure": {"api_key": "azure-key", "endpoint": up.origin, "models": ["my gpt"], **more}}}


@pytest.fixture
def azure_client(stage):
    def make(gateway, **kw):
        client = openai.AzureOpenAI(azure_endpoint=gateway.url, api_key="gw", api_version="2024-10-21",
                                    max_retries=0, timeout=30, **kw)
        stage.closing.append(client)
        return client
    return make


def test_the_three_forms_of_its_address(start_gateway, up, openai_client):
    """Without api_version /openai/v1; with one the deployment's path; Foundry below /models."""
    up.reply("POST", "/openai/v1/chat/completions", body=canned.openai_answer("one"))
    up.reply("POST", DEPLOYED, body=canned.openai_answer("two"))
    up.reply("POST", "/models/chat/completions", body=canned.openai_answer("three"))
    more = {"type": "azure", "api_key": "azure-key"}
    gateway = start_gateway({"providers": {
        "v1": {**more, "endpoint": up.origin}, "old": {**more, "endpoint": up.origin, "api_version": "2024-10-21"},
        "foundry": {**more, "endpoint": f"{up.origin}/models", "api_key": "eyJ0eXAi.eyJhdWQi.c2lnbmF0dXJl"}}})
    client = openai_client(gateway)
    for name, text in (("v1", "one"), ("old", "two"), ("foundry", "three")):
        answer = client.chat.completions.create(model=f"{name}/my gpt", **ASK, max_completion_tokens=9)
        assert answer.choices[0].message.content == text
    v1, old, foundry = up.requests
    assert (v1.target, v1.headers.get("api-key"), v1.json()["model"]) == ("/openai/v1/chat/completions", "azure-key", "my gpt")
    assert old.target == DEPLOYED + "?api-version=2024-10-21" and old.headers.get("api-key") == "azure-key"
    assert foundry.target == "/models/chat/completions?api-version=2024-05-01-preview"
    assert foundry.headers.get("authorization") == "Bearer eyJ0eXAi.eyJhdWQi.c2lnbmF0dXJl" and foundry.headers.get("api-key") is None
    assert foundry.json()["max_tokens"] == 9 and old.json()["max_completion_tokens"] == 9


def test_its_variables_alone_are_enough(start_gateway, up, openai_client):
    up.reply("POST", "/openai/v1/chat/completions", body=canned.openai_answer("from Azure"))
    gateway = start_gateway({}, env={"AZURE_OPENAI_API_KEY": "from-env", "AZURE_OPENAI_ENDPOINT": up.origin})
    answer = openai_client(gateway).chat.completions.create(model="azure/gpt-4o", **ASK)
    assert answer.choices[0].message.content == "from Azure" and up.requests[0].headers.get("api-key") == "from-env"


def test_trap_028_its_streams_pass_and_are_translated(start_gateway, up, openai_client, anthropic_client, need_recordings):
    """Recorded: the first chunk has no choice, no id, no model, but prompt_filter_results."""
    recorded = [r for r in recordings.load("openai_compat_chat")
                if ".azure.com" in r.uri and r.stream and r.status == 200 and b"prompt_filter_results" in r.body]
    assert len(recorded) >= 10
    gateway = start_gateway(config(up))
    for r in recorded:
        up.add(r.script(path="/openai/v1/chat/completions", times=2))
        said = [json.loads(line[6:]) for line in r.body.decode().splitlines() if line.startswith("data: {")]
        text = "".join(c["delta"].get("content") or "" for s in said for c in s["choices"])
        chunks = list(openai_client(gateway).chat.completions.create(model="my gpt", stream=True, **ASK))
        assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == text
        assert chunks[0].model_extra["prompt_filter_results"]        # relayed as they came
        with anthropic_client(gateway).messages.stream(model="my gpt", max_tokens=99, **ASK) as s:
            message = s.get_final_message()
        assert "".join(b.text for b in message.content if b.type == "text") == text
        assert message.id.startswith("msg_")


def test_a_filtered_prompt_is_a_400_in_every_dialect(start_gateway, up, openai_client, anthropic_client):
    up.reply("POST", "/openai/v1/chat/completions", status=400, body=FILTERED)
    gateway = start_gateway(config(up))
    with pytest.raises(openai.BadRequestError) as e:
        openai_client(gateway).chat.completions.create(model="my gpt", **ASK)
    assert e.value.code == "content_filter" and e.value.body["innererror"]["code"] == "ResponsibleAIPolicyViolation"
    with pytest.raises(anthropic.BadRequestError) as e:
        anthropic_client(gateway).messages.create(model="my gpt", max_tokens=9, **ASK)
    assert e.value.body["error"]["type"] == "invalid_request_error" and "filtered" in e.value.body["error"]["message"]


SAY = {"messages": [{"role": "user", "content": "Hi"}]}
GEMINI = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
# dialect: path, request, how a stream is asked for, what a refused prompt is called, and the word for a refused answer
DIALECTS = {
    "responses": ("/v1/responses", {"model": "gpt", "input": "Hi", "store": False}, {"stream": True}, '"code":"content_filter"',
                  '"incomplete_details":{"reason":"content_filter"}'),
    "completions": ("/v1/completions", {"model": "gpt", "prompt": "Hi"}, {"stream": True}, '"code":"content_filter"',
                    '"finish_reason":"content_filter"'),
    "messages": ("/v1/messages", {"model": "gpt", "max_tokens": 9, **SAY}, {"stream": True}, '"type":"invalid_request_error"',
                 '"stop_reason":"refusal"'),
    "complete": ("/v1/complete", {"model": "gpt", "max_tokens_to_sample": 9, "prompt": "\n\nHuman: Hi\n\nAssistant:"}, {"stream": True},
                 '"type":"invalid_request_error"', '"stop_reason":"refusal"'),
    "gemini": ("/v1beta/models/gpt:generateContent", GEMINI, None, '"status":"INVALID_ARGUMENT"', '"finishReason":"SAFETY"'),
    "gemini stream": ("/v1beta/models/gpt:streamGenerateContent?alt=sse", GEMINI, None, '"status":"INVALID_ARGUMENT"', '"finishReason":"SAFETY"'),
    "ollama": ("/api/chat", {"model": "gpt", "stream": False, **SAY}, {"stream": True}, '"error":"The response was filtered', '"done_reason":"stop"'),
}


def filtered_answer(request):
    """An answer that the filter cut, in the form that was asked for."""
    results = {"content_filter_results": {"violence": {"filtered": True, "severity": "medium"}}}
    if request.json().get("stream"):
        return canned.openai_chunk({"role": "assistant", "content": "So "}) + canned.openai_chunk(
            choices=[{"index": 0, "delta": {}, "finish_reason": "content_filter", **results}]) + b"data: [DONE]\n\n"
    answer = json.loads(canned.openai_answer("So "))
    answer["choices"][0].update(finish_reason="content_filter", **results)
    return canned.dumps(answer).encode()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_trap_101_the_filter_speaks_each_dialect(start_gateway, up, dialect):
    """A prompt it stops is a 400 in the client's words, an answer it cuts ends in the client's word for that, with what was said."""
    path, request, streamed, refused, ended = DIALECTS[dialect]
    gateway = start_gateway(config(up, models=["gpt"], api_version="2024-10-21"))
    asks = [request] if streamed is None else [request, {**request, **streamed}]
    target = "/openai/deployments/gpt/chat/completions"
    for ask in asks:
        up.clear()
        up.reply("POST", target, status=400, body=FILTERED)
        answer = gateway.request("POST", path, [("content-type", "application/json")], canned.dumps(ask).encode())
        assert answer.status == 400 and refused in answer.body.decode().replace(": ", ":") and "filtered due to the prompt" in answer.body.decode()
        up.clear()
        up.reply("POST", target, body=filtered_answer)
        answer = gateway.request("POST", path, [("content-type", "application/json")], canned.dumps(ask).encode())
        assert answer.status == 200 and ended in answer.body.decode().replace(": ", ":") and "So " in answer.body.decode(), answer.body.decode()


def test_the_findings_pass_to_clients_of_its_own_dialect(start_gateway, up, need_recordings):
    """Recorded whole answers, byte for byte: prompt_filter_results beside the choices, content_filter_results in them."""
    recorded = [r for r in recordings.load("openai_compat_chat")
                if "openai.azure.com" in r.uri and not r.stream and r.status == 200 and b"content_filter_results" in r.body]
    assert len(recorded) >= 5
    gateway = start_gateway(config(up, models=["gpt"], api_version="2024-10-21"))
    for r in recorded:
        up.clear()
        up.add(r.script(path="/openai/deployments/gpt/chat/completions"))
        ask = canned.dumps({**r.req, "model": "gpt"}).encode()
        answer = gateway.request("POST", "/v1/chat/completions", [("content-type", "application/json")], ask)
        assert answer.body == r.body and b"prompt_filter_results" in answer.body


def test_a_filter_that_comes_after_its_text(start_gateway, up, openai_client, anthropic_client):
    """Its asynchronous filter sends findings as choices without a delta, some behind the one that ends the answer."""
    late = {"index": 0, "finish_reason": None, "content_filter_results": {"hate": {"filtered": False, "severity": "safe"}},
            "content_filter_offsets": {"check_offset": 44, "start_offset": 44, "end_offset": 198}}
    odd = canned.sse({"id": "", "object": "", "created": 0, "model": "", "choices": [late]})
    body = (canned.openai_chunk({"role": "assistant", "content": "Hel"}) + odd + canned.openai_chunk({"content": "lo"})
            + canned.openai_chunk(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}]) + odd
            + canned.sse({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [],
                          "usage": canned.openai_usage()}) + b"data: [DONE]\n\n")
    up.reply("POST", "/openai/v1/chat/completions", body=body)
    gateway = start_gateway(config(up))
    with anthropic_client(gateway).messages.stream(model="my gpt", max_tokens=9, **ASK) as s:
        message = s.get_final_message()
    assert (message.content[0].text, message.stop_reason) == ("Hello", "end_turn") and message.usage.output_tokens
    raw = gateway.request("POST", "/v1/chat/completions", [("content-type", "application/json")],
                          canned.dumps({"model": "my gpt", "stream": True, "stream_options": {"include_usage": True}, **ASK}).encode())
    assert raw.body == body


TOKEN = "eyJ0eXAi.eyJhdWQi.c2lnbmF0dXJl"


@pytest.mark.parametrize("more, path", (({}, "/openai/v1/chat/completions"), ({"api_version": "2024-10-21"}, DEPLOYED)))
def test_tokens_of_entra_are_bearers_in_every_form(start_gateway, up, openai_client, tmp_path, more, path):
    """The token may stand in a file; a reload reads the next one."""
    secret = tmp_path / "token"
    secret.write_text(TOKEN + "\n")
    up.reply("POST", path, body=canned.openai_answer())
    made = config(up, api_key_file=str(secret), **more)
    del made["providers"]["azure"]["api_key"]
    gateway = start_gateway(made)
    client = openai_client(gateway)
    client.chat.completions.create(model="my gpt", **ASK)
    assert up.requests[-1].headers.get("authorization") == f"Bearer {TOKEN}" and "api-key" not in up.requests[-1].headers
    secret.write_text(TOKEN.replace("c2ln", "bmV4") + "\n")
    gateway.reload()
    gateway.wait_log(r'"event":"reload"')
    client.chat.completions.create(model="my gpt", **ASK)
    assert up.requests[-1].headers.get("authorization") == "Bearer " + TOKEN.replace("c2ln", "bmV4")


@pytest.mark.parametrize("stream", (False, True), ids=("whole", "stream"))
def test_a_filtered_answer_is_a_refusal(start_gateway, up, anthropic_client, stream):
    results = {"content_filter_results": {"violence": {"filtered": True, "severity": "medium"}}}
    if stream:
        body = canned.openai_chunk({"role": "assistant", "content": "So "}) + canned.openai_chunk(
            choices=[{"index": 0, "delta": {}, "finish_reason": "content_filter", **results}]) + b"data: [DONE]\n\n"
    else:
        answer = json.loads(canned.openai_answer("So "))
        answer["choices"][0].update(finish_reason="content_filter", **results)
        body = canned.dumps(answer).encode()
    up.reply("POST", "/openai/v1/chat/completions", body=body)
    client = anthropic_client(start_gateway(config(up)))
    if stream:
        with client.messages.stream(model="my gpt", max_tokens=9, **ASK) as s:
            message = s.get_final_message()
    else:
        message = client.messages.create(model="my gpt", max_tokens=9, **ASK)
    assert message.stop_reason == "refusal" and message.content[0].text == "So "


def test_azures_own_sdk_class_talks_to_the_gateway(start_gateway, faultd, azure_client):
    """Its paths name the deployment, its key comes in api-key; any provider may stand behind."""
    up = faultd()
    up.reply("POST", "/v1/chat/completions", body=canned.openai_answer("chat"), when=lambda r: not r.json().get("stream"))
    up.reply("POST", "/v1/chat/completions", body=canned.openai_stream(), when=lambda r: r.json().get("stream"))
    up.reply("POST", "/v1/messages", body=canned.anthropic_answer("claude"))
    gateway = start_gateway({"providers": {
        "openai": {"api_key": "k", "base_url": f"{up.origin}/v1", "models": ["gpt-5"]},
        "anthropic": {"api_key": "k", "base_url": up.origin, "models": ["claude-x"]}}})
    client = azure_client(gateway)
    assert client.chat.completions.create(model="gpt-5", **ASK).choices[0].message.content == "chat"
    assert client.chat.completions.create(model="claude-x", **ASK).choices[0].message.content == "claude"
    chunks = client.chat.completions.create(model="gpt-5", stream=True, **ASK)
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == "Hello."
    named = azure_client(gateway, azure_deployment="gpt-5")
    assert named.chat.completions.create(model="whatever", **ASK).choices[0].message.content == "chat"
    assert up.requests[-1].json()["model"] == "gpt-5"


INSTRUCT = canned.dumps({"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m", "choices": [
    {"text": "on.", "index": 0, "logprobs": None, "finish_reason": "stop"}], "usage": canned.openai_usage()}).encode()


def test_completions_of_old_below_a_deployment(start_gateway, up, openai_client, azure_client):
    """Azure's SDK asks for them below the deployment too; a deployment of an old model has them, any other is asked in a conversation."""
    name = "gpt-35-turbo-instruct"
    up.reply("POST", "/openai/v1/completions", body=INSTRUCT)
    up.reply("POST", f"/openai/deployments/{name}/completions", body=INSTRUCT)
    up.reply("POST", "/openai/v1/chat/completions", body=canned.openai_answer("on."))
    more = {"type": "azure", "api_key": "azure-key", "endpoint": up.origin}
    gateway = start_gateway({"providers": {"v1": {**more, "models": [name, "my gpt"]}, "old": {**more, "api_version": "2024-10-21"}}})
    azure = azure_client(gateway)
    assert azure.completions.create(model=name, prompt="Go", max_tokens=3).choices[0].text == "on."
    assert azure.completions.create(model="my gpt", prompt="Go", max_tokens=3).choices[0].text == "on."
    assert openai_client(gateway).completions.create(model=f"old/{name}", prompt="Go", max_tokens=3).choices[0].text == "on."
    assert [r.target for r in up.requests] == ["/openai/v1/completions", "/openai/v1/chat/completions",
                                               f"/openai/deployments/{name}/completions?api-version=2024-10-21"]
    # And a client of another dialect reaches the old model.
    chat = openai_client(gateway).chat.completions.create(model=name, **ASK)
    assert chat.choices[0].message.content == "on." and up.requests[-1].json()["prompt"] == "Hi"
