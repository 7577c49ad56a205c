"""The vendors' official SDKs for Python as clients of the gateway, all asked in the same plain words.

A `Front` is one dialect as its own SDK speaks it. `ask` takes what to say in common words and gives back a `Seen`; an answer that
is an error raises `Refused`, one that breaks off after it had begun raises `Broken`. Nothing here knows the gateway: only
the base URL is not the vendor's.
"""

import base64
import dataclasses
import json

import anthropic
import httpx
import ollama
import openai
from google import genai
from google.genai import errors as genai_errors
from google.genai import types as genai_types

SECONDS = 90      # the real local model takes its time on a busy machine
STOPS = {"openai-chat": {"stop": "end", "length": "length", "tool_calls": "tools", "content_filter": "refusal"},
         "anthropic-messages": {"end_turn": "end", "stop_sequence": "end", "max_tokens": "length", "tool_use": "tools",
                                "refusal": "refusal"}}


@dataclasses.dataclass
class Seen:
    """What an SDK made of an answer."""
    text: str = ""
    calls: list = dataclasses.field(default_factory=list)   # (name, arguments)
    stop: str = "end"                                        # end, length, tools, refusal
    usage: tuple = None                                      # (input, output)
    thinking: str = ""


class Refused(Exception):
    """The answer was an error: its status and the words the SDK shows."""

    def __init__(self, status, message):
        super().__init__(f"{status}: {message}")
        self.status, self.message = status, message


class Broken(Exception):
    """The answer had begun and did not end as it should."""


@dataclasses.dataclass(frozen=True)
class Wish:
    """What is asked for, in no vendor's words."""
    words: str = "Hi"
    tools: tuple = ()            # (name, description, schema)
    force: bool = False          # one of the tools has to be called; Ollama has no word for it
    choice: str = None           # "none", or the name of the tool to be called; Ollama has no word for it
    single: bool = False         # one call at a time; Gemini and Ollama have no word for it
    history: tuple = ()          # calls of the turn before and what came of them: (id, name, arguments, text)
    system: str = None
    stop: tuple = ()             # Responses has no word for it
    temperature: float = None
    pdf: bytes = None            # Ollama has no place for it
    image: bytes = None          # a PNG
    schema: dict = None          # the answer's
    max_tokens: int = 500


class Front:
    dialect = None

    def __init__(self, gateway):
        self.url = gateway.url

    def ask(self, model, wish, stream):
        seen, began = Seen(), []
        try:
            self.run(model, wish, stream, seen, began)
        except (openai.APIStatusError, anthropic.APIStatusError) as e:
            raise self.failure(began, e.status_code, e.message) from e
        except genai_errors.APIError as e:
            raise self.failure(began, e.code, e.message) from e
        except ollama.ResponseError as e:
            raise self.failure(began, e.status_code, e.error) from e
        except (openai.APIError, anthropic.APIError) as e:
            raise Broken(e.message) from e
        except (httpx.HTTPError, RuntimeError, AssertionError) as e:
            raise Broken(str(e)) from e
        return seen

    @staticmethod
    def failure(began, status, message):
        return Broken(message) if began else Refused(status, message)

    def data_url(self, wish):
        return "data:image/png;base64," + base64.b64encode(wish.image).decode()


def pdf_url(wish):
    return "data:application/pdf;base64," + base64.b64encode(wish.pdf).decode()


def openai_words(wish):
    """What Chat and Responses say alike."""
    return {**({"temperature": wish.temperature} if wish.temperature is not None else {}),
            **({"parallel_tool_calls": False} if wish.single else {})}


