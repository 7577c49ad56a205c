"""OpenAI's Completions of old: recorded traffic passes byte for byte, its events are what a plain reading says, and the official
SDK gets the same from a provider that speaks it, from providers that only converse, and from a model of our own engine.
"""

import json

import openai
import pytest

from lib import canned, recordings
from lib.codec import codec, find_codec
from lib.recordings_tally import Tally, play
from lib.wire import SseParser

needs_codec = pytest.mark.skipif(find_codec() is None, reason="tests/tools/codec is not built")
FIRST, CHAT = "davinci-002", "gpt-4o-mini"


def answers():
    return [r for r in recordings.load("legacy_completions") if r.status == 200]


def chunks(body):
    return [json.loads(e.data) for e in SseParser().feed(body, 0) if e.data and e.data.strip() != "[DONE]"]


def said(recording):
    """(text, finish reason, usage) of a recording, by a plain reading."""
    parts = chunks(recording.body) if recording.stream else [json.loads(recording.body)]
    text = "".join(c["text"] for p in parts for c in p["choices"])
    finish = [c["finish_reason"] for p in parts for c in p["choices"] if c["finish_reason"]]
    return text, finish[-1], next((p["usage"] for p in parts if p.get("usage")), None)


@pytest.fixture(scope="module")
def up(module_faultd):
    return module_faultd()


@pytest.fixture(scope="module")
def gateway(start_module_gateway, up):
    return start_module_gateway({"providers": {
        "openai": {"type": "openai", "base_url": f"{up.origin}/v1", "api_key": "sk-up", "discover": False, "default": True},
        "converses": {"type": "openai-compatible", "quirks": ["no_completions"], "base_url": f"{up.origin}/talk/v1", "discover": False, "models": ["only-chat"]},
        "claude": {"type": "anthropic", "base_url": up.origin, "api_key": "sk-up", "discover": False},
        "gap": {"type": "deepseek", "base_url": up.origin, "api_key": "sk-up", "discover": False, "models": ["deepseek-v4"]}}})


def post(gateway, body, path="/v1/completions"):
    with gateway.connect(timeout=60) as client:
        client.request("POST", path, [("content-type", "application/json")], body)
        return client.read_response("POST")


# ---- recordings ---------------------------------------------------------------------------------------------------------------

@pytest.mark.usefixtures("need_recordings")
def test_recorded_completions_are_relayed_byte_for_byte(gateway, up, capsys):
    tally = Tally("completions, byte-identical")
    for number, recording in enumerate(answers()):
        script, req = play(up, recording, number), {**recording.req, "model": FIRST}
        if recording.stream:
            req["stream_options"] = {"include_usage": True}
        sent = json.dumps(req, ensure_ascii=False).encode()
        response = post(gateway, sent)
        got, problem = script.wait_for_request().request, None
        if (response.status, response.end, response.body) != (200, "complete", recording.body):
            problem = f"{response.status} {response.end} {response.body[-200:]!r}"
        elif (got.body, got.target) != (sent, "/v1/completions"):
            problem = f"upstream got {got.target} {got.body!r}"
        tally.judge(recording, problem)
    tally.finish(capsys, 33)


@needs_codec
@pytest.mark.usefixtures("need_recordings")
@pytest.mark.parametrize("client", ["openai-completions", "openai-chat", "anthropic-messages"])
def test_recorded_completions_say_the_same_to_every_client(client, capsys):
    """Whole, and for clients of the format itself streamed too."""
    tally, chosen = Tally(f"completions for {client}"), answers()
    for recording, out in zip(chosen, codec("whole", "openai-completions", client, inputs=[r.body for r in chosen])):
        text, finish, usage = said(recording)
        got = json.loads(out)
        if client == "openai-completions":
            have = got["choices"][0]["text"], got["choices"][0]["finish_reason"], got["usage"]["completion_tokens"]
        elif client == "openai-chat":
            have = got["choices"][0]["message"]["content"], got["choices"][0]["finish_reason"], got["usage"]["completion_tokens"]
        else:
            have = ("".join(b["text"] for b in got["content"]), {"end_turn": "stop", "max_tokens": "length"}[got["stop_reason"]],
                    got["usage"]["output_tokens"])
        want = text, finish, usage["completion_tokens"] if usage else 0
        tally.judge(recording, None if have == want else f"{have} for {want}")
    if client == "openai-completions":
        for recording, out in zip(chosen, codec("stream", client, client, inputs=[r.body for r in chosen])):
            got = "".join(c["text"] for chunk in chunks(out) for c in chunk["choices"])
            tally.judge(recording, None if got == said(recording)[0] and out.endswith(b"data: [DONE]\n\n") else out[-200:])
    tally.finish(capsys, 33)


