"""What a recorded answer says: text, reasoning, tool calls, cited pages, stop reason and tokens, read off the recording in plain
Python.

It is the other half of the translation tests, so it shares nothing with the gateway, and neither half is made from
the other. Tokens are counted as the gateway counts them: input holds what came from and went to a cache, output holds
the reasoning.
"""

import dataclasses
import json

STOPS = {"openai": {"stop": "end", "eos": "end", "length": "length", "tool_calls": "tools", "function_call": "tools",
                    "content_filter": "refusal"},
         "anthropic": {"end_turn": "end", "stop_sequence": "end", "max_tokens": "length", "tool_use": "tools",
                       "refusal": "refusal", "pause_turn": "end", "model_context_window_exceeded": "length"},
         "gemini": {"STOP": "end", "MAX_TOKENS": "length", "SAFETY": "refusal", "RECITATION": "refusal", 1: "end"},
         "ollama": {"stop": "end", "length": "length", None: "end"}}


@dataclasses.dataclass
class Answer:
    text: str = ""
    reasoning: str = ""
    tools: list = dataclasses.field(default_factory=list)   # (name, arguments as JSON value)
    stop: str = "end"                                        # end, length, tools, refusal
    input: int = None
    output: int = None
    cached: int = 0
    thought: int = 0                                         # those of the output that are reasoning
    cites: set = dataclasses.field(default_factory=set)      # addresses of pages
    refused: bool = dataclasses.field(default=False, compare=False)

    def differences(self, other):
        """{field: (ours, theirs)} where they differ."""
        return {f.name: (getattr(self, f.name), getattr(other, f.name)) for f in dataclasses.fields(self)
                if f.compare and getattr(self, f.name) != getattr(other, f.name)}


def value_of(arguments):
    """Arguments of a call as JSON; what is none is compared as text."""
    if not isinstance(arguments, str):
        return arguments
    if not arguments.strip():
        return {}
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments


def sse_blocks(body):
    """The raw bytes of each event, its blank line included, whatever the line ends."""
    out, start, at = [], 0, 0
    while at < len(body):
        end = min((p for p in (body.find(b"\n", at), body.find(b"\r", at)) if p >= 0), default=len(body) - 1)
        line = body[at:end].rstrip(b"\r\n")
        at = end + (2 if body[end:end + 2] == b"\r\n" else 1)
        if not line:
            out.append(body[start:at])
            start = at
    return out + ([body[start:]] if start < len(body) else [])


def sse_data(block):
    """The data of one raw event; None where it has none."""
    lines = [line[5:].removeprefix(b" ") for line in block.splitlines() if line.startswith(b"data:")]
    return b"\n".join(lines).decode() if lines else None


def events(recording):
    """The JSON of every event of a recorded stream."""
    data = (sse_data(block) for block in sse_blocks(recording.body))
    return [json.loads(d) for d in data if d and d.strip() != "[DONE]"]


# ---- OpenAI chat and its kin -----------------------------------------------------------------------------------------

def _openai_content(content, answer):
    if isinstance(content, str):
        answer.text += content
    for part in content if isinstance(content, list) else ():
        if part.get("type") == "thinking":
            answer.reasoning += "".join(p.get("text", "") for p in part["thinking"])
        else:
            answer.text += part.get("text") or ""


def _openai_annotations(delta, answer):
    answer.cites |= {a["url_citation"]["url"] for a in delta.get("annotations") or () if a["type"] == "url_citation"}


def _openai_sources(body):
    """One vendor names its sources beside the answer, with or without their titles."""
    sources = body.get("search_results") or body.get("citations") or ()
    return {s if isinstance(s, str) else s["url"] for s in sources} - {""}


def _openai_refusal(delta, answer):
    """Anthropic has no field for it: the words are text, and the stop reason says what they are."""
    answer.text += delta.get("refusal") or ""
    answer.refused = answer.refused or bool(delta.get("refusal"))


def _openai_reasoning(delta, answer):
    details = [d for d in delta.get("reasoning_details") or () if d["type"] in ("reasoning.text", "reasoning.summary")]
    if details:     # then the plain field, if any, says the same once more
        answer.reasoning += "".join(d.get("text") or d.get("summary") or "" for d in details)
        return
    for name in ("reasoning_content", "reasoning"):
        if delta.get(name):
            answer.reasoning += delta[name]
            return


