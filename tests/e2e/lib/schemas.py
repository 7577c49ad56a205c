"""Request bodies held against the vendors' rules: OpenAI's by its published OpenAPI description (shared material, not in the
repository), Anthropic's by a schema written here from its documentation.

Both are strict about unknown members, because the vendors answer 400 to them.
"""

import functools

import jsonschema
import yaml

from . import recordings

# ---- Anthropic ---------------------------------------------------------------------------------------------------------


def _object(required=(), /, **properties):
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def _of_type(kind, required=(), /, **properties):
    return _object(["type", *required], type={"const": kind}, **properties)


TEXT, NUMBER = {"type": "string"}, {"type": "number"}
FILLED = {"type": "string", "pattern": r"\S"}
CACHE = {"anyOf": [{"type": "null"}, _of_type("ephemeral", ttl={"enum": ["5m", "1h"]})]}
BASE64 = {"type": "string", "pattern": "^[A-Za-z0-9+/]+={0,2}$"}
CALL_ID = {"type": "string", "pattern": "^[a-zA-Z0-9_-]+$"}
URL = {"type": "string", "pattern": "^https?://"}
IMAGE = _of_type("image", ["source"], cache_control=CACHE, source={"oneOf": [
    _of_type("base64", ["media_type", "data"], data=BASE64,
             media_type={"enum": ["image/jpeg", "image/png", "image/gif", "image/webp"]}),
    _of_type("url", ["url"], url=URL), _of_type("file", ["file_id"], file_id=TEXT)]})
DOCUMENT = _of_type("document", ["source"], cache_control=CACHE, title={"type": ["string", "null"]},
                    context={"type": ["string", "null"]}, citations=_object(["enabled"], enabled={"type": "boolean"}),
                    source={"oneOf": [
                        _of_type("base64", ["media_type", "data"], data=BASE64, media_type={"const": "application/pdf"}),
                        _of_type("text", ["media_type", "data"], data=TEXT, media_type={"const": "text/plain"}),
                        _of_type("url", ["url"], url=URL), _of_type("file", ["file_id"], file_id=TEXT)]})
TEXT_BLOCK = _of_type("text", ["text"], text=FILLED, cache_control=CACHE, citations={"type": ["array", "null"]})
RESULT = _of_type("tool_result", ["tool_use_id"], tool_use_id=CALL_ID, is_error={"type": "boolean"}, cache_control=CACHE,
                  content={"anyOf": [TEXT, {"type": "array", "items": {"oneOf": [TEXT_BLOCK, IMAGE, DOCUMENT]}}]})
CALL = _of_type("tool_use", ["id", "name", "input"], id=CALL_ID, name={"type": "string", "pattern": "^[a-zA-Z0-9_-]{1,128}$"},
                input={"type": "object"}, cache_control=CACHE)
THINKING = _of_type("thinking", ["thinking", "signature"], thinking=TEXT, signature=FILLED)
REDACTED = _of_type("redacted_thinking", ["data"], data=FILLED)


def _content(*blocks):
    return {"anyOf": [FILLED, {"type": "array", "minItems": 1, "items": {"oneOf": list(blocks)}}]}


