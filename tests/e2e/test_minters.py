"""Traps 46, 47, 50: a conversation that moves between accounts which speak one protocol. What one vendor has encrypted or signed another
refuses, with the whole request; here each vendor reads its own reasoning alone, as the real ones do, and a turn must be answered all
the same."""

import json
import re

import openai
import pytest

from lib import canned
from lib.canned import dumps

REFUSALS = {
    "openai": (400, {"error": {"message": "The encrypted content {proof} could not be verified. Reason: Encrypted content could not be "
                                          "decrypted or parsed.", "type": "invalid_request_error", "param": None,
                               "code": "invalid_encrypted_content"}}),
    "azure": (400, {"error": {"message": "The encrypted content for item {id} could not be verified.", "type": "invalid_request_error",
                              "param": None, "code": None}}),
    "xai": (400, {"code": "invalid-argument", "error": "Could not decrypt the provided encrypted_content. Ensure the value is the "
                                                       "unmodified encrypted_content from a previous response."}),
}
LOST = (404, {"error": {"message": "Item with id '{id}' not found. Items are not persisted when `store` is set to false. Try again with "
                                   "`store` set to true, or remove this item from your input.", "type": "invalid_request_error",
                        "param": "input", "code": None}})


class Vendor:
    """Answers a turn with reasoning and a message; the same reasoning is encrypted anew each time it is told, as OpenAI does."""

    def __init__(self, kind, name, faultd, encrypts=True, late=False):
        self.kind, self.name, self.up, self.n, self.encrypts, self.late = kind, name, faultd(), 0, encrypts, late
        self.seen, self.down = [], False
        for status in (200, 400, 404, 503):
            self.up.reply("POST", re.compile("/responses$"), when=lambda r, s=status: self.status(r) == s, status=status, body=self.answer)

    def config(self, **more):
        base = {"openai": "/v1", "xai": "/v1", "azure": ""}[self.kind]
        return {"type": self.kind, "api_key": f"k-{self.name}", "base_url": self.up.origin + base, "discover": False, **more}

    def refused(self, body):
        for item in body["input"] if isinstance(body["input"], list) else ():
            if item.get("type") == "reasoning":
                proof = item.get("encrypted_content")
                if proof and not proof.startswith(f"SEAL-{self.name}-"):
                    return REFUSALS[self.kind], item
                if not proof and not item.get("id", "").startswith(f"rs_{self.name}_"):
                    return LOST, item
        return None, None

    def status(self, request):
        if self.down:
            return 503
        refusal, _ = self.refused(request.json())
        return refusal[0] if refusal and not self.late else 200

    def answer(self, request):
        body = request.json()
        self.seen.append(body)
        if self.down:
            return dumps({"error": {"message": "down", "type": "server_error", "code": None, "param": None}}).encode()
        refusal, item = self.refused(body)
        if refusal:
            said = dumps(refusal[1]).replace("{id}", item.get("id") or "rs_?").replace("{proof}", (item.get("encrypted_content") or "")[:4])
            return self.failed(json.loads(said)["error"]) if self.late else said.encode()
        self.n += 1
        return self.stream() if body.get("stream") else dumps(self.resource("whole")).encode()

    def items(self, telling):
        seal = {"encrypted_content": f"SEAL-{self.name}-{self.n}-{telling}-" + "x" * 200} if self.encrypts else {}
        return [{"type": "reasoning", "id": f"rs_{self.name}_{self.n}", "summary": [], **seal},
                {"type": "message", "id": f"msg_{self.name}_{self.n}", "status": "completed", "role": "assistant",
                 "content": [{"type": "output_text", "text": f"{self.name} {self.n}.", "annotations": [], "logprobs": []}]}]

    def resource(self, telling):
        return {"id": f"resp_{self.name}_{self.n}", "object": "response", "created_at": 1, "status": "completed", "error": None, "model": "m",
                "output": self.items(telling), "tools": [], "parallel_tool_calls": True, "tool_choice": "auto",
                "usage": {"input_tokens": 5, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 3,
                          "output_tokens_details": {"reasoning_tokens": 1}, "total_tokens": 8}}

    def stream(self):
        done = self.resource("end")
        events = [{"type": "response.created", "response": {**done, "status": "in_progress", "output": []}}]
        for i, (begun, item) in enumerate(zip(self.items("begin"), self.items("item"))):
            events += [{"type": "response.output_item.added", "output_index": i, "item": begun},
                       {"type": "response.output_item.done", "output_index": i, "item": item}]
        events.append({"type": "response.completed", "response": done})
        return b"".join(canned.sse({**e, "sequence_number": i}, event=e["type"]) for i, e in enumerate(events))

    def failed(self, error):
        begun = {**self.resource("begin"), "status": "in_progress", "output": []}
        events = [{"type": "response.created", "response": begun}, {"type": "response.in_progress", "response": begun},
                  {**error, "type": "error"}, {"type": "response.failed", "response": {**begun, "status": "failed", "error": error}}]
        return b"".join(canned.sse({**e, "sequence_number": i}, event=e["type"]) for i, e in enumerate(events))

    def thoughts(self, at=-1):
        """Ids of the reasoning in a request that came."""
        return [i["id"] for i in self.seen[at]["input"] if i.get("type") == "reasoning"]


