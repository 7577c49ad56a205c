"""Vendors that speak OpenAI's protocol with accents of their own: presets, and each accent from a recording.

The answers are the vendors' own, replayed; what the gateway sends is held against what each vendor took in the recordings.
"""

import json
import re

import anthropic
import openai
import pytest

from lib import canned, recordings

HOSTS = {"groq": "api.groq.com", "mistral": "api.mistral.ai", "openrouter": "openrouter.ai", "perplexity": "api.perplexity.ai",
         "deepseek": "api.deepseek.com", "together": "router.huggingface.co", "cerebras": "api.cerebras.ai", "zai": "api.z.ai"}
ASK = {"messages": [{"role": "user", "content": "Hi"}]}
TOOL = {"name": "weather", "description": "d", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}

pytestmark = pytest.mark.skipif(recordings.shared_dir() is None, reason=recordings.reason_missing())


@pytest.fixture(scope="module")
def up(module_faultd):
    return module_faultd()


@pytest.fixture(scope="module")
def gateway(start_module_gateway, up):
    names = [*HOSTS, "xai", "moonshot", "qwen", "zhipu", "fireworks", "vllm", "sglang", "lmstudio", "llamacpp"]
    return start_module_gateway({"providers": {n: {"api_key": "k", "base_url": f"{up.origin}/{n}", "discover": False} for n in names}})


@pytest.fixture
def chat(gateway, openai_client):
    return openai_client(gateway)


@pytest.fixture
def claude(gateway, anthropic_client):
    return anthropic_client(gateway)


def recorded(vendor, *, stream=None, status=200, where=lambda r: True):
    found = [r for name in ("openai_compat_chat", "other") for r in recordings.load(name)
             if HOSTS[vendor] in r.uri and r.target.endswith("/chat/completions") and r.status == status
             and (stream is None or r.stream == stream) and r.body and where(r)]
    assert found, f"no such recording of {vendor}"
    return found


def chunks_of(r):
    text = r.body.decode().replace("\r\n", "\n")
    return [json.loads(line[5:]) for line in text.split("\n") if line.startswith("data:") and "[DONE]" not in line]


def play(up, vendor, r, **more):
    up.add(r.script(path=re.compile(rf"^/{vendor}(/beta)?/chat/completions$"), times=1, **more))


def message(claude, vendor, stream=True, **more):
    """What an Anthropic client makes of the answer."""
    ask = {"model": f"{vendor}/m", "max_tokens": 500, **ASK, **more}
    if not stream:
        return claude.messages.create(**ask)
    with claude.messages.stream(**ask) as s:
        return s.get_final_message()


def sent(up):
    return up.requests[-1].json()


# ---- answers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vendor", ("deepseek", "mistral", "groq", "openrouter"))
def test_trap_011_usage_that_comes_with_the_last_choices(vendor, up, claude, chat):
    for r in recorded(vendor, stream=True, where=lambda r: b'"error":{' not in r.body.replace(b" ", b""))[:4]:
        last = [c for c in chunks_of(r) if c.get("usage") or (c.get("x_groq") or {}).get("usage")][-1]
        assert last["choices"], "this recording is no such case"
        usage = last.get("usage") or last["x_groq"]["usage"]
        play(up, vendor, r)
        got = message(claude, vendor)
        cached = got.usage.cache_read_input_tokens or 0
        assert (got.usage.input_tokens + cached, got.usage.output_tokens) == (usage["prompt_tokens"], usage["completion_tokens"])


def test_trap_022_027_openrouters_comments_and_roles(up, claude, chat):
    """Comment lines while it waits, and a role in every delta: neither text nor a new message."""
    found = recorded("openrouter", stream=True, where=lambda r: b": OPENROUTER PROCESSING" in r.body and b'"error"' not in r.body)
    assert len(found) >= 5
    for r in found:
        deltas = [c["choices"][0]["delta"] for c in chunks_of(r) if c["choices"]]
        assert sum("role" in d for d in deltas) > 1
        text = "".join(d.get("content") or "" for d in deltas)
        play(up, "openrouter", r)
        assert "".join(b.text for b in message(claude, "openrouter").content if b.type == "text") == text
        play(up, "openrouter", r)
        relayed = list(chat.chat.completions.create(model="openrouter/m", stream=True, **ASK))
        assert "".join(c.choices[0].delta.content or "" for c in relayed if c.choices) == text