def _openai_usage(usage, answer):
    if not usage:
        return
    answer.input, answer.output = usage.get("prompt_tokens"), usage.get("completion_tokens")
    details = usage.get("prompt_tokens_details") or {}
    answer.cached = details.get("cached_tokens")
    for elsewhere in ("num_cached_tokens", "cached_tokens", "prompt_cache_hit_tokens"):
        if answer.cached is None:
            answer.cached = usage.get(elsewhere)
    # A part is never more than the whole, as one vendor has it.
    answer.cached = min(answer.cached or 0, answer.input)
    reasoning = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0
    answer.thought = reasoning
    if reasoning and usage.get("total_tokens") == answer.input + answer.output + reasoning:
        answer.output += reasoning


def _openai_stop(reason, answer):
    answer.stop = STOPS["openai"].get(reason, "end")
    if answer.stop in ("end", "tools"):
        answer.stop = "tools" if answer.tools else "refusal" if answer.refused else "end"


def openai_whole(recording):
    body, answer = json.loads(recording.body), Answer()
    choice = next(c for c in body["choices"] if c.get("index", 0) == 0)
    message = choice["message"]
    _openai_content(message.get("content"), answer)
    _openai_refusal(message, answer)
    _openai_reasoning(message, answer)
    _openai_annotations(message, answer)
    answer.cites = answer.cites or _openai_sources(body)
    calls = [c["function"] for c in message.get("tool_calls") or ()]
    calls += [message["function_call"]] if (message.get("function_call") or {}).get("name") else []
    answer.tools = [(c["name"], value_of(c["arguments"])) for c in calls]
    _openai_usage(body.get("usage"), answer)
    _openai_stop(choice.get("finish_reason"), answer)
    return answer


def openai_streamed(recording):
    answer, calls, reason, sources = Answer(), {}, None, set()
    for chunk in events(recording):
        sources |= _openai_sources(chunk)
        _openai_usage(chunk.get("usage") or (chunk.get("x_groq") or {}).get("usage"), answer)
        for choice in chunk.get("choices") or ():
            if choice.get("index", 0) != 0:
                continue
            delta = choice.get("delta") or {}
            _openai_content(delta.get("content"), answer)
            _openai_refusal(delta, answer)
            _openai_reasoning(delta, answer)
            _openai_annotations(delta, answer)
            reason = choice.get("finish_reason") or reason
            pieces = [(c["index"], c["function"]) for c in delta.get("tool_calls") or ()]
            pieces += [("legacy", delta["function_call"])] if (delta.get("function_call") or {}).get("name") else []
            for index, function in pieces:
                call = calls.setdefault(index, ["", ""])
                call[0] = call[0] or function.get("name") or ""
                call[1] += function.get("arguments") or ""
    answer.tools = [(name, value_of(arguments)) for name, arguments in calls.values()]
    answer.cites = answer.cites or sources
    _openai_stop(reason, answer)
    return answer


# ---- Anthropic ---------------------------------------------------------------------------------------------------------

def _pages(citations):
    """Places in documents are left out: they have no form elsewhere."""
    return {c["url"] for c in citations or () if c.get("url")}


def _anthropic_usage(usage, so_far):
    so_far.update({k: v for k, v in (usage or {}).items() if isinstance(v, int)})
    so_far.update((usage or {}).get("output_tokens_details") or {})


def _anthropic_finish(answer, usage, reason):
    answer.cached = usage.get("cache_read_input_tokens", 0)
    answer.input = usage.get("input_tokens", 0) + usage.get("cache_creation_input_tokens", 0) + answer.cached
    answer.output, answer.thought = usage.get("output_tokens"), usage.get("thinking_tokens", 0)
    answer.stop = STOPS["anthropic"][reason]
    return answer


