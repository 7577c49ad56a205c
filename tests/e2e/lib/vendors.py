"""Vendors of scripted models: what a model says, in the wire format of each kind of provider, and what it was asked.

A `Vendor` is one kind of provider as a test needs it: how the gateway is told of it, where its requests arrive, what they say in
common words, and the bytes of an answer. Answers are made of the same plain blocks for all: ("text", words),
("call", id, name, arguments), ("think", words, signature), ("refuse", words). Vendors that give no ids to calls leave them out, as the real ones do.
"""

import dataclasses
import json
import re
import uuid

from . import canned, matrix, recordings, responses_spec, schemas

TOKENS = matrix.TOKENS      # input, output of every answer


@dataclasses.dataclass(frozen=True)
class Vendor:
    dialect: str
    path: object                # of requests, as a Script takes it
    provider: object            # provider(origin): its configuration
    answer: object              # answer(blocks, stop, stream): bytes; stop is end, tools, length or refusal
    error: object               # error(message, status): the body of an error answer
    stream_error: object        # stream_error(message): what stands for an error in a stream that has begun
    tools: object               # tools(body): the names of the tools a request offers
    results: object             # results(body): the texts of the tool results since the model spoke last
    streams: object             # streams(request): whether the answer shall be streamed
    problem: object             # problem(body): what the vendor would refuse, or None
    end: bytes = b"\n\n"        # of an event
    begun: int = 4              # after so many events of a streamed text, some of it has been said
    proof: str = ""             # what its calls come with and must come back with
    thinks: object = lambda body: False     # thinks(body): whether the request has the model think aloud

    def reply(self, request, blocks, stop=None):
        """The answer to a Request of faultd's."""
        stop = stop or ("tools" if any(b[0] == "call" for b in blocks) else "end")
        return self.answer(blocks, stop, self.streams(request))

    def events(self, blocks, stop="end"):
        """The events of a streamed answer, one by one."""
        return [e + self.end for e in self.answer(blocks, stop, True).split(self.end)[:-1]]


def text_of(content):
    """Content as one text, whichever of its forms it has."""
    if content is None or isinstance(content, str):
        return content or ""
    return "".join(p.get("text", "") for p in content)


def pieces(text, n=5):
    return [text[i:i + n] for i in range(0, len(text), n)] or [""]


def since_the_model_spoke(messages, role="assistant"):
    """The messages behind the model's last one."""
    last = max((i for i, m in enumerate(messages) if m.get("role") == role), default=-1)
    return messages[last + 1:]


# ---- OpenAI chat, Anthropic messages -----------------------------------------------------------------------------------

def _chat_results(body):
    return [text_of(m["content"]) for m in since_the_model_spoke(body["messages"]) if m["role"] == "tool"]


def _claude_results(body):
    turns = since_the_model_spoke(body["messages"])
    blocks = [b for m in turns if isinstance(m["content"], list) for b in m["content"]]
    return [text_of(b.get("content")) for b in blocks if b["type"] == "tool_result"]


CLAUDE_ERRORS = {400: "invalid_request_error", 404: "not_found_error", 429: "rate_limit_error", 500: "api_error",
                 529: "overloaded_error"}


# ---- OpenAI responses --------------------------------------------------------------------------------------------------

def _responses_item(block, number, done):
    status = "completed" if done else "in_progress"
    if block[0] == "call":
        return {"id": f"fc_{number:02}", "type": "function_call", "status": status, "call_id": block[1], "name": block[2],
                "arguments": json.dumps(block[3]) if done else ""}
    if block[0] == "think":
        return {"id": f"rs_{number:02}", "type": "reasoning", "summary": [{"type": "summary_text", "text": block[1]}] if done else [],
                "encrypted_content": block[2] if done else ""}
    if block[0] == "refuse":
        content = [{"type": "refusal", "refusal": block[1]}] if done else []
        return {"id": f"msg_{number:02}", "type": "message", "status": status, "role": "assistant", "content": content}
    content = [{"type": "output_text", "annotations": [], "logprobs": [], "text": block[1]}] if done else []
    return {"id": f"msg_{number:02}", "type": "message", "status": status, "role": "assistant", "content": content}


