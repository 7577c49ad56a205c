"""faultd: a scripted upstream that does to the gateway everything a provider or a network may do.

    with Faultd() as up:
        script = up.reply("POST", "/v1/messages", body=canned.anthropic_stream(["a", "b"]), fault="rst", at=120)
        ...                                    # drive the gateway
        hit = script.wait_for_request(5)       # what came in: hit.request.raw, .json(), .headers
        hit.wait_disconnect(1)                 # when the gateway let go of the connection

The server runs on raw sockets in a thread of its own; the test's thread looks on through a lock. No method of this
file sleeps to wait for something: every wait has a condition and a deadline. Times are time.monotonic().

Positions (`at`, `delays`, `holds`, `split`) count bytes of the body as given, before any framing; `wire_at` and
`wire_split` count the bytes of the whole answer, head and chunk framing included.
"""

import asyncio
import collections
import contextlib
import dataclasses
import fcntl
import gzip as gzip_module
import json
import os
import random
import re
import select
import socket
import ssl
import struct
import termios
import threading
import time

from .wire import REQUEST_LINE, Chunked, FramingError, Headers, declared_body, parse_fields, split_head

REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 413: "Payload Too Large",
           429: "Too Many Requests", 500: "Internal Server Error", 503: "Service Unavailable", 529: "Overloaded"}


@dataclasses.dataclass(eq=False)
class Script:
    """What to answer to the requests it matches. All fields are optional."""

    # which requests
    method: str = "*"
    path: object = None          # exact target path (query aside), a compiled regex, or None for any
    when: object = None          # predicate on the Request
    times: int = None            # how often it applies; None: for ever
    early: bool = False          # answer at the head, before the body is read

    # what
    answer: str = "reply"        # "reply", or "never": read all, say nothing
    status: int = 200
    reason: str = None
    headers: tuple = ()
    content_type: str = None     # default: guessed from the body
    body: object = b""           # bytes, or a function of the Request that makes them
    framing: str = "auto"        # length, chunked, close, none; auto: chunked for streams, else length
    length: int = None           # a Content-Length of our choice, true or not
    gzip: bool = False
    interim: tuple = ()          # (status, headers) sent before the answer, e.g. ((103, ()),)
    trailers: tuple = ()         # after a chunked body
    extra: bytes = b""           # sent after the end of the answer
    raw: bytes = None            # the whole answer verbatim, instead of all of the above
    keep_alive: bool = True      # False: says Connection: close, and closes
    after: str = "keep"          # keep, fin, rst; fin_on_next/rst_on_next: at the next request's first byte;
                                 # fin_after_next/rst_after_next: once it has been read whole

    # when
    head_delay: float = 0.0
    hold_head: bool = False      # wait for release() before the first byte of the answer
    delays: dict = dataclasses.field(default_factory=dict)   # {k: seconds before body byte k}
    holds: tuple = ()            # wait for release() before body byte k; k = len(body) is before the end
    rate: float = None           # drip: bytes per second of the wire

    # in which pieces
    split: object = None         # "byte", an int (piece size), a list of positions, or ("random", seed, max)
    wire_split: object = None
    gap: float = 0.0             # seconds between pieces
    settle: bool = False         # wait until the peer has read each piece before sending the next

    # what goes wrong
    fault: str = None            # fin, rst, half (stop sending, go on reading), stall
    at: int = None               # after this many body bytes (default: all of them)
    wire_at: int = None          # or after this many bytes of the answer
    torn_chunk: bool = False     # the last chunk before the fault claims more than it holds

    def __post_init__(self):
        self.hits = []
        self._server = None
        self._taken = 0
        self._open = False

    def wait_for_request(self, timeout=5):
        """The next Hit of this script that no earlier call returned."""
        index = self._taken
        self._server._wait(lambda: len(self.hits) > index, timeout, f"request {index + 1} for {self.path}")
        self._taken += 1
        return self.hits[index]

    def release(self):
        """Lets every hit of this script, present and future, pass all its holds."""
        with self._server._cond:
            self._open = True
            hits = list(self.hits)
        for hit in hits:
            hit.release()

    def _matches(self, request, at_head):
        if self.times is not None and len(self.hits) >= self.times:
            return False
        if self.early != at_head or self.method not in ("*", request.method):
            return False
        path = request.target.partition("?")[0]
        if isinstance(self.path, re.Pattern):
            if not self.path.search(path):
                return False
        elif self.path is not None and self.path != path:
            return False
        return self.when is None or bool(self.when(request))


