"""Several prompts in one request of OpenAI's Completions, for providers that only converse: each is asked for itself, one after
another, and the client gets one answer. Choices of prompt i begin at i * n, tokens are added up, and what ends one ends all.
"""

import json
import re

import openai
import pytest

from lib import canned
from lib.stand import new_id, record_of

PROMPTS = ["Rain in Bonn", "Sun in Ulm 🌍", "Snow"]
FINISHES = ["stop", "length", "stop"]
COUNTS = [(21, 9), (100, 30), (7, 1)]            # input and output of each
CACHED, REASONED = [5, 0, 2], [0, 12, 1]
ALL = (128, 40)
MANY = 128                                       # IR_PROMPTS_MAX


def answers_to(i, n=1):
    return [f"Answer {k} to: {PROMPTS[i]}." for k in range(n)]


# ---- providers: what they are asked, and what they say to prompt number i --------------------------------------------------

def usage_of(i):
    return {"prompt_tokens": COUNTS[i][0], "completion_tokens": COUNTS[i][1], "total_tokens": sum(COUNTS[i]),
            "prompt_tokens_details": {"cached_tokens": CACHED[i]}, "completion_tokens_details": {"reasoning_tokens": REASONED[i]}}


def likely(token):
    return {"token": token, "logprob": -0.5, "bytes": list(token.encode()), "top_logprobs": []}


def pieces(text, n=6):
    return [text[at:at + n] for at in range(0, len(text), n)]


def chat(i, n, stream, logprobs=False):
    if not stream:
        choices = [{"index": k, "message": {"role": "assistant", "content": t, "refusal": None}, "finish_reason": FINISHES[i],
                    "logprobs": {"content": [likely(p) for p in pieces(t)], "refusal": None} if logprobs else None}
                   for k, t in enumerate(answers_to(i, n))]
        return canned.dumps({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": choices,
                             "usage": usage_of(i)}).encode()
    out = []
    for k, text in enumerate(answers_to(i, n)):
        out += [canned.openai_chunk(choices=[{"index": k, "delta": {"content": p}, "finish_reason": None,
                                              "logprobs": {"content": [likely(p)], "refusal": None} if logprobs else None}])
                for p in pieces(text)]
    out += [canned.openai_chunk(choices=[{"index": k, "delta": {}, "finish_reason": FINISHES[i], "logprobs": None}]) for k in range(n)]
    return b"".join([*out, canned.openai_chunk(choices=[], usage=usage_of(i)), b"data: [DONE]\n\n"])


def claude(i, n, stream):
    stop = {"stop": "end_turn", "length": "max_tokens"}[FINISHES[i]]
    usage = {**canned.anthropic_usage(COUNTS[i][0] - CACHED[i], COUNTS[i][1]), "cache_read_input_tokens": CACHED[i]}
    if not stream:
        return canned.anthropic_answer(*answers_to(i), stop=stop, usage=usage)
    return canned.anthropic_stream(pieces(*answers_to(i)), stop=stop, usage=usage, output_tokens=COUNTS[i][1])


def gemini(i, n, stream):
    def body(texts, finish=None, **more):
        candidates = [{"index": k, "content": {"role": "model", "parts": [{"text": t}]}, **({"finishReason": finish} if finish else {})}
                      for k, t in enumerate(texts)]
        return {"candidates": candidates, "modelVersion": "g", "responseId": "r", **more}
    finish = {"stop": "STOP", "length": "MAX_TOKENS"}[FINISHES[i]]
    usage = {"promptTokenCount": COUNTS[i][0], "candidatesTokenCount": COUNTS[i][1] - REASONED[i], "thoughtsTokenCount": REASONED[i],
             "cachedContentTokenCount": CACHED[i], "totalTokenCount": sum(COUNTS[i])}
    if not stream:
        return canned.dumps(body(answers_to(i, n), finish, usageMetadata=usage)).encode()
    return canned.sse(body(answers_to(i, n)), end="\r\n") + canned.sse(body([""] * n, finish, usageMetadata=usage), end="\r\n")


