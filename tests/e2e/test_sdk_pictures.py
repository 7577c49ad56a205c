"""Pictures in both directions through the daemon, as the official SDKs see them: what a user shows, by data and by URL, reaches providers of
every kind; what a model draws reaches the client whatever its dialect, and goes back with the next turn to whoever is asked then.
"""

import base64
import dataclasses
import json

import pytest
from google.genai import types

from lib import canned
from lib.canned import dumps, openai_chunk, sse
from lib.stand import record_of

PNG = base64.b64encode(bytes.fromhex("89504e470d0a1a0a0000000d4948445200000001000000010806000000")).decode()
DATA_URL = f"data:image/png;base64,{PNG}"
URL = "https://pictures.example/a.png"
LINE = "Attached to the last answer of the assistant:"
WORDS = f"![image]({URL})"
SIGNATURE = "U0lHTkFUVVJF"
TEXT = "Here it is: "


# ---- providers: what they say when they draw, and where they were asked about a picture ---------------------------------------------------

def gemini_answer(*parts):
    return {"candidates": [{"content": {"role": "model", "parts": list(parts)}, "finishReason": "STOP", "index": 0}],
            "usageMetadata": {"promptTokenCount": 4, "candidatesTokenCount": 3, "totalTokenCount": 7}, "modelVersion": "g", "responseId": "r1"}


def drawing_gemini(stream):
    parts = [{"text": TEXT}, {"inlineData": {"mimeType": "image/png", "data": PNG}, "thoughtSignature": SIGNATURE}]
    if not stream:
        return dumps(gemini_answer(*parts)).encode()
    return b"".join(f"data: {dumps(gemini_answer(p))}\r\n\r\n".encode() for p in parts)


