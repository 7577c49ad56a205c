"""The official SDKs in front, scripted providers of both dialects behind: one way to ask and one way to look at the answer.

A `Side` is a dialect as a client or a provider of tests sees it. Answers are made of the same plain blocks for both dialects:
("text", words), ("call", id, name, arguments), ("think", words, signature), ("refuse", words).
"""

import json

from . import canned

TOKENS = (21, 9)      # input, output of every scripted answer
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
STOPS = {"openai-chat": {"end": "stop", "length": "length", "tools": "tool_calls", "refusal": "content_filter", "sequence": "stop"},
         "anthropic-messages": {"end": "end_turn", "length": "max_tokens", "tools": "tool_use", "refusal": "refusal",
                                "sequence": "stop_sequence"},
         "ollama-chat": {"end": "stop", "length": "length", "tools": "stop", "refusal": "stop", "sequence": "stop"}}


# ---- answers of the provider --------------------------------------------------------------------------------------------

def answer(dialect, blocks, stop="end", stream=False, sequence=None):
    """The provider's whole answer or stream as bytes."""
    make = {("openai-chat", False): _chat_whole, ("openai-chat", True): _chat_stream,
            ("anthropic-messages", False): _claude_whole, ("anthropic-messages", True): _claude_stream,
            ("ollama-chat", False): _ollama_whole, ("ollama-chat", True): _ollama_stream}
    return make[dialect, stream](blocks, STOPS[dialect][stop], sequence)


def _pieces(text, n=5):
    return [text[i:i + n] for i in range(0, len(text), n)] or [""]


def _chat_whole(blocks, finish, _):
    message = {"role": "assistant", "content": None, "refusal": None}
    for block in blocks:
        if block[0] == "text":
            message["content"] = (message["content"] or "") + block[1]
        elif block[0] == "refuse":
            message["refusal"] = block[1]
        elif block[0] == "think":
            message["reasoning_content"] = block[1]
        else:
            message.setdefault("tool_calls", []).append(
                {"id": block[1], "type": "function", "function": {"name": block[2], "arguments": json.dumps(block[3])}})
    return canned.dumps({"id": "chatcmpl-1", "object": "chat.completion", "created": 1754000000, "model": canned.OPENAI_MODEL,
                         "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
                         "usage": canned.openai_usage(*TOKENS)}).encode()


def _chat_stream(blocks, finish, _):
    out, calls = [canned.openai_chunk({"role": "assistant", "content": ""}, usage=None)], 0
    names = {"text": "content", "refuse": "refusal", "think": "reasoning_content"}
    for block in blocks:
        if block[0] in names:
            out += [canned.openai_chunk({names[block[0]]: piece}, usage=None) for piece in _pieces(block[1])]
            continue
        out.append(canned.openai_chunk({"tool_calls": [{"index": calls, "id": block[1], "type": "function",
                                                        "function": {"name": block[2], "arguments": ""}}]}, usage=None))
        out += [canned.openai_chunk({"tool_calls": [{"index": calls, "function": {"arguments": piece}}]}, usage=None)
                for piece in _pieces(json.dumps(block[3]))]
        calls += 1
    out.append(canned.openai_chunk({}, finish, usage=None))
    out.append(canned.openai_chunk(choices=[], usage=canned.openai_usage(*TOKENS)))
    return b"".join([*out, b"data: [DONE]\n\n"])


def _claude_block(block):
    if block[0] == "call":
        return {"type": "tool_use", "id": block[1], "name": block[2], "input": block[3]}
    if block[0] == "think":
        return {"type": "thinking", "thinking": block[1], "signature": block[2]}
    return {"type": "text", "text": block[1]}


def _claude_whole(blocks, stop, sequence):
    body = json.loads(canned.anthropic_answer(content=[_claude_block(b) for b in blocks], stop=stop,
                                              usage=canned.anthropic_usage(*TOKENS)))
    return canned.dumps({**body, "stop_sequence": sequence}).encode()


def _claude_stream(blocks, stop, sequence):
    out = [canned.anthropic_start(canned.anthropic_usage(TOKENS[0], 1)), canned.anthropic_event("ping")]
    for index, block in enumerate(blocks):
        start, deltas = _claude_block(block), []
        if block[0] == "call":
            start["input"] = {}
            deltas = [{"type": "input_json_delta", "partial_json": p} for p in ["", *_pieces(json.dumps(block[3]))]]
        elif block[0] == "think":
            start = {"type": "thinking", "thinking": "", "signature": ""}
            deltas = [{"type": "thinking_delta", "thinking": p} for p in _pieces(block[1])]
            deltas.append({"type": "signature_delta", "signature": block[2]})
        else:
            start["text"] = ""
            deltas = [{"type": "text_delta", "text": p} for p in _pieces(block[1])]
        out.append(canned.anthropic_event("content_block_start", index=index, content_block=start))
        out += [canned.anthropic_event("content_block_delta", index=index, delta=d) for d in deltas]
        out.append(canned.anthropic_event("content_block_stop", index=index))
    out.append(canned.anthropic_event("message_delta", delta={"stop_reason": stop, "stop_sequence": sequence},
                                      usage={"output_tokens": TOKENS[1]}))
    return b"".join([*out, canned.anthropic_event("message_stop")])


