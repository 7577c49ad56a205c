"""Recorded answers at the Responses front: OpenAI's own pass byte for byte, those of other dialects are assembled by the official
SDK as the recording has them.

Each test goes through all recordings of a kind and reports the wrong ones together, by the recordings' ids.
"""

import json

import pytest

from lib import expected
from lib.recordings_tally import Tally, play, successes
from test_codec_responses import answers
from test_recordings_relay import Wire, dumps
from test_recordings_translated import problem_of

pytestmark = [pytest.mark.usefixtures("need_recordings"), pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def up(module_faultd):
    return module_faultd()


@pytest.fixture(scope="module")
def gateway(start_module_gateway, up):
    return start_module_gateway({
        "providers": {"openai": {"type": "openai", "base_url": f"{up.origin}/v1", "api_key": "sk-up", "models": ["o"]},
                      "compat": {"type": "openai-compatible", "base_url": f"{up.origin}/v1", "models": ["k"]},
                      "claude": {"type": "anthropic", "base_url": up.origin, "api_key": "sk-up", "models": ["a"]}}})


@pytest.mark.parametrize("stream, at_least", [(False, 180), (True, 60)], ids=["whole", "streamed"])
def test_openais_own_answers_pass_byte_for_byte(gateway, up, capsys, stream, at_least):
    wire, tally = Wire(gateway), Tally("responses, byte-identical")
    body = dumps({"model": "o", "input": "Hi", "stream": stream, "store": False})
    for number, recording in enumerate(answers(stream)):
        script = play(up, recording, number)
        response = wire.post("/v1/responses", body)
        request = script.wait_for_request().request
        problem = None
        if request.body != body or request.target != "/v1/responses":
            problem = f"{request.target} {request.body[:200]!r}"
        elif response.status != 200 or response.body != recording.body:
            problem = f"{response.status} {response.end}, {len(response.body)} of {len(recording.body)} bytes"
        tally.judge(recording, problem)
    tally.finish(capsys, at_least)


STOPS = {"completed": "end", "incomplete": "length"}


def of_sdk(response):
    """The Answer that the SDK's response holds."""
    answer = expected.Answer()
    for item in response.output:
        if item.type == "message":
            answer.text += "".join(getattr(p, "text", "") or getattr(p, "refusal", "") for p in item.content)
        elif item.type == "reasoning":
            answer.reasoning += "".join(p.text for p in item.content or item.summary)    # OpenAI's own is a summary
        elif item.type == "function_call":
            answer.tools.append((item.name, expected.value_of(item.arguments)))
    details = response.incomplete_details
    answer.stop = STOPS[response.status]
    if details and details.reason == "content_filter":
        answer.stop = "refusal"
    elif answer.stop == "end" and answer.tools:
        answer.stop = "tools"
    elif any(p.type == "refusal" for i in response.output if i.type == "message" for p in i.content):
        answer.stop = "refusal"
    usage = response.usage
    answer.input, answer.output, answer.cached = usage.input_tokens, usage.output_tokens, usage.input_tokens_details.cached_tokens
    return answer


def ask(client, model):
    return of_sdk(client.responses.create(model=model, input="Hi"))


def ask_streamed(client, model):
    with client.responses.stream(model=model, input="Hi") as stream:
        events = list(stream)
    assert events[-1].type in ("response.completed", "response.incomplete")
    return of_sdk(events[-1].response)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("kind, model", [("openai_compat_chat", "k"), ("anthropic_messages", "a")])
def test_the_openai_sdk_assembles_other_dialects_answers(gateway, up, openai_client, capsys, kind, model, stream):
    client, tally = openai_client(gateway), Tally(f"client.responses in front of {kind}, {'streamed' if stream else 'whole'}")
    read = {("openai_compat_chat", False): expected.openai_whole, ("openai_compat_chat", True): expected.openai_streamed,
            ("anthropic_messages", False): expected.anthropic_whole, ("anthropic_messages", True): expected.anthropic_streamed}
    for number, recording in enumerate(successes([kind], stream)):
        play(up, recording, number)
        want = read[kind, stream](recording)
        want.input, want.output = want.input or 0, want.output or 0
        if want.stop == "refusal" and not want.text:     # said in words of the gateway's own
            continue
        tally.judge(recording, problem_of(want, lambda: (ask_streamed if stream else ask)(client, model)))
    tally.finish(capsys, 50)


def test_an_unknown_model_is_400_here(gateway):
    response = Wire(gateway).post("/v1/responses", dumps({"model": "nobody-has-it", "input": "Hi"}))
    assert response.status == 400
    assert json.loads(response.body)["error"]["code"] == "model_not_found"
