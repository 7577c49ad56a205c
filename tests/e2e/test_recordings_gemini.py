"""Recorded traffic of Gemini: relayed byte for byte in both forms of stream; and its errors, as Google's own SDK raises them.
What SDKs make of answers is test_recordings_product.py's.

Each test goes through all recordings of a kind and reports the wrong ones together, by the recordings' ids.
"""

import json
import re

import pytest
from google.genai import errors as genai_errors

from lib import expected, recordings
from lib.recordings_tally import Tally, play

pytestmark = [pytest.mark.usefixtures("need_recordings"), pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def up(module_faultd):
    return module_faultd()


@pytest.fixture(scope="module")
def gateway(start_module_gateway, up):
    return start_module_gateway({"providers": {
        "google": {"type": "google", "base_url": up.origin, "api_key": "up", "default": True, "discover": False,
                   "models": ["g"]}}})


def verb_of(recording):
    return recording.target.rpartition(":")[2]


def model_of(recording):
    return re.search(r"models/([^:/]+):", recording.target).group(1)


def is_list(recording):
    return recording.body.lstrip().startswith(b"[")


def answers(verb, listed=False):
    return [r for r in recordings.load("gemini") if r.status == 200 and verb_of(r) == verb and is_list(r) == listed]


class Wire:
    """One connection to the gateway, kept over all recordings of a test."""

    def __init__(self, gateway):
        self.gateway, self.client = gateway, None

    def post(self, path, body):
        if self.client is None:
            self.client = self.gateway.connect(timeout=60)
        self.client.request("POST", path, [("content-type", "application/json")], body)
        response = self.client.read_response("POST")
        if response.headers.get("connection", "") == "close" or response.end != "complete":
            self.client.close()
            self.client = None
        return response


def in_vertex_ais_form(recording):
    """A request for a count that the Gemini API takes with a request around it."""
    return verb_of(recording) == "countTokens" and not {*recording.req} <= {"contents", "generateContentRequest"}


def relay_problem(up, wire, recording, number, query):
    """The recorded request and answer pass byte for byte, and the path upstream is the vendor's."""
    sent = json.dumps(recording.req, ensure_ascii=False).encode("utf-8", "surrogatepass")
    up.clear()
    script = up.reply("POST", body=recording.body, headers=recording.answer_headers(),
                      framing="chunked" if recording.stream else "length",
                      split=("random", number, 400) if recording.stream else None)
    path = f"/v1beta/models/{model_of(recording)}:{verb_of(recording)}{query}"
    response = wire.post(path, sent)
    request = script.wait_for_request().request
    if request.target != path:
        return f"upstream path {request.target}"
    if in_vertex_ais_form(recording):
        if request.json() != {"generateContentRequest": {"model": f"models/{model_of(recording)}", **recording.req}}:
            return f"upstream body {request.body[:200]!r}"
    elif request.body != sent:
        return f"upstream body {request.body[:200]!r}"
    if request.headers.get("x-goog-api-key") != "up":
        return f"upstream key {request.headers!r}"
    # What stands behind the end of a list is nobody's.
    if response.status != 200 or response.body.rstrip() != recording.body.rstrip() or response.end != "complete":
        return f"{response.status} {response.end}: {response.body[-200:]!r}"
    return None


@pytest.mark.parametrize("verb, listed, query, at_least", [
    ("generateContent", False, "", 195), ("streamGenerateContent", False, "?alt=sse", 40),
    ("streamGenerateContent", True, "", 7), ("countTokens", False, "", 7), ("batchEmbedContents", False, "", 14)])
def test_everything_is_relayed_byte_for_byte(gateway, up, capsys, verb, listed, query, at_least):
    wire, tally = Wire(gateway), Tally(f"gemini {verb}{query}, byte-identical")
    for number, recording in enumerate(answers(verb, listed)):
        tally.judge(recording, relay_problem(up, wire, recording, number, query))
    tally.finish(capsys, at_least)


# ---- errors ------------------------------------------------------------------------------------------------------------

def ask_genai(client, model):
    return expected.of_genai_sdk([client.models.generate_content(model=model, contents="Hi")])


def failures():
    return [r for r in recordings.load("gemini") if r.status != 200]


def is_our_key(recording):
    """Google's answer to a bad key is a 400: it is the gateway's own trouble, not the client's (trap 108)."""
    return recording.status in (401, 403) or b"API_KEY_INVALID" in recording.body


def test_errors_reach_google_sdk(gateway, up, genai_client, capsys):
    client, tally = genai_client(gateway), Tally("Google SDK, recorded errors of Gemini")
    for number, recording in enumerate(failures()):
        play(up, recording, number)
        want = 502 if is_our_key(recording) else recording.status
        try:
            problem = f"no error but {ask_genai(client, 'g')!r}"
        except genai_errors.APIError as e:
            said = json.loads(recording.body)["error"]["message"]
            good = e.code == want and (want == 502 or e.message == said)
            problem = None if good else f"{e.code} {e.message!r}"
        tally.judge(recording, problem)
    tally.finish(capsys, 5)
