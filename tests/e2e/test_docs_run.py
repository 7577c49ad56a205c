"""The documents as a newcomer reads them: what they tell to type is typed, what they tell to set is set, and every path they name is
served. (What the README itself shows is run in test_readme.py; the agents' configurations in test_agents.py.)
"""

import json
import os
import re
import subprocess
import tomllib

import pytest

from lib import canned
from lib.codec import find_codec
from lib.gateway import CHECKOUT
from test_readme import ADDRESS, DOCUMENTS, block_with, blocks, code_spans

DOCS = CHECKOUT / "docs"
MODELS = ["gpt-4o", "claude-sonnet-4-5"]


@pytest.fixture
def gateway(start_gateway, upstream):
    upstream.reply("POST", "/v1/chat/completions", body=canned.openai_answer("Hello there."))
    upstream.reply("POST", "/v1/embeddings", body=b'{"object":"list","data":[{"object":"embedding","index":0,"embedding":[1]}]}')
    return start_gateway({"providers": {"up": {"type": "openai-compatible", "base_url": f"{upstream.origin}/v1", "models": MODELS}}})


# ---- variables -----------------------------------------------------------------------------------------------------------

def variables():
    """Every block of the documents that sets where a client finds the gateway."""
    found = [(path.stem, i, block) for path in DOCUMENTS for i, block in enumerate(blocks(path, "sh")) if ADDRESS in block and "curl" not in block]
    return [pytest.param(block, id=f"{stem}-{i}") for stem, i, block in found]


def ask_openai():
    with pytest.importorskip("openai").OpenAI(max_retries=0) as client:
        return client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}]).choices[0].message.content


def ask_anthropic():
    with pytest.importorskip("anthropic").Anthropic(max_retries=0) as client:
        return client.messages.create(model="gpt-4o", max_tokens=10, messages=[{"role": "user", "content": "Hi"}]).content[0].text


def ask_google():
    client = pytest.importorskip("google.genai").Client()
    try:
        return client.models.generate_content(model="gpt-4o", contents="Hi").text
    finally:
        client.close()


def ask_ollama():
    ollama = pytest.importorskip("ollama")
    client = ollama.Client(host=os.environ["OLLAMA_HOST"])
    try:
        return client.chat(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}]).message.content
    finally:
        client._client.close()


ASK = {"OPENAI_BASE_URL": ask_openai, "ANTHROPIC_BASE_URL": ask_anthropic, "GOOGLE_GEMINI_BASE_URL": ask_google, "OLLAMA_HOST": ask_ollama}


@pytest.mark.parametrize("block", variables())
def test_the_variables_are_all_that_an_sdk_needs(block, gateway, monkeypatch):
    said = dict(re.findall(r"^export (\w+)=(\S+)", block, re.M))
    for name, value in said.items():
        monkeypatch.setenv(name, value.replace(ADDRESS, gateway.url))
    asked = [ask() for name, ask in ASK.items() if name in said]
    assert asked == ["Hello there."]


def test_every_sdk_has_its_variables_in_the_documents():
    assert {name for p in variables() for name in re.findall(r"^export (\w+)=", p.values[0], re.M)} >= set(ASK)


def test_the_configuration_of_codex_leads_to_a_route(gateway):
    provider = tomllib.loads(block_with(DOCS / "agents.md", "toml", "wire_api"))["model_providers"]["gateway"]
    path = provider["base_url"].replace(ADDRESS, "") + "/" + provider["wire_api"]
    assert gateway.request("POST", path, body=b'{"model":"gpt-4o","input":"Hi"}').status == 200


