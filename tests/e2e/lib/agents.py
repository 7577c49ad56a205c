"""Agents that people run, and a scripted model for them: given a small task, it calls the tools that the task needs, step by step,
and answers with what they brought. What an agent asks besides (titles, probes) gets a short sane answer.
"""

import json
import os
import re
import subprocess

from . import node

PROMPT = "Read the file note.txt and tell me which word it holds."
WORD = re.compile(r"The word is ([a-z]+)-(\d+)")


class Model:
    """What the model does, on a vendor's upstream: `steps` are lists of calls (id, tool, arguments), made one list an answer."""

    def __init__(self, vendor, steps):
        self.vendor, self.steps = vendor, steps
        self.asked, self.answers = [], []

    def body(self, request):
        """The answer to a Request, as a Script's body takes it."""
        if PROMPT.encode() not in request.body:
            return self.vendor.reply(request, [("text", side_answer(request.json()))])
        self.asked.append(request)
        self.answers.append(self._turn(request, request.json()))
        return self.answers[-1]

    def _turn(self, request, body):
        if len(self.asked) <= len(self.steps):
            thoughts = [("think", "Let me think.", self.vendor.proof)] if self.vendor.thinks(body) else []
            calls = [("call", *call) for call in self.steps[len(self.asked) - 1]]
            return self.vendor.reply(request, [*thoughts, ("text", "I will look."), *calls])
        return self.vendor.reply(request, [("text", final_answer(self.vendor.results(body)))])


def final_answer(results):
    """Words that are nowhere in what was sent: the file's word reversed, so that an echo is no answer."""
    found = WORD.search("\n".join(results))
    return f"It holds {found.group(1)[::-1]}-{found.group(2)}." if found else f"Nothing found: {results}"[:400]


def side_answer(body):
    """What is asked on the side may want a form: an object with the members that its schema requires."""
    schema = (body.get("output_config", {}).get("format", {}).get("schema") or
              body.get("response_format", {}).get("json_schema", {}).get("schema"))
    if not schema:
        return "Fine."
    return json.dumps({name: "Fine." for name in schema.get("required", ())})


def closed_to_the_world(home, **more):
    """An environment in which nothing but this machine is reached."""
    nowhere = "http://127.0.0.1:9"
    return node.environment(home, HTTP_PROXY=nowhere, HTTPS_PROXY=nowhere, http_proxy=nowhere, https_proxy=nowhere,
                            NO_PROXY="127.0.0.1,localhost", no_proxy="127.0.0.1,localhost", **more)


def program(package, path):
    """A program out of an agent's package for this machine, which comes as an optional one. node.Missing without it."""
    arch = {"x86_64": "x64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    found = sorted((node.modules(node.NODE_TESTS / "agents")).glob(f"{package}-linux-{arch}/{path}"))
    if not found:
        raise node.Missing(f"{package} has no program for this machine")
    return str(found[0])


class Desk:
    """Where an agent works: its home, and a folder with the files of the task."""

    def __init__(self, folder, word):
        self.home, self.work = folder / "home", folder / "work"
        self.home.mkdir()
        self.work.mkdir()
        self.note = self.work / "note.txt"
        self.note.write_text(f"The word is {word}\n")
        self.answer = final_answer([self.note.read_text()])

    def run(self, command, timeout=100, **environment):
        """The CompletedProcess, and the JSON objects it printed."""
        done = subprocess.run(command, cwd=self.work, env=closed_to_the_world(self.home, **environment),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)
        return done, [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    def claude(self, variables, *options, **more):
        """Claude Code in print mode, with the variables that its users set."""
        command = [program("@anthropic-ai/claude-code", "claude"), "-p", PROMPT, "--output-format", "stream-json", "--verbose"]
        return self.run([*command, *options], CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1", DISABLE_AUTOUPDATER="1",
                        **variables, **more)

    def codex(self, config, variables, *options, **more):
        """Codex CLI, not interactive, with the configuration that its users write."""
        home = self.home / ".codex"
        home.mkdir()
        (home / "config.toml").write_text(config)
        # The sandbox it has for commands needs rights that a container does not give; the folder here is made for the test.
        command = [program("@openai/codex", "vendor/*/bin/codex"), "exec", "--skip-git-repo-check", "--json",
                   "--sandbox", "danger-full-access"]
        return self.run([*command, *options, PROMPT], **variables, **more)
