"""OpenAI's embeddings: recorded traffic passes byte for byte, the codec reads every recorded vector to the last bit, and the
official SDK, which asks for base64 unless told otherwise, gets what the upstream sent.
"""

import base64
import json
import struct

import openai
import pytest

from lib import canned, recordings
from lib.codec import codec, find_codec
from lib.recordings_tally import Tally, play

INT8 = "perplexity.ai"      # its base64 holds int8: passed on, never translated


def is_embedding(recording):
    return recording.target.endswith("/embeddings") and recording.status == 200


def answers(translated=False):
    return [r for r in recordings.load("embeddings") if is_embedding(r) and not (translated and INT8 in r.uri)]


def floats(value):
    """The numbers of a vector in either form."""
    if isinstance(value, list):
        return value
    data = base64.b64decode(value)
    return list(struct.unpack(f"<{len(data) // 4}f", data))


@pytest.fixture(scope="module")
def up(module_faultd):
    return module_faultd()


@pytest.fixture(scope="module")
def gateway(start_module_gateway, up):
    return start_module_gateway({"providers": {
        "upstream": {"type": "openai-compatible", "base_url": f"{up.origin}/v1", "default": True, "discover": False},
        "named": {"type": "openai-compatible", "base_url": f"{up.origin}/v1", "discover": False}},
        "models": [{"name": "vectors", "provider": "named", "provider_model_id": "text-embedding-3-small"}]})


@pytest.mark.usefixtures("need_recordings")
def test_recorded_embeddings_are_relayed_byte_for_byte(gateway, up, capsys):
    tally = Tally("embeddings, byte-identical")
    for number, recording in enumerate(answers()):
        script = play(up, recording, number)
        sent = json.dumps(recording.req or json.loads(recording.req_raw), ensure_ascii=False).encode()
        with gateway.connect(timeout=60) as client:
            client.request("POST", "/v1/embeddings", [("content-type", "application/json")], sent)
            response = client.read_response("POST")
        got = script.wait_for_request().request
        problem = None
        if (response.status, response.body) != (200, recording.body):
            problem = f"{response.status}, {len(response.body)} bytes of {len(recording.body)}"
        elif got.body != sent or got.target != "/v1/embeddings":
            problem = f"upstream got {got.target} {got.body[:100]!r}"
        tally.judge(recording, problem)
    tally.finish(capsys, 35)


@pytest.mark.usefixtures("need_recordings")
@pytest.mark.skipif(find_codec() is None, reason="tests/tools/codec is not built")
def test_trap_099_recorded_vectors_keep_every_bit_in_both_forms(capsys):
    tally, chosen = Tally("embeddings, translated"), answers(translated=True)
    bodies = [r.body for r in chosen]
    for recording, numbers, packed in zip(chosen, codec("embed", "openai-chat", "openai-chat", inputs=bodies),
                                          codec("embed64", "openai-chat", "openai-chat", inputs=bodies)):
        said, problem = json.loads(recording.body), None
        want = [item["embedding"] for item in sorted(said["data"], key=lambda item: item["index"])]
        plain, coded = json.loads(numbers), json.loads(packed)
        for k, vector in enumerate(want):
            bits = struct.pack(f"<{len(floats(vector))}f", *floats(vector))
            if plain["data"][k]["index"] != k or coded["data"][k]["index"] != k:
                problem = "index"
            elif base64.b64decode(coded["data"][k]["embedding"]) != bits:
                problem = f"vector {k} in base64"
            elif isinstance(vector, list) and plain["data"][k]["embedding"] != vector:
                problem = f"vector {k}: not the vendor's own numbers"
            elif struct.pack(f"<{len(bits) // 4}f", *plain["data"][k]["embedding"]) != bits:
                problem = f"vector {k} in numbers"
        if len(plain["data"]) != len(want) or plain["usage"]["prompt_tokens"] != said["usage"]["prompt_tokens"]:
            problem = f"{len(plain['data'])} vectors, usage {plain['usage']}"
        tally.judge(recording, problem)
    tally.finish(capsys, 35)


@pytest.mark.usefixtures("need_recordings")
@pytest.mark.skipif(find_codec() is None, reason="tests/tools/codec is not built")
def test_recorded_requests_come_out_as_they_went_in(capsys):
    tally, chosen = Tally("embeddings, requests"), answers()
    sent = [json.dumps(r.req or json.loads(r.req_raw)).encode() for r in chosen]
    for recording, body, out in zip(chosen, sent, codec("embed-request", "openai-chat", "openai-chat", inputs=sent)):
        got, want = json.loads(out), {**json.loads(body), "model": "model-1"}
        if want.get("encoding_format") == "float":      # what comes unasked
            del want["encoding_format"]
        tally.judge(recording, None if got.get("body") == want and got["dropped"] is None else out[:300])
    tally.finish(capsys, 35)


