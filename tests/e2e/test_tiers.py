"""How an answer was processed: each vendor says it in a place and in words of its own, and clients of other dialects read it in theirs."""

import json

import pytest

from lib import canned
from lib.vendors import VENDORS

def gemini_answer(stream, **more):
    body = {"candidates": [{"content": {"role": "model", "parts": [{"text": "Hi."}]}, "finishReason": "STOP", "index": 0}], "modelVersion": "g",
            "usageMetadata": {"promptTokenCount": 4, "candidatesTokenCount": 3, "totalTokenCount": 7, **more}}
    return canned.sse(body) if stream else json.dumps(body).encode()


def said(word, answer):
    """An answer, whole or streamed, that says the word in the place of the usual one."""
    member = f'"service_tier":{json.dumps(word)}'.encode()
    return lambda stream: answer(stream).replace(b'"service_tier":"default"', member).replace(b'"service_tier":"standard"', member)


ANSWERS = {f"{model}-{word}": said(word, answer) for model, answer, words in (
    ("chat", lambda stream: canned.openai_stream() if stream else canned.openai_answer(),
     ("default", "priority", "flex", "scale", "on_demand", "auto", "strange", None, 7)),
    ("resp", lambda stream: VENDORS["responses"].answer([("text", "Hi.")], "end", stream), ("default", "priority", "flex", "auto", "ultrafast")),
    ("claude", lambda stream: canned.anthropic_stream() if stream else canned.anthropic_answer(), ("standard", "priority", "batch", None)))
    for word in words}
ANSWERS |= {f"gemini-{word}": lambda stream, name=name, word=word: gemini_answer(stream, **{name: word}) for name, word in (
    ("serviceTier", "standard"), ("serviceTier", "flex"), ("trafficType", "ON_DEMAND"), ("trafficType", "ON_DEMAND_PRIORITY"),
    ("trafficType", "PROVISIONED_THROUGHPUT"), ("trafficType", "ON_DEMAND_OFFPEAK"))}
# model: (Chat's client, Responses' client, Anthropic's client, Gemini's client); None: not said
TOLD = {
    "chat-default": (None, "default", "standard", "standard"), "chat-priority": (None, "priority", "priority", "priority"),
    "chat-flex": (None, "flex", None, "flex"), "chat-scale": (None, "scale", None, None), "chat-on_demand": (None, "default", "standard", "standard"),
    "chat-auto": (None, "default", None, None), "chat-strange": (None, "default", None, None), "chat-None": (None, "default", None, None),
    "chat-7": (None, "default", None, None),
    "resp-default": ("default", None, "standard", "standard"), "resp-priority": ("priority", None, "priority", "priority"),
    "resp-flex": ("flex", None, None, "flex"), "resp-auto": (None, None, None, None), "resp-ultrafast": (None, None, None, None),
    "claude-standard": ("default", "default", None, "standard"), "claude-priority": ("priority", "priority", None, "priority"),
    "claude-batch": (None, "default", None, None), "claude-None": (None, "default", None, None),
    "gemini-standard": ("default", "default", "standard", None), "gemini-flex": ("flex", "flex", None, None),
    "gemini-ON_DEMAND": ("default", "default", "standard", None), "gemini-ON_DEMAND_PRIORITY": ("priority", "priority", "priority", None),
    "gemini-PROVISIONED_THROUGHPUT": ("scale", "scale", None, None), "gemini-ON_DEMAND_OFFPEAK": (None, "default", None, None)}
OWN = {"chat": 0, "resp": 1, "claude": 2, "gemini": 3}
HI = [{"role": "user", "content": "Hi"}]


@pytest.fixture(scope="module")
def up(module_faultd):
    return module_faultd()


@pytest.fixture(scope="module")
def gateway(start_module_gateway, up):
    vendors = {"chat": VENDORS["openai"].provider(up.origin), "claude": VENDORS["anthropic"].provider(up.origin),
               "resp": {**VENDORS["openai"].provider(up.origin), "protocols": ["openai-responses"]}, "gemini": VENDORS["gemini"].provider(up.origin)}
    return start_module_gateway({"providers": {
        name: {**provider, "discover": False, "models": [m for m in TOLD if m.startswith(f"{name}-")]} for name, provider in vendors.items()}})