class Client:
    """Sends the whole conversation each time, as Codex does, with the items that it was given: those of the stream or of its end."""

    def __init__(self, sdk, stream, keep="item", **ask):
        self.sdk, self.stream, self.keep, self.input, self.ask = sdk, stream, keep, [], ask

    def turn(self, model, **more):
        self.input.append({"role": "user", "content": "Go on."})
        ask = {"model": model, "input": self.input, "store": False, "include": ["reasoning.encrypted_content"], **self.ask, **more}
        if not self.stream:
            raw = self.sdk.responses.with_raw_response.create(**ask)
            items = [i.to_dict() for i in raw.parse().output]
            self.input += items
            return raw
        raw = self.sdk.responses.with_raw_response.create(**ask, stream=True)
        events = list(raw.parse())
        ended = [i.to_dict() for i in events[-1].response.output]
        told = [e.item.to_dict() for e in events if e.type == "response.output_item.done"]
        self.input += told if self.keep == "item" else ended
        return raw


def gateway_of(start_gateway, *vendors, **more):
    names = [v.name for v in vendors]
    return start_gateway({"providers": {v.name: v.config() for v in vendors},
                          "models": [{"name": "best", "targets": [{"provider": n, "model": "m"} for n in names]}], **more})


def restart(gateway):
    gateway.stop()
    gateway.start()


ways = pytest.mark.parametrize("stream,keep", ((False, None), (True, "item"), (True, "end")), ids=("whole", "stream", "stream-end"))


@ways
@pytest.mark.parametrize("kinds", (("azure", "openai"), ("xai", "openai"), ("openai", "azure"), ("openai", "xai")), ids="-".join)
def test_trap_050_a_failover_between_vendors_is_no_refusal(kinds, stream, keep, start_gateway, faultd, openai_client):
    """The first vendor is away for a turn: the second never sees what only the first can read, and each has its own whole again."""
    one, two = Vendor(kinds[0], "one", faultd), Vendor(kinds[1], "two", faultd)
    client = Client(openai_client(gateway_of(start_gateway, one, two), max_retries=0), stream, keep)
    for _ in range(2):
        client.turn("best")
    one.down = True
    answer = client.turn("best")
    assert answer.headers["x-llm-gateway-provider"] == "two"
    assert answer.headers["x-llm-gateway-dropped"] == "reasoning_content"
    assert len(two.seen) == 1 and two.thoughts() == []
    assert [i["content"][0]["text"] for i in two.seen[0]["input"] if i.get("role") == "assistant"] == ["one 1.", "one 2."]
    client.turn("best")
    assert two.thoughts() == ["rs_two_1"]
    one.down = False
    assert client.turn("best").headers["x-llm-gateway-dropped"] == "reasoning_content"
    assert one.thoughts() == ["rs_one_1", "rs_one_2"]
    assert two.n == 2 and len(two.seen) == 2, "nothing was asked twice"


