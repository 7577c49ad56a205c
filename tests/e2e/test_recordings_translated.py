"""Recorded errors that came with status 200, translated: the official SDK of another dialect must raise them as errors. What it makes
of other errors and of answers is test_recordings_product.py's.
"""

import anthropic
import pytest

from lib import expected
from lib.recordings_tally import Tally, in_band_error, in_band_errors, play
from test_recordings_product import words_of

pytestmark = [pytest.mark.usefixtures("need_recordings"), pytest.mark.timeout(600)]

OPENAI_KINDS = ("openai_chat", "openai_compat_chat")


@pytest.fixture(scope="module")
def up(module_faultd):
    return module_faultd()


@pytest.fixture(scope="module")
def gateway(start_module_gateway, up):
    return start_module_gateway({
        "providers": {"compat": {"type": "openai-compatible", "base_url": f"{up.origin}/v1", "models": ["k"]}}})


# ---- asking ---------------------------------------------------------------------------------------------------------------

def ask_anthropic(client, model):
    return expected.of_anthropic_sdk(client.messages.create(
        model=model, max_tokens=1000, messages=[{"role": "user", "content": "Hi"}]))


def stream_anthropic(client, model):
    with client.messages.stream(model=model, max_tokens=1000, messages=[{"role": "user", "content": "Hi"}]) as stream:
        return expected.of_anthropic_sdk(stream.get_final_message())


def test_trap_112_errors_inside_an_answer_with_status_200(gateway, up, anthropic_client, capsys):
    client, tally = anthropic_client(gateway), Tally("Anthropic SDK, errors with status 200")
    for number, recording in enumerate(in_band_errors(OPENAI_KINDS)):
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