def test_trap_107_numeric_and_bare_error_bodies(up, claude, chat):
    """OpenRouter's code is a number, Mistral's body only {"detail"}: both SDKs get the sentence."""
    for vendor, status, kind in (("openrouter", 429, openai.RateLimitError), ("openrouter", 401, openai.InternalServerError),
                                 ("mistral", 401, openai.InternalServerError), ("perplexity", 400, openai.BadRequestError),
                                 ("groq", 404, openai.NotFoundError)):
        r = recorded(vendor, status=status)[0]
        body = json.loads(r.body)
        words = body.get("detail") or body["error"]["message"]
        for client, error in ((chat, kind), (claude, getattr(anthropic, kind.__name__))):
            play(up, vendor, r)
            with pytest.raises(error) as e:
                if client is chat:
                    chat.chat.completions.create(model=f"{vendor}/m", **ASK)
                else:
                    message(claude, vendor, stream=False)
            if kind is not openai.InternalServerError:      # our own credential was refused: not the client's business
                assert words[:40] in str(e.value)


def test_trap_112_groqs_error_inside_a_200_is_an_error(up, claude, chat):
    r = recorded("groq", stream=True, where=lambda r: b"tool_use_failed" in r.body)[0]
    assert b"[DONE]" not in r.body
    play(up, "groq", r)
    with pytest.raises(openai.APIError, match="[Ff]ailed|tool"):
        list(chat.chat.completions.create(model="groq/m", stream=True, **ASK))
    play(up, "groq", r)
    with pytest.raises(anthropic.APIError, match="[Ff]ailed|tool"):
        message(claude, "groq")


def test_trap_055_perplexitys_sources_are_citations(up, claude, chat):
    """They stand beside the choices; a client of another dialect gets them where it looks."""
    r = recorded("perplexity", where=lambda r: b'"search_results"' in r.body)[0]
    body = json.loads(r.body)
    urls = [s["url"] for s in body["search_results"]]
    play(up, "perplexity", r)
    got = message(claude, "perplexity", stream=False)
    cited = [c for b in got.content if b.type == "text" for c in b.citations or []]
    assert [c.url for c in cited] == urls and cited[0].title == body["search_results"][0]["title"]
    play(up, "perplexity", r)
    relayed = chat.chat.completions.create(model="perplexity/m", **ASK)
    assert relayed.model_extra["citations"] == body["citations"]


def test_trap_007_023_perplexity_streams_with_crlf_and_without_done(up, claude, chat):
    """Not in our half of the recordings as a stream: the recorded answer, in the form protocols.md describes."""
    r = recorded("perplexity", where=lambda r: b'"search_results"' in r.body)[0]
    body = json.loads(r.body)
    text = body["choices"][0]["message"]["content"]
    beside = {k: body[k] for k in ("id", "model", "created", "citations", "search_results")}
    pieces = [text[:5], text[5:]]
    out = [{**beside, "object": "chat.completion.chunk", "usage": body["usage"], "choices": [
        {"index": 0, "finish_reason": "stop" if i else None, "delta": {"role": "assistant", "content": p}}]} for i, p in enumerate(pieces)]
    stream = b"".join(canned.sse(c, end="\r\n") for c in out)
    for _ in range(2):
        up.reply("POST", "/perplexity/chat/completions", body=stream, times=1, content_type="text/event-stream")
    got = message(claude, "perplexity")
    assert "".join(b.text for b in got.content if b.type == "text") == text and got.stop_reason == "end_turn"
    cited = [c.url for b in got.content if b.type == "text" for c in b.citations or []]
    assert cited == [s["url"] for s in body["search_results"]]
    relayed = list(chat.chat.completions.create(model="perplexity/m", stream=True, **ASK))
    assert "".join(c.choices[0].delta.content for c in relayed) == text