@ways
def test_trap_050_what_is_not_known_is_tried_once(stream, keep, start_gateway, faultd, openai_client):
    """A gateway that has just started, or two keys of one vendor: only the provider can tell, and it is asked again without."""
    one, two = Vendor("openai", "one", faultd), Vendor("openai", "two", faultd)
    gateway = gateway_of(start_gateway, one, two)
    client = Client(openai_client(gateway, max_retries=0), stream, keep)
    client.turn("one/m")
    answer = client.turn("two/m")
    assert answer.headers["x-llm-gateway-dropped"] == "reasoning_content"
    assert [two.thoughts(0), two.thoughts(1)] == [["rs_one_1"], []]
    assert gateway.wait_access(lambda r: r["model"] == "two/m")[0]["attempts"] == 2
    client.turn("two/m")
    assert len(two.seen) == 3 and two.thoughts() == ["rs_two_1"], "what was refused once is known from then on"
    client.turn("one/m")                      # which must lose none of its own for the other's refusal
    assert [one.thoughts(1), one.thoughts(2)] == [["rs_one_1", "rs_two_1", "rs_two_2"], ["rs_one_1"]]
    restart(gateway)
    client.sdk = openai_client(gateway, max_retries=0)
    client.turn("two/m")
    assert two.thoughts() == []


def test_trap_050_a_refusal_inside_a_stream(start_gateway, faultd, openai_client):
    one, two = Vendor("openai", "one", faultd), Vendor("openai", "two", faultd, late=True)
    client = Client(openai_client(gateway_of(start_gateway, one, two), max_retries=0), True)
    client.turn("one/m")
    assert client.turn("two/m").headers["x-llm-gateway-dropped"] == "reasoning_content"
    assert [two.thoughts(0), two.thoughts(1)] == [["rs_one_1"], []]


@pytest.mark.parametrize("stream", (False, True), ids=("whole", "stream"))
def test_trap_050_proofs_that_travelled_in_another_dialect(stream, start_gateway, faultd, anthropic_client):
    """Two keys of one vendor, asked in Responses for a client of Anthropic's."""
    one, two = Vendor("xai", "one", faultd), Vendor("xai", "two", faultd)
    gateway = start_gateway({"providers": {v.name: v.config(protocols=["openai-responses"]) for v in (one, two)}})
    sdk, messages = anthropic_client(gateway, max_retries=0), []

    def turn(model):
        messages.append({"role": "user", "content": "Go on."})
        ask = {"model": model, "messages": messages, "max_tokens": 9000, "thinking": {"type": "enabled", "budget_tokens": 2048}}
        if stream:
            with sdk.messages.stream(**ask) as s:
                message = s.get_final_message()
        else:
            message = sdk.messages.create(**ask)
        messages.append({"role": "assistant", "content": [b.model_dump(exclude_none=True, exclude={"parsed_output"}) for b in message.content]})

    for model in ("one/m", "two/m", "two/m", "one/m", "one/m"):
        turn(model)
    assert [two.thoughts(i) for i in range(3)] == [["rs_one_1"], [], ["rs_two_1"]]
    assert [one.thoughts(i) for i in range(1, 4)] == [["rs_one_1", "rs_two_1", "rs_two_2"], ["rs_one_1"], ["rs_one_1", "rs_one_2"]]


