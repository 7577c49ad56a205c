"""A strict HTTP/1.1 and SSE client on a raw socket: it judges framing, order and endings, and misbehaves on demand.

    client = Client(gateway.address)
    client.request("POST", "/v1/chat/completions", json_body={...})
    stream = client.open_stream()              # reads the head
    for event in stream:                       # SseEvent with .data and arrival times
        ...
    assert stream.end == "complete"            # the final chunk came

An ending is one of: complete (final chunk, or Content-Length reached), close (a body that only the close delimits),
truncated (closed too early), reset, timeout. What a strict peer must refuse raises FramingError. The functions
`openai_chat_problems` and `anthropic_problems` hold a stream against its dialect's event grammar.
"""

import json
import socket
import struct
import time

from .wire import STATUS_LINE, Chunked, FramingError, Headers, SseParser, declared_body, parse_fields, split_head


class Response:
    """One whole answer."""

    def __init__(self, status, reason, headers, raw_head):
        self.status, self.reason, self.headers, self.raw_head = status, reason, headers, raw_head
        self.body = b""
        self.trailers = Headers()
        self.end = None
        self.interim = []
        self.chunk_sizes = []
        self.t_head = self.t_end = None

    @property
    def complete(self):
        return self.end == "complete"

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<Response {self.status} {len(self.body)} bytes, {self.end}>"