def responses_resource(blocks, stop, done):
    status = ("incomplete" if stop == "length" else "completed") if done else "in_progress"
    usage = {"input_tokens": TOKENS[0], "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0}, "output_tokens": TOKENS[1],
             "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": sum(TOKENS)}
    return {"id": "resp_01", "object": "response", "created_at": 1754000000, "status": status, "background": False,
            "completed_at": 1754000001 if done and stop != "length" else None, "error": None, "frequency_penalty": 0.0,
            "incomplete_details": {"reason": "max_output_tokens"} if done and stop == "length" else None,
            "instructions": None, "max_output_tokens": None, "max_tool_calls": None, "model": canned.OPENAI_MODEL,
            "output": [_responses_item(b, i, True) for i, b in enumerate(blocks)] if done else [],
            "parallel_tool_calls": True, "presence_penalty": 0.0, "previous_response_id": None, "prompt_cache_key": None,
            "reasoning": {"effort": None, "summary": None}, "safety_identifier": None, "service_tier": "default",
            "store": False, "temperature": 1.0, "text": {"format": {"type": "text"}, "verbosity": "medium"},
            "tool_choice": "auto", "tools": [], "top_logprobs": 0, "top_p": 1.0, "truncation": "disabled",
            "usage": usage if done else None, "user": None, "metadata": {}}


def _responses_block(block, i):
    """The events of one item."""
    at = {"item_id": _responses_item(block, i, False)["id"], "output_index": i}
    yield "response.output_item.added", {"output_index": i, "item": _responses_item(block, i, False)}
    if block[0] == "call":
        arguments = json.dumps(block[3])
        for piece in pieces(arguments):
            yield "response.function_call_arguments.delta", {**at, "delta": piece}
        yield "response.function_call_arguments.done", {**at, "name": block[2], "arguments": arguments}
    elif block[0] == "think":
        at["summary_index"] = 0
        part = {"type": "summary_text", "text": block[1]}
        yield "response.reasoning_summary_part.added", {**at, "part": {**part, "text": ""}}
        for piece in pieces(block[1]):
            yield "response.reasoning_summary_text.delta", {**at, "delta": piece}
        yield "response.reasoning_summary_text.done", {**at, "text": block[1]}
        yield "response.reasoning_summary_part.done", {**at, "part": part}
    elif block[0] == "refuse":
        at["content_index"] = 0
        whole = _responses_item(block, i, True)["content"][0]
        yield "response.content_part.added", {**at, "part": {**whole, "refusal": ""}}
        for piece in pieces(block[1]):
            yield "response.refusal.delta", {**at, "delta": piece}
        yield "response.refusal.done", {**at, "refusal": block[1]}
        yield "response.content_part.done", {**at, "part": whole}
    else:
        at["content_index"] = 0
        whole = _responses_item(block, i, True)["content"][0]
        yield "response.content_part.added", {**at, "part": {**whole, "text": ""}}
        for piece in pieces(block[1]):
            yield "response.output_text.delta", {**at, "delta": piece, "logprobs": []}
        yield "response.output_text.done", {**at, "text": block[1], "logprobs": []}
        yield "response.content_part.done", {**at, "part": whole}
    yield "response.output_item.done", {"output_index": i, "item": _responses_item(block, i, True)}


def _responses_answer(blocks, stop, stream):
    whole = responses_resource(blocks, stop, True)
    if not stream:
        return canned.dumps(whole).encode()
    begun = responses_resource(blocks, stop, False)
    events = [("response.created", {"response": begun}), ("response.in_progress", {"response": begun})]
    for i, block in enumerate(blocks):
        events += _responses_block(block, i)
    events.append((f"response.{whole['status']}", {"response": whole}))
    return b"".join(canned.sse({"type": kind, "sequence_number": n, **fields}, event=kind)
                    for n, (kind, fields) in enumerate(events))


