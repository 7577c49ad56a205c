"""Several answers to one request (trap 32): `n` of OpenAI's dialects and `candidateCount` of Gemini's are the same wish, and each
answer comes to the client under its number, streamed or whole, mingled as providers send them.
"""

import json
import re

import openai
import pytest

from lib import canned

CALL = ("weather", {"city": "Ulm"})
GEMINI = re.compile(r"^/v1beta/models/g:(g|streamG)enerateContent$")
USAGE = (21, 9)


# ---- what providers say --------------------------------------------------------------------------------------------------

def chat_whole(texts, finishes):
    choices = [{"index": i, "message": {"role": "assistant", "content": t, "refusal": None}, "logprobs": None, "finish_reason": f}
               for i, (t, f) in enumerate(zip(texts, finishes))]
    return canned.dumps({"id": "chatcmpl-1", "object": "chat.completion", "created": 1754000000, "model": "c", "choices": choices,
                         "usage": canned.openai_usage(*USAGE)}).encode()


def mingled(texts, n=4):
    """(number, piece), the texts' pieces by turns."""
    pieces = [[t[i:i + n] for i in range(0, len(t), n)] for t in texts]
    return [(k, p[i]) for i in range(max(map(len, pieces))) for k, p in enumerate(pieces) if i < len(p)]


def chat_stream(texts, finishes):
    def chunk(choices, usage=None):
        return canned.sse({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1754000000, "model": "c", "choices": choices,
                           "usage": usage})
    out = [chunk([{"index": i, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]) for i in range(len(texts))]
    out += [chunk([{"index": i, "delta": {"content": p}, "finish_reason": None}]) for i, p in mingled(texts)]
    out += [chunk([{"index": i, "delta": {}, "finish_reason": f}]) for i, f in reversed(list(enumerate(finishes)))]
    return b"".join([*out, chunk([], canned.openai_usage(*USAGE)), b"data: [DONE]\n\n"])


def completions_whole(texts, finishes):
    choices = [{"index": i, "text": t, "logprobs": None, "finish_reason": f} for i, (t, f) in enumerate(zip(texts, finishes))]
    return canned.dumps({"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "c", "choices": choices,
                         "usage": canned.openai_usage(*USAGE)}).encode()


def completions_stream(texts, finishes):
    def chunk(i, text, finish=None):
        return canned.sse({"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "c",
                           "choices": [{"index": i, "text": text, "logprobs": None, "finish_reason": finish}]})
    out = [chunk(i, p) for i, p in mingled(texts)] + [chunk(i, "", f) for i, f in enumerate(finishes)]
    usage = canned.sse({"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "c", "choices": [],
                        "usage": canned.openai_usage(*USAGE)})
    return b"".join([*out, usage, b"data: [DONE]\n\n"])


def gemini(candidates):
    return {"candidates": candidates, "modelVersion": "g", "responseId": "r1", "usageMetadata": {
        "promptTokenCount": USAGE[0], "candidatesTokenCount": USAGE[1], "totalTokenCount": sum(USAGE)}}


def candidate(i, text, finish=None):
    c = {"content": {"role": "model", "parts": [{"text": text}]}, **({"index": i} if i else {})}     # proto3 leaves a zero out
    return {**c, "finishReason": finish} if finish else c


GEMINI_FINISH = {"stop": "STOP", "length": "MAX_TOKENS"}


def gemini_whole(texts, finishes):
    return canned.dumps(gemini([candidate(i, t, GEMINI_FINISH[f]) for i, (t, f) in enumerate(zip(texts, finishes))])).encode()


def gemini_stream(texts, finishes):
    out = [canned.sse(gemini([candidate(i, p)]), end="\r\n") for i, p in mingled(texts)]
    ends = [candidate(i, "", GEMINI_FINISH[f]) for i, f in enumerate(finishes)]
    return b"".join([*out, canned.sse(gemini(ends), end="\r\n")])


PROVIDERS = {"chat": ("/v1/chat/completions", chat_whole, chat_stream), "gemini": (GEMINI, gemini_whole, gemini_stream),
             "completions": ("/v1/completions", completions_whole, completions_stream)}


# ---- what clients see ------------------------------------------------------------------------------------------------------

def by_chat(make, gateway, model, stream, n):
    api = make(gateway).chat.completions
    ask = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "n": n}
    if not stream:
        made = api.create(**ask)
        return {c.index: (c.message.content, c.finish_reason) for c in made.choices}, (made.usage.prompt_tokens, made.usage.completion_tokens)
    with api.stream(**ask, stream_options={"include_usage": True}) as events:
        chunks = [e.chunk for e in events if e.type == "chunk"]
        made = events.current_completion_snapshot
    assert [bool(c.usage) for c in chunks] == [False] * (len(chunks) - 1) + [True], "one account, at the end"
    assert all(c.message.role == "assistant" for c in made.choices) and len({c.id for c in chunks}) == 1
    return {c.index: (c.message.content, c.finish_reason) for c in made.choices}, (made.usage.prompt_tokens, made.usage.completion_tokens)