ANTHROPIC = _object(
    ["model", "max_tokens", "messages"],
    model=FILLED, max_tokens={"type": "integer", "minimum": 1}, stream={"type": "boolean"},
    messages={"type": "array", "minItems": 1, "items": {"oneOf": [
        _object(["role", "content"], role={"const": "user"}, content=_content(TEXT_BLOCK, IMAGE, DOCUMENT, RESULT)),
        _object(["role", "content"], role={"const": "assistant"}, content=_content(TEXT_BLOCK, CALL, THINKING, REDACTED))]}},
    system={"anyOf": [FILLED, {"type": "array", "minItems": 1, "items": TEXT_BLOCK}]},
    temperature={"type": "number", "minimum": 0, "maximum": 1}, top_p={"type": "number", "minimum": 0, "maximum": 1},
    top_k={"type": "integer", "minimum": 0},
    stop_sequences={"type": "array", "items": FILLED}, metadata=_object(user_id=TEXT),
    service_tier={"enum": ["auto", "standard_only"]}, cache_control=CACHE,
    thinking={"oneOf": [_of_type("enabled", ["budget_tokens"], budget_tokens={"type": "integer", "minimum": 1024},
                                 display={"enum": ["summarized", "omitted"]}),
                        _of_type("disabled"), _of_type("adaptive", display={"enum": ["summarized", "omitted"]})]},
    output_config=_object(effort={"enum": ["low", "medium", "high", "xhigh", "max"]},
                          format=_of_type("json_schema", ["schema"], schema={"type": "object"})),
    tools={"type": "array", "minItems": 1, "items": _object(
        ["name", "input_schema"], name={"type": "string", "pattern": "^[a-zA-Z0-9_-]{1,128}$"}, description=TEXT,
        type={"const": "custom"}, strict={"type": "boolean"}, cache_control=CACHE,
        input_schema={"type": "object", "properties": {"type": {"const": "object"}}, "required": ["type"]})},
    tool_choice={"oneOf": [_of_type("auto", disable_parallel_tool_use={"type": "boolean"}),
                           _of_type("any", disable_parallel_tool_use={"type": "boolean"}),
                           _of_type("tool", ["name"], name=TEXT, disable_parallel_tool_use={"type": "boolean"}),
                           _of_type("none")]})

_anthropic = jsonschema.Draft202012Validator(ANTHROPIC)


def _worst(errors):
    """The deepest cause of the errors, in words."""
    error = jsonschema.exceptions.best_match(errors)
    return f"{error.json_path}: {error.message[:300]}" if error else None


def anthropic_problem(body):
    """What the vendor would refuse in this request, or None."""
    return _worst(_anthropic.iter_errors(body)) or _pairs_problem(body) or _limits_problem(body)


def _blocks(message):
    return message["content"] if isinstance(message["content"], list) else [{"type": "text", "text": message["content"]}]


def _pairs_problem(body):
    """Roles alternate; results follow their calls in the next turn, all of them and before anything else."""
    owed = []
    for i, message in enumerate(body["messages"]):
        blocks = _blocks(message)
        if i and message["role"] == body["messages"][i - 1]["role"]:
            return f"messages {i - 1} and {i} have the same role"
        results = [b["tool_use_id"] for b in blocks if b["type"] == "tool_result"]
        if sorted(results) != sorted(owed):
            return f"message {i}: results of {results}, calls before it {owed}"
        if any(b["type"] == "tool_result" for b in blocks[len(results):]):
            return f"message {i}: a result behind other content"
        owed = [b["id"] for b in blocks if b["type"] == "tool_use"]
        if (owed or results) and not body.get("tools"):
            return "calls in the messages, and no tools"
    return f"the last calls {owed} have no results" if owed else None


def _limits_problem(body):
    thinking = body.get("thinking", {})
    if thinking.get("type") in ("enabled", "adaptive") and body.get("tool_choice", {}).get("type") in ("any", "tool"):
        return "a forced tool beside thinking"
    if thinking.get("type") == "enabled" and thinking["budget_tokens"] >= body["max_tokens"]:
        return f"budget {thinking['budget_tokens']}, max_tokens {body['max_tokens']}"
    if thinking.get("type") == "enabled" and body.get("temperature", 1) != 1:
        return "temperature beside thinking"
    names = [t["name"] for t in body.get("tools", ())]
    if body.get("tool_choice", {}).get("type") == "tool" and body["tool_choice"]["name"] not in names:
        return f"tool_choice {body['tool_choice']['name']}, tools {names}"
    return None


# ---- OpenAI ------------------------------------------------------------------------------------------------------------

@functools.lru_cache(maxsize=1)
def _openai():
    """(validator, names of its members) of a chat completion request."""
    text = (recordings.shared_dir() / "spec" / "openai-openapi.yaml").read_text(encoding="utf-8")
    components = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))["components"]
    schema = {"$ref": "#/components/schemas/CreateChatCompletionRequest", "components": components}
    return jsonschema.Draft202012Validator(schema), _members(components["schemas"], "CreateChatCompletionRequest")


