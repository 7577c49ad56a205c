"""Every recorded request, told on to a provider of every other dialect: what comes out holds against the target's schema, nothing that
it asked is missing, or it is refused with the reason and the place.
"""

import json

import pytest

from lib import asked, recordings, responses_spec, schemas
from lib.codec import codec, find_codec
from lib.recordings_tally import Tally
from test_recordings_product import FRONTS, KINDS, PATHS

pytestmark = [pytest.mark.usefixtures("need_recordings"), pytest.mark.timeout(600),
              pytest.mark.skipif(find_codec() is None, reason="tests/tools/codec is not built")]

PROBLEMS = {"openai-chat": schemas.openai_problem, "openai-responses": responses_spec.request_problem,
            "anthropic-messages": schemas.anthropic_problem, "gemini": schemas.gemini_problem, "ollama-chat": schemas.ollama_problem,
            "ollama-generate": schemas.ollama_problem, "openai-completions": schemas.completions_problem}


# Why a request may be refused; any other reason is a finding.
REASONS = ("only another provider understands", "stored with another provider", "another provider keeps",      # trap 94 and its like
           "takes only text from the system", "PDF or plain text", "do not hear audio", "cannot take a recording",
           "one answer", "several answers", "cannot be sent to Ollama", "must be sent as data, not by URL",
           "use ollama-chat", "there is no prompt", "/api/generate knows no tools",
           "this model goes on with a text", "cannot hold a completion to a form")
AT_LEAST = {"openai_chat": 125, "openai_compat_chat": 250, "other": 1, "responses": 240, "anthropic_messages": 235, "gemini": 210,
            "ollama_native": 6, "ollama_native/generate": 3, "legacy_completions": 5}
TEXT_ONLY = ("openai-completions", "ollama-generate")


def requests(kind):
    """Each once: recordings of one conversation repeat them, and recorders of streams too."""
    dialect, seen = KINDS[kind], {}
    for r in recordings.load(kind.partition("/")[0]):
        if dialect == "gemini":
            wanted = r.target.endswith(("enerateContent",)) and not r.target.endswith("batchGenerateContent")
        else:
            wanted = r.target.endswith(PATHS[dialect])
        # What a provider keeps of a conversation is not in the request.
        wanted = wanted and not (r.req.get("previous_response_id") or r.req.get("conversation"))
        if wanted and r.status == 200:
            seen.setdefault(json.dumps(r.req, sort_keys=True), r)
    return list(seen.values())


def problem_of(recording, dialect, target, out):
    if "error" in out:
        return None if out["param"] is not None and any(r in out["error"] for r in REASONS) else f"refused: {out}"
    body = out["body"]
    problem = PROBLEMS[target](body)
    if problem:
        return problem
    lost = asked.READ[dialect](recording.req).missing(body, asked.READ[target](body), set((out["dropped"] or "").split(", ")))
    return f"{lost}; dropped: {out['dropped']}" if lost else None


@pytest.mark.parametrize("kind, target", [(k, t) for k, d in KINDS.items() for t in FRONTS if t != d])
def test_every_request_holds_at_every_provider(capsys, kind, target):
    tally, tests, refused = Tally(f"{kind}, requests towards {target}"), requests(kind), 0
    bodies = [json.dumps({"model": "m", **r.req}).encode() for r in tests]
    for recording, out in zip(tests, codec("request", KINDS[kind], target, inputs=bodies)):
        out = json.loads(out)
        refused += "error" in out
        tally.judge(recording, problem_of(recording, KINDS[kind], target, out))
    tally.finish(capsys, AT_LEAST[kind])
    assert target in TEXT_ONLY or refused <= 0.15 * len(tests), f"{refused} refused of {len(tests)}"
