"""Pictures that a model draws, from every protocol that has a form for them to every other, by way of tests/tools/codec.c; clients
of protocols that have none get the rest of the answer.
"""

import itertools
import json

import pytest

from lib import recordings, responses_spec
from lib.codec import codec, find_codec
from lib.wire import SseParser

pytestmark = pytest.mark.skipif(find_codec() is None, reason="tests/tools/codec is not built")
PICTURES = [("image/png", "iVBORw0KGgo="), ("image/jpeg", "/9j/4AAQSkZJRgABAQAAAQ==")]
TEXT = "Here: "


def gemini():
    parts = [{"text": TEXT}, *({"inlineData": {"mimeType": m, "data": d}} for m, d in PICTURES)]
    return {"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}],
            "modelVersion": "m", "responseId": "r"}


def responses():
    """Its pictures do not say what they are: their bytes do (trap 53)."""
    drawn = [{"type": "image_generation_call", "id": f"ig_{i}", "status": "completed", "result": d} for i, (_, d) in enumerate(PICTURES)]
    return {"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "m", "output": [
        {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
         "content": [{"type": "output_text", "text": TEXT, "annotations": []}]}, *drawn]}


def chat():
    """In OpenRouter's form."""
    images = [{"type": "image_url", "image_url": {"url": f"data:{m};base64,{d}"}} for m, d in PICTURES]
    return {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": TEXT, "refusal": None, "images": images}}]}


UPSTREAMS = {"openai-chat": chat, "gemini": gemini, "openai-responses": responses}


def events(stream):
    return [json.loads(e.data) for e in SseParser().feed(stream, 0) if e.data != "[DONE]"]


def drawn_by_gemini(answers):
    parts = [p for a in answers for c in a["candidates"] for p in c["content"]["parts"]]
    return ("".join(p.get("text", "") for p in parts),
            [(p["inlineData"]["mimeType"], p["inlineData"]["data"]) for p in parts if "inlineData" in p])


def drawn_by_chat(answers, member):
    said = [c[member] for a in answers for c in a["choices"]]
    images = [i for s in said for i in s.get("images", ())]
    assert [(i["type"], i["index"]) for i in images] == [("image_url", n) for n in range(len(images))]
    heads = [i["image_url"]["url"].partition(";base64,") for i in images]
    return "".join(s.get("content") or "" for s in said), [(head.removeprefix("data:"), data) for head, _, data in heads]


def drawn_by_responses(answer):
    parts = [p for i in answer["output"] if i["type"] == "message" for p in i["content"]]
    items = [i for i in answer["output"] if i["type"] == "image_generation_call"]
    assert all(i["status"] == "completed" and i["id"].startswith("ig_") for i in items)
    return "".join(p["text"] for p in parts), [i["result"] for i in items]


def drawn(client, mode, out):
    """The text, and the pictures with what they are, where that is said."""
    if client == "openai-responses":
        return drawn_by_responses(json.loads(out) if mode == "whole" else events(out)[-1]["response"])
    if client == "gemini":
        return drawn_by_gemini([json.loads(out)] if mode == "whole" else events(out))
    return drawn_by_chat([json.loads(out)] if mode == "whole" else events(out), "message" if mode == "whole" else "delta")


@pytest.mark.parametrize("mode", ["whole", "stream"])
@pytest.mark.parametrize("upstream, client", list(itertools.product(UPSTREAMS, ["openai-chat", "openai-responses", "gemini"])))
def test_trap_053_pictures_go_wherever_there_is_a_form_for_them(upstream, client, mode):
    [out] = codec(mode, upstream, client, inputs=[json.dumps(UPSTREAMS[upstream]()).encode()])
    assert drawn(client, mode, out) == (TEXT, [d for _, d in PICTURES] if client == "openai-responses" else PICTURES)


@pytest.mark.parametrize("mode", ["whole", "stream"])
@pytest.mark.parametrize("client", ["openai-chat", "openai-responses", "gemini"])
@pytest.mark.parametrize("upstream", ["openai-responses", "openai-chat"])
def test_a_stream_has_them_too(upstream, client, mode):
    """Responses at the ends of their items, Chat in deltas."""
    [stream] = codec("stream", "gemini", upstream, inputs=[json.dumps(gemini()).encode()])
    [out] = codec(mode, upstream, client, inputs=[stream])
    assert drawn(client, mode, out) == (TEXT, [d for _, d in PICTURES] if client == "openai-responses" else PICTURES)


@pytest.mark.skipif(recordings.shared_dir() is None, reason=recordings.reason_missing())
@pytest.mark.parametrize("upstream", [u for u in UPSTREAMS if u != "openai-responses"])
def test_trap_029_030_their_items_and_events_hold_against_the_specification(upstream):
    body = json.dumps(UPSTREAMS[upstream]()).encode()
    [stream] = codec("stream", upstream, "openai-responses", inputs=[body])
    [whole] = codec("whole", upstream, "openai-responses", inputs=[body])
    assert responses_spec.stream_problems(SseParser().feed(stream, 0)) == []
    assert responses_spec.resource_problem(json.loads(whole)) is None
    told = [e["type"].removeprefix("response.") for e in events(stream) if e.get("output_index") == 1]
    assert told == ["output_item.added", "image_generation_call.in_progress", "image_generation_call.completed", "output_item.done"]


@pytest.mark.parametrize("mode", ["whole", "stream"])
@pytest.mark.parametrize("upstream", UPSTREAMS)
@pytest.mark.parametrize("client", ["anthropic-messages", "anthropic-complete", "ollama-chat", "openai-completions"])
def test_elsewhere_the_rest_of_the_answer_is_whole(upstream, client, mode):
    """As if nothing had been drawn, and what is missing has a name."""
    plain = UPSTREAMS[upstream]()
    if upstream == "gemini":
        del plain["candidates"][0]["content"]["parts"][1:]
    elif upstream == "openai-chat":
        del plain["choices"][0]["message"]["images"]
    else:
        del plain["output"][1:]
    out, want = codec(mode, upstream, client, inputs=[json.dumps(b).encode() for b in (UPSTREAMS[upstream](), plain)])
    assert out == want and TEXT.strip().encode() in out
    assert codec("lost", upstream, client, inputs=[json.dumps(b).encode() for b in (UPSTREAMS[upstream](), plain)]) == [b"answer.image", b""]