@ways
def test_trap_050_reasoning_that_only_a_server_keeps(stream, keep, start_gateway, faultd, openai_client):
    """Without encrypted_content an item is an id, which says nothing to anybody else; nor does one of the gateway's own making."""
    one, two = Vendor("azure", "one", faultd, encrypts=False), Vendor("openai", "two", faultd, encrypts=False)
    chat, whole = faultd(), json.loads(canned.openai_answer("Yes."))
    whole["choices"][0]["message"]["reasoning_content"] = "Hm."
    streamed = b"".join((canned.openai_chunk({"role": "assistant", "reasoning_content": "Hm."}), canned.openai_chunk({"content": "Yes."}),
                         canned.openai_chunk({}, "stop"), b"data: [DONE]\n\n"))
    chat.reply("POST", "/v1/chat/completions", body=streamed if stream else dumps(whole).encode())
    gateway = start_gateway({"providers": {**{v.name: v.config() for v in (one, two)}, "chat": {
        "type": "openai-compatible", "base_url": f"{chat.origin}/v1", "discover": False}}})
    client = Client(openai_client(gateway, max_retries=0), stream, keep, store=True)
    for model in ("one/m", "chat/m", "two/m", "two/m", "one/m"):
        client.turn(model)
    assert [two.thoughts(0), two.thoughts(1)] == [[], ["rs_two_1"]] and len(two.seen) == 2
    assert one.thoughts() == ["rs_one_1"]
    assert "id" not in [i for i in two.seen[0]["input"] if i.get("role") == "assistant"][0]


def test_trap_050_a_kept_answer_says_who_made_it(start_gateway, faultd, openai_client):
    """previous_response_id, after a restart that has forgotten all but what is kept."""
    one, two = Vendor("azure", "one", faultd), Vendor("openai", "two", faultd)
    gateway = gateway_of(start_gateway, one, two)
    ask = {"model": "one/m", "input": "Hi."}
    first = openai_client(gateway, max_retries=0).responses.create(**ask)
    restart(gateway)
    sdk = openai_client(gateway, max_retries=0)
    second = sdk.responses.create(model="two/m", input="And?", previous_response_id=first.id)
    assert len(two.seen) == 1 and two.thoughts() == []
    sdk.responses.create(model="one/m", input="And?", previous_response_id=second.id)
    assert one.thoughts() == ["rs_one_1"]


def test_trap_050_strict_callers_lose_nothing(start_gateway, faultd, openai_client):
    one, two = Vendor("azure", "one", faultd), Vendor("openai", "two", faultd)
    client = Client(openai_client(gateway_of(start_gateway, one, two), max_retries=0), False)
    client.turn("one/m")
    with pytest.raises(openai.BadRequestError, match="reasoning_content"):
        client.turn("two/m", extra_headers={"x-llm-gateway-strict": "true"})
    assert two.seen == []


