"""Answers in the two dialects, built to measure: whole, streamed, failed; and where the events of a stream begin."""

import json

OPENAI_MODEL = "gpt-4o-mini-2024-07-18"
ANTHROPIC_MODEL = "claude-sonnet-4-5-20250929"
OLLAMA_MODEL = "llama3.2:1b"


def dumps(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def sse(data, event=None, end="\n"):
    """One server-sent event; `data` is text (may have lines) or something to encode as JSON."""
    text = data if isinstance(data, str) else dumps(data)
    lines = ([f"event: {event}"] if event else []) + [f"data: {line}" for line in text.split("\n")]
    return (end.join(lines) + end + end).encode()


def event_starts(body):
    """Offsets at which the events of an LF-delimited stream begin, and its end: for holds and faults between events."""
    starts, at = [0], 0
    while (at := body.find(b"\n\n", at)) >= 0:
        at += 2
        starts.append(at)
    return starts


def timed(parts):
    """[b"..", 0.5, b".."] to the fields of a Script: {"body": .., "delays": {offset: seconds}}."""
    body, delays = bytearray(), {}
    for part in parts:
        if isinstance(part, (int, float)):
            delays[len(body)] = delays.get(len(body), 0) + part
        else:
            body += part
    return {"body": bytes(body), "delays": delays}


# ---- OpenAI chat -------------------------------------------------------------------------------------------------


def openai_usage(prompt=11, completion=7):
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0, "accepted_prediction_tokens": 0,
                                          "rejected_prediction_tokens": 0}}


def openai_answer(text="Hello.", *, tool_calls=None, finish="stop", usage=None, model=OPENAI_MODEL, **more):
    """A chat completion as bytes. tool_calls: [(id, name, arguments text)]."""
    message = {"role": "assistant", "content": text, "refusal": None, "annotations": []}
    if tool_calls:
        message["tool_calls"] = [{"id": i, "type": "function", "function": {"name": n, "arguments": a}}
                                 for i, n, a in tool_calls]
        finish = "tool_calls" if finish == "stop" else finish
    return dumps({"id": "chatcmpl-Bx0Dq2VZ9XgTtYb1", "object": "chat.completion", "created": 1754000000, "model": model,
                  "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
                  "usage": usage or openai_usage(), "service_tier": "default",
                  "system_fingerprint": "fp_34a54ae93c", **more}).encode()


def openai_chunk(delta=None, finish=None, usage="absent", choices=None, model=OPENAI_MODEL):
    chunk = {"id": "chatcmpl-Bx0Dq2VZ9XgTtYb1", "object": "chat.completion.chunk", "created": 1754000000,
             "model": model, "service_tier": "default", "system_fingerprint": "fp_34a54ae93c",
             "choices": choices if choices is not None else [
                 {"index": 0, "delta": delta or {}, "logprobs": None, "finish_reason": finish}]}
    if usage != "absent":
        chunk["usage"] = usage
    return sse(chunk)


def openai_stream(texts=("Hel", "lo", "."), *, finish="stop", usage=None, include_usage=True, done=True):
    """A streamed chat completion as bytes."""
    null = None if include_usage else "absent"
    out = [openai_chunk({"role": "assistant", "content": "", "refusal": None}, usage=null)]
    out += [openai_chunk({"content": t}, usage=null) for t in texts]
    out.append(openai_chunk({}, finish, usage=null))
    if include_usage:
        out.append(openai_chunk(usage=usage or openai_usage(), choices=[]))
    if done:
        out.append(b"data: [DONE]\n\n")
    return b"".join(out)


def openai_error(message="The server had an error.", type="server_error", code=None, param=None):
    return dumps({"error": {"message": message, "type": type, "param": param, "code": code}}).encode()


# ---- Anthropic messages --------------------------------------------------------------------------------------------


def anthropic_usage(prompt=11, completion=7):
    return {"input_tokens": prompt, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
            "output_tokens": completion, "service_tier": "standard"}


