"""The agents people run, each doing a small task with tool calls through the gateway, with nothing but the settings that
docs/agents.md gives: the provider behind is a scripted model of each kind. What the user sees at the end is what the file held,
the provider's requests are valid and whole, and nothing is dropped that the list here does not name.
"""

import json
import random
import re
import struct
import zlib

import pytest

from lib import agents, canned, node
from lib.gateway import CHECKOUT
from lib.vendors import VENDORS

# A protocol or a kind of provider joins by its name here.
KINDS = ["openai", "anthropic", "gemini", "ollama"]

each_kind = pytest.mark.parametrize("kind", KINDS)
DOCUMENT = (CHECKOUT / "docs" / "agents.md").read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:8080"       # as the document writes it


def section(heading, gateway):
    """What the document says under a heading, with the gateway's real address."""
    text = re.search(rf"^(##+) {heading}\n(.*?)(?=^##+ |\Z)", DOCUMENT, re.M | re.S).group(2)
    return text.replace(ADDRESS, gateway.url)


def variables_of(heading, gateway):
    """The variables that the document sets under a heading."""
    return dict(re.findall(r"^export (\w+)=(\S+)", section(heading, gateway), re.M))


def png():
    """A picture, small and valid."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + bytes([200, 10, 10]) * 16 for _ in range(16))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 16, 16, 8, 2, 0, 0, 0)) + chunk(
        b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.fixture
def desk(tmp_path):
    desk = agents.Desk(tmp_path, f"{random.choice(['quokka', 'numbat', 'bilby'])}-{random.randrange(1000, 9999)}")
    try:
        agents.program("@anthropic-ai/claude-code", "claude")
    except node.Missing as e:
        pytest.skip(str(e))
    return desk


@pytest.fixture
def scene(start_gateway, faultd):
    """scene(kind, model, steps): (gateway, scripted model) with one provider of that kind, which has that model."""
    def make(kind, name, steps):
        up, vendor = faultd(), VENDORS[kind]
        model = agents.Model(vendor, steps)
        up.reply("POST", vendor.path, body=model.body)
        gateway = start_gateway({"providers": {"up": {**vendor.provider(up.origin), "models": [name], "discover": False}}})
        return gateway, model
    return make


def check_requests(model, dialect, n):
    """n requests of the agent's went up, each one the vendor would take. Relayed ones are the agent's own business."""
    assert len(model.asked) == n, [r.body[:200] for r in model.asked]
    if model.vendor.dialect != dialect:
        for request in model.asked:
            assert model.vendor.problem(request.json()) is None
    proof = model.vendor.proof.encode()
    if proof:       # traps 46, 50, 51: each turn goes back with the proof that its vendor gave
        given = [proof in answer for answer in model.answers]
        assert [r.body.count(proof) for r in model.asked] == [sum(given[:i]) for i in range(n)]


def dropped(gateway):
    """What the access records say was dropped."""
    return {name for r in gateway.access_records() for name in r.get("dropped", "").split(", ") if name}


# ---- Claude Code -------------------------------------------------------------------------------------------------------------

CLAUDE_TOOLS = {"Bash", "Edit", "Read", "Write", "ToolSearch"}
# Of no use to a model of another vendor: hints for its cache, and how its own context is kept.
CLAUDE_LOSSES = {"cache_control", "context_management", "tools.defer_loading"}
CLAUDE_LOSSES_AT = {"openai": {"reasoning_effort"}, "gemini": {"user"}, "ollama": {"user"}}     # gpt-4o knows no effort


def check_claude(done, events, desk):
    """The user has seen the answer; the texts of the tools' results."""
    assert done.returncode == 0, (done.stdout[-2000:], done.stderr[-2000:])
    last = events[-1]
    assert last["type"] == "result" and not last["is_error"] and last["result"] == desk.answer, last
    turns = [e["message"]["content"] for e in events if e["type"] == "user"]
    return [json.dumps(b["content"]) for turn in turns for b in turn if b["type"] == "tool_result"]