def test_trap_105_togethers_eos_is_an_end(up, claude):
    r = recorded("together", where=lambda r: b'"eos"' in r.body or b'"tool_calls"' in r.body)[0]
    body = json.loads(r.body)
    body["choices"][0]["finish_reason"] = "eos"
    calls = body["choices"][0]["message"].get("tool_calls")
    play(up, "together", r, body=canned.dumps(body).encode())
    assert message(claude, "together", stream=False).stop_reason == ("tool_use" if calls else "end_turn")


def test_trap_017_arguments_whole_in_the_first_delta(up, claude):
    vendor = "groq"

    def whole(r):
        return any(t["function"].get("arguments") and t["function"].get("name") for c in chunks_of(r) for x in c.get("choices", [])
                   for t in x["delta"].get("tool_calls") or [])
    r = recorded(vendor, stream=True, where=whole)[0]
    calls = [t for c in chunks_of(r) for x in c["choices"] for t in x["delta"].get("tool_calls") or []]
    play(up, vendor, r)
    got = [b for b in message(claude, vendor, tools=[TOOL]).content if b.type == "tool_use"]
    assert [(b.name, b.input) for b in got] == [(t["function"]["name"], json.loads(t["function"]["arguments"])) for t in calls]


def test_trap_049_reasoning_by_every_name(up, claude):
    """reasoning_content, reasoning, Mistral's parts, OpenRouter's details: thinking for Anthropic's clients."""
    for vendor, key in (("deepseek", b'"reasoning_content"'), ("groq", b'"reasoning"'), ("cerebras", b'"reasoning"'),
                        ("zai", b'"reasoning_content"'), ("mistral", b'"thinking"'), ("openrouter", b'"reasoning_details"')):
        r = recorded(vendor, stream=False, where=lambda r: key in r.body and thought(json.loads(r.body)))[0]
        play(up, vendor, r)
        got = message(claude, vendor, stream=False)
        thinking = "".join(b.thinking for b in got.content if b.type == "thinking")
        assert thinking == thought(json.loads(r.body)), vendor


def thought(body):
    m = body["choices"][0]["message"]
    if isinstance(m.get("content"), list):
        return "".join(p["text"] for t in m["content"] if t["type"] == "thinking" for p in t["thinking"])
    details = "".join(d.get("text") or d.get("summary") or "" for d in m.get("reasoning_details") or [])
    return details or m.get("reasoning_content") or m.get("reasoning") or ""


# ---- requests ------------------------------------------------------------------------------------------------------


def test_trap_061_mistrals_nine_character_ids(up, claude):
    """In the recordings every id is nine letters and digits; ids of other vendors are made so, alike in call and result."""
    ids = {t["id"] for r in recorded("mistral", stream=False) for t in json.loads(r.body)["choices"][0]["message"].get("tool_calls") or []}
    assert ids and all(re.fullmatch("[A-Za-z0-9]{9}", i) for i in ids)
    own = sorted(ids)[0]
    up.reply("POST", "/mistral/chat/completions", body=canned.openai_answer())
    message(claude, "mistral", stream=False, tools=[TOOL], messages=[
        {"role": "user", "content": "?"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": i, "name": "weather", "input": {}} for i in ("toolu_01A09q90qw90lq917835lq9", own)]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": i, "content": "x"} for i in ("toolu_01A09q90qw90lq917835lq9", own)]}])
    calls, results = sent(up)["messages"][1]["tool_calls"], sent(up)["messages"][2:]
    assert [c["id"] for c in calls] == [r["tool_call_id"] for r in results]
    assert all(re.fullmatch("[A-Za-z0-9]{9}", c["id"]) for c in calls) and calls[1]["id"] == own