def _responses_error(message):
    return canned.sse({"type": "error", "code": "server_error", "message": message, "param": None, "sequence_number": 99},
                      event="error")


def _responses_results(body):
    items = body["input"] if isinstance(body["input"], list) else []
    last = max((i for i, m in enumerate(items) if m.get("role") == "assistant" or m.get("type", "").endswith("_call")), default=-1)
    return [text_of(m["output"]) for m in items[last + 1:] if m.get("type", "").endswith("_call_output")]


# ---- Gemini --------------------------------------------------------------------------------------------------------------

SIGNATURE = "c2lnbmVkIGJ5IEdlbWluaQ=="


def _gemini_chunk(parts, id, finish=None):
    candidate = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    return canned.dumps({"candidates": [candidate], "modelVersion": "gemini-2.5-flash", "responseId": id,
                         "usageMetadata": {"promptTokenCount": TOKENS[0], "candidatesTokenCount": TOKENS[1],
                                           "totalTokenCount": sum(TOKENS)}})


def _gemini_answer(blocks, stop, stream):
    finish = {"length": "MAX_TOKENS", "refusal": "SAFETY"}.get(stop, "STOP")
    id = f"Ub-Farbp{uuid.uuid4().hex[:12]}"
    parts, signed = [], False
    for block in blocks:
        if block[0] == "call":
            part = {"functionCall": {"name": block[2], "args": block[3]}}
            parts.append(part if signed else {**part, "thoughtSignature": SIGNATURE})
            signed = True
        elif block[0] == "refuse":
            continue        # a filtered answer holds nothing
        else:
            thought = {"thought": True} if block[0] == "think" else {}
            parts += [{"text": piece, **thought} for piece in (pieces(block[1]) if stream else [block[1]])]
    if not stream:
        return _gemini_chunk(parts, id, finish).encode()
    groups = [[p] for p in parts] or [[]]
    return b"".join(canned.sse(_gemini_chunk(g, id, finish if g is groups[-1] else None), end="\r\n") for g in groups)


