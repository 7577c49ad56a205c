"""What becomes of each field of a protocol: the codecs are run on a request with the field and on one without, and what differs says
where it went. The fields stand in tests/e2e/fields/PROTOCOL.yaml, which says itself how it is read.
"""

import dataclasses
import difflib
import functools
import json
import pathlib
import re

import yaml

from .codec import codec

CHECKOUT = pathlib.Path(__file__).resolve().parents[3]
FOLDER = CHECKOUT / "tests" / "e2e" / "fields"
STREAMS = FOLDER / "streams"
HERE = "<>"

# The targets: who is asked in which protocol, with a model as its provider has them.
TARGETS = {
    "openai-chat": ("Chat", "gpt-5.4", "openai"),
    "openai-responses": ("Responses", "gpt-5.4", "openai"),
    "openai-completions": ("Completions", "gpt-3.5-turbo-instruct", "openai"),
    "anthropic-messages": ("Messages", "claude-sonnet-4-5", "anthropic"),
    "anthropic-complete": ("Text Completions", "claude-2.1", "anthropic"),
    "gemini": ("Gemini", "gemini-3-pro-preview", "google"),
    "ollama-chat": ("Ollama", "llama3.2", "ollama"),
}
# Models that a target's other fates are shown with: where they differ from those above.
OTHER_MODELS = {"openai-chat": ("o3", "gpt-4o"), "openai-responses": ("o3", "gpt-4o"), "anthropic-messages": ("claude-opus-4-6",),
                "gemini": ("gemini-2.5-flash",)}
EMBED_TARGETS = {"openai-chat": "OpenAI", "gemini": "Gemini", "ollama-chat": "Ollama"}


# What is left out under another name than that of the place.
NAMED_AS = {"thinking": ("reasoning_effort", "reasoning_content"), "reasoning": ("reasoning_effort", "reasoning_content"),
            "output_config": ("reasoning_effort", "response_format"), "text": ("response_format",), "fileData": ("document",),
            "image_generation_call": ("image",)}


# ---- the fields ------------------------------------------------------------------------------------------------------------

def put(frame, member, value):
    """A copy of `frame` with the member set where HERE stands; a member "[kind]" is an element of its own of the list there."""
    if isinstance(frame, dict):
        copy = {k: put(v, member, value) for k, v in frame.items() if k != HERE}
        if HERE in frame and member is not None:
            copy[member] = value
        return copy
    if isinstance(frame, list):
        copy = [put(v, member, value) for v in frame if v != HERE]
        return copy[:frame.index(HERE)] + [value] + copy[frame.index(HERE):] if HERE in frame and member is not None else copy
    return frame


@dataclasses.dataclass
class Field:
    place: str              # "messages[user].content[image_url].image_url"; "" at the top
    label: str              # "detail", "detail=high", "[image_url]"
    without: dict           # the body
    body: dict
    value: object

    @property
    def member(self):
        return self.label.partition("=")[0]

    @property
    def name(self):
        return f"{self.place}{'' if self.label.startswith('[') or not self.place else '.'}{self.label}"


class Fields:
    """One file of fields, of requests or of answers."""

    def __init__(self, path):
        page = yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        self.stem = path.stem
        self.protocol, self.title, self.places = page["protocol"], page["title"], page["places"]
        self.roots, self.whole, self.flat = page.get("roots", []), page.get("whole", {}), page.get("flat", {})
        self.op, self.variant = page.get("op", "request"), page.get("variant", 0)
        base = page.get("base", {})
        for place in self.places:
            place["in"] = {**base, **(place.get("in") or {HERE: None})}
        self.fields = [self._field(place, label, value) for place in self.places for label, value in (place.get("fields") or {}).items()]
        self.words = {(f"{place['at']}.{label}".lstrip("."), target): kind
                      for place in self.places for kind in ("anyway", "gateway")
                      for label, targets in (place.get(kind) or {}).items() for target in ([targets] if isinstance(targets, str) else targets)}

    @staticmethod
    def _field(place, label, value):
        member = label.partition("=")[0]
        return Field(place["at"], label, put(place["in"], None, None), put(place["in"], member, value), value)

    def said(self, field, target, model=None):
        """What the file says of a field that leaves no trace: "anyway", "gateway" or None. Of one model alone as target/model."""
        key = f"{field.place}.{field.label}".lstrip(".")
        return next(filter(None, (self.words.get((key, to)) for to in (f"{target}/{model}", target, "all"))), None)