def test_mistral_gets_only_fields_it_knows(up, claude):
    """It answers 422 to others: what of a full request goes there, beside the seed, recorded requests had too or its API names."""
    known = {k for r in recorded("mistral") for k in r.req} | {"max_tokens", "temperature", "top_p", "stop", "random_seed"}
    up.reply("POST", "/mistral/chat/completions", body=canned.openai_answer())
    raw = claude.messages.with_raw_response.create(
        model="mistral/m", max_tokens=5, **ASK, stop_sequences=["END"], extra_body={"temperature": 0.5}, metadata={"user_id": "u"},
        service_tier="standard_only", tools=[TOOL], tool_choice={"type": "any"})
    assert set(sent(up)) <= known, set(sent(up)) - known
    assert {"user", "service_tier"} <= {n.strip() for n in raw.headers["x-llm-gateway-dropped"].split(",")}


def test_trap_045_a_begun_answer_goes_on(up, claude, chat):
    """DeepSeek and Mistral mark it; DeepSeek knows it below /beta alone, where the recording went as well."""
    assert any("/beta/" in r.uri for r in recordings.load("openai_compat_chat") if "deepseek" in r.uri)
    begun = [{"role": "user", "content": "Say hello"}, {"role": "assistant", "content": "He"}]
    for path in ("/deepseek/beta/chat/completions", "/mistral/chat/completions"):
        up.reply("POST", path, body=canned.openai_answer("llo"))
        message(claude, path.split("/")[1], stream=False, messages=begun)
        assert up.requests[-1].target == path and sent(up)["messages"][-1] == {"role": "assistant", "content": "He", "prefix": True}
    marked = [begun[0], {**begun[1], "prefix": True}]
    chat.chat.completions.create(model="deepseek/m", messages=marked)
    assert up.requests[-1].target == "/deepseek/beta/chat/completions" and sent(up)["messages"] == marked
    up.reply("POST", "/deepseek/chat/completions", body=canned.openai_answer("prefix"))
    chat.chat.completions.create(model="deepseek/m", messages=[{"role": "user", "content": 'what is a "prefix": true?'}])
    assert up.requests[-1].target == "/deepseek/chat/completions"


