"""Every client dialect in front of every kind of provider, whole and streamed, subject by subject: the official SDKs ask, scripted
providers answer, and what the SDK makes of it is what the provider said. The table is docs/matrix.md.
"""

import base64
import functools
import itertools
import json
import os
import pathlib

import httpx
import pytest

import test_embeddings
import test_local_model
import test_node_sdks

from lib import heard
from lib.fronts import FRONTS, Broken, Refused, Wish
from lib.vendors import FORCED, TOKENS, VENDORS

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
PDF = b"%PDF-1.4\n%%EOF\n"
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
    def heard(self):
        return heard.READ[self.vendor.dialect](self.sent.json())

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


def forced_tool(case):
    """The provider is told that a tool has to be called; Ollama, which has no word for it, is held to a form that is one."""
    call = ("call", "call_1", "weather", {"city": "Ulm"})
    by_form = case.vendor.dialect == "ollama-chat"
    case.answer(("text", json.dumps({"name": "weather", "arguments": {"city": "Ulm"}})) if by_form else call)
    seen = case.ask(tools=TOOLS, force=True)
    assert (seen.text, seen.calls, seen.stop, seen.usage) == ("", [("weather", {"city": "Ulm"})], "tools", TOKENS)
    sent = case.sent.json()
    assert FORCED[case.vendor.dialect](sent), sent


def image(case):
    case.answer(("text", "A dot."))
    assert case.ask(words="What is it?", image=PNG).text == "A dot."
    assert base64.b64encode(PNG) in case.sent.body.replace(b"\\/", b"/")


def structured(case):
    case.answer(("text", '{"city":"Ulm"}'))
    assert case.ask(schema=CITY).text == '{"city":"Ulm"}'
    assert b'"city"' in case.sent.body and b'"required"' in case.sent.body


def system(case):
    case.answer(("text", TEXT))
    assert case.ask(system="Be brief.").text == TEXT
    assert case.heard.system == "Be brief."


def sampling(case):
    case.answer(("text", TEXT))
    assert case.ask(temperature=0.25).text == TEXT
    assert case.heard.temperature == 0.25


def stop_sequences(case):
    """Where the provider has no word for them the gateway cuts the answer itself."""
    case.answer(("text", "One. END. Two."))
    seen = case.ask(stop=("END",))
    assert (case.heard.stop, seen.text) == (([], "One. ") if case.vendor.dialect == "openai-responses" else (["END"], "One. END. Two."))


def tool_results(case):
    case.answer(("text", TEXT))
    calls = (("call_a", "weather", {"city": "Bonn"}, "Rain"), ("call_b", "time", {}, "Noon"))
    assert case.ask(tools=TOOLS, history=calls).text == TEXT
    assert case.heard.results == [("weather", "Rain"), ("time", "Noon")]


def no_tool(case):
    case.answer(("text", TEXT))
    assert case.ask(tools=TOOLS, choice="none").text == TEXT
    assert case.heard.choice == "none" or not case.heard.tools


def named_tool(case):
    by_form = case.vendor.dialect == "ollama-chat"
    case.answer(("text", '{"city":"Ulm"}') if by_form else ("call", "call_1", "weather", {"city": "Ulm"}))
    assert case.ask(tools=TOOLS, choice="weather").calls == [("weather", {"city": "Ulm"})]
    assert '"city"' in case.heard.choice if by_form else case.heard.choice == "weather"


def one_call_at_a_time(case):
    """Gemini and Ollama have no word for it: it is named, which SDKs do not show."""
    case.answer(("text", TEXT))
    assert case.ask(tools=TOOLS, single=True).text == TEXT
    assert case.heard.single is (case.vendor.dialect not in ("gemini", "ollama-chat")) and case.heard.tools == ["weather", "time"]


def file(case):
    """Ollama has no place for one: the client is told."""
    case.answer(("text", TEXT))
    if case.vendor.dialect == "ollama-chat":
        with pytest.raises(Refused) as e:
            case.ask(pdf=PDF)
        assert e.value.status == 400
        return
    assert case.ask(pdf=PDF).text == TEXT
    assert case.heard.files == 1 and base64.b64encode(PDF) in case.sent.body.replace(b"\\/", b"/")


def our_key_refused(case):
    """Trap 108: it is the gateway's own trouble, and the key stays unsaid."""
    case.up.reply("POST", case.vendor.path, status=401, body=case.vendor.error("Incorrect API key sk-up-secret", 401))
    with pytest.raises(Refused) as e:
        case.ask()
    assert e.value.status == 502 and "sk-up" not in e.value.message


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