def _ollama_pieces(block):
    """The members of the messages that say a block."""
    if block[0] == "call":
        return [{"tool_calls": [{"id": block[1], "function": {"name": block[2], "arguments": block[3]}}]}]
    return [{"thinking": p} if block[0] == "think" else {"content": p} for p in _pieces(block[1])]


def _ollama_whole(blocks, stop, _):
    message = {}
    for piece in (p for block in blocks for p in _ollama_pieces(block)):
        for name, value in piece.items():
            message[name] = message[name] + value if name in message else value
    return canned.ollama_answer("", message=message, stop=stop, prompt=TOKENS[0], completion=TOKENS[1])


def _ollama_stream(blocks, stop, _):
    out = [canned.ollama_line(**canned.ollama_message(**piece), done=False) for block in blocks for piece in _ollama_pieces(block)]
    return b"".join([*out, canned.ollama_line(**canned.ollama_message(), **canned.ollama_end(stop, *TOKENS))])


# ---- the clients ---------------------------------------------------------------------------------------------------------

class Seen:
    """What an SDK made of an answer, in words common to both."""

    def __init__(self, text, calls, stop, usage, thinking, raw):
        self.text, self.calls, self.stop, self.usage, self.thinking, self.raw = text, calls, stop, usage, thinking, raw


class ChatClient:
    """The openai SDK."""
    dialect = "openai-chat"

    def __init__(self, sdk):
        self.sdk = sdk

    def ask(self, stream, **request):
        if not stream:
            return self._see(self.sdk.chat.completions.create(**request))
        with self.sdk.chat.completions.stream(**request, stream_options={"include_usage": True}) as events:
            events.until_done()
            return self._see(events.current_completion_snapshot)

    @staticmethod
    def _see(completion):
        choice = completion.choices[0]
        message = choice.message
        calls = [(c.id, c.function.name, json.loads(c.function.arguments)) for c in message.tool_calls or ()]
        stop = {v: k for k, v in reversed(STOPS["openai-chat"].items())}[choice.finish_reason]
        return Seen(message.content or message.refusal or "", calls, stop, (completion.usage.prompt_tokens, completion.usage.completion_tokens),
                    getattr(message, "reasoning_content", None) or "", completion)

    @staticmethod
    def request(words="Hi", **more):
        return {"messages": [{"role": "user", "content": words}], **more}

    tools = [{"type": "function", "function": {"name": "weather", "description": "Tells the weather.", "parameters": WEATHER}},
             {"type": "function", "function": {"name": "time", "description": "Tells the time.", "parameters": {
                 "type": "object", "properties": {}}}}]


class ClaudeClient:
    """The anthropic SDK."""
    dialect = "anthropic-messages"

    def __init__(self, sdk):
        self.sdk = sdk

    def ask(self, stream, **request):
        if not stream:
            return self._see(self.sdk.messages.create(**request))
        with self.sdk.messages.stream(**request) as events:
            return self._see(events.get_final_message())

    @staticmethod
    def _see(message):
        text = "".join(b.text for b in message.content if b.type == "text")
        calls = [(b.id, b.name, b.input) for b in message.content if b.type == "tool_use"]
        stop = {v: k for k, v in STOPS["anthropic-messages"].items()}[message.stop_reason]
        return Seen(text, calls, stop, (message.usage.input_tokens, message.usage.output_tokens),
                    "".join(b.thinking for b in message.content if b.type == "thinking"), message)

    @staticmethod
    def request(words="Hi", **more):
        return {"max_tokens": 500, "messages": [{"role": "user", "content": words}], **more}

    tools = [{"name": "weather", "description": "Tells the weather.", "input_schema": WEATHER},
             {"name": "time", "description": "Tells the time.", "input_schema": {"type": "object", "properties": {}}}]


class OllamaClient:
    """The ollama SDK."""
    dialect = "ollama-chat"

    def __init__(self, sdk):
        self.sdk = sdk

    def ask(self, stream, **request):
        if not stream:
            return self._see([self.sdk.chat(**request)])
        return self._see(list(self.sdk.chat(**request, stream=True)))

    @staticmethod
    def _see(answers):
        """Of the lines of a stream, or of the one answer."""
        messages, last = [a.message for a in answers], answers[-1]
        assert last.done and not any(a.done for a in answers[:-1]), answers
        calls = [(None, c.function.name, dict(c.function.arguments)) for m in messages for c in m.tool_calls or ()]
        stop = "length" if last.done_reason == "length" else "tools" if calls else "end"
        return Seen("".join(m.content or "" for m in messages), calls, stop, (last.prompt_eval_count, last.eval_count),
                    "".join(m.thinking or "" for m in messages), answers)

    @staticmethod
    def request(words="Hi", **more):
        return {"messages": [{"role": "user", "content": words}], **more}

    tools = ChatClient.tools