class Chat(Front):
    dialect = "openai-chat"

    def run(self, model, wish, stream, seen, began):
        sdk = openai.OpenAI(base_url=f"{self.url}/v1", api_key="test-client", max_retries=0, timeout=SECONDS)
        content = wish.words if wish.image is None else [
            {"type": "text", "text": wish.words}, {"type": "image_url", "image_url": {"url": self.data_url(wish)}}]
        if wish.pdf is not None:
            content = [{"type": "text", "text": wish.words}, {"type": "file", "file": {"filename": "a.pdf", "file_data": pdf_url(wish)}}]
        messages = [{"role": "system", "content": wish.system}] if wish.system else []
        messages.append({"role": "user", "content": content})
        if wish.history:
            messages.append({"role": "assistant", "content": None, "tool_calls": [
                {"id": i, "type": "function", "function": {"name": n, "arguments": json.dumps(a)}} for i, n, a, _ in wish.history]})
            messages += [{"role": "tool", "tool_call_id": i, "content": text} for i, _, _, text in wish.history]
        request = {"model": model, "messages": messages, "max_completion_tokens": wish.max_tokens, **openai_words(wish)}
        if wish.stop:
            request["stop"] = list(wish.stop)
        if wish.choice:
            request["tool_choice"] = wish.choice if wish.choice == "none" else {"type": "function", "function": {"name": wish.choice}}
        if wish.tools:
            request["tools"] = [{"type": "function", "function": {"name": n, "description": d, "parameters": s}}
                                for n, d, s in wish.tools]
        if wish.force:
            request["tool_choice"] = "required"
        if wish.schema:
            request["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": wish.schema}}
        with sdk:
            if not stream:
                self.see(sdk.chat.completions.create(**request), seen)
                return
            with sdk.chat.completions.stream(**request, stream_options={"include_usage": True}) as events:
                for event in events:
                    began.append(event)
                self.see(events.current_completion_snapshot, seen)

    @staticmethod
    def see(completion, seen):
        choice = completion.choices[0]
        seen.text = (choice.message.content or "") + (choice.message.refusal or "")
        seen.calls = [(c.function.name, json.loads(c.function.arguments)) for c in choice.message.tool_calls or ()]
        assert len({c.id for c in choice.message.tool_calls or ()}) == len(seen.calls)
        assert choice.finish_reason, "no finish_reason"
        seen.stop = "refusal" if choice.message.refusal else STOPS["openai-chat"][choice.finish_reason]
        seen.usage = (completion.usage.prompt_tokens, completion.usage.completion_tokens)
        seen.thinking = getattr(choice.message, "reasoning_content", None) or ""


class Responses(Front):
    dialect = "openai-responses"

    def run(self, model, wish, stream, seen, began):
        sdk = openai.OpenAI(base_url=f"{self.url}/v1", api_key="test-client", max_retries=0, timeout=SECONDS)
        content = [{"type": "input_text", "text": wish.words}]
        if wish.image is not None:
            content.append({"type": "input_image", "image_url": self.data_url(wish), "detail": "auto"})
        if wish.pdf is not None:
            content.append({"type": "input_file", "filename": "a.pdf", "file_data": pdf_url(wish)})
        items = [{"role": "user", "content": content}]
        items += [{"type": "function_call", "call_id": i, "name": n, "arguments": json.dumps(a)} for i, n, a, _ in wish.history]
        items += [{"type": "function_call_output", "call_id": i, "output": text} for i, _, _, text in wish.history]
        request = {"model": model, "input": items, "max_output_tokens": wish.max_tokens, "store": False, **openai_words(wish)}
        if wish.system:
            request["instructions"] = wish.system
        if wish.choice:
            request["tool_choice"] = wish.choice if wish.choice == "none" else {"type": "function", "name": wish.choice}
        if wish.tools:
            request["tools"] = [{"type": "function", "name": n, "description": d, "parameters": s, "strict": False}
                                for n, d, s in wish.tools]
        if wish.force:
            request["tool_choice"] = "required"
        if wish.schema:
            request["text"] = {"format": {"type": "json_schema", "name": "answer", "strict": True, "schema": wish.schema}}
        with sdk:
            if not stream:
                self.see(sdk.responses.create(**request), seen)
                return
            text, final = "", None
            for event in sdk.responses.create(**request, stream=True):
                began.append(event)
                if event.type in ("response.output_text.delta", "response.refusal.delta"):
                    text += event.delta
                elif event.type in ("response.completed", "response.incomplete"):
                    final = event.response
                elif event.type == "response.failed":
                    raise Broken(event.response.error.message)
                elif event.type == "error":
                    raise Broken(event.message)
            assert final is not None, "no response.completed"
            self.see(final, seen)
            assert seen.text == text, (seen.text, text)

    @staticmethod
    def see(response, seen):
        for item in response.output:
            if item.type == "message":
                for part in item.content:
                    seen.text += part.text if part.type == "output_text" else part.refusal
                    seen.stop = "refusal" if part.type == "refusal" else seen.stop
            elif item.type == "function_call":
                seen.calls.append((item.name, json.loads(item.arguments)))
                seen.stop = "tools"
            elif item.type == "reasoning":
                seen.thinking += "".join(p.text for p in (item.content or [])) or "".join(p.text for p in item.summary)
        if response.status == "incomplete":
            seen.stop = {"max_output_tokens": "length", "content_filter": "refusal"}[response.incomplete_details.reason]
        seen.usage = (response.usage.input_tokens, response.usage.output_tokens)


