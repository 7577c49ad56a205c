"""What the documents promise: the README's own lines are run, and every option, command, header, field, error and link
that a document names is one the program has.
"""

import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys

import anthropic
import pytest

from lib import canned
from lib.gateway import CHECKOUT, is_access_record, run_cli

README = CHECKOUT / "README.md"
DOCUMENTS = sorted([README, CHECKOUT / "CONTRIBUTING.md", *(CHECKOUT / "docs").glob("*.md")])
MAN_PAGE = CHECKOUT / "docs" / "llm-gateway.1"
ADDRESS = "http://127.0.0.1:8080"       # as the documents write it
MODEL = "smollm2-135m-instruct"


def text_of(path):
    return pathlib.Path(path).read_text(encoding="utf-8")


def source(path):
    return text_of(CHECKOUT / "src" / path)


def blocks(path, language):
    """The fenced blocks of a language in a document."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text_of(path), re.M | re.S)


def block_with(path, language, word):
    found = [b for b in blocks(path, language) if word in b]
    assert len(found) == 1, f"{len(found)} {language} blocks of {path.name} hold {word!r}"
    return found[0]


def code_spans(path):
    """What stands between backquotes, in the text and its tables."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text_of(path), flags=re.M | re.S))


def table(path, name):
    """The rows of a table between <!-- table: name --> and <!-- end -->, without its head."""
    body = re.search(rf"<!-- table: {name} -->\n(.*?)<!-- end -->", text_of(path), re.S).group(1)
    return [[cell.strip() for cell in line.strip("|\n").split("|")] for line in body.splitlines()[2:]]