def ollama(i, n, stream):
    return (canned.ollama_stream(pieces(*answers_to(i)), stop=FINISHES[i], prompt=COUNTS[i][0], completion=COUNTS[i][1]) if stream else
            canned.ollama_answer(*answers_to(i), stop=FINISHES[i], prompt=COUNTS[i][0], completion=COUNTS[i][1]))


def of_messages(body):
    content = body["messages"][0]["content"]
    return content if isinstance(content, str) else content[0]["text"]


GEMINI = re.compile(r"^/v1beta/models/g:(g|streamG)enerateContent$")
# Path, answer, the prompt in a request, how many answers it asks for.
PROVIDERS = {"chat": ("/v1/chat/completions", chat, of_messages, lambda b: b.get("n", 1)),
             "claude": ("/v1/messages", claude, of_messages, lambda b: 1),
             "gemini": (GEMINI, gemini, lambda b: b["contents"][0]["parts"][0]["text"],
                        lambda b: b["generationConfig"].get("candidateCount", 1)),
             "ollama": ("/api/chat", ollama, of_messages, lambda b: 1)}


def is_streamed(request):
    return "streamGenerateContent" in request.target or bool(json.loads(request.body).get("stream"))


def serve(up, provider, stream=None, **fields):
    """Answers every prompt, in the form that is asked for or the one that is said."""
    path, make, prompt, n = PROVIDERS[provider]

    def body(request):
        asked = json.loads(request.body)
        more = {"logprobs": True} if asked.get("logprobs") else {}
        return make(PROMPTS.index(prompt(asked)), n(asked), is_streamed(request) if stream is None else stream, **more)
    if stream is None:      # the content type is guessed from a body that is there
        content = lambda on: {"chat": "text/event-stream", "claude": "text/event-stream", "gemini": "text/event-stream",
                              "ollama": "application/x-ndjson"}[provider] if on else "application/json"
        up.reply("POST", path, when=is_streamed, body=body, content_type=content(True), **fields)
        return up.reply("POST", path, when=lambda r: not is_streamed(r), body=body, content_type=content(False), **fields)
    return up.reply("POST", path, body=body, content_type="text/event-stream" if stream else "application/json", **fields)


def asked_for(up, provider="chat"):
    return [PROVIDERS[provider][2](json.loads(r.body)) for r in up.requests]


def by_prompt(provider, i):
    return lambda r: PROVIDERS[provider][2](json.loads(r.body)) == PROMPTS[i]


# ---- the client ------------------------------------------------------------------------------------------------------------

class Got:
    """What the official SDK made of an answer, streamed or whole."""

    def __init__(self, client, stream, model, prompt=PROMPTS, **more):
        self.id = new_id()
        ask = {"model": model, "prompt": prompt, "extra_headers": {"x-request-id": self.id}, **more}
        if stream:
            ask |= {"stream": True, "stream_options": {"include_usage": True}}
        raw = client.completions.with_raw_response.create(**ask)
        self.headers, self.texts, self.finishes, self.logprobs, self.usage, self.ids = raw.headers, {}, {}, {}, None, set()
        self.order = []
        for part in raw.parse() if stream else [raw.parse()]:
            self._take(part)

    def _take(self, part):
        assert self.usage is None, "the account is the last"
        self.ids.add(part.id)
        self.usage = part.usage
        for c in part.choices:
            assert c.index not in self.finishes, "a choice that was over goes on"
            self.order += [c.index] if c.index not in self.order else []
            self.texts[c.index] = self.texts.get(c.index, "") + c.text
            if c.logprobs:
                self.logprobs.setdefault(c.index, []).extend(zip(c.logprobs.tokens, c.logprobs.text_offset))
            if c.finish_reason:
                self.finishes[c.index] = c.finish_reason

    @property
    def tokens(self):
        return self.usage.prompt_tokens, self.usage.completion_tokens


