"""Responses over WebSocket: what clients say and are told, on upstreams of every kind, which know nothing of it. Every turn is held
against the specification's schemas (lib/websocket.py)."""

import hashlib
import json
import signal
import socket
import time

import pytest

from lib import canned
from lib.vendors import VENDORS
from lib.websocket import ENDS, FIELDS, Raw, Socket, answer_of, check_turn, error_of, frame, text_of

KINDS = ["openai", "anthropic", "responses", "gemini", "ollama"]
MODEL = "m"
each_kind = pytest.mark.parametrize("kind", KINDS)
TOOL = {"type": "function", "name": "weather", "description": "The weather", "strict": False,
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}


def key(name, text, **more):
    return {"name": name, "sha256": hashlib.sha256(text.encode()).hexdigest(), **more}


class Scene:
    """A gateway with one provider of a kind, whose model says what it is told to."""

    def __init__(self, start_gateway, faultd, kind="openai", config=None, **account):
        self.vendor, self.up = VENDORS[kind], faultd()
        self.blocks = [("text", "Hello.")]
        self.script = self.up.reply("POST", self.vendor.path, body=lambda r: self.vendor.reply(r, self.blocks))
        self.config = {"providers": {"up": {**self.vendor.provider(self.up.origin), "models": [MODEL], "discover": False, **account}},
                       **(config or {})}
        self.gateway = start_gateway(self.config)

    def open(self, **kw):
        return Socket(self.gateway, **kw)

    def asked(self):
        """All texts of the last request, in one."""
        return self.up.requests[-1].body.decode()


@pytest.fixture
def scene(start_gateway, faultd):
    return lambda *a, **kw: Scene(start_gateway, faultd, *a, **kw)


# ---- turns ---------------------------------------------------------------------------------------------------------------

@each_kind
def test_a_conversation_with_a_tool_that_nobody_stores(scene, kind):
    s = scene(kind)
    with s.open() as ws:
        s.blocks = [("text", "I will look."), ("call", "call_1", "weather", {"city": "Köln"})]
        one = answer_of(ws.ask(MODEL, "What is the weather?", tools=[TOOL], store=False))
        call = next(i for i in one["output"] if i["type"] == "function_call")
        s.blocks = [("text", "It rains. 🌧")]
        two = answer_of(ws.ask(MODEL, [{"type": "function_call_output", "call_id": call["call_id"], "output": "Rain"}],
                               tools=[TOOL], store=False, previous_response_id=one["id"]))
        assert text_of(two) == "It rains. 🌧" and two["previous_response_id"] == one["id"]
        assert json.loads(call["arguments"]) == {"city": "Köln"} and two["usage"]["output_tokens"] > 0
        body = json.loads(s.asked())
        assert s.vendor.results(body) and "Rain" in s.vendor.results(body)[0]
        assert all(w in s.asked() for w in ("What is the weather?", "I will look."))
        assert not any(w in s.asked() for w in ("previous_response_id", "response.create", "generate", "stream_id"))
        if kind == "responses":
            assert body["stream"] is True and s.vendor.problem(body) is None
    answer = s.gateway.request("GET", f"/v1/responses/{two['id']}")
    assert answer.status == 404, "nothing was stored"


@each_kind
def test_the_official_sdk(scene, openai_client, kind):
    s = scene(kind)
    with openai_client(s.gateway).responses.connect() as connection:
        for turn in range(2):
            connection.response.create(model=MODEL, input="Hi", store=False)
            text = ""
            for event in connection:
                if event.type == "response.output_text.delta":
                    text += event.delta
                assert event.type != "error", event
                if event.type == "response.completed":
                    break
            assert text == event.response.output[-1].content[0].text == "Hello."
        connection.response.create(model="nope", input="Hi")
        error = connection.recv()
        assert error.type == "error" and error.error.code == "model_not_found" and error.status == 400


def test_events_are_those_of_http(scene):
    """The same answer by both ways: text frames hold the events' JSON, and nothing of SSE."""
    s = scene("responses")
    client = s.gateway.connect()
    client.request("POST", "/v1/responses", json_body={"model": MODEL, "input": "Hi", "stream": True})
    by_http = [json.loads(e.data) for e in client.open_stream() if e.data != "[DONE]"]
    with s.open() as ws:
        events = ws.ask(MODEL, "Hi")
    check_turn(events)
    assert [{k: v for k, v in e.items() if k != "headers"} for e in events] == by_http


def test_codex_says_stream_true(scene):
    """The specification forbids the member; what asks for that which happens anyway is let pass."""
    s = scene()
    with s.open() as ws:
        answer_of(ws.ask(MODEL, "Hi", stream=True, background=False, stream_options=None))


@pytest.mark.parametrize("more, param", [({"stream": False}, "stream"), ({"stream_options": {"include_obfuscation": False}}, "stream_options"),
                                         ({"background": True}, "background"), ({"generate": 1}, "generate"), ({"stream_id": "a b"}, "stream_id"),
                                         ({"type": "response.cancel"}, "type"), ({"type": None}, "type"), ({"store": "no"}, "store")])
def test_what_a_message_may_not_say(scene, more, param):
    s = scene()
    with s.open() as ws:
        error = error_of(ws.ask(MODEL, "Hi", **more))
        assert error["status"] == 400 and error["error"]["param"] == param
        assert answer_of(ws.ask(MODEL, "Hi")), "the WebSocket lives on"
    assert len(s.up.requests) == 1


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"response.create"', '{"type":"response.create"}', '{"type":"response.create","model":7}'])
def test_what_is_no_message(scene, text):
    s = scene()
    with s.open() as ws:
        ws.ws.send(text)
        assert error_of(ws.turn())["status"] == 400
        assert answer_of(ws.ask(MODEL, "Hi"))


def test_messages_wait_for_one_another(scene):
    s = scene()
    with s.open() as ws:
        for i in range(5):
            ws.send(MODEL, f"message {i}")
        for i in range(5):
            events = ws.turn()
            answer_of(events)
            assert {e.get("stream_id") for e in events} == {None}
    assert [f"message {i}" in r.body.decode() for i, r in enumerate(s.up.requests)] == [True] * 5, "in order, one after another"


def test_too_many_messages_wait(scene):
    s = scene(config={"responses": {"websocket_queue": 2}})
    s.script.holds = (1,)
    with s.open() as ws:
        for i in range(5):
            ws.send(MODEL, f"message {i}", stream_id="one")
        for _ in range(2):
            error = error_of(ws.turn())
            assert (error["status"], error["error"]["code"], error["stream_id"]) == (429, "websocket_queue_full", "one")
        s.script.release()
        for _ in range(3):
            answer_of(ws.turn())
    assert [f"message {i}" in r.body.decode() for i, r in enumerate(s.up.requests)] == [True] * 3


