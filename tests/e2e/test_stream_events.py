"""Every kind of event in the vendors' streams, towards the clients of every other dialect: it goes somewhere, or the tables say why not;
and every kind that a client may know, whether it ever gets it from another vendor. The tables are in docs/translation/*.md, which
test_fields.py holds; the samples in fields/streams/*.yaml, held against the vendors' own descriptions.
"""

import pytest

from lib import fields, recordings, responses_spec, streams, vendor_fields
from lib.codec import find_codec
from lib.vendor_fields import types_of

NAMES = streams.all_names()
pytestmark = pytest.mark.skipif(find_codec() is None, reason="tests/tools/codec is not built")


def told(name):
    return {front: streams.told(name, front) for front in streams.others(name)}


# ---- what becomes of them ------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", NAMES)
def test_no_kind_of_event_vanishes(name):
    """What means nothing to somebody's clients stands in the list with the reason; and nothing stands there that means something to all."""
    file, silent = streams.load(name), {}
    for front, seen in told(name).items():
        assert not seen.failed, front
        for kind, at_once in seen.at_once.items():
            if not at_once and not seen.later[kind]:
                silent.setdefault(kind, []).append(front)
    assert not {k: fronts for k, fronts in silent.items() if not streams.said_of(file.nothing, k)}, "vanish without a reason"
    idle = set(file.nothing) - {streams.said_of(file.nothing, k) for k in silent}
    assert not idle


@pytest.mark.parametrize("front", NAMES)
def test_what_a_client_never_gets_has_a_reason(front):
    file = streams.load(front)
    never = [kind for kind in file.kinds if not streams.comes_from(front, kind)]
    assert not [kind for kind in never if not streams.said_of(file.never, kind)], "no provider brings it about, and no reason"
    idle = set(file.never) - {streams.said_of(file.never, k) for k in never}
    assert not idle


@pytest.mark.parametrize("front", NAMES)
def test_a_client_gets_no_event_that_its_vendor_does_not_have(front):
    got = {kind for name in streams.others(front) for kind in streams.told(name, front).kinds}
    assert not got - set(streams.load(front).kinds) - OF_OURS.get(front, set())


# Members of our own, for clients that send back what they got (ir/carrier.h), and the calls that /api/generate has no word for.
OF_OURS = {"ollama-chat": {"message.signature"}, "ollama-generate": {"signature", "tool_calls"}}


# ---- against the vendors' own lists ------------------------------------------------------------------------------------------------

def responses_kinds():
    kinds = types_of(pytest.importorskip("openai.types.responses").ResponseStreamEvent) | {"[DONE]"}
    if recordings.shared_dir() is not None:
        kinds |= responses_spec.event_types()
    return kinds


def claude_kinds():
    """Those of the beta are among them: clients ask for it with a header."""
    types, beta = pytest.importorskip("anthropic.types"), pytest.importorskip("anthropic.types.beta")
    kinds = types_of(types.RawMessageStreamEvent) | types_of(beta.BetaRawMessageStreamEvent) | {"ping", "error"}
    kinds |= {f"content_block_start[{k}]" for k in types_of(types.ContentBlock) | types_of(beta.BetaContentBlock)}
    kinds |= {f"content_block_delta[{k}]" for k in types_of(types.RawContentBlockDelta) | types_of(beta.BetaRawContentBlockDelta)}
    return kinds - {"content_block_start", "content_block_delta"}


def chat_kinds():
    chunk = pytest.importorskip("openai.types.chat.chat_completion_chunk")
    kinds = {*chunk.ChatCompletionChunk.model_fields, *chunk.Choice.model_fields, *(f"delta.{m}" for m in chunk.ChoiceDelta.model_fields)}
    if (nodes := vendor_fields.openai()) is not None:
        kinds |= {*nodes["CreateChatCompletionStreamResponse"], *(f"delta.{m}" for m in nodes["ChatCompletionStreamResponseDelta"])}
    return kinds - streams.HELD["openai-chat"] | {"[DONE]", "error"}


def completions_kinds():
    types = pytest.importorskip("openai.types")
    kinds = {*types.Completion.model_fields, *types.CompletionChoice.model_fields}
    return kinds - streams.HELD["openai-completions"] | {"[DONE]", "error"}


def _wire(model):
    return {field.alias or name for name, field in model.model_fields.items()}


# What the SDK puts there itself, what only requests have, and what says something about another part.
GOOGLE_ASIDE = {"sdkHttpResponse", "automaticFunctionCallingHistory", "parsed"}
GOOGLE_HINTS = {"functionResponse", "mediaResolution", "videoMetadata", "partMetadata", "audioTranscription", "mediaProcessing",
                "speechMetadata", "documentMetadata", "spreadsheetMetadata", "audioMetadata"}


def google_kinds():
    types = pytest.importorskip("google.genai.types")
    kinds = (_wire(types.GenerateContentResponse) | _wire(types.Candidate)) - streams.HELD["gemini"] - GOOGLE_ASIDE
    return kinds | {f"parts[{k}]" for k in _wire(types.Part) - GOOGLE_HINTS} | {"error"}


def ollama_kinds():
    types = pytest.importorskip("ollama._types")
    kinds = {*types.ChatResponse.model_fields, *(f"message.{m}" for m in types.Message.model_fields if m not in ("role", "tool_name"))}
    return kinds - streams.HELD["ollama-chat"] | {"error"}


def generate_kinds():
    return {*pytest.importorskip("ollama._types").GenerateResponse.model_fields} - streams.HELD["ollama-generate"] | {"error"}


# Anthropic's SDK knows `completion` alone; its documentation two more.
VENDORS = {"openai-responses": responses_kinds, "anthropic-messages": claude_kinds, "openai-chat": chat_kinds, "openai-completions": completions_kinds,
           "gemini": google_kinds, "ollama-chat": ollama_kinds, "ollama-generate": generate_kinds,
           "anthropic-complete": lambda: {"completion", "ping", "error"}}
# Of other vendors' making, in OpenAI's form.
OTHERS = {"openai-chat": {"delta.reasoning_content", "delta.reasoning_details", "delta.reasoning", "delta.images", "delta.annotations"}}


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_of_event_of_the_vendor_is_there(name):
    kinds, have = VENDORS[name](), set(streams.load(name).kinds)
    assert not kinds - have, "kinds without a sample"
    # Without the shared description of Open Responses its names are nobody's.
    if name != "openai-responses" or recordings.shared_dir() is not None:
        assert not have - kinds - OTHERS.get(name, set()), "samples of what the vendor does not have"


@pytest.mark.skipif(recordings.shared_dir() is None, reason=recordings.reason_missing())
def test_the_samples_of_responses_hold_against_its_description():
    events = [e for sample in streams.load("openai-responses").samples for e in sample if e != "[DONE]"]
    strange = {"response.compaction.compacting", "response.reasoning.delta", "response.reasoning.done"}     # not in OpenAI's
    assert not [p for p in (responses_spec.event_problem(e) for e in events if e["type"] not in strange) if p]


def test_every_protocol_that_streams_has_its_table():
    assert set(NAMES) == {*fields.TARGETS, "ollama-generate"} == set(streams.FRONTS)