@pytest.fixture(scope="module")
def up(module_faultd):
    return module_faultd()


@pytest.fixture(scope="module")
def spare(module_faultd):
    return module_faultd()


def providers_at(up, suffix=""):
    v1 = f"{up.origin}/v1"
    compatible = {"type": "openai-compatible", "base_url": v1, "discover": False}
    return {f"chat{suffix}": {**compatible, "protocols": ["openai-chat"], "models": [f"to-chat{suffix}"]},
            f"old{suffix}": {**compatible, "protocols": ["openai-completions"], "models": [f"to-old{suffix}"]},
            f"claude{suffix}": {"type": "anthropic", "base_url": up.origin, "api_key": "k", "discover": False, "models": [f"to-claude{suffix}"]},
            f"gemini{suffix}": {"type": "google", "base_url": up.origin, "api_key": "k", "discover": False, "models": ["g"]},
            f"ollama{suffix}": {"type": "ollama", "base_url": up.origin, "discover": False, "models": [f"to-ollama{suffix}"]}}


def pair(first, second):
    return {"name": f"{first}-then-{second}", "targets": [{"provider": first, "model": f"to-{first}"},
                                                          {"provider": f"{second}-spare", "model": f"to-{second}-spare"}]}


def config(up, spare, **more):
    return {"providers": {**providers_at(up), **providers_at(spare, "-spare")}, "models": [
        {"name": "to-gemini", "provider": "gemini", "provider_model_id": "g"},
        pair("claude", "chat"), pair("chat", "old"), pair("old", "chat"), pair("chat", "claude")], **more}


@pytest.fixture(scope="module")
def gateway(start_module_gateway, up, spare):
    return start_module_gateway(config(up, spare))


@pytest.fixture(autouse=True)
def _clear(up, spare):
    up.clear()
    spare.clear()


@pytest.fixture
def ask(gateway, openai_client):
    return lambda stream, model, **more: Got(openai_client(gateway), stream, model, **more)


both_ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
everyone = pytest.mark.parametrize("provider", PROVIDERS)


# ---- one answer to all -------------------------------------------------------------------------------------------------------

@both_ways
@everyone
def test_each_prompt_is_asked_for_itself_and_answered_under_its_number(ask, up, gateway, provider, stream):
    serve(up, provider)
    got = ask(stream, f"to-{provider}")
    assert got.texts == {i: answers_to(i)[0] for i in range(3)} and got.finishes == dict(enumerate(FINISHES))
    assert got.order == [0, 1, 2] and len(got.ids) == 1
    assert asked_for(up, provider) == PROMPTS
    assert got.tokens == ALL
    if provider != "ollama":
        assert got.usage.prompt_tokens_details.cached_tokens == sum(CACHED)
    if provider in ("chat", "gemini"):
        assert got.usage.completion_tokens_details.reasoning_tokens == sum(REASONED)
    record = record_of(gateway, got.id)
    assert (record["input_tokens"], record["output_tokens"], record["attempts"], record["end"]) == (*ALL, 1, "ok")
    assert record.get("cache_read_tokens", 0) == (sum(CACHED) if provider != "ollama" else 0)


@both_ways
@pytest.mark.parametrize("provider", ["chat", "gemini"])
def test_several_answers_to_each(ask, up, provider, stream):
    serve(up, provider)
    got = ask(stream, f"to-{provider}", n=2)
    assert got.texts == {2 * i + k: answers_to(i, 2)[k] for i in range(3) for k in range(2)}
    assert [got.finishes[i] for i in range(6)] == [f for f in FINISHES for _ in range(2)]
    assert asked_for(up, provider) == PROMPTS and got.tokens == ALL


@both_ways
def test_each_answer_has_its_own_prompt_before_it(ask, up, stream):
    serve(up, "chat")
    got = ask(stream, "to-chat", n=2, echo=True)
    assert got.texts == {2 * i + k: PROMPTS[i] + answers_to(i, 2)[k] for i in range(3) for k in range(2)}


