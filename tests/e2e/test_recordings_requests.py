"""Recorded requests of real applications, sent through towards a provider of the other dialect: what reaches the provider is a
request that it would take, or the client is told with a 400 what is wrong; and what got lost is named.

Each test goes through all recordings of a kind and reports the wrong ones together, by the recordings' ids.
"""

import collections
import json

import pytest

from lib import canned, recordings, schemas
from lib.recordings_tally import Tally, is_message

pytestmark = [pytest.mark.usefixtures("need_recordings"), pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def up(module_faultd):
    upstream = module_faultd()
    for dialect, path in canned.PATHS.items():
        upstream.reply("POST", path, when=lambda r: b'"stream":true' in r.body, body=canned.stream(dialect))
        upstream.reply("POST", path, body=canned.answer(dialect))
    return upstream


@pytest.fixture(scope="module")
def gateway(start_module_gateway, up):
    return start_module_gateway({
        "providers": {"chat": {"type": "openai", "base_url": f"{up.origin}/v1", "api_key": "sk-up", "models": ["to-chat"]},
                      "claude": {"type": "anthropic", "base_url": up.origin, "api_key": "sk-up", "models": ["to-claude"]}}})


class Sender:
    """Sends recorded requests over one connection and keeps what reached the provider."""

    def __init__(self, gateway, up, path):
        self.gateway, self.up, self.path, self.client = gateway, up, path, None
        self.headers = [("content-type", "application/json"), ("anthropic-version", "2023-06-01")]

    def send(self, req):
        """(response, body that the provider got or None)"""
        if self.client is None:
            self.client = self.gateway.connect(timeout=60)
        before = len(self.up.requests)
        self.client.request("POST", self.path, self.headers, json.dumps(req).encode())
        response = self.client.read_response("POST")
        if response.headers.get("connection", "") == "close":
            self.client.close()
            self.client = None
        new = self.up.requests[before:]
        return response, new[-1].json() if new else None


def unique_requests(kinds):
    """Each request once: recordings of the same conversation repeat them."""
    seen = {}
    for kind in kinds:
        for recording in recordings.load(kind):
            if is_message(recording) and recording.req.get("messages"):
                seen.setdefault(json.dumps(recording.req, sort_keys=True), recording)
    return list(seen.values())


def dropped(response):
    return {name.strip() for name in response.headers.get("x-llm-gateway-dropped", "").split(",") if name.strip()}


def refusal_problem(response, error_of):
    """A 400 in the client's dialect that says what is wrong."""
    if response.status != 400:
        return f"status {response.status}: {response.body[:300]!r}"
    error = error_of(response.json())
    return None if error["type"] == "invalid_request_error" and len(error["message"]) > 20 else f"{error}"


# ---- OpenAI's clients in front of Anthropic --------------------------------------------------------------------------------

# What Anthropic has no place for, when it asks for more than what happens anyway.
LOST_TOWARDS_CLAUDE = {
    "seed": lambda v: v is not None, "frequency_penalty": bool, "presence_penalty": bool, "logit_bias": bool,
    "logprobs": bool, "top_logprobs": bool, "store": bool, "verbosity": bool, "metadata": bool, "prediction": bool,
    "moderation": bool, "web_search_options": lambda v: v is not None, "prompt_cache_key": bool, "audio": bool,
    "transforms": lambda v: v is not None, "models": lambda v: v is not None, "preset": bool,
    "reasoning_format": bool, "clear_thinking": lambda v: v is not None,
    "response_format": lambda v: v.get("type") == "json_object"}


@pytest.mark.parametrize("kind, at_least", [("openai_chat", 125), ("openai_compat_chat", 250)])
def test_chat_requests_become_valid_anthropic_requests(gateway, up, capsys, kind, at_least):
    sender, tally = Sender(gateway, up, "/v1/chat/completions"), Tally(f"{kind}, requests towards Anthropic")
    refused = collections.Counter()
    for recording in unique_requests([kind]):
        req = {k: v for k, v in recording.req.items() if k != "provider"}
        response, body = sender.send({**req, "model": "to-claude"})
        if body is None:
            refused[response.body[:200]] += 1
            tally.judge(recording, refusal_problem(response, lambda root: root["error"]))
            continue
        lost = {k for k, told in LOST_TOWARDS_CLAUDE.items() if k in req and told(req[k])} - dropped(response)
        problem = schemas.anthropic_problem(body) or (f"lost without a word: {lost}" if lost else None)
        tally.judge(recording, problem or claude_content_problem(req, body))
    for text, n in refused.most_common():
        print(n, text)
    tally.finish(capsys, at_least)


def texts_of_chat(req):
    """Every piece of text in the messages."""
    for message in req["messages"]:
        content = message.get("content")
        parts = [content] if isinstance(content, str) else [
            p.get("text") or "" for p in content or () if p.get("type") in ("text", "refusal", "thinking")]
        yield from (p.strip() for p in parts if p and p.strip())


def claude_content_problem(req, body):
    """No text, call, result, image or tool of the client's is missing."""
    sent = json.dumps(body, ensure_ascii=False)
    for text in texts_of_chat(req):
        if json.dumps(text, ensure_ascii=False)[1:-1] not in sent:
            return f"text missing: {text[:100]!r}"
    calls = sum(len(m.get("tool_calls") or ()) + bool(m.get("function_call")) for m in req["messages"])
    images = sum(1 for m in req["messages"] if isinstance(m.get("content"), list)
                 for p in m["content"] if p.get("type") in ("image_url", "file"))
    if sent.count('"type": "tool_use"') != calls:
        return f"{sent.count(chr(34) + 'tool_use' + chr(34))} calls of {calls}"
    if sent.count('"type": "image"') + sent.count('"type": "document"') < images:
        return f"images and files: {images} in the request"
    functions = [t for t in req.get("tools") or () if t.get("type", "function") == "function"] + list(req.get("functions") or ())
    return None if len(body.get("tools", ())) >= len(functions) else f"{len(functions)} tools, sent {len(body.get('tools', ()))}"


# ---- Anthropic's clients in front of OpenAI ----------------------------------------------------------------------------------

LOST_TOWARDS_CHAT = {"top_k": lambda v: v is not None, "cache_control": bool, "container": bool, "mcp_servers": bool,
                     "context_management": bool}


def test_anthropic_requests_become_valid_chat_requests(gateway, up, capsys):
    sender, tally = Sender(gateway, up, "/v1/messages"), Tally("anthropic_messages, requests towards OpenAI")
    refused = collections.Counter()
    for recording in unique_requests(["anthropic_messages"]):
        response, body = sender.send({**recording.req, "model": "to-chat"})
        if body is None:
            refused[response.body[:200]] += 1
            tally.judge(recording, refusal_problem(response, lambda root: root["error"]))
            continue
        lost = {k for k, told in LOST_TOWARDS_CHAT.items()
                if k in recording.req and told(recording.req[k])} - dropped(response)
        problem = schemas.openai_problem(body) or (f"lost without a word: {lost}" if lost else None)
        tally.judge(recording, problem or chat_content_problem(recording.req, body))
    for text, n in refused.most_common():
        print(n, text)
    tally.finish(capsys, 200)


def blocks_of(req):
    for message in req["messages"]:
        content = message["content"]
        yield from [{"type": "text", "text": content}] if isinstance(content, str) else content


def chat_content_problem(req, body):
    """No text, call or tool of the client's is missing."""
    sent = json.dumps(body, ensure_ascii=False)
    system = req.get("system") or []
    blocks = list(blocks_of(req)) + ([{"type": "text", "text": system}] if isinstance(system, str) else system)
    for block in blocks:
        text = block["text"].strip() if block["type"] == "text" else ""
        if text and json.dumps(text, ensure_ascii=False)[1:-1] not in sent:
            return f"text missing: {text[:100]!r}"
    calls = sum(b["type"] == "tool_use" for b in blocks)
    got = sum(len(m.get("tool_calls") or ()) for m in body["messages"])
    if got != calls:
        return f"{got} calls of {calls}"
    tools = [t for t in req.get("tools") or () if "input_schema" in t and t.get("type", "custom") == "custom"]
    return None if len(body.get("tools", ())) >= len(tools) else f"{len(tools)} tools, sent {len(body.get('tools', ()))}"
