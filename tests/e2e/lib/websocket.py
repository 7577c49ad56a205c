"""Clients of the Responses API on a WebSocket: one on the `websockets` library, and one that writes its own frames and may break
every rule. What a turn says is held against both of the specification's documents.
"""

import json
import os
import socket
import struct
import types

import pytest

from . import recordings, responses_spec

ENDS = ("response.completed", "response.incomplete", "response.failed", "error")
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
FIELDS = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": KEY}


class Socket:
    """An open WebSocket; a context manager."""

    def __init__(self, gateway, path="/v1/responses", headers=None, timeout=10, url=None, **kw):
        client = pytest.importorskip("websockets.sync.client")
        self.timeout, self.aside = timeout, {}
        self.ws = client.connect((url or gateway.url.replace("http", "ws")) + path, additional_headers=headers,
                                 proxy=None, max_size=None, **kw).__enter__()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.ws.close()

    def send(self, model=None, input=None, **more):
        message = {"type": "response.create", **({"model": model} if model else {}),
                   **({"input": input} if input is not None else {}), **more}
        self.ws.send(json.dumps(message))

    def event(self):
        return json.loads(self.ws.recv(timeout=self.timeout))

    def turn(self):
        """The events of one turn, to its end."""
        events = [self.event()]
        while events[-1]["type"] not in ENDS:
            events.append(self.event())
        return events

    def turns(self, n):
        """The events of n turns that may mingle, as (stream_id, events) in the order of their ends."""
        under_way, ended = {}, []
        while len(ended) < n:
            event = self.event()
            lane = event.get("stream_id")
            under_way.setdefault(lane, []).append(event)
            if event["type"] in ENDS:
                ended.append((lane, under_way.pop(lane)))
        assert not under_way, under_way
        return ended

    def lane(self, name):
        """The events of the next turn of one lane, to its end; those of others wait for a call of their own."""
        events = self.aside.setdefault(name, [])
        while not any(e["type"] in ENDS for e in events):
            event = self.event()
            self.aside.setdefault(event.get("stream_id"), []).append(event)
        n = next(i for i, e in enumerate(events) if e["type"] in ENDS) + 1
        turn, events[:] = events[:n], events[n:]
        return turn

    def ask(self, model=None, input=None, **more):
        self.send(model, input, **more)
        return self.turn()

    def closed(self):
        """(code, reason) of the gateway's close frame; fails when it says something else first."""
        from websockets.exceptions import ConnectionClosed
        with pytest.raises(ConnectionClosed) as e:
            raise AssertionError(f"it said {self.ws.recv(timeout=self.timeout)[:300]}")
        return (e.value.rcvd.code, e.value.rcvd.reason) if e.value.rcvd else None


def error_of(events):
    """The error of a turn that is nothing but one envelope."""
    assert len(events) == 1 and events[0]["type"] == "error", events
    check_turn(events)
    return events[0]


def answer_of(events):
    """The resource of a turn that ended well."""
    assert events[-1]["type"] in ("response.completed", "response.incomplete"), events[-1]
    check_turn(events)
    return events[-1]["response"]


def text_of(response):
    return "".join(p["text"] for i in response["output"] if i["type"] == "message" for p in i["content"])


def check_turn(events):
    """A turn against the documents: each event, their order and numbers, what stands beside them."""
    if events[-1]["type"] == "error":
        _check_envelope(events[-1])
        assert len(events) == 1 or events[-1].get("sequence_number") == len(events) - 1, events[-1]
        return
    assert "x-request-id" in events[0]["headers"]
    assert not any("headers" in e for e in events[1:])
    if not recordings.shared_dir():
        return
    bare = [{k: v for k, v in e.items() if k not in ("headers", "stream_id")} for e in events]
    stream = [types.SimpleNamespace(event=e["type"], data=json.dumps(e)) for e in bare]
    failed = events[-1]["type"] == "response.failed"
    end = [] if failed else [types.SimpleNamespace(event="message", data="[DONE]")]
    problems = responses_spec.stream_problems(stream + end, failed=failed)
    assert not problems, problems


def _check_envelope(event):
    assert event["error"]["code"] and event["error"]["message"] and 400 <= event["status"] < 600, event
    if recordings.shared_dir():
        problem = responses_spec.socket_error_problem(event)
        assert not problem, problem


# ---- frames of one's own -------------------------------------------------------------------------------------------------

def frame(first, payload=b"", mask=True, length=None):
    """One frame; `length` is what its head says, if not the truth."""
    n = len(payload) if length is None else length
    bit = 0x80 if mask else 0
    head = bytes([first, bit | n]) if n < 126 else (
        bytes([first, bit | 126]) + struct.pack(">H", n) if n < 65536 else bytes([first, bit | 127]) + struct.pack(">Q", n))
    key = os.urandom(4)
    return head + key + bytes(c ^ key[i % 4] for i, c in enumerate(payload)) if mask else head + payload


class Raw:
    """A WebSocket without manners, on a Client of sseclient.py."""

    def __init__(self, gateway, path="/v1/responses", headers=FIELDS, rcvbuf=None):
        self.client = gateway.connect(rcvbuf=rcvbuf)
        self.sock = self.client.sock
        lines = [f"GET {path} HTTP/1.1", "Host: " + gateway.url.partition("//")[2], *(f"{k}: {v}" for k, v in headers.items())]
        self.sock.sendall("\r\n".join([*lines, "", ""]).encode())
        self.buffer = b""
        while b"\r\n\r\n" not in self.buffer:
            self._more()
        self.head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        assert self.head.startswith(b"HTTP/1.1 101 "), self.head

    def _more(self):
        got = self.sock.recv(65536)
        if not got:
            raise EOFError
        self.buffer += got

    def _take(self, n):
        while len(self.buffer) < n:
            self._more()
        out, self.buffer = self.buffer[:n], self.buffer[n:]
        return out

    def send(self, *frames):
        self.sock.sendall(b"".join(frames))

    def frame(self):
        """(first byte, payload) of the next frame."""
        first, n = self._take(2)
        assert n < 128, "a server's frames are not masked"
        if n >= 126:
            n = int.from_bytes(self._take(2 if n == 126 else 8), "big")
        return first, self._take(n)

    def close_code(self):
        """Of the close frame that comes next, and nothing after it but the end of the connection."""
        first, payload = self.frame()
        assert first == 0x88, (first, payload[:200])
        self.send(frame(0x88, payload[:2]))
        try:
            self._more()
            raise AssertionError(f"more after the close frame: {self.buffer[:200]}")
        except EOFError:
            return int.from_bytes(payload[:2], "big")

    def drop(self):
        """Leaves without a word."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.client.close()
