"""Every field that the vendors' requests have, towards every protocol: it goes somewhere, is named, refused, or asks for what happens
anyway (trap 89). The tables are docs/translation/*.md, and the fields stand in fields/*.yaml, held against the vendors' own descriptions.
"""

import fnmatch
import json
import os
import re

import pytest

from lib import fields, streams, vendor_fields
from lib.codec import codec, find_codec

PAGES = fields.CHECKOUT / "docs" / "translation"
FILES = sorted(path.stem for path in fields.FOLDER.glob("*.yaml"))
pytestmark = pytest.mark.skipif(find_codec() is None, reason="tests/tools/codec is not built")


def targets_of(file):
    return fields.EMBED_TARGETS if file.op == "embed-request" else fields.TARGETS


@pytest.mark.parametrize("name", FILES)
def test_trap_089_no_field_vanishes(name):
    file = fields.load(name)
    models = {target: [None, *(fields.OTHER_MODELS.get(target, ()) if file.op == "request" else ())] for target in targets_of(file)}
    silent = {(target, model): [n for n, fate in fields.fates(file, target, model).items() if fate.silent]
              for target in models for model in models[target]}
    assert not {target: names for target, names in silent.items() if names}, "neither mapped, named nor refused"


@pytest.mark.parametrize("name", FILES)
def test_the_page_says_what_happens(name):
    page, text = PAGES / f"{name}.md", fields.page(fields.load(name)) + streams.section(name)
    if os.environ.get("GW_WRITE_DOCS"):
        PAGES.mkdir(exist_ok=True)
        page.write_text(text, encoding="utf-8")
    assert page.read_text(encoding="utf-8") == text, "GW_WRITE_DOCS=1 writes it anew"


def test_every_page_is_linked_and_there_is_none_more():
    linked = re.findall(r"\]\(translation/([\w-]+)\.md\)", (PAGES.parent / "translation.md").read_text(encoding="utf-8"))
    assert sorted(linked) == sorted(path.stem for path in PAGES.glob("*.md")) == FILES


@pytest.mark.parametrize("name", FILES)
def test_no_word_of_the_list_of_fields_is_idle(name):
    """What is said of a field is said of one that is there."""
    file = fields.load(name)
    known = {f"{f.place}.{f.label}".lstrip(".") for f in file.fields}
    assert not {key for key, _ in file.words} - known
    assert len({f.name for f in file.fields}) == len(file.fields), "a field stands there twice"


ANSWERED = [name for name in FILES if fields.load_answers(name)]


@pytest.mark.parametrize("name", [name for name in ANSWERED if fields.load_answers(name).op != "embed"])
def test_a_stream_says_what_the_whole_answer_says(name):
    """For every field of an answer: the stream that a client gets, read by its own protocol, is the whole answer that it gets."""
    file = fields.load_answers(name)
    bodies = [json.dumps(field.body).encode() for field in file.fields]
    wrong = []
    for front in fields.TARGETS:
        if front == file.protocol:
            continue
        told = [codec(mode, file.protocol, front, inputs=bodies) for mode in ("whole", "stream")]
        whole, streamed = (codec("whole", front, front, inputs=answers) for answers in told)
        wrong += [(front, field.name) for field, a, b in zip(file.fields, whole, streamed) if fields.differences(json.loads(a), json.loads(b))]
    assert not wrong


# ---- against the vendors' own lists ------------------------------------------------------------------------------------------

def anthropic_types():
    types = pytest.importorskip("anthropic.types.message_create_params")
    return vendor_fields.typed_dicts(types.MessageCreateParamsBase)


def openai_types():
    nodes = vendor_fields.openai()
    if nodes is None:
        pytest.skip("no description of OpenAI's API")
    return nodes


def google_types():
    types = pytest.importorskip("google.genai.types")
    return vendor_fields.models(types.GenerateContentConfig, types.Content, types.Tool, types.EmbedContentConfig)