@functools.lru_cache(maxsize=None)
def load(name):
    return Fields(FOLDER / f"{name}.yaml")


@functools.lru_cache(maxsize=None)
def load_answers(name):
    """Those of the protocol's answers; None where there are none."""
    path = FOLDER / "answers" / f"{name}.yaml"
    return Fields(path) if path.is_file() else None


@functools.lru_cache(maxsize=None)
def asked(front):
    """What a client of that protocol asked that gets all that it may: some parts of answers are only told to who asks."""
    return yaml.safe_load((STREAMS / f"{front}.yaml").read_text(encoding="utf-8"))["asked"]


# ---- what became of them -----------------------------------------------------------------------------------------------------

def _kind(value):
    """How an element of a list is told from the others."""
    if isinstance(value, dict):
        for key in ("type", "role"):
            if isinstance(value.get(key), str):
                return value[key]
        if len(value) == 1:
            return next(iter(value))
    return ""


def differences(a, b, path=""):
    """[(path, what, value)]: what `b` has more ("+"), has no more ("-") or has otherwise ("~")."""
    if a == b and type(a) is type(b):
        return []
    if isinstance(a, dict) and isinstance(b, dict):
        out = []
        for key in [*a, *(k for k in b if k not in a)]:
            here = f"{path}.{key}".lstrip(".")
            if key not in b:
                out.append((here, "-", a[key]))
            elif key not in a:
                out += _new(here, b[key])
            else:
                out += differences(a[key], b[key], here)
        return out
    if isinstance(a, list) and isinstance(b, list):
        return _in_lists(a, b, path)
    return [(path, "~", b)]


def _new(path, value):
    """A new member; what is only there to hold others is passed over."""
    if isinstance(value, dict) and 0 < len(value) <= 3:
        return [found for key, inner in value.items() for found in _new(f"{path}.{key}", inner)]
    return [(path, "+", value)]


def _in_lists(a, b, path):
    head = 0
    while head < min(len(a), len(b)) and a[head] == b[head]:
        head += 1
    tail = 0
    while tail < min(len(a), len(b)) - head and a[-1 - tail] == b[-1 - tail]:
        tail += 1
    a, b = a[head:len(a) - tail], b[head:len(b) - tail]
    kinds = [[_kind(v) if isinstance(v, dict) else json.dumps(v) for v in values] for values in (a, b)]
    out = []
    for what, i1, i2, j1, j2 in difflib.SequenceMatcher(None, *kinds, autojunk=False).get_opcodes():
        if what == "equal":
            out += [d for x, y in zip(a[i1:i2], b[j1:j2]) for d in differences(x, y, f"{path}[{_kind(y)}]")]
            continue
        out += [(f"{path}[{_kind(y)}]", "+", y) for y in b[j1:j2]]
        if what == "delete" or any(isinstance(x, dict) for x in a[i1:i2]):
            out += [(f"{path}[{_kind(x)}]", "-", x) for x in a[i1:i2]]
    return out