def test_a_refusal_that_has_nothing_to_do_with_it_stays(start_gateway, faultd, openai_client):
    """Once without what it refuses; a provider that goes on refusing has the last word."""
    up = faultd()
    body = dumps(REFUSALS["openai"][1]).encode()
    up.reply("POST", "/v1/responses", status=400, body=body)
    gateway = start_gateway({"providers": {"a": {"type": "openai", "api_key": "k", "base_url": f"{up.origin}/v1", "discover": False}}})
    sdk = openai_client(gateway, max_retries=0)
    for items, n in (([{"role": "user", "content": "Hi"}], 1),
                     ([{"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "X" * 90}, {"role": "user", "content": "Hi"}], 2)):
        before = len(up.requests)
        with pytest.raises(openai.BadRequestError) as refused:
            sdk.responses.create(model="a/m", input=items)
        assert refused.value.code == "invalid_encrypted_content" and len(up.requests) - before == n
    assert json.loads(refused.value.response.content) == json.loads(body)


# --- Anthropic's protocol, which many borrow and Anthropic alone verifies ---


class Claude:
    """Thinks and calls a tool. `verifies`: as Anthropic does; who borrows the protocol takes whatever stands in `signature`."""

    def __init__(self, name, faultd, verifies=True):
        self.name, self.verifies, self.up, self.n, self.seen = name, verifies, faultd(), 0, []
        for status in (200, 400):
            self.up.reply("POST", re.compile("/v1/messages$"), when=lambda r, s=status: (400 if self.wrong(r.json()) else 200) == s,
                          status=status, body=self.answer)

    def config(self):
        if self.verifies:
            return {"type": "anthropic", "api_key": "k", "base_url": self.up.origin, "discover": False}
        return {"type": "openai-compatible", "protocols": ["anthropic-messages"], "base_url": f"{self.up.origin}/v1", "discover": False}

    def proofs(self, body):
        return [(i, k, b.get("signature") or b.get("data")) for i, m in enumerate(body["messages"]) if isinstance(m["content"], list)
                for k, b in enumerate(m["content"]) if "thinking" in b["type"]]

    def wrong(self, body):
        if not self.verifies:
            return None
        for i, k, proof in self.proofs(body):
            if not proof.startswith(f"{self.name}+"):
                return f"messages.{i}.content.{k}: Invalid `signature` in `thinking` block"
        last = [m for m in body["messages"] if m["role"] == "assistant"][-1:]
        if body.get("thinking", {}).get("type") != "enabled":
            return "clear_thinking_20251015 strategy requires thinking" if "context_management" in body else None
        if last and last[0]["content"][0]["type"] != "thinking" and any(b["type"] == "tool_use" for b in last[0]["content"]):
            return "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`."
        return None

    def answer(self, request):
        body = request.json()
        self.seen.append(body)
        wrong = self.wrong(body)
        if wrong:
            return dumps({"type": "error", "error": {"type": "invalid_request_error", "message": wrong}, "request_id": "r"}).encode()
        self.n += 1
        blocks = [{"type": "thinking", "thinking": "Hm.", "signature": f"{self.name}+{self.n}" + "s" * 90},
                  {"type": "redacted_thinking", "data": f"{self.name}+r{self.n}" + "d" * 90},
                  {"type": "tool_use", "id": f"toolu_{self.name}{self.n}", "name": "f", "input": {"signature": "rs_of_nobody"}}]
        if not body.get("stream"):
            return canned.anthropic_answer(content=blocks, stop="tool_use")
        event = canned.anthropic_event
        out = [canned.anthropic_start(), event("content_block_start", index=0, content_block={**blocks[0], "thinking": "", "signature": ""}),
               event("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "Hm."}),
               event("content_block_delta", index=0, delta={"type": "signature_delta", "signature": blocks[0]["signature"]}),
               event("content_block_stop", index=0), event("content_block_start", index=1, content_block=blocks[1]),
               event("content_block_stop", index=1), event("content_block_start", index=2, content_block={**blocks[2], "input": {}}),
               event("content_block_delta", index=2, delta={"type": "input_json_delta", "partial_json": dumps(blocks[2]["input"])}),
               event("content_block_stop", index=2), event("message_delta", delta={"stop_reason": "tool_use"}, usage={"output_tokens": 7})]
        return b"".join([*out, event("message_stop")])

    def minted(self, at=-1):
        """By whom the proofs are in a request that came: "one+1", ..."""
        return [p.rstrip("sd") for _, _, p in self.proofs(self.seen[at])]


class ClaudeClient:
    def __init__(self, sdk, stream, **ask):
        self.sdk, self.stream, self.ask, self.messages = sdk, stream, ask, [{"role": "user", "content": "Go."}]

    def turn(self, model, **more):
        ask = {"model": model, "messages": self.messages, "max_tokens": 9000, "thinking": {"type": "enabled", "budget_tokens": 2048},
               "tools": [{"name": "f", "input_schema": {"type": "object"}}], **self.ask, **more}
        raw = self.sdk.messages.with_raw_response.create(**ask, **({"stream": True} if self.stream else {}))
        blocks = []
        if not self.stream:
            blocks = [b.model_dump(exclude_none=True, exclude={"caller"}) for b in raw.parse().content]
        for e in raw.parse() if self.stream else ():
            if e.type == "content_block_start":
                blocks.append(e.content_block.model_dump(exclude_none=True, exclude={"caller"}))
            elif e.type == "content_block_delta" and e.delta.type in ("thinking_delta", "signature_delta"):
                key = e.delta.type.removesuffix("_delta")
                blocks[-1][key] += getattr(e.delta, key)
            elif e.type == "content_block_delta":
                blocks[-1]["input"] = json.loads(e.delta.partial_json)
        self.messages = [*self.messages, {"role": "assistant", "content": blocks}, {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": b["id"], "content": "ok"} for b in blocks if b["type"] == "tool_use"]}]
        return raw


forms = pytest.mark.parametrize("stream", (False, True), ids=("whole", "stream"))


@forms
def test_trap_047_signatures_of_who_borrows_the_protocol(stream, start_gateway, faultd, anthropic_client):
    """A session goes from Claude to a model with a format like Claude's and back, in the middle of a tool's turn."""
    real, other = Claude("real", faultd), Claude("other", faultd, verifies=False)
    gateway = start_gateway({"providers": {v.name: v.config() for v in (real, other)}})
    client = ClaudeClient(anthropic_client(gateway, max_retries=0), stream,
                          extra_body={"context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}})
    client.turn("real/m")
    assert "x-llm-gateway-dropped" not in client.turn("other/m").headers
    assert other.minted() == ["real+1", "real+r1"], "who does not look loses nothing"
    dropped = client.turn("real/m").headers["x-llm-gateway-dropped"]
    assert sorted(dropped.split(", ")) == ["context_management", "reasoning_content", "thinking"]
    assert real.minted() == ["real+1", "real+r1"] and len(real.seen) == 2
    assert "thinking" not in real.seen[-1]
    # Its next turn goes on from a turn of its own, which begins with thinking.
    assert client.turn("real/m").headers["x-llm-gateway-dropped"] == "reasoning_content"
    assert real.minted() == ["real+1", "real+r1", "real+2", "real+r2"] and real.seen[-1]["thinking"]["type"] == "enabled"
    calls = [b for m in real.seen[-1]["messages"] if m["role"] == "assistant" for b in m["content"] if b["type"] == "tool_use"]
    assert [c["input"] for c in calls] == [{"signature": "rs_of_nobody"}] * 3


@forms
def test_trap_047_signatures_that_are_not_known_are_tried_once(stream, start_gateway, faultd, anthropic_client):
    """Two accounts of Anthropic's: most read each other's, and one that does not says so."""
    one, two = Claude("one", faultd), Claude("two", faultd)
    gateway = start_gateway({"providers": {v.name: v.config() for v in (one, two)}})
    client = ClaudeClient(anthropic_client(gateway, max_retries=0), stream, thinking={"type": "adaptive"})
    client.turn("one/m")
    assert client.turn("two/m").headers["x-llm-gateway-dropped"] == "reasoning_content"
    assert [two.minted(0), two.minted(1)] == [["one+1", "one+r1"], []]
    client.turn("two/m")
    assert len(two.seen) == 3 and two.minted() == ["two+1", "two+r1"]
    client.turn("one/m")
    assert one.minted() == ["one+1", "one+r1"]


@forms
def test_trap_047_signatures_in_another_dialect_are_their_vendors(stream, start_gateway, faultd, openai_client):
    """A Chat client: what a borrower of the protocol signed is not shown to Anthropic, and is whole when it comes back."""
    real, other = Claude("real", faultd), Claude("other", faultd, verifies=False)
    gateway = start_gateway({"providers": {v.name: v.config() for v in (real, other)}})
    sdk, messages = openai_client(gateway, max_retries=0), [{"role": "user", "content": "Go."}]
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}

    def turn(model):
        ask = {"model": model, "messages": messages, "tools": [tool], "reasoning_effort": "low"}
        if stream:
            with sdk.chat.completions.stream(**ask) as s:
                details = [d for e in s if e.type == "chunk" for c in e.chunk.choices for d in getattr(c.delta, "reasoning_details", ())]
                message = s.get_final_completion().choices[0].message.to_dict()
            message.pop("parsed", None)
            message["reasoning_details"] = details
            for call in message["tool_calls"]:
                call["function"].pop("parsed_arguments", None)
                call.pop("index", None)
        else:
            message = sdk.chat.completions.create(**ask).choices[0].message.to_dict()
        messages.extend([{k: v for k, v in message.items() if v is not None},
                         *({"role": "tool", "tool_call_id": c["id"], "content": "ok"} for c in message["tool_calls"])])

    for model in ("other/m", "real/m", "other/m", "real/m"):
        turn(model)
    assert [real.minted(i) for i in range(2)] == [[], ["real+1", "real+r1"]] and len(real.seen) == 2
    assert other.minted()[:2] == ["other+1", "other+r1"]