@both_ways
def test_each_answer_has_its_own_log_probabilities(ask, up, stream):
    serve(up, "chat")
    got = ask(stream, "to-chat", logprobs=1)
    for i in range(3):
        tokens = pieces(answers_to(i)[0])
        assert got.logprobs[i] == [(t, len("".join(tokens[:k]))) for k, t in enumerate(tokens)], "offsets begin anew"


@pytest.mark.parametrize("provider", ["chat", "claude"])
def test_however_the_bytes_are_cut(ask, up, provider):
    serve(up, provider, split="byte")
    got = ask(True, f"to-{provider}")
    assert got.texts == {i: answers_to(i)[0] for i in range(3)} and got.tokens == ALL


@pytest.mark.parametrize("asked, sent", [(False, True), (True, False)], ids=["streamed-unasked", "whole-unasked"])
def test_a_provider_that_answers_in_another_form(ask, up, asked, sent):
    serve(up, "chat", stream=sent)
    got = ask(asked, "to-chat", n=2)
    assert got.texts == {2 * i + k: answers_to(i, 2)[k] for i in range(3) for k in range(2)} and got.tokens == ALL


def test_a_stream_without_usage_tells_none(gateway, up):
    serve(up, "chat")
    body = canned.dumps({"model": "to-chat", "prompt": PROMPTS, "stream": True}).encode()
    text = gateway.request("POST", "/v1/completions", body=body).body
    assert b'"usage"' not in text and text.count(b"[DONE]") == 1 and text.endswith(b"data: [DONE]\n\n")


# ---- what is not asked for all the same ----------------------------------------------------------------------------------------

@both_ways
def test_what_is_lost_for_every_prompt_is_named_once(ask, up, stream):
    serve(up, "claude")
    assert ask(stream, "to-claude", best_of=3, seed=7).headers["x-llm-gateway-dropped"] == "seed, best_of"


def test_trap_032_as_many_tries_as_answers_are_no_loss_and_fewer_are_a_mistake(ask, up):
    serve(up, "chat")
    assert "x-llm-gateway-dropped" not in ask(False, "to-chat", n=2, best_of=2).headers
    assert ask(False, "to-chat", n=2, best_of=3).headers["x-llm-gateway-dropped"] == "best_of"
    with pytest.raises(openai.BadRequestError) as e:
        ask(False, "to-chat", n=2, best_of=1)
    assert e.value.param == "best_of" and len(up.requests) == 6


def test_strict_callers_get_nothing_less(ask, up):
    with pytest.raises(openai.BadRequestError, match="best_of"):
        ask(False, "to-chat", best_of=2, extra_headers={"x-llm-gateway-strict": "true"})
    assert not up.requests


@pytest.mark.parametrize("provider", ["claude", "ollama"])
def test_trap_032_who_makes_one_answer_says_so(ask, up, provider):
    with pytest.raises(openai.BadRequestError) as e:
        ask(False, f"to-{provider}", n=2)
    assert e.value.param == "n" and not up.requests


@pytest.mark.parametrize("prompt, where", [([[1], [2]], "prompt"), ([1, 2], "prompt"), (["a", 2], "prompt[1]"),
                                           (["a", ["b"]], "prompt[1]"), (["a"] * (MANY + 1), "prompt")],
                         ids=["lists-of-tokens", "tokens", "a-number", "a-list", "too-many"])
def test_lists_that_are_refused(ask, up, prompt, where):
    with pytest.raises(openai.BadRequestError) as e:
        ask(False, "to-chat", prompt=prompt)
    assert e.value.param == where and not up.requests


@both_ways
def test_as_many_as_there_may_be(ask, up, stream):
    serve(up, "chat")
    got = ask(stream, "to-chat", prompt=[PROMPTS[0]] * MANY)
    assert got.texts == {i: answers_to(0)[0] for i in range(MANY)} and got.tokens == (COUNTS[0][0] * MANY, COUNTS[0][1] * MANY)
    assert len(up.requests) == MANY


