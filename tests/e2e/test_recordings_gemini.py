"""Recorded traffic of Gemini: relayed byte for byte in both forms of stream; translated for the SDKs of the other dialects; and
what other providers answered, read by Google's own SDK.

Each test goes through all recordings of a kind and reports the wrong ones together, by the recordings' ids.
"""

import json
import re

import openai
import pytest
from google.genai import errors as genai_errors

from lib import expected, recordings
from lib.recordings_tally import Tally, play, successes

pytestmark = [pytest.mark.usefixtures("need_recordings"), pytest.mark.timeout(600)]

ASK = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}


@pytest.fixture(scope="module")
def up(module_faultd):
    return module_faultd()


@pytest.fixture(scope="module")
def gateway(start_module_gateway, up):
    return start_module_gateway({"providers": {
        "google": {"type": "google", "base_url": up.origin, "api_key": "up", "default": True, "discover": False,
                   "models": ["g"]},
        "chat": {"type": "openai", "base_url": f"{up.origin}/v1", "api_key": "up", "models": ["c"]},
        "compat": {"type": "openai-compatible", "base_url": f"{up.origin}/v1", "models": ["k"]},
        "claude": {"type": "anthropic", "base_url": up.origin, "api_key": "up", "models": ["a"]}}})


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
    if request.body != sent:
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


# ---- the other dialects' SDKs in front of Gemini -----------------------------------------------------------------------

def problem_of(want, take):
    """What is wrong with the answer that take() returns, in words; None if nothing is."""
    try:
        got = take()
    except Exception as e:      # every kind is a finding about this recording
        return f"{type(e).__name__}: {e}"
    return ", ".join(f"{k} {got_!r}, recorded {want_!r}"[:400]
                     for k, (got_, want_) in got.differences(want).items()) or None


def ask_openai(client):
    return expected.of_openai_sdk(client.chat.completions.create(model="g", messages=[{"role": "user", "content": "Hi"}]))


def stream_openai(client):
    with client.chat.completions.stream(model="g", messages=[{"role": "user", "content": "Hi"}],
                                        stream_options={"include_usage": True}) as stream:
        try:
            return expected.of_openai_sdk(stream.get_final_completion())
        except openai.LengthFinishReasonError as e:     # its way to say that the answer is cut
            return expected.of_openai_sdk(e.completion)
        except openai.ContentFilterFinishReasonError:
            return expected.Answer(stop="refusal")


def ask_anthropic(client):
    return expected.of_anthropic_sdk(client.messages.create(
        model="g", max_tokens=1000, messages=[{"role": "user", "content": "Hi"}]))


def stream_anthropic(client):
    with client.messages.stream(model="g", max_tokens=1000, messages=[{"role": "user", "content": "Hi"}]) as stream:
        return expected.of_anthropic_sdk(stream.get_final_message())


def numbers(answer):
    """Tokens that the provider never said are 0 towards SDKs that insist on numbers."""
    answer.input, answer.output = answer.input or 0, answer.output or 0
    return answer


TAKES = {("openai", False): ask_openai, ("openai", True): stream_openai,
         ("anthropic", False): ask_anthropic, ("anthropic", True): stream_anthropic}


@pytest.mark.parametrize("stream, at_least", [(False, 195), (True, 40)], ids=["whole", "streamed"])
@pytest.mark.parametrize("sdk", ["openai", "anthropic"])
def test_sdks_assemble_gemini_answers(gateway, up, openai_client, anthropic_client, capsys, sdk, stream, at_least):
    client = openai_client(gateway) if sdk == "openai" else anthropic_client(gateway)
    tally = Tally(f"{sdk} SDK in front of gemini, {'streamed' if stream else 'whole'}")
    for number, recording in enumerate(answers("streamGenerateContent" if stream else "generateContent")):
        play(up, recording, number)
        want = numbers(expected.gemini_streamed(recording) if stream else expected.gemini_whole(recording))
        tally.judge(recording, problem_of(want, lambda: numbers(TAKES[sdk, stream](client))))
    tally.finish(capsys, at_least)


# ---- Google's SDK in front of the others -------------------------------------------------------------------------------

def ask_genai(client, model):
    return expected.of_genai_sdk([client.models.generate_content(model=model, contents="Hi")])


def stream_genai(client, model):
    return expected.of_genai_sdk(client.models.generate_content_stream(model=model, contents="Hi"))


WANT = {("openai", False): expected.openai_whole, ("openai", True): expected.openai_streamed,
        ("anthropic", False): expected.anthropic_whole, ("anthropic", True): expected.anthropic_streamed}


def as_object(arguments):
    """The vendor's calls have objects; a model's broken JSON is an empty one there."""
    return arguments if isinstance(arguments, dict) else {}


def wanted(kind, recording):
    answer = numbers(WANT[kind.partition("_")[0], recording.stream](recording))
    answer.tools = [(name, as_object(arguments)) for name, arguments in answer.tools]
    return answer


@pytest.mark.parametrize("kind, model, stream, at_least", [
    ("openai_chat", "c", False, 185), ("openai_chat", "c", True, 60), ("openai_compat_chat", "k", False, 230),
    ("openai_compat_chat", "k", True, 50), ("anthropic_messages", "a", False, 175), ("anthropic_messages", "a", True, 100)])
def test_google_sdk_assembles_other_answers(gateway, up, genai_client, capsys, kind, model, stream, at_least):
    client = genai_client(gateway)
    tally = Tally(f"Google SDK in front of {kind}, {'streamed' if stream else 'whole'}")
    for number, recording in enumerate(successes([kind], stream)):
        play(up, recording, number)
        tally.judge(recording, problem_of(wanted(kind, recording),
                                          lambda: (stream_genai if stream else ask_genai)(client, model)))
    tally.finish(capsys, at_least)


# ---- errors ------------------------------------------------------------------------------------------------------------

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


def test_trap_107_errors_reach_the_openai_sdk(gateway, up, openai_client, capsys):
    client, tally = openai_client(gateway), Tally("OpenAI SDK, recorded errors of Gemini")
    for number, recording in enumerate(failures()):
        play(up, recording, number)
        want = 502 if is_our_key(recording) else recording.status
        try:
            problem = f"no error but {ask_openai(client)!r}"
        except openai.APIStatusError as e:
            said = json.loads(recording.body)["error"]["message"]
            good = e.status_code == want and (want == 502 or said in e.message)
            problem = None if good else f"{e.status_code} {e.message!r}"
        tally.judge(recording, problem)
    tally.finish(capsys, 5)