def _members(schemas, name):
    out, todo = set(), [schemas[name]]
    while todo:
        schema = todo.pop()
        if "$ref" in schema:
            todo.append(schemas[schema["$ref"].rpartition("/")[2]])
        todo += schema.get("allOf", ())
        out |= set(schema.get("properties", ()))
    return out


def openai_problem(body):
    """What the vendor would refuse in this chat completion request, or None."""
    validator, members = _openai()
    unknown = sorted(set(body) - members)
    return (f"unknown members {unknown}" if unknown else None) or _worst(validator.iter_errors(body)) or _calls_problem(body)


def _calls_problem(body):
    """Each call is answered by a tool message before anybody else speaks."""
    owed = []
    for i, message in enumerate(body["messages"]):
        if message["role"] == "tool":
            if message["tool_call_id"] not in owed:
                return f"message {i}: a result of {message['tool_call_id']}, calls before it {owed}"
            owed.remove(message["tool_call_id"])
            continue
        if owed:
            return f"message {i}: no results of {owed}"
        owed = [c["id"] for c in message.get("tool_calls") or ()]
    return f"the last calls {owed} have no results" if owed else None


# ---- Gemini ------------------------------------------------------------------------------------------------------------

OBJECT, BOOL, INT, STRINGS = {"type": "object"}, {"type": "boolean"}, {"type": "integer"}, {"type": "array", "items": TEXT}
FUNCTION_NAME = {"type": "string", "pattern": r"^[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}$"}


def _part(name, value):
    return _object([name], thought=BOOL, thoughtSignature=FILLED, videoMetadata=OBJECT, **{name: value})


GEMINI_DATA = _object(["mimeType", "data"], mimeType=FILLED, data=BASE64, displayName=TEXT)
GEMINI_PART = {"oneOf": [
    _part("text", TEXT), _part("inlineData", GEMINI_DATA),
    _part("fileData", _object(["fileUri"], mimeType=FILLED, fileUri=FILLED, displayName=TEXT)),
    _part("functionCall", _object(["name"], id=TEXT, name=FUNCTION_NAME, args=OBJECT)),
    _part("functionResponse", _object(["name", "response"], id=TEXT, name=FUNCTION_NAME, response=OBJECT,
                                      parts={"type": "array", "items": _object(["inlineData"], inlineData=GEMINI_DATA)})),
    _part("executableCode", OBJECT), _part("codeExecutionResult", OBJECT), _part("toolCall", OBJECT), _part("toolResponse", OBJECT)]}
GEMINI_PARTS = {"type": "array", "minItems": 1, "items": GEMINI_PART}
GEMINI = _object(
    ["contents"],
    contents={"type": "array", "minItems": 1, "items": _object(["role", "parts"], role={"enum": ["user", "model"]}, parts=GEMINI_PARTS)},
    systemInstruction=_object(["parts"], role=TEXT, parts=GEMINI_PARTS), cachedContent=FILLED, labels=OBJECT, serviceTier=TEXT,
    safetySettings={"type": "array", "items": _object(["category", "threshold"], category=TEXT, threshold=TEXT, method=TEXT)},
    tools={"type": "array", "minItems": 1, "items": _object(
        functionDeclarations={"type": "array", "minItems": 1, "items": _object(
            ["name"], name=FUNCTION_NAME, description=TEXT, parameters=OBJECT, parametersJsonSchema=OBJECT, response=OBJECT,
            responseJsonSchema=OBJECT, behavior=TEXT)},
        googleSearch=OBJECT, urlContext=OBJECT, codeExecution=OBJECT, googleSearchRetrieval=OBJECT, googleMaps=OBJECT, fileSearch=OBJECT,
        computerUse=OBJECT)},
    toolConfig=_object(
        functionCallingConfig=_object(mode={"enum": ["AUTO", "ANY", "NONE", "VALIDATED"]}, allowedFunctionNames=STRINGS),
        retrievalConfig=OBJECT, includeServerSideToolInvocations=BOOL),
    generationConfig=_object(
        temperature={"type": "number", "minimum": 0, "maximum": 2}, topP={"type": "number", "minimum": 0, "maximum": 1}, topK=NUMBER,
        candidateCount=INT, maxOutputTokens={"type": "integer", "minimum": 1}, stopSequences={**STRINGS, "maxItems": 5},
        responseMimeType=TEXT, responseSchema=OBJECT, responseJsonSchema=OBJECT, responseModalities=STRINGS, seed=INT,
        presencePenalty=NUMBER, frequencyPenalty=NUMBER, responseLogprobs=BOOL, logprobs=INT, speechConfig=OBJECT, imageConfig=OBJECT,
        mediaResolution=TEXT, enableEnhancedCivicAnswers=BOOL, thinkingConfig=_object(
            includeThoughts=BOOL, thinkingBudget=INT, thinkingLevel={"enum": ["MINIMAL", "LOW", "MEDIUM", "HIGH", "minimal", "low", "medium", "high"]})))
