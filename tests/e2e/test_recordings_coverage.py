"""Every recorded exchange is played by some test, or stands below with the reason why not: a recording that joins the others, and
a selection that becomes narrower, is noticed.

What a test plays is asked of the test's own selection, over the cases that it is run with. An answer and a request are counted
apart: they are played by different tests.
"""

import collections
import json

import pytest

import test_codec_responses
import test_completions
import test_embeddings
import test_ollama
import test_recordings_asked
import test_recordings_gemini
import test_recordings_product
import test_recordings_relay
import test_recordings_responses
import test_recordings_rest
import test_recordings_translated
from lib import recordings
from lib.recordings_tally import in_band_errors, successes

pytestmark = pytest.mark.usefixtures("need_recordings")

ANSWER, REQUEST = "answer", "request"

# (what it is, its file, whether a recording is it, the halves that nobody plays, why)
LEFT_OUT = [
    ("Vertex's embeddings of old", "embeddings", lambda r: r.target.endswith(":predict"), {ANSWER, REQUEST},
     "the gateway has no such route and asks no provider so: vectors are asked for with :embedContent"),
    ("refused embeddings", "embeddings", lambda r: r.status >= 400, {REQUEST}, "a model or key that is not there: only the answer says something"),
    ("Gemini's batches", "gemini", lambda r: r.target.endswith(":batchGenerateContent"), {ANSWER, REQUEST},
     "the gateway has no batches, of any vendor"),
    ("what Gemini refused", "gemini", lambda r: r.status >= 400, {REQUEST}, "the vendor found it wrong: only its answer counts"),
    ("answers that are not made yet", "responses",
     lambda r: not r.stream and r.status == 200 and json.loads(r.body).get("status") in ("queued", "in_progress"), {ANSWER},
     "the gateway runs what is in the background itself: no provider tells it so"),
]


def cases(test):
    """The arguments of each case of a parametrized test, by name."""
    mark = next(m for m in test.pytestmark if m.name == "parametrize")
    names = [n.strip() for n in mark.args[0].split(",")]
    for values in mark.args[1]:
        yield dict(zip(names, values if len(names) > 1 else (values,)))


def kinds_of(test):
    return [case["kind"] for case in cases(test)]


def played_answers():
    """Every recording whose answer a test plays, by the tests' own selections."""
    product, gemini, rest = test_recordings_product, test_recordings_gemini, test_recordings_rest
    for kind in kinds_of(product.test_every_sdk_reads_it_through_the_gateway):
        yield from (r for stream in (False, True) for r in product.answers(kind, stream))
    for kind in kinds_of(product.test_trap_107_108_every_sdk_raises_what_every_provider_answered):
        yield from product.errors(kind)
    yield from in_band_errors(test_recordings_translated.OPENAI_KINDS)
    for case in cases(gemini.test_everything_is_relayed_byte_for_byte):
        yield from gemini.answers(case["verb"], case["listed"])
    yield from test_embeddings.answers()
    for choose in test_embeddings.RECORDED.values():
        yield from choose()
    for case in cases(test_recordings_responses.test_what_else_openai_answers_passes_byte_for_byte):
        yield from test_recordings_responses.asides(case["path"])
    yield from rest.lists()
    yield from rest.embedding_errors()
    for case in cases(rest.test_what_else_anthropic_answers_passes_byte_for_byte):
        yield from rest.anthropic_asides(case["path"])
    yield from rest.kept_by_the_provider()
    yield from (fetched for _, fetched in rest.background())


def played_requests():
    """Every recording whose request a test sends, or reads and writes for others."""
    relay, gemini, rest = test_recordings_relay, test_recordings_gemini, test_recordings_rest
    for stream, test in ((False, relay.test_whole_answers_are_relayed_byte_for_byte), (True, relay.test_streams_are_relayed_byte_for_byte)):
        yield from successes(kinds_of(test), stream)
    for kind in kinds_of(relay.test_errors_are_relayed_or_put_into_the_dialect):
        yield from relay.failures(kind)
    yield from in_band_errors(["openai_compat_chat"])
    for case in cases(gemini.test_everything_is_relayed_byte_for_byte):
        yield from gemini.answers(case["verb"], case["listed"])
    yield from test_codec_responses.requests()
    for case in cases(test_recordings_responses.test_what_else_openai_answers_passes_byte_for_byte):
        yield from test_recordings_responses.asides(case["path"])
    for case in cases(rest.test_what_else_anthropic_answers_passes_byte_for_byte):
        yield from rest.anthropic_asides(case["path"])
    yield from rest.kept_by_the_provider()
    yield from test_embeddings.answers()
    yield from test_ollama.ollama_recordings()
    yield from test_completions.answers()
    for kind in dict.fromkeys(kinds_of(test_recordings_asked.test_every_request_holds_at_every_provider)):
        yield from test_recordings_asked.requests(kind)


def files():
    return sorted(p.name.removesuffix(".jsonl.gz") for p in (recordings.shared_dir() / "recordings").glob("*.jsonl.gz"))


def unplayed():
    """{(file, half): recordings that no test plays}"""
    played = {ANSWER: {r.id for r in played_answers()}, REQUEST: {r.id for r in played_requests()}}
    out = {}
    for name in files():
        out[name, ANSWER] = [r for r in recordings.load(name) if r.id not in played[ANSWER]]
        out[name, REQUEST] = [r for r in recordings.load(name) if r.method == "POST" and r.id not in played[REQUEST]]
    return out


def test_every_recording_is_played_or_stands_here_with_the_reason():
    ids = collections.Counter(r.id for name in files() for r in recordings.load(name))
    assert len(ids) >= 1551 and set(ids.values()) == {1}, "recordings are told apart by their ids"
    forgotten, used = [], set()
    for (name, half), rest in unplayed().items():
        for r in rest:
            rows = [row[0] for row in LEFT_OUT if row[1] == name and half in row[3] and row[2](r)]
            used.update((row, half) for row in rows)
            if not rows:
                forgotten.append(f"{name}: {half} of {r.id} ({r.method} {r.target} {r.status})")
    assert not forgotten, f"{len(forgotten)} played by no test:\n" + "\n".join(forgotten[:50])
    stale = {(row[0], half) for row in LEFT_OUT for half in row[3]} - used
    assert not stale, f"rows of LEFT_OUT that nothing needs: {stale}"