def test_what_waits_has_no_more_bytes_than_a_body(scene):
    s = scene(config={"server": {"max_body": "4KiB"}})
    s.script.holds = (1,)
    with s.open() as ws:
        ws.send(MODEL, "first")
        ws.send(MODEL, "x" * 3000)
        ws.send(MODEL, "y" * 3000)
        assert error_of(ws.turn())["error"]["code"] == "websocket_queue_full"
        s.script.release()
        answer_of(ws.turn())
        answer_of(ws.turn())
        assert answer_of(ws.ask(MODEL, "z" * 3000)), "there is room again"


# ---- lanes ---------------------------------------------------------------------------------------------------------------

def slow(s, word="slow"):
    """Holds the answers to what has that word in it, when they have begun."""
    begun = len(b"".join(s.vendor.events(s.blocks)[:s.vendor.begun]))
    s.up.clear()
    script = s.up.reply("POST", s.vendor.path, when=lambda r: word.encode() in r.body, body=lambda r: s.vendor.reply(r, s.blocks),
                        holds=(begun,))
    s.up.reply("POST", s.vendor.path, body=lambda r: s.vendor.reply(r, s.blocks))
    return script


def lanes_of(events):
    return {e.get("stream_id") for e in events}


@pytest.mark.threads
@each_kind
def test_lanes_run_side_by_side_and_each_in_order(scene, kind):
    s = scene(kind)
    s.blocks = [("text", "Some words that are said.")]
    held = slow(s)
    with s.open() as ws:
        ws.send(MODEL, "slow one", store=False, stream_id="a")
        ws.send(MODEL, "slow two", store=False)
        ws.send(MODEL, "after one", store=False, stream_id="a")
        ws.send(MODEL, "after two", store=False)
        for _ in range(2):
            held.wait_for_request().wait_held()
        seen = {"a": [], None: [], "b": []}
        ws.send(MODEL, "quick", store=False, stream_id="b")
        while not seen["b"] or seen["b"][-1]["type"] not in ENDS:       # those of the others mingle with it
            event = ws.event()
            seen[event.get("stream_id")].append(event)
        assert text_of(answer_of(seen["b"])) == s.blocks[0][1] and not {e["type"] for e in seen["a"] + seen[None]} & set(ENDS)
        assert not any(b"after" in r.body for r in s.up.requests), "the lane is busy"
        held.release()
        ends = []
        while len(ends) < 4:
            event = ws.event()
            lane = event.get("stream_id")
            seen[lane].append(event)
            if event["type"] in ENDS:
                answer_of(seen[lane])
                ends.append(lane)
                seen[lane] = []
        assert sorted(ends, key=str) == [None, None, "a", "a"]
    asked = [r.body.decode() for r in s.up.requests]
    for first, second in (("slow one", "after one"), ("slow two", "after two")):
        assert [first in a for a in asked].index(True) < [second in a for a in asked].index(True)


@pytest.mark.parametrize("lanes", [1, 2])
def test_no_more_lanes_run_at_once_than_allowed(scene, lanes):
    s = scene(config={"responses": {"websocket_lanes": lanes}})
    held = slow(s)
    with s.open() as ws:
        for i in range(lanes):
            ws.send(MODEL, f"slow {i}", stream_id=f"slow_{i}")
            held.wait_for_request().wait_held()
        ws.send(MODEL, "waits", stream_id="other")
        ws.send("nope", "waits too", stream_id="wrong")
        held.release()
        ended = ws.turns(lanes + 2)
        assert {lane for lane, _ in ended[:lanes]} == {f"slow_{i}" for i in range(lanes)} or lanes > 1
        ends = dict(ended)
        assert error_of(ends.pop("wrong"))["error"]["code"] == "model_not_found" and all(answer_of(e) for e in ends.values())
    assert "waits" in s.up.requests[lanes].body.decode()


def test_a_websocket_has_a_limited_number_of_lanes(scene):
    s = scene()
    with s.open() as ws:
        for i in range(32):
            assert lanes_of(ws.ask(MODEL, "Hi", stream_id=f"agent_{i}", generate=False)) == {f"agent_{i}"}
        error = error_of(ws.ask(MODEL, "Hi", stream_id="agent_33"))
        assert (error["status"], error["error"]["code"], error["error"]["param"], error["stream_id"]) == (
            400, "websocket_stream_limit_reached", "stream_id", "agent_33")
        assert lanes_of(ws.ask(MODEL, "Hi", stream_id="agent_0")) == {"agent_0"} and answer_of(ws.ask(MODEL, "Hi"))
        error = error_of(ws.ask(MODEL, "Hi", stream_id=""))
        assert (error["error"]["code"], error["error"]["param"]) == ("invalid_stream_id", "stream_id")


def test_a_lane_that_fails_leaves_the_others_alone(scene):
    s = scene()
    held = slow(s)
    with s.open() as ws:
        ws.send(MODEL, "slow", stream_id="good")
        held.wait_for_request().wait_held()
        ws.send("nope", "Hi", stream_id="bad")
        seen = []
        while not seen or seen[-1]["type"] != "error":
            seen.append(ws.event())
        assert seen[-1]["stream_id"] == "bad" and lanes_of(seen[:-1]) <= {"good"}
        held.release()
        while seen[-1]["type"] not in ENDS[:3]:
            seen.append(ws.event())
        assert text_of(answer_of([e for e in seen if e["stream_id"] == "good"])) == "Hello."


def test_a_lane_forks_from_another_which_goes_on(scene):
    """OpenAI's own example: both branches run at once, nothing is stored. A fork that fails leaves its parent to the lane that made it."""
    s = scene()
    held = slow(s, "gaps")
    with s.open() as ws:
        plan = answer_of(ws.ask(MODEL, "Draft a plan.", store=False, stream_id="planner"))["id"]
        assert error_of(ws.ask("nope", "Find gaps.", store=False, stream_id="critic", previous_response_id=plan))["status"] == 400
        ws.send(MODEL, "Find gaps.", store=False, stream_id="critic", previous_response_id=plan)
        held.wait_for_request().wait_held()
        ws.send(MODEL, "Add steps.", store=False, stream_id="planner", previous_response_id=plan)
        seen = []
        while not seen or seen[-1]["type"] not in ENDS:
            seen.append(ws.event())
        assert seen[-1]["stream_id"] == "planner"
        held.release()
        while seen[-1]["stream_id"] != "critic" or seen[-1]["type"] not in ENDS:
            seen.append(ws.event())
        for lane in ("planner", "critic"):
            assert answer_of([e for e in seen if e["stream_id"] == lane])["previous_response_id"] == plan
        assert all("Draft a plan." in r.body.decode() for r in s.up.requests)
        assert error_of(ws.ask("nope", "Again.", store=False, stream_id="planner", previous_response_id=plan))["status"] == 400
        assert not_found(ws.ask(MODEL, "Again.", store=False, stream_id="critic", previous_response_id=plan)), "its own lane has lost it"