def test_all_answers_together_are_bounded(start_gateway, up, spare, openai_client):
    small = start_gateway(config(up, spare, server={"max_response": "4KiB"}))
    up.reply("POST", "/v1/chat/completions", body=canned.openai_answer("x" * 1500))
    assert len(openai_client(small).completions.create(model="to-chat", prompt=["a", "b"]).choices) == 2
    up.clear()
    up.reply("POST", "/v1/chat/completions", body=canned.openai_answer("x" * 1500))
    with pytest.raises(openai.InternalServerError, match="server.max_response"):
        openai_client(small).completions.create(model="to-chat", prompt=["a", "b", "c", "d"])
    assert len(up.requests) == 2 + 3


# ---- failures ------------------------------------------------------------------------------------------------------------------

FULL = canned.openai_error("Too many requests.", "rate_limit_error")


@both_ways
def test_an_error_before_anything_is_an_answer_of_its_own(ask, up, stream):
    up.reply("POST", "/v1/chat/completions", status=429, body=FULL)
    with pytest.raises(openai.RateLimitError):
        ask(stream, "to-chat")
    assert len(up.requests) == 1


def test_an_error_at_the_second_fails_the_whole(ask, up):
    up.reply("POST", "/v1/chat/completions", when=by_prompt("chat", 1), status=429, body=FULL)
    serve(up, "chat")
    with pytest.raises(openai.RateLimitError, match="Too many requests"):
        ask(False, "to-chat")
    assert asked_for(up) == PROMPTS[:2]


def open_raw(gateway, client=None, model="to-chat", **more):
    client = client or gateway.connect()
    id = new_id()
    client.request("POST", "/v1/completions", [("x-request-id", id)], json_body={"model": model, "prompt": PROMPTS, "stream": True, **more})
    stream = client.open_stream()
    stream.id = id
    return stream


def texts_of(stream):
    texts, error = {}, None
    for _, data in stream.json_events():
        assert error is None, "something stands behind the error"
        error = data.get("error")
        for c in data.get("choices", ()):
            texts[c["index"]] = texts.get(c["index"], "") + c["text"]
    return texts, error


def check_broken(stream, texts, words):
    """It had begun, and ends in an error without the end of a whole."""
    stream.rest()
    assert stream.status == 200 and stream.end in ("truncated", "reset") and b"[DONE]" not in bytes(stream.body)
    got, error = texts_of(stream)
    assert got == texts and words in error["message"], (got, error)


@pytest.mark.parametrize("status", [400, 429, 500])
def test_trap_111_an_error_at_the_second_ends_the_stream(gateway, up, status):
    up.reply("POST", "/v1/chat/completions", when=by_prompt("chat", 1), status=status, body=canned.openai_error("Not this one."))
    serve(up, "chat")
    stream = open_raw(gateway)
    check_broken(stream, {0: answers_to(0)[0]}, "Not this one.")
    record = record_of(gateway, stream.id)
    assert (record["status"], record["end"], record["input_tokens"]) == (200, "upstream_error", COUNTS[0][0])
    assert asked_for(up) == PROMPTS[:2]


def test_trap_111_an_error_inside_the_second_ends_the_stream(gateway, up):
    up.reply("POST", "/v1/chat/completions", when=by_prompt("chat", 1), body=canned.openai_chunk({"content": "Half"})
             + canned.sse({"error": {"message": "overloaded", "type": "server_error", "code": None, "param": None}}))
    serve(up, "chat")
    check_broken(open_raw(gateway), {0: answers_to(0)[0], 1: "Half"}, "overloaded")


def test_trap_113_a_cut_inside_the_second_ends_the_stream(gateway, up):
    whole = chat(1, 1, True)
    at = canned.event_starts(whole)[2]
    up.reply("POST", "/v1/chat/completions", when=by_prompt("chat", 1), body=whole, fault="fin", at=at)
    serve(up, "chat")
    check_broken(open_raw(gateway), {0: answers_to(0)[0], 1: answers_to(1)[0][:12]}, "before its answer was whole")