class Client:
    """One connection to an address: ("127.0.0.1", port) or the path of a Unix socket."""

    def __init__(self, address, *, timeout=10, rcvbuf=None, tls=None, server_name="localhost"):
        self.timeout = timeout
        self.rate = None              # bytes per second to read at most; None: as they come
        self.t_closed_by_peer = None
        family = socket.AF_UNIX if isinstance(address, str) else (
            socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        self.sock = socket.socket(family)
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.settimeout(timeout)
        self.sock.connect(address)
        if family != socket.AF_UNIX:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.sock = tls.wrap_socket(self.sock, server_hostname=server_name)
        self.host = "localhost" if isinstance(address, str) else f"{address[0]}:{address[1]}"
        self._buf = bytearray()       # read from the socket, not consumed yet
        self._t_buf = None            # when its last bytes came

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    # ---- sending -----------------------------------------------------------------------------------------------

    def send(self, data, step=None, gap=0.0):
        """Sends raw bytes; with `step`, in pieces of that many bytes, `gap` seconds apart."""
        for at in range(0, len(data), step or max(1, len(data))):
            self.sock.sendall(data[at: at + (step or len(data))])
            if gap:
                time.sleep(gap)

    def request_bytes(self, method, target, headers=(), body=None, *, json_body=None, chunked=None, trailers=(),
                      host=None):
        """The bytes of a request. `chunked`: True, or the size of each chunk; else Content-Length."""
        headers = list(headers.items() if isinstance(headers, dict) else headers)
        given = {n.lower() for n, _ in headers}
        if json_body is not None:
            body = json.dumps(json_body, ensure_ascii=False).encode()
            if "content-type" not in given:
                headers.append(("content-type", "application/json"))
        if "host" not in given:
            headers.insert(0, ("host", host or self.host))
        if body is not None and chunked is None and "content-length" not in given:
            headers.append(("content-length", str(len(body))))
        if chunked is not None:
            headers.append(("transfer-encoding", "chunked"))
        head = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{n}: {v}\r\n" for n, v in headers) + "\r\n"
        return head.encode("latin-1") + self._framed(body or b"", chunked, trailers)

    @staticmethod
    def _framed(body, chunked, trailers):
        if chunked is None:
            return body
        size = len(body) or 1 if chunked is True else chunked
        out = bytearray()
        for at in range(0, len(body), size):
            piece = body[at: at + size]
            out += b"%x\r\n%s\r\n" % (len(piece), piece)
        out += b"0\r\n" + b"".join(f"{n}: {v}\r\n".encode() for n, v in trailers) + b"\r\n"
        return bytes(out)

    def request(self, method, target, headers=(), body=None, *, step=None, gap=0.0, **kw):
        """Builds and sends a request; returns its bytes."""
        data = self.request_bytes(method, target, headers, body, **kw)
        self.send(data, step, gap)
        return data

    def half_close(self):
        """Sends FIN and goes on reading."""
        self.sock.shutdown(socket.SHUT_WR)

    def close(self):
        self.sock.close()

    def reset(self):
        """Closes with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    # ---- receiving ---------------------------------------------------------------------------------------------

    def _recv(self):
        """Adds what the socket has to the buffer: "data", "eof", "reset" or "timeout"."""
        size = 65536
        if self.rate:
            size = max(1, min(size, int(self.rate / 20)))
        try:
            data = self.sock.recv(size)
        except TimeoutError:
            return "timeout"
        except (ConnectionError, OSError):
            self.t_closed_by_peer = time.monotonic()
            return "reset"
        self._t_buf = time.monotonic()
        if not data:
            self.t_closed_by_peer = self._t_buf
            return "eof"
        self._buf += data
        if self.rate:
            time.sleep(len(data) / self.rate)
        return "data"

    def read_head(self):
        """The head of the next answer (1xx ones are kept in .interim). None if the peer closed before one byte."""
        interim = []
        while True:
            head = self._read_head_bytes()
            if head is None:
                return None
            lines = split_head(head)
            m = STATUS_LINE.match(lines[0])
            if not m:
                raise FramingError(f"bad status line {lines[0]!r}")
            response = Response(int(m.group(2)), m.group(3).decode("latin-1"), parse_fields(lines[1:]), head)
            response.t_head = self._t_buf
            if response.status >= 200 or response.status == 101:
                response.interim = interim
                return response
            interim.append(response)

    def _read_head_bytes(self):
        while (end := self._buf.find(b"\r\n\r\n")) < 0:
            got = self._recv()
            if got == "timeout":
                raise TimeoutError(f"no head within {self.timeout} s, only {bytes(self._buf)!r}")
            if got != "data":
                if self._buf:
                    raise FramingError(f"{got} inside a head: {bytes(self._buf)!r}")
                return None
        head = bytes(self._buf[: end + 4])
        del self._buf[: end + 4]
        return head

    def read_response(self, method="GET"):
        """The next whole answer to a request of this method; None if the peer closed without a byte of it."""
        response = self.read_head()
        if response is None:
            return None
        body = bytearray()
        for piece, _ in self._body(response, method):
            body += piece
        response.body = bytes(body)
        response.t_end = time.monotonic()
        return response

    def open_stream(self, method="POST"):
        """The head of the next answer, and its events as they come."""
        response = self.read_head()
        return None if response is None else Stream(self, response, method)

    def _body(self, response, method):
        """Yields (bytes, arrival time); sets response.end."""
        kind, length = declared_body(response.headers)
        if method == "HEAD" or response.status in (204, 304):
            if kind == "chunked" and response.status == 204:
                raise FramingError("204 with Transfer-Encoding")
            response.end = "complete"
        elif kind == "chunked":
            yield from self._chunked_body(response)
        elif kind == "length":
            yield from self._sized_body(response, length)
        else:
            yield from self._closed_body(response)

    def _chunked_body(self, response):
        decoder = Chunked()
        response.chunk_sizes = decoder.sizes
        while True:
            piece = decoder.feed(bytes(self._buf))
            self._buf.clear()
            if piece:
                yield piece, self._t_buf
            if decoder.done:
                self._buf += decoder.rest
                response.trailers = decoder.trailers
                response.end = "complete"
                return
            got = self._recv()
            if got != "data":
                response.end = {"eof": "truncated"}.get(got, got)
                return

    def _sized_body(self, response, length):
        while True:
            piece = bytes(self._buf[:length])
            del self._buf[: len(piece)]
            length -= len(piece)
            if piece:
                yield piece, self._t_buf
            if not length:
                response.end = "complete"
                return
            got = self._recv()
            if got != "data":
                response.end = {"eof": "truncated"}.get(got, got)
                return

    def _closed_body(self, response):
        while True:
            piece = bytes(self._buf)
            self._buf.clear()
            if piece:
                yield piece, self._t_buf
            got = self._recv()
            if got != "data":
                response.end = {"eof": "close"}.get(got, got)
                return

    def wait_closed(self, timeout=5):
        """"eof" or "reset" once the peer closes; surplus bytes are an error, and so is a peer that stays."""
        self.sock.settimeout(timeout)
        try:
            if self._buf:
                raise FramingError(f"bytes after the answer: {bytes(self._buf[:200])!r}")
            got = self._recv()
        finally:
            self.sock.settimeout(self.timeout)
        if got == "data":
            raise FramingError(f"bytes after the answer: {bytes(self._buf[:200])!r}")
        if got == "timeout":
            raise TimeoutError(f"still open after {timeout} s")
        return got

    def surplus(self):
        """What has been read beyond the last answer."""
        return bytes(self._buf)


class Stream:
    """The events of one streamed answer, in order of arrival. Not reading it is the way to be a slow client."""

    def __init__(self, client, response, method="POST"):
        self.client, self.response = client, response
        self.status, self.headers = response.status, response.headers
        self.events = []
        self.body = bytearray()
        self.arrivals = []            # (time, bytes so far)
        self.parser = SseParser()
        self._pieces = client._body(response, method)
        self._ready = []

    @property
    def end(self):
        return self.response.end

    @property
    def comments(self):
        return [text for _, text in self.parser.comments]

    @property
    def torn(self):
        """Whether the stream ended inside an event."""
        return self.end is not None and self.parser.torn

    def __iter__(self):
        return self

    def __next__(self):
        while not self._ready:
            piece, t = next(self._pieces)     # StopIteration ends the stream
            self.body += piece
            self.arrivals.append((t, len(self.body)))
            self._ready = self.parser.feed(piece, t)
            self.events += self._ready
            self._ready = self._ready[::-1]
        return self._ready.pop()

    def take(self, n):
        """The next n events; fewer if the stream ends."""
        out = []
        for _ in range(n):
            event = next(self, None)
            if event is None:
                break
            out.append(event)
        return out

    def rest(self):
        """Reads to the end; returns all events of the stream."""
        for _ in self:
            pass
        return self.events

    def json_events(self):
        """(event name, decoded data) of every event that carries JSON."""
        return [(e.event, json.loads(e.data)) for e in self.events if e.data != "[DONE]"]


def openai_chat_problems(events, failed=False):
    """What is wrong with a stream as OpenAI chat completion chunks; `failed`: it must end in an error, not [DONE]."""
    out = []
    done = [i for i, e in enumerate(events) if e.data == "[DONE]"]
    if failed and done:
        out.append("[DONE] after a failure")
    if not failed and done != [len(events) - 1]:
        out.append(f"[DONE] at {done} of {len(events)} events")
    ids, finished, started, errors = set(), set(), set(), 0
    for i, e in enumerate(events):
        if e.data == "[DONE]":
            continue
        try:
            chunk = json.loads(e.data)
        except ValueError:
            out.append(f"event {i} is not JSON: {e.data[:80]!r}")
            continue
        if errors:
            out.append(f"event {i} after the error")
        if "error" in chunk:
            errors += 1
            continue
        ids.add(chunk.get("id"))
        if chunk.get("object") != "chat.completion.chunk":
            out.append(f"event {i} has object {chunk.get('object')!r}")
        out += _choice_problems(i, chunk.get("choices"), started, finished)
    if len(ids) > 1:
        out.append(f"several ids {ids}")
    if failed != bool(errors):
        out.append("no error event" if failed else "an error event")
    if not failed and started - finished:
        out.append(f"choices without finish_reason: {started - finished}")
    return out


def _choice_problems(i, choices, started, finished):
    out = []
    if not isinstance(choices, list):
        return [f"event {i} has choices {choices!r}"]
    for choice in choices:
        index = choice.get("index")
        delta = choice.get("delta") or {}
        if index in finished and (delta.get("content") or delta.get("tool_calls")):
            out.append(f"event {i}: content after finish_reason")
        if index not in started and delta.get("role") != "assistant":
            out.append(f"event {i}: first delta of choice {index} without role")
        started.add(index)
        if choice.get("finish_reason"):
            if index in finished:
                out.append(f"event {i}: second finish_reason")
            finished.add(index)
    return out


def anthropic_problems(events, failed=False):
    """What is wrong with a stream as Anthropic message events; `failed`: it must end in `error`, not message_stop."""
    grammar = _AnthropicGrammar()
    for i, e in enumerate(events):
        grammar.take(i, e)
    return grammar.out + grammar.at_end(failed)


class _AnthropicGrammar:
    def __init__(self):
        self.out, self.next_index, self.open = [], 0, None
        self.started = self.delta = self.stopped = self.error = False

    def say(self, i, what):
        self.out.append(f"event {i}: {what}")

    def take(self, i, e):
        try:
            data = json.loads(e.data)
        except ValueError:
            self.say(i, f"not JSON: {e.data[:80]!r}")
            return
        kind = data.get("type")
        if kind != e.event:
            self.say(i, f"event {e.event!r} with type {kind!r}")
        if self.stopped or self.error:
            self.say(i, f"{kind} after the end")
        if kind == "ping":
            return
        if kind == "error":
            self.error = True
            if not isinstance(data.get("error"), dict) or not data["error"].get("type"):
                self.say(i, "error without a type")
            return
        if kind != "message_start" and not self.started:
            self.say(i, f"{kind} before message_start")
        step = getattr(self, "_" + str(kind), None)
        if step is None:
            self.say(i, f"unknown event {kind!r}")
        else:
            step(i, data)

    def _message_start(self, i, data):
        if self.started:
            self.say(i, "second message_start")
        self.started = True
        message = data.get("message") or {}
        for field, want in (("type", "message"), ("role", "assistant"), ("content", [])):
            if message.get(field) != want:
                self.say(i, f"message.{field} is {message.get(field)!r}")
        if not isinstance(message.get("usage"), dict) or "input_tokens" not in message["usage"]:
            self.say(i, "message without usage")

    def _content_block_start(self, i, data):
        if self.open is not None:
            self.say(i, f"block {data.get('index')} opened inside block {self.open}")
        if data.get("index") != self.next_index:
            self.say(i, f"block index {data.get('index')}, expected {self.next_index}")
        if self.delta:
            self.say(i, "block after message_delta")
        self.open = data.get("index")
        self.next_index = (data.get("index") or 0) + 1

    def _content_block_delta(self, i, data):
        if self.open is None or data.get("index") != self.open:
            self.say(i, f"delta for block {data.get('index')}, open is {self.open}")

    def _content_block_stop(self, i, data):
        if self.open is None or data.get("index") != self.open:
            self.say(i, f"stop of block {data.get('index')}, open is {self.open}")
        self.open = None

    def _message_delta(self, i, data):
        if self.open is not None:
            self.say(i, f"message_delta inside block {self.open}")
        if not (data.get("delta") or {}).get("stop_reason"):
            self.say(i, "message_delta without stop_reason")
        if "output_tokens" not in (data.get("usage") or {}):
            self.say(i, "message_delta without usage")
        if self.delta:
            self.say(i, "second message_delta")
        self.delta = True

    def _message_stop(self, i, data):
        if not self.delta:
            self.say(i, "message_stop without message_delta")
        self.stopped = True

    def at_end(self, failed):
        if failed:
            return (["message_stop after a failure"] if self.stopped else []) + (
                [] if self.error else ["no error event"])
        return ([] if self.stopped else ["no message_stop"]) + (["an error event"] if self.error else [])


def openai_chat_text(events):
    """The text of choice 0."""
    return "".join(
        (choice.get("delta") or {}).get("content") or ""
        for e in events if e.data != "[DONE]"
        for choice in json.loads(e.data).get("choices") or () if choice.get("index") == 0)


def anthropic_text(events):
    """The text of all text blocks."""
    return "".join(
        data["delta"].get("text", "") for data in (json.loads(e.data) for e in events)
        if data.get("type") == "content_block_delta")
