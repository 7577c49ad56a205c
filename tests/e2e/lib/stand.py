"""What the tests of faults and of the path share: a configuration with both kinds of provider on scripted upstreams, requests
in either dialect, and what an error or a stream must look like in each.
"""

import itertools
import time
import uuid

from . import canned
from .gateway import merged
from .sseclient import anthropic_problems, anthropic_text, openai_chat_problems, openai_chat_text

OPENAI, ANTHROPIC = "openai-chat", "anthropic-messages"
DIALECTS = (OPENAI, ANTHROPIC)
PAIRS = [(c, u) for c in DIALECTS for u in DIALECTS]
PAIR_IDS = [f"{c.split('-')[0]}-client-{u.split('-')[0]}-upstream" for c, u in PAIRS]
MODELS = {OPENAI: "up-openai", ANTHROPIC: "up-anthropic"}
PROVIDERS = {OPENAI: "oai", ANTHROPIC: "ant"}
PROVIDER_KEYS = {OPENAI: "sk-provider-openai-5d1c", ANTHROPIC: "sk-ant-provider-88ab"}

ANTHROPIC_TYPES = {400: "invalid_request_error", 401: "authentication_error", 403: "permission_error",
                   404: "not_found_error", 405: "invalid_request_error", 413: "request_too_large",
                   429: "rate_limit_error", 529: "overloaded_error", 504: "timeout_error", 502: "api_error",
                   500: "api_error", 415: "invalid_request_error"}


def provider(dialect, origin, **more):
    """A provider of that dialect at an upstream's origin ("http://127.0.0.1:1234")."""
    kind = "openai" if dialect == OPENAI else "anthropic"
    base = origin + "/v1" if dialect == OPENAI and not origin.startswith("unix:") else origin
    return {"type": kind, "base_url": base, "api_key": PROVIDER_KEYS[dialect], "discover": False, **more}


def config(up, spare=None, **more):
    """Both dialects at `up`, under the models of MODELS; with a `spare`, `either-…` are aliases of a target at each."""
    out = {"providers": {PROVIDERS[d]: provider(d, up.origin, models=[MODELS[d]]) for d in DIALECTS}}
    if spare:
        for d in DIALECTS:
            out["providers"][f"{PROVIDERS[d]}-spare"] = provider(d, spare.origin, models=[f"spare-{MODELS[d]}"])
        out["models"] = [
            {"name": f"either-{MODELS[d]}", "targets": [{"provider": PROVIDERS[d], "model": MODELS[d]},
                                                        {"provider": f"{PROVIDERS[d]}-spare", "model": f"spare-{MODELS[d]}"}]}
            for d in DIALECTS]
    return merged(out, more)


_numbers = itertools.count(1)


def new_id():
    """An x-request-id no other request has."""
    return f"test-{uuid.uuid4().hex[:12]}-{next(_numbers)}"


def send(client, dialect, model, *, stream=False, text="Hi", headers=(), path=None, id=None, **more):
    """Sends a request of the dialect on a client; its x-request-id."""
    id = id or new_id()
    headers = [("x-request-id", id), *headers]
    if dialect == ANTHROPIC:
        headers.append(("anthropic-version", "2023-06-01"))
    client.request("POST", path or canned.PATHS[dialect], headers,
                   json_body=canned.request(dialect, model, text, stream, **more))
    return id


def ask(gateway, dialect, model, **kw):
    """One request on a connection of its own; the whole answer, with .id the request's id."""
    with gateway.connect() as client:
        id = send(client, dialect, model, **kw)
        response = client.read_response("POST")
        assert response is not None, "closed without an answer"
        response.id = id
        return response


def open_stream(gateway, dialect, model, client=None, **kw):
    """A streamed request; the Stream, with .id. The answer may be an error: look at .status."""
    client = client or gateway.connect()
    id = send(client, dialect, model, stream=True, **kw)
    stream = client.open_stream()
    assert stream is not None, "closed without an answer"
    stream.id = id
    return stream


def problems(dialect, events, failed=False):
    return (openai_chat_problems if dialect == OPENAI else anthropic_problems)(events, failed)


def text_of(dialect, events):
    return (openai_chat_text if dialect == OPENAI else anthropic_text)(events)


def answer_text(dialect, body):
    """The text of a whole answer's decoded body."""
    if dialect == OPENAI:
        return body["choices"][0]["message"]["content"]
    return "".join(b["text"] for b in body["content"] if b["type"] == "text")


def check_error_body(dialect, body):
    """The shape of an error in the dialect; the error object."""
    error = body["error"]
    if dialect == OPENAI:
        assert set(error) >= {"message", "type", "param", "code"}, error
    else:
        assert body["type"] == "error" and set(error) >= {"type", "message"}, body
    assert error["message"], error
    return error


def check_error(dialect, response, status):
    """An answer that is an error of that status in the dialect's own shape; the error object."""
    assert response.status == status, (response.status, response.body[:300])
    assert response.headers.get("content-type", "").startswith("application/json"), response.headers
    error = check_error_body(dialect, response.json())
    if dialect == ANTHROPIC and status in ANTHROPIC_TYPES:
        assert error["type"] == ANTHROPIC_TYPES[status], error
    return error


def check_whole(dialect, stream, text=None):
    """A stream that must have ended as it should."""
    assert stream.status == 200, (stream.status, bytes(stream.body)[:300])
    stream.rest()
    assert stream.end == "complete" and not stream.torn, (stream.end, bytes(stream.body)[-300:])
    assert problems(dialect, stream.events) == [], bytes(stream.body)[-600:]
    if text is not None:
        assert text_of(dialect, stream.events) == text


def check_failed(dialect, stream):
    """A stream that had begun and must end in the dialect's error event, cut; the error object."""
    stream.rest()
    assert not stream.torn, bytes(stream.body)[-300:]
    assert problems(dialect, stream.events, failed=True) == [], bytes(stream.body)[-600:]
    assert stream.end in ("truncated", "reset"), f"a failed stream ended {stream.end}"
    return check_error_body(dialect, stream.json_events()[-1][1])


def record_of(gateway, id):
    """The access record of a request; there must be exactly one."""
    found = gateway.wait_access(lambda r: r["id"] == id)
    assert len(found) == 1, found
    return found[0]


def wait_until(condition, timeout=5, what="the condition"):
    """Polls until the condition holds; its value."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout} s: {what}")
        time.sleep(0.002)
    return value


def settled(read, for_seconds=0.3, timeout=10):
    """Polls a figure until it has not changed for a while; the figure."""
    deadline = time.monotonic() + timeout
    value, since = read(), time.monotonic()
    while time.monotonic() - since < for_seconds:
        if time.monotonic() > deadline:
            raise TimeoutError(f"still changing after {timeout} s: {value}")
        time.sleep(0.01)
        if (now := read()) != value:
            value, since = now, time.monotonic()
    return value


def taken_in(hit):
    """How many bytes of an answer the gateway has read: those sent less what the kernel holds on the way.

    The kernel's receive buffer may grow to tens of MiB, so what was sent says little about a gateway that does not read.
    """
    gateway_port, up_port = hit.conn.sock.getpeername()[1], hit.conn.sock.getsockname()[1]
    queued = 0
    with open("/proc/net/tcp") as f:
        next(f)
        for line in f:
            fields = line.split()
            ports = tuple(int(a.rpartition(":")[2], 16) for a in fields[1:3])
            tx, rx = (int(q, 16) for q in fields[4].split(":"))
            queued += rx if ports == (gateway_port, up_port) else tx if ports == (up_port, gateway_port) else 0
    return hit.bytes_sent - queued