def commands():
    """{name: usage} of commands.def."""
    entries = re.findall(r'^X\(\w+, "([^"]+)", "[^"]*",\n(.*?)\)$', source("cli/commands.def"), re.M | re.S)
    return {name: "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', usage)).replace("\\n", "\n") for name, usage in entries}


def options():
    return set(re.findall(r'^X\("([a-z_.]+)"', source("conf/options.def"), re.M))


# ---- the README's lines, run ------------------------------------------------------------------------------------------


@pytest.fixture
def gateway(start_gateway, upstream):
    upstream.reply("POST", "/v1/chat/completions", when=lambda r: not r.json().get("stream"),
                   body=canned.openai_answer("Hello there."))
    upstream.reply("POST", "/v1/chat/completions", when=lambda r: r.json().get("stream") is True,
                   body=canned.openai_stream(("Hello", " there", ".")))
    return start_gateway({"providers": {
        "up": {"type": "openai-compatible", "base_url": f"{upstream.origin}/v1", "models": [MODEL, "gpt-4o"]}}})


def run_block(command, block, gateway, **kw):
    environment = {"PATH": os.environ["PATH"], "HOME": str(gateway.folder), "LANG": "C.UTF-8"}
    done = subprocess.run([*command, block.replace(ADDRESS, gateway.url)], env=environment, capture_output=True, text=True,
                          timeout=60, cwd=gateway.folder, **kw)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_curl_of_the_readme_answers(gateway):
    if not shutil.which("curl"):
        pytest.skip("no curl")
    answer = json.loads(run_block(["bash", "-c"], block_with(README, "sh", "curl"), gateway))
    assert answer["choices"][0]["message"]["content"] == "Hello there."


@pytest.mark.parametrize("sdk", ["openai", "anthropic"])
def test_python_of_the_readme_answers(gateway, sdk):
    block = block_with(README, "python", f"from {sdk} import")
    assert run_block([sys.executable, "-c"], block, gateway).strip() == "Hello there."


def test_variables_of_the_readme_are_enough_for_a_client_of_anthropics(gateway, monkeypatch, stage):
    """Claude Code's part is played by Anthropic's SDK, with nothing but the variables the README sets."""
    block = block_with(README, "sh", "ANTHROPIC_BASE_URL")
    variables = dict(re.findall(r"^export (\w+)=(\S+)", block, re.M))
    assert {"ANTHROPIC_BASE_URL", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_MODEL"} <= set(variables)
    for name, value in variables.items():
        monkeypatch.setenv(name, value.replace(ADDRESS, gateway.url))
    client = anthropic.Anthropic(max_retries=0, timeout=30)
    stage.closing.append(client)
    with client.messages.stream(model=variables["ANTHROPIC_MODEL"], max_tokens=10,
                                messages=[{"role": "user", "content": "Hi"}]) as stream:
        assert stream.get_final_text() == "Hello there."


EMBEDDINGS = b'{"object":"list","data":[{"object":"embedding","index":0,"embedding":[1]}],"model":"m","usage":{"prompt_tokens":1,"total_tokens":1}}'
# what is asked where a message is no request
OTHER_BODIES = {path: json.dumps({"model": MODEL, **members}).encode() for path, members in {
    "/v1/embeddings": {"input": "Hi"}, "/v1/complete": {"prompt": "\n\nHuman: Hi\n\nAssistant:", "max_tokens_to_sample": 9},
    "/v1/completions": {"prompt": "Hi"}, "/v1/responses": {"input": "Hi"},
    "/api/chat": {"messages": [{"role": "user", "content": "Hi"}]}, "/api/generate": {"prompt": "Hi"},
    "/api/embed": {"input": "Hi"}, "/api/show": {}}.items()}
OTHER_BODIES |= {f"/v1beta/models/{{id}}:{verb}": json.dumps({"contents": [{"parts": [{"text": "Hi"}]}]}).encode()
                 for verb in ("generateContent", "countTokens")}


def test_every_endpoint_of_the_readme_is_there(gateway, upstream):
    rows = re.findall(r"^\| (`(?:GET|POST) /.*?) \|", text_of(README), re.M)
    endpoints = [span.split(" ") for row in rows if "Upgrade:" not in row for span in re.findall(r"`([^`]+)`", row)]
    assert ["POST", "/v1/messages/count_tokens"] in endpoints and len(endpoints) >= 7
    body = json.dumps(canned.request("anthropic-messages", MODEL)).encode()
    upstream.reply("POST", "/v1/embeddings", body=EMBEDDINGS)
    upstream.reply("POST", "/v1/completions", body=b'{"choices":[{"text":"Hi","index":0,"logprobs":null,"finish_reason":"stop"}]}')
    for method, path in endpoints:
        kw = {"body": OTHER_BODIES.get(path, body)} if method == "POST" else {}
        assert gateway.request(method, path.replace("{id}", MODEL), **kw).status == 200, (method, path)
    for path in ("/openai/v1/chat/completions", "/api/v1/chat/completions", "/anthropic/v1/messages"):
        assert gateway.request("POST", path, body=body).status == 200, path


def test_number_of_presets_in_the_documents_is_the_real_one():
    n = len(re.findall(r'^X\("', source("providers/presets.def"), re.M))
    assert f"({n} vendors and servers by name)" in text_of(README)


def test_readme_has_a_place_for_the_bench():
    assert re.search(r"<!-- bench:begin -->\n(.*\n)*?<!-- bench:end -->", text_of(README))


# ---- configuration in the documents ------------------------------------------------------------------------------------


def yaml_blocks():
    return [pytest.param(block, id=f"{path.stem}-{i}") for path in DOCUMENTS for i, block in enumerate(blocks(path, "yaml"))]


@pytest.mark.parametrize("block", yaml_blocks())
def test_yaml_of_the_documents_is_accepted(block, gateway_binary, tmp_path, certs):
    for path in re.findall(r"\b(models/[\w.-]+\.gguf)", block):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(b"GGUF")
    cached = tmp_path / ".cache" / "llm-gateway" / "models" / "a.gguf"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"GGUF")
    file = tmp_path / "config.yaml"
    file.write_text(re.sub(r"/etc/ssl/corp-ca\.pem", certs.ca_file, block))
    names = re.findall(r"\$\{(\w+)\}", block)
    done = run_cli("check", str(file), folder=tmp_path, env={name: "secret-1" for name in names}, binary=gateway_binary)
    assert done.returncode == 0, done.stderr


def test_options_the_documents_name_exist():
    groups = {o.partition(".")[0] for o in options() if "." in o}
    sections = {"auth.keys", "server.tls", "reasoning.budgets"}
    fields = {"reasoning.effort", "reasoning.summary", "reasoning.encrypted_content"}    # of requests, called like a group of options
    events = set(re.findall(r"`([a-z]+\.[a-z]+)`", text_of(CHECKOUT / "docs" / "logs.md").partition("## Other events")[2]))
    wrong = []
    for path in DOCUMENTS:
        for span in code_spans(path):
            if not re.fullmatch(r"[a-z_]+(\.[a-z_]+)+(\.\*)?", span) or span.partition(".")[0] not in groups:
                continue
            if span.removesuffix(".*") not in options() | sections | events | fields:
                wrong.append((path.name, span))
    assert not wrong


def test_every_option_is_in_the_documents():
    have = set(code_spans(CHECKOUT / "docs" / "configuration.md"))
    assert not options() - have


# ---- commands -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(commands()))
def test_help_of_every_command_says_usage_and_an_example(name, gateway_binary, tmp_path):
    done = run_cli(*name.split(), "--help", folder=tmp_path, binary=gateway_binary)
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.startswith(f"usage: llm-gateway {name}")
    example = done.stdout.partition("\nExample:\n")[2]
    assert example.lstrip().startswith(("llm-gateway", "OPENAI_API_KEY=")), done.stdout


def test_general_help_lists_every_command(gateway_binary, tmp_path):
    done = run_cli("--help", folder=tmp_path, binary=gateway_binary)
    listed = set(re.findall(r"^  (\w+(?: \w+)?)  ", done.stdout, re.M))
    assert listed == set(commands())


def test_man_page_lists_every_command_and_option():
    page = text_of(MAN_PAGE).replace("\\-", "-")
    section = page.partition(".SH COMMANDS")[2].partition(".SH SIGNALS")[0]
    for name, usage in commands().items():
        assert re.search(rf'^\.BR? .*(?<!\w){re.escape(name)}(?!\w)', section, re.M), name
        for option in re.findall(r"--[a-z-]+", usage.partition("Example:")[0]):
            assert option in section, (name, option)


def test_man_page_is_laid_out_without_complaint():
    if not shutil.which("groff"):
        pytest.skip("no groff")
    done = subprocess.run(["groff", "-man", "-ww", "-z", str(MAN_PAGE)], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == ""


def test_commands_and_options_in_the_documents_exist():
    usages, seen = commands(), 0
    for path in DOCUMENTS:
        lines = [line for block in blocks(path, "sh") for line in block.splitlines()] + code_spans(path)
        for line in lines:
            found = re.search(r"(?:^|until )llm-gateway ([a-z-].*)", line)
            if not found or found.group(1).startswith(("--help", "engine-exec", "&&")):
                continue
            words = found.group(1).split(";")[0].split()
            name = next((n for n in usages if words[:len(n.split())] == n.split()), None)
            assert name, (path.name, line)
            for option in re.findall(r"--[a-z-]+", line):
                assert option in usages[name] + "--help", (path.name, line)
            seen += 1
    assert seen > 10


def test_make_targets_in_the_documents_exist():
    targets = set(re.findall(r"^([a-z0-9]+):.*## ", text_of(CHECKOUT / "Makefile"), re.M))
    for path in DOCUMENTS:
        named = re.findall(r"^(?:[A-Z_]+=\S+ )*make ([a-z0-9]+)", "\n".join(blocks(path, "sh")), re.M)
        named += [m for span in code_spans(path) for m in re.findall(r"^(?:[A-Z_]+=\S+ )*make ([a-z0-9]+)", span)]
        assert not set(named) - targets, path.name


# ---- names --------------------------------------------------------------------------------------------------------------


def test_headers_of_ours_in_the_documents_exist():
    code = "".join(text_of(p) for p in (CHECKOUT / "src").rglob("*.c"))
    for path in DOCUMENTS:
        for name in set(re.findall(r"x-llm-gateway-[a-z-]+[a-z]", text_of(path))):
            assert f'"{name}"' in code, (path.name, name)


def test_links_of_the_documents_lead_somewhere():
    broken = []
    for path in [*DOCUMENTS, CHECKOUT / "bench" / "README.md", CHECKOUT / "CHANGELOG.md"]:
        for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", text_of(path))):
            if re.match(r"[a-z]+:", link):
                continue
            file, _, anchor = link.partition("#")
            target = (path.parent / file) if file else path
            if not target.exists():
                broken.append((path.name, link))
            elif anchor:
                titles = re.findall(r"^#+ (.*)$", text_of(target), re.M)
                slugs = {re.sub(r"[^\w\- ]", "", t.lower()).replace(" ", "-") for t in titles}
                if anchor not in slugs:
                    broken.append((path.name, link))
    assert not broken


def test_every_document_is_in_the_list_of_documents():
    listed = set(re.findall(r"\]\(([\w-]+\.md)\)", text_of(CHECKOUT / "docs" / "README.md")))
    assert {p.name for p in (CHECKOUT / "docs").glob("*.md")} - {"README.md"} == listed


def test_documented_losses_are_all_there_are():
    """Each canonical field has a word in the document about translation."""
    page = text_of(CHECKOUT / "docs" / "translation.md")
    for name in re.findall(r'^X\(\w+, "(\w+)"\)', source("ir/request_fields.def"), re.M):
        assert f"`{name}`" in page, name


def test_what_the_document_says_is_left_out_is_left_out(start_gateway, upstream):
    row = re.search(r"^\| (`frequency_penalty`.*?) \| left out; named", text_of(CHECKOUT / "docs" / "translation.md"), re.M)
    names = set(re.findall(r"`(\w+)`", row.group(1)))
    values = {"frequency_penalty": 0.5, "presence_penalty": 0.5, "seed": 1, "logprobs": True, "top_logprobs": 2, "store": True,
              "verbosity": "low", "prompt_cache_key": "k", "metadata": {"a": "b"}, "logit_bias": {"1": 1},
              "prediction": {"type": "content", "content": "x"}, "modalities": ["text", "audio"],
              "audio": {"voice": "alloy", "format": "wav"}}
    assert names == set(values)
    script = upstream.reply("POST", "/v1/messages", body=canned.anthropic_answer())
    gateway = start_gateway({"providers": {"up": {"type": "anthropic", "base_url": upstream.origin, "api_key": "sk-up",
                                                  "models": ["m"]}}})
    body = json.dumps(canned.request("openai-chat", "m", **values)).encode()
    answer = gateway.request("POST", "/v1/chat/completions", body=body)
    assert answer.status == 200
    assert set(answer.headers.get("x-llm-gateway-dropped").split(", ")) == names
    assert not names & set(script.wait_for_request(5).request.json()) - {"metadata"}
    strict = gateway.request("POST", "/v1/chat/completions", {"x-llm-gateway-strict": "true"}, body)
    assert strict.status == 400 and "frequency_penalty" in strict.json()["error"]["message"]


# ---- records and errors -------------------------------------------------------------------------------------------------


def test_access_record_holds_the_documented_fields_and_no_others(gateway):
    documented = [row[0].strip("`") for row in table(CHECKOUT / "docs" / "logs.md", "access")]
    in_code = re.findall(r'(?:LF_\w+|tokens|millis)\((?:STR\()?"(\w+)"', source("exchange/settle.c"))
    assert documented == in_code
    gateway.request("POST", "/v1/messages", body=json.dumps(canned.request("anthropic-messages", MODEL)).encode())
    record = gateway.wait_access()[0]
    assert is_access_record(record)
    assert set(record) - {"time", "level", "event"} <= set(documented)
    assert record["end"] == "ok" and record["provider"] == "up" and record["input_tokens"] == 11


def test_events_of_the_log_in_the_document_exist():
    code = "".join(text_of(p) for p in (CHECKOUT / "src").rglob("*.c"))
    section = text_of(CHECKOUT / "docs" / "logs.md").partition("## Other events")[2]
    named = [n for row in re.findall(r"^\| (`.*?) \|", section, re.M) for n in re.findall(r"`([a-z.]+)`", row)]
    assert len(named) > 15
    for name in named:
        assert f'"{name}"' in code, name


def refused_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.mark.parametrize("dialect", ["openai-chat", "anthropic-messages"])
def test_errors_are_the_documented_ones(start_gateway, upstream, dialect):
    rows = {}
    for status, openai_words, anthropic_type, _ in table(CHECKOUT / "docs" / "errors.md", "errors"):
        kind, _, code = openai_words.replace("`", "").partition(", ")
        for s in re.findall(r"\d{3}", status):
            rows.setdefault(int(s), []).append((kind, code or None, anthropic_type.strip("`")))
    upstream.reply("POST", None, when=lambda r: r.json()["model"] == "limited", status=429,
                   body=canned.error(dialect, "Slow down.") if dialect == "openai-chat" else
                   canned.anthropic_error("Slow down.", "rate_limit_error"))
    upstream.reply("POST", None, when=lambda r: r.json()["model"] == "mute", answer="never")
    kind = "openai-compatible" if dialect == "openai-chat" else "anthropic"
    base = f"{upstream.origin}/v1" if dialect == "openai-chat" else upstream.origin
    gateway = start_gateway({
        "server": {"max_body": "4KiB"}, "timeouts": {"first_byte": "300ms"},
        "providers": {"up": {"type": kind, "base_url": base, "api_key": "sk-up", "models": ["limited", "mute"]},
                      "gone": {"type": kind, "base_url": f"http://127.0.0.1:{refused_port()}", "api_key": "sk-up",
                               "models": ["gone"]}}})
    path = canned.PATHS[dialect]

    def ask(model="gone", method="POST", path=path, headers=(), body=None, **more):
        body = body or json.dumps(canned.request(dialect, model, **more)).encode()
        return gateway.request(method, path, headers, None if method == "GET" else body)

    asked = {400: ask(body=b"{"), 404: ask("nobody-has-this"), 405: ask(method="GET"), 413: ask(text="x" * 8192),
             415: ask(headers={"content-encoding": "gzip"}), 429: ask("limited"), 502: ask("gone"), 504: ask("mute")}
    for status, answer in asked.items():
        error = answer.json()["error"]
        assert answer.status == status, (status, answer.status, error)
        if dialect == "openai-chat":
            wanted = [(t, c) for t, c, _ in rows[status]]
            got = (error["type"], error["code"])
            # Who made the error may say more precisely what it is about in `code`.
            assert got in wanted or (status == 429 and error["code"] is None), (status, got)
        else:
            assert error["type"] in [a for _, _, a in rows[status]], (status, error)
            assert answer.headers.get("request-id")
        assert len(error["message"]) > 5


def test_the_unit_checks_before_it_reloads_and_leaves_the_children_alone():
    unit = text_of(CHECKOUT / "deploy" / "llm-gateway.service")
    for line in ("Type=notify", "KillMode=mixed", "WatchdogSec="):
        assert f"\n{line}" in unit
    reloads = re.findall(r"^ExecReload=(.*)$", unit, re.M)
    assert "check" in reloads[0] and reloads[1] == "kill -HUP $MAINPID"
    drain = int(re.search(r'^X\("timeouts.drain", CONF_DURATION, drain_ms, "(\d+)s"', source("conf/options.def"), re.M).group(1))
    assert int(re.search(r"^TimeoutStopSec=(\d+)$", unit, re.M).group(1)) > drain


def test_a_service_manager_is_told_what_goes_on(new_gateway, stage):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        path = str(stage.folder / "notify")
        told.bind(path)
        told.settimeout(10)
        gateway = new_gateway({"providers": {"up": {"type": "openai-compatible", "base_url": "http://127.0.0.1:9/v1",
                                                    "models": ["m"]}}},
                              env={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "200000"})

        def until(word):
            heard = []
            while word not in heard:
                heard.append(told.recv(256).decode())
            return heard

        gateway.start()
        assert until("READY=1") == ["READY=1"]
        until("WATCHDOG=1")
        until("WATCHDOG=1")
        gateway.reload()
        until("RELOADING=1")
        until("READY=1")
        gateway.stop()
        until("STOPPING=1")


def test_a_unix_socket_is_served_whatever_the_number_of_workers(new_gateway, stage, gateway_binary):
    path = str(stage.folder / "s")
    gateway = new_gateway({"server": {"workers": 4}, "providers": {"up": {
        "type": "openai-compatible", "base_url": "http://127.0.0.1:9/v1", "models": ["m"]}}}, args=["--listen", f"unix:{path}"])
    gateway.start(wait=False)
    gateway.wait_log(r'"event":"start"')
    done = run_cli("models", "--url", f"unix:{path}", folder=stage.folder, binary=gateway_binary)
    assert done.returncode == 0 and done.stdout.split() == ["m", "up"], done.stderr
    gateway.stop()
    assert not pathlib.Path(path).exists()