def anthropic_whole(recording):
    body, answer, usage = json.loads(recording.body), Answer(), {}
    for block in body["content"]:
        answer.text += block["text"] if block["type"] == "text" else ""
        answer.cites |= _pages(block.get("citations") if block["type"] == "text" else ())
        answer.reasoning += block["thinking"] if block["type"] == "thinking" else ""
        if block["type"] == "tool_use":
            answer.tools.append((block["name"], block["input"]))
    _anthropic_usage(body["usage"], usage)
    return _anthropic_finish(answer, usage, body["stop_reason"])


def anthropic_streamed(recording):
    answer, usage, reason, calls = Answer(), {}, None, {}
    for event in events(recording):
        kind, delta = event["type"], event.get("delta") or {}
        if kind == "message_start":
            _anthropic_usage(event["message"]["usage"], usage)
        elif kind == "message_delta":
            _anthropic_usage(event.get("usage"), usage)
            reason = delta.get("stop_reason") or reason
        elif kind == "content_block_start":
            answer.text += event["content_block"].get("text") or ""
            if event["content_block"]["type"] == "tool_use":
                calls[event["index"]] = [event["content_block"]["name"], ""]
        elif kind == "content_block_delta":
            answer.text += delta.get("text") or ""
            answer.reasoning += delta.get("thinking") or ""
            answer.cites |= _pages([delta["citation"]] if delta["type"] == "citations_delta" else ())
            if delta["type"] == "input_json_delta" and event["index"] in calls:
                calls[event["index"]][1] += delta["partial_json"]
    answer.tools = [(name, value_of(arguments)) for name, arguments in calls.values()]
    return _anthropic_finish(answer, usage, reason)


# ---- Gemini ------------------------------------------------------------------------------------------------------------

def _gemini_chunk(chunk, answer, usage):
    usage.update({k: v for k, v in (chunk.get("usageMetadata") or {}).items() if isinstance(v, int)})
    answer.stop = "refusal" if (chunk.get("promptFeedback") or {}).get("blockReason") else answer.stop
    answer.text += (chunk.get("promptFeedback") or {}).get("blockReasonMessage") or ""
    candidate = next((c for c in chunk.get("candidates") or () if c.get("index", 0) == 0), {})
    for part in (candidate.get("content") or {}).get("parts") or ():
        if part.get("thought"):
            answer.reasoning += part.get("text") or ""
        else:
            answer.text += part.get("text") or ""
        if "functionCall" in part:
            answer.tools.append((part["functionCall"]["name"], part["functionCall"].get("args") or {}))
    answer.cites |= _gemini_pages(candidate)
    answer.stop = STOPS["gemini"].get(candidate.get("finishReason"), answer.stop)


def _gemini_pages(candidate):
    """Those that hold some of the words; where nothing says which hold what, all."""
    grounding = candidate.get("groundingMetadata") or {}
    pages = [next(iter(c.values())).get("uri") for c in grounding.get("groundingChunks") or ()]
    supports = grounding.get("groundingSupports")
    if supports:
        pages = [pages[i] for s in supports for i in s.get("groundingChunkIndices") or ()]
    quoted = candidate.get("citationMetadata") or {}
    return {p for p in pages if p} | {
        c["uri"] for c in quoted.get("citationSources") or quoted.get("citations") or () if c.get("uri")}


def _gemini_finish(answer, usage):
    answer.stop = "tools" if answer.stop == "end" and answer.tools else answer.stop
    answer.cached = usage.get("cachedContentTokenCount", 0)
    if "promptTokenCount" in usage:
        answer.input = usage["promptTokenCount"] + usage.get("toolUsePromptTokenCount", 0)
        answer.thought = usage.get("thoughtsTokenCount", 0)
        answer.output = usage.get("candidatesTokenCount", 0) + answer.thought
    return answer


def gemini_whole(recording):
    answer, usage = Answer(), {}
    _gemini_chunk(json.loads(recording.body), answer, usage)
    return _gemini_finish(answer, usage)


def gemini_streamed(recording):
    answer, usage = Answer(), {}
    for chunk in events(recording):
        _gemini_chunk(chunk, answer, usage)
    return _gemini_finish(answer, usage)


# ---- Ollama ------------------------------------------------------------------------------------------------------------

