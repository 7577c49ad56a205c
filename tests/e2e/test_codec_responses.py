"""The Responses codec on recorded traffic, by way of tests/tools/codec.c: its answers are read as a plain reading of the JSON
has them, whatever it writes holds against both specifications, and other vendors' answers arrive whole in its dialect.
"""

import json

import pytest

from lib import recordings, responses_spec
from lib.codec import codec, find_codec
from lib.wire import SseParser
from test_codec_recordings import Events, each

pytestmark = [
    pytest.mark.skipif(recordings.shared_dir() is None, reason=recordings.reason_missing()),
    pytest.mark.skipif(find_codec() is None, reason="tests/tools/codec is not built"),
    pytest.mark.timeout(600),
]
NAME = "openai-responses"


def answers(stream):
    """Whole turns; what runs in the background, is fetched, counted or compacted is no turn."""
    out = []
    for r in recordings.load("responses"):
        if r.status == 200 and r.method == "POST" and r.target.endswith("/responses") and r.stream == stream:
            if stream or json.loads(r.body).get("status") not in ("queued", "in_progress"):
                out.append(r)
    return out


def final(recording):
    """The resource that the recording ends with."""
    if not recording.stream:
        return json.loads(recording.body)
    parser = SseParser()
    bodies = [json.loads(e.data) for e in parser.feed(recording.body, 0) if e.data and e.data != "[DONE]"]
    return bodies[-1]["response"]


def compare(recording, got):
    want = final(recording)
    parts = [p for i in want["output"] if i["type"] == "message" for p in i["content"]]
    calls = [i for i in want["output"] if i["type"] in ("function_call", "custom_tool_call")]
    reasons = [i for i in want["output"] if i["type"] == "reasoning"]
    assert got.end == "ok"
    assert got.text == "".join(p.get("text", "") for p in parts)
    assert got.refusal == "".join(p.get("refusal", "") for p in parts)
    assert [c[:2] for c in got.calls] == [[c["call_id"], c["name"]] for c in calls]
    assert [c[2] or "{}" for c in got.calls] == [c.get("arguments") or "{}" for c in calls]
    assert got.reasoning == "".join("".join(p["text"] for p in i.get("content") or ())
                                    or "\n\n".join(p["text"] for p in i["summary"]) for i in reasons)
    if want.get("usage"):
        assert got.usage["input"] == want["usage"]["input_tokens"]
        assert got.usage["output"] == want["usage"]["output_tokens"]
    if want["status"] == "incomplete":
        assert got.stop == "length"
    else:
        assert got.stop == ("tool_calls" if calls else "refusal" if got.refusal else "end")


def read(outs):
    return [Events(out.decode().splitlines()) for out in outs]


def test_every_recorded_answer_becomes_the_events_it_says():
    for stream, mode in ((True, "events"), (False, "body")):
        tests = answers(stream)
        assert len(tests) > 60
        each(tests, [read(codec(mode, NAME, inputs=[r.body for r in tests]))], compare)


def test_trap_024_events_do_not_depend_on_how_the_bytes_are_cut():
    tests = answers(True)
    bodies = [r.body for r in tests]
    whole = codec("events", NAME, inputs=bodies)

    def check(recording, cut, uncut):
        assert cut == uncut
    for step in ("1", "7", "1000"):
        each(tests, [codec("events", NAME, step, inputs=bodies), whole], check)


def test_trap_113_a_stream_without_its_last_event_was_cut():
    tests = [r for r in answers(True) if b"event: response.completed" in r.body]
    bodies = [r.body[:r.body.rindex(b"event: response.completed")] for r in tests]

    def check(recording, got):
        assert got.end != "ok" and got.stop is None
    each(tests, [read(codec("events", NAME, inputs=bodies))], check)


def test_the_relay_passes_every_byte_and_reads_the_usage():
    tests = answers(True)

    def check(recording, out):
        passed, _, seen = out.rpartition(b"\n#")
        seen = json.loads(seen)
        assert passed == recording.body
        assert seen["finished"]
        assert seen["usage"]["input"] == final(recording)["usage"]["input_tokens"]
    each(tests, [codec("tap", NAME, inputs=[r.body for r in tests])], check)


def vendors():
    """(protocol, recordings of answers without an error in them)"""
    for protocol, kinds in (("openai-chat", ("openai_chat", "openai_compat_chat")),
                            ("anthropic-messages", ("anthropic_messages",))):
        yield protocol, [r for kind in kinds for r in recordings.load(kind)
                         if r.status == 200 and r.method == "POST" and b'"error":{' not in r.body.replace(b" ", b"")
                         and (b'"choices"' in r.body or b'"message_start"' in r.body or b'"content"' in r.body)]
    yield NAME, answers(True) + answers(False)


def events_of(protocol, tests):
    """What the recordings say in canonical events, streamed or not."""
    out = {}
    for stream, mode in ((True, "events"), (False, "body")):
        some = [r for r in tests if r.stream == stream]
        out.update(zip(some, codec(mode, protocol, inputs=[r.body for r in some])))
    return read([out[r] for r in tests])


