"""What becomes of each kind of event in a provider's stream, and which of them a client of a dialect ever gets: sample streams go
through the codecs event by event. They stand in tests/e2e/fields/streams/PROTOCOL.yaml; openai-responses.yaml says how it is read.
"""

import functools
import json

import yaml

from . import fields, vendors
from .codec import codec

FOLDER = fields.STREAMS
FRONTS = {**{name: words[0] for name, words in fields.TARGETS.items()}, "ollama-generate": "generate"}
LAST_LINE = {"done_reason", "total_duration", "load_duration", "prompt_eval_count", "prompt_eval_duration", "eval_count", "eval_duration",
             "context"}
# What stands in every chunk, or holds what has a name of its own.
HELD = {"openai-chat": {"id", "object", "created", "model", "choices", "index", "delta"},
        "openai-completions": {"id", "object", "created", "model", "choices", "index"},
        "gemini": {"candidates", "content", "index", "modelVersion", "responseId"},
        "ollama-chat": {"model", "created_at", "message", "role", *LAST_LINE},
        "ollama-generate": {"model", "created_at", *LAST_LINE}}


# ---- the names of events -------------------------------------------------------------------------------------------------------

def _says(value):
    return value not in (None, "", False, [], {})


def _members(dialect, value, place=""):
    return [f"{place}{k}" for k, v in value.items() if _says(v) and k not in HELD[dialect]]


def _of_chat(value):
    out = _members("openai-chat", value)
    for choice in value.get("choices") or ():
        out += _members("openai-chat", choice) + _members("openai-chat", choice["delta"], "delta.")
    return out


def _of_completions(value):
    return _members("openai-completions", value) + [n for c in value.get("choices") or () for n in _members("openai-completions", c)]


def _of_claude(value):
    inner = value.get("content_block") or (value["type"] == "content_block_delta" and value["delta"])
    return [f"{value['type']}[{inner['type']}]" if inner else value["type"]]


def _of_gemini(value):
    out = _members("gemini", value)
    for candidate in value.get("candidates") or ():
        out += _members("gemini", candidate)
        for part in (candidate.get("content") or {}).get("parts") or ():
            kinds = [k for k in part if k != "thought" and _says(part[k])]
            out += [f"parts[{'thought' if part.get('thought') and k == 'text' else k}]" for k in kinds]
    return out


def _of_ollama(value):
    return _members("ollama-chat", value) + _members("ollama-chat", value.get("message") or {}, "message.")


NAMES = {"openai-chat": _of_chat, "openai-completions": _of_completions, "anthropic-messages": _of_claude, "gemini": _of_gemini,
         "ollama-chat": _of_ollama, "ollama-generate": lambda value: _members("ollama-generate", value)}


def names(dialect, value):
    """The names of what an event says, as the tables have them."""
    if isinstance(value, str):      # [DONE]
        return [value]
    return list(dict.fromkeys(NAMES.get(dialect, lambda v: [v["type"]])(value)))


# ---- events as bytes -----------------------------------------------------------------------------------------------------------

def _write(dialect, value):
    text = value if isinstance(value, str) else json.dumps(value)
    if dialect.startswith("ollama"):
        return text + "\n"
    if dialect == "gemini":
        return f"data: {text}\r\n\r\n"
    named = f"event: {value['type']}\n" if "type" in value else ""
    return f"{named}data: {text}\n\n"


def read(dialect, text):
    """The events in some bytes of a stream."""
    if dialect.startswith("ollama"):
        return [json.loads(line) for line in text.splitlines()]
    data = [line[6:] for line in text.splitlines() if line.startswith("data: ")]
    return [d if d == "[DONE]" else json.loads(d) for d in data]


# ---- the samples -----------------------------------------------------------------------------------------------------------------

class Streams:
    """One file of sample streams."""

    def __init__(self, path):
        page = yaml.safe_load(path.read_text(encoding="utf-8"))
        self.dialect = page["protocol"]
        self.nothing, self.never = page.get("nothing", {}), page.get("never", {})
        base = page.get("base", {})
        self.samples = [[self._whole(value, number, base) for number, value in enumerate(events)] for events in page["streams"].values()]
        self.kinds = list(dict.fromkeys(n for events in self.samples for event in events for n in names(self.dialect, event)))

    def _whole(self, value, number, base):
        if isinstance(value, str) or "error" in value and self.dialect != "openai-responses":
            return value
        if self.dialect == "openai-responses":
            value = {**value, "sequence_number": number}
            if "response" in value:
                stop = "length" if value["response"]["status"] == "incomplete" else "end"
                done = value["response"]["status"] in ("completed", "incomplete")
                value["response"] = {**vendors.responses_resource([], stop, done), **value["response"]}
        return {**base, **value}


