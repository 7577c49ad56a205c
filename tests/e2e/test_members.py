"""No member of a request gets lost without a word: each that OpenAI's description knows, in the body, in items, messages, parts and
tools of every kind, reaches a provider of every protocol, or is named among what was dropped, or the request is refused.

Two requests that differ in one member are translated; if neither what the provider gets nor what is named tells them apart, the member
was lost. What may be passed over in silence stands in SILENT, with the reason.
"""

import json
import re

import pytest

from lib import members, recordings
from lib.codec import codec, find_codec

pytestmark = [
    pytest.mark.skipif(recordings.shared_dir() is None, reason=recordings.reason_missing()),
    pytest.mark.skipif(find_codec() is None, reason="tests/tools/codec is not built"),
    pytest.mark.timeout(600),
]

TARGETS = ["openai-chat", "openai-responses", "openai-completions", "anthropic-messages", "anthropic-complete", "ollama-chat",
           "ollama-generate", "gemini"]
WALKS = {"openai-responses": members.responses, "openai-chat": members.chat}
ANY = ...
NO_TOOLS = {"openai-completions", "anthropic-complete"}
# (member, value, targets, why)
BOTH = [
    ("stream", False, ANY, "so it is"),
    ("stream", True, {"gemini"}, "the path says it"),
    (r"stream_options(\.include_obfuscation)?", ANY, ANY, "padding of the connection, not of the answer"),
    ("store", False, ANY, "nothing is kept elsewhere"),
    ("parallel_tool_calls", True, ANY, "so it is where nothing else is said"),
    ("service_tier", "auto", ANY, "so it is where nothing else is said"),
    (r"(text\.)?verbosity", "medium", ANY, "so it is where nothing else is said"),
    ("tool_choice", "auto", ANY, "so it is where nothing else is said"),
    ("tool_choice", ANY, {*NO_TOOLS, "ollama-generate"}, "there are no tools at all, and they are named"),
    (r"(.*\.format|response_format)", {"type": "text"}, ANY, "so it is where nothing else is said"),
    (r".*(defer_loading|strict)", False, ANY, "so it is where nothing else is said"),
    (r".*output_schema", {}, ANY, "a schema that says nothing"),
    (r".*\.detail", "auto", ANY, "so it is where nothing else is said"),
]
SILENT = {
    "openai-responses": [
        *BOTH,
        ("background", False, ANY, "so it is"),
        ("truncation", "disabled", ANY, "so it is"),
        ("(reasoning|text)", {}, ANY, "says nothing"),
        ("reasoning.effort", "none", {"anthropic-messages", *NO_TOOLS}, "so it is where nothing else is said"),
        (r"reasoning\.(generate_)?summary", "auto", ANY, "thoughts are given as far as the provider tells them"),
        ("text.format.json_schema..name", ANY, ANY, "a label for the caller"),
        ("text.format.json_schema..strict", True, ANY, "a schema always binds there"),
        (r"input\[.*\]\.(id|status|type)", ANY, ANY, "the server's own, no word to a model"),
        (r"input\[.*\]\.caller", {"type": "direct"}, ANY, "the model's own call, as they all are"),
        (r"input\[function_call_output\]\.(name|namespace)", ANY, ANY, "the call's own are what counts"),
        (r"input.*output_text.*logprobs.*", ANY, ANY, "how likely an answer of old was is no word to a model"),
        (r"input\[message.*\]\.role", ANY, {"anthropic-complete"}, "operator and user speak alike in one text"),
    ],
    "openai-chat": [
        *BOTH,
        ("model", ANY, ANY, "the target's is sent"),
        (r"stream_options\.include_usage", ANY, ANY, "the gateway asks always, and tells who asked"),
        ("n", 1, ANY, "so it is"),
        ("modalities", ["text"], ANY, "so it is"),
        ("logprobs", False, ANY, "so it is"),
        ("reasoning_effort", "none", {"anthropic-messages", *NO_TOOLS}, "so it is where nothing else is said"),
        (r"response_format.*\.(name|strict)", ANY, ANY, "a label for the caller; a schema always binds there"),
        (r"response_format.*\.description", ANY, ANY, "of no schema; with one it is looked at apart"),
        ("stop", ANY, {"openai-responses"}, "done by the gateway, which cuts the answer (test_stop_cut.py)"),
        ("top_logprobs", ANY, {"openai-completions"}, "only beside logprobs: true, which its pair tests"),
    ]}


def translated(dialect, target, requests):
    """{request's text: what became of it}, each request once."""
    texts = list(dict.fromkeys(json.dumps(r) for r in requests))
    outs = codec("request", dialect, target, inputs=[t.encode() for t in texts])
    return dict(zip(texts, (json.loads(o) for o in outs)))


def is_named_whole(having, bare):
    """The item or tool that the member stands in was left out, and named: its members went with it."""
    return "error" not in bare and having["body"] == bare["body"] and having["dropped"] != bare["dropped"]


def is_silent(dialect, target, pair):
    return any(re.fullmatch(member, pair.member) and (value is ... or pair.value == value) and (targets is ... or target in targets)
               for member, value, targets, reason in SILENT[dialect])


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dialect", WALKS)
def test_trap_089_091_every_member_is_mapped_disclosed_or_refused(dialect, target):
    pairs = list(WALKS[dialect]())
    out = translated(dialect, target, [r for p in pairs for r in (p.having, p.lacking, *p.bare)])
    lost = []
    for pair in pairs:
        having, lacking = out[json.dumps(pair.having)], out[json.dumps(pair.lacking)]
        if "error" in having or having != lacking or any(is_named_whole(having, out[json.dumps(b)]) for b in pair.bare):
            continue
        if is_silent(dialect, target, pair):
            continue
        lost.append(pair.label)
    assert not lost, f"{len(lost)} of {len(pairs)} lost:\n" + "\n".join(lost)
    assert len(pairs) > (600 if dialect == "openai-responses" else 200)