def test_a_slow_reader_stops_all_lanes(scene):
    s = scene("responses", config={"server": {"stream_buffer": "64KiB"}})
    body = s.vendor.answer([("text", "word " * 100000)], "end", True)
    s.up.clear()
    script = s.up.reply("POST", s.vendor.path, body=body)
    ws = Raw(s.gateway, rcvbuf=4096)
    for lane in "abc":
        ws.send(frame(0x81, json.dumps({**json.loads(CREATE), "stream_id": lane}).encode()))
    hits = [script.wait_for_request() for _ in range(3)]
    sent = -1
    while (now := sum(h.bytes_sent for h in hits)) != sent:
        sent = now
        time.sleep(0.3)
    assert all(h.bytes_sent < len(body) - 1_000_000 for h in hits)
    ends = []
    while len(ends) < 3:
        first, payload = ws.frame()
        if first == 0x81 and b'"type":"response.completed"' in payload:
            ends.append(json.loads(payload)["stream_id"])
    assert sorted(ends) == ["a", "b", "c"]
    ws.drop()


@pytest.mark.parametrize("how", ["close", "drop"])
def test_a_client_that_leaves_ends_all_its_lanes(scene, how):
    s = scene()
    held = slow(s)
    ws = Raw(s.gateway)
    for lane in "abc":
        ws.send(frame(0x81, json.dumps({**json.loads(CREATE), "input": "slow", "stream_id": lane}).encode()))
        ws.send(frame(0x81, json.dumps({**json.loads(CREATE), "input": "never", "stream_id": lane}).encode()))
    hits = [held.wait_for_request() for _ in range(3)]
    for hit in hits:
        hit.wait_held()
    if how == "close":
        ws.send(frame(0x88, b"\x03\xe8"))
    else:
        ws.drop()
    for hit in hits:
        hit.wait_disconnect()
    records = s.gateway.wait_access(lambda r: r.get("transport"), n=3)
    assert [r["end"] for r in records] == ["client_gone"] * 3 and len(s.up.requests) == 3


def test_the_time_limit_waits_for_all_lanes(scene):
    s = scene(config={"timeouts": {"websocket": "400ms"}})
    held = slow(s)
    with s.open() as ws:
        for lane in "ab":
            ws.send(MODEL, f"slow {lane}", stream_id=lane)
            held.wait_for_request().wait_held()
        time.sleep(0.6)     # the limit has passed
        ws.send(MODEL, "too late", stream_id="c")
        error = ws.turn()[-1]       # at once: nothing more begins
        assert (error["error"]["code"], error["stream_id"]) == ("websocket_connection_limit_reached", "c")
        held.release()
        assert {(lane, events[-1]["type"]) for lane, events in ws.turns(2)} == {("a", "response.completed"), ("b", "response.completed")}
        assert error_of(ws.turn())["error"]["code"] == "websocket_connection_limit_reached"
        assert ws.closed()[0] == 1001
    assert len(s.up.requests) == 2


def test_the_official_sdk_runs_lanes(scene, openai_client):
    s = scene()
    with openai_client(s.gateway).responses.connect() as connection:
        for lane in ("planner", "research"):
            connection.response.create(model=MODEL, input=lane, store=False, stream_id=lane)
        done = {}
        for event in connection:
            assert event.type != "error", event
            if event.type == "response.completed":
                done[event.stream_id] = event.response.output[-1].content[0].text
            if len(done) == 2:
                break
    assert done == {"planner": "Hello.", "research": "Hello."}


# ---- steering ------------------------------------------------------------------------------------------------------------

def steer(ws, response_id, input="Only three points.", **more):
    ws.ws.send(json.dumps({"type": "response.steer", "previous_response_id": response_id, "input": input, **more}))


def test_a_running_response_cannot_be_steered_and_says_so(scene):
    """In the protocol's own words, in between, and the response goes on as if nothing had been said."""
    s = scene()
    held = slow(s)
    with s.open() as ws:
        ws.send(MODEL, "slow", store=False, stream_id="a")
        held.wait_for_request().wait_held()
        events = [ws.event()]
        steer(ws, events[0]["response"]["id"], [{"role": "user", "content": "Only three points."}])
        while events[-1]["type"] != "response.steer.failed":
            events.append(ws.event())
        failed = events[-1]
        assert failed == {"type": "response.steer.failed", "sequence_number": len(events) - 1, "stream_id": "a",
                          "steer": {"previous_response_id": events[0]["response"]["id"],
                                    "input": [{"role": "user", "content": "Only three points."}]},
                          "error": {"type": "invalid_request_error", "code": "steering_not_supported", "message": failed["error"]["message"]}}
        held.release()
        while events[-1]["type"] not in ENDS:
            events.append(ws.event())
        assert [e["sequence_number"] for e in events] == list(range(len(events)))
        assert text_of(events[-1]["response"]) == "Hello."
        steer(ws, events[-1]["response"]["id"])
        assert ws.event()["error"]["code"] == "response_already_completed"
        assert text_of(answer_of(ws.ask(MODEL, failed["steer"]["input"], store=False, previous_response_id=events[-1]["response"]["id"])))
    assert "Only three points." in s.asked()


@pytest.mark.parametrize("input, more, code", [("x", {}, "response_not_found"), ("", {}, "invalid_input"), ([], {}, "invalid_input"),
                                               ([{"role": "system", "content": "x"}], {}, "invalid_input"), ("x", {"model": "m"}, "invalid_input")])
def test_what_is_wrong_with_a_steering_message(scene, input, more, code):
    s = scene()
    with s.open() as ws:
        steer(ws, "resp_nobody", input, **more)
        failed = ws.event()
        assert (failed["type"], failed["error"]["code"], failed["steer"]["input"]) == ("response.steer.failed", code, input)
        assert failed["sequence_number"] == 0 and "stream_id" not in failed
        assert answer_of(ws.ask(MODEL, "Hi"))


def test_a_steering_message_without_its_members_is_an_error(scene):
    s = scene()
    with s.open() as ws:
        for message, param in (({"input": "x"}, "previous_response_id"), ({"previous_response_id": "r"}, "input")):
            ws.ws.send(json.dumps({"type": "response.steer", **message}))
            error = error_of(ws.turn())
            assert (error["status"], error["error"]["param"]) == (400, param)


def test_the_official_sdk_reads_that_steering_failed(scene, openai_client):
    s = scene()
    held = slow(s)
    with openai_client(s.gateway).responses.connect() as connection:
        connection.response.create(model=MODEL, input="slow", store=False)
        for event in connection:
            if event.type == "response.created":
                held.wait_for_request().wait_held()
                connection.send({"type": "response.steer", "previous_response_id": event.response.id, "input": "Shorter."})
            if event.type == "response.steer.failed":
                assert event.error.code == "steering_not_supported" and event.steer.input == "Shorter."
                held.release()
            if event.type == "response.completed":
                break