def ollama_types():
    types = pytest.importorskip("ollama._types")
    return vendor_fields.models(types.ChatRequest, types.GenerateRequest, types.EmbedRequest, types.EmbeddingsRequest)


VENDORS = {"anthropic-messages": anthropic_types, "gemini": google_types,
           "gemini-embed": google_types, "ollama-chat": ollama_types, "ollama-generate": ollama_types, "ollama-embed": ollama_types,
           "ollama-embeddings": ollama_types}


def anthropic_answers():
    return vendor_fields.models(pytest.importorskip("anthropic.types").Message)


def google_answers():
    types = pytest.importorskip("google.genai.types")
    return vendor_fields.models(types.GenerateContentResponse, types.EmbedContentResponse)


def ollama_answers():
    types = pytest.importorskip("ollama._types")
    return vendor_fields.models(types.ChatResponse, types.GenerateResponse, types.EmbedResponse, types.EmbeddingsResponse)


ANSWERS = {"anthropic-messages": anthropic_answers, "gemini": google_answers, "gemini-batch-embed": google_answers,
           "ollama-chat": ollama_answers, "ollama-generate": ollama_answers, "ollama-embed": ollama_answers, "ollama-embeddings": ollama_answers}


def test_every_protocol_has_the_fields_of_its_answers_too():
    assert ANSWERED == FILES


# Of these no vendor publishes a list, or none any more: what is known of them is what they were seen to be.
NO_LIST = {"anthropic-complete", "gemini-batch-embed"}
NO_LIST_OF_ANSWERS = {"anthropic-complete", "gemini-embed"}


@pytest.mark.parametrize("name", [name for name in FILES if name not in NO_LIST])
def test_every_field_of_the_vendor_is_there(name):
    file = fields.load(name)
    assert file.roots
    check_fields(file, VENDORS.get(name, openai_types)())


@pytest.mark.parametrize("name", [name for name in ANSWERED if name not in NO_LIST_OF_ANSWERS])
def test_every_field_of_the_vendors_answers_is_there(name):
    assert fields.load_answers(name).roots
    check_fields(fields.load_answers(name), ANSWERS.get(name, openai_types)())


def responses_items():
    return vendor_fields.types_of(pytest.importorskip("openai.types.responses").ResponseOutputItem)


def anthropic_blocks():
    types, beta = pytest.importorskip("anthropic.types"), pytest.importorskip("anthropic.types.beta")
    return vendor_fields.types_of(types.ContentBlock) | vendor_fields.types_of(beta.BetaContentBlock)


# What an answer is made of: the place, and the kinds that the vendor has of it.
KINDS = {"openai-responses": ("output", responses_items), "anthropic-messages": ("content", anthropic_blocks)}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_thing_in_the_vendors_answers_is_there(name):
    at, kinds = KINDS[name]
    have = {f.label[1:].partition("]")[0] for f in fields.load_answers(name).fields if f.place == at and f.label.startswith("[")}
    assert have == kinds()


def check_fields(file, nodes):
    nodes = {node: {m: set() if m in file.flat.get(node, ()) else inner for m, inner in members.items()} for node, members in nodes.items()}
    whole = {node for node in nodes for pattern in file.whole if fnmatch.fnmatchcase(node, pattern)}
    at, have = {}, {}
    for place in file.places:       # several may have one name
        at.setdefault(place["at"], set()).update(place.get("held", ()), (label.partition("=")[0] for label in place.get("fields") or ()))
    for place in file.places:
        for node in place.get("spec", ()):
            have.setdefault(node, set()).update(at[place["at"]])
    reached = vendor_fields.reachable(nodes, file.roots, whole)
    assert not reached - set(have), "types that no place is about"
    assert not set(have) - set(nodes), "types that are gone"
    missing = {node: sorted(set(nodes[node]) - have[node]) for node in reached if set(nodes[node]) - have[node]}
    assert not missing, "members without a line"
