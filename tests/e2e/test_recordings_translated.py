"""Recorded errors of real providers, translated: the official SDK of the other dialect must raise the right error. What it makes of
answers is test_recordings_product.py's.

Each test goes through all recordings of a kind and reports the wrong ones together, by the recordings' ids.
"""

import json

import anthropic
import openai
import pytest

from lib import expected, recordings
from lib.recordings_tally import Tally, in_band_error, is_message, play

pytestmark = [pytest.mark.usefixtures("need_recordings"), pytest.mark.timeout(600)]

OPENAI_KINDS = ("openai_chat", "openai_compat_chat")


@pytest.fixture(scope="module")
def up(module_faultd):
    return module_faultd()


@pytest.fixture(scope="module")
def gateway(start_module_gateway, up):
    return start_module_gateway({
        "providers": {"chat": {"type": "openai", "base_url": f"{up.origin}/v1", "api_key": "sk-up", "models": ["c"]},
                      "compat": {"type": "openai-compatible", "base_url": f"{up.origin}/v1", "models": ["k"]},
                      "claude": {"type": "anthropic", "base_url": up.origin, "api_key": "sk-up", "models": ["a"]}}})


# ---- asking ---------------------------------------------------------------------------------------------------------------

def ask_anthropic(client, model):
    return expected.of_anthropic_sdk(client.messages.create(
        model=model, max_tokens=1000, messages=[{"role": "user", "content": "Hi"}]))


def stream_anthropic(client, model):
    with client.messages.stream(model=model, max_tokens=1000, messages=[{"role": "user", "content": "Hi"}]) as stream:
        return expected.of_anthropic_sdk(stream.get_final_message())


def ask_openai(client):
    return expected.of_openai_sdk(client.chat.completions.create(model="a", messages=[{"role": "user", "content": "Hi"}]))


def stream_openai(client):
    with client.chat.completions.stream(model="a", messages=[{"role": "user", "content": "Hi"}],
                                        stream_options={"include_usage": True}) as stream:
        try:
            return expected.of_openai_sdk(stream.get_final_completion())
        except openai.LengthFinishReasonError as e:     # its way to say that the answer is cut by max_tokens
            return expected.of_openai_sdk(e.completion)


# ---- errors -------------------------------------------------------------------------------------------------------------

def words_of(error):
    """What the recorded error says, wherever the vendor put it."""
    if isinstance(error, str):
        return error
    for name in ("error", "message", "detail"):
        if isinstance(error, dict) and error.get(name):
            return words_of(error[name])
    return json.dumps(error)


def error_problem(sdk, recording, call):
    """The SDK must raise the class that fits the status, with the provider's words in it.

    The provider's 401 is about the gateway's own key, so the client gets a 502 instead.
    """
    status = recording.status if recording.status not in (401, 403) else 502
    classes = {400: sdk.BadRequestError, 404: sdk.NotFoundError, 429: sdk.RateLimitError, 502: sdk.InternalServerError}
    try:
        answer = call()
    except sdk.APIStatusError as e:
        if type(e) is not classes[status] or e.status_code != status:
            return f"{type(e).__name__} {e.status_code}, recorded {recording.status}"
        if status != 502 and words_of(json.loads(recording.body)) not in e.message:
            return f"message {e.message!r}, recorded {recording.body[:200]!r}"
        return None if status != 502 or "api_key" in e.message else f"message {e.message!r}"
    return f"no error but {answer!r}"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_trap_107_errors_reach_the_anthropic_sdk(gateway, up, anthropic_client, capsys, stream):
    client, tally = anthropic_client(gateway), Tally("Anthropic SDK, recorded errors")
    for kind in OPENAI_KINDS:
        for number, recording in enumerate(r for r in recordings.load(kind) if r.status != 200):
            play(up, recording, number)
            call = (lambda: stream_anthropic(client, "k")) if stream else (lambda: ask_anthropic(client, "k"))
            tally.judge(recording, error_problem(anthropic, recording, call))
    tally.finish(capsys, 16)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_trap_107_errors_reach_the_openai_sdk(gateway, up, openai_client, capsys, stream):
    client, tally = openai_client(gateway), Tally("OpenAI SDK, recorded errors")
    for number, recording in enumerate(r for r in recordings.load("anthropic_messages") if r.status != 200):
        play(up, recording, number)
        call = (lambda: stream_openai(client)) if stream else (lambda: ask_openai(client))
        tally.judge(recording, error_problem(openai, recording, call))
    tally.finish(capsys, 4)


def test_trap_112_errors_inside_an_answer_with_status_200(gateway, up, anthropic_client, capsys):
    client, tally = anthropic_client(gateway), Tally("Anthropic SDK, errors with status 200")
    found = [r for kind in OPENAI_KINDS for r in recordings.load(kind)
             if r.status == 200 and is_message(r) and in_band_error(r)]
    for number, recording in enumerate(found):
        play(up, recording, number)
        call = (lambda: stream_anthropic(client, "k")) if recording.stream else (lambda: ask_anthropic(client, "k"))
        tally.judge(recording, in_band_problem(recording, call))
    tally.finish(capsys, 3)


def in_band_problem(recording, call):
    try:
        answer = call()
    except anthropic.APIStatusError as e:
        words = words_of(in_band_error(recording))
        return None if words in e.message else f"message {e.message!r} without {words!r}"
    return f"no error but {answer!r}"
