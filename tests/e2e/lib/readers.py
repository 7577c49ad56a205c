"""The vendors' official SDKs for Python as readers of answers, one client of each over any number of them.

A reader's `read(model, stream)` asks something short and gives back the Answer that the SDK made of what came. What it talks to is
the caller's affair: a gateway, or the bytes of one answer held in hand.
"""

import anthropic
import httpx
import ollama
import openai
from google import genai

try:
    import httpx2       # the library under Anthropic's SDK, in its newer releases
except ImportError:
    httpx2 = httpx

from . import expected

HI = [{"role": "user", "content": "Hi"}]


class Held:
    """In a server's place: everything asked for is answered with the bytes held at the time."""

    def __init__(self):
        self.body, self.kind = b"", "application/json"

    def transport(self, library):
        return library.MockTransport(lambda request: library.Response(
            200, headers={"content-type": self.kind}, content=self.body))


class Readers:
    """The SDKs' clients, kept over many answers: of a gateway's at this address, or of those held. close() when done."""

    def __init__(self, url, held=None):
        via = {m: {"transport": held.transport(m)} if held else {} for m in (httpx, httpx2)}
        self.http = [httpx.Client(timeout=60, **via[httpx]), httpx2.Client(timeout=60, **via[httpx2])]
        self.openai = openai.OpenAI(base_url=f"{url}/v1", api_key="test-client", max_retries=0, http_client=self.http[0])
        self.claude = anthropic.Anthropic(base_url=url, api_key="test-client", max_retries=0, http_client=self.http[1])
        self.genai = genai.Client(api_key="test-client", http_options={"base_url": url, "timeout": 60000, "client_args": via[httpx]})
        self.ollama = ollama.Client(host=url, timeout=60, **via[httpx])

    def read(self, dialect, model, stream):
        return getattr(self, dialect.replace("-", "_"))(model, stream)

    def close(self):
        self.genai.close()
        self.ollama._client.close()     # it has no close() of its own
        for client in self.http:
            client.close()

    def openai_chat(self, model, stream):
        api = self.openai.chat.completions
        if not stream:
            return expected.of_openai_sdk(api.create(model=model, messages=HI))
        with api.stream(model=model, messages=HI, stream_options={"include_usage": True}) as events:
            try:
                events.until_done()
            except (openai.LengthFinishReasonError, openai.ContentFilterFinishReasonError):
                pass        # its way to say that the answer was cut short
            return expected.of_openai_sdk(events.current_completion_snapshot)

    def openai_responses(self, model, stream):
        request = {"model": model, "input": "Hi", "store": False}
        if not stream:
            return expected.of_responses_sdk(self.openai.responses.create(**request))
        text, response = "", None
        with self.openai.responses.stream(**request) as events:
            for event in events:
                assert response is None, f"{event.type} behind the end"
                if event.type in ("response.output_text.delta", "response.refusal.delta"):
                    text += event.delta
                elif event.type in ("response.completed", "response.incomplete", "response.failed"):
                    response = event.response
        answer = expected.of_responses_sdk(response)
        assert answer.text == text, f"deltas {text!r}, at the end {answer.text!r}"
        return answer

    def openai_completions(self, model, stream):
        request = {"model": model, "prompt": "Hi"}
        if not stream:
            return expected.of_completions_sdk([self.openai.completions.create(**request)])
        return expected.of_completions_sdk(list(self.openai.completions.create(
            **request, stream=True, stream_options={"include_usage": True})))

    def anthropic_messages(self, model, stream):
        request = {"model": model, "max_tokens": 1000, "messages": HI}
        if not stream:
            return expected.of_anthropic_sdk(self.claude.messages.create(**request))
        with self.claude.messages.stream(**request) as events:
            return expected.of_anthropic_sdk(events.get_final_message())

    def gemini(self, model, stream):
        if not stream:
            return expected.of_genai_sdk([self.genai.models.generate_content(model=model, contents="Hi")])
        return expected.of_genai_sdk(list(self.genai.models.generate_content_stream(model=model, contents="Hi")))

    def ollama_chat(self, model, stream):
        got = self.ollama.chat(model=model, messages=HI, stream=stream)
        return expected.of_ollama_sdk(list(got) if stream else [got])

    def ollama_generate(self, model, stream):
        got = self.ollama.generate(model=model, prompt="Hi", stream=stream)
        return expected.of_ollama_sdk(list(got) if stream else [got])