def claude_variables(gateway):
    variables = variables_of("Claude Code", gateway)
    assert {"ANTHROPIC_BASE_URL", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_MODEL"} <= set(variables)
    return variables


@each_kind
def test_trap_037_and_trap_051_claude_code_does_a_task(desk, scene, kind):
    """It searches for a tool, reads a text and a picture at once, and answers."""
    picture = desk.work / "picture.png"
    picture.write_bytes(png())
    gateway, model = scene(kind, "gpt-4o", [
        [("call_01", "ToolSearch", {"query": "select:NotebookEdit"})],
        [("call_02", "Read", {"file_path": str(desk.note)}), ("call_03", "Read", {"file_path": str(picture)})]])
    done, events = desk.claude(claude_variables(gateway))
    results = check_claude(done, events, desk)
    assert len(results) == 3 and "NotebookEdit" in results[0] and any("The word is" in r for r in results[1:])
    assert events[-1]["usage"]["input_tokens"] == 3 * 21 and events[-1]["usage"]["output_tokens"] == 3 * 9
    check_requests(model, "anthropic-messages", 3)
    first, second, third = (r.body for r in model.asked)
    assert CLAUDE_TOOLS <= set(model.vendor.tools(json.loads(first)))
    assert "NotebookEdit" in model.vendor.tools(json.loads(second))
    for request in (first, second, third):      # trap 37: the second of them stands in the middle of the messages
        assert b"You are a Claude agent" in request and b"# Environment" in request
    assert any("NotebookEdit" in r for r in model.vendor.results(json.loads(second))) or kind == "anthropic"
    assert b"iVBORw0KGgo" in third, "the picture"
    if kind == "anthropic":
        check_claude_relayed(model)
    else:
        assert dropped(gateway) <= CLAUDE_LOSSES | CLAUDE_LOSSES_AT[kind]


def check_claude_relayed(model):
    for request in model.asked:
        assert request.target == "/v1/messages?beta=true" and "claude-code-" in request.headers.get("anthropic-beta")
        body = request.json()
        assert "context_management" in body and body["output_config"]["effort"] and body["thinking"]
        assert [m["role"] for m in body["messages"]][:2] == ["user", "system"]
    assert b'"tool_reference"' in model.asked[1].body


@pytest.mark.parametrize("kind", ["openai"])
def test_claude_code_with_all_its_tools_at_once(desk, scene, kind):
    gateway, model = scene(kind, "gpt-4o", [[("call_01", "Bash", {"command": "cat note.txt", "description": "Shows it"})]])
    done, events = desk.claude(claude_variables(gateway), "--allowedTools", "Bash(cat *)", ENABLE_TOOL_SEARCH="false")
    assert "The word is" in check_claude(done, events, desk)[0]
    check_requests(model, "anthropic-messages", 2)
    assert len(model.vendor.tools(model.asked[0].json())) > 20


def test_claude_code_tries_again_when_the_provider_is_overloaded(desk, start_gateway, faultd):
    up, vendor = faultd(), VENDORS["openai"]
    model = agents.Model(vendor, [[("call_01", "Read", {"file_path": str(desk.note)})]])
    refusal = up.reply("POST", vendor.path, times=1, status=503, body=canned.openai_error("Overloaded."))
    up.reply("POST", vendor.path, body=model.body)
    gateway = start_gateway({"providers": {"up": {**vendor.provider(up.origin), "models": ["gpt-4o"], "discover": False}}})
    done, events = desk.claude(claude_variables(gateway))
    check_claude(done, events, desk)
    assert len(refusal.hits) == 1
    check_requests(model, "anthropic-messages", 2)


def test_claude_codes_probe_of_the_address_is_answered(start_gateway):
    gateway = start_gateway({"providers": {"up": {"type": "anthropic", "base_url": "http://127.0.0.1:9", "api_key": "sk-up", "discover": False}}})
    answer = gateway.request("HEAD", "/")
    assert answer.status in (200, 404) and answer.body == b""


# ---- Codex -------------------------------------------------------------------------------------------------------------------

CODEX_TOOLS = {"exec_command", "view_image"}
# What only OpenAI runs, and words about the client; Chat has a place for prompt_cache_key.
CODEX_LOSSES = {"web_search", "tool_search", "client_metadata", "prompt_cache_key", "image_url.detail", "verbosity",
                "tools.format", "parallel_tool_calls", "reasoning.context", "tools.description", "input.tools.description", "tools.output_schema", "strict",
                "input.phase"}


def run_codex(desk, gateway, *options, more=""):
    """Codex's events, once it has ended well. `more`: at the end of its configuration, the provider's section."""
    config = re.search(r"^```toml\n(.*?)^```$", section("Codex", gateway), re.M | re.S).group(1) + more
    done, events = desk.codex(config, variables_of("Codex", gateway), *options)
    assert done.returncode == 0, (done.stdout[-2000:], done.stderr[-2000:])
    assert events[-1]["type"] == "turn.completed", events[-1]
    return events


def items(events, kind):
    return [e["item"] for e in events if e["type"] == "item.completed" and e["item"]["type"] == kind]


@pytest.mark.parametrize("kind", ["responses", *KINDS])
def test_trap_050_and_trap_051_codex_does_a_task(desk, scene, kind):
    """It runs two commands at once, then looks at a picture, and answers."""
    (desk.work / "picture.png").write_bytes(png())
    gateway, model = scene(kind, "gpt-4o", [
        [("call_01", "view_image", {"path": str(desk.work / "picture.png")})],
        [("call_02", "exec_command", {"cmd": "cat note.txt"}), ("call_03", "exec_command", {"cmd": "echo over"})]])
    events = run_codex(desk, gateway)
    commands = items(events, "command_execution")
    assert [c["exit_code"] for c in commands] == [0, 0], commands
    assert any("The word is" in c["aggregated_output"] for c in commands)
    assert items(events, "agent_message")[-1]["text"] == desk.answer
    usage = events[-1]["usage"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (3 * 21, 3 * 9)
    check_requests(model, "openai-responses", 3)
    assert CODEX_TOOLS <= set(model.vendor.tools(model.asked[0].json()))
    for request in model.asked:
        assert b"You are a coding agent" in request.body and b"<environment_context>" in request.body
    assert b"iVBORw0KGgo" in model.asked[1].body, "the picture"
    assert dropped(gateway) <= (set() if kind == "responses" else CODEX_LOSSES)


@pytest.mark.parametrize("kind", ["responses", *KINDS])
def test_codex_does_a_task_over_a_websocket(desk, scene, kind):
    """With the line that the document gives, it opens a WebSocket, sends its context ahead, and then only what is new."""
    line = re.search(r"`(supports_websockets = true)`", DOCUMENT).group(1)
    gateway, model = scene(kind, "gpt-4o", [
        [("call_01", "exec_command", {"cmd": "echo over"})], [("call_02", "exec_command", {"cmd": "cat note.txt"})]])
    events = run_codex(desk, gateway, more=f"{line}\n")
    assert [c["exit_code"] for c in items(events, "command_execution")] == [0, 0]
    assert items(events, "agent_message")[-1]["text"] == desk.answer
    check_requests(model, "openai-responses", 3)
    for request in model.asked:
        assert b"You are a coding agent" in request.body and b"<environment_context>" in request.body
    records = [r for r in gateway.access_records() if r["path"] == "/v1/responses"]
    assert [(r["status"], r.get("transport"), r.get("provider")) for r in records] == [
        (101, None, None), (200, "websocket", None), *[(200, "websocket", "up")] * 3], "the first is the context, for which no model is asked"
    assert dropped(gateway) <= (set() if kind == "responses" else CODEX_LOSSES)


@each_kind
def test_codex_edits_a_file(desk, scene, kind):
    """Its tool for edits takes text and no JSON: to models of others it is a function with one member, and a tool of its own kind
    on the way back."""
    patch = "*** Begin Patch\n*** Add File: new.txt\n+A \"new\" line\n*** End Patch\n"
    gateway, model = scene(kind, "gpt-5.5", [
        [("call_01", "apply_patch", {"input": patch})], [("call_02", "exec_command", {"cmd": "cat new.txt note.txt"})]])
    events = run_codex(desk, gateway, "-m", "gpt-5.5")
    assert (desk.work / "new.txt").read_text() == 'A "new" line\n'
    assert items(events, "agent_message")[-1]["text"] == desk.answer
    check_requests(model, "openai-responses", 3)
    assert {"apply_patch", *CODEX_TOOLS} <= set(model.vendor.tools(model.asked[0].json()))
    assert "new.txt" in model.vendor.results(model.asked[1].json())[0]
    assert dropped(gateway) <= CODEX_LOSSES


@each_kind
def test_codex_with_its_tools_in_namespaces(desk, scene, kind):
    """To its newest models it offers its tools in an item of the input and in namespaces."""
    script = 'const r = await tools.exec_command({cmd: "cat note.txt"}); text(JSON.stringify(r));'
    gateway, model = scene(kind, "gpt-6-sol", [[("call_01", "functions__exec", {"input": script})]])
    events = run_codex(desk, gateway, "-m", "gpt-6-sol")
    assert items(events, "agent_message")[-1]["text"] == desk.answer
    check_requests(model, "openai-responses", 2)
    assert {"functions__exec", "clock__sleep"} <= set(model.vendor.tools(model.asked[0].json()))
    assert dropped(gateway) <= CODEX_LOSSES


# ---- SDKs --------------------------------------------------------------------------------------------------------------------

WORDS = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}


def ask_openai():
    openai = pytest.importorskip("openai")
    with openai.OpenAI(max_retries=0) as client:
        return client.responses.create(model="gpt-4o", input="Hi").output_text + client.chat.completions.create(
            **WORDS).choices[0].message.content


def ask_anthropic():
    anthropic = pytest.importorskip("anthropic")
    with anthropic.Anthropic(max_retries=0) as client:
        return client.messages.create(max_tokens=9, **WORDS).content[0].text


def ask_google():
    genai = pytest.importorskip("google.genai")
    with genai.Client() as client:
        return client.models.generate_content(model="gpt-4o", contents="Hi").text


def ask_ollama():
    ollama = pytest.importorskip("ollama")
    with ollama.Client() as client:
        return client.chat(**WORDS).message.content


@pytest.mark.parametrize("heading, ask, answers", [("OpenAI", ask_openai, 2), ("Anthropic", ask_anthropic, 1),
                                                   ("Google", ask_google, 1), ("Ollama", ask_ollama, 1)])
def test_variables_of_the_document_are_enough_for_an_sdk(scene, monkeypatch, heading, ask, answers):
    gateway, _ = scene("openai", "gpt-4o", [])
    for name, value in variables_of(heading, gateway).items():
        monkeypatch.setenv(name, value)
    assert ask() == "Fine." * answers