def by_completions(make, gateway, model, stream, n):
    api = make(gateway).completions
    ask = {"model": model, "prompt": "Hi", "n": n, "max_tokens": 50}
    if not stream:
        made = api.create(**ask)
        return {c.index: (c.text, c.finish_reason) for c in made.choices}, (made.usage.prompt_tokens, made.usage.completion_tokens)
    texts, finishes, usage = {}, {}, []
    for chunk in api.create(**ask, stream=True, stream_options={"include_usage": True}):
        usage += [(chunk.usage.prompt_tokens, chunk.usage.completion_tokens)] if chunk.usage else []
        for c in chunk.choices:
            texts[c.index] = texts.get(c.index, "") + c.text
            finishes[c.index] = c.finish_reason or finishes.get(c.index)
    assert len(usage) == 1
    return {i: (texts[i], finishes[i]) for i in sorted(texts)}, usage[0]


def by_gemini(make, gateway, model, stream, n):
    api = make(gateway).models
    ask = {"model": model, "contents": "Hi", "config": {"candidate_count": n}}
    chunks = list(api.generate_content_stream(**ask)) if stream else [api.generate_content(**ask)]
    texts, finishes = {}, {}
    for c in (c for chunk in chunks for c in chunk.candidates):
        texts[c.index] = texts.get(c.index, "") + "".join(p.text for p in c.content.parts)
        if c.finish_reason:
            assert c.index not in finishes
            finishes[c.index] = {"STOP": "stop", "MAX_TOKENS": "length"}[c.finish_reason.name]
    counts = [u for u in (c.usage_metadata for c in chunks) if u]
    return {i: (texts[i], finishes[i]) for i in sorted(texts)}, (counts[-1].prompt_token_count, counts[-1].candidates_token_count)


FRONTS = {"chat": by_chat, "completions": by_completions, "gemini": by_gemini}
PAIRS = [("chat", "gemini"), ("chat", "completions"), ("completions", "gemini"), ("completions", "chat"), ("gemini", "chat")]


@pytest.fixture(scope="module")
def up(module_faultd):
    return module_faultd()


@pytest.fixture(scope="module")
def gateway(start_module_gateway, up):
    v1 = f"{up.origin}/v1"
    return start_module_gateway({"providers": {
        "chat": {"type": "openai-compatible", "base_url": v1, "protocols": ["openai-chat"], "discover": False, "models": ["to-chat"]},
        "completions": {"type": "openai-compatible", "base_url": v1, "protocols": ["openai-completions"], "discover": False,
                        "models": ["to-completions"]},
        "one": {"type": "openai-compatible", "base_url": v1, "protocols": ["openai-chat"], "quirks": ["one_answer"], "discover": False,
                "models": ["to-one"]},
        "claude": {"type": "anthropic", "base_url": up.origin, "api_key": "k", "discover": False, "models": ["to-claude"]},
        "gemini": {"type": "google", "base_url": up.origin, "api_key": "k", "discover": False, "models": ["g"]}},
        "models": [{"name": "to-gemini", "provider": "gemini", "provider_model_id": "g"}]})


@pytest.fixture
def make(openai_client, genai_client):
    return {"chat": openai_client, "completions": openai_client, "gemini": genai_client}


def ask(up, make, gateway, front, provider, texts, finishes, n, stream, **fields):
    path, whole, streamed = PROVIDERS[provider]
    up.clear()
    up.reply("POST", path, body=(streamed if stream else whole)(texts, finishes), **fields)
    return FRONTS[front](make[front], gateway, f"to-{provider}", stream, n)


def asked_for(up):
    body = json.loads(up.requests[-1].body)
    return body.get("n") or body["generationConfig"]["candidateCount"]


TEXTS, FINISHES = ["Hello, wörld. 🌍", "Good morning to you all.", "Hi."], ["stop", "length", "stop"]
both_ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