SUBJECTS = {s.__name__: s for s in (plain_text, tools, parallel_tools, forced_tool, image, structured, reasoning, error_before, error_during,
                                    cut, max_tokens, refusal, system, sampling, stop_sequences, tool_results, no_tool, named_tool,
                                    one_call_at_a_time, file, our_key_refused)}
# Of these a stream asks nothing else than a whole answer does.
ASKED_ONCE = {"system", "sampling", "stop_sequences", "tool_results", "no_tool", "named_tool", "one_call_at_a_time", "file", "our_key_refused"}

# ---- what a text alone cannot hold --------------------------------------------------------------------------------------------

def _named(case, names, **more):
    """The members that ask for more than a text are left out and named; the answer is a text all the same."""
    case.answer(("text", TEXT))
    seen, headers = case.front.ask_for_more(case.model, more, case.stream)
    assert (seen.text, seen.calls, seen.stop, seen.usage) == (TEXT, [], "end", TOKENS)
    assert names <= set(headers.get("x-llm-gateway-dropped", "").split(", "))
    assert not [word for word in (b"weather", b"city") if word in case.sent.body]


def _no_word_for_force(case):
    """Who writes OpenAI's word for it all the same is told that it means nothing here."""
    case.answer(("text", TEXT))
    url, stream = f"{case.front.url}/api/chat", case.stream
    answer = httpx.post(url, json={"model": case.model, "messages": [{"role": "user", "content": "Hi"}], "stream": stream, "tool_choice": "required",
                                   "tools": [{"type": "function", "function": {"name": n, "description": d, "parameters": s}} for n, d, s in TOOLS]})
    relayed = case.vendor.dialect == case.front.dialect
    assert answer.status_code == 200 and ("tool_choice" in answer.headers.get("x-llm-gateway-dropped", "").split(", ")) is not relayed
    assert ("tool_choice" in case.sent.json()) is relayed


def _text_and_tools(case):
    _named(case, {"tools", "tool_choice"}, tool_choice="required",
           tools=[{"type": "function", "function": {"name": n, "description": d, "parameters": s}} for n, d, s in TOOLS])


def _text_and_parallel_tools(case):
    _named(case, {"tools", "parallel_tool_calls"}, parallel_tool_calls=True,
           tools=[{"type": "function", "function": {"name": n, "description": d, "parameters": s}} for n, d, s in TOOLS])


def _text_and_image(case):
    with pytest.raises(Refused, match="prompt") as e:
        case.front.ask_for_more(case.model, {"prompt": [{"type": "image_url", "image_url": {"url": "https://e.com/a.png"}}]}, case.stream)
    assert e.value.status == 400


def _text_and_form(case):
    _named(case, {"response_format"}, response_format={"type": "json_schema", "json_schema": {"name": "answer", "schema": CITY}})


def _text_and_thoughts(case):
    """The thoughts are not told; what was asked for is, and what was paid for is counted."""
    case.answer(("think", "Hm, let me see.", "c2lnbmF0dXJl"), ("text", TEXT))
    seen = case.ask()
    assert (seen.text, seen.stop, seen.usage) == (TEXT, "end", TOKENS)


INSTEAD = {"tools": _text_and_tools, "parallel_tools": _text_and_parallel_tools, "forced_tool": _text_and_tools, "image": _text_and_image,
           "structured": _text_and_form, "reasoning": _text_and_thoughts}
TEXT_ONLY = "Completions of old hold a text and nothing else: no tools, pictures, forms or thoughts. What asks for more is named or refused, " \
            "thoughts of the model are not told: tested too."
NO_WORD = "This dialect has no word or place for it, so its clients cannot ask."
BY_TEXT = "A prompt of old is one text: nothing stands beside it."
NO_FORCE = "Ollama's dialect has no word for it; `tool_choice` from its clients is named: tested too."
# (subject, front or None, kind or None): why it is not so.
HOLES = {(s, "openai-completions", None): TEXT_ONLY for s in INSTEAD} | {("forced_tool", "ollama-chat", None): NO_FORCE}
HOLES |= {(s, "openai-completions", None): BY_TEXT for s in ("system", "tool_results", "no_tool", "named_tool", "one_call_at_a_time", "file")}
HOLES |= {(s, "ollama-chat", None): NO_WORD for s in ("no_tool", "named_tool", "one_call_at_a_time", "file")}
HOLES |= {("stop_sequences", "openai-responses", None): NO_WORD, ("one_call_at_a_time", "gemini", None): NO_WORD}


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


