"""Every client dialect in front of every kind of provider, whole and streamed, subject by subject: the official SDKs ask, scripted
providers answer, and what the SDK makes of it is what the provider said. The table is docs/matrix.md.
"""

import base64
import functools
import json
import os
import pathlib

import pytest

from lib.fronts import FRONTS, Broken, Refused, Wish
from lib.vendors import TOKENS, VENDORS

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
PNG = bytes.fromhex("89504e470d0a1a0a0000000d4948445200000001000000010806000000")
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
TOOLS = (("weather", "Tells the weather.", CITY), ("time", "Tells the time.", {"type": "object", "properties": {}}))
TEXT = "Hello, wörld. 🌍 And so on."
SORRY = "I would rather not."


class Case:
    """One cell of the table, one way."""

    def __init__(self, gateway, up, front, kind, stream):
        self.front, self.vendor, self.up, self.stream = FRONTS[front](gateway), VENDORS[kind], up, stream
        self.model = f"model-of-{kind}"
        up.clear()

    def answer(self, *blocks, stop=None):
        self.script = self.up.reply("POST", self.vendor.path, body=lambda request: self.vendor.reply(request, list(blocks), stop))

    def begun(self):
        """The first half of a stream: some words have been said."""
        events = self.vendor.events([("text", TEXT)])
        return b"".join(events[:len(events) // 2])

    def ask(self, **wish):
        return self.front.ask(self.model, Wish(**wish), self.stream)

    @functools.cached_property
    def sent(self):
        """What the provider got."""
        request = self.script.wait_for_request().request
        assert self.vendor.streams(request) is self.stream
        if self.vendor.dialect != self.front.dialect:       # what is relayed is the SDK's own doing
            assert self.vendor.problem(request.json()) is None
        return request


# ---- the subjects --------------------------------------------------------------------------------------------------------

def plain_text(case):
    case.answer(("text", TEXT))
    seen = case.ask(words="Grüße")
    assert (seen.text, seen.calls, seen.stop, seen.usage) == (TEXT, [], "end", TOKENS)
    assert "Grüße" in json.dumps(case.sent.json(), ensure_ascii=False)


def tools(case):
    case.answer(("text", "Let me look."), ("call", "call_1", "weather", {"city": "Köln"}))
    seen = case.ask(tools=TOOLS)
    assert (seen.text, seen.calls, seen.stop, seen.usage) == ("Let me look.", [("weather", {"city": "Köln"})], "tools", TOKENS)
    assert case.vendor.tools(case.sent.json()) == ["weather", "time"]


def parallel_tools(case):
    case.answer(("call", "call_1", "weather", {"city": "Ulm"}), ("call", "call_2", "weather", {"city": "Bonn"}), ("call", "call_3", "time", {}))
    seen = case.ask(tools=TOOLS)
    assert seen.calls == [("weather", {"city": "Ulm"}), ("weather", {"city": "Bonn"}), ("time", {})] and seen.stop == "tools"


def image(case):
    case.answer(("text", "A dot."))
    assert case.ask(words="What is it?", image=PNG).text == "A dot."
    assert base64.b64encode(PNG) in case.sent.body.replace(b"\\/", b"/")


def structured(case):
    case.answer(("text", '{"city":"Ulm"}'))
    assert case.ask(schema=CITY).text == '{"city":"Ulm"}'
    assert b'"city"' in case.sent.body and b'"required"' in case.sent.body


def reasoning(case):
    case.answer(("think", "Hm, let me see.", "c2lnbmF0dXJl"), ("text", TEXT))
    seen = case.ask()
    assert (seen.thinking, seen.text, seen.stop) == ("Hm, let me see.", TEXT, "end")


def error_before(case):
    for status in (429, 400, 500):
        case.up.clear()
        case.up.reply("POST", case.vendor.path, status=status, body=case.vendor.error("It was so.", status))
        with pytest.raises(Refused) as e:
            case.ask()
        assert e.value.status == status and "It was so." in e.value.message


def error_during(case):
    if not case.stream:
        case.up.reply("POST", case.vendor.path, status=503, body=case.vendor.error("It broke.", 503))
        with pytest.raises(Refused) as e:
            case.ask()
        assert e.value.status == 503 and "It broke." in e.value.message
        return
    case.up.reply("POST", case.vendor.path, body=case.begun() + case.vendor.stream_error("It broke."))
    with pytest.raises(Broken, match="It broke."):
        case.ask()


def cut(case):
    body = case.begun() if case.stream else case.vendor.answer([("text", TEXT)], "end", False)[:80]
    case.up.reply("POST", case.vendor.path, body=body, fault="fin", at=len(body), framing="chunked")
    with pytest.raises(Broken if case.stream else Refused) as e:
        case.ask()
    assert case.stream or e.value.status == 502


def max_tokens(case):
    case.answer(("text", "It is too"), stop="length")
    seen = case.ask(max_tokens=64)
    assert (seen.text, seen.stop) == ("It is too", "length")
    assert b"64" in case.sent.body


def refusal(case):
    case.answer(("refuse", SORRY), stop="refusal")
    seen = case.ask()
    if case.vendor.dialect != "gemini":         # says nothing when it filters
        assert seen.text == SORRY
    if "ollama" not in case.vendor.dialect and "ollama" not in case.front.dialect:      # Ollama has no word for it
        assert seen.stop == "refusal"


SUBJECTS = {s.__name__: s for s in (plain_text, tools, parallel_tools, image, structured, reasoning, error_before, error_during,
                                    cut, max_tokens, refusal)}

TEXT_ONLY = "Completions of old hold a text and nothing else: no tools, pictures, forms or thoughts."
# (subject, front or None, kind or None): why it is not so.
HOLES = {(s, "openai-completions", None): TEXT_ONLY for s in ("tools", "parallel_tools", "image", "structured", "reasoning")}


def hole(subject, front, kind):
    return HOLES.get((subject, front, kind)) or HOLES.get((subject, front, None)) or HOLES.get((subject, None, kind))


# ---- the tests -----------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def up(module_faultd):
    return module_faultd()


@pytest.fixture(scope="module")
def gateway(start_module_gateway, up):
    providers = {kind: {**vendor.provider(up.origin), "models": [f"model-of-{kind}"]} for kind, vendor in VENDORS.items()}
    # OpenAI itself is asked in Chat by clients of other dialects: a provider that speaks nothing but Responses is none of its.
    # One that has Completions of old gets them as they are (test_completions.py); here they are asked of what has Chat.
    providers["openai"].update(protocols=["openai-chat"])
    providers["responses"].update(type="openai-compatible", protocols=["openai-responses"])
    return start_module_gateway({"providers": providers})


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("kind", VENDORS)
@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("subject", SUBJECTS)
def test_matrix(gateway, up, subject, front, kind, stream):
    if why := hole(subject, front, kind):
        pytest.skip(why)
    SUBJECTS[subject](Case(gateway, up, front, kind, stream))


def table():
    """docs/matrix.md as the tests hold it."""
    notes = list(dict.fromkeys(HOLES.values()))
    lines = ["# What is tested between every client and every provider", "",
             "Each cell is two tests (a whole answer, a stream) with the vendor's official Python SDK in front and a scripted provider",
             "behind: `make e2e T=test_matrix`. A number is a note below the table.", "",
             "| client | provider | " + " | ".join(s.replace("_", " ") for s in SUBJECTS) + " |",
             "|---|---|" + "---|" * len(SUBJECTS)]
    for front in FRONTS:
        for kind in VENDORS:
            cells = [hole(s, front, kind) for s in SUBJECTS]
            lines.append(f"| {front} | {kind} | " + " | ".join(f"({notes.index(c) + 1})" if c else "✓" for c in cells) + " |")
    lines += ["", *(f"{i}. {note}" for i, note in enumerate(notes, 1))] if notes else []
    return "\n".join(lines) + "\n"


def test_the_table_in_the_documents_is_this_one():
    page = CHECKOUT / "docs" / "matrix.md"
    if os.environ.get("GW_WRITE_DOCS"):
        page.write_text(table())
    assert page.read_text() == table(), "GW_WRITE_DOCS=1 writes it anew"
