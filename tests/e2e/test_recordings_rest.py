"""What was recorded beside turns and vectors: lists of models, errors of embeddings, counts, completions of old, requests that go on
with what the provider keeps, and answers made in the background and fetched. All of it through a running gateway.

Each test goes through all recordings of a kind and reports the wrong ones together, by the recordings' ids.
"""

import json
import urllib.parse

import ollama
import openai
import pytest
from google.genai import errors as genai_errors

from lib import recordings
from lib.recordings_tally import Tally, play
from lib.stand import wait_until
from test_recordings_product import words_of
from test_recordings_relay import dumps

pytestmark = [pytest.mark.usefixtures("need_recordings"), pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def up(module_faultd):
    return module_faultd()


@pytest.fixture(scope="module")
def gateway(start_module_gateway, up):
    return start_module_gateway({"providers": {
        "openai": {"type": "openai", "base_url": f"{up.origin}/v1", "api_key": "sk-up", "discover": False, "default": True},
        "anthropic": {"type": "anthropic", "base_url": up.origin, "api_key": "sk-up", "discover": False}}})


def post(gateway, path, body, *headers):
    return gateway.request("POST", path, [("content-type", "application/json"), *headers], body)


def relay_problem(up, gateway, recording, number, path, *headers):
    """The recorded request and answer pass byte for byte."""
    script, sent = play(up, recording, number), dumps(recording.req)
    response = post(gateway, path, sent, *headers)
    got = script.wait_for_request().request
    if (got.target, got.body) != (path, sent):
        return f"upstream got {got.target} {got.body[:300]!r}"
    right = (response.status, response.body) == (recording.status, recording.body)
    return None if right else f"{response.status} {response.body[:300]!r}"


# ---- models ----------------------------------------------------------------------------------------------------------------

def lists():
    return [r for r in recordings.load("models") if r.method == "GET" and r.target.endswith("/models") and r.status == 200]


def test_recorded_lists_are_discovered_and_shown_in_every_shape(start_gateway, up, openai_client, anthropic_client, genai_client,
                                                                ollama_client, capsys):
    tally = Tally("models, discovered and listed in every shape")
    for recording in lists():
        up.clear()
        up.reply("GET", "/v1/models", body=recording.body, headers=recording.answer_headers())
        gateway = start_gateway({"providers": {"shop": {"type": "openai-compatible", "base_url": f"{up.origin}/v1"}}})
        want = {m["id"] for m in json.loads(recording.body)["data"]}
        wait_until(lambda: openai_client(gateway).models.list().data, what="the list")
        seen = {"openai": [m.id for m in openai_client(gateway).models.list()],
                "anthropic": [m.id for m in anthropic_client(gateway).models.list()],
                "gemini": [m.name.removeprefix("models/") for m in genai_client(gateway).models.list()],
                "ollama": [m.model for m in ollama_client(gateway).list().models]}
        wrong = [shape for shape, ids in seen.items() if sorted(ids) != sorted(want)]
        tally.judge(recording, f"{ {s: set(seen[s]) ^ want for s in wrong} }" if wrong or not want else None)
    tally.finish(capsys, 1)


# ---- embeddings --------------------------------------------------------------------------------------------------------------

def embedding_errors():
    return [r for r in recordings.load("embeddings") if r.target.endswith("/embeddings") and r.status != 200]


def test_trap_107_108_every_sdk_raises_the_errors_of_embeddings(gateway, up, openai_client, genai_client, ollama_client, capsys):
    """With the status and the vendor's words; what is wrong with our own key is a 502."""
    tally, model = Tally("embeddings, errors raised by every SDK"), "text-embedding-3-small"
    asks = {
        "openai": lambda: openai_client(gateway).embeddings.create(model=model, input="Hi"),
        "gemini": lambda: genai_client(gateway).models.embed_content(model=model, contents="Hi"),
        "ollama": lambda: ollama_client(gateway).embed(model=model, input="Hi")}
    for number, recording in enumerate(embedding_errors()):
        for name, ask in asks.items():
            script = play(up, recording, number)
            tally.judge(recording, embedding_problem(name, recording, ask))
            assert script.wait_for_request().request.target == "/v1/embeddings"
    tally.finish(capsys, 9)


def embedding_problem(name, recording, ask):
    ours = recording.status == 401
    try:
        return f"{name}: no error but {ask()!r}"
    except openai.APIStatusError as e:
        status, said = e.status_code, e.message
    except genai_errors.APIError as e:
        status, said = e.code, e.message
    except ollama.ResponseError as e:
        status, said = e.status_code, e.error
    if status != (502 if ours else recording.status):
        return f"{name}: {status} {said!r}"
    return None if ours or words_of(json.loads(recording.body)) in said else f"{name}: {said!r}"


# ---- Anthropic, beside messages ----------------------------------------------------------------------------------------------

def anthropic_asides(path):
    return [r for r in recordings.load("anthropic_messages") if r.target.endswith(path) and r.status == 200]


@pytest.mark.parametrize("path, at_least", [("/v1/messages/count_tokens", 5), ("/v1/complete", 1)])
def test_what_else_anthropic_answers_passes_byte_for_byte(gateway, up, capsys, path, at_least):
    tally = Tally(f"anthropic, {path}, byte-identical")
    for number, recording in enumerate(anthropic_asides(path)):
        tally.judge(recording, relay_problem(up, gateway, recording, number, path, ("anthropic-version", "2023-06-01")))
    tally.finish(capsys, at_least)


# ---- what the provider of Responses keeps --------------------------------------------------------------------------------------

def kept_by_the_provider():
    """Requests that name a conversation or an answer of the provider's own."""
    return [r for r in recordings.load("responses") if r.status == 200 and isinstance(r.req, dict)
            and (r.req.get("conversation") or r.req.get("previous_response_id"))]


def test_requests_that_go_on_with_what_the_provider_keeps_pass_byte_for_byte(gateway, up, capsys):
    tally = Tally("responses, going on with what the provider keeps, byte-identical")
    for number, recording in enumerate(kept_by_the_provider()):
        tally.judge(recording, relay_problem(up, gateway, recording, number, urllib.parse.urlsplit(recording.uri).path))
    tally.finish(capsys, 13)


def background():
    """(request, the answer that was fetched in the end) of each recorded background response that got so far."""
    asked, pairs = {}, []
    for r in recordings.load("responses"):
        if r.method == "POST" and r.req.get("background") and not r.stream:
            asked[json.loads(r.body)["id"]] = r
        elif r.method == "GET" and json.loads(r.body)["status"] == "completed":
            pairs.append((asked[json.loads(r.body)["id"]], r))
    return pairs


def said(resource):
    """What it says, whoever gave its items their ids and counted in how much detail."""
    texts = [c["text"] for item in resource["output"] for c in item.get("content") or ()]
    calls = [(i["call_id"], i["name"], i["arguments"]) for i in resource["output"] if i["type"] == "function_call"]
    return [i["type"] for i in resource["output"]], texts, calls, [resource["usage"][f"{k}_tokens"] for k in ("input", "output", "total")]


def test_recorded_background_responses_are_made_here_and_fetched_here(gateway, up, capsys):
    """The gateway runs them itself: the provider sees an ordinary request, and nothing is fetched from it."""
    tally = Tally("responses in the background, fetched")
    for number, (asked, fetched) in enumerate(background()):
        play(up, fetched, number)
        before = len(up.requests)
        made = post(gateway, "/v1/responses", dumps(asked.req)).json()
        path = f"/v1/responses/{made['id']}"
        done = wait_until(lambda: (r := gateway.request("GET", path).json())["status"] not in ("queued", "in_progress") and r,
                          what="the answer")
        sent, want = up.requests[before:], json.loads(fetched.body)
        problem = None
        if len(sent) != 1 or sent[0].json().get("background") or sent[0].json()["input"] != asked.req["input"]:
            problem = f"upstream got {[(r.method, r.target, r.body[:300]) for r in sent]}"
        elif made["status"] not in ("queued", "in_progress") or made["background"] is not True:
            problem = f"started as {made}"
        elif (done["status"], said(done)) != ("completed", said(want)):
            problem = f"{said(done)} for {said(want)}"
        elif (done["background"], done["tool_choice"], [t["name"] for t in done["tools"]]) != (
                True, want["tool_choice"], [t["name"] for t in want["tools"]]):
            problem = f"not what was asked: {done}"
        tally.judge(fetched, problem)
    tally.finish(capsys, 3)
