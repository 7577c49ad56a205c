"""OpenAI's own recorded answers at the Responses front: they pass byte for byte. What the SDK makes of those of other dialects is
test_recordings_product.py's.

Each test goes through all recordings of a kind and reports the wrong ones together, by the recordings' ids.
"""

import json

import pytest

from lib import recordings
from lib.recordings_tally import Tally, play
from test_codec_responses import answers
from test_recordings_product import words_of
from test_recordings_relay import Wire, dumps

pytestmark = [pytest.mark.usefixtures("need_recordings"), pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def up(module_faultd):
    return module_faultd()


@pytest.fixture(scope="module")
def gateway(start_module_gateway, up):
    return start_module_gateway({
        "providers": {"openai": {"type": "openai", "base_url": f"{up.origin}/v1", "api_key": "sk-up", "models": ["o"]}}})


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


def asides(path):
    """What is asked beside turns."""
    return [r for r in recordings.load("responses") if r.target.endswith(path)]


@pytest.mark.parametrize("path, at_least", [("/responses/compact", 5), ("/responses/input_tokens", 4)])
def test_what_else_openai_answers_passes_byte_for_byte(gateway, up, capsys, path, at_least):
    wire, tally = Wire(gateway), Tally(f"responses, {path}, byte-identical")
    for number, recording in enumerate(asides(path)):
        script, body = play(up, recording, number), dumps({**recording.req, "model": "o"})
        response = wire.post("/v1" + path, body)
        got = script.wait_for_request().request
        problem = None if (got.body, got.target) == (body, "/v1" + path) else f"{got.target} {got.body[:300]!r}"
        if (response.status, response.body) != (200, recording.body):
            problem = f"{response.status} {response.body[:300]!r}"
        tally.judge(recording, problem)
    tally.finish(capsys, at_least)


def test_openais_errors_are_its_own(gateway, up, capsys):
    """In its own words; what is wrong with our own key is a 502 (trap 108)."""
    wire, tally = Wire(gateway), Tally("responses, errors")
    for number, recording in enumerate(r for r in recordings.load("responses") if r.status >= 400):
        play(up, recording, number)
        response = wire.post("/v1/responses", dumps({"model": "o", "input": "Hi", "store": False}))
        ours = recording.status == 401 and response.status == 502
        right = ours or (response.status == recording.status and response.json()["error"]["message"] == words_of(json.loads(recording.body)))
        tally.judge(recording, None if right else f"{response.status} {response.body[:300]!r}")
    tally.finish(capsys, 13)


def test_an_unknown_model_is_400_here(gateway):
    response = Wire(gateway).post("/v1/responses", dumps({"model": "nobody-has-it", "input": "Hi"}))
    assert response.status == 400
    assert json.loads(response.body)["error"]["code"] == "model_not_found"
