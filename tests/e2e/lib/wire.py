"""HTTP/1.1 and SSE framing for the test doubles: strict, incremental, independent of any library.

The doubles judge the gateway, so they must not share code with it nor be lenient where it might be wrong:
whatever a careful peer could refuse is reported here as a problem.
"""

import re

TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x7e\x80-\xff]+) HTTP/1\.([01])\Z")
STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9]) ([\t\x20-\x7e\x80-\xff]*)\Z")
DIGITS = re.compile(rb"[0-9]{1,15}\Z")
CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})([ \t]*;[\t\x20-\x7e\x80-\xff]*)?\Z")


class FramingError(Exception):
    """The peer broke HTTP/1.1 or SSE framing in a way no strict peer would accept."""


class Headers:
    """Header fields in the order received; names compare without case."""

    def __init__(self, pairs=()):
        self.pairs = [(str(n), str(v)) for n, v in pairs]

    def get(self, name, default=None):
        values = self.all(name)
        return values[0] if values else default

    def all(self, name):
        name = name.lower()
        return [v for n, v in self.pairs if n.lower() == name]

    def names(self):
        return [n.lower() for n, _ in self.pairs]

    def __contains__(self, name):
        return bool(self.all(name))

    def __iter__(self):
        return iter(self.pairs)

    def __repr__(self):
        return f"Headers({self.pairs!r})"


def parse_fields(lines):
    """Header lines (no CRLF) to Headers; FramingError at anything a strict reader refuses."""
    pairs = []
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not TOKEN.match(name):
            raise FramingError(f"bad header line {line!r}")
        value = value.strip(b" \t")
        if re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", value):
            raise FramingError(f"control byte in header {line!r}")
        pairs.append((name.decode("ascii"), value.decode("latin-1")))
    return Headers(pairs)


def split_head(head):
    """The bytes of a head (ending in CRLF CRLF) to its lines; a bare CR or LF anywhere is an error."""
    lines = head[:-4].split(b"\r\n")
    for line in lines:
        if b"\r" in line or b"\n" in line:
            raise FramingError(f"bare CR or LF in {line!r}")
    return lines


def declared_body(headers):
    """How a message says its body is framed: ("chunked", None), ("length", n) or (None, None)."""
    codings = headers.all("transfer-encoding")
    lengths = headers.all("content-length")
    if codings and lengths:
        raise FramingError("both Transfer-Encoding and Content-Length")
    if codings:
        if len(codings) != 1 or codings[0].lower() != "chunked":
            raise FramingError(f"Transfer-Encoding {codings!r}")
        return "chunked", None
    if not lengths:
        return None, None
    if len(lengths) != 1 or not DIGITS.match(lengths[0].encode("latin-1")):
        raise FramingError(f"Content-Length {lengths!r}")
    return "length", int(lengths[0])


class Chunked:
    """Decodes a chunked body fed in any pieces; `.done` after the final chunk, surplus left in `.rest`."""

    def __init__(self):
        self.buf = bytearray()
        self.left = 0          # bytes still owed by the chunk being read
        self.state = "size"    # size, data, crlf, trailer, done
        self.trailers = Headers()
        self._trailer_lines = []
        self.sizes = []

    @property
    def done(self):
        return self.state == "done"

    @property
    def rest(self):
        return bytes(self.buf) if self.done else b""

    def feed(self, data):
        """Takes raw bytes, returns the body bytes they complete."""
        self.buf += data
        out = bytearray()
        while not self.done and self._step(out):
            pass
        return bytes(out)

    def _step(self, out):
        if self.state == "data":
            take = bytes(self.buf[: self.left])
            out += take
            del self.buf[: len(take)]
            self.left -= len(take)
            if not self.left:
                self.state = "crlf"
            return bool(take)
        if self.state == "crlf":
            if len(self.buf) < 2:
                return False
            if self.buf[:2] != b"\r\n":
                raise FramingError(f"chunk data not followed by CRLF but {bytes(self.buf[:2])!r}")
            del self.buf[:2]
            self.state = "size"
            return True
        line = self._line()
        if line is None:
            return False
        if self.state == "size":
            self._size(line)
        elif line:
            self._trailer_lines.append(line)
        else:
            self.trailers = parse_fields(self._trailer_lines)
            self.state = "done"
        return True

    def _line(self):
        end = self.buf.find(b"\n")
        if end < 0:
            if len(self.buf) > 65536:
                raise FramingError("chunk line without end")
            return None
        line = bytes(self.buf[: end + 1])
        del self.buf[: end + 1]
        if not line.endswith(b"\r\n") or b"\r" in line[:-2]:
            raise FramingError(f"bare CR or LF in chunk framing {line!r}")
        return line[:-2]

    def _size(self, line):
        m = CHUNK_SIZE.match(line)
        if not m:
            raise FramingError(f"bad chunk size line {line!r}")
        self.left = int(m.group(1), 16)
        self.sizes.append(self.left)
        self.state = "data" if self.left else "trailer"


