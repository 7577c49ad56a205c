"""Trap 50: a conversation in Responses that moves between accounts. What one vendor has encrypted another refuses, with the whole request;
here each vendor reads its own reasoning alone, as the real ones do, and a turn must be answered all the same."""

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