@pytest.fixture
def clients(gateway, openai_client, anthropic_client):
    openai, claude = openai_client(gateway), anthropic_client(gateway)

    def chat(model, stream):
        if not stream:
            return openai.chat.completions.create(model=model, messages=HI).service_tier
        with openai.chat.completions.stream(model=model, messages=HI) as s:
            return s.get_final_completion().service_tier

    def responses(model, stream):
        if not stream:
            return openai.responses.create(model=model, input="Hi").service_tier
        with openai.responses.stream(model=model, input="Hi") as s:
            return s.get_final_response().service_tier

    def messages(model, stream):
        if not stream:
            return claude.messages.create(model=model, messages=HI, max_tokens=9).usage.service_tier
        with claude.messages.stream(model=model, messages=HI, max_tokens=9) as s:
            return s.get_final_message().usage.service_tier

    def gemini(model, stream):      # Google's SDK passes over it
        verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
        body = json.dumps({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}).encode()
        answer = gateway.request("POST", f"/v1beta/models/{model}:{verb}", [("content-type", "application/json")], body).body.decode()
        return json.loads(answer.strip().split("data: ")[-1])["usageMetadata"].get("serviceTier")
    return chat, responses, messages, gemini


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("model", sorted(TOLD))
def test_each_client_reads_it_in_its_own_words(clients, up, model, stream):
    vendor = model.partition("-")[0]
    up.clear()
    up.reply("POST", body=ANSWERS[model](stream))
    told = [None if i == OWN[vendor] else ask(model, stream) for i, ask in enumerate(clients)]
    assert told == list(TOLD[model])


def test_it_stays_apart_from_what_was_asked_for(gateway, up):
    """While the answer is made, a response repeats the wish; at its end it says what became of it."""
    up.clear()
    up.reply("POST", body=ANSWERS["claude-standard"](True))
    answer = gateway.request("POST", "/v1/responses", [("content-type", "application/json")], json.dumps(
        {"model": "claude-standard", "input": "Hi", "stream": True, "service_tier": "priority"}).encode())
    events = [json.loads(line[6:]) for line in answer.body.decode().splitlines() if line.startswith("data: {")]
    tiers = {e["type"]: e["response"]["service_tier"] for e in events if "response" in e}
    assert tiers == {"response.created": "default", "response.in_progress": "default", "response.completed": "default"}


def test_anthropics_stream_says_it_once(gateway, up):
    up.clear()
    up.reply("POST", body=ANSWERS["gemini-standard"](True))
    answer = gateway.request("POST", "/v1/messages", [("content-type", "application/json")], json.dumps(
        {"model": "gemini-standard", "messages": HI, "max_tokens": 9, "stream": True}).encode())
    events = [json.loads(line[6:]) for line in answer.body.decode().splitlines() if line.startswith("data: {")]
    assert events[0]["message"]["usage"]["service_tier"] == "standard"
    assert "service_tier" not in [e for e in events if e["type"] == "message_delta"][0]["usage"]


ASKED = {   # what a client asks, and what Google, OpenAI and Anthropic are asked then; None: nothing, "!": nothing, and it is named
    ("chat", "flex"): ("flex", "flex", "!"), ("chat", "priority"): ("priority", "priority", "auto"), ("chat", "fast"): ("priority", "fast", "!"),
    ("chat", "default"): ("standard", "default", "standard_only"), ("chat", "auto"): (None, "auto", "auto"), ("chat", "scale"): ("!", "scale", "!"),
    ("claude", "standard_only"): ("standard", "default", "standard_only"), ("claude", "auto"): (None, "auto", "auto"),
    ("gemini", "FLEX"): ("FLEX", "flex", "!"), ("gemini", "priority"): ("priority", "priority", "auto"),
    ("gemini", "standard"): ("standard", "default", "standard_only"), ("gemini", "unspecified"): ("unspecified", None, None),
    ("gemini", "strange"): ("strange", "!", "!"), ("gemini", 7): (7, "!", "!")}
BODIES = {"chat": ("/v1/chat/completions", {"messages": HI}), "claude": ("/v1/messages", {"messages": HI, "max_tokens": 9}),
          "gemini": ("/v1beta/models/{}:generateContent", {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]})}


@pytest.mark.parametrize("asked", sorted(ASKED, key=str), ids=str)
def test_each_vendor_is_asked_in_its_own_words(gateway, up, asked):
    dialect, word = asked
    path, body = BODIES[dialect]
    for (model, member), want in zip((("gemini-standard", "serviceTier"), ("chat-default", "service_tier"),
                                      ("claude-standard", "service_tier")), ASKED[asked]):
        up.clear()
        up.reply("POST", body=ANSWERS[model](False))
        own = "serviceTier" if dialect == "gemini" else "service_tier"
        answer = gateway.request("POST", path.format(model), [("content-type", "application/json")],
                                 json.dumps({**body, **({} if dialect == "gemini" else {"model": model}), own: word}).encode())
        assert answer.status == 200, answer.body
        assert up.requests[-1].json().get(member) == (None if want == "!" else want), model
        dropped = answer.headers.get("x-llm-gateway-dropped", "")
        assert (own in dropped or "service_tier" in dropped) == (want == "!"), model