class Completions(Front):
    """The legacy kind: one text in, one text out; no tools, pictures, forms or thoughts."""
    dialect = "openai-completions"

    def ask_for_more(self, model, more, stream):
        """With members that the SDK does not know: (what came, the headers of the answer)."""
        seen, options = Seen(), {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
        with openai.OpenAI(base_url=f"{self.url}/v1", api_key="test-client", max_retries=0, timeout=SECONDS) as sdk:
            try:
                raw = sdk.completions.with_raw_response.create(model=model, prompt="Hi", extra_body=more, **options)
                self.see(list(raw.parse()) if stream else [raw.parse()], seen)
            except openai.APIStatusError as e:
                raise Refused(e.status_code, e.message) from e
        return seen, raw.headers

    def run(self, model, wish, stream, seen, began):
        sdk = openai.OpenAI(base_url=f"{self.url}/v1", api_key="test-client", max_retries=0, timeout=SECONDS)
        request = {"model": model, "prompt": wish.words, "max_tokens": wish.max_tokens,
                   **({"temperature": wish.temperature} if wish.temperature is not None else {}), **({"stop": list(wish.stop)} if wish.stop else {})}
        with sdk:
            if not stream:
                self.see([sdk.completions.create(**request)], seen)
                return
            chunks = []
            for chunk in sdk.completions.create(**request, stream=True, stream_options={"include_usage": True}):
                began.append(chunk)
                chunks.append(chunk)
            self.see(chunks, seen)

    @staticmethod
    def see(chunks, seen):
        choices = [c for chunk in chunks for c in chunk.choices]
        seen.text = "".join(c.text for c in choices)
        finishes = [c.finish_reason for c in choices if c.finish_reason]
        assert len(finishes) == 1, finishes
        seen.stop = STOPS["openai-chat"][finishes[0]]
        usage = chunks[-1].usage
        seen.usage = (usage.prompt_tokens, usage.completion_tokens)


class Claude(Front):
    dialect = "anthropic-messages"

    def run(self, model, wish, stream, seen, began):
        sdk = anthropic.Anthropic(base_url=self.url, api_key="test-client", max_retries=0, timeout=SECONDS)
        content = [{"type": "text", "text": wish.words}]
        if wish.image is not None:
            content.append({"type": "image", "source": {"type": "base64", "media_type": "image/png",
                                                        "data": base64.b64encode(wish.image).decode()}})
        if wish.pdf is not None:
            content.append({"type": "document", "source": {"type": "base64", "media_type": "application/pdf",
                                                           "data": base64.b64encode(wish.pdf).decode()}})
        messages = [{"role": "user", "content": content}]
        if wish.history:
            messages.append({"role": "assistant", "content": [{"type": "tool_use", "id": i, "name": n, "input": a} for i, n, a, _ in wish.history]})
            messages.append({"role": "user", "content": [{"type": "tool_result", "tool_use_id": i, "content": text} for i, _, _, text in wish.history]})
        request = {"model": model, "max_tokens": wish.max_tokens, "messages": messages}
        if wish.system:
            request["system"] = wish.system
        if wish.stop:
            request["stop_sequences"] = list(wish.stop)
        if wish.temperature is not None:
            request["extra_body"] = {"temperature": wish.temperature}
        if wish.choice:
            request["tool_choice"] = {"type": "none"} if wish.choice == "none" else {"type": "tool", "name": wish.choice}
        if wish.single:
            request["tool_choice"] = {"type": "auto", "disable_parallel_tool_use": True}
        if wish.tools:
            request["tools"] = [{"name": n, "description": d, "input_schema": s} for n, d, s in wish.tools]
        if wish.force:
            request["tool_choice"] = {"type": "any"}
        if wish.schema:
            request["output_config"] = {"format": {"type": "json_schema", "schema": wish.schema}}
        with sdk:
            if not stream:
                self.see(sdk.messages.create(**request), seen)
                return
            with sdk.messages.stream(**request) as events:
                for event in events:
                    began.append(event)
                self.see(events.get_final_message(), seen)

    @staticmethod
    def see(message, seen):
        seen.text = "".join(b.text for b in message.content if b.type == "text")
        seen.calls = [(b.name, b.input) for b in message.content if b.type == "tool_use"]
        seen.thinking = "".join(b.thinking for b in message.content if b.type == "thinking")
        assert message.stop_reason, "no stop_reason"
        seen.stop = STOPS["anthropic-messages"][message.stop_reason]
        usage = message.usage       # what came from and went to a cache stands beside the input
        seen.usage = (usage.input_tokens + (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0),
                      usage.output_tokens)


class Gemini(Front):
    dialect = "gemini"

    def run(self, model, wish, stream, seen, began):
        sdk = genai.Client(api_key="test-client", http_options={"base_url": self.url, "timeout": SECONDS * 1000})
        parts = [genai_types.Part(text=wish.words)]
        if wish.image is not None:
            parts.append(genai_types.Part.from_bytes(data=wish.image, mime_type="image/png"))
        if wish.pdf is not None:
            parts.append(genai_types.Part.from_bytes(data=wish.pdf, mime_type="application/pdf"))
        contents = [genai_types.Content(role="user", parts=parts)]
        if wish.history:
            contents.append(genai_types.Content(role="model", parts=[
                genai_types.Part(function_call=genai_types.FunctionCall(id=i, name=n, args=a)) for i, n, a, _ in wish.history]))
            contents.append(genai_types.Content(role="user", parts=[genai_types.Part(function_response=genai_types.FunctionResponse(
                id=i, name=n, response={"output": text})) for i, n, _, text in wish.history]))
        config = {"max_output_tokens": wish.max_tokens, "automatic_function_calling": {"disable": True}, "system_instruction": wish.system,
                  "stop_sequences": list(wish.stop) or None, "temperature": wish.temperature}
        if wish.choice:
            config["tool_config"] = {"function_calling_config": {"mode": "NONE"} if wish.choice == "none" else {
                "mode": "ANY", "allowed_function_names": [wish.choice]}}
        if wish.tools:
            config["tools"] = [{"function_declarations": [{"name": n, "description": d, "parameters_json_schema": s}
                                                          for n, d, s in wish.tools]}]
        if wish.force:
            config["tool_config"] = {"function_calling_config": {"mode": "ANY"}}
        if wish.schema:
            config.update(response_mime_type="application/json", response_json_schema=wish.schema)
        request = {"model": model, "contents": contents, "config": config}
        try:
            if not stream:
                self.see([sdk.models.generate_content(**request)], seen)
                return
            chunks = []
            for chunk in sdk.models.generate_content_stream(**request):
                began.append(chunk)
                chunks.append(chunk)
            self.see(chunks, seen)
        finally:
            sdk.close()

    @staticmethod
    def see(chunks, seen):
        finish = None
        for chunk in chunks:
            for candidate in chunk.candidates or ():
                finish = candidate.finish_reason or finish
                for part in (candidate.content.parts if candidate.content else None) or ():
                    if part.function_call:
                        seen.calls.append((part.function_call.name, dict(part.function_call.args or {})))
                    elif part.thought:
                        seen.thinking += part.text or ""
                    else:
                        seen.text += part.text or ""
            if chunk.prompt_feedback and chunk.prompt_feedback.block_reason:
                finish = "SAFETY"
            if chunk.usage_metadata:
                usage = chunk.usage_metadata
                seen.usage = (usage.prompt_token_count, (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0))
        assert finish, "no finishReason"
        name = getattr(finish, "name", finish)
        seen.stop = {"MAX_TOKENS": "length", "STOP": "tools" if seen.calls else "end"}.get(name, "refusal")


class Ollama(Front):
    dialect = "ollama-chat"

    def run(self, model, wish, stream, seen, began):
        sdk = ollama.Client(host=self.url, timeout=SECONDS)
        message = {"role": "user", "content": wish.words}
        if wish.image is not None:
            message["images"] = [wish.image]
        messages = [{"role": "system", "content": wish.system}] if wish.system else []
        messages.append(message)
        if wish.history:
            messages.append({"role": "assistant", "tool_calls": [{"function": {"name": n, "arguments": a}} for _, n, a, _ in wish.history]})
            messages += [{"role": "tool", "tool_name": n, "content": text} for _, n, _, text in wish.history]
        options = {"num_predict": wish.max_tokens, "stop": list(wish.stop) or None, "temperature": wish.temperature}
        request = {"model": model, "messages": messages, "options": {k: v for k, v in options.items() if v is not None}}
        if wish.tools:
            request["tools"] = [{"type": "function", "function": {"name": n, "description": d, "parameters": s}}
                                for n, d, s in wish.tools]
        if wish.schema:
            request["format"] = wish.schema
        try:
            lines = sdk.chat(**request, stream=True) if stream else [sdk.chat(**request)]
            self.see([began.append(line) or line for line in lines], seen)
        finally:
            sdk._client.close()     # it has no close() of its own

    @staticmethod
    def see(lines, seen):
        for line in lines:
            seen.text += line.message.content or ""
            seen.thinking += line.message.thinking or ""
            seen.calls += [(c.function.name, dict(c.function.arguments)) for c in line.message.tool_calls or ()]
        last = lines[-1]
        assert last.done, "the last line is not done"
        seen.stop = "length" if last.done_reason == "length" else "tools" if seen.calls else "end"
        seen.usage = (last.prompt_eval_count, last.eval_count)


FRONTS = {f.dialect: f for f in (Chat, Responses, Completions, Claude, Gemini, Ollama)}