# ---- every dialect's vectors for every other dialect's clients ---------------------------------------------------------------

def vectors_of(dialect, body):
    """(the vectors, tokens or None) of an answer."""
    if dialect == "openai-chat":
        return [floats(i["embedding"]) for i in sorted(body["data"], key=lambda i: i["index"])], body["usage"]["prompt_tokens"]
    if dialect == "gemini":
        return [e["values"] for e in body["embeddings"]], (body.get("usageMetadata") or {}).get("promptTokenCount")
    return body["embeddings"], body.get("prompt_eval_count")


BATCH = "3"     # batchEmbedContents among the forms of Gemini's routes (GM_BATCH)


def texts_of(dialect, body):
    if dialect == "gemini":
        return ["".join(p.get("text", "") for p in r["content"]["parts"]) for r in body["requests"]]
    return [body["input"]] if isinstance(body["input"], str) else body["input"]


RECORDED = {"openai-chat": lambda: answers(translated=True),
            "gemini": lambda: [r for r in recordings.load("gemini") if r.target.endswith(":batchEmbedContents") and r.status == 200],
            "ollama-chat": lambda: [r for r in recordings.load("ollama_native") if r.target == "/api/embed" and r.status == 200]}
PAIRS = [(d, f) for d in RECORDED for f in RECORDED if d != f]


def as_float32(vector):
    return struct.pack(f"<{len(vector)}f", *vector)


@pytest.mark.usefixtures("need_recordings")
@pytest.mark.skipif(find_codec() is None, reason="tests/tools/codec is not built")
@pytest.mark.parametrize("dialect, front", PAIRS)
def test_trap_099_recorded_vectors_for_every_other_dialect(capsys, dialect, front):
    tally, chosen = Tally(f"embeddings of {dialect} for {front}"), RECORDED[dialect]()
    for recording, out in zip(chosen, codec("embed", dialect, front, inputs=[r.body for r in chosen])):
        want, tokens = vectors_of(dialect, json.loads(recording.body))
        got, counted = vectors_of(front, json.loads(out))
        right = [as_float32(v) for v in want] == [as_float32(v) for v in got]
        tally.judge(recording, None if right and (counted or 0) == (tokens or 0) else f"{len(got)} vectors, {counted} tokens of {tokens}")
    tally.finish(capsys, 4)


@pytest.mark.usefixtures("need_recordings")
@pytest.mark.skipif(find_codec() is None, reason="tests/tools/codec is not built")
@pytest.mark.parametrize("dialect, target", PAIRS)
def test_trap_099_recorded_requests_towards_every_other_dialect(capsys, dialect, target):
    tally, chosen = Tally(f"embeddings, requests of {dialect} towards {target}"), RECORDED[dialect]()
    sent = [r.req or json.loads(r.req_raw) for r in chosen]
    for recording, body, out in zip(chosen, sent, codec("embed-request", dialect, target, *([BATCH] if dialect == "gemini" else []),
                                                   inputs=[json.dumps(b).encode() for b in sent])):
        out = json.loads(out)
        problem = out.get("error")
        if problem and any(why in problem for why in ("picture", "image", "text")):     # one recording embeds a picture
            problem = None if "inlineData" in json.dumps(body) or "inline_data" in json.dumps(body) else problem
        if "body" in out and texts_of(target, out["body"]) != texts_of(dialect, body):
            problem = f"{texts_of(target, out['body'])} of {texts_of(dialect, body)}"
        tally.judge(recording, problem)
    tally.finish(capsys, 4)


# ---- the official SDK ---------------------------------------------------------------------------------------------------------

VECTORS = [[0.5, -0.25, 0.1], [1.0, 2.0, -3.5]]


def answer(request):
    """An OpenAI-type server: base64 for who asks for it."""
    def form(v):
        return base64.b64encode(struct.pack("<3f", *v)).decode() if request.get("encoding_format") == "base64" else v
    return json.dumps({"object": "list", "model": "text-embedding-3-small", "usage": {"prompt_tokens": 5, "total_tokens": 5},
                       "data": [{"object": "embedding", "index": i, "embedding": form(v)} for i, v in enumerate(VECTORS)]}).encode()


