"""The documents as a newcomer reads them: what they tell to type is typed, what they tell to set is set, and every path they name is
served. (What the README itself shows is run in test_readme.py; the agents' configurations in test_agents.py.)
"""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tomllib

import pytest

from lib import canned
from lib.codec import find_codec
from lib.gateway import CHECKOUT, run_cli
from lib.stand import wait_until
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


# ---- running.md -----------------------------------------------------------------------------------------------------------

RUNNING = DOCS / "running.md"
UNIT = CHECKOUT / "deploy" / "llm-gateway.service"
NOWHERE = {"providers": {"up": {"type": "openai-compatible", "base_url": "http://127.0.0.1:9/v1", "models": ["m"]}}}
CLEAN = {"LANG": "C.UTF-8", "ASAN_OPTIONS": "detect_leaks=1:exitcode=99"}


@pytest.fixture
def installed(gateway_binary, tmp_path):
    """A folder as `make install` makes it, and an environment that finds its program. A build that was not configured here has none."""
    build = pathlib.Path(gateway_binary).resolve().parent
    if not (build / "cmake_install.cmake").exists():
        pytest.skip(f"{build} is no build folder")
    done = subprocess.run(["cmake", "--install", build, "--prefix", tmp_path / "usr"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return tmp_path / "usr", {**CLEAN, "PATH": f"{tmp_path / 'usr' / 'bin'}:{os.environ['PATH']}", "HOME": str(tmp_path)}


def shell(line, env, cwd, timeout=30):
    """What a shell makes of it. Its output goes to a file: who is left behind by the line would hold a pipe open."""
    with open(cwd / "shell.out", "w+") as out:
        done = subprocess.run(["bash", "-c", line], cwd=cwd, env=env, stdout=out, stderr=subprocess.STDOUT, timeout=timeout)
    done.stdout = (cwd / "shell.out").read_text()
    return done


def test_what_is_installed_is_what_is_said(installed, tmp_path):
    folder, env = installed
    making, checking, serving = block_with(RUNNING, "sh", "make install").splitlines()
    assert making.startswith("make pgo && sudo make install ") and (folder / "share/man/man1/llm-gateway.1").exists()
    assert f"/usr/local/bin/{(folder / 'bin/llm-gateway').name}" in making
    (tmp_path / "config.yaml").write_text("auth: { mode: none }\nproviders: { vllm: {} }\n")
    done = shell(checking.replace("/etc/llm-gateway/config.yaml", "config.yaml"), env, tmp_path)
    assert done.returncode == 0, done
    done = shell(serving.replace("/etc/llm-gateway/config.yaml", "config.yaml") + " --check", env, tmp_path)
    assert done.returncode == 0, done


def test_every_address_of_the_table_is_one(gateway_binary, tmp_path):
    """Those that are open to others are refused without a key or a word; with the word, all are taken."""
    rows = [line.split("|") for line in RUNNING.read_text().splitlines() if line.startswith("| `") and "every address" in line
            or line.startswith("| `127.0.0.1") or line.startswith("| `unix:")]
    said = [(address, "wants" in row[2]) for row in rows for address in re.findall(r"`([^`]+)`", row[1])]
    assert len(said) == 5 and sum(wants for _, wants in said) == 3
    for address, wants in said:
        for mode, status in (("", 3 if wants else 0), ("auth: { mode: none }\n", 0)):
            (tmp_path / "c.yaml").write_text(f"server: {{ address: '{address}' }}\n{mode}providers: {{ vllm: {{}} }}\n")
            done = run_cli("check", "c.yaml", folder=tmp_path, binary=gateway_binary)
            assert done.returncode == status, (address, mode, done)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze here")
def test_systemd_understands_the_unit(gateway_binary, tmp_path):
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/usr/local/bin/llm-gateway", str(gateway_binary)))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_units_reload_checks_before_it_signals(start_gateway, tmp_path):
    """As systemd does it: its ExecReload lines one after another, until one fails."""
    gateway = start_gateway(NOWHERE)
    lines = re.findall(r"^ExecReload=(.*)$", UNIT.read_text(), re.M)

    def systemctl_reload():
        for line in lines:
            line = line.replace("/usr/local/bin/llm-gateway", str(gateway.binary)).replace("/etc/llm-gateway/config.yaml", str(gateway.config_file))
            done = shell(line, {**CLEAN, "PATH": os.environ["PATH"], "MAINPID": str(gateway.pid)}, tmp_path)
            if done.returncode:
                return done
        return done

    assert systemctl_reload().returncode == 0
    gateway.wait_log(r'"event":"reload"')
    gateway.write_config("providers: { up: { typ: openai } }\n")
    done = systemctl_reload()
    assert done.returncode == 3 and f"{gateway.config_file}:1:" in done.stdout
    assert "reload.refused" not in gateway.output() and gateway.output().count('"event":"reload"') == 1


def test_the_takeover_as_it_is_written(start_gateway, tmp_path):
    """The document's own lines replace a gateway while it is asked all the time: nobody is refused."""
    from test_bar_lifecycle import Knocker
    old = start_gateway({**NOWHERE, "server": {"workers": 1}})
    bin = tmp_path / "bin"
    bin.mkdir()
    (bin / "llm-gateway").symlink_to(old.binary)
    (bin / "pidof").write_text(f"#!/bin/sh\necho {old.pid}\n")      # others may run on this machine
    (bin / "pidof").chmod(0o755)
    env = {**CLEAN, "PATH": f"{bin}:{os.environ['PATH']}", "LLM_GATEWAY_CONFIG": str(old.config_file), "HOME": str(tmp_path)}
    knocker = Knocker(old.address)
    done = shell(block_with(RUNNING, "sh", "--takeover") + "echo $!\n", env, tmp_path)
    new = int(done.stdout.split()[-1])
    try:
        assert done.returncode == 0 and old.wait_exit(10) == 0, (done, (tmp_path / "new.log").read_text())
        asked = knocker.asked
        wait_until(lambda: knocker.asked > asked + 20, what="some requests with the successor alone")
        knocker.stop()
        assert not knocker.failed, knocker.failed[:3]
        second = shell(block_with(RUNNING, "sh", "--takeover").replace("serve", "serve --no-such-option") + "true\n", env, tmp_path)
        assert second.returncode == 0 and pathlib.Path(f"/proc/{new}").exists()      # the new one did not start: nothing is ended
    finally:
        knocker.stop()
        with contextlib.suppress(ProcessLookupError):
            os.kill(new, signal.SIGTERM)
        wait_until(lambda: not pathlib.Path(f"/proc/{new}").exists(), what="the successor's end")
    assert "ERROR: " not in (tmp_path / "new.log").read_text()


def test_signals_do_what_the_table_says(new_gateway, tmp_path):
    log = tmp_path / "gateway.log"
    gateway = new_gateway({**NOWHERE, "logging": {"file": str(log)}}).start()
    assert {"SIGHUP", "SIGTERM", "SIGINT", "SIGUSR1"} <= set(code_spans(RUNNING))
    log.rename(tmp_path / "rotated.log")
    gateway.signal(signal.SIGUSR1)
    wait_until(log.exists, what="the new log")
    gateway.reload()
    wait_until(lambda: '"event":"reload"' in log.read_text(), what="a record in the new log")
    assert '"event":"reload"' not in (tmp_path / "rotated.log").read_text()
    gateway.write_config("providers: { up: { typ: openai } }\n")
    gateway.signal(signal.SIGHUP)
    wait_until(lambda: '"event":"reload.refused"' in log.read_text(), what="the refusal")
    mistake = next(json.loads(line) for line in log.read_text().splitlines() if '"event":"configuration"' in line)
    assert mistake["line"] == 1 and mistake["column"] and mistake["file"] == str(gateway.config_file)
    assert gateway.request("GET", "/health").status == 200
    gateway.signal(signal.SIGINT)
    assert gateway.wait_exit(10) == 0


def test_whether_it_is_well_and_what_the_exit_status_says(start_gateway, new_gateway, tmp_path, certs):
    gateway = start_gateway(NOWHERE)

    def status(*args, **env):
        return run_cli(*args, folder=tmp_path, binary=gateway.binary, env=env).returncode

    for path in ("/health", "/healthz", "/ready", "/readyz"):
        assert gateway.request("GET", path).status == 200
    assert status("health", "--url", gateway.url) == status("status", "--url", gateway.url) == 0
    assert status("health", LLM_GATEWAY_CONFIG=str(gateway.config_file)) == 0      # the same configuration as serve
    assert status("serve", "--config", str(gateway.config_file)) == 1              # the port is taken
    assert status("health", "--url", "http://127.0.0.1:9") == 1
    assert status("health", "--no-such-option") == status("no-such-command") == 2
    (tmp_path / "bad.yaml").write_text("server: { prot: 1 }\n")
    assert status("serve", "--config", "bad.yaml") == status("check", "bad.yaml") == 3
    certificate, key = certs.server()
    tls = new_gateway({**NOWHERE, "server": {"tls": {"certificate": str(certificate), "key": str(key)}}})
    tls.start(wait=False)
    tls.wait_log(r'"event":"start"')
    tls.baseline = tls.descriptors()
    url = f"https://127.0.0.1:{tls.port}"
    assert status("health", "--url", url) == 1 and status("health", "--url", url, SSL_CERT_FILE=str(certs.ca_file)) == 0
    assert status("health", LLM_GATEWAY_CONFIG=str(tls.config_file), SSL_CERT_FILE=str(certs.ca_file)) == 0


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