_gemini = jsonschema.Draft202012Validator(GEMINI)


def gemini_problem(body):
    """What Google would refuse in this generateContent request, or None."""
    return _worst(_gemini.iter_errors(body)) or _gemini_turns_problem(body["contents"])


def _gemini_turns_problem(contents):
    """As many responses as calls, in the turn right behind them."""
    for i, content in enumerate(contents):
        calls = sum("functionCall" in p for p in content["parts"])
        after = contents[i + 1]["parts"] if i + 1 < len(contents) else ()
        if calls and sum("functionResponse" in p for p in after) != calls:
            return f"content {i}: {calls} calls, and not as many responses behind them"
    return None


# ---- Ollama ------------------------------------------------------------------------------------------------------------

OLLAMA_THINK = {"enum": [True, False, "low", "medium", "high", "max"]}
OLLAMA_COMMON = {
    "model": FILLED, "stream": BOOL, "options": OBJECT, "keep_alive": {"type": ["string", "number"]}, "think": OLLAMA_THINK,
    "format": {"anyOf": [{"enum": ["", "json"]}, OBJECT]}, "logprobs": BOOL, "top_logprobs": INT, "truncate": BOOL, "shift": BOOL}
OLLAMA_CHAT = _object(
    ["model", "messages"], **OLLAMA_COMMON,
    messages={"type": "array", "items": _object(
        ["role"], role={"enum": ["system", "user", "assistant", "tool"]}, content=TEXT, thinking=TEXT, images={"type": "array", "items": BASE64},
        tool_name=TEXT, tool_call_id=TEXT, tool_calls={"type": "array", "minItems": 1, "items": _object(
            ["function"], id=TEXT, type={"const": "function"}, function=_object(
                ["name", "arguments"], index=INT, name=FILLED, arguments=OBJECT))})},
    tools={"type": "array", "minItems": 1, "items": _of_type("function", ["function"], function=_object(
        ["name"], name=FILLED, description=TEXT, parameters=OBJECT))})
OLLAMA_GENERATE = _object(["model", "prompt"], **OLLAMA_COMMON, prompt=TEXT, suffix=TEXT, images={"type": "array", "items": BASE64}, system=TEXT,
                          template=TEXT, context={"type": "array", "items": INT}, raw=BOOL)
_ollama_chat, _ollama_generate = jsonschema.Draft202012Validator(OLLAMA_CHAT), jsonschema.Draft202012Validator(OLLAMA_GENERATE)


def ollama_problem(body):
    """What Ollama would refuse, or not look at, in this request of /api/chat or /api/generate; or None."""
    return _worst((_ollama_chat if "messages" in body else _ollama_generate).iter_errors(body))


# ---- OpenAI's Completions ------------------------------------------------------------------------------------------------

def completions_problem(body):
    """What OpenAI would refuse in this request of the legacy kind, or None."""
    text = (recordings.shared_dir() / "spec" / "openai-openapi.yaml").read_text(encoding="utf-8")
    return _worst(_legacy(text).iter_errors(body))


@functools.lru_cache(maxsize=1)
def _legacy(text):
    components = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))["components"]
    return jsonschema.Draft202012Validator({"$ref": "#/components/schemas/CreateCompletionRequest", "components": components})