class Request:
    """One request as received. `raw` holds every byte of it; `problems` what a strict server would refuse."""

    def __init__(self, head, t_first, t_head):
        self.head = bytes(head)
        self.raw = bytes(head)
        self.t_first, self.t_head, self.t_end = t_first, t_head, None
        self.body = b""
        self.trailers = Headers()
        self.problems = []
        self.method = self.target = self.version = ""
        self.headers = Headers()
        self.framing = (None, None)
        try:
            self._parse()
        except FramingError as e:
            self.problems.append(str(e))

    def _parse(self):
        lines = split_head(self.head)
        m = REQUEST_LINE.match(lines[0])
        if not m:
            raise FramingError(f"bad request line {lines[0]!r}")
        self.method, self.target = m.group(1).decode(), m.group(2).decode("latin-1")
        self.version = "1." + m.group(3).decode()
        self.headers = parse_fields(lines[1:])
        if self.version == "1.1" and len(self.headers.all("host")) != 1:
            self.problems.append(f"Host: {self.headers.all('host')!r}")
        self.framing = declared_body(self.headers)

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<Request {self.method} {self.target} {len(self.body)} bytes>"


class Hit:
    """One request that a script answered, or is answering."""

    def __init__(self, server, script, conn, request):
        self.server, self.script, self.conn, self.request = server, script, conn, request
        self.bytes_sent = 0          # of the wire, grows while the answer goes out
        self.t_first_write = None
        self.t_done = None
        self.ended = None            # complete, fault, peer-closed, stopped
        self.held = 0                # how many holds it has reached
        self._released = 0
        self._all = False

    def release(self, n=None):
        """Lets the answer pass its next n holds; without n, all of them."""
        with self.server._cond:
            self._all = self._all or n is None
            self._released += n or 0
        self.server._poke(self.conn)

    def wait_held(self, timeout=5, n=1):
        """Returns once the answer waits at (or has passed) its n-th hold."""
        self.server._wait(lambda: self.held >= n, timeout, f"hold {n}")

    def wait_sent(self, n, timeout=5):
        self.server._wait(lambda: self.bytes_sent >= n, timeout, f"{n} bytes sent, not {self.bytes_sent}")

    def wait_done(self, timeout=10):
        self.server._wait(lambda: self.ended, timeout, "the answer's end")
        return self.ended

    def wait_disconnect(self, timeout=5):
        """Returns the time at which the gateway closed this request's connection."""
        return self.conn.wait_peer_closed(timeout)


class Conn:
    """One accepted connection: every byte received, with arrival times, and how it ended."""

    def __init__(self, server, sock, number):
        self.server, self.sock, self.number = server, sock, number
        self.t_open = time.monotonic()
        self.t_closed = None           # our socket closed
        self.closed_by = None          # peer-fin, peer-rst, us-fin, us-rst
        self.t_peer_closed = None
        self.received = bytearray()
        self.arrivals = []             # (time, total bytes so far)
        self.requests = []
        self.unanswered = []           # requests read whole and then dropped (…_after_next)
        self.tls_error = None
        self.busy = True
        self._buf = bytearray()
        self._eof = False
        self._event = asyncio.Event()
        self._reader = None
        self._task = None
        self._ssl = None
        self._abrupt = False           # a scripted cut: no TLS close_notify
        self._flush_lock = asyncio.Lock()

    @property
    def open(self):
        return self.t_closed is None

    @property
    def idle(self):
        """Open and between two requests, with nothing of a next one received."""
        return self.open and not self.busy

    def wait_peer_closed(self, timeout=5):
        self.server._wait(lambda: self.t_peer_closed, timeout, f"connection {self.number} closed by the gateway")
        return self.t_peer_closed

    def close(self, how="fin"):
        """Ends the connection now, from the test's thread: fin, rst or half."""
        self.server._call(self.server._end(self, how))

    def __repr__(self):
        return f"<Conn {self.number} {'open' if self.open else self.closed_by} {len(self.requests)} requests>"


