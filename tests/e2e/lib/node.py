"""Node.js programs of the tests: where their packages are, and how a file of node's own test runner is run."""

import base64
import functools
import json
import os
import pathlib
import shutil
import subprocess
import xml.etree.ElementTree as xml

from .gateway import CHECKOUT

NODE_TESTS = CHECKOUT / "tests" / "node"


class Missing(Exception):
    """What the tests need is not there and cannot be had."""


@functools.lru_cache(maxsize=None)
def modules(folder):
    """The node_modules of a folder with a package-lock.json, installed if need be. Missing says why there is none."""
    done = subprocess.run([CHECKOUT / "tools" / "node-modules", folder], capture_output=True, text=True)
    if done.returncode != 0:
        raise Missing(f"the Node packages of {folder} are not there: {done.stderr.strip()[-300:]}")
    return pathlib.Path(done.stdout.strip())


def environment(home, **more):
    """Nothing of the developer's environment: no key, proxy or configuration gets in."""
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": str(home), "TMPDIR": str(home), "LANG": "C.UTF-8", **more}


def need_node(major):
    version = subprocess.run(["node", "--version"], capture_output=True, text=True).stdout if shutil.which("node") else "none"
    if not version.startswith("v") or int(version[1:].split(".")[0]) < major:
        raise Missing(f"needs Node.js {major} or later, not {version.strip()}")


def _furnish(home):
    """The programs and their packages in this folder."""
    need_node(20)
    # Modules are looked for beside the file that imports them, and nothing is installed into the checkout.
    (home / "node_modules").symlink_to(modules(NODE_TESTS))
    for source in NODE_TESTS.glob("*.mjs"):
        shutil.copy(source, home)


def read_answers(home, timeout, answers):
    """What the SDKs make of answers held in hand, [{front, stream, kind, body}] (tests/node/read.mjs says what comes)."""
    home = pathlib.Path(home)
    _furnish(home)
    lines = "".join(json.dumps({**a, "body": base64.b64encode(a["body"]).decode()}) + "\n" for a in answers)
    done = subprocess.run(["node", "read.mjs"], cwd=home, env=environment(home), input=lines, capture_output=True, text=True, timeout=timeout)
    out = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(out) == len(answers), f"{len(out)} of {len(answers)} read: {done.stderr[-2000:]}"
    return out


def run_suite(home, timeout, **variables):
    """Runs tests/node/suite.test.mjs; {name of a case: None, or how it failed}."""
    home = pathlib.Path(home)
    _furnish(home)
    command = ["node", "--test", "--test-reporter=junit", "suite.test.mjs"]
    more = {k: v if isinstance(v, str) else json.dumps(v) for k, v in variables.items()}
    done = subprocess.run(command, cwd=home, env=environment(home, **more), capture_output=True, text=True, timeout=timeout)
    try:
        cases = list(xml.fromstring(done.stdout).iter("testcase"))
    except xml.ParseError:
        raise AssertionError(f"node's test runner: {done.stdout[-2000:]}\n{done.stderr[-2000:]}") from None
    return {case.get("name"): _failure(case) for case in cases}


def _failure(case):
    failure = case.find("failure")
    return None if failure is None else f"{failure.get('message')}\n{failure.text or ''}"