@both_ways
def test_each_prompt_has_the_providers_whole_time(start_gateway, up, spare, openai_client, stream):
    """timeouts.first_byte counts from each."""
    slow = start_gateway(config(up, spare, timeouts={"first_byte": "1s"}))
    serve(up, "chat", head_delay=0.4)
    assert Got(openai_client(slow), stream, "to-chat").tokens == ALL
    up.clear()
    up.reply("POST", "/v1/chat/completions", when=by_prompt("chat", 1), answer="never")
    serve(up, "chat")
    with pytest.raises(openai.APIError, match="in time"):
        Got(openai_client(slow), stream, "to-chat")


# ---- another target ----------------------------------------------------------------------------------------------------------------

@both_ways
def test_another_target_takes_over_from_the_prompt_that_failed(ask, up, spare, gateway, stream):
    up.reply("POST", "/v1/messages", when=by_prompt("claude", 1), status=529, body=canned.anthropic_error())
    serve(up, "claude")
    serve(spare, "chat")
    got = ask(stream, "claude-then-chat", seed=7, extra_body={"top_k": 5})
    assert got.texts == {i: answers_to(i)[0] for i in range(3)} and got.finishes == dict(enumerate(FINISHES)) and got.tokens == ALL
    assert asked_for(up, "claude") == PROMPTS[:2] and asked_for(spare) == PROMPTS[1:]
    record = record_of(gateway, got.id)
    assert (record["input_tokens"], record["output_tokens"], record["attempts"], record["end"]) == (*ALL, 2, "ok")
    # The first lost the seed of prompt 0, the second top_k of the others.
    assert record["dropped"] == "seed, top_k"
    assert got.headers["x-llm-gateway-provider"] == ("claude" if stream else "chat-spare")
    assert got.headers["x-llm-gateway-dropped"] == ("seed" if stream else "seed, top_k")


@both_ways
def test_a_target_that_answers_nothing_loses_nothing(ask, up, spare, gateway, stream):
    up.reply("POST", "/v1/messages", status=529, body=canned.anthropic_error())
    serve(spare, "chat")
    got = ask(stream, "claude-then-chat", seed=7)
    assert "x-llm-gateway-dropped" not in got.headers and asked_for(spare) == PROMPTS


@both_ways
def test_one_that_speaks_completions_takes_over_one_by_one(ask, up, spare, stream):
    """All at once it would answer again what is answered."""
    up.reply("POST", "/v1/chat/completions", when=by_prompt("chat", 1), status=503, body=canned.openai_error())
    serve(up, "chat")
    spare.reply("POST", "/v1/completions", body=lambda r: old_answer([PROMPTS.index(json.loads(r.body)["prompt"])], stream),
                content_type="text/event-stream" if stream else "application/json")
    got = ask(stream, "chat-then-old", echo=True, n=2)
    assert got.texts == {2 * i + k: PROMPTS[i] + answers_to(i, 2)[k] for i in range(3) for k in range(2)} and got.tokens == ALL
    assert [json.loads(r.body)["prompt"] for r in spare.requests] == PROMPTS[1:]


def old_answer(numbers, stream, n=2, echo=False):
    """Of a provider that speaks Completions, to those prompts."""
    choices = [{"index": n * at + k, "text": (PROMPTS[i] if echo else "") + answers_to(i, n)[k], "logprobs": None, "finish_reason": FINISHES[i]}
               for at, i in enumerate(numbers) for k in range(n)]
    counts = [sum(COUNTS[i][k] for i in numbers) for k in range(2)]
    usage = {"prompt_tokens": counts[0], "completion_tokens": counts[1], "total_tokens": sum(counts)}
    head = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m"}
    if not stream:
        return canned.dumps({**head, "choices": choices, "usage": usage}).encode()
    return b"".join(canned.sse({**head, "choices": [c]}) for c in choices) + canned.sse({**head, "choices": [], "usage": usage}) \
        + b"data: [DONE]\n\n"


