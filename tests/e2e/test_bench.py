"""Tests of the benchmark's tools: that the mock speaks its dialects properly, and that the load generator notices
every kind of wrong answer; a figure of a bench that does not notice means nothing."""

import importlib.machinery
import importlib.util
import json
import pathlib
import re
import subprocess

import pytest

from lib import canned
from lib.gateway import CHECKOUT
from lib.sseclient import Client, anthropic_problems, anthropic_text, openai_chat_problems, openai_chat_text

PATHS = canned.PATHS


@pytest.fixture(scope="module")
def tools(tmp_path_factory):
    """The folder of both tools, compiled from this tree."""
    folder = tmp_path_factory.mktemp("bench")
    for name in ("mock", "load"):
        sources = [str(p) for p in (CHECKOUT / "bench").glob(f"{name}*.c")]
        subprocess.run(["cc", "-O1", "-std=gnu11", "-o", str(folder / name), *sources], check=True)
    return folder


@pytest.fixture(scope="module")
def mock(tools):
    """The port of a running mock."""
    process = subprocess.Popen([str(tools / "mock")], stdout=subprocess.PIPE, text=True)
    yield int(process.stdout.readline())
    process.terminate()
    process.wait(5)
    process.stdout.close()


@pytest.fixture
def load(tools):
    """load(mode, port, *options): the exit code and the result."""
    def run(mode, port, *options):
        done = subprocess.run([str(tools / "load"), mode, "--port", str(port), *map(str, options)], timeout=60,
                              capture_output=True, text=True)
        return done.returncode, json.loads(done.stdout)
    return run