GEMINI_STATUS = {400: "INVALID_ARGUMENT", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE"}


def _gemini_error(message, status=500):
    return canned.dumps({"error": {"code": status, "message": message, "status": GEMINI_STATUS.get(status, "UNKNOWN")}}).encode()


def _gemini_results(body):
    turns = since_the_model_spoke(body["contents"], "model")
    return [json.dumps(p["functionResponse"]["response"]) for m in turns for p in m["parts"] if "functionResponse" in p]


# ---- Ollama --------------------------------------------------------------------------------------------------------------

def _ollama_line(message, **more):
    return {"model": "llama3.2", "created_at": "2025-08-01T12:00:00.314639Z", "message": {"role": "assistant", "content": "", **message},
            "done": False, **more}


def _ollama_answer(blocks, stop, stream):
    end = {"done": True, "done_reason": "length" if stop == "length" else "stop", "total_duration": 2685412125,
           "load_duration": 3494667, "prompt_eval_count": TOKENS[0], "prompt_eval_duration": 149512000,
           "eval_count": TOKENS[1], "eval_duration": 2530305000}
    calls = [{"function": {"name": b[2], "arguments": b[3]}} for b in blocks if b[0] == "call"]
    text = "".join(b[1] for b in blocks if b[0] in ("text", "refuse"))
    thinking = "".join(b[1] for b in blocks if b[0] == "think")
    if not stream:
        message = {"content": text, **({"thinking": thinking} if thinking else {}), **({"tool_calls": calls} if calls else {})}
        return canned.dumps(_ollama_line(message, **end)).encode()
    lines = [_ollama_line({"thinking": piece}) for piece in pieces(thinking) if piece]
    lines += [_ollama_line({"content": piece}) for piece in pieces(text) if piece]
    lines += [_ollama_line({"tool_calls": calls})] if calls else []
    return b"".join(canned.dumps(line).encode() + b"\n" for line in [*lines, _ollama_line({}, **end)])


def _ollama_results(body):
    return [m["content"] for m in since_the_model_spoke(body["messages"]) if m["role"] == "tool"]


# ---- the table -------------------------------------------------------------------------------------------------------------

def _function_names(body):
    return [t["function"]["name"] for t in body.get("tools", ()) if t.get("type") == "function"]


def _by_description(problem):
    """OpenAI's description is shared material: without it nothing can be held against it."""
    return lambda body: problem(body) if recordings.shared_dir() else None


def _asked_to_stream(request):
    return request.json().get("stream") is True


VENDORS = {
    "openai": Vendor(
        "openai-chat", "/v1/chat/completions",
        lambda origin: {"type": "openai-compatible", "base_url": f"{origin}/v1", "api_key": "sk-up-openai"},
        lambda blocks, stop, stream: matrix.answer("openai-chat", blocks, stop, stream),
        lambda message, status: canned.openai_error(message, "invalid_request_error" if status < 500 else "server_error"),
        lambda message: b"data: " + canned.openai_error(message) + b"\n\n",
        _function_names, _chat_results, _asked_to_stream, _by_description(schemas.openai_problem)),
    "anthropic": Vendor(
        "anthropic-messages", "/v1/messages",
        lambda origin: {"type": "anthropic", "base_url": origin, "api_key": "sk-up-anthropic"},
        lambda blocks, stop, stream: matrix.answer("anthropic-messages", blocks, stop, stream),
        lambda message, status: canned.anthropic_error(message, CLAUDE_ERRORS.get(status, "api_error")),
        lambda message: canned.sse({"type": "error", "error": {"type": "overloaded_error", "message": message}}, event="error"),
        lambda body: [t["name"] for t in body.get("tools", ())], _claude_results, _asked_to_stream, schemas.anthropic_problem,
        proof="sig+AAA=", thinks=lambda body: body.get("thinking", {}).get("type") in ("enabled", "adaptive")),
    "responses": Vendor(
        "openai-responses", "/v1/responses",
        lambda origin: {"type": "openai", "base_url": f"{origin}/v1", "api_key": "sk-up-responses"},
        _responses_answer,
        lambda message, status: canned.openai_error(message, "invalid_request_error" if status < 500 else "server_error"),
        _responses_error,
        lambda body: [t["name"] for t in body.get("tools", ()) if "name" in t], _responses_results, _asked_to_stream,
        _by_description(responses_spec.request_problem), begun=6),
    "gemini": Vendor(
        "gemini", re.compile(r"^/v1beta/models/[^/:]+:(g|streamG)enerateContent$"),
        lambda origin: {"type": "google", "base_url": origin, "api_key": "sk-up-gemini"},
        _gemini_answer, _gemini_error, lambda message: b"data: " + _gemini_error(message) + b"\r\n\r\n",
        lambda body: [f["name"] for t in body.get("tools", ()) for f in t.get("functionDeclarations", ())], _gemini_results,
        lambda request: "streamGenerateContent" in request.target, schemas.gemini_problem, end=b"\r\n\r\n", proof=SIGNATURE),
    "ollama": Vendor(
        "ollama-chat", "/api/chat",
        lambda origin: {"type": "ollama", "base_url": origin},
        _ollama_answer, lambda message, status: canned.dumps({"error": message}).encode(),
        lambda message: canned.dumps({"error": message}).encode() + b"\n",
        _function_names, _ollama_results, lambda request: request.json().get("stream") is not False, schemas.ollama_problem,
        end=b"\n"),
}

# FORCED[dialect](body): whether a request says that a tool has to be called. Ollama is held to a form instead.
FORCED = {"openai-chat": lambda body: body["tool_choice"] == "required", "openai-responses": lambda body: body["tool_choice"] == "required",
          "anthropic-messages": lambda body: body["tool_choice"]["type"] == "any",
          "gemini": lambda body: body["toolConfig"]["functionCallingConfig"]["mode"] == "ANY",
          "ollama-chat": lambda body: "tools" not in body and isinstance(body["format"], dict)}