# ---- what stands beside the answer ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", ["openai", "responses"])
def test_headers_of_http_stand_in_the_first_event(scene, kind):
    s = scene(kind)
    with s.open() as ws:
        events = ws.ask(MODEL, "Hi", prompt_cache_key="k", max_tool_calls=3)
        check_turn(events)
    headers = events[0]["headers"]
    assert headers["x-llm-gateway-provider"] == "up" and headers["x-llm-gateway-attempts"] == "1"
    assert headers.get("x-llm-gateway-dropped") == (None if kind == "responses" else "max_tool_calls")
    record = s.gateway.wait_access(lambda r: r.get("transport") == "websocket")[0]
    assert record["id"] == headers["x-request-id"] and record.get("dropped") == headers.get("x-llm-gateway-dropped")
    assert (record["method"], record["path"], record["model"], record["status"], record["end"]) == ("GET", "/v1/responses", MODEL, 200, "ok")
    assert record["output_tokens"] > 0


def test_strict_and_pins_of_the_handshake_hold_for_every_message(scene):
    s = scene()
    with s.open(headers={"x-llm-gateway-strict": "true"}) as ws:
        for _ in range(2):
            error = error_of(ws.ask(MODEL, "Hi", max_tool_calls=3))
            assert error["status"] == 400 and "max_tool_calls" in error["error"]["message"]
    with s.open(headers={"x-llm-gateway-provider": "nobody"}) as ws:
        assert error_of(ws.ask(MODEL, "Hi"))["status"] in (400, 404)


def test_there_is_one_access_record_a_message_and_one_for_the_handshake(scene):
    s = scene()
    with s.open() as ws:
        ws.ask(MODEL, "Hi")
        ws.ask("nope", "Hi")
    records = s.gateway.wait_access(n=3)
    assert [(r.get("transport"), r["status"], r["end"]) for r in records] == [
        (None, 101, "upgraded"), ("websocket", 200, "ok"), ("websocket", 400, "refused")]
    assert len({r["id"] for r in records}) == 3 and len({r["client"] for r in records}) == 1


# ---- failures ------------------------------------------------------------------------------------------------------------

@each_kind
def test_a_provider_that_refuses_becomes_an_envelope(scene, kind):
    s = scene(kind)
    s.up.clear()
    refusal = s.up.reply("POST", s.vendor.path, status=429, body=s.vendor.error("Slow down.", 429), headers=(("retry-after", "7"),))
    with s.open() as ws:
        error = error_of(ws.ask(MODEL, "Hi"))
        assert error["status"] == 429 and "Slow down." in error["error"]["message"]
        assert error["headers"]["retry-after"] == "7" and error["headers"]["x-llm-gateway-provider"] == "up"
        refusal.status, refusal.body = 400, s.vendor.error("Not so.", 400)
        error = error_of(ws.ask(MODEL, "Hi"))
        assert error["status"] == 400 and "Not so." in error["error"]["message"]
        s.up.clear()
        s.up.reply("POST", s.vendor.path, body=lambda r: s.vendor.reply(r, s.blocks))
        assert answer_of(ws.ask(MODEL, "Hi"))


@each_kind
@pytest.mark.parametrize("how", ["error", "cut"])
def test_a_stream_that_breaks_ends_once_and_in_order(scene, kind, how):
    s = scene(kind)
    events = s.vendor.events([("text", "Some words that are said.")])
    begun = b"".join(events[:s.vendor.begun])
    s.up.clear()
    if how == "error" and s.vendor.stream_error("x"):
        s.up.reply("POST", s.vendor.path, body=begun + s.vendor.stream_error("It broke."), times=1, fault="fin")
    else:
        s.up.reply("POST", s.vendor.path, body=begun, times=1, fault="fin")
    s.up.reply("POST", s.vendor.path, body=lambda r: s.vendor.reply(r, s.blocks))
    with s.open() as ws:
        events = ws.ask(MODEL, "Hi")
        # Exactly one end: who takes the first for it does not find another in the next turn.
        assert events[-1]["type"] == "response.failed" and "error" not in [e["type"] for e in events]
        check_turn(events)
        assert any(e["type"] == "response.output_text.delta" for e in events)
        assert text_of(answer_of(ws.ask(MODEL, "Hi"))) == "Hello."


def test_an_error_before_anything_was_said_is_an_envelope(scene):
    s = scene("responses")
    s.up.clear()
    s.up.reply("POST", s.vendor.path, body=s.vendor.stream_error("It broke."))
    with s.open() as ws:
        error = error_of(ws.ask(MODEL, "Hi"))
        assert error["status"] >= 500 and "It broke." in error["error"]["message"]


def test_a_provider_that_is_not_there(scene):
    s = scene()
    s.up.refuse()
    with s.open() as ws:
        assert error_of(ws.ask(MODEL, "Hi"))["status"] == 502


def test_what_a_provider_sends_that_is_no_utf8_does_not_end_the_websocket(scene, stage):
    s = scene("responses")
    body = s.vendor.answer([("text", "Grüße")], "end", True).replace("ü".encode(), b"\xff")
    s.up.clear()
    s.up.reply("POST", s.vendor.path, body=body)
    with s.open() as ws:
        events = ws.ask(MODEL, "Hi")
        assert "�" in json.dumps(events, ensure_ascii=False) or events[-1]["type"] == "error"
        assert ws.ask(MODEL, "Hi")


# ---- what a WebSocket remembers ------------------------------------------------------------------------------------------

def not_found(events):
    error = error_of(events)
    return (error["status"], error["error"]["code"], error["error"]["param"]) == (400, "previous_response_not_found", "previous_response_id")


@pytest.mark.parametrize("kind", ["openai", "responses"])
def test_an_unknown_id_with_store_false_is_not_found(scene, kind):
    s = scene(kind)
    with s.open() as ws:
        assert not_found(ws.ask(MODEL, "Hi", store=False, previous_response_id="resp_nobody"))
        one = answer_of(ws.ask(MODEL, "Hi", store=False))
    with s.open() as other:
        assert not_found(other.ask(MODEL, "Hi", store=False, previous_response_id=one["id"])), "of another connection"
    assert len(s.up.requests) == 1, "the provider is not asked"


def ref(item_id):
    return {"type": "item_reference", "id": item_id}


USER = {"role": "user", "content": "So?"}