class SseEvent:
    """One dispatched event: its fields, its raw bytes, and when its first and last byte came."""

    __slots__ = ("event", "data", "id", "retry", "raw", "t_first", "t_last")

    def __init__(self, event, data, id, retry, raw, t_first, t_last):
        self.event, self.data, self.id, self.retry = event, data, id, retry
        self.raw, self.t_first, self.t_last = raw, t_first, t_last

    def __repr__(self):
        return f"SseEvent({self.event!r}, {self.data!r})"


class SseParser:
    """Server-sent events per the WHATWG grammar, from bytes in any pieces.

    Comments are kept apart in `.comments`; `.torn` tells whether bytes of an unfinished event are pending, which
    at the end of a stream means that the sender forwarded part of an event. UTF-8 is checked strictly: invalid
    bytes raise FramingError instead of becoming U+FFFD.
    """

    def __init__(self):
        self._buf = bytearray()
        self._started = False
        self._last_cr = False
        self._scan = 0
        self._reset()
        self.comments = []

    def _reset(self):
        self._event, self._data, self._id, self._retry = None, None, None, None
        self._raw = bytearray()
        self._t_first = None

    @property
    def torn(self):
        return bool(self._buf) or self._data is not None or self._event is not None

    @property
    def pending(self):
        """The bytes of the unfinished event, for messages."""
        return bytes(self._raw) + bytes(self._buf)

    def feed(self, data, t):
        """Takes bytes that arrived at time t, returns the list of events they complete."""
        if not data:
            return []
        if self._t_first is None:
            self._t_first = t
        self._buf += data
        out = []
        while True:
            line = self._next_line()
            if line is None:
                return out
            if not self._started:
                self._started = True
                if line.startswith(b"\xef\xbb\xbf"):
                    line = line[3:]
            event = self._line(line, t)
            if event:
                out.append(event)

    def _next_line(self):
        if self._last_cr and self._buf:
            # The LF of a CRLF whose CR already ended its line.
            if self._buf[0] == 10:
                self._raw += b"\n"
                del self._buf[0]
            self._last_cr = False
        lf = self._buf.find(b"\n", self._scan)
        cr = self._buf.find(b"\r", self._scan, lf if lf >= 0 else len(self._buf))
        end = cr if cr >= 0 else lf
        if end < 0:
            self._scan = len(self._buf)
            return None
        self._scan = 0
        line = bytes(self._buf[:end])
        self._last_cr = self._buf[end] == 13
        self._raw += self._buf[: end + 1]
        del self._buf[: end + 1]
        return line

    def _line(self, line, t):
        if not line:
            return self._dispatch(t)
        if line.startswith(b":"):
            self.comments.append((t, self._text(line[1:])))
            if self._data is None and self._event is None:
                self._raw, self._t_first = bytearray(), t
            return None
        name, _, value = line.partition(b":")
        value = self._text(value[1:] if value.startswith(b" ") else value)
        name = self._text(name)
        if name == "data":
            self._data = value if self._data is None else self._data + "\n" + value
        elif name == "event":
            self._event = value
        elif name == "id":
            self._id = value
        elif name == "retry" and value.isdigit():
            self._retry = int(value)
        return None

    def _text(self, raw):
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as e:
            raise FramingError(f"invalid UTF-8 in the stream: {raw[:80]!r}") from e

    def _dispatch(self, t):
        event = None
        if self._data is not None:
            event = SseEvent(self._event or "message", self._data, self._id, self._retry,
                             bytes(self._raw), self._t_first, t)
        self._reset()
        if self._buf:
            self._t_first = t
        return event
