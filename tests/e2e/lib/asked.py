"""What a request asks, read off its JSON in plain Python whatever its dialect: texts, calls, results, tools and pictures."""

import base64
import dataclasses
import json


MEDIA = {"image", "document", "audio", "video", "file"}


@dataclasses.dataclass
class Asked:
    texts: list = dataclasses.field(default_factory=list)
    calls: list = dataclasses.field(default_factory=list)       # names
    results: int = 0
    tools: list = dataclasses.field(default_factory=list)       # names of functions
    forbidden: bool = False                                      # none of them may be called
    media: int = 0                                               # pictures, files, sounds

    def text(self, value):
        if isinstance(value, str) and value.strip():
            self.texts.append(value.strip())

    def missing(self, body, other, dropped):
        """What of this is not in `body`, which asks `other`, and not named among what was dropped; in words, or None."""
        sent = json.dumps(body, ensure_ascii=False)
        for text in self.texts:
            quoted = json.dumps(text, ensure_ascii=False)[1:-1]
            # A result that is an object goes as one where objects are wanted; a text that is a file as one.
            if _as_object(text) in sent or _as_file(text) in sent:
                continue
            if quoted not in sent and json.dumps(quoted, ensure_ascii=False)[1:-1] not in sent:
                return f"text missing: {text[:100]!r}"
        if other.calls != self.calls:
            return f"calls {other.calls} of {self.calls}"
        if other.results != self.results:
            return f"{other.results} results of {self.results}"
        # A choice among some of the tools, or of none, is held by leaving the others out.
        if [t for t in self.tools if t not in other.tools] and not self.forbidden and not dropped & {"tools", "tool_choice"}:
            return f"tools {other.tools} of {self.tools}"
        if other.media < self.media and not dropped & MEDIA:
            return f"{other.media} pictures and files of {self.media}"
        return None


def _as_object(text):
    """A text that is a JSON object, as json.dumps writes the object; else something that is nowhere."""
    try:
        value = json.loads(text)
    except ValueError:
        return "\0"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else "\0"


def _as_file(text):
    """How a text begins and goes on in base64, up to its last few bytes."""
    data = text.encode("utf-8", "surrogatepass")
    return base64.b64encode(data[:len(data) // 3 * 3]).decode() or "\0"


def _parts(asked, content):
    """Content of Chat, Responses and Anthropic: a string, or parts that are much alike."""
    if isinstance(content, str):
        asked.text(content)
    for part in content if isinstance(content, list) else ():
        if part["type"] in ("text", "input_text", "output_text"):
            asked.text(part["text"])
        elif part["type"] in ("refusal",):
            asked.text(part["refusal"])
        elif part["type"] == "document" and part["source"]["type"] == "text":
            asked.text(part["source"]["data"])
        elif part["type"] in ("image_url", "file", "input_audio", "input_image", "input_file", "image", "document"):
            asked.media += 1


def chat(req):
    asked = Asked(forbidden=req.get("tool_choice") == "none")
    for message in req["messages"]:
        _parts(asked, message.get("content"))
        calls = [c.get("function") or c["custom"] for c in message.get("tool_calls") or ()]
        calls += [message["function_call"]] if (message.get("function_call") or {}).get("name") else []
        asked.calls += [c["name"] for c in calls]
        asked.results += message["role"] in ("tool", "function")
    asked.tools = [(t.get("function") or t["custom"])["name"] for t in req.get("tools") or () if t.get("type", "function") in ("function", "custom")]
    asked.tools += [f["name"] for f in req.get("functions") or ()]
    return asked


def responses(req):
    asked = Asked(forbidden=req.get("tool_choice") == "none")
    asked.text(req.get("instructions"))
    items = req.get("input")
    _parts(asked, items if isinstance(items, str) else None)
    for item in items if isinstance(items, list) else ():
        kind = item.get("type", "message")
        if kind == "message":
            _parts(asked, item["content"])
        elif kind in ("function_call", "custom_tool_call"):
            asked.calls.append(_spaced(item.get("namespace"), item["name"]))
        elif kind in ("function_call_output", "custom_tool_call_output"):
            asked.results += 1
            _parts(asked, item["output"])
    asked.tools = [t["name"] for t in req.get("tools") or () if t["type"] in ("function", "custom")]
    asked.tools += [_spaced(t["name"], f["name"]) for t in req.get("tools") or () if t["type"] == "namespace" for f in t["tools"]]
    return asked


def _spaced(namespace, name):
    """Elsewhere there are no namespaces: a function's is the beginning of its name."""
    return f"{namespace}__{name}" if namespace else name


def anthropic(req):
    asked = Asked(forbidden=(req.get("tool_choice") or {}).get("type") == "none")
    _parts(asked, req.get("system"))
    for message in req["messages"]:
        _parts(asked, message["content"])
        for block in message["content"] if isinstance(message["content"], list) else ():
            if block["type"] == "tool_use":
                asked.calls.append(block["name"])
            elif block["type"] == "tool_result":
                asked.results += 1
                _parts(asked, block.get("content"))
    asked.tools = [t["name"] for t in req.get("tools") or () if "input_schema" in t and t.get("type", "custom") == "custom"]
    return asked


def _either(value, camel):
    """Google takes both spellings of a name."""
    snake = "".join("_" + c.lower() if c.isupper() else c for c in camel)
    return value.get(camel, value.get(snake))


def gemini(req):
    asked = Asked()
    system, contents = _either(req, "systemInstruction"), req["contents"]
    for content in ([system] if system else []) + (contents if isinstance(contents, list) else [contents]):
        parts = content["parts"] if "parts" in content else [content]
        for part in parts if isinstance(parts, list) else [parts]:
            if not part.get("thought"):
                asked.text(part.get("text"))
            if _either(part, "functionCall"):
                asked.calls.append(_either(part, "functionCall")["name"])
            asked.results += bool(_either(part, "functionResponse"))
            data = _either(part, "inlineData")
            if data and (_either(data, "mimeType") or "").startswith("text/"):
                asked.text(base64.urlsafe_b64decode(data["data"].replace("+", "-").replace("/", "_")).decode())
            else:
                asked.media += bool(data or _either(part, "fileData"))
    tools = req.get("tools") or ()
    for tool in tools if isinstance(tools, (list, tuple)) else [tools]:
        asked.tools += [f["name"] for f in _either(tool, "functionDeclarations") or ()]
    return asked


def ollama(req):
    asked = Asked()
    asked.text(req.get("system"))
    asked.text(req.get("prompt"))
    asked.media += len(req.get("images") or ())
    for message in req.get("messages") or ():
        asked.text(message.get("content"))
        asked.calls += [c["function"]["name"] for c in message.get("tool_calls") or ()]
        asked.results += message["role"] == "tool"
        asked.media += len(message.get("images") or ())
    asked.tools = [t["function"]["name"] for t in req.get("tools") or ()]
    return asked


def completions(req):
    asked = Asked()
    for prompt in req["prompt"] if isinstance(req["prompt"], list) else [req["prompt"]]:
        asked.text(prompt)
    return asked


READ = {"openai-chat": chat, "openai-responses": responses, "anthropic-messages": anthropic, "gemini": gemini, "ollama-chat": ollama,
        "ollama-generate": ollama, "openai-completions": completions}