@pytest.fixture(scope="module")
def bench():
    """bench/run as a module."""
    path = str(CHECKOUT / "bench" / "run")
    spec = importlib.util.spec_from_loader("bench_run", importlib.machinery.SourceFileLoader("bench_run", path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def dialect_options(dialect):
    return ["--dialect", {"openai-chat": "chat", "anthropic-messages": "anthropic"}.get(dialect, dialect)]


@pytest.mark.parametrize("dialect", PATHS)
def test_mock_streams_are_proper_and_carry_the_nonce(mock, dialect):
    body = canned.request(dialect, "m", "nonce=00112233aabbccdd deltas=5 ", stream=True)
    with Client(("127.0.0.1", mock)) as client:
        for _ in range(2):      # keep-alive
            client.request("POST", PATHS[dialect], json_body=body)
            stream = client.open_stream()
            events = stream.rest()
            assert (stream.status, stream.end) == (200, "complete")
            openai = dialect == "openai-chat"
            assert (openai_chat_problems if openai else anthropic_problems)(events) == []
            text = (openai_chat_text if openai else anthropic_text)(events)
            assert [m[1] for m in re.findall(r"~(00112233aabbccdd) (\d) \d+~", text)] == list("01234")
            assert "usage" in events[-2].data if not openai else '"usage"' not in events[-2].data


def test_mock_sends_usage_when_asked(mock):
    body = canned.request("openai-chat", "m", "deltas=1 ", stream=True, stream_options={"include_usage": True})
    with Client(("127.0.0.1", mock)) as client:
        client.request("POST", PATHS["openai-chat"], json_body=body, chunked=100)
        events = client.open_stream().rest()
    assert json.loads(events[-2].data)["usage"]["total_tokens"] == 276
    assert openai_chat_problems(events) == []


@pytest.mark.parametrize("dialect", PATHS)
def test_mock_whole_answers_have_the_size_of_the_method(mock, dialect):
    with Client(("127.0.0.1", mock)) as client:
        client.request("POST", PATHS[dialect], json_body=canned.request(dialect, "m"))
        response = client.read_response()
    assert response.complete and 500 < len(response.body) < 800
    assert response.json()["usage"]


def test_mock_paces(mock, load):
    code, result = load("stream", mock, "-c", 4, "--requests", 4, "--pace", 10000, "--deltas", 20)
    assert code == 0 and 0.18 < result["seconds"] < 2


@pytest.mark.parametrize("dialect", ["chat", "responses", "anthropic", "gemini", "ollama"])
@pytest.mark.parametrize("mode", ["whole", "stream"])
def test_load_accepts_right_answers(mock, load, dialect, mode):
    code, result = load(mode, mock, "-c", 8, "--requests", 200, *dialect_options(dialect))
    assert code == 0
    assert (result["requests"], result["failed"], result["lost"], result["garbled"]) == (200, 0, 0, 0)
    assert result["latency_p50_us"] <= result["latency_p99_us"] <= result["latency_max_us"]
    if mode == "stream":
        assert result["events"] == 200 * 64 and result["event_p50_us"] > 0


@pytest.mark.parametrize("mode", ["idle", "hold"])
def test_load_holds_connections_until_told(mock, tools, mode):
    process = subprocess.Popen([str(tools / "load"), mode, "--port", str(mock), "-c", "20", "--pace", "600000000"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready 20\n"
    sockets = [p for p in pathlib.Path(f"/proc/{process.pid}/fd").iterdir() if "socket:" in str(p.readlink())]
    assert len(sockets) == 20
    process.communicate(timeout=5)
    assert process.returncode == 0


def test_load_wants_a_head_of_http(upstream, load):
    upstream.reply(raw=b"xHTTP/1.1 200 OK\r\ncontent-length: 22\r\n\r\n~0000000000000000 0 0~")
    code, result = load("whole", upstream.port, "-c", 1, "--requests", 1)
    assert code == 1 and result["why"].startswith("not 200")


def marked(n, nonce, first=0):
    return [f"~{nonce} {i} 1~" for i in range(first, n)]


NONCE = "0" * 16


@pytest.fixture
def wrong(upstream, load, tmp_path):
    """wrong(**script): what load says of one stream of 3 deltas answered by that script. Its nonce is all zeros."""
    def run(mode="stream", nonce=NONCE, **fields):
        def body_of(request):
            return re.search(rb"nonce=([0-9a-f]{16})", request.body).group(1).decode()
        body = fields.pop("body")

        # The script is made when the request has come: only then is its nonce known.
        def when(request):
            script.body = body.replace(NONCE.encode(), body_of(request).encode())
            return True
        script = upstream.reply(body=body, when=when, **fields)
        return load(mode, upstream.port, "-c", 1, "--requests", 1, "--deltas", 3, "--stall", 2000)
    return run


def stream_of(texts, **kw):
    return canned.openai_stream(texts, include_usage=False, **kw)


def test_load_wants_nothing_else_than_the_right_stream(wrong):
    assert wrong(body=stream_of(marked(3, NONCE)))[0] == 0


@pytest.mark.parametrize("what,body,lost,garbled", [
    ("an event is missing at the end", stream_of(marked(2, NONCE)), 1, 0),
    ("an event is missing in the middle", stream_of(marked(1, NONCE) + marked(3, NONCE, 2)), 0, 1),
    ("an event comes twice", stream_of(marked(3, NONCE) + marked(3, NONCE, 2)), 0, 1),
    ("two events are swapped", stream_of([f"~{NONCE} {i} 1~" for i in (0, 2, 1)]), None, 2),
    ("an event of another stream", stream_of(marked(2, NONCE) + marked(3, "f" * 16, 2)), 1, 1),
    ("no terminator", stream_of(marked(3, NONCE), done=False), 0, 0),
    ("an error event", stream_of(marked(3, NONCE), done=False) + canned.sse(canned.openai_error().decode()), 0, 0),
    ("an event after the terminator", stream_of(marked(3, NONCE)) + stream_of(marked(4, NONCE, 3)), 0, 1),
    ("a torn last event", stream_of(marked(3, NONCE)) + b"data: ", 0, 0),
])
def test_load_notices(wrong, what, body, lost, garbled):
    code, result = wrong(body=body)
    assert (code, result["failed"]) == (1, 1), what
    assert result["garbled"] == garbled and (lost is None or result["lost"] == lost), what


def test_load_notices_a_cut_and_a_stall(wrong, upstream):
    body = stream_of(marked(3, NONCE))
    code, result = wrong(body=body, fault="fin", at=len(body))
    assert (code, result["failed"], result["lost"]) == (1, 1, 0)
    upstream.clear()
    code, result = wrong(body=body, fault="rst", at=0)
    assert (code, result["lost"]) == (1, 3)
    upstream.clear()
    code, result = wrong(body=body, fault="stall", at=10)
    assert (code, result["failed"]) == (1, 1) and "no answer" in result["why"]


@pytest.mark.parametrize("fields", [{"status": 500, "body": b"{}"}, {"body": b'{"x":"~ffffffffffffffff 0 0~"}'},
                                    {"body": b""}, {"body": f'"~{NONCE} 0 0~"xx'.encode(), "length": 25}])
def test_load_notices_wrong_whole_answers(wrong, fields):
    code, result = wrong(mode="whole", **fields)
    assert (code, result["failed"]) == (1, 1)


def results_of(bench, **cpu):
    """Results of two rounds in which the contenders cost so much."""
    one = {"requests": 100, "failed": 0, "lost": 0, "garbled": 0, "why": "", "latency_p50_us": 10.0,
           "latency_p99_us": 20.0}
    return {("c10", name): [{**one, "cpu_us": c} for c in values] for name, values in cpu.items()}


def test_bench_takes_the_median_of_several_measurements_in_a_round(bench):
    """One bad half-second decides nothing, and no failure is lost."""
    takes = [{"requests": 10, "failed": failed, "cpu_us": cpu, "why": why}
             for failed, cpu, why in ((0, 9.0, ""), (1, 90.0, "cut"), (0, 10.0, ""))]
    assert bench.summary(takes) == {"requests": 30, "failed": 1, "cpu_us": 10.0, "why": "cut"}
    for name in ("pairs", "pairs-burst"):
        contenders = [c[0] for c in bench.groups(False)[name][2]]
        assert {contenders.count(c) for c in contenders} == {3} and "nginx" in contenders


@pytest.mark.parametrize("relay,shown,judged", [([9.0, 27.0], "0.90 x", "PASS"), ([8.0, 20.0], "0.73 x", "PASS"),
                                                ([18.0, 54.0], "1.80 x", "MISS by 100 %")])
def test_bench_takes_ratios_within_a_round(bench, relay, shown, judged):
    results = results_of(bench, nginx=[10.0, 30.0], relay=relay)
    wanted = [f for f in bench.figures() if f.name == "relay-cpu-c10"]
    row = bench.rows(results, wanted)[0]
    assert (row[4], row[6]) == (shown, judged)
    assert bench.failures(results) == []


def test_bench_reports_failed_measurements_and_what_was_not_measured(bench):
    results = results_of(bench, nginx=[10.0, 10.0], relay=[9.0, 9.0])
    results[("c10", "relay")][1].update(failed=3, why="not 200")
    assert "c10 relay, round 2: 3 of 100 failed" in bench.failures(results)[0]
    assert all(row[6] == "not measured" for row in bench.rows({}, bench.figures()))


def test_bench_lists_each_figure_of_its_groups(bench):
    assert {f.group for f in bench.figures()} == set(bench.groups(True)) | {"memory"}
    assert len({f.name for f in bench.figures()}) == len(bench.figures())


@pytest.mark.parametrize("shares,says", [([0.0, 0.04], "its own throughout"),
                                         ([0.0, 0.5], "1 of 2 measurements were disturbed"), ([], "")])
def test_bench_tells_when_others_used_the_core(bench, shares, says):
    results = {("c10", "nginx"): [{"foreign": share} for share in shares], "memory": {}}
    assert says in bench.disturbance(results)
    assert bench.busy_seconds({0}) > 0


def test_the_gateway_is_exercised_with_every_pair(gateway_binary, tools):
    command = [CHECKOUT / "bench" / "run", "--exercise", "--quick", "--gateway", gateway_binary, "--tools", tools]
    done = subprocess.run(command, timeout=120, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_exercise_of_something_else_is_refused(tools, tmp_path):
    impostor = tmp_path / "llm-gateway"
    impostor.write_text("#!/bin/sh\necho not a gateway\n")
    impostor.chmod(0o755)
    command = [CHECKOUT / "bench" / "run", "--exercise", "--gateway", impostor, "--tools", tools]
    done = subprocess.run(command, timeout=120, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith("bench: ")


@pytest.mark.soak
def test_a_profile_guided_build_is_made_once(tmp_path):
    """Takes minutes: three builds. In a clone, so that nobody's build is touched."""
    subprocess.run(["git", "clone", "-q", CHECKOUT, tmp_path / "clone"], check=True)
    binary = tmp_path / "clone/build/pgo/llm-gateway"
    seen = []
    for _ in range(2):
        subprocess.run(["make", "-C", tmp_path / "clone", "pgo"], check=True, timeout=1500, capture_output=True)
        seen.append((binary.stat().st_mtime_ns, binary.stat().st_ino))
    assert seen[0] == seen[1], "built again though nothing changed"
    said = subprocess.run([binary, "version"], check=True, capture_output=True, text=True).stdout
    assert said.startswith("llm-gateway ")
