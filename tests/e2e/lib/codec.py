"""The codecs themselves, by way of tests/tools/codec.c: what they make of many inputs, one process for all of them."""

import json
import os
import pathlib
import subprocess
import tempfile

CHECKOUT = pathlib.Path(__file__).resolve().parents[3]


def find_codec():
    named = os.environ.get("LLM_GATEWAY_CODEC")
    if named:
        return named
    for build in ("asan", "debug"):
        path = CHECKOUT / "build" / build / "tests" / "tools" / "codec"
        if path.is_file():
            return str(path)
    return None


def codec(*args, inputs, asked=None):
    """What the codec makes of each of the inputs, for a client that asked this (a request's body as a value)."""
    stdin = b"".join(b"%d\n%s" % (len(i), i) for i in inputs)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
        if asked is not None:
            f.write(json.dumps(asked))
            f.flush()
            args = [*args, "0", f.name]
        done = subprocess.run([find_codec(), "--many", *args], input=stdin, capture_output=True, timeout=110)
    assert done.returncode == 0, done.stderr.decode()
    out, at = [], 0
    while at < len(done.stdout):
        line_end = done.stdout.index(b"\n", at)
        at = line_end + 1 + int(done.stdout[at:line_end])
        out.append(done.stdout[line_end + 1:at])
    assert len(out) == len(inputs)
    return out