class Stopped(Exception):
    """The peer is gone or the server stops: nothing more can be sent."""


class Faultd:
    """The server. `address` is ("127.0.0.1", port) or the path of the Unix socket."""

    def __init__(self, *, unix=None, tls=None, host="127.0.0.1", sndbuf=None, rcvbuf=None, read_size=65536):
        self.scripts = []
        self.conns = []
        self.accepts = collections.deque()   # behaviour of the next connections
        self.accept_default = "serve"        # serve, ignore (never read), fin, rst; or bytes: greet with them
        self.unmatched = []
        self._problems_taken = 0
        self._accepted = 0
        self._unix, self._tls, self._host = unix, tls, host
        self._sndbuf, self._rcvbuf, self._read_size = sndbuf, rcvbuf, read_size
        self._cond = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._tasks = set()
        self._listener = None
        self._acceptor = None
        self.port = 0
        self._thread = threading.Thread(target=self._run, name="faultd", daemon=True)
        self._stopping = False
        self._bind()
        self._thread.start()
        self._call(self._listen())

    # ---- the test's side -------------------------------------------------------------------------------------

    @property
    def address(self):
        return self._unix or (self._host, self.port)

    @property
    def origin(self):
        """scheme://host:port, to build a base URL from."""
        host = "localhost" if self._tls and self._host == "127.0.0.1" else self._host
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}"

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()

    def add(self, script):
        """Puts a script behind those there are: the first that matches a request answers it."""
        with self._cond:
            script._server = self
            self.scripts.append(script)
        return script

    def reply(self, method="*", path=None, **fields):
        """A new Script of these fields, added."""
        return self.add(Script(method=method, path=path, **fields))

    def clear(self):
        """Forgets all scripts; connections stay."""
        with self._cond:
            self.scripts.clear()

    def forget(self):
        """Forgets all that came in so far, so that a test on a shared upstream sees its own only. Open connections stay."""
        with self._cond:
            self.conns[:] = [c for c in self.conns if c.open]
            for conn in self.conns:
                conn.received.clear()
                conn.arrivals.clear()
                conn.requests.clear()
                conn.unanswered.clear()
            self.unmatched = []
            self._problems_taken = 0

    def take_faults(self):
        """(requests no script wanted, malformed requests) since the last call."""
        with self._cond:
            unmatched, self.unmatched = self.unmatched, []
        problems = self.problems
        new, self._problems_taken = problems[self._problems_taken:], len(problems)
        return unmatched, new

    @property
    def requests(self):
        """All requests of all connections, in the order in which they were complete."""
        with self._cond:
            return sorted((r for c in self.conns for r in c.requests), key=lambda r: r.t_end)

    @property
    def problems(self):
        """Every framing fault the gateway made towards us."""
        with self._cond:
            return [(r.raw[:200], p) for c in self.conns for r in c.requests for p in r.problems]

    @property
    def received(self):
        """All bytes of all connections, to search for what must never arrive."""
        with self._cond:
            return b"".join(bytes(c.received) for c in self.conns)

    def open_conns(self):
        with self._cond:
            return [c for c in self.conns if c.open]

    def idle_conns(self):
        with self._cond:
            return [c for c in self.conns if c.idle]

    def wait_for_conns(self, n, timeout=5):
        """Returns once n connections have been accepted over all."""
        self._wait(lambda: len(self.conns) >= n, timeout, f"{n} connections, not {len(self.conns)}")

    def wait_for_requests(self, n, timeout=5):
        self._wait(lambda: sum(len(c.requests) for c in self.conns) >= n, timeout, f"{n} requests")

    def wait_idle(self, timeout=5):
        """Returns once no request is being read or answered."""
        self._wait(lambda: all(c.idle for c in self.conns if c.open), timeout, "all connections idle")

    def close_idle(self, how="fin"):
        """Closes all idle connections (fin or rst); returns how many, with the packets already sent."""
        conns = self.idle_conns()
        for conn in conns:
            conn.close(how)
        return len(conns)

    def refuse(self):
        """Stops listening: connections are refused from here on. Those there are stay."""
        self._call(self._unlisten())

    def listen_again(self):
        """Listens on the same port again."""
        self._bind()
        self._call(self._listen())

    def stop(self):
        if self._stopping:
            return
        self._stopping = True
        self._call(self._shutdown())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    # ---- plumbing ----------------------------------------------------------------------------------------------

    def _run(self):
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _call(self, coro, timeout=15):
        return asyncio.run_coroutine_threadsafe(coro, self._loop).result(timeout)

    def _poke(self, conn):
        """Wakes a connection's task; any thread."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(conn._event.set)

    def _changed(self):
        with self._cond:
            self._cond.notify_all()

    def _wait(self, condition, timeout, what):
        deadline = time.monotonic() + timeout
        with self._cond:
            while not condition():
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"faultd: not within {timeout} s: {what}")
                self._cond.wait(min(left, 0.02))

    def _bind(self):
        if self._unix:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._unix)
            sock = socket.socket(socket.AF_UNIX)
            sock.bind(self._unix)
        else:
            sock = socket.socket(socket.AF_INET6 if ":" in self._host else socket.AF_INET)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if self._rcvbuf:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._rcvbuf)
            sock.bind((self._host, self.port))
            self.port = sock.getsockname()[1]
        sock.setblocking(False)
        sock.listen(1024)
        self._listener = sock

    async def _listen(self):
        self._acceptor = self._loop.create_task(self._accept_loop(self._listener))

    async def _unlisten(self):
        if self._acceptor:
            self._acceptor.cancel()
            await asyncio.gather(self._acceptor, return_exceptions=True)
            self._acceptor = None
            self._listener.close()

    async def _shutdown(self):
        await self._unlisten()
        for conn in list(self.conns):
            if conn.open:
                await self._end(conn, "fin")
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept_loop(self, listener):
        while True:
            sock, _ = await self._loop.sock_accept(listener)
            sock.setblocking(False)
            if sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._sndbuf:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._sndbuf)
            with self._cond:
                self._accepted += 1
                conn = Conn(self, sock, self._accepted)
                how = self.accepts.popleft() if self.accepts else self.accept_default
                self.conns.append(conn)
                self._cond.notify_all()
            conn._task = self._loop.create_task(self._conn_main(conn, how))
            self._tasks.add(conn._task)
            conn._task.add_done_callback(self._tasks.discard)

    async def _conn_main(self, conn, how):
        try:
            if how in ("fin", "rst"):
                await self._end(conn, how)
            elif how == "ignore":
                await self._watch_unread(conn)
            else:
                await self._serve(conn, how if isinstance(how, bytes) else b"")
        except (Stopped, OSError, ssl.SSLError):
            pass
        finally:
            await self._end(conn, "fin")

    # ---- bytes in and out --------------------------------------------------------------------------------------

    async def _handshake(self, conn):
        conn._in, conn._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        conn._ssl = self._tls.wrap_bio(conn._in, conn._out, server_side=True)
        while True:
            try:
                conn._ssl.do_handshake()
                await self._flush_tls(conn)
                return
            except ssl.SSLWantReadError:
                await self._flush_tls(conn)
                data = await self._loop.sock_recv(conn.sock, 65536)
                if not data:
                    self._note_peer_closed(conn, "peer-fin")
                    raise Stopped from None
                conn._in.write(data)
            except ssl.SSLError as e:
                conn.tls_error = str(e)
                await self._flush_tls(conn)
                raise

    async def _flush_tls(self, conn):
        async with conn._flush_lock:
            while conn._out.pending:
                await self._loop.sock_sendall(conn.sock, conn._out.read())

    async def _recv(self, conn):
        """Plain bytes of the connection; b"" once the peer has closed."""
        if conn._ssl is None:
            return await self._loop.sock_recv(conn.sock, self._read_size)
        while True:
            try:
                return conn._ssl.read(self._read_size)
            except ssl.SSLWantReadError:
                await self._flush_tls(conn)
                data = await self._loop.sock_recv(conn.sock, self._read_size)
                if not data:
                    return b""
                conn._in.write(data)
            except ssl.SSLZeroReturnError:
                return b""

    async def _read_loop(self, conn):
        """Takes in all there is, so that a disconnect is noticed at once in every phase."""
        try:
            while data := await self._recv(conn):
                with self._cond:
                    conn.received += data
                    conn.arrivals.append((time.monotonic(), len(conn.received)))
                    self._cond.notify_all()
                conn._buf += data
                conn._event.set()
            self._note_peer_closed(conn, "peer-fin")
        except (OSError, ssl.SSLError):
            self._note_peer_closed(conn, "peer-rst")
        conn._eof = True
        conn._event.set()

    def _note_peer_closed(self, conn, how):
        with self._cond:
            if conn.t_peer_closed is None and conn.open:
                conn.t_peer_closed = time.monotonic()
                conn.closed_by = conn.closed_by or how
            self._cond.notify_all()

    async def _watch_unread(self, conn):
        """For connections that are never read: sees the peer leave without taking a byte."""
        poll = select.poll()
        poll.register(conn.sock, select.POLLRDHUP | select.POLLHUP | select.POLLERR)
        while not poll.poll(0):
            await asyncio.sleep(0.005)
        self._note_peer_closed(conn, "peer-fin")

    async def _send(self, conn, data):
        if not conn.open:
            raise Stopped
        if conn._ssl is None:
            await self._loop.sock_sendall(conn.sock, data)
        else:
            conn._ssl.write(data)
            await self._flush_tls(conn)

    async def _end(self, conn, how):
        """The one exit of a connection: fin, rst, or half (our side only)."""
        if not conn.open:
            return
        if how == "half":
            with contextlib.suppress(OSError):
                conn.sock.shutdown(socket.SHUT_WR)
            return
        if conn._reader:
            conn._reader.cancel()
            await asyncio.gather(conn._reader, return_exceptions=True)
            if not conn.open:
                return
        with self._cond:
            conn.t_closed = time.monotonic()
            conn.closed_by = conn.closed_by or f"us-{how}"
        if how == "rst" and conn.sock.family != socket.AF_UNIX:
            conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if how == "fin" and conn._ssl and not conn._abrupt:
            with contextlib.suppress(ssl.SSLError, OSError):
                conn._ssl.unwrap()
            with contextlib.suppress(OSError):
                conn.sock.send(conn._out.read())
        conn._eof = True
        conn._event.set()
        if conn._task is not asyncio.current_task() and conn._task:
            conn._task.cancel()
            await asyncio.gather(conn._task, return_exceptions=True)
        conn.sock.close()
        self._changed()

    # ---- requests ----------------------------------------------------------------------------------------------

    async def _serve(self, conn, greeting):
        if self._tls:
            await self._handshake(conn)
        conn._reader = self._loop.create_task(self._read_loop(conn))
        if greeting:
            await self._send(conn, greeting)
        while True:
            request, hit = await self._read_request(conn)
            if request is None:
                return
            if hit is None:
                hit = self._take(conn, request, at_head=False)
            if hit is None:
                hit = self._take_unmatched(conn, request)
            after = await self._answer(conn, hit)
            if after == "keep" and hit.script.early and not await self._read_body(conn, request):
                return
            if after in ("fin", "rst"):
                await self._end(conn, after)
                return
            if after == "wait":
                await self._until(conn, lambda: conn._eof)
                return
            if after != "keep":
                await self._close_at_next(conn, after)
                return

    async def _until(self, conn, condition):
        while not condition():
            conn._event.clear()
            if condition():
                return
            await conn._event.wait()

    def _take(self, conn, request, at_head):
        """The hit of the first script that wants this request, recorded; None if there is none."""
        with self._cond:
            for script in self.scripts:
                if script._matches(request, at_head):
                    hit = Hit(self, script, conn, request)
                    hit._all = script._open
                    script.hits.append(hit)
                    self._cond.notify_all()
                    return hit
        return None

    def _take_unmatched(self, conn, request):
        with self._cond:
            self.unmatched.append(request)
        body = json.dumps({"error": {"message": f"faultd: no script for {request!r}"}}).encode()
        script = Script(status=500, body=body)
        script._server = self
        return Hit(self, script, conn, request)

    async def _read_request(self, conn):
        """(request, hit) or (None, None) at the end. The hit is there already if a script answers at the head."""
        with self._cond:
            conn.busy = bool(conn._buf)
            self._cond.notify_all()
        await self._until(conn, lambda: conn._buf or conn._eof)
        if not conn._buf:
            return None, None
        t_first = time.monotonic()
        conn.busy = True
        await self._until(conn, lambda: b"\r\n\r\n" in conn._buf or conn._eof)
        end = conn._buf.find(b"\r\n\r\n")
        if end < 0:
            return None, None
        request = Request(conn._buf[: end + 4], t_first, time.monotonic())
        del conn._buf[: end + 4]
        hit = self._take(conn, request, at_head=True)
        if hit:
            self._record(conn, request)
            return request, hit
        if request.headers.get("expect", "").lower() == "100-continue":
            await self._send(conn, b"HTTP/1.1 100 Continue\r\n\r\n")
        if not await self._read_body(conn, request):
            return None, None
        self._record(conn, request)
        return request, None

    def _record(self, conn, request):
        with self._cond:
            request.t_end = time.monotonic()
            conn.requests.append(request)
            self._cond.notify_all()

    async def _read_body(self, conn, request):
        """Reads the body; False if the peer left before its end."""
        kind, length = request.framing
        if kind == "length":
            await self._until(conn, lambda: len(conn._buf) >= length or conn._eof)
            request.body = bytes(conn._buf[:length])
            request.raw += request.body
            del conn._buf[:length]
            return len(request.body) == length
        if kind != "chunked":
            return True
        decoder = Chunked()
        body = bytearray()
        while not decoder.done:
            await self._until(conn, lambda: conn._buf or conn._eof)
            if not conn._buf:
                return False
            piece = bytes(conn._buf)
            conn._buf.clear()
            try:
                body += decoder.feed(piece)
            except FramingError as e:
                request.problems.append(str(e))
                self._record(conn, request)
                return False
            request.raw += piece[: len(piece) - len(decoder.rest)]
        conn._buf += decoder.rest
        request.body, request.trailers = bytes(body), decoder.trailers
        return True

    async def _close_at_next(self, conn, after):
        """fin_on_next and its kin: the connection looks alive until the gateway reuses it."""
        how, _, when = after.partition("_")
        if when == "after_next":
            request, _ = await self._read_request(conn)
            if request:
                conn.unanswered.append(request)
        else:
            with self._cond:
                conn.busy = False
                self._cond.notify_all()
            await self._until(conn, lambda: conn._buf or conn._eof)
        await self._end(conn, how)

    # ---- answers -----------------------------------------------------------------------------------------------

    async def _answer(self, conn, hit):
        """Plays the script; returns what to do with the connection: keep, fin, rst, wait, or a …_next."""
        try:
            after = await _Player(self, conn, hit).play()
            hit.ended = hit.ended or "complete"
        except (Stopped, OSError, ssl.SSLError) as e:
            if not isinstance(e, Stopped):
                self._note_peer_closed(conn, "peer-rst")
            hit.ended = "peer-closed" if conn.t_peer_closed else "stopped"
            after = "fin"
        except asyncio.CancelledError:
            hit.ended = hit.ended or "stopped"
            raise
        finally:
            hit.t_done = time.monotonic()
            self._changed()
        return after


class _Fault(Exception):
    """The script's fault position has been reached."""