@dataclasses.dataclass
class Fate:
    """What became of one field towards one target."""
    refused: str = None
    named: tuple = ()
    changes: tuple = ()
    said: str = None            # "anyway", "gateway"

    @property
    def silent(self):
        return not (self.refused or self.named or self.changes or self.said)

    def cell(self, field):
        """The words of the table."""
        if self.refused:
            return "error" if self.refused == "failed" else "refused"
        own = {field.member, field.label.strip("[]").partition("]")[0]}
        names = [n for n in self.named if n not in own and n.rpartition(".")[2] != field.member]
        word = "named" + (" " + ", ".join(f"`{n}`" for n in names) if names else "")
        if not self.changes:
            return word if self.named else self.said or "nothing"
        if len(self.changes) == 1 and self._same(field):
            return "same" + (f"; {word}" if self.named else "")
        return "; ".join([", ".join(self._places(field)), *([word] if self.named else [])])

    def _same(self, field):
        path, what, value = self.changes[0]
        deep = re.sub(r"\[.*?\]", "", field.name).count(".")
        return what != "-" and path.rpartition(".")[2] == field.member and value == field.value and \
            re.sub(r"\[.*?\]", "", path).count(".") == deep

    def _places(self, field):
        seen = {}
        for path, what, value in self.changes:
            short = isinstance(value, (bool, int, float)) or (isinstance(value, str) and re.fullmatch(r"[\w.-]{1,16}", value))
            said = value in (field.value, f"{field.value}") or what == "-" or not short
            text = f"{path}: {value if isinstance(value, str) else json.dumps(value)}" if not said else path
            seen[("no " if what == "-" else "") + f"`{text}`"] = None
        texts = list(seen)
        return texts if len(texts) <= 3 else [*texts[:3], "…"]


def fates(file, target, model=None):
    """{field's name: Fate} towards one target, with its model or another."""
    if file.op == "embed-request":
        args = ("embed-request", file.protocol, target, str(file.variant))
    else:
        args = ("request", file.protocol, target, model or TARGETS[target][1], TARGETS[target][2])
    bodies = {}
    for field in file.fields:
        for body in (field.without, field.body):
            bodies.setdefault(json.dumps(body, ensure_ascii=False), None)
    for text, answer in zip(list(bodies), codec(*args, inputs=[t.encode() for t in bodies])):
        bodies[text] = json.loads(answer)
    out = {}
    for field in file.fields:
        before, after = (bodies[json.dumps(b, ensure_ascii=False)] for b in (field.without, field.body))
        out[field.name] = _fate(field, before, after, file.said(field, target, model))
    return out


def answer_fates(file, front):
    """{field's name: Fate} of the fields of an answer, for a client of that protocol."""
    bodies = {}
    for field in file.fields:
        for body in (field.without, field.body):
            bodies.setdefault(json.dumps(body, ensure_ascii=False), None)
    texts = [t.encode() for t in bodies]
    how = {"args": ("embed", file.protocol, front)} if file.op == "embed" else {"args": ("whole", file.protocol, front), "asked": asked(front)}
    named = dict.fromkeys(bodies, b"") if file.op == "embed" else dict(zip(list(bodies), codec("lost", file.protocol, front, inputs=texts)))
    for text, answer in zip(list(bodies), codec(*how.pop("args"), inputs=texts, **how)):
        bodies[text] = answer
    out = {}
    for field in file.fields:
        texts = [json.dumps(b, ensure_ascii=False) for b in (field.without, field.body)]
        before, after = (bodies[t] for t in texts)
        lost = [set(named[t].decode().split(", ")) - {""} for t in texts]
        assert not before.startswith(b"#failed"), (field.name, before)
        failed = after.startswith(b"#failed") or (b'"error"' in after and b'"error"' not in before)
        changes = () if failed else tuple(differences(json.loads(before), json.loads(after)))
        out[field.name] = Fate(refused="failed" if failed else None, changes=changes, said="–",
                               named=() if failed else tuple(sorted(lost[1] - lost[0])))
    return out


def _fate(field, before, after, said):
    if "error" in before or "error" in after:
        return Fate(refused=before.get("error") or after["error"])
    names = [set((answer.get("dropped") or "").split(", ")) - {""} for answer in (before, after)]
    # What stands in a thing that is left out as a whole was named with it.
    words = set(re.findall(r"\w+", field.place))
    words |= {name for word in words for name in NAMED_AS.get(word, ())}
    around = {name for name in names[0] if set(name.split(".")) <= words}
    named = names[1] - names[0] or (around if before["body"] == after["body"] else ())
    return Fate(named=tuple(sorted(named)), changes=tuple(differences(before["body"], after["body"])),
                said=said)