def drawing_responses(stream):
    """With a preview of the picture, as a stream has it."""
    message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
               "content": [{"type": "output_text", "text": TEXT, "annotations": [], "logprobs": []}]}
    drawn = {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": PNG, "revised_prompt": "A dot", "size": "1x1"}
    usage = {"input_tokens": 4, "output_tokens": 3, "total_tokens": 7, "input_tokens_details": {"cached_tokens": 0},
             "output_tokens_details": {"reasoning_tokens": 0}}
    whole = {"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "r", "error": None, "instructions": None,
             "incomplete_details": None, "metadata": {}, "parallel_tool_calls": True, "temperature": 1.0, "top_p": 1.0, "tool_choice": "auto",
             "tools": [], "output": [message, drawn], "usage": usage}
    if not stream:
        return dumps(whole).encode()
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    pending = {**drawn, "status": "in_progress", "result": None}
    at, ig = {"item_id": "msg_1", "output_index": 0, "content_index": 0}, {"item_id": "ig_1", "output_index": 1}
    events = [("created", {"response": begun}), ("in_progress", {"response": begun}),
              ("output_item.added", {"output_index": 0, "item": {**message, "content": [], "status": "in_progress"}}),
              ("content_part.added", {**at, "part": {"type": "output_text", "text": "", "annotations": [], "logprobs": []}}),
              ("output_text.delta", {**at, "delta": TEXT, "logprobs": []}), ("output_text.done", {**at, "text": TEXT, "logprobs": []}),
              ("content_part.done", {**at, "part": message["content"][0]}), ("output_item.done", {"output_index": 0, "item": message}),
              ("output_item.added", {"output_index": 1, "item": pending}), ("image_generation_call.in_progress", ig),
              ("image_generation_call.generating", ig),
              ("image_generation_call.partial_image", {**ig, "partial_image_index": 0, "partial_image_b64": PNG[:-4]}),
              ("image_generation_call.completed", ig),
              ("output_item.done", {"output_index": 1, "item": drawn}), ("completed", {"response": whole})]
    return b"".join(sse({"type": f"response.{name}", "sequence_number": n, **more}, f"response.{name}") for n, (name, more) in enumerate(events))


def drawing_chat(stream, *urls):
    images = [{"type": "image_url", "index": n, "image_url": {"url": url}} for n, url in enumerate(urls or (DATA_URL,))]
    if not stream:
        whole = json.loads(canned.openai_answer(TEXT))
        whole["choices"][0]["message"]["images"] = images
        return dumps(whole).encode()
    return b"".join([openai_chunk({"role": "assistant", "content": TEXT}, usage=None),
                     *(openai_chunk({"images": [i]}, usage=None) for i in images),
                     openai_chunk({}, "stop", usage=None), openai_chunk(usage=canned.openai_usage(), choices=[]), b"data: [DONE]\n\n"])


def shown_to_google(body, role):
    """The pictures in the turns of that role, as (base64 or URL). Google's own clients, which are relayed, spell members either way."""
    parts = [p for c in body["contents"] if c["role"] == role for p in c["parts"]]
    data = [p.get("inlineData") or p.get("inline_data") or p.get("fileData") or p.get("file_data") for p in parts]
    return [d.get("data") or d.get("fileUri") or d["file_uri"] for d in data if d]


def plain(url):
    return url.removeprefix("data:image/png;base64,")


def shown_to_chat(body, role):
    found = []
    for message in body["messages"]:
        if message["role"] == role:
            found += [i["image_url"]["url"] for i in message.get("images", ())]
            parts = message["content"] if isinstance(message["content"], list) else ()
            found += [p["image_url"]["url"] for p in parts if p["type"] == "image_url"]
    return [plain(url) for url in found]


def shown_to_responses(body, role):
    found = []
    for item in body["input"]:
        if item.get("type") == "image_generation_call" and role == "assistant":
            found.append(item["result"])
        elif item.get("role") == role and isinstance(item["content"], list):
            found += [p["image_url"] for p in item["content"] if p["type"] == "input_image"]
    return [plain(url) for url in found]


def shown_to_claude(body, role):
    sources = [b["source"] for m in body["messages"] if m["role"] == role for b in m["content"] if b["type"] == "image"]
    return [s["data"] if s["type"] == "base64" else s["url"] for s in sources]


def shown_to_ollama(body, role):
    return [i for m in body["messages"] if m["role"] == role for i in m.get("images", ())]


@dataclasses.dataclass
class Vendor:
    name: str
    config: dict
    path: str           # under which it is asked, "{}" for the verb of Google's
    seen: object        # the pictures in a body
    plain: object       # an answer
    keeps: bool         # a picture of the model's stays in the model's turn
    draws: object = None


MODEL = "gemini-3-pro-image-preview"
VENDORS = {v.name: v for v in [
    Vendor("gemini", {"type": "gemini", "models": [MODEL]}, f"/v1beta/models/{MODEL}:generateContent", shown_to_google,
           lambda: dumps(gemini_answer({"text": "Done."})).encode(), True, drawing_gemini),
    Vendor("responses", {"type": "openai-compatible", "protocols": ["openai-responses"]}, "/v1/responses", shown_to_responses,
           lambda: drawing_responses(False), False, drawing_responses),
    Vendor("router", {"type": "openrouter"}, "/v1/chat/completions", shown_to_chat, lambda: canned.openai_answer("Done."), True, drawing_chat),
    # As OpenAI is, which itself would be asked in Responses by their clients.
    Vendor("openai", {"type": "openai-compatible", "protocols": ["openai-chat"], "quirks": ["strict_messages"]}, "/v1/chat/completions", shown_to_chat,
           lambda: canned.openai_answer("Done."), False),
    Vendor("claude", {"type": "anthropic"}, "/v1/messages", shown_to_claude, lambda: canned.anthropic_answer("Done."), False),
    Vendor("ollama", {"type": "ollama"}, "/api/chat", shown_to_ollama, lambda: canned.ollama_answer("Done."), True),
]}
DRAWING = [n for n, v in VENDORS.items() if v.draws]


def model_of(vendor):
    return VENDORS[vendor].config.get("models", [f"model-of-{vendor}"])[0]


@pytest.fixture(scope="module")
def up(module_faultd):
    return module_faultd()


@pytest.fixture(scope="module")
def gateway(start_module_gateway, up):
    return start_module_gateway({"providers": {
        name: {"models": [f"model-of-{name}"], **v.config, "api_key": "up-key", "discover": False,
               "base_url": up.origin if name in ("gemini", "claude", "ollama") else f"{up.origin}/v1"} for name, v in VENDORS.items()}})


def script(up, vendor, body, stream=False):
    path = VENDORS[vendor].path.replace(":generateContent", ":streamGenerateContent") if stream else VENDORS[vendor].path
    up.clear()
    kind = "application/x-ndjson" if vendor == "ollama" else "text/event-stream" if stream else "application/json"
    return up.reply("POST", path, body=body, headers=(("content-type", kind),))


def asked(play):
    return play.wait_for_request().request.json()


# ---- clients: each asks with what it holds of the conversation, and says what it was given --------------------------------------------------

class Chat:
    def __init__(self, gateway, make):
        self.api = make["openai"](gateway).chat.completions
        self.turns = []

    def user(self, text, picture=None):
        parts = [{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": picture}}]
        self.turns.append({"role": "user", "content": parts if picture else text})

    def ask(self, model, stream=False):
        """(the text, the pictures)"""
        ask = {"model": model, "messages": self.turns}
        if stream:
            with self.api.stream(**ask) as events:
                for _ in events:
                    pass
                message = events.get_final_completion().choices[0].message
        else:
            message = self.api.create(**ask).choices[0].message
        self.turns.append(message.model_dump(exclude_none=True))
        return message.content, [plain(i["image_url"]["url"]) for i in (message.model_extra or {}).get("images", ())]


class Responses:
    def __init__(self, gateway, make):
        self.api = make["openai"](gateway).responses
        self.turns = []

    def user(self, text, picture=None):
        parts = [{"type": "input_text", "text": text}]
        if picture:
            parts.append({"type": "input_image", "image_url": picture, "detail": "auto"})
        self.turns.append({"role": "user", "content": parts})

    def ask(self, model, stream=False):
        ask = {"model": model, "input": self.turns, "store": False}
        if stream:
            with self.api.stream(**ask) as events:
                for _ in events:
                    pass
                answer = events.get_final_response()
        else:
            answer = self.api.create(**ask)
        self.turns += [item.model_dump(exclude_none=True) for item in answer.output]
        return answer.output_text, [i.result for i in answer.output if i.type == "image_generation_call"]


class Gemini:
    def __init__(self, gateway, make):
        self.api = make["genai"](gateway).models
        self.turns = []

    def user(self, text, picture=None):
        parts = [types.Part(text=text)]
        if picture:
            parts.append(types.Part.from_bytes(data=base64.b64decode(PNG), mime_type="image/png") if picture == DATA_URL
                         else types.Part.from_uri(file_uri=picture, mime_type="image/png"))
        self.turns.append(types.Content(role="user", parts=parts))

    def ask(self, model, stream=False):
        ask = {"model": model, "contents": self.turns}
        chunks = list(self.api.generate_content_stream(**ask)) if stream else [self.api.generate_content(**ask)]
        parts = [p for c in chunks for p in c.candidates[0].content.parts or ()]
        self.turns.append(types.Content(role="model", parts=parts))
        pictures = [base64.b64encode(p.inline_data.data).decode() if p.inline_data else p.file_data.file_uri
                    for p in parts if p.inline_data or p.file_data]
        return "".join(p.text or "" for p in parts), pictures


FRONTS = {"chat": Chat, "responses": Responses, "genai": Gemini}


@pytest.fixture
def client(gateway, openai_client, genai_client):
    return lambda front: FRONTS[front](gateway, {"openai": openai_client, "genai": genai_client})


# ---- what the user shows ----------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("front", FRONTS)
def test_trap_052_a_picture_of_the_users_as_data(client, up, front, vendor):
    c, play = client(front), script(up, vendor, VENDORS[vendor].plain())
    c.user("What is it?", DATA_URL)
    c.ask(model_of(vendor))
    assert VENDORS[vendor].seen(asked(play), "user") == [PNG]


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("front", FRONTS)
def test_trap_052_a_picture_of_the_users_by_url_is_never_fetched(client, up, front, vendor):
    c, play = client(front), script(up, vendor, VENDORS[vendor].plain())
    c.user("What is it?", URL)
    if vendor == "ollama":      # which fetches nothing either
        with pytest.raises(Exception, match="pictures for Ollama must be sent as data"):
            c.ask(model_of(vendor))
        assert not play.hits
        return
    c.ask(model_of(vendor))
    assert VENDORS[vendor].seen(asked(play), "user") == [URL]


# ---- what the model draws ---------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("vendor", DRAWING)
@pytest.mark.parametrize("front", FRONTS)
def test_a_picture_that_a_model_draws(client, up, front, vendor, stream):
    c = client(front)
    script(up, vendor, VENDORS[vendor].draws(stream), stream)
    c.user("Draw a dot.")
    assert c.ask(model_of(vendor), stream) == (TEXT, [PNG])


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("target", VENDORS)
@pytest.mark.parametrize("vendor", DRAWING)
@pytest.mark.parametrize("front", FRONTS)
def test_the_picture_goes_along_when_the_conversation_goes_on(client, up, front, vendor, target, stream):
    """With whoever is asked then: in the model's turn where that can hold it, else in the user's next, once."""
    c = client(front)
    script(up, vendor, VENDORS[vendor].draws(stream), stream)
    c.user("Draw a dot.")
    c.ask(model_of(vendor), stream)
    play = script(up, target, VENDORS[target].plain())
    c.user("Make it blue.")
    c.ask(model_of(target))
    body, see = asked(play), VENDORS[target].seen
    stays = VENDORS[target].keeps or (front, target) == ("responses", "responses")
    model = "model" if target == "gemini" else "assistant"
    assert (see(body, model), see(body, "user")) == (([PNG], []) if stays else ([], [PNG]))
    assert (LINE in dumps(body)) == (not stays) and "Make it blue." in dumps(body)
    if target == "gemini":
        [proof] = [p.get("thoughtSignature") for c in body["contents"] for p in c["parts"] if {"inlineData", "inline_data"} & set(p)]
        if vendor == "gemini":      # which refuses its picture without the signature that it gave it
            assert proof == SIGNATURE
        elif front != "genai":      # Google's own clients are relayed, with what they were given
            assert base64.b64decode(proof) == b"skip_thought_signature_validator"


@pytest.mark.parametrize("vendor", ["claude", "openai"])
def test_trap_039_042_behind_the_results_of_calls(client, up, vendor):
    c, play = client("chat"), script(up, vendor, VENDORS[vendor].plain())
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}]
    call = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    image = {"type": "image_url", "image_url": {"url": DATA_URL}}
    c.api.create(model=model_of(vendor), tools=tools, messages=[
        {"role": "user", "content": "Draw."}, {"role": "assistant", "content": "Here", "tool_calls": [call], "images": [image]},
        {"role": "tool", "tool_call_id": "call_1", "content": "ok"}, {"role": "user", "content": "Well?"}])
    messages = asked(play)["messages"]
    if vendor == "claude":
        assert [b["type"] for b in messages[-1]["content"]] == ["tool_result", "text", "image", "text"]
    else:
        assert [m["role"] for m in messages] == ["user", "assistant", "tool", "user"]
        assert [p["type"] for p in messages[-1]["content"]] == ["text", "image_url", "text"]


def test_a_picture_that_nobody_speaks_about_is_named(gateway, up):
    script(up, "claude", VENDORS["claude"].plain())
    body = {"model": model_of("claude"), "messages": [{"role": "user", "content": "Draw."}, {
        "role": "assistant", "content": "Here", "images": [{"type": "image_url", "image_url": {"url": DATA_URL}}]}]}
    answer = gateway.request("POST", "/v1/chat/completions", [("content-type", "application/json")], dumps(body).encode())
    assert answer.status == 200 and answer.headers.get("x-llm-gateway-dropped") == "image"
    strict = gateway.request("POST", "/v1/chat/completions", [("content-type", "application/json"), ("x-llm-gateway-strict", "true")],
                             dumps(body).encode())
    assert strict.status == 400


# ---- pictures that lie somewhere -----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("front", FRONTS)
def test_a_picture_by_url_reaches_every_client(client, up, front, stream):
    c = client(front)
    script(up, "router", drawing_chat(stream, URL), stream)
    c.user("Draw a dot.")
    assert c.ask(model_of("router"), stream) == ((TEXT + WORDS, []) if front == "responses" else (TEXT, [URL]))
    play = script(up, "router", VENDORS["router"].plain())
    c.user("Make it blue.")
    c.ask(model_of("router"))
    body = asked(play)
    assert shown_to_chat(body, "assistant") == ([] if front == "responses" else [URL])
    assert URL in dumps(body) and not shown_to_chat(body, "user")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_picture_by_url_is_words_for_who_has_no_form(gateway, up, anthropic_client, ollama_client, stream):
    model = model_of("router")
    script(up, "router", drawing_chat(stream, URL), stream)
    ask = {"model": model, "messages": [{"role": "user", "content": "Draw."}]}
    claude = anthropic_client(gateway).messages
    if stream:
        with claude.stream(max_tokens=99, **ask) as events:
            message = events.get_final_message()
    else:
        message = claude.create(max_tokens=99, **ask)
    assert [b.text for b in message.content] == [TEXT, WORDS]
    got = ollama_client(gateway).chat(**ask, stream=stream)
    assert "".join(part.message.content for part in (got if stream else [got])) == TEXT + WORDS


# ---- what has no form ------------------------------------------------------------------------------------------------------------------

NO_FORM = {"/v1/messages": {"max_tokens": 99, "messages": [{"role": "user", "content": "Draw."}]},
           "/api/chat": {"messages": [{"role": "user", "content": "Draw."}]},
           "/v1/completions": {"prompt": "Draw."}}


def send(gateway, path, body, stream):
    """One request on a connection of its own, to the end of the answer."""
    with gateway.connect(timeout=30) as connection:
        connection.request("POST", path, [("anthropic-version", "2023-06-01"), ("x-request-id", f"t-{abs(hash((path, dumps(body), stream)))}")],
                           json_body={**body, "stream": stream})
        return connection.read_response("POST")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("path, vendor", [(p, v) for p in NO_FORM for v in DRAWING if (p, v) != ("/v1/completions", "router")])
def test_what_a_client_cannot_be_given_is_named(gateway, up, path, vendor, stream):
    """In the head of a whole answer; in a stream the head is gone when the picture comes: behind the body."""
    script(up, vendor, VENDORS[vendor].draws(stream), stream)
    answer = send(gateway, path, {"model": model_of(vendor), **NO_FORM[path]}, stream)
    head, behind = (answer.headers.get("x-llm-gateway-dropped"), answer.trailers.get("x-llm-gateway-dropped"))
    assert answer.status == 200 and answer.end == "complete" and PNG.encode() not in answer.body and TEXT.strip().encode() in answer.body
    assert (head, behind) == ((None, "answer.image") if stream else ("answer.image", None))
    assert record_of(gateway, answer.headers.get("x-request-id"))["dropped"] == "answer.image"


def test_what_was_named_in_the_head_is_not_said_again(gateway, up):
    """`top_k` of the request, a picture of the answer; the SDKs read over what stands behind a body."""
    script(up, "gemini", drawing_gemini(True), True)
    body = {"model": model_of("gemini"), "seed": 1, **NO_FORM["/v1/messages"], "container": "c1"}
    answer = send(gateway, "/v1/messages", body, True)
    assert "container" in answer.headers.get("x-llm-gateway-dropped") and "answer" not in answer.headers.get("x-llm-gateway-dropped")
    assert answer.trailers.get("x-llm-gateway-dropped") == "answer.image"


def test_sdks_read_streams_that_end_in_a_trailer(gateway, up, anthropic_client, ollama_client):
    script(up, "gemini", drawing_gemini(True), True)
    ask = {"model": MODEL, "messages": [{"role": "user", "content": "Draw."}]}
    for _ in range(2):      # on one connection
        with anthropic_client(gateway).messages.stream(max_tokens=99, **ask) as events:
            assert "".join(b.text for b in events.get_final_message().content if b.type == "text") == TEXT
        assert "".join(part.message.content for part in ollama_client(gateway).chat(**ask, stream=True)) == TEXT


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_what_a_model_says_aloud_is_its_transcript_for_others(gateway, up, genai_client, stream):
    audio = {"id": "audio_1", "data": "UklGRg==", "expires_at": 1, "transcript": "Hello."}
    if stream:
        body = b"".join([openai_chunk({"role": "assistant", "audio": {"id": "audio_1", "transcript": "Hel"}}),
                         openai_chunk({"audio": {"data": "UklG"}}), openai_chunk({"audio": {"data": "Rg=="}}),
                         openai_chunk({"audio": {"transcript": "lo."}}), openai_chunk({"audio": {"expires_at": 1}}), openai_chunk({}, "stop"),
                         b"data: [DONE]\n\n"])
    else:
        whole = json.loads(canned.openai_answer(None))
        whole["choices"][0]["message"]["audio"] = audio
        body = dumps(whole).encode()
    script(up, "openai", body, stream)
    ask = {"model": model_of("openai"), "contents": "Hi"}
    models = genai_client(gateway).models
    chunks = list(models.generate_content_stream(**ask)) if stream else [models.generate_content(**ask)]
    assert "".join(p.text or "" for c in chunks for p in c.candidates[0].content.parts or ()) == "Hello."
    answer = send(gateway, "/v1/messages", {"model": model_of("openai"), **NO_FORM["/v1/messages"]}, stream)
    assert (answer.trailers if stream else answer.headers).get("x-llm-gateway-dropped") == "answer.audio"


@pytest.mark.parametrize("mime, name", [("audio/L16;rate=24000", "audio"), ("video/mp4", "video"), ("application/pdf", "file")])
def test_sounds_and_films_of_googles_are_named(gateway, up, mime, name):
    script(up, "gemini", dumps(gemini_answer({"text": TEXT}, {"inlineData": {"mimeType": mime, "data": "AAAA"}})).encode())
    answer = send(gateway, "/v1/chat/completions", {"model": MODEL, "messages": [{"role": "user", "content": "Say it."}]}, False)
    assert answer.headers.get("x-llm-gateway-dropped") == f"answer.{name}" and TEXT.encode() in answer.body


def test_a_picture_that_comes_first_is_named_in_the_head(gateway, up):
    """The head waits for something that means something."""
    parts = [{"inlineData": {"mimeType": "image/png", "data": PNG}}, {"text": TEXT}]
    script(up, "gemini", b"".join(f"data: {dumps(gemini_answer(p))}\r\n\r\n".encode() for p in parts), True)
    answer = send(gateway, "/v1/messages", {"model": MODEL, **NO_FORM["/v1/messages"]}, True)
    assert answer.headers.get("x-llm-gateway-dropped") == "answer.image" and not answer.trailers.get("x-llm-gateway-dropped")