@each_kind
def test_items_of_earlier_turns_are_found_on_the_same_connection(scene, kind):
    """Though nobody stores them: of the answer, of the input with an id, and of the input with one that follows from the turn's."""
    s = scene(kind)
    s.blocks = [("text", "Said once.")]
    with s.open() as ws:
        one = answer_of(ws.ask(MODEL, [{"role": "user", "content": "Asked first."},
                                       {"type": "message", "id": "msg_mine", "role": "user", "content": "Mine."}], store=False))
        message = next(i for i in one["output"] if i["type"] == "message")
        first = f"msg_{one['id'].removeprefix('resp_')}_0"
        two = answer_of(ws.ask(MODEL, [ref(first), ref("msg_mine"), ref(message["id"]), USER], store=False))
        at = [s.asked().find(w) for w in ("Asked first.", "Mine.", "Said once.", "So?")]
        assert -1 < at[0] < at[1] < at[2] < at[3] and "item_reference" not in s.asked()
        answer_of(ws.ask(MODEL, [ref(message["id"]), USER], store=False, previous_response_id=two["id"]))
        assert s.asked().count("Said once.") == 3
    with s.open() as other:
        if kind == "responses":     # what nobody here knows may be the provider's own
            answer_of(other.ask(MODEL, [ref(first), USER], store=False))
            assert json.loads(s.asked())["input"][0] == ref(first)
            return
        n = len(s.up.requests)
        for item in (first, "msg_mine", message["id"]):
            error = error_of(other.ask(MODEL, [ref(item), USER], store=False))
            assert (error["status"], error["error"]["param"], error["error"]["message"]) == (404, "input", f"Item with id '{item}' not found.")
            assert s.gateway.request("POST", "/v1/responses", json_body={"model": MODEL, "input": [ref(item)]}).status == 404
        assert len(s.up.requests) == n


def test_items_of_the_connection_and_of_the_store_stand_side_by_side(scene):
    s = scene()
    s.blocks = [("text", "Kept for all.")]
    kept = s.gateway.request("POST", "/v1/responses", json_body={"model": MODEL, "input": "Hi"}).json()["output"][0]["id"]
    s.blocks = [("text", "Said here.")]
    with s.open() as ws:
        here = answer_of(ws.ask(MODEL, "Hi", store=False))["output"][0]["id"]
        answer_of(ws.ask(MODEL, [ref(kept), ref(here), ref(kept), USER], store=False))
        assert [m["content"] for m in json.loads(s.asked())["messages"]] == ["Kept for all.", "Said here.", "Kept for all.", "So?"]


def test_what_a_provider_did_not_keep_is_not_left_to_it_by_name(scene):
    """The account that made the items gets their names only where it keeps them too."""
    s = scene("responses")
    with s.open() as ws:
        for store, by_name in ((False, False), (True, True)):
            made = answer_of(ws.ask(MODEL, "Hi", store=store))["output"][0]["id"]
            answer_of(ws.ask(MODEL, [ref(made), USER], store=store))
            sent = json.loads(s.asked())["input"]
            assert (sent[0] == ref(made)) == by_name and (by_name or sent[0]["role"] == "assistant")


def test_a_conversation_may_fork(scene):
    s = scene()
    with s.open() as ws:
        one = answer_of(ws.ask(MODEL, "first", store=False))
        answer_of(ws.ask(MODEL, "left", store=False, previous_response_id=one["id"]))
        two = answer_of(ws.ask(MODEL, "right", store=False, previous_response_id=one["id"], stream_id="other"))
        answer_of(ws.ask(MODEL, "third", store=False, previous_response_id=two["id"]))
    words = ("first", "left", "right", "third")
    assert [w in s.asked() for w in words] == [True, False, True, True]


def test_a_turn_that_fails_evicts_what_it_continued(scene):
    s = scene()
    with s.open() as ws:
        one = answer_of(ws.ask(MODEL, "first", store=False))
        s.up.clear()
        s.up.reply("POST", s.vendor.path, status=500, body=canned.openai_error(), times=1)
        s.up.reply("POST", s.vendor.path, body=lambda r: s.vendor.reply(r, s.blocks))
        assert error_of(ws.ask(MODEL, "again", store=False, previous_response_id=one["id"]))["status"] == 500
        assert not_found(ws.ask(MODEL, "again", store=False, previous_response_id=one["id"]))
        one = answer_of(ws.ask(MODEL, "first", store=False))
        assert error_of(ws.ask(MODEL, "bad", store=False, previous_response_id=one["id"], stream=False))["status"] == 400
        assert not_found(ws.ask(MODEL, "again", store=False, previous_response_id=one["id"]))
        one = answer_of(ws.ask(MODEL, "first", store=False))
        ws.ask("nope", "Hi", store=False)       # this one continued nothing
        assert answer_of(ws.ask(MODEL, "again", store=False, previous_response_id=one["id"]))


def test_what_was_stored_is_found_after_an_eviction_and_elsewhere(scene, openai_client):
    s = scene()
    with s.open() as ws:
        one = answer_of(ws.ask(MODEL, "first"))
        assert error_of(ws.ask("nope", "bad", previous_response_id=one["id"]))["status"] == 400
        two = answer_of(ws.ask(MODEL, "second", previous_response_id=one["id"]))
        assert "first" in s.asked() and "second" in s.asked()
        # Without `store` there is only the connection's own memory.
        assert error_of(ws.ask("nope", "bad", previous_response_id=two["id"]))["status"] == 400
        assert not_found(ws.ask(MODEL, "third", store=False, previous_response_id=two["id"]))
    client = openai_client(s.gateway)
    assert client.responses.retrieve(two["id"]).previous_response_id == one["id"]
    by_http = client.responses.create(model=MODEL, input="by http", previous_response_id=two["id"])
    with s.open() as ws:
        three = answer_of(ws.ask(MODEL, "on another", previous_response_id=by_http.id))
        # It was brought back from the store once; the connection now knows all of it.
        answer_of(ws.ask(MODEL, "and on", store=False, previous_response_id=three["id"]))
    assert all(w in s.asked() for w in ("first", "second", "by http", "on another", "and on"))


def test_a_provider_of_responses_may_know_an_id_that_the_gateway_does_not(scene):
    s = scene("responses")
    with s.open() as ws:
        one = answer_of(ws.ask(MODEL, "first", previous_response_id="resp_theirs"))
        assert json.loads(s.asked())["previous_response_id"] == "resp_theirs"
        # How it began is not known here, so it is not put together here either.
        answer_of(ws.ask(MODEL, "second", previous_response_id=one["id"]))
        assert json.loads(s.asked())["previous_response_id"] == one["id"] and "first" not in s.asked()