@needs_codec
@pytest.mark.usefixtures("need_recordings")
def test_recorded_requests_become_a_turn(capsys):
    tally, chosen = Tally("completions, requests"), answers()
    inputs = [json.dumps(r.req).encode() for r in chosen]
    for recording, out in zip(chosen, codec("request", "openai-completions", "openai-chat", inputs=inputs)):
        prompt, got = recording.req["prompt"], json.loads(out)
        text = prompt if isinstance(prompt, str) else prompt[0]
        right = got["dropped"] is None and got["body"]["messages"] == [{"role": "user", "content": text}] \
            and got["body"]["max_completion_tokens"] == recording.req.get("max_tokens", 16)
        tally.judge(recording, None if right else got)
    tally.finish(capsys, 33)


# ---- the official SDK ----------------------------------------------------------------------------------------------------------

def text_completion(texts, finish="stop", usage=True, logprobs=None):
    parts = [{"id": "cmpl-7", "object": "text_completion", "created": 1754000000, "model": FIRST, "choices": [
        {"text": t, "index": 0, "logprobs": logprobs, "finish_reason": None}]} for t in texts]
    parts.append({**parts[0], "choices": [{"text": "", "index": 0, "logprobs": None, "finish_reason": finish}]})
    if usage:
        parts.append({**parts[0], "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}})
    return b"".join(canned.sse(p) for p in parts) + b"data: [DONE]\n\n"


WHOLE = json.dumps({"id": "cmpl-7", "object": "text_completion", "created": 1754000000, "model": FIRST, "choices": [
    {"text": "a", "index": 0, "logprobs": None, "finish_reason": "stop"},
    {"text": "b", "index": 1, "logprobs": None, "finish_reason": "length"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}}).encode()


def sent(up):
    return json.loads(up.requests[-1].body)


@pytest.mark.parametrize("prompt", ["Say", ["Say", "it"], [1, 2], [[1], [2]]], ids=["text", "texts", "tokens", "lists-of-tokens"])
def test_every_form_of_prompt_reaches_a_provider_that_speaks_it(gateway, up, openai_client, prompt):
    up.clear()
    up.reply("POST", "/v1/completions", body=WHOLE)
    made = openai_client(gateway).completions.create(model=FIRST, prompt=prompt, n=2, best_of=3, echo=True, suffix="s", logprobs=1)
    assert [c.text for c in made.choices] == ["a", "b"] and made.usage.total_tokens == 5
    assert sent(up) == {"model": FIRST, "prompt": prompt, "n": 2, "best_of": 3, "echo": True, "suffix": "s", "logprobs": 1}


def test_a_stream_of_a_provider_that_speaks_it(gateway, up, openai_client):
    up.clear()
    up.reply("POST", "/v1/completions", body=text_completion(["Hel", "lo"]))
    parts = list(openai_client(gateway).completions.create(model=FIRST, prompt="Say", stream=True))
    assert "".join(c.text for p in parts for c in p.choices) == "Hello" and parts[-1].choices[0].finish_reason == "stop"
    assert not any(p.usage for p in parts) and sent(up)["stream_options"] == {"include_usage": True}    # trap 10


def test_a_gap_is_filled_below_beta_at_deepseek(gateway, up, openai_client):
    up.clear()
    up.reply("POST", "/beta/completions", body=WHOLE)
    made = openai_client(gateway).completions.create(model="deepseek-v4", prompt="def f(", suffix="return x")
    assert made.choices[0].text == "a" and sent(up)["suffix"] == "return x"


@pytest.mark.parametrize("model, path", [(CHAT, "/v1/chat/completions"), ("only-chat", "/talk/v1/chat/completions")])
def test_a_model_that_converses_is_asked_in_a_conversation(gateway, up, openai_client, model, path):
    up.clear()
    up.reply("POST", path, when=lambda r: not r.json().get("stream"), body=canned.openai_answer("Hello.", finish="length"))
    up.reply("POST", path, when=lambda r: r.json().get("stream"), body=canned.openai_stream(("Hel", "lo", "."), finish="length"))
    client = openai_client(gateway)
    raw = client.completions.with_raw_response.create(model=model, prompt="Say ", echo=True, stop="x", max_tokens=7, suffix="s")
    made = raw.parse()
    assert (made.object, made.model, made.choices[0].text, made.choices[0].finish_reason) == (
        "text_completion", model, "Say Hello.", "length")
    assert made.id.startswith("cmpl-") and made.usage.completion_tokens == 7
    assert raw.headers["x-llm-gateway-dropped"] == "suffix"
    asked = sent(up)
    assert asked["messages"] == [{"role": "user", "content": "Say "}] and asked["stop"] == ["x"]
    assert asked["max_completion_tokens"] == 7
    parts = list(client.completions.create(model=model, prompt=["Say "], echo=True, stream=True,
                                           stream_options={"include_usage": True}))
    assert "".join(c.text for p in parts for c in p.choices) == "Say Hello."
    assert [c.finish_reason for p in parts for c in p.choices if c.finish_reason] == ["length"]
    assert parts[-1].usage.completion_tokens == 7 and len({p.id for p in parts}) == 1


def test_claude_goes_on_with_a_prompt(gateway, up, openai_client):
    up.clear()
    up.reply("POST", "/v1/messages", body=canned.anthropic_stream(("Hel", "lo.")))
    parts = list(openai_client(gateway).completions.create(model="claude-sonnet-4-5", prompt="Say", stream=True, max_tokens=9))
    assert "".join(c.text for p in parts for c in p.choices) == "Hello." and sent(up)["max_tokens"] == 9
    assert [c.finish_reason for p in parts for c in p.choices if c.finish_reason] == ["stop"]


@pytest.mark.parametrize("more, param", [({"prompt": [1, 2]}, "prompt"), ({"prompt": "a", "echo": True, "logprobs": 1}, "echo")])
def test_what_a_conversation_cannot_do_is_refused(gateway, up, openai_client, more, param):
    up.clear()
    with pytest.raises(openai.BadRequestError) as e:
        openai_client(gateway).completions.create(model=CHAT, **more)
    assert e.value.param == param and not up.requests


def test_trap_111_an_error_inside_a_translated_stream_is_raised(gateway, up, openai_client):
    up.clear()
    up.reply("POST", "/v1/chat/completions", body=canned.openai_chunk({"role": "assistant", "content": "Hel"})
             + b'data: {"error":{"message":"overloaded","type":"server_error","code":null,"param":null}}\n\n')
    got = []
    with pytest.raises(openai.APIError, match="overloaded"):
        for part in openai_client(gateway).completions.create(model=CHAT, prompt="Say", stream=True):
            got.append(part.choices[0].text)
    assert "".join(got) == "Hel"


def test_an_old_model_converses_through_its_own_interface(gateway, up, openai_client, anthropic_client):
    up.clear()
    up.reply("POST", "/v1/completions", when=lambda r: r.json().get("stream"), body=text_completion(["Hel", "lo"]))
    up.reply("POST", "/v1/completions", body=WHOLE)
    made = openai_client(gateway).chat.completions.create(model=FIRST, messages=[{"role": "user", "content": "Hi"}])
    assert made.choices[0].message.content == "a" and sent(up)["prompt"] == "Hi"
    with anthropic_client(gateway).messages.stream(model=f"openai/{FIRST}", max_tokens=5, messages=[
            {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Well,"}]) as stream:
        assert stream.get_final_text() == "Hello"
    assert sent(up)["prompt"] == "User: Hi\n\nAssistant: Well,"


# ---- log probabilities ---------------------------------------------------------------------------------------------------------

TOKENS = [{"token": t, "logprob": p, "bytes": list(t.encode()), "top_logprobs": [{"token": t, "logprob": p, "bytes": list(t.encode())}]}
          for t, p in (("Hel", -0.25), ("lo", -1.5))]


def probable_chunk(token):
    return canned.openai_chunk(choices=[{"index": 0, "delta": {"content": token["token"]}, "finish_reason": None,
                                         "logprobs": {"content": [token], "refusal": None}}])


def test_trap_089_log_probabilities_reach_clients_of_the_other_dialects(gateway, up, openai_client):
    """A provider that converses says how likely each token was: in the old form, and in that of Responses."""
    up.clear()
    up.reply("POST", "/talk/v1/chat/completions", body=b"".join(probable_chunk(t) for t in TOKENS)
             + canned.openai_chunk({}, "stop") + b"data: [DONE]\n\n")
    client = openai_client(gateway)
    parts = list(client.completions.create(model="only-chat", prompt="Say", logprobs=1, stream=True))
    assert (sent(up)["logprobs"], sent(up)["top_logprobs"]) == (True, 1)
    lists = [c.logprobs for p in parts for c in p.choices if c.logprobs]
    assert [(x.tokens, x.token_logprobs, x.top_logprobs, x.text_offset) for x in lists] == [
        (["Hel"], [-0.25], [{"Hel": -0.25}], [0]), (["lo"], [-1.5], [{"lo": -1.5}], [3])]
    with client.responses.stream(model="only-chat", input="Say", top_logprobs=1, include=["message.output_text.logprobs"]) as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert [x.logprob for e in events if e.type == "response.output_text.delta" for x in e.logprobs] == [-0.25, -1.5]
    assert [(x.token, x.bytes) for x in final.output[0].content[0].logprobs] == [(t["token"], t["bytes"]) for t in TOKENS]


def test_log_probabilities_of_an_old_model_reach_a_chat(gateway, up, openai_client):
    up.clear()
    up.reply("POST", "/v1/completions", body=json.dumps({**json.loads(WHOLE), "choices": [
        {"text": "Hello", "index": 0, "finish_reason": "stop", "logprobs": {
            "tokens": ["Hel", "lo"], "token_logprobs": [-0.25, -1.5], "text_offset": [0, 3],
            "top_logprobs": [{"Hel": -0.25}, {"lo": -1.5}]}}]}).encode())
    made = openai_client(gateway).chat.completions.create(model=FIRST, messages=[{"role": "user", "content": "Hi"}], logprobs=True,
                                                          top_logprobs=1)
    assert [x.model_dump() for x in made.choices[0].logprobs.content] == TOKENS