# ---- keys ----------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["gateway-keys.md", "configuration.md"])
def test_a_key_made_as_told_opens(name, start_gateway, upstream):
    upstream.reply("POST", "/v1/chat/completions", body=canned.openai_answer("Hello there."))
    block = block_with(DOCS / name, "sh", "sha256sum")
    done = subprocess.run(["bash", "-ec", block], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    key, digest = done.stdout.split()[:2]
    gateway = start_gateway({
        "providers": {"up": {"type": "openai-compatible", "base_url": f"{upstream.origin}/v1", "models": MODELS}},
        "auth": {"keys": [{"name": "alice", "sha256": digest}]}})
    body = json.dumps(canned.request("openai-chat", "gpt-4o")).encode()
    carriers = [{"authorization": f"Bearer {key}"}, {"x-api-key": key}, {"api-key": key}, {"x-goog-api-key": key}]
    assert [gateway.request("POST", "/v1/chat/completions", h, body).status for h in carriers] == [200] * 4
    assert gateway.request("POST", f"/v1/chat/completions?key={key}", body=body).status == 200
    assert gateway.request("POST", "/v1/chat/completions", {"x-api-key": "gw-other"}, body).status == 401
    assert gateway.request("POST", "/v1/chat/completions", body=body).status == 401


# ---- programs -------------------------------------------------------------------------------------------------------------

def test_python_of_the_responses_state_runs(gateway, upstream, openai_client):
    block = block_with(DOCS / "responses-state.md", "python", "previous_response_id")
    names = {"client": openai_client(gateway)}
    exec(compile(block, "responses-state.md", "exec"), names)     # the document's own lines
    assert (names["one"].output_text, names["two"].output_text) == ("Hello there.", "Hello there.")
    second = upstream.requests[-1].json()
    assert second["model"] == "gpt-4o" and "My name is Ann." in json.dumps(second)
    with pytest.raises(pytest.importorskip("openai").NotFoundError):
        names["client"].responses.retrieve(names["two"].id)


@pytest.mark.skipif(find_codec() is None, reason="tests/tools/codec is not built")
def test_commands_for_codecs_do_what_is_said(tmp_path):
    (tmp_path / "recorded.sse").write_bytes(canned.anthropic_stream(("Hel", "lo")))
    (tmp_path / "request.json").write_text(json.dumps(canned.request("openai-chat", "m", seed=1)))
    lines = block_with(DOCS / "adding-a-protocol.md", "sh", "codec request").splitlines()
    shown = [subprocess.run(["bash", "-ec", line.replace("codec", find_codec(), 1)], cwd=tmp_path, capture_output=True, text=True,
                            timeout=30) for line in lines]
    assert [done.returncode for done in shown] == [0, 0, 0], shown
    events, stream, request = (done.stdout for done in shown)
    assert json.loads(events.splitlines()[-1])["end"] == "ok"
    assert stream.startswith("data: ") and stream.rstrip().endswith("[DONE]")
    assert json.loads(request)["dropped"] == "seed"


# ---- paths ----------------------------------------------------------------------------------------------------------------

OF_THE_ENGINE = {"/v1/chat/completions/input_tokens"}     # llama-server's own


def paths():
    """{(method or None, path)} of the code in the documents that is one, without those that only begin one."""
    found = {}
    for path in DOCUMENTS:
        for span in code_spans(path):
            m = re.fullmatch(r"(?:(GET|POST|DELETE|HEAD) )?(/(?:v1|v1beta|api|openai|anthropic|google)/[\w/{}.:?=&-]+)", span)
            if m and m.group(2) not in OF_THE_ENGINE and not re.fullmatch(r"/openai/(v1|deployments/[\w{}]+)", m.group(2)):
                found.setdefault((m.group(1), m.group(2)), path.name)
    return found


def test_every_path_in_the_documents_is_served(gateway):
    """An answer other than "there is no such path": a body may be missing, or an id unknown."""
    assert len(paths()) > 30
    missing = []
    for (method, path), document in paths().items():
        real = re.sub(r"\{[a-z]+\}|MODEL|NAME", "gpt-4o", path)
        answers = [gateway.request(m, real, body=b"{}" if m == "POST" else None) for m in ([method] if method else ["GET", "POST"])]
        said = [a.status != 404 or b"gpt-4o" in a.body for a in answers]
        if not any(said):
            missing.append((document, method, path, answers[0].status, answers[0].body[:100]))
    assert not missing