def test_a_conversation_goes_on_with_another_provider(start_gateway, faultd):
    providers, ups = {}, {}
    for kind in KINDS:
        vendor, ups[kind] = VENDORS[kind], faultd()
        ups[kind].reply("POST", vendor.path, body=lambda r, v=vendor, k=kind: v.reply(r, [("text", f"{k} says so.")]))
        providers[kind] = {**vendor.provider(ups[kind].origin), "models": [f"m-{kind}"], "discover": False}
    gateway = start_gateway({"providers": providers})
    previous = None
    with Socket(gateway) as ws:
        for kind in KINDS + KINDS:
            more = {"previous_response_id": previous} if previous else {}
            previous = answer_of(ws.ask(f"m-{kind}", f"Question to {kind}.", store=False, **more))["id"]
    last = ups["ollama"].requests[-1].body.decode()
    assert all(f"{kind} says so." in last and f"Question to {kind}." in last for kind in KINDS)
    assert len(last) < 5000


def test_memory_is_bounded(scene):
    s = scene(config={"responses": {"max_context": "4KiB"}})
    with s.open() as ws:
        one = answer_of(ws.ask(MODEL, "x" * 2000, store=False))
        two = answer_of(ws.ask(MODEL, "y" * 100, store=False))
        assert not_found(ws.ask(MODEL, "Hi", store=False, previous_response_id=one["id"]))
        answer_of(ws.ask(MODEL, "Hi", store=False, previous_response_id=two["id"]))
        too_long = answer_of(ws.ask(MODEL, "z" * 5000, store=False))
        error = error_of(ws.ask(MODEL, "Hi", store=False, previous_response_id=too_long["id"]))
        assert error["status"] == 413 and "Send what matters of it as input." in error["error"]["message"]


def test_the_newest_turn_can_be_continued_however_much_others_hold(scene):
    s = scene(config={"responses": {"max_context": "4KiB"}})
    held = slow(s)
    with s.open() as ws:
        long = answer_of(ws.ask(MODEL, "x" * 2000, store=False))
        ws.send(MODEL, "slow", store=False, stream_id="a", previous_response_id=long["id"])
        held.wait_for_request().wait_held()
        more = {}
        for text in ("y" * 1000, "one", "two"):
            ws.send(MODEL, text, store=False, stream_id="b", **more)
            more = {"previous_response_id": answer_of(ws.lane("b"))["id"]}
        assert all(text in s.asked() for text in ("y" * 1000, "one", "two"))
        held.release()
        assert text_of(answer_of(ws.lane("a"))) == "Hello."


@pytest.mark.threads
def test_lanes_share_the_memory_of_their_websocket(scene):
    """Each message is short enough by itself; what is too much together is refused, and the others go on."""
    s = scene(config={"server": {"max_body": "1MiB", "max_event": "1MiB", "max_memory": "4MiB"}})
    held = slow(s)
    with s.open() as ws:
        lanes = [f"lane_{i}" for i in range(16)]
        for lane in lanes:
            ws.send(MODEL, "slow" + "x" * 500_000, store=False, stream_id=lane)
        refused = []
        while not refused or refused[-1] != lanes[-1]:
            event = ws.event()
            ws.aside.setdefault(event["stream_id"], []).append(event)
            if event["type"] == "error":
                assert event["status"] == 503 and "out of memory" in event["error"]["message"], event
                refused.append(event["stream_id"])
        assert 2 < len(refused) < 15
        held.release()
        for lane in lanes:
            if lane not in refused:
                assert text_of(answer_of(ws.lane(lane))) == "Hello."
        ws.aside.clear()
        ws.send(MODEL, "slow" + "x" * 500_000, store=False, stream_id=refused[0])
        assert text_of(answer_of(ws.lane(refused[0]))) == "Hello.", "there is room again"


def test_nothing_of_store_false_reaches_the_disk(scene):
    s = scene()
    with s.open() as ws:
        one = answer_of(ws.ask(MODEL, "a secret", store=False))
        answer_of(ws.ask(MODEL, "another secret", store=False, previous_response_id=one["id"]))
    assert b"secret" not in b"".join(p.read_bytes() for p in (s.gateway.folder / "data").glob("state.db*"))


# ---- generate: false -----------------------------------------------------------------------------------------------------

@each_kind
def test_a_warm_up_gives_an_id_to_continue_and_asks_nobody(scene, kind):
    s = scene(kind)
    with s.open() as ws:
        warm = answer_of(ws.ask(MODEL, "context", store=False, generate=False, instructions="Be brief.", tools=[TOOL]))
        assert warm["output"] == [] and warm["status"] == "completed" and warm["usage"]["output_tokens"] == 0
        assert s.up.requests == []
        more = answer_of(ws.ask(MODEL, "more", store=False, generate=False, previous_response_id=warm["id"]))
        two = answer_of(ws.ask(MODEL, "question", store=False, previous_response_id=more["id"]))
        assert text_of(two) == "Hello."
    assert len(s.up.requests) == 1
    at = [s.asked().find(w) for w in ("context", "more", "question")]
    assert -1 < at[0] < at[1] < at[2]


def test_a_warm_up_without_input_and_of_what_is_not_there(scene):
    s = scene()
    with s.open() as ws:
        warm = answer_of(ws.ask(MODEL, [], store=False, generate=False))
        answer_of(ws.ask(MODEL, "question", store=False, previous_response_id=warm["id"]))
        assert error_of(ws.ask("nope", [], generate=False))["error"]["code"] == "model_not_found"
        assert error_of(ws.ask(MODEL, 7, generate=False))["status"] == 400


# ---- the handshake -------------------------------------------------------------------------------------------------------

def upgrade(gateway, path="/v1/responses", drop=(), **fields):
    headers = {**FIELDS, **{k.replace("_", "-"): v for k, v in fields.items()}}
    return gateway.request("GET", path, [(k, v) for k, v in headers.items() if k not in drop])


@pytest.fixture(scope="module")
def plain(start_module_gateway, module_faultd):
    """A gateway that is only asked, never answered by a provider."""
    return start_module_gateway({"providers": {"up": {"type": "openai", "base_url": module_faultd().origin, "api_key": "k",
                                                      "models": [MODEL], "discover": False}}})


def test_handshakes_that_are_refused(plain):
    for more, status in [({"drop": ["Sec-WebSocket-Key"]}, 400), ({"Sec_WebSocket_Key": "short"}, 400), ({"Connection": "keep-alive"}, 400),
                         ({"Sec_WebSocket_Version": "8"}, 426), ({"drop": ["Sec-WebSocket-Version"]}, 426)]:
        answer = upgrade(plain, **more)
        assert answer.status == status and answer.json()["error"]["type"] == "invalid_request_error", (more, answer)
        assert answer.headers.get("sec-websocket-version") == ("13" if status == 426 else None)
        assert (answer.headers.get("upgrade") == "websocket") == (status == 426)


def test_get_without_upgrade_and_upgrades_of_other_things_are_what_they_were(plain):
    assert plain.request("GET", "/v1/responses").status == 405
    assert upgrade(plain, Upgrade="h2c").status == 405
    assert upgrade(plain, "/v1/chat/completions").status == 405
    assert upgrade(plain, "/v1/models").status == 200
    assert upgrade(plain, "/v1/responses/resp_1").status == 404
    assert upgrade(plain, "/nowhere").status == 404


