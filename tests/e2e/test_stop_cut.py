"""Trap 73: OpenAI's Responses API has no stop sequences, so the gateway ends such answers itself, for clients of any dialect."""

import anthropic
import pytest

from lib.vendors import TOKENS, VENDORS

TEXT = "One, two, STOP three, four."
VENDOR = VENDORS["responses"]


@pytest.fixture
def gateway(start_gateway, upstream):
    upstream.reply("POST", VENDOR.path, body=lambda request: VENDOR.reply(request, [("text", TEXT)], None))
    return start_gateway({"providers": {"up": {"type": "openai-compatible", "base_url": f"{upstream.origin}/v1",
                                               "protocols": ["openai-responses"], "models": ["m"]}}})


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("stops, text, found", [(["nothing", " STOP"], "One, two,", " STOP"), (["else"], TEXT, None)])
def test_trap_073_anthropics_sdk_gets_the_text_before_the_sequence(gateway, upstream, anthropic_client, stream, stops, text, found):
    sdk = anthropic_client(gateway)
    ask = {"model": "m", "max_tokens": 50, "stop_sequences": stops, "messages": [{"role": "user", "content": "Count."}]}
    if stream:
        with sdk.messages.stream(**ask) as events:
            answer = events.get_final_message()
            dropped = events.response.headers.get("x-llm-gateway-dropped")
    else:
        raw = sdk.messages.with_raw_response.create(**ask)
        answer, dropped = raw.parse(), raw.headers.get("x-llm-gateway-dropped")
    assert [b.text for b in answer.content] == [text]
    assert (answer.stop_reason, answer.stop_sequence) == (("stop_sequence", found) if found else ("end_turn", None))
    assert answer.usage.output_tokens == TOKENS[1]       # all that was made is paid for
    assert dropped is None
    assert "stop" not in upstream.scripts[0].wait_for_request().request.json()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_trap_073_chats_sdk_gets_the_text_before_the_sequence(gateway, openai_client, stream):
    sdk = openai_client(gateway)
    ask = {"model": "m", "stop": "three", "messages": [{"role": "user", "content": "Count."}]}
    if stream:
        chunks = [c.choices[0] for c in sdk.chat.completions.create(**ask, stream=True) if c.choices]
        text, reason = "".join(c.delta.content or "" for c in chunks), chunks[-1].finish_reason
    else:
        choice = sdk.chat.completions.create(**ask).choices[0]
        text, reason = choice.message.content, choice.finish_reason
    assert (text, reason) == ("One, two, STOP ", "stop")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_trap_070_models_that_reason_get_no_sequences_and_their_answers_are_cut(start_gateway, upstream, anthropic_client, stream):
    """OpenAI: "Not supported with latest reasoning models o3 and o4-mini"."""
    vendor = VENDORS["openai"]
    upstream.reply("POST", vendor.path, body=lambda request: vendor.reply(request, [("text", TEXT)], None))
    gateway = start_gateway({"providers": {"up": {"type": "openai", "base_url": f"{upstream.origin}/v1", "api_key": "k", "models": ["o4-mini"]}}})
    ask = {"model": "o4-mini", "max_tokens": 50, "stop_sequences": [" STOP"], "messages": [{"role": "user", "content": "Count."}]}
    sdk = anthropic_client(gateway)
    if stream:
        with sdk.messages.stream(**ask) as events:
            answer = events.get_final_message()
    else:
        answer = sdk.messages.create(**ask)
    assert ([b.text for b in answer.content], answer.stop_sequence) == (["One, two,"], " STOP")
    assert "stop" not in upstream.scripts[0].wait_for_request().request.json()


# ---- trap 71: fewer sequences than were asked for fit into the provider's request --------------------------------------------

MANY = [f"no such word {i}" for i in range(7)] + ["STOP"]


@pytest.fixture
def limited(start_gateway, upstream):
    """A provider of each kind whose requests hold a few sequences only."""
    up = {}
    for kind in ("openai", "gemini"):
        vendor = VENDORS[kind]
        up[kind] = {**vendor.provider(upstream.origin), "models": [f"m-{kind}"], "discover": False}
        upstream.reply("POST", vendor.path, body=lambda request, v=vendor: v.reply(request, [("text", TEXT)], None))
    return start_gateway({"providers": up})


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("kind, most", [("openai", 4), ("gemini", 5)])
def test_trap_071_more_sequences_than_the_provider_takes_all_work(limited, upstream, anthropic_client, kind, most, stream):
    sdk = anthropic_client(limited)
    ask = {"model": f"m-{kind}", "max_tokens": 50, "stop_sequences": MANY, "messages": [{"role": "user", "content": "Count."}]}
    if stream:
        with sdk.messages.stream(**ask) as events:
            answer, head = events.get_final_message(), events.response.headers
    else:
        raw = sdk.messages.with_raw_response.create(**ask)
        answer, head = raw.parse(), raw.headers
    assert [b.text for b in answer.content] == ["One, two, "]
    assert (answer.stop_reason, answer.stop_sequence) == ("stop_sequence", "STOP")
    assert answer.usage.output_tokens == TOKENS[1] and "x-llm-gateway-dropped" not in head
    body = upstream.requests[-1].json()
    assert (body.get("stop") or body["generationConfig"]["stopSequences"]) == MANY[:most]
    assert VENDORS[kind].problem(body) is None


@pytest.mark.parametrize("kind", ["openai", "gemini"])
def test_trap_071_too_many_to_search_for_are_refused(limited, upstream, anthropic_client, kind):
    with pytest.raises(anthropic.BadRequestError, match="64 stop sequences"):
        anthropic_client(limited).messages.create(model=f"m-{kind}", max_tokens=5, stop_sequences=[f"s{i}" for i in range(65)],
                                                  messages=[{"role": "user", "content": "Hi"}])
    assert not upstream.requests