class _Player:
    """Plays one answer: pieces, pauses and the fault, in wire order."""

    def __init__(self, server, conn, hit):
        self.server, self.conn, self.hit, self.script = server, conn, hit, hit.script
        body = self.script.body
        self.plain = body(hit.request) if callable(body) else body
        self.body = gzip_module.compress(self.plain, mtime=0) if self.script.gzip else self.plain
        self.holds_seen = 0
        self.wire_points = _WirePoints(hit.script.wire_split)

    async def play(self):
        s = self.script
        if s.answer == "never":
            await self.server._until(self.conn, lambda: self.conn._eof)
            raise Stopped
        try:
            await self._play_all()
        except _Fault:
            self.hit.ended = "fault"
            return await self._fault()
        if not s.keep_alive or (self._framing() == "close" and s.after == "keep"):
            return "fin"
        return s.after

    async def _play_all(self):
        s = self.script
        if s.head_delay:
            await self._pause(s.head_delay)
        if s.hold_head:
            await self._hold()
        if s.fault and s.wire_at == 0:
            raise _Fault
        if s.raw is not None:
            self.body = s.raw
            await self._play_body("close")
        else:
            for status, headers in s.interim:
                await self._put(self._head_bytes(status, headers, False))
            await self._put(self._head_bytes(s.status, s.headers, True))
            if self.hit.request.method != "HEAD":
                await self._play_body(self._framing())
        await self._put(s.extra)
        if s.fault:
            raise _Fault

    def _framing(self):
        s = self.script
        if s.framing != "auto":
            return s.framing
        streamed = self._content_type().startswith(("text/event-stream", "application/x-ndjson"))
        return "chunked" if streamed or s.trailers else "length"

    def _content_type(self):
        s = self.script
        if s.content_type is not None:
            return s.content_type
        head = self.plain[:64].lstrip()
        if head.startswith((b"data:", b"event:", b":")):
            return "text/event-stream; charset=utf-8"
        lines = head.startswith(b"{") and re.search(rb"}[\r\n]+{", self.plain)
        return "application/x-ndjson" if lines else "application/json"

    def _head_bytes(self, status, headers, final):
        s = self.script
        given = {n.lower() for n, _ in headers}
        lines = [f"HTTP/1.1 {status} {s.reason if final and s.reason is not None else REASONS.get(status, 'Status')}"]
        lines += [f"{n}: {v}" for n, v in headers]
        if final:
            def default(name, value):
                if name not in given and value:
                    lines.append(f"{name}: {value}")
            default("content-type", self._content_type())
            default("content-encoding", "gzip" if s.gzip else "")
            framing = self._framing()
            if framing == "length":
                default("content-length", str(s.length if s.length is not None else len(self.body)))
            elif framing == "chunked":
                default("transfer-encoding", "chunked")
            if not s.keep_alive or framing == "close":
                default("connection", "close")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    async def _play_body(self, framing):
        """The body in the script's pieces; each piece of a chunked body is a chunk."""
        s = self.script
        end = len(self.body)
        stop = min(end, s.at) if s.fault and s.at is not None else None
        points = _split_points(s.split, end) | set(s.delays) | set(s.holds) | {0, end}
        if stop is not None:
            points.add(stop)
        points = sorted(p for p in points if 0 <= p <= end)
        view = memoryview(self.body)
        for here, nxt in zip(points, points[1:] + [None]):
            await self._wait_at(here)
            if here == stop:
                raise _Fault
            if nxt is not None:
                torn = s.torn_chunk and nxt == stop
                await self._put(_frame(framing, view[here:nxt], torn))
        if framing == "chunked":
            trailers = "".join(f"{n}: {v}\r\n" for n, v in s.trailers)
            await self._put(f"0\r\n{trailers}\r\n".encode("latin-1"))

    async def _wait_at(self, here):
        if here in self.script.delays:
            await self._pause(self.script.delays[here])
        if here in self.script.holds:
            await self._hold()

    async def _pause(self, seconds):
        """Sleeps, but not longer than the peer stays. (A FIN alone does not end an answer that has no pause: the
        peer may have closed its half only, and if not, the next write fails.)"""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.server._until(self.conn, lambda: self.conn._eof), seconds)
            raise Stopped

    async def _hold(self):
        hit = self.hit
        self.holds_seen += 1
        with self.server._cond:
            hit.held = self.holds_seen
            self.server._cond.notify_all()
        await self.server._until(
            self.conn, lambda: hit._all or hit._released >= self.holds_seen or self.conn._eof)
        if self.conn._eof and not hit._all and hit._released < self.holds_seen:
            raise Stopped

    async def _put(self, data):
        """Writes wire bytes: split, dripped, and cut at `wire_at`."""
        s, hit = self.script, self.hit
        data = memoryview(bytes(data)) if not isinstance(data, memoryview) else data
        while data:
            n = self.wire_points.take(hit.bytes_sent, len(data))
            n = min(n, 65536)
            if s.rate:
                n = min(n, max(1, int(s.rate / 50)))
            if s.fault and s.wire_at is not None:
                n = min(n, s.wire_at - hit.bytes_sent)
            hit.t_first_write = hit.t_first_write or time.monotonic()
            await self.server._send(self.conn, data[:n])
            hit.bytes_sent += n
            data = data[n:]
            if s.fault and s.wire_at is not None and hit.bytes_sent >= s.wire_at:
                raise _Fault
            await self._between_pieces(n)

    async def _between_pieces(self, n):
        s = self.script
        if s.settle:
            await _drained(self.conn.sock)
        if s.rate:
            await asyncio.sleep(n / s.rate)
        elif s.gap:
            await asyncio.sleep(s.gap)
        elif s.split or s.wire_split:
            await asyncio.sleep(0)

    async def _fault(self):
        how = self.script.fault
        self.conn._abrupt = True
        if how in ("fin", "rst"):
            return how
        if how == "half":
            await self.server._end(self.conn, "half")
        elif how != "stall":
            raise ValueError(f"fault {how!r}")
        return "wait"