@functools.lru_cache(maxsize=None)
def load(name):
    return Streams(FOLDER / f"{name}.yaml")


def all_names():
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


# ---- what becomes of them ----------------------------------------------------------------------------------------------------------

def _codec(mode, name, front, samples):
    return codec(mode, name, front, asked=fields.asked(front), inputs=["".join(_write(name, e) for e in events).encode() for events in samples])


NEEDED = "needed"


class Told:
    """What clients of one dialect are told of the samples of another."""

    def __init__(self, name, front):
        self.name, self.front, self.file = name, front, load(name)
        self.failed, self.steps, self.at_the_end = [], [], []
        for events, text in zip(self.file.samples, _codec("steps", name, front, self.file.samples)):
            lines = text.decode().splitlines()
            self.failed += [line for line in lines if line.startswith("#failed")]
            said = [read(front, json.loads(line)["told"]) for line in lines if not line.startswith("#failed")]
            self.steps += zip(events, said)
            self.at_the_end += said[-1]
        self.at_once = {kind: list(dict.fromkeys(n for event, said in self.steps if kind in names(name, event)
                                                 for value in said for n in names(front, value))) for kind in self.file.kinds}

    @functools.cached_property
    def kinds(self):
        """The names of all that they are told."""
        return {n for said in [*(said for _, said in self.steps), self.at_the_end] for value in said for n in names(self.front, value)}

    @functools.cached_property
    def later(self):
        """{kind of event that they are told nothing of at once: members of the whole answer that would be others without it, or
        [NEEDED]}"""
        quiet, samples = [k for k, told in self.at_once.items() if not told], self.file.samples
        without = [[[e for e in events if kind not in names(self.name, e)] for events in samples] for kind in quiet]
        wholes = _codec("whole", self.name, self.front, [events for part in [samples, *without] for events in part])
        out, n = {}, len(samples)
        for i, kind in enumerate(quiet, 1):
            pairs = [(a, b) for a, b in zip(wholes[n * i:], wholes[:n]) if a != b]
            sound = [(json.loads(a), json.loads(b)) for a, b in pairs if b"#failed" not in a]
            out[kind] = list(dict.fromkeys(path for a, b in sound for path, _, _ in fields.differences(a, b))) or [NEEDED] * bool(pairs)
        return out


@functools.lru_cache(maxsize=None)
def told(name, front):
    return Told(name, front)


def others(name):
    return [f for f in FRONTS if f != name]


def comes_from(front, kind):
    """The other dialects whose providers bring this event about."""
    return [name for name in others(front) if kind in told(name, front).kinds]


def said_of(words, kind):
    """The key of a list of reasons that is about this kind; one that ends in * is about all that begin so."""
    return next((key for key in words if key == kind or key.endswith("*") and kind.startswith(key[:-1])), None)


# ---- the page ------------------------------------------------------------------------------------------------------------------

LEGEND = """What each kind of event means to the clients of other dialects, made by sending sample streams through the codecs event by
event. `event`: they get such ones at once; *later* `member`: it shows in what they get afterwards; *needed*: without it the answer is refused as cut or
broken; `–`: nothing, and below the table stands why. The last column: from whose providers a client of this dialect gets such an event."""


def cell(name, front, kind):
    at_once = told(name, front).at_once[kind]
    later = told(name, front).later.get(kind)
    if at_once:
        return ", ".join(f"`{n}`" for n in at_once[:3]) + (", …" if len(at_once) > 3 else "")
    if later == [NEEDED]:
        return "*needed*"
    return "*later* " + ", ".join(f"`{n}`" for n in later[:2]) if later else "–"


def origins(front, kind):
    found = comes_from(front, kind)
    if len(found) == len(FRONTS) - 1:
        return "all"
    return ", ".join(FRONTS[n] for n in found) or "–"


def section(name):
    """The table of its events, in Markdown; nothing where it has no streams."""
    if name not in all_names():
        return ""
    file, fronts = load(name), others(name)
    lines = ["", "## Streams", "", LEGEND, "", f"| event | {' | '.join(f'for {FRONTS[f]}' for f in fronts)} | comes from |", "|---" * (len(fronts) + 2) + "|"]
    for kind in file.kinds:
        lines.append(f"| `{kind}` | {' | '.join(cell(name, f, kind) for f in fronts)} | {origins(name, kind)} |")
    for title, words in (("Why nothing comes of it for some:", file.nothing), ("Why no other provider brings it about:", file.never)):
        kinds = {why: [f"`{k}`" for k, w in words.items() if w == why] for why in words.values()}
        if kinds:
            lines += ["", title, "", *(f"- {', '.join(names_)}: {why}" for why, names_ in kinds.items())]
    return "\n".join(lines) + "\n"