def anthropic_answer(text="Hello.", *, content=None, stop="end_turn", usage=None, model=ANTHROPIC_MODEL):
    """A message as bytes; `content` replaces the one text block."""
    return dumps({"id": "msg_013Zva2CMHLNnXjNJJKqJ2EF", "type": "message", "role": "assistant", "model": model,
                  "content": content if content is not None else [{"type": "text", "text": text}],
                  "stop_reason": stop, "stop_sequence": None, "usage": usage or anthropic_usage()}).encode()


def anthropic_event(kind, **fields):
    return sse({"type": kind, **fields}, event=kind)


def anthropic_start(usage=None, model=ANTHROPIC_MODEL):
    return anthropic_event("message_start", message={
        "id": "msg_013Zva2CMHLNnXjNJJKqJ2EF", "type": "message", "role": "assistant", "model": model, "content": [],
        "stop_reason": None, "stop_sequence": None, "usage": usage or anthropic_usage(completion=1)})


def anthropic_stream(texts=("Hel", "lo", "."), *, stop="end_turn", output_tokens=7, usage=None, end=True):
    """A streamed message with one text block as bytes."""
    out = [anthropic_start(usage),
           anthropic_event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
           anthropic_event("ping")]
    out += [anthropic_event("content_block_delta", index=0, delta={"type": "text_delta", "text": t}) for t in texts]
    out.append(anthropic_event("content_block_stop", index=0))
    out.append(anthropic_event("message_delta", delta={"stop_reason": stop, "stop_sequence": None},
                               usage={"output_tokens": output_tokens}))
    if end:
        out.append(anthropic_event("message_stop"))
    return b"".join(out)


def anthropic_error(message="Overloaded", type="overloaded_error"):
    return dumps({"type": "error", "error": {"type": type, "message": message}}).encode()


# ---- Ollama ------------------------------------------------------------------------------------------------------------


def ollama_line(model=OLLAMA_MODEL, **members):
    return dumps({"model": model, "created_at": "2026-08-20T13:47:52.162334Z", **members}).encode() + b"\n"


def ollama_end(stop="stop", prompt=11, completion=7):
    """The members of the last line."""
    return {"done": True, "done_reason": stop, "total_duration": 2685412125, "load_duration": 3494667,
            "prompt_eval_count": prompt, "prompt_eval_duration": 149512000, "eval_count": completion, "eval_duration": 2530305000}


def ollama_message(content="", **more):
    return {"message": {"role": "assistant", "content": content, **more}}


def ollama_answer(text="Hello.", *, message=None, stop="stop", prompt=11, completion=7):
    """A whole answer of /api/chat as bytes; `message` replaces its members."""
    return ollama_line(**ollama_message(**{"content": text, **(message or {})}), **ollama_end(stop, prompt, completion)).strip()


def ollama_stream(texts=("Hel", "lo", "."), *, stop="stop", prompt=11, completion=7, end=True):
    """A streamed answer of /api/chat as bytes."""
    out = [ollama_line(**ollama_message(t), done=False) for t in texts]
    if end:
        out.append(ollama_line(**ollama_message(), **ollama_end(stop, prompt, completion)))
    return b"".join(out)


# ---- both --------------------------------------------------------------------------------------------------------------

PATHS = {"openai-chat": "/v1/chat/completions", "anthropic-messages": "/v1/messages"}


def answer(dialect, text="Hello.", **kw):
    return (openai_answer if dialect == "openai-chat" else anthropic_answer)(text, **kw)


def stream(dialect, texts=("Hel", "lo", "."), **kw):
    return (openai_stream if dialect == "openai-chat" else anthropic_stream)(texts, **kw)


def error(dialect, message="Broken."):
    return openai_error(message) if dialect == "openai-chat" else anthropic_error(message, "api_error")


def request(dialect, model, text="Hi", stream=False, **more):
    """A minimal request body of the dialect, as a value."""
    body = {"model": model, "messages": [{"role": "user", "content": text}], **more}
    if dialect == "anthropic-messages":
        body.setdefault("max_tokens", 256)
    if stream:
        body["stream"] = True
    return body