class _WirePoints:
    """Where the wire is cut into writes; works without knowing the total length."""

    def __init__(self, split):
        self.step = 1 if split == "byte" else split if isinstance(split, int) else None
        self.points = sorted(split) if isinstance(split, (list, set)) else ()
        self.rng = random.Random(split[1]) if isinstance(split, tuple) else None
        self.max = split[2] if isinstance(split, tuple) else 0

    def take(self, sent, n):
        if self.step:
            return min(n, self.step)
        if self.rng:
            return min(n, self.rng.randint(1, self.max))
        for point in self.points:
            if sent < point:
                return min(n, point - sent)
        return n


def _split_points(split, end):
    if split is None:
        return set()
    if split == "byte":
        return set(range(end + 1))
    if isinstance(split, int):
        return set(range(0, end + 1, split))
    if isinstance(split, tuple):
        rng, points, at = random.Random(split[1]), set(), 0
        while at < end:
            at += rng.randint(1, split[2])
            points.add(at)
        return points
    return set(split)


def _frame(framing, piece, torn):
    if framing != "chunked":
        return piece
    if not len(piece):
        return b""
    return b"%x\r\n%s%s" % (len(piece) + (16 if torn else 0), piece, b"" if torn else b"\r\n")


async def _drained(sock, limit=0.25):
    """Waits until the peer's program has read all we sent, at most `limit` seconds (it may be paused)."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        unsent = struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, b"\0" * 4))[0]
        if unsent == 0 and (sock.family == socket.AF_UNIX or _peer_queue(sock) == 0):
            return
        await asyncio.sleep(0.0002)


def _peer_queue(sock):
    """Bytes in the receive queue of the other end, from /proc/net/tcp; 0 when it is not to be found."""
    if sock.family != socket.AF_INET:
        return 0
    want = [f"{struct.unpack('<I', socket.inet_aton(ip))[0]:08X}:{port:04X}"
            for ip, port in (sock.getpeername(), sock.getsockname())]
    with open("/proc/net/tcp") as f:
        for line in f:
            fields = line.split()
            if fields[1:3] == want:
                return int(fields[4].partition(":")[2], 16)
    return 0


class BlackHole:
    """An address that never completes a TCP handshake, for connect deadlines: its accept queue is full."""

    def __init__(self):
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(0)
        self.port = self._listener.getsockname()[1]
        self._fill = []
        # A queue of length 0 takes one connection; further ones are left without answer.
        for _ in range(3):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", self.port))
            self._fill.append(sock)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for sock in (*self._fill, self._listener):
            sock.close()