@both_ways
@pytest.mark.parametrize("front, provider", PAIRS)
def test_trap_032_each_answer_comes_under_its_number(up, make, gateway, front, provider, stream):
    got, usage = ask(up, make, gateway, front, provider, TEXTS, FINISHES, 3, stream)
    assert got == dict(enumerate(zip(TEXTS, FINISHES))) and usage == USAGE
    assert asked_for(up) == 3


@pytest.mark.parametrize("front, provider", PAIRS)
def test_trap_032_however_the_bytes_are_cut(up, make, gateway, front, provider):
    got, usage = ask(up, make, gateway, front, provider, TEXTS[:2], FINISHES[:2], 2, True, split="byte")
    assert got == dict(enumerate(zip(TEXTS[:2], FINISHES[:2]))) and usage == USAGE


@both_ways
@pytest.mark.parametrize("front, provider", PAIRS)
def test_a_provider_that_makes_fewer_gives_what_it_made(up, make, gateway, front, provider, stream):
    got, usage = ask(up, make, gateway, front, provider, TEXTS[:1], FINISHES[:1], 4, stream)
    assert got == {0: (TEXTS[0], FINISHES[0])} and usage == USAGE


@pytest.mark.parametrize("front, provider", PAIRS)
def test_trap_113_one_of_them_cut_off_is_no_whole_answer(up, make, gateway, front, provider):
    """The first is over, the second is not: the client must be able to tell."""
    path, _, streamed = PROVIDERS[provider]
    up.clear()
    body = streamed(["Hello.", "Good morning to you."], ["stop", "stop"])
    cut = body.index(b"morn") if b"morn" in body else body.index(b"Good")
    up.reply("POST", path, body=body[:cut], fault="fin", at=cut, framing="chunked")
    with pytest.raises(Exception) as e:
        FRONTS[front](make[front], gateway, f"to-{provider}", True, 2)
    assert not isinstance(e.value, AssertionError), e.value


def test_calls_of_two_answers_stay_apart(up, gateway, openai_client):
    parts = [[{"functionCall": {"name": "weather", "args": {"city": c}}}] for c in ("Ulm", "Bonn")]
    answers = [{"content": {"role": "model", "parts": p}, "finishReason": "STOP", "index": i} for i, p in enumerate(parts)]
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}]
    for stream in (False, True):
        up.clear()
        body = b"".join(canned.sse(gemini([a]), end="\r\n") for a in answers) if stream else canned.dumps(gemini(answers)).encode()
        up.reply("POST", GEMINI, body=body)
        api, request = openai_client(gateway).chat.completions, {
            "model": "to-gemini", "messages": [{"role": "user", "content": "?"}], "n": 2, "tools": tools}
        if stream:
            with api.stream(**request) as events:
                events.until_done()
                made = events.current_completion_snapshot
        else:
            made = api.create(**request)
        assert [json.loads(c.message.tool_calls[0].function.arguments) for c in made.choices] == [{"city": "Ulm"}, {"city": "Bonn"}]
        assert [c.finish_reason for c in made.choices] == ["tool_calls", "tool_calls"]


def test_a_list_instead_of_events_is_one_list(up, gateway):
    """Gemini's other form of a stream: its brackets and commas are common to all answers."""
    up.clear()
    up.reply("POST", "/v1/chat/completions", body=chat_stream(TEXTS[:2], FINISHES[:2]))
    answer = gateway.request("POST", "/v1beta/models/to-chat:streamGenerateContent", body=canned.dumps(
        {"contents": [{"parts": [{"text": "Hi"}]}], "generationConfig": {"candidateCount": 2}}).encode())
    chunks = json.loads(answer.body)
    texts = ["", ""]
    for c in (c for chunk in chunks for c in chunk["candidates"]):
        texts[c["index"]] += "".join(p["text"] for p in c["content"]["parts"])
    assert texts == TEXTS[:2] and ["usageMetadata" in c for c in chunks] == [False] * (len(chunks) - 1) + [True]


@pytest.mark.parametrize("model, n", [("to-claude", 2), ("to-one", 2), ("to-gemini", 33)])
def test_trap_032_who_cannot_says_so(up, gateway, openai_client, genai_client, model, n):
    up.clear()
    if model == "to-one":       # its own dialect's clients hear it from the provider
        with pytest.raises(Exception, match="one answer"):
            by_gemini(genai_client, gateway, model, False, n)
    else:
        with pytest.raises(openai.BadRequestError) as e:
            by_chat(openai_client, gateway, model, False, n)
        assert e.value.param == "n"
    assert not up.requests