@pytest.mark.parametrize("path", ["/v1/responses", "/api/v1/responses", "/openai/v1/responses", "/responses", "/openai/responses?api-version=1"])
def test_wherever_responses_are_made(plain, path):
    ws = Raw(plain, path, {**FIELDS, "Sec-WebSocket-Extensions": "permessage-deflate", "Sec-WebSocket-Protocol": "a, b"})
    assert b"sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=" in ws.head.lower()
    assert b"sec-websocket-extensions" not in ws.head.lower() and b"sec-websocket-protocol" not in ws.head.lower()
    ws.send(frame(0x88, b"\x03\xe8"))
    assert ws.close_code() == 1000


def test_keys_are_checked_before_the_upgrade(start_gateway):
    gateway = start_gateway({"providers": {"up": {"type": "openai", "base_url": "http://127.0.0.1:9", "api_key": "k", "discover": False}},
                             "auth": {"keys": [key("ann", "gw-ann"), key("ro", "gw-ro", permissions=["read"])]}})
    assert upgrade(gateway).status == 401
    assert upgrade(gateway, Authorization="Bearer gw-nobody").status == 401
    assert upgrade(gateway, Authorization="Bearer gw-ro").status == 403, "messages are writes"
    assert upgrade(gateway, Authorization="Bearer gw-nobody", Sec_WebSocket_Version="8").status == 401
    for headers, path in [({"Authorization": "Bearer gw-ann"}, ""), ({"x-api-key": "gw-ann"}, ""), ({"api-key": "gw-ann"}, ""), ({}, "?key=gw-ann")]:
        Raw(gateway, "/v1/responses" + path, {**FIELDS, **headers}).drop()


def test_a_web_page_needs_a_key(start_gateway, plain):
    """Browsers let any page open a WebSocket to this machine."""
    assert upgrade(plain, Origin="http://evil.example").status == 403
    assert upgrade(plain, Origin="null").status == 403
    Raw(plain, headers={**FIELDS, "Origin": plain.url}).drop()
    gateway = start_gateway({"providers": {"up": {"type": "openai", "base_url": "http://127.0.0.1:9", "api_key": "k", "discover": False}},
                             "auth": {"keys": [key("ann", "gw-ann")]}})
    Raw(gateway, headers={**FIELDS, "Origin": "http://page.example", "Authorization": "Bearer gw-ann"}).drop()


def test_a_protocol_that_is_off_is_not_there(start_gateway):
    gateway = start_gateway({"providers": {"up": {"type": "openai", "base_url": "http://127.0.0.1:9", "api_key": "k", "discover": False}},
                             "enable": {"openai": False}})
    assert upgrade(gateway).status == 404


def test_over_tls(new_gateway, faultd, certs):
    certificate, private = certs.server()
    context = certs.client_context()

    def start(config):
        gateway = new_gateway({**config, "server": {"tls": {"certificate": certificate, "key": private}}})
        gateway.healthy = lambda: accepts_tls(gateway, context)
        return gateway.start()
    s = Scene(start, faultd)
    with Socket(s.gateway, url=f"wss://localhost:{s.gateway.port}", ssl=context) as ws:
        s.blocks = [("text", "word " * 20000)]
        assert text_of(answer_of(ws.ask(MODEL, "Hi"))) == "word " * 20000


def accepts_tls(gateway, context):
    try:
        with socket.create_connection(gateway.address, timeout=2) as tcp, context.wrap_socket(tcp, server_hostname="localhost"):
            return True
    except OSError:
        return False


# ---- frames --------------------------------------------------------------------------------------------------------------

CREATE = json.dumps({"type": "response.create", "model": MODEL, "input": "Hi"}).encode()


BREACHES = {
    "not masked": (frame(0x81, CREATE, mask=False), 1002), "binary": (frame(0x82, CREATE), 1003), "no UTF-8": (frame(0x81, b'"\xff"'), 1007),
    "an extension's bit": (frame(0xc1, CREATE), 1002), "a continuation of nothing": (frame(0x80, CREATE), 1002),
    "an unknown kind": (frame(0x83), 1002), "a ping in pieces": (frame(0x09), 1002), "a long ping": (frame(0x89, b"x" * 126), 1002),
    "two beginnings": (frame(0x01, b"a") + frame(0x81, b"b"), 1002), "half a code": (frame(0x88, b"\x03"), 1002),
    "code 1005": (frame(0x88, b"\x03\xed"), 1002), "too long": (frame(0x81, b"x", length=4097), 1009),
    "far too long": (frame(0x81, b"x", length=1 << 62), 1009), "too long in pieces": (frame(0x01, b"x" * 4096) + frame(0x80, b"x"), 1009)}


@pytest.mark.parametrize("breach", BREACHES)
def test_what_breaks_the_protocol_is_closed_with_its_code(scene, breach):
    s = scene(config={"server": {"max_body": "4KiB"}})
    bad, code = BREACHES[breach]
    ws = Raw(s.gateway)
    ws.send(bad)
    assert ws.close_code() == code
    assert s.up.requests == []


def test_a_message_in_pieces_with_pings_between(scene):
    s = scene()
    ws = Raw(s.gateway)
    for piece in (CREATE[i:i + 7] for i in range(0, len(CREATE), 7)):
        ws.send(frame(0x01 if piece == CREATE[:7] else 0x00, piece), frame(0x89, b"there?"))
        assert ws.frame() == (0x8a, b"there?")
    ws.send(frame(0x80))
    first, payload = ws.frame()
    assert first == 0x81 and json.loads(payload)["type"] == "response.created"
    ws.drop()


def test_a_silent_client_is_let_go_and_one_that_answers_pings_is_not(scene):
    s = scene(config={"server": {"idle_timeout": "600ms", "keepalive": "100ms"}})
    with s.open() as polite:        # the library answers pings by itself
        rude = Raw(s.gateway)
        first, _ = rude.frame()
        while first == 0x89:
            first, payload = rude.frame()
        assert first == 0x88 and payload[:2] == b"\x03\xe9"
        assert answer_of(polite.ask(MODEL, "Hi"))


def test_pings_fill_the_wait_for_a_slow_provider(scene):
    s = scene(config={"server": {"keepalive": "100ms"}})
    s.script.hold_head = True
    ws = Raw(s.gateway)
    ws.send(frame(0x81, CREATE))
    hit = s.script.wait_for_request()
    for _ in range(3):
        assert ws.frame() == (0x89, b"")
        ws.send(frame(0x8a))
    hit.release()
    first, payload = ws.frame()
    while first == 0x89:
        first, payload = ws.frame()
    assert json.loads(payload)["type"] == "response.created", "no keep-alives of SSE"
    ws.drop()