# ---- the page ----------------------------------------------------------------------------------------------------------------

LEGEND = """| word | means |
|---|---|
| same | goes on under its own name with its own value |
| `path` | goes there; `path: value` where the value is another; `no path` is what it takes away |
| named | is left out and named in `x-llm-gateway-dropped`, under its own name or the one that stands behind; strict callers get a 400 instead |
| refused | the request is answered 400, and the field named |
| anyway | leaves no trace, for it asks for what happens anyway, or is a label without effect |
| gateway | is done by the gateway itself |"""


def request_page(file):
    """The fields of a protocol and their fates, in Markdown."""
    targets = [t for t in (EMBED_TARGETS if file.op == "embed-request" else TARGETS) if t != file.protocol]
    heads = [f"to {EMBED_TARGETS[t] if file.op == 'embed-request' else TARGETS[t][0]}" for t in targets]
    return _tables(file, targets, heads, {target: fates(file, target) for target in targets})


def answer_page(file):
    """The fields of its answers likewise."""
    titles = EMBED_TARGETS if file.op == "embed" else {t: words[0] for t, words in TARGETS.items()}
    fronts = [t for t in titles if t != file.protocol]
    return _tables(file, fronts, [f"for {titles[t]}" for t in fronts], {front: answer_fates(file, front) for front in fronts})


def _tables(file, targets, heads, found):
    lines, last = [], None
    for field in file.fields:
        if field.place != last:
            lines += ["", f"### {f'`{field.place}`' if field.place else 'At the top'}", "", f"| field | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
            last = field.place
        member, _, which = field.label.partition("=")
        cells = [found[t][field.name].cell(field).replace("|", "\\|") for t in targets]
        lines.append(f"| {f'`{member}`' + (f' {which}' if which else '')} | {' | '.join(cells)} |")
    return "\n".join(lines).strip() + "\n"


def page(file):
    if file.op == "embed-request":
        return f"""# {file.title}: every field, and where it goes

Made by running the codecs on a request with the field and on one without it; `GW_WRITE_DOCS=1 make e2e T=test_fields` writes it anew.
[translation.md](../translation.md#embeddings) explains.

{LEGEND}

## Requests

{request_page(file)}{_answers(file)}"""
    models = ", ".join(f"{word}: `{model}`" for word, model, _ in TARGETS.values())
    return f"""# {file.title}: every field, and where it goes

Made by running the codecs on a request with the field and on one without it; `GW_WRITE_DOCS=1 make e2e T=test_fields` writes it anew.
[translation.md](../translation.md) explains. Where client and provider speak the same protocol the body passes as it is.

{LEGEND}

A place in a list is told by its kind: `messages[user].content[image_url]`. What a model can decides too: these are the fates with
{models}.

## Requests

{request_page(file)}{_other_models(file)}{_answers(file)}"""


def _other_models(file):
    """The fields that another model of a target gives another fate."""
    lines = []
    for target, models in OTHER_MODELS.items():
        for model in models if target != file.protocol else ():
            usual, other = fates(file, target), fates(file, target, model)
            for field in file.fields:
                a, b = usual[field.name].cell(field), other[field.name].cell(field)
                if a != b:
                    lines.append(f"| {TARGETS[target][0]}, `{model}` | `{field.name}` | {b} | {a} |".replace("|`", "\\|`"))
    if not lines:
        return ""
    return "\n".join(["", "### Where the model decides", "", "What becomes of a field with another model than the one above.", "",
                      "| to | field | becomes | above |", "|---|---|---|---|", *lines, ""])


def _answers(file):
    answers = load_answers(file.stem)
    if answers is None:
        return ""
    streams = "" if answers.op == "embed" else " A stream says the same as the whole answer."
    return f"""
## Answers

What clients of the other protocols see of a provider's answer. `–`: it has no place there. An answer's id, its time and the model's name
are the gateway's own.{streams}

{answer_page(answers)}"""