def same(want, got):
    assert (got.end, got.text, got.refusal) == ("ok", want.text, want.refusal)
    assert got.reasoning == want.reasoning
    assert [c[:2] for c in got.calls] == [c[:2] for c in want.calls]
    assert [c[2] or "{}" for c in got.calls] == [c[2] or "{}" for c in want.calls]
    assert got.usage.get("output", 0) == want.usage.get("output", 0)
    assert got.usage.get("cache_read", 0) == want.usage.get("cache_read", 0)


# Without recordings there is nobody: the module is skipped then, but collected first.
each_vendor = pytest.mark.parametrize("protocol, tests", [
    pytest.param(protocol, tests, id=protocol) for protocol, tests in (vendors() if recordings.shared_dir() else ())])


@each_vendor
def test_trap_029_030_a_client_gets_a_stream_that_holds_against_both_specifications(protocol, tests):
    sent = codec("stream", protocol, NAME, inputs=[r.body for r in tests])

    def check(recording, out, want, got):
        assert responses_spec.stream_problems(SseParser().feed(out, 0), failed=want.end != "ok" or bool(want.error)) == []
        if want.end == "ok" and not want.error and want.stop != "refusal":
            same(want, got)
    each(tests, [sent, events_of(protocol, tests), read(codec("events", NAME, inputs=sent))], check)


@each_vendor
def test_a_client_gets_a_resource_that_holds_against_both_specifications(protocol, tests):
    sent = codec("whole", protocol, NAME, inputs=[r.body for r in tests])

    def check(recording, out, want, got):
        if want.end != "ok" or want.error:
            return
        assert responses_spec.resource_problem(json.loads(out)) is None
        if want.stop != "refusal":
            same(want, got)
    each(tests, [sent, events_of(protocol, tests), read(codec("body", NAME, inputs=sent))], check)


def each_tool(tools):
    """Those in namespaces too: a translated request holds them one by one."""
    for tool in tools:
        yield from each_tool(tool["tools"]) if tool["type"] == "namespace" else (tool,)


def requests():
    return [r for r in recordings.load("responses") if isinstance(r.req, dict) and "model" in r.req and r.target.endswith("/responses")]


def test_every_recorded_request_can_be_sent_on_and_holds_against_the_description():
    tests = [r for r in requests() if r.status == 200]
    bodies = [json.dumps(r.req).encode() for r in tests]

    def check(recording, out):
        out = json.loads(out)
        assert "error" not in out, out
        if "api.openai.com" in recording.uri:
            assert responses_spec.request_problem(out["body"]) is None
        items = recording.req["input"] if isinstance(recording.req["input"], list) else [recording.req["input"]]
        calls = [i.get("call_id") for i in items if isinstance(i, dict) and i.get("type") == "function_call"]
        assert [i["call_id"] for i in out["body"]["input"] if i.get("type") == "function_call"] == calls
        later = [t for i in items if isinstance(i, dict) and i.get("type") == "additional_tools" for t in i["tools"]]
        offered = [*each_tool(recording.req.get("tools") or ()), *each_tool(later)]
        assert len(out["body"].get("tools") or ()) == len(offered)
    each(tests, [codec("request", NAME, NAME, inputs=bodies)], check)


@pytest.mark.parametrize("protocol, kind", [("openai-chat", "openai_chat"), ("openai-chat", "openai_compat_chat"),
                                            ("anthropic-messages", "anthropic_messages")])
def test_every_other_recorded_request_becomes_one_that_holds_against_the_description(protocol, kind):
    tests = [r for r in recordings.load(kind) if isinstance(r.req, dict) and r.req.get("messages") and r.status == 200]
    bodies = [json.dumps({"model": "m", **r.req}).encode() for r in tests]

    def check(recording, out):
        out = json.loads(out)
        if "error" in out:      # refused, with a reason and a place
            assert out["error"] and out["param"]
            return
        body = out["body"]
        assert responses_spec.request_problem(body) is None
        assert body["store"] is False       # unlike here, elsewhere nothing is stored unless it is asked for
        assert all(t["strict"] in (True, False) for t in body.get("tools") or () if t["type"] == "function")
    each(tests, [codec("request", protocol, NAME, inputs=bodies)], check)


def test_every_recorded_responses_request_reaches_chat_with_its_calls_and_results():
    tests = requests()
    bodies = [json.dumps(r.req).encode() for r in tests]

    def check(recording, out):
        out = json.loads(out)
        assert "error" not in out, out
        items = recording.req["input"] if isinstance(recording.req["input"], list) else []
        calls = [i["call_id"] for i in items if i.get("type") == "function_call"]
        results = [i["call_id"] for i in items if i.get("type") == "function_call_output"]
        messages = out["body"]["messages"]
        assert [c["id"] for m in messages for c in m.get("tool_calls") or ()] == calls
        assert [m["tool_call_id"] for m in messages if m["role"] == "tool"] == results
    each(tests, [codec("request", NAME, "openai-chat", inputs=bodies)], check)