# ---- back-pressure and leaving -------------------------------------------------------------------------------------------

def test_a_slow_reader_slows_the_provider_down(scene):
    s = scene("responses", config={"server": {"stream_buffer": "64KiB"}})
    events = s.vendor.answer([("text", "word " * 400000)], "end", True)     # some 20 MB of deltas
    s.up.clear()
    script = s.up.reply("POST", s.vendor.path, body=events)
    ws = Raw(s.gateway, rcvbuf=4096)
    ws.send(frame(0x81, CREATE))
    hit = script.wait_for_request()
    sent = -1
    while hit.bytes_sent != sent:
        sent = hit.bytes_sent
        time.sleep(0.3)
    assert sent < len(events) - 1_000_000, "the provider's answer waits for the reader"
    if not s.gateway.sanitized:
        assert s.gateway.peak_rss_kib() < 100_000
    n = 0
    while True:
        first, payload = ws.frame()
        n += first == 0x81
        if first == 0x81 and b'"response.completed"' in payload:
            break
    assert n == events.count(b"\n\n")
    ws.drop()


@pytest.mark.parametrize("how", ["close", "drop"])
@pytest.mark.parametrize("phase", ["before", "during"])
def test_a_client_that_leaves_ends_its_turn_at_once(scene, how, phase):
    s = scene()
    s.script.hold_head = phase == "before"
    s.script.holds = () if phase == "before" else (200,)
    ws = Raw(s.gateway)
    ws.send(frame(0x81, CREATE), frame(0x81, CREATE))
    hit = s.script.wait_for_request()
    if phase == "during":
        hit.wait_held()
    if how == "close":
        ws.send(frame(0x88, b"\x03\xe8"))
    else:
        ws.drop()
    hit.wait_disconnect()
    record = s.gateway.wait_access(lambda r: r.get("transport"))[0]
    assert record["end"] == "client_gone"
    assert len(s.up.requests) == 1, "what waited is not begun"


# ---- time, drain, reload -------------------------------------------------------------------------------------------------

def test_a_websocket_is_open_for_a_limited_time(scene):
    s = scene(config={"timeouts": {"websocket": "500ms"}})
    with s.open() as ws:
        answer_of(ws.ask(MODEL, "Hi"))
        error = error_of(ws.turn())
        assert (error["status"], error["error"]["code"]) == (400, "websocket_connection_limit_reached")
        assert ws.closed()[0] == 1001


def test_the_limit_lets_a_turn_end(scene):
    s = scene(config={"timeouts": {"websocket": "400ms"}})
    s.script.holds = (200,)
    with s.open() as ws:
        ws.send(MODEL, "Hi")
        ws.send(MODEL, "too late")
        s.script.wait_for_request().wait_held()
        time.sleep(0.6)     # the limit has passed
        s.script.release()
        answer_of(ws.turn())
        assert error_of(ws.turn())["error"]["code"] == "websocket_connection_limit_reached"
        assert ws.closed()[0] == 1001
    assert len(s.up.requests) == 1


def test_a_drain_lets_turns_end_and_closes(scene):
    s = scene(config={"timeouts": {"drain": "60s"}})
    s.script.holds = (200,)
    with s.open() as idle, s.open() as busy:
        busy.send(MODEL, "Hi")
        busy.send(MODEL, "Hi", stream_id="a")
        busy.send(MODEL, "too late", stream_id="a")
        for _ in range(2):
            s.script.wait_for_request().wait_held()
        s.gateway.signal(signal.SIGTERM)
        assert idle.closed()[0] == 1001
        busy.send(MODEL, "too late", stream_id="b")     # though its lane is free
        error = error_of(busy.turn())
        assert (error["status"], error["error"]["code"], error["stream_id"]) == (503, "server_shutting_down", "b")
        s.script.release()
        ended = busy.turns(2)
        assert {lane for lane, _ in ended} == {None, "a"} and all(answer_of(events) for _, events in ended)
        error = error_of(busy.turn())
        assert (error["status"], error["error"]["code"], error["stream_id"]) == (503, "server_shutting_down", "a")
        assert busy.closed()[0] == 1001
        assert s.gateway.wait_exit(5) == 0


def test_what_a_drain_cuts_has_an_end_too(scene):
    s = scene(config={"timeouts": {"drain": "300ms"}})
    s.script.holds = (400,)
    with s.open() as ws:
        ws.send(MODEL, "Hi")
        s.script.wait_for_request().wait_held()
        s.gateway.signal(signal.SIGTERM)
        events = ws.turn()
        assert events[-1]["type"] in ("response.failed", "error")
        check_turn(events)
        assert s.gateway.wait_exit(5) == 0


def test_a_reload_reaches_open_websockets(start_gateway, faultd):
    auth = {"keys": [key("ann", "gw-ann"), key("bob", "gw-bob")]}
    s = Scene(start_gateway, faultd, config={"auth": auth})
    with s.open(headers={"Authorization": "Bearer gw-ann"}) as ws:
        one = answer_of(ws.ask(MODEL, "first", store=False))
        assert error_of(ws.ask("m2", "Hi"))["error"]["code"] == "model_not_found"
        s.config["providers"]["up"]["models"].append("m2")
        s.gateway.reload(s.config)
        s.gateway.wait_log(r'"reload')
        answer_of(ws.ask("m2", "second", store=False, previous_response_id=one["id"]))
        assert "first" in s.asked()
        s.config["auth"] = {"keys": auth["keys"][1:]}
        s.gateway.reload(s.config)
        end = time.monotonic() + 5
        while (last := ws.ask(MODEL, "Hi")[-1])["type"] != "error" and time.monotonic() < end:
            pass
        assert last["status"] == 401, "a key that is taken away is gone here too"


def test_rights_are_those_of_the_key(start_gateway, faultd):
    s = Scene(start_gateway, faultd, config={"auth": {"keys": [key("ann", "gw-ann", models=["other"])]}})
    with s.open(headers={"Authorization": "Bearer gw-ann"}) as ws:
        assert error_of(ws.ask(MODEL, "Hi"))["status"] == 403


def test_a_reconnecting_sdk_goes_on(scene, openai_client):
    """The SDK opens a new WebSocket when the gateway says 1001, if it is told to."""
    s = scene(config={"timeouts": {"websocket": "1500ms"}})
    codes, ends = [], []

    def reconnecting(event):
        codes.append(event.close_code)
        connection.response.create(model=MODEL, input="again")      # waits until there is a connection

    with openai_client(s.gateway).responses.connect(on_reconnecting=reconnecting, initial_delay=0.01) as connection:
        connection.response.create(model=MODEL, input="Hi")
        for event in connection:
            ends += [event.type] if event.type in ENDS else []
            if len(ends) == 3:
                break
    assert ends == ["response.completed", "error", "response.completed"] and codes == [1001]