def ollama(recording):
    """Of the lines of a stream, or of the one body, of /api/chat or /api/generate."""
    answer = Answer()
    for line in recording.body.splitlines():
        part = json.loads(line)
        message = part.get("message") or {"content": part.get("response"), "thinking": part.get("thinking")}
        answer.text += message.get("content") or ""
        answer.reasoning += message.get("thinking") or ""
        answer.tools += [(c["function"]["name"], c["function"]["arguments"]) for c in message.get("tool_calls") or ()]
        if part["done"]:
            answer.input, answer.output = part.get("prompt_eval_count"), part.get("eval_count")
            answer.stop = STOPS["ollama"][part.get("done_reason")]
    answer.stop = "tools" if answer.tools and answer.stop == "end" else answer.stop
    return answer


# ---- OpenAI Responses --------------------------------------------------------------------------------------------------------

def _responses_item(item, answer):
    if item["type"] == "message":
        for part in item["content"]:
            answer.text += part.get("text") or part.get("refusal") or ""
            answer.refused = answer.refused or part["type"] == "refusal"
            answer.cites |= _pages(part.get("annotations"))
    elif item["type"] == "reasoning":
        raw = "".join(p["text"] for p in item.get("content") or ())
        answer.reasoning += raw or "\n\n".join(p["text"] for p in item.get("summary") or ())
    elif item["type"] == "function_call":
        answer.tools.append((item["name"], value_of(item["arguments"])))
    elif item["type"] == "custom_tool_call":
        answer.tools.append((item["name"], {"input": item["input"]}))


def responses(recording):
    """Of the one body, or of the one that the last event of a stream holds."""
    body, answer = events(recording)[-1]["response"] if recording.stream else json.loads(recording.body), Answer()
    for item in body["output"]:
        _responses_item(item, answer)
    usage = body.get("usage")
    if usage:
        answer.input, answer.output = usage["input_tokens"], usage["output_tokens"]
        answer.cached = (usage.get("input_tokens_details") or {}).get("cached_tokens") or 0
        answer.thought = (usage.get("output_tokens_details") or {}).get("reasoning_tokens") or 0
    answer.stop = "tools" if answer.tools else "refusal" if answer.refused else "end"
    if body["status"] == "incomplete":
        answer.stop = {"max_output_tokens": "length", "content_filter": "refusal"}[body["incomplete_details"]["reason"]]
    return answer


# ---- OpenAI Completions ------------------------------------------------------------------------------------------------------

def completions(recording):
    """Of the one body, or of all chunks of a stream."""
    answer = Answer()
    for part in events(recording) if recording.stream else [json.loads(recording.body)]:
        for choice in part["choices"]:
            answer.text += choice["text"]
            answer.stop = STOPS["openai"].get(choice.get("finish_reason"), answer.stop)
        _openai_usage(part.get("usage"), answer)
    return answer


# ---- what an SDK made of it --------------------------------------------------------------------------------------------

def of_openai_sdk(completion):
    """The Answer that a ChatCompletion of the official SDK holds."""
    choice, answer = completion.choices[0], Answer()
    message, usage = choice.message, completion.usage
    answer.text = (message.content or "") + (message.refusal or "")
    answer.reasoning = getattr(message, "reasoning_content", None) or ""
    answer.tools = [(c.function.name, value_of(c.function.arguments)) for c in message.tool_calls or ()]
    answer.cites = {a.url_citation.url for a in message.annotations or ()}
    answer.stop = STOPS["openai"][choice.finish_reason]
    if answer.stop == "end" and message.refusal:
        answer.stop = "refusal"
    _of_openai_usage(usage, answer)
    return answer


def _of_openai_usage(usage, answer):
    if usage:
        answer.input, answer.output = usage.prompt_tokens, usage.completion_tokens
        answer.cached = (usage.prompt_tokens_details.cached_tokens if usage.prompt_tokens_details else 0) or 0
        details = usage.completion_tokens_details
        answer.thought = (details.reasoning_tokens if details else 0) or 0


def of_completions_sdk(chunks):
    """The Answer that the Completions of the official SDK hold: one, or a stream of them."""
    answer = Answer()
    for chunk in chunks:
        for choice in chunk.choices:
            answer.text += choice.text
            answer.stop = STOPS["openai"][choice.finish_reason] if choice.finish_reason else answer.stop
        _of_openai_usage(chunk.usage, answer)
    return answer