def test_trap_046_117_deepseek_reasoning_goes_back_in_turns_of_tools(up, claude):
    """Its thinking, unsigned, is Anthropic's client's to keep; with the result of the call it goes back where it came from."""
    answer = json.loads(canned.openai_answer(None, tool_calls=[("call_1", "weather", '{"city":"Rom"}')]))
    answer["choices"][0]["message"].update(content="", reasoning_content="Ask the weather.")
    answer["usage"] = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120, "prompt_cache_hit_tokens": 64,
                       "prompt_cache_miss_tokens": 36, "completion_tokens_details": {"reasoning_tokens": 5}}
    up.reply("POST", "/deepseek/chat/completions", body=canned.dumps(answer).encode(), times=1)
    first = message(claude, "deepseek", stream=False, tools=[TOOL], thinking={"type": "enabled", "budget_tokens": 1024}, max_tokens=2000)
    assert [b.type for b in first.content] == ["thinking", "tool_use"] and first.content[0].signature == ""
    assert (first.usage.input_tokens, first.usage.cache_read_input_tokens) == (36, 64)
    assert sent(up)["thinking"] == {"type": "enabled"}
    up.reply("POST", "/deepseek/chat/completions", body=canned.openai_answer("Sunny."))
    message(claude, "deepseek", stream=False, tools=[TOOL], messages=[
        ASK["messages"][0], {"role": "assistant", "content": [b.model_dump(exclude_none=True) for b in first.content]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": first.content[1].id, "content": "sun"}]}])
    back = sent(up)["messages"][1]
    assert back["reasoning_content"] == "Ask the weather." and back["content"] == "" and back["tool_calls"][0]["id"] == "call_1"


@pytest.mark.parametrize("vendor", ("deepseek", "moonshot"))
def test_trap_078_thinking_is_switched_and_gives_way_to_a_forced_call(vendor, up, claude):
    up.reply("POST", f"/{vendor}/chat/completions", body=canned.openai_answer(tool_calls=[("c1", "weather", "{}")]))
    thinking = {"type": "enabled", "budget_tokens": 1024}
    for more, want in (({"thinking": thinking}, "enabled"), ({"thinking": {"type": "disabled"}}, "disabled"), ({}, None)):
        message(claude, vendor, stream=False, max_tokens=2000, tools=[TOOL], **more)
        assert sent(up).get("thinking") == (want and {"type": want})
    raw = claude.messages.with_raw_response.create(model=f"{vendor}/m", max_tokens=2000, **ASK, tools=[TOOL], thinking=thinking,
                                                   tool_choice={"type": "any"})
    assert sent(up)["thinking"] == {"type": "disabled"} and "reasoning_effort" in raw.headers["x-llm-gateway-dropped"]


@pytest.mark.parametrize("vendor", ("zhipu", "zai"))
def test_trap_075_a_call_that_cannot_be_demanded_is_offered_and_said(vendor, up, claude):
    """They know tool_choice auto alone; thinking has nothing to give way to then."""
    up.reply("POST", f"/{vendor}/chat/completions", body=canned.openai_answer(tool_calls=[("c1", "weather", "{}")]))
    ask = {"model": f"{vendor}/m", "max_tokens": 2000, **ASK, "tools": [TOOL], "thinking": {"type": "enabled", "budget_tokens": 1024}}
    raw = claude.messages.with_raw_response.create(**ask, tool_choice={"type": "any"})
    assert (sent(up)["tool_choice"], sent(up)["thinking"]) == ("auto", {"type": "enabled"})
    assert raw.headers["x-llm-gateway-dropped"] == "tool_choice"
    with pytest.raises(anthropic.BadRequestError, match="tool_choice"):
        claude.messages.create(**ask, tool_choice={"type": "any"}, extra_headers={"x-llm-gateway-strict": "true"})
    claude.messages.create(**ask, tool_choice={"type": "none"})
    assert "tools" not in sent(up) and "tool_choice" not in sent(up)


@pytest.mark.parametrize("vendor", ("lmstudio", "perplexity"))
def test_trap_075_a_named_call_where_names_are_unknown(vendor, up, claude):
    up.reply("POST", f"/{vendor}/chat/completions", body=canned.openai_answer(tool_calls=[("c1", "time", "{}")]))
    got = message(claude, vendor, stream=False, tools=[TOOL, {**TOOL, "name": "time"}], tool_choice={"type": "tool", "name": "time"})
    assert sent(up)["tool_choice"] == "required" and [t["function"]["name"] for t in sent(up)["tools"]] == ["time"]
    assert got.content[-1].name == "time"


REASONED = {"role": "assistant", "content": "4", "reasoning": "2+2", "reasoning_content": "2+2",
            "reasoning_details": [{"type": "reasoning.text", "text": "2+2"}]}


@pytest.mark.parametrize("vendor, kept", (("groq", {"reasoning"}), ("cerebras", {"reasoning"}), ("mistral", set()),
                                          ("deepseek", {"reasoning", "reasoning_content", "reasoning_details"}),
                                          ("vllm", {"reasoning", "reasoning_content", "reasoning_details"})))
def test_trap_047_reasoning_of_others_is_not_passed_to_who_refuses_it(vendor, kept, up, chat):
    """Groq, Cerebras and Mistral answer 400 and 422 to members of messages that they do not know."""
    up.reply("POST", f"/{vendor}/chat/completions", body=canned.openai_answer())
    raw = chat.chat.completions.with_raw_response.create(model=f"{vendor}/m", messages=[*ASK["messages"], REASONED, *ASK["messages"]])
    turn = sent(up)["messages"][1]
    assert {k for k in turn if k.startswith("reasoning")} == kept and turn["content"] == "4"
    assert (raw.headers.get("x-llm-gateway-dropped") == "reasoning_content") == (len(kept) < 3)


@pytest.fixture(scope="module")
def at_another_address(start_module_gateway, up):
    here = {"type": "openai", "api_key": "k", "base_url": f"{up.origin}/proxy/v1", "discover": False}
    return start_module_gateway({"providers": {"proxy": here, "strict": {**here, "quirks": ["strict_messages"]}}})


def test_trap_047_type_openai_at_another_address_is_passed_everything(at_another_address, up, openai_client):
    up.reply("POST", "/proxy/v1/chat/completions", body=canned.openai_answer())
    client = openai_client(at_another_address)
    for name, kept in (("proxy", True), ("strict", False)):
        client.chat.completions.create(model=f"{name}/m", messages=[*ASK["messages"], REASONED, *ASK["messages"]])
        assert ("reasoning_content" in sent(up)["messages"][1]) == kept, name


def test_xais_responses_pass_as_they_are(gateway, up):
    """Recorded: it is asked in Responses, which clients of Responses get unchanged; others are translated over Chat."""
    found = [r for r in recordings.load("responses") if "api.x.ai" in r.uri]
    assert len(found) >= 20
    for r in [*[r for r in found if r.stream][:2], *[r for r in found if not r.stream and r.status == 200][:4]]:
        up.add(r.script(path="/xai/responses", times=1))
        ask = {**r.req, "model": "xai/m", "store": False}
        answer = gateway.request("POST", "/v1/responses", [("content-type", "application/json")], canned.dumps(ask).encode())
        assert answer.status == 200 and answer.body.replace(b"data: [DONE]\n\n", b"") == r.body.replace(b"data: [DONE]\n\n", b"")
        assert {k: v for k, v in sent(up).items() if k != "model"} == {k: v for k, v in ask.items() if k != "model"}


def test_trap_107_xais_error_is_a_sentence_beside_a_code(up, chat, claude):
    """{"code", "error": "..."}: recorded for a bad key, with status 400."""
    r = next(r for r in recordings.load("responses") if "api.x.ai" in r.uri and r.status == 400)
    words = json.loads(r.body)["error"]
    other = canned.dumps({"code": "invalid-argument", "error": "Model m does not support parameter stop."}).encode()
    for body, said in ((r.body, words), (other, "does not support parameter stop")):
        for client, error in ((chat, openai.BadRequestError), (claude, anthropic.BadRequestError)):
            up.reply("POST", "/xai/chat/completions", status=400, body=body, times=1)
            with pytest.raises(error) as e:
                if client is chat:
                    chat.chat.completions.create(model="xai/m", **ASK)
                else:
                    message(claude, "xai", stream=False)
            assert said[:40] in str(e.value)


def test_qwen_has_a_switch_of_its_own(up, claude):
    up.reply("POST", "/qwen/chat/completions", body=canned.openai_answer())
    message(claude, "qwen", stream=False, max_tokens=9000, thinking={"type": "enabled", "budget_tokens": 3000})
    assert (sent(up)["enable_thinking"], sent(up)["thinking_budget"]) == (True, 3000) and "reasoning_effort" not in sent(up)
    message(claude, "qwen", stream=False, thinking={"type": "disabled"})
    assert sent(up)["enable_thinking"] is False and "thinking_budget" not in sent(up)
    up.reply("POST", "/qwen/chat/completions", body=canned.openai_answer(tool_calls=[("c1", "weather", "{}")]))
    message(claude, "qwen", stream=False, max_tokens=9000, thinking={"type": "enabled", "budget_tokens": 3000}, tools=[TOOL],
            tool_choice={"type": "any"})
    assert sent(up)["enable_thinking"] is False and sent(up)["tool_choice"] == "required"


def test_every_vendor_of_the_list_answers_by_its_name(gateway, up, chat, claude):
    for vendor in gateway_names(gateway):
        up.reply("POST", f"/{vendor}/chat/completions", body=canned.openai_answer(f"I am {vendor}"))
        assert chat.chat.completions.create(model=f"{vendor}/m", **ASK).choices[0].message.content == f"I am {vendor}"
        assert message(claude, vendor, stream=False).content[0].text == f"I am {vendor}"
        field = "max_completion_tokens" if vendor in ("groq", "openrouter", "xai", "cerebras", "moonshot", "fireworks") else "max_tokens"
        assert sent(up)[field] == 500, vendor


def gateway_names(gateway):
    return re.findall(r"^  ([a-z]+):$", gateway.config_file.read_text().split("providers:")[1], re.M)
