"""Recorded provider traffic as scripts for faultd.

The recordings are not part of the repository: they are looked for in $LLM_GATEWAY_SHARED/recordings, else in
../shared/recordings beside the checkout. Tests that need them skip, with the reason, when they are not there.
"""

import functools
import gzip
import json
import os
import pathlib
import urllib.parse

from .faultd import Script

# Framing is the server's business, and recorders kept the decoded body.
FRAMING = {"content-length", "transfer-encoding", "content-encoding", "connection", "keep-alive", "date", "set-cookie"}


def shared_dir():
    """The folder of shared material, or None."""
    checkout = pathlib.Path(__file__).resolve().parents[3]
    named = os.environ.get("LLM_GATEWAY_SHARED")
    candidates = [pathlib.Path(named)] if named else [checkout.parent / "shared"]
    for candidate in candidates:
        if (candidate / "recordings").is_dir():
            return candidate
    return None


def reason_missing():
    return "no recordings: neither $LLM_GATEWAY_SHARED/recordings nor ../shared/recordings is a folder"


class Recording:
    """One request and the provider's answer."""

    def __init__(self, line):
        self.src, self.path, self.i = line["src"], line["path"], line["i"]
        self.method, self.uri = line["method"], line["uri"]
        self.req, self.req_raw = line.get("req"), line.get("req_raw")
        self.req_headers = line.get("req_headers") or {}
        self.status, self.stream = line["status"], bool(line["stream"])
        self.headers = line.get("headers") or {}
        self.body = (line["body"] or "").encode("utf-8", "surrogatepass")
        self.target = urllib.parse.urlsplit(self.uri).path

    @property
    def id(self):
        """A name fit for pytest."""
        return f"{self.src}:{self.path}#{self.i}"

    def answer_headers(self):
        return tuple((n, v) for n, v in self.headers.items() if n.lower() not in FRAMING)

    def script(self, **fields):
        """A Script that plays this answer; fields override."""
        fields = {"status": self.status, "headers": self.answer_headers(), "body": self.body,
                  "framing": "chunked" if self.stream else "length", **fields}
        return Script(**fields)

    def __repr__(self):
        return f"<Recording {self.id} {self.status}{' stream' if self.stream else ''}>"


@functools.lru_cache(maxsize=None)
def load(name):
    """All recordings of a wire format: openai_chat, openai_compat_chat, anthropic_messages, …; () when absent."""
    shared = shared_dir()
    if shared is None:
        return ()
    with gzip.open(shared / "recordings" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as f:
        return tuple(Recording(json.loads(line)) for line in f)