def reply(up):
    up.clear()
    up.reply("POST", "/v1/embeddings", when=lambda r: r.json().get("encoding_format") == "base64",
             body=answer({"encoding_format": "base64"}))
    return up.reply("POST", "/v1/embeddings", body=answer({}))


def close(got, want):
    return all(abs(g - w) < 1e-6 for g, w in zip(got, want)) and len(got) == len(want)


def test_the_sdk_gets_vectors_through_base64_and_as_numbers(gateway, up, openai_client):
    reply(up)
    client = openai_client(gateway)
    made = client.embeddings.create(model="vectors", input=["a", "b"])      # the SDK asks for base64
    assert all(close(d.embedding, v) for d, v in zip(made.data, VECTORS)) and [d.index for d in made.data] == [0, 1]
    assert made.usage.prompt_tokens == 5
    made = client.embeddings.create(model="vectors", input=[[1, 2], [3]], encoding_format="float", dimensions=3, user="u")
    assert [d.embedding for d in made.data] == VECTORS
    sent = [json.loads(r.body) for r in up.requests][-2:]
    assert sent[0] == {"model": "text-embedding-3-small", "input": ["a", "b"], "encoding_format": "base64"}
    assert sent[1] == {"model": "text-embedding-3-small", "input": [[1, 2], [3]], "encoding_format": "float", "dimensions": 3,
                       "user": "u"}


def test_an_upstreams_refusal_reaches_the_sdk(gateway, up, openai_client):
    up.clear()
    up.reply("POST", "/v1/embeddings", status=400, body=json.dumps({"error": {
        "message": "too long", "type": "invalid_request_error", "param": "input", "code": None}}).encode())
    with pytest.raises(openai.BadRequestError) as e:
        openai_client(gateway, max_retries=0).embeddings.create(model="vectors", input="a")
    assert e.value.param == "input" and "too long" in str(e.value)
    up.clear()
    up.reply("POST", "/v1/embeddings", body=b"<html>no</html>", content_type="text/html")
    with pytest.raises(openai.InternalServerError):
        openai_client(gateway, max_retries=0).embeddings.create(model="vectors", input="a")


def test_a_cut_answer_without_length_is_no_answer(gateway, up, openai_client):
    up.clear()
    whole = answer({})
    up.reply("POST", "/v1/embeddings", body=whole[:-40], framing="close", keep_alive=False)
    with pytest.raises(openai.InternalServerError):
        openai_client(gateway, max_retries=0).embeddings.create(model="vectors", input="a")


# ---- every SDK with every kind of provider that has vectors ----------------------------------------------------------------------

SAID = [[0.5, -1.0, 0.25], [2.0, 3.0, -0.125]]      # what float32 holds exactly
TEXTS = ["rain in Bonn", "sun in Ulm"]


def openai_vectors(request):
    coded = json.loads(request.body).get("encoding_format") == "base64"
    data = [{"object": "embedding", "index": i, "embedding": base64.b64encode(struct.pack(f"<{len(v)}f", *v)).decode() if coded else v}
            for i, v in enumerate(SAID)]
    return canned.dumps({"object": "list", "model": "v", "data": data, "usage": {"prompt_tokens": 6, "total_tokens": 6}}).encode()


ANSWERS_BY_KIND = {
    "openai": ({"type": "openai-compatible"}, "/v1", "/v1/embeddings", openai_vectors),
    "gemini": ({"type": "google"}, "", "/v1beta/models/at-gemini:batchEmbedContents",
               canned.dumps({"embeddings": [{"values": v} for v in SAID]}).encode()),
    "ollama": ({"type": "ollama"}, "", "/api/embed", canned.dumps({"model": "at-ollama", "embeddings": SAID, "prompt_eval_count": 6}).encode()),
}


def embed_with(name, sdk, model):
    if name == "openai":
        return [d.embedding for d in sdk.embeddings.create(model=model, input=TEXTS).data]
    if name == "gemini":
        return [e.values for e in sdk.models.embed_content(model=model, contents=TEXTS).embeddings]
    return [list(e) for e in sdk.embed(model=model, input=TEXTS).embeddings]


@pytest.fixture(scope="module")
def everywhere(start_module_gateway, up):
    providers = {f"up-{kind}": {**more, "base_url": up.origin + path, "api_key": "k", "models": [f"at-{kind}"], "discover": False}
                 for kind, (more, path, _, _) in ANSWERS_BY_KIND.items()}
    claude = {"type": "anthropic", "base_url": up.origin, "api_key": "k", "models": ["at-anthropic"], "discover": False}
    return start_module_gateway({"providers": {**providers, "up-anthropic": claude}})