def cases():
    """What can be asked: (subject, front, kind, stream)."""
    for subject, front, kind in itertools.product(SUBJECTS, FRONTS, VENDORS):
        if hole(subject, front, kind) not in (NO_WORD, BY_TEXT):
            for stream in [False] if subject in ASKED_ONCE else [False, True]:
                yield pytest.param(subject, front, kind, stream, id=f"{subject}-{front}-{kind}-{'stream' if stream else 'whole'}")


@pytest.mark.parametrize("subject, front, kind, stream", list(cases()))
def test_matrix(gateway, up, subject, front, kind, stream):
    why = hole(subject, front, kind)
    test = _no_word_for_force if why == NO_FORCE else INSTEAD[subject] if why else SUBJECTS[subject]
    test(Case(gateway, up, front, kind, stream))


def rows_of(heads, rows):
    return ["", "| " + " | ".join(h.replace("_", " ") for h in heads) + " |", "|---" * len(heads) + "|",
            *("| " + " | ".join(cells) + " |" for cells in rows), ""]


def python_table():
    notes = list(dict.fromkeys(HOLES.values()))
    rows = [[front, kind, *(f"({notes.index(why) + 1})" if (why := hole(s, front, kind)) else "✓" for s in SUBJECTS)]
            for front in FRONTS for kind in VENDORS]
    return [*rows_of(["client", "provider", *SUBJECTS], rows), *(f"{i}. {note}" for i, note in enumerate(notes, 1))]


def node_table():
    subjects = [name for name, s in test_node_sdks.SUBJECTS.items() if s.relayed and s.kinds != ("openai",)]
    rows = []
    for sdk in test_node_sdks.SDKS:
        cases = test_node_sdks.cases_of(sdk)
        rows += [[sdk, kind, *("✓" if any(c[:2] == (s, kind) for c in cases) else "–" for s in subjects)]
                 for kind in test_node_sdks.KINDS if any(c[:2] == ("text", kind) for c in cases)]
    return rows_of(["client", "provider", *subjects], rows)


def vectors_table():
    fronts = next(m.args[1] for m in test_embeddings.test_every_sdk_gets_the_vectors_of_every_provider.pytestmark if m.args[0] == "name")
    kinds = list(test_embeddings.ANSWERS_BY_KIND)
    return rows_of(["client", *kinds], [[front, *("✓" for _ in kinds)] for front in fronts])


def local_table():
    local = test_local_model
    fronts = {what: next(list(m.args[1]) for m in test.pytestmark if m.args and m.args[0] == "front")
              for what, test in (("text", local.test_every_sdk_talks_to_the_model), ("forced tool", local.test_every_sdk_has_the_model_call_a_tool),
                                 ("form", local.test_every_sdk_has_the_model_answer_in_a_form),
                                 ("picture refused", local.test_a_picture_for_a_model_that_cannot_see))}
    rows = [[f"{front} (Python)", *("✓" if front in can else "–" for can in fronts.values()),
             "✓" if front in local.EMBEDDERS else "–"] for front in FRONTS]
    rows += [[f"{sdk} (Node)", "✓", "✓" if forces else "–", "✓", "–", "✓" if sdk in local.NODE_EMBEDDERS else "–"]
             for sdk, forces in local.NODE_SDKS.items()]
    return rows_of(["client", *fronts, "vectors"], rows)


def table():
    """docs/matrix.md as the tests hold it."""
    return "\n".join([
        "# What is tested between every client and every provider", "",
        "Clients are the vendors' official SDKs with nothing changed but the base URL. A cell is a whole answer and a stream; where a stream asks nothing",
        "else than a whole answer does (from `system` on), a whole answer.", "",
        "## SDKs for Python, scripted providers", "",
        "`make e2e T=test_matrix`. A number is a note below the table.", *python_table(), "",
        "## SDKs for Node, scripted providers", "",
        "`make e2e T=test_node_sdks`. A provider that speaks Responses is asked in Chat by clients of other dialects: the rows of `openai`.",
        "`–`: the SDK or the provider has no such thing, or a whole answer cannot break.", *node_table(),
        "## Vectors, scripted providers", "",
        "`make e2e T=test_embeddings`. Anthropic has none, and its SDK neither.", *vectors_table(),
        "## The local model", "",
        "`make test` runs llama-server with a small model behind every SDK (`tests/e2e/test_local_model.py`). It cannot see, does not reason",
        "aloud, and calls a tool only when it has to.", *local_table()]).rstrip("\n") + "\n"


def test_the_table_in_the_documents_is_this_one():
    page = CHECKOUT / "docs" / "matrix.md"
    if os.environ.get("GW_WRITE_DOCS"):
        page.write_text(table())
    assert page.read_text() == table(), "GW_WRITE_DOCS=1 writes it anew"
