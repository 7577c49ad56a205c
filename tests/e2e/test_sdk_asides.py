"""What OpenAI's SDK asks of Responses beside turns, compact and input_tokens, of providers of every other kind."""

import json

import pytest

from lib import canned

PROVIDERS = {"openai-chat": ("openai-compatible", "/v1"), "anthropic-messages": ("anthropic", ""), "gemini": ("google", ""),
             "ollama-chat": ("ollama", "")}
ANSWERS = {"openai-chat": canned.answer("openai-chat"), "anthropic-messages": canned.answer("anthropic-messages"),
           "gemini": json.dumps({"candidates": [{"content": {"role": "model", "parts": [{"text": "Hello."}]}, "finishReason": "STOP"}],
                                 "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5}}).encode(),
           "ollama-chat": json.dumps({"model": "m", "message": {"role": "assistant", "content": "Hello."}, "done": True,
                                      "done_reason": "stop", "prompt_eval_count": 3, "eval_count": 2}).encode()}

@pytest.fixture(scope="module")
def up(module_faultd):
    return module_faultd()


@pytest.fixture(scope="module")
def gateway(start_module_gateway, up):
    return start_module_gateway({"providers": {
        f"up-{kind}": {"type": type, "base_url": up.origin + path, "api_key": "k", "discover": False, "models": [f"at-{kind}"]}
        for kind, (type, path) in PROVIDERS.items()}})


@pytest.mark.parametrize("kind", PROVIDERS)
def test_a_conversation_is_made_shorter_by_every_provider(gateway, up, openai_client, kind):
    up.clear()
    up.reply("POST", body=ANSWERS[kind])
    short = openai_client(gateway).responses.compact(model=f"at-{kind}", input=[{"role": "user", "content": "My name is Ann."}])
    assert short.object == "response.compaction" and "compaction" in [item.type for item in short.output]
    assert len(up.requests) == 1 and b"My name is Ann." in up.requests[0].body


@pytest.mark.parametrize("kind", ["openai-chat", "ollama-chat"])
def test_tokens_are_estimated_for_providers_that_do_not_count(gateway, up, openai_client, kind):
    """Nobody is asked; what is in the instructions counts."""
    up.clear()
    counter = openai_client(gateway).responses.input_tokens
    plain, more = (counter.count(model=f"at-{kind}", input="My name is Ann.", instructions=said) for said in ("", "Be brief. " * 20))
    assert plain.object == "response.input_tokens" and 0 < plain.input_tokens < 40 and more.input_tokens >= plain.input_tokens + 20
    assert not up.requests