@pytest.mark.parametrize("kind", ANSWERS_BY_KIND)
@pytest.mark.parametrize("name", ["openai", "gemini", "ollama"])
def test_every_sdk_gets_the_vectors_of_every_provider(everywhere, up, openai_client, genai_client, ollama_client, name, kind):
    sdk = {"openai": openai_client, "gemini": genai_client, "ollama": ollama_client}[name](everywhere)
    _, _, path, body = ANSWERS_BY_KIND[kind]
    up.clear()
    up.reply("POST", path, body=body)
    assert embed_with(name, sdk, f"at-{kind}") == SAID
    sent = up.requests[-1].body.decode()
    assert len(up.requests) == 1 and all(text in sent for text in TEXTS)


@pytest.mark.parametrize("name", ["openai", "gemini", "ollama"])
def test_anthropic_has_no_vectors_and_every_sdk_hears_it(everywhere, up, openai_client, genai_client, ollama_client, name):
    sdk = {"openai": openai_client, "gemini": genai_client, "ollama": ollama_client}[name](everywhere)
    up.clear()
    with pytest.raises(Exception, match="no such operation|embeddings"):
        embed_with(name, sdk, "at-anthropic")
    assert not up.requests


# ---- more texts than a provider takes at once -------------------------------------------------------------------------------------

def batch_vectors(request):
    """Each text's own number, as Google tells it: 100 texts at most."""
    texts = [r["content"]["parts"][0]["text"] for r in json.loads(request.body)["requests"]]
    assert len(texts) <= 100
    return canned.dumps({"embeddings": [{"values": [float(text), 0.5]} for text in texts],
                         "usageMetadata": {"promptTokenCount": len(texts)}}).encode()


@pytest.mark.parametrize("name", ["openai", "ollama"])
def test_more_texts_than_google_takes_go_in_parts(everywhere, up, openai_client, ollama_client, name):
    up.clear()
    up.reply("POST", "/v1beta/models/at-gemini:batchEmbedContents", body=batch_vectors)
    texts = [str(i) for i in range(250)]
    if name == "openai":
        answer = openai_client(everywhere).embeddings.create(model="at-gemini", input=texts)
        got, tokens = [d.embedding for d in answer.data], answer.usage.prompt_tokens
        assert [d.index for d in answer.data] == list(range(250))
    else:
        answer = ollama_client(everywhere).embed(model="at-gemini", input=texts)
        got, tokens = [list(v) for v in answer.embeddings], answer.prompt_eval_count
    assert got == [[float(i), 0.5] for i in range(250)] and tokens == 250
    assert [len(json.loads(r.body)["requests"]) for r in up.requests] == [100, 100, 50]


def test_a_part_that_fails_fails_the_whole(everywhere, up, openai_client):
    up.clear()
    path = "/v1beta/models/at-gemini:batchEmbedContents"
    up.reply("POST", path, body=batch_vectors, times=1)
    up.reply("POST", path, status=400, body=canned.dumps({"error": {"code": 400, "message": "too long", "status": "INVALID_ARGUMENT"}}).encode())
    with pytest.raises(openai.BadRequestError, match="too long"):
        openai_client(everywhere).embeddings.create(model="at-gemini", input=[str(i) for i in range(150)])
    with pytest.raises(openai.BadRequestError, match="2048") as e:
        openai_client(everywhere).embeddings.create(model="at-gemini", input=["a"] * 2049)
    assert e.value.param == "input" and len(up.requests) == 2


def test_another_target_begins_with_the_first_part_again(start_gateway, faultd, openai_client):
    first, second = faultd(), faultd()
    path = "/v1beta/models/v:batchEmbedContents"
    first.reply("POST", path, body=batch_vectors, times=1)
    first.reply("POST", path, status=503, body=b"{}")
    second.reply("POST", path, body=batch_vectors)
    gateway = start_gateway({
        "providers": {name: {"type": "google", "base_url": u.origin, "api_key": "k", "discover": False}
                      for name, u in (("a", first), ("b", second))},
        "models": [{"name": "vectors", "targets": [{"provider": "a", "model": "v"}, {"provider": "b", "model": "v"}]}]})
    got = openai_client(gateway).embeddings.create(model="vectors", input=[str(i) for i in range(150)]).data
    assert [d.embedding for d in got] == [[float(i), 0.5] for i in range(150)]
    assert (len(first.requests), len(second.requests)) == (2, 2)