@both_ways
def test_after_one_that_speaks_completions_each_is_asked_for(ask, up, spare, stream):
    up.reply("POST", "/v1/completions", status=503, body=canned.openai_error())
    serve(spare, "chat")
    got = ask(stream, "old-then-chat")
    assert got.texts == {i: answers_to(i)[0] for i in range(3)} and got.tokens == ALL
    assert [json.loads(r.body)["prompt"] for r in up.requests] == [PROMPTS] and asked_for(spare) == PROMPTS


@both_ways
def test_one_that_speaks_completions_gets_them_all_at_once(ask, up, stream):
    up.reply("POST", "/v1/completions", body=old_answer([0, 1, 2], stream))
    assert len(ask(stream, "to-old", n=2).texts) == 6 and [json.loads(r.body)["prompt"] for r in up.requests] == [PROMPTS]


@pytest.mark.parametrize("asked", [False, True], ids=["streamed-unasked", "whole-unasked"])
def test_one_that_speaks_completions_and_answers_in_another_form(ask, up, asked):
    up.reply("POST", "/v1/completions", body=old_answer([0, 1, 2], not asked))
    got = ask(asked, "to-old", n=2)
    assert got.texts == {2 * i + k: answers_to(i, 2)[k] for i in range(3) for k in range(2)} and got.tokens == ALL


@pytest.mark.parametrize("asked", [False, True], ids=["streamed-unasked", "whole-unasked"])
def test_a_prompt_that_the_provider_repeated_is_not_repeated_again(ask, up, asked):
    """It got the client's own body, `echo` included."""
    up.reply("POST", "/v1/completions", body=old_answer([0, 1, 2], not asked, echo=True))
    got = ask(asked, "to-old", n=2, echo=True)
    assert got.texts == {2 * i + k: PROMPTS[i] + answers_to(i, 2)[k] for i in range(3) for k in range(2)}


# ---- clients that leave, or hardly read ----------------------------------------------------------------------------------------------

@both_ways
def test_trap_124_a_client_that_leaves_ends_what_runs(gateway, up, stream):
    held = up.reply("POST", "/v1/chat/completions", when=by_prompt("chat", 1), hold_head=True)
    serve(up, "chat")
    client, id = gateway.connect(), new_id()
    client.request("POST", "/v1/completions", [("x-request-id", id)],
                   json_body={"model": "to-chat", "prompt": PROMPTS, "stream": stream})
    hit = held.wait_for_request()
    client.close()
    hit.wait_disconnect(1)
    record = record_of(gateway, id)
    assert (record["end"], record["input_tokens"]) == ("client_gone", COUNTS[0][0])
    assert asked_for(up) == PROMPTS[:2]


def test_a_slow_client_gets_everything(start_gateway, up, spare):
    """More waits for it than may, where one prompt ends and the next begins."""
    gateway = start_gateway(config(up, spare, server={"stream_buffer": "4KiB", "workers": 1}))
    long = "x" * (12 << 20)
    up.reply("POST", "/v1/chat/completions", body=canned.openai_stream([long]))
    client = gateway.connect(rcvbuf=4096, timeout=60)
    stream = open_raw(gateway, client)
    stream.rest()
    texts, error = texts_of(stream)
    assert {i: len(t) for i, t in texts.items()} == dict.fromkeys(range(3), len(long)) and error is None
    assert record_of(gateway, stream.id)["end"] == "ok"


def test_connections_to_the_provider_are_used_again(ask, up):
    serve(up, "chat")
    ask(False, "to-chat", prompt=[PROMPTS[0]] * 20)
    before = len(up.conns)
    ask(True, "to-chat", prompt=[PROMPTS[0]] * 20)
    assert len(up.conns) - before <= 2