def of_responses_sdk(response):
    """The Answer that a Response of the official SDK holds."""
    answer, refused = Answer(), False
    for item in response.output:
        if item.type == "message":
            for part in item.content:
                answer.text += part.text if part.type == "output_text" else part.refusal
                refused = refused or part.type == "refusal"
                answer.cites |= {a.url for a in getattr(part, "annotations", ()) if a.type == "url_citation"}
        elif item.type == "reasoning":
            answer.reasoning += "".join(p.text for p in item.content or ()) or "\n\n".join(p.text for p in item.summary)
        elif item.type == "function_call":
            answer.tools.append((item.name, value_of(item.arguments)))
    answer.stop = "tools" if answer.tools else "refusal" if refused else "end"
    if response.status == "incomplete":
        answer.stop = {"max_output_tokens": "length", "content_filter": "refusal"}[response.incomplete_details.reason]
    usage = response.usage
    answer.input, answer.output = usage.input_tokens, usage.output_tokens
    answer.cached, answer.thought = usage.input_tokens_details.cached_tokens, usage.output_tokens_details.reasoning_tokens
    return answer


def of_anthropic_sdk(message):
    """The Answer that a Message of the official SDK holds."""
    answer, usage = Answer(), message.usage
    for block in message.content:
        answer.text += block.text if block.type == "text" else ""
        answer.cites |= {c.url for c in (block.citations or () if block.type == "text" else ())}
        answer.reasoning += block.thinking if block.type == "thinking" else ""
        if block.type == "tool_use":
            answer.tools.append((block.name, block.input))
    answer.stop = STOPS["anthropic"][message.stop_reason]
    answer.cached = usage.cache_read_input_tokens or 0
    answer.input = usage.input_tokens + (usage.cache_creation_input_tokens or 0) + answer.cached
    answer.output = usage.output_tokens
    details = usage.output_tokens_details
    answer.thought = (details.thinking_tokens if details else 0) or 0
    return answer


def of_genai_sdk(chunks):
    """The Answer that the GenerateContentResponses of the official SDK hold: one, or a stream of them."""
    answer, usage = Answer(), None
    for chunk in chunks:
        candidate = chunk.candidates[0]
        for part in (candidate.content.parts or ()) if candidate.content else ():
            if part.thought:
                answer.reasoning += part.text or ""
            else:
                answer.text += part.text or ""
            if part.function_call:
                answer.tools.append((part.function_call.name, part.function_call.args))
        if candidate.grounding_metadata:
            answer.cites |= {c.web.uri for c in candidate.grounding_metadata.grounding_chunks or ()}
        answer.stop = STOPS["gemini"][candidate.finish_reason.value] if candidate.finish_reason else answer.stop
        usage = chunk.usage_metadata or usage
    answer.stop = "tools" if answer.stop == "end" and answer.tools else answer.stop
    answer.cached = usage.cached_content_token_count or 0
    answer.input = usage.prompt_token_count
    answer.thought = usage.thoughts_token_count or 0
    answer.output = (usage.candidates_token_count or 0) + answer.thought
    return answer


def of_ollama_sdk(parts):
    """The Answer that the parts of a stream, or the one ChatResponse in a list, of the official SDK hold."""
    answer = Answer()
    for part in parts:
        if not hasattr(part, "message"):    # of /api/generate
            answer.text, answer.reasoning = answer.text + (part.response or ""), answer.reasoning + (part.thinking or "")
            continue
        answer.text += part.message.content or ""
        answer.reasoning += part.message.thinking or ""
        answer.tools += [(c.function.name, dict(c.function.arguments)) for c in part.message.tool_calls or ()]
    assert parts[-1].done and not any(p.done for p in parts[:-1])
    answer.input, answer.output = parts[-1].prompt_eval_count, parts[-1].eval_count
    answer.stop = STOPS["ollama"][parts[-1].done_reason]
    answer.stop = "tools" if answer.tools and answer.stop == "end" else answer.stop
    return answer
