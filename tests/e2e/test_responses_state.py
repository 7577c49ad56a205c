"""The state of Responses: answers that are kept, continued, fetched, deleted, and made in the background, as OpenAI's own SDK
sees them, over upstreams that know nothing of any of it."""

import contextlib
import hashlib
import http.client
import json
import signal
import sqlite3
import time
import typing

import openai
import pytest
from openai.types.responses import ResponseIncludable

from lib import canned, responses_spec
from lib.stand import wait_until

CHAT, CLAUDE, NATIVE = "gpt-mini", "claude-mini", "native-mini"


def native_answer(text, response_id="resp_native1", **more):
    return {"id": response_id, "object": "response", "created_at": 1754000000, "status": "completed", "error": None,
            "incomplete_details": None, "instructions": None, "max_output_tokens": None, "model": NATIVE,
            "output": [{"type": "reasoning", "id": "rs_plain", "summary": []},
                       {"type": "reasoning", "id": "rs_sealed", "summary": [], "encrypted_content": "SEALED"},
                       {"type": "message", "id": "msg_native", "status": "completed", "role": "assistant",
                        "content": [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]}],
            "parallel_tool_calls": True, "previous_response_id": None, "reasoning": {"effort": None, "summary": None},
            "store": True, "temperature": 1.0, "text": {"format": {"type": "text"}}, "tool_choice": "auto", "tools": [],
            "top_p": 1.0, "truncation": "disabled", "user": None, "metadata": {},
            "usage": {"input_tokens": 5, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 3,
                      "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 8}, **more}


def native_stream(text, **more):
    done = native_answer(text, **more)
    begun = {**done, "status": "in_progress", "output": [], "usage": None}
    item = done["output"][-1]
    part = item["content"][0]
    at = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    events = [{"type": "response.created", "response": begun}, {"type": "response.in_progress", "response": begun},
              {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": [], "status": "in_progress"}},
              {"type": "response.content_part.added", **at, "part": {**part, "text": ""}},
              {"type": "response.output_text.delta", **at, "delta": text, "logprobs": []},
              {"type": "response.output_text.done", **at, "text": text, "logprobs": []},
              {"type": "response.content_part.done", **at, "part": part},
              {"type": "response.output_item.done", "output_index": 0, "item": item},
              {"type": "response.completed", "response": done}]
    return b"".join(canned.sse({**e, "sequence_number": i}, event=e["type"]) for i, e in enumerate(events))


def says(text):
    """An upstream's body for whatever is asked: streamed or whole."""
    return {"/v1/chat/completions": lambda r: canned.openai_stream([text]) if r.json().get("stream") else canned.openai_answer(text),
            "/v1/messages": lambda r: canned.anthropic_stream([text]) if r.json().get("stream") else canned.anthropic_answer(text),
            "/v1/responses": lambda r: native_stream(text) if r.json().get("stream") else canned.dumps(native_answer(text)).encode()}


def config(up, **more):
    def account(kind, model, base, **rest):
        return {"type": kind, "base_url": base, "api_key": "sk-up", "models": [model], **rest}
    return {"providers": {"chat": account("openai-compatible", CHAT, f"{up.origin}/v1"),
                          "claude": account("anthropic", CLAUDE, up.origin),
                          "native": account("openai", NATIVE, f"{up.origin}/v1")}, **more}


def key(name, text):
    return {"name": name, "sha256": hashlib.sha256(text.encode()).hexdigest()}


@pytest.fixture
def up(faultd):
    upstream = faultd()
    for path, body in says("Hello.").items():
        upstream.reply("POST", path, body=body)
    return upstream


@pytest.fixture
def gateway(start_gateway, up):
    return start_gateway(config(up))


@pytest.fixture
def client(gateway, openai_client):
    return openai_client(gateway)


def asked(up):
    """The last conversation that an upstream got, as (role, text) pairs of whatever dialect."""
    def text(content):
        return content if isinstance(content, str) else "".join(p.get("text", "") for p in content)
    body = up.requests[-1].json()
    return [(m["role"], text(m["content"])) for m in body.get("messages", body.get("input"))]


@pytest.mark.parametrize("model", [CHAT, CLAUDE])
@pytest.mark.parametrize("stream", [False, True])
def test_trap_096_a_conversation_goes_on_over_upstreams_that_know_none(client, up, model, stream):
    def turn(text, **more):
        if not stream:
            return client.responses.create(model=model, input=text, **more)
        with client.responses.stream(model=model, input=text, **more) as events:
            return events.get_final_response()
    one = turn("One?")
    two = turn("Two?", previous_response_id=one.id)
    assert two.previous_response_id == one.id and two.id != one.id
    turn([{"role": "user", "content": "Three?"}] if not stream else "Three?", previous_response_id=two.id)
    assert asked(up) == [("user", "One?"), ("assistant", "Hello."), ("user", "Two?"), ("assistant", "Hello."), ("user", "Three?")]
    assert "previous_response_id" not in up.requests[-1].json()


def test_a_conversation_goes_on_with_another_provider(client, up):
    one = client.responses.create(model=CHAT, input="One?")
    two = client.responses.create(model=CLAUDE, input="Two?", previous_response_id=one.id)
    client.responses.create(model=CHAT, input="Three?", previous_response_id=two.id)
    assert asked(up)[0] == ("user", "One?") and len(asked(up)) == 5


def test_what_the_gateway_does_itself_is_not_called_dropped(client):
    one = client.responses.create(model=CLAUDE, input="One?", store=True)
    answer = client.responses.with_raw_response.create(model=CLAUDE, input="Two?", previous_response_id=one.id, store=True)
    assert "x-llm-gateway-dropped" not in answer.headers


def test_a_kept_answer_is_fetched_as_it_was_sent(client):
    made = client.responses.create(model=CHAT, input="One?", metadata={"a": "b"})
    assert client.responses.retrieve(made.id) == made
    with client.responses.stream(model=CHAT, input="One?") as events:
        streamed = events.get_final_response()
    assert client.responses.retrieve(streamed.id).output_text == "Hello."


def test_trap_097_store_false_keeps_nothing(client, gateway):
    made = client.responses.create(model=CHAT, input="One?", store=False)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)
    with pytest.raises(openai.NotFoundError) as e:
        client.responses.create(model=CHAT, input="Two?", previous_response_id=made.id)
    assert e.value.code == "previous_response_not_found" and e.value.param == "previous_response_id"
    assert b"One?" not in b"".join(p.read_bytes() for p in (gateway.folder / "data").glob("state.db*"))


def test_a_deleted_answer_is_gone(client):
    made = client.responses.create(model=CHAT, input="One?")
    client.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.delete(made.id)


def test_a_request_that_failed_is_not_kept(client, up, gateway):
    up.clear()
    up.reply("POST", "/v1/chat/completions", status=400, body=canned.dumps({"error": {"message": "no", "type": "invalid_request_error",
                                                                                      "param": None, "code": None}}).encode())
    with pytest.raises(openai.BadRequestError):
        client.responses.create(model=CHAT, input="One?")
    assert rows(gateway) == []


def rows(gateway):
    """What is kept. The file is empty until the first answer is."""
    file = gateway.folder / "data" / "state.db"
    if file.stat().st_size == 0:
        return []
    with sqlite3.connect(file) as db:
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'turns'").fetchall():
            return []
        return db.execute("SELECT id FROM turns").fetchall()


def test_input_items_hold_the_whole_conversation_in_pages(client):
    one = client.responses.create(model=CHAT, input="One?")
    two = client.responses.create(model=CHAT, input=[{"role": "user", "content": "Two?"}, {"role": "user", "content": "Now."}],
                                  previous_response_id=one.id)
    items = list(client.responses.input_items.list(two.id, order="asc"))
    assert [(i.role, i.content[0].text) for i in items] == [("user", "One?"), ("assistant", "Hello."), ("user", "Two?"), ("user", "Now.")]
    assert [i.id for i in client.responses.input_items.list(two.id, limit=1)] == [i.id for i in reversed(items)]    # pages, newest first
    page = client.responses.input_items.list(two.id, order="asc", after=items[1].id, limit=1)
    assert [i.id for i in page.data] == [items[2].id] and page.has_more
    with pytest.raises(openai.BadRequestError) as e:
        client.responses.input_items.list(two.id, limit=1000)
    assert e.value.param == "limit"


def test_what_is_asked_of_kept_answers_is_checked(gateway, client):
    made = client.responses.create(model=CHAT, input="One?").id
    for method, rest, status, param in (
            ("GET", "?stream=true", 400, None), ("POST", "/cancel", 400, None), ("GET", "?stream=false&starting_after=x", 200, None),
            ("GET", "/input_items?limit=0", 400, "limit"), ("GET", "/input_items?limit=101", 400, "limit"),
            ("GET", "/input_items?limit=all", 400, "limit"), ("GET", "/input_items?limit=100", 200, None),
            ("GET", "/input_items?order=up", 400, "order"), ("GET", "/input_items?order=desc", 200, None),
            ("GET", "/input_items?after=msg_of_nobody", 400, "after"), ("PUT", "", 405, None), ("POST", "", 405, None),
            ("GET", "/cancel", 405, None), ("DELETE", "/input_items", 405, None), ("GET", "/output_items", 404, None)):
        got, answer = call(gateway, method, f"/v1/responses/{made}{rest}")
        assert got == status, (method, rest, got, answer)
        if status >= 400:
            assert answer["error"]["type"] == "invalid_request_error" and answer["error"]["param"] == param and answer["error"]["message"], rest
    for unknown in ("resp_nobody", "x", "%22", "%C3%BC", made + "x", made[:-1], "x" * 2000):
        for method, rest in (("GET", ""), ("GET", "?stream=true"), ("DELETE", ""), ("GET", "/input_items"), ("POST", "/cancel")):
            got, answer = call(gateway, method, f"/v1/responses/{unknown}{rest}")
            assert got == 404 and answer["error"]["type"] == "invalid_request_error", (method, unknown, rest, got, answer)
    assert call(gateway, "DELETE", f"/v1/responses/{made}") == (200, {"id": made, "object": "response", "deleted": True})
    assert [call(gateway, m, f"/v1/responses/{made}{r}")[0] for m, r in (("DELETE", ""), ("GET", ""), ("POST", "/cancel"), ("GET", "/input_items"))] \
        == [404] * 4


def test_a_background_response_can_be_deleted_while_it_is_made(gateway, up):
    script = held(up)
    _, made = call(gateway, "POST", "/v1/responses", {"model": CHAT, "input": "One?", "background": True})
    hit = script.wait_for_request()
    hit.wait_held()
    got, page = call(gateway, "GET", f"/v1/responses/{made['id']}/input_items")
    assert got == 200 and [i["content"][0]["text"] for i in page["data"]] == ["One?"]
    for after in ("x", "-1", "1.5", ""):
        got, answer = call(gateway, "GET", f"/v1/responses/{made['id']}?stream=true&starting_after={after}")
        assert got == 400 and "starting_after" in answer["error"]["message"], after
    got, answer = call(gateway, "POST", "/v1/responses", {"model": CHAT, "input": "Two?", "previous_response_id": made["id"]})
    assert got == 400 and "still being made" in answer["error"]["message"]
    assert call(gateway, "DELETE", f"/v1/responses/{made['id']}") == (200, {"id": made["id"], "object": "response", "deleted": True})
    hit.wait_disconnect(2)
    script.release()
    for _ in range(5):
        assert call(gateway, "GET", f"/v1/responses/{made['id']}")[0] == 404
    assert rows(gateway) == []


@pytest.mark.parametrize("background", [False, True])
def test_include_names_what_openai_knows_and_shows_what_was_kept(client, gateway, background):
    made = client.responses.create(model=NATIVE, input="One?", background=background)
    fields = list(typing.get_args(ResponseIncludable))
    done = finished(client, made)
    assert client.responses.retrieve(made.id, include=fields) == done
    assert [getattr(i, "encrypted_content", None) for i in done.output] == [None, "SEALED", None]     # without asking
    assert [i.content[0].text for i in client.responses.input_items.list(made.id, include=fields)] == ["One?"]
    for fetch in (client.responses.retrieve, client.responses.input_items.list):
        with pytest.raises(openai.BadRequestError) as e:
            fetch(made.id, include=["reasoning.encrypted_content", "message.feelings"])
        assert e.value.param == "include[1]" and e.value.code == "invalid_value" and e.value.type == "invalid_request_error"
        assert "Invalid value: 'message.feelings'." in e.value.message and all(f"'{f}'" in e.value.message for f in fields)
    with pytest.raises(openai.BadRequestError):
        client.responses.retrieve(made.id, include=["message.feelings"], stream=True)
    for form, status in (("include=message.output_text.logprobs", 200), ("include%5B0%5D=message.output_text.logprobs", 200),
                         ("include", 200), ("include=", 400), ("include=%ZZ", 400), ("include=%FF", 400), ("included=message.feelings", 200)):
        assert call(gateway, "GET", f"/v1/responses/{made.id}?{form}")[0] == status, form


def test_trap_096_an_id_of_another_key_is_not_found(start_gateway, up, openai_client):
    gateway = start_gateway(config(up, auth={"keys": [key("ann", "gw-ann"), key("bob", "gw-bob")]}))
    ann, bob = openai_client(gateway, api_key="gw-ann"), openai_client(gateway, api_key="gw-bob")
    made = ann.responses.create(model=CHAT, input="Mine.")
    for call in (lambda: bob.responses.retrieve(made.id), lambda: bob.responses.delete(made.id), lambda: bob.responses.cancel(made.id),
                 lambda: bob.responses.input_items.list(made.id),
                 lambda: bob.responses.create(model=CHAT, input="?", previous_response_id=made.id)):
        with pytest.raises(openai.NotFoundError) as e:
            call()
        assert "Mine" not in str(e.value)
    assert ann.responses.retrieve(made.id).id == made.id


def test_what_was_kept_expires(start_gateway, up, openai_client):
    client = openai_client(start_gateway(config(up, responses={"retention": "1s"})))
    made = client.responses.create(model=CHAT, input="One?")
    end = time.monotonic() + 20
    with pytest.raises(openai.NotFoundError):
        while time.monotonic() < end:
            client.responses.retrieve(made.id)


def test_what_was_kept_outlives_the_gateway(start_gateway, up, openai_client):
    gateway = start_gateway(config(up))
    one = openai_client(gateway).responses.create(model=CHAT, input="One?")
    gateway.stop()
    gateway.start()
    openai_client(gateway).responses.create(model=CHAT, input="Two?", previous_response_id=one.id)
    assert asked(up) == [("user", "One?"), ("assistant", "Hello."), ("user", "Two?")]
    assert (gateway.folder / "data" / "state.db").stat().st_mode & 0o777 == 0o600


def test_nothing_is_written_where_that_is_asked_for(start_gateway, up, openai_client):
    gateway = start_gateway(config(up, store={"memory_only": True}))
    client = openai_client(gateway)
    one = client.responses.create(model=CHAT, input="One?")
    client.responses.create(model=CHAT, input="Two?", previous_response_id=one.id)
    assert len(asked(up)) == 3
    assert not (gateway.folder / "data" / "state.db").exists()


def test_keeping_can_be_switched_off(start_gateway, up, openai_client):
    client = openai_client(start_gateway(config(up, responses={"store": False})))
    made = client.responses.create(model=CHAT, input="One?")
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)


def test_a_conversation_longer_than_allowed_is_refused(start_gateway, up, openai_client):
    client = openai_client(start_gateway(config(up, responses={"max_context": "2KiB"})))
    one = client.responses.create(model=CHAT, input="x" * 4000)
    with pytest.raises(openai.APIStatusError) as e:
        client.responses.create(model=CHAT, input="Two?", previous_response_id=one.id)
    assert e.value.status_code == 413


@pytest.mark.parametrize("model", [CHAT, CLAUDE])
def test_a_conversation_is_compacted_and_goes_on(client, up, model):
    one = client.responses.create(model=model, input="One?")
    up.clear()
    for path, body in says("They said hello.").items():
        up.reply("POST", path, body=body)
    short = client.responses.compact(model=model, input="And this.", previous_response_id=one.id)
    assert short.object == "response.compaction" and [i.type for i in short.output] == ["compaction"]
    assert short.usage.input_tokens and short.usage.output_tokens
    sent = asked(up)
    assert sent[:2] == [("user", "One?"), ("assistant", "Hello.")] and "And this." in sent[2][1] and "summary" in sent[-1][1]
    assert "They said hello." not in short.output[0].encrypted_content
    again = client.responses.create(model=CHAT, input=[i.model_dump() for i in short.output] + [{"role": "user", "content": "So?"}])
    text = "".join(t for _, t in asked(up))
    assert "They said hello." in text and text.endswith("So?") and "One?" not in text
    client.responses.create(model=CHAT, input="More?", previous_response_id=again.id)
    assert "They said hello." in asked(up)[0][1]
    with pytest.raises(openai.BadRequestError) as e:
        client.responses.compact(model=model)
    assert e.value.param == "input"


def ref(item):
    return {"type": "item_reference", "id": item.id}


@pytest.mark.parametrize("model", [CHAT, CLAUDE])
def test_items_are_brought_back_by_their_ids(client, up, model):
    """Of the answer, of the input with an id of the client's, and of the input with one that the gateway gave."""
    one = client.responses.create(model=CHAT, input=[{"role": "user", "content": "One?"},
                                                     {"type": "message", "id": "msg_mine", "role": "user", "content": "Mine."}])
    listed = list(client.responses.input_items.list(one.id, order="asc"))
    user = {"role": "user", "content": "Two?"}
    answer = client.responses.with_raw_response.create(model=model, input=[ref(listed[0]), {"id": "msg_mine"}, ref(one.output[0]), user])
    merged = [("user", "One?Mine."), ("assistant", "Hello."), ("user", "Two?")]     # Anthropic's turns
    assert asked(up) == (merged if model == CLAUDE else [("user", "One?"), ("user", "Mine."), *merged[1:]])
    assert "x-llm-gateway-dropped" not in answer.headers
    two = answer.parse()
    assert [i.content[0].text for i in client.responses.input_items.list(two.id, order="asc")] == ["One?", "Mine.", "Hello.", "Two?"]
    client.responses.create(model=model, input=[ref(two.output[0]), {"role": "user", "content": "Three?"}], previous_response_id=one.id)
    assert "".join(t for _, t in asked(up)) == "One?Mine.Hello.Hello.Three?"
    up.reply("POST", "/v1/messages/count_tokens", body=lambda request: json.dumps({"input_tokens": len(request.body)}).encode())
    count = client.responses.input_tokens.count(model=model, input=[ref(one.output[0]), user])
    assert count.input_tokens > client.responses.input_tokens.count(model=model, input=[user]).input_tokens


def test_an_item_nobody_keeps_is_not_found(start_gateway, up, openai_client):
    gateway = start_gateway(config(up, auth={"keys": [key("ann", "gw-ann"), key("bob", "gw-bob")]}))
    ann, bob = openai_client(gateway, api_key="gw-ann"), openai_client(gateway, api_key="gw-bob")
    made = ann.responses.create(model=CHAT, input="Mine.")
    for client, model, item in ((bob, CHAT, made.output[0]), (bob, NATIVE, made.output[0]), (ann, CHAT, made)):
        with pytest.raises(openai.NotFoundError) as e:
            client.responses.create(model=model, input=[ref(item)])
        assert e.value.body["message"] == f"Item with id '{item.id}' not found." and e.value.param == "input"
    ann.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        ann.responses.create(model=CHAT, input=[ref(made.output[0])])
    with pytest.raises(openai.BadRequestError):
        ann.responses.create(model=CHAT, input=[{"type": "item_reference", "id": f"msg_{i}"} for i in range(300)])


@pytest.mark.parametrize("memory_only", [False, True])
def test_an_item_is_found_however_much_came_after_it(start_gateway, up, openai_client, memory_only):
    client = openai_client(start_gateway(config(up, store={"memory_only": memory_only}, responses={"max_context": "64KiB"})))
    old = client.responses.create(model=CHAT, input="Old.")
    for _ in range(20):
        client.responses.create(model=CHAT, input="x" * 50_000)      # far more than one conversation may bring back
    client.responses.create(model=CHAT, input=[ref(old.output[0]), {"role": "user", "content": "So?"}])
    assert asked(up) == [("assistant", "Hello."), ("user", "So?")]


def test_items_of_too_much_are_refused(start_gateway, up, openai_client):
    client = openai_client(start_gateway(config(up, responses={"max_context": "8KiB"})))
    made = [client.responses.create(model=CHAT, input="x" * 5000) for _ in range(2)]
    client.responses.create(model=CHAT, input=[ref(made[0].output[0])])
    with pytest.raises(openai.APIStatusError) as e:
        client.responses.create(model=CHAT, input=[ref(m.output[0]) for m in made])
    assert e.value.status_code == 413 and "named items" in e.value.message


def test_a_provider_that_keeps_its_items_gets_their_names(client, up):
    """What it made itself it also finds itself; of others it gets the items. What nobody here knows may be its own."""
    native, other = client.responses.create(model=NATIVE, input="One?"), client.responses.create(model=CLAUDE, input="Two?")
    client.responses.create(model=NATIVE, input=[*(ref(i) for i in native.output), ref(other.output[0]), {"role": "user", "content": "So?"}])
    sent = up.requests[-1].json()["input"]
    assert sent[:3] == [ref(i) for i in native.output] and sent[3]["role"] == "assistant" and "id" not in sent[3]
    client.responses.create(model=CLAUDE, input=[ref(native.output[2]), {"role": "user", "content": "So?"}])
    assert asked(up) == [("assistant", "Hello."), ("user", "So?")]
    client.responses.create(model=NATIVE, input=[{"type": "item_reference", "id": "msg_of_theirs"}])
    assert up.requests[-1].json() == {"model": NATIVE, "input": [{"type": "item_reference", "id": "msg_of_theirs"}]}


# ---- where the provider speaks Responses itself --------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_trap_050_a_relayed_conversation_is_brought_back_without_ids_the_provider_cannot_know(client, up, stream):
    def turn(text, **more):
        if not stream:
            return client.responses.create(model=NATIVE, input=text, **more)
        with client.responses.stream(model=NATIVE, input=text, **more) as events:
            return events.get_final_response()
    one = turn("One?")
    assert one.id == "resp_native1" and up.requests[-1].json()["input"] == "One?"
    up.clear()
    two_body = (lambda r: native_stream("Two.", response_id="resp_native2")) if stream else canned.dumps(native_answer("Two.", "resp_native2")).encode()
    up.reply("POST", "/v1/responses", body=two_body)
    two = turn("Two?", previous_response_id=one.id)
    assert two.previous_response_id == one.id and two.id == "resp_native2"
    sent = up.requests[-1].json()
    assert "previous_response_id" not in sent
    assert [(i["type"], i.get("id")) for i in sent["input"]] == [("message", None), ("reasoning", "rs_sealed"), ("message", None), ("message", None)]
    assert client.responses.retrieve(two.id).previous_response_id == one.id
    assert len(list(client.responses.input_items.list(two.id))) == 5       # all of it, what the provider cannot use included


def test_a_native_conversation_goes_on_with_another_provider_and_back(client, up):
    one = client.responses.create(model=NATIVE, input="One?")
    two = client.responses.create(model=CLAUDE, input="Two?", previous_response_id=one.id)
    assert asked(up) == [("user", "One?"), ("assistant", "Hello."), ("user", "Two?")]
    client.responses.create(model=NATIVE, input="Three?", previous_response_id=two.id)
    sent = up.requests[-1].json()["input"]
    assert [i.get("role") for i in sent if i["type"] == "message"] == ["user", "assistant", "user", "assistant", "user"]


def test_an_id_the_gateway_never_kept_may_be_the_providers(client, up):
    client.responses.create(model=NATIVE, input="Go on.", previous_response_id="resp_of_theirs")
    assert up.requests[-1].json() == {"model": NATIVE, "input": "Go on.", "previous_response_id": "resp_of_theirs"}
    with pytest.raises(openai.NotFoundError) as e:
        client.responses.create(model=CHAT, input="Go on.", previous_response_id="resp_of_theirs")
    assert e.value.code == "previous_response_not_found"


def test_with_several_keys_an_unknown_id_is_nobodys(start_gateway, up, openai_client):
    gateway = start_gateway(config(up, auth={"keys": [key("ann", "gw-ann"), key("bob", "gw-bob")]}))
    with pytest.raises(openai.NotFoundError):
        openai_client(gateway, api_key="gw-ann").responses.create(model=NATIVE, input="Go on.", previous_response_id="resp_of_theirs")
    assert up.requests == []


def test_a_conversation_is_the_providers(client, up):
    """It is passed on, and what it holds nobody here pretends to know."""
    made = client.responses.create(model=NATIVE, input="One?", conversation="conv_1")
    assert up.requests[-1].json()["conversation"] == "conv_1" and client.responses.retrieve(made.id) == made
    client.responses.create(model=NATIVE, input="Two?", previous_response_id=made.id)
    assert up.requests[-1].json() == {"model": NATIVE, "input": "Two?", "previous_response_id": made.id}
    n = len(up.requests)
    for call, status, param in (
            (lambda: client.responses.create(model=CLAUDE, input="Two?", previous_response_id=made.id), 404, "previous_response_id"),
            (lambda: client.responses.create(model=CLAUDE, input="One?", conversation={"id": "conv_1"}), 400, "conversation"),
            (lambda: client.responses.create(model=NATIVE, input="One?", conversation=7), 400, "conversation"),
            (lambda: client.responses.create(model=NATIVE, input="One?", conversation={}), 400, "conversation"),
            (lambda: client.responses.create(model=NATIVE, input="One?", conversation="conv_1", background=True), 400, "conversation"),
            (lambda: client.responses.create(model=NATIVE, input="One?", conversation="conv_1", previous_response_id=made.id), 400,
             "conversation"),
            (lambda: client.responses.input_items.list(made.id), 404, None)):
        with pytest.raises(openai.APIStatusError) as e:
            call()
        assert (e.value.status_code, e.value.param) == (status, param), e.value
    assert "What this response continues" in e.value.message and len(up.requests) == n


def test_a_conversation_is_nobodys_where_several_keys_share_the_account(start_gateway, up, openai_client):
    gateway = start_gateway(config(up, auth={"keys": [key("ann", "gw-ann"), key("bob", "gw-bob")]}))
    with pytest.raises(openai.NotFoundError) as e:
        openai_client(gateway, api_key="gw-ann").responses.create(model=NATIVE, input="Hi", conversation="conv_1")
    assert e.value.param == "conversation" and up.requests == []


def test_trap_050_reasoning_of_another_vendor_is_named_where_it_cannot_go(client, up):
    foreign = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "lgw1.anthropic-messages.c2lnbmVk"}
    ask = {"model": NATIVE, "input": [foreign, {"role": "user", "content": "Hi"}]}
    answer = client.responses.with_raw_response.create(**ask)
    assert answer.headers["x-llm-gateway-dropped"] == "reasoning_content"
    assert [i.get("type") for i in up.requests[-1].json()["input"]] == [None]
    with pytest.raises(openai.BadRequestError):
        client.responses.create(**ask, extra_headers={"x-llm-gateway-strict": "true"})
    answer = client.responses.with_raw_response.create(model=NATIVE, input="Hi")
    assert "x-llm-gateway-dropped" not in answer.headers


def test_a_native_background_response_has_an_id_of_the_gateways(client, up):
    made = client.responses.create(model=NATIVE, input="One?", background=True)
    done = finished(client, made)
    assert done.status == "completed" and done.id == made.id != "resp_native1" and done.output_text == "Hello." and done.background is True
    sent = up.requests[-1].json()
    assert sent["stream"] is True and "background" not in sent
    events = list(client.responses.retrieve(made.id, stream=True))
    assert {e.response.id for e in events if hasattr(e, "response")} == {made.id}


def test_a_provider_that_compacts_does_it_itself(client, up):
    answer = {"id": "resp_c", "object": "response.compaction", "created_at": 1754000000, "usage": native_answer("")["usage"],
              "output": [{"id": "cmp_1", "type": "compaction", "encrypted_content": "THEIRS"}]}
    up.reply("POST", "/v1/responses/compact", body=canned.dumps(answer).encode())
    assert client.responses.compact(model=NATIVE, input="One?").output[0].encrypted_content == "THEIRS"
    client.responses.create(model=NATIVE, input=answer["output"] + [{"role": "user", "content": "So?"}])
    assert up.requests[-1].json()["input"][0]["encrypted_content"] == "THEIRS"


# ---- in the background ----------------------------------------------------------------------------------------------------


def finished(client, response, timeout=20):
    """The response once it is no longer under way, by polling as the SDK's documentation does."""
    end = time.monotonic() + timeout
    while response.status in ("queued", "in_progress") and time.monotonic() < end:
        response = client.responses.retrieve(response.id)
    return response


@pytest.mark.parametrize("model", [CHAT, CLAUDE])
def test_a_background_response_is_polled(client, up, model):
    made = client.responses.create(model=model, input="One?", background=True)
    assert made.status in ("queued", "in_progress") and made.background is True and made.output == []
    done = finished(client, made)
    assert done.status == "completed" and done.output_text == "Hello." and done.id == made.id and done.background is True
    client.responses.create(model=model, input="Two?", previous_response_id=made.id)
    assert asked(up) == [("user", "One?"), ("assistant", "Hello."), ("user", "Two?")]
    assert [i.content[0].text for i in client.responses.input_items.list(made.id)] == ["One?"]


def held(up, texts=("Hel", "lo."), n=2):
    """Holds the upstream's stream before its event number n."""
    up.clear()
    body = canned.openai_stream(texts)
    return up.reply("POST", "/v1/chat/completions", body=body, holds=(canned.event_starts(body)[n],))


def test_a_background_stream_is_resumed_where_it_broke(client, up):
    script = held(up)
    stream = client.responses.create(model=CHAT, input="One?", background=True, stream=True)
    seen = []
    for event in stream:
        seen.append(event)
        if event.type == "response.output_text.delta":
            break
    made = seen[0].response
    stream.close()
    assert [e.sequence_number for e in seen] == list(range(len(seen))) and script.hits[0].ended is None
    resumed = client.responses.retrieve(made.id, stream=True, starting_after=seen[-1].sequence_number)
    script.release()
    seen += list(resumed)
    assert [e.sequence_number for e in seen] == list(range(len(seen)))
    assert seen[-1].type == "response.completed" and seen[-1].response.output_text == "Hello." and seen[-1].response.id == made.id
    again = list(client.responses.retrieve(made.id, stream=True))       # from the store, or as good as
    assert [e.model_dump() for e in again] == [e.model_dump() for e in seen]
    assert [e.sequence_number for e in client.responses.retrieve(made.id, stream=True, starting_after=3)] == \
        list(range(4, len(seen)))


def test_a_cancelled_background_response_lets_go_of_the_upstream_within_a_second(client, up):
    script = held(up)
    made = client.responses.create(model=CHAT, input="One?", background=True)
    hit = script.wait_for_request()
    hit.wait_held()
    begin = time.monotonic()
    cancelled = client.responses.cancel(made.id)
    assert cancelled.status == "cancelled"
    assert hit.wait_disconnect(2) - begin < 1
    assert client.responses.retrieve(made.id).status == "cancelled"
    assert client.responses.cancel(made.id).status == "cancelled"     # twice changes nothing
    script.release()


def test_only_what_runs_in_the_background_can_be_cancelled(client):
    made = client.responses.create(model=CHAT, input="One?")
    with pytest.raises(openai.BadRequestError):
        client.responses.cancel(made.id)
    done = finished(client, client.responses.create(model=CHAT, input="One?", background=True))
    assert client.responses.cancel(done.id).status == "completed"
    with pytest.raises(openai.BadRequestError) as e:
        client.responses.create(model=CHAT, input="One?", background=True, store=False)
    assert e.value.param == "background"


def test_a_background_response_that_fails_says_so(client, up):
    up.clear()
    up.reply("POST", "/v1/chat/completions", status=400,
             body=canned.dumps({"error": {"message": "Too odd.", "type": "invalid_request_error", "param": None, "code": None}}).encode())
    failed = finished(client, client.responses.create(model=CHAT, input="One?", background=True))
    assert failed.status == "failed" and "Too odd." in failed.error.message
    up.clear()
    body = canned.openai_stream(["Hel", "lo."])
    up.reply("POST", "/v1/chat/completions", body=body, fault="rst", at=canned.event_starts(body)[2])
    failed = finished(client, client.responses.create(model=CHAT, input="One?", background=True))
    assert failed.status == "failed" and failed.error.message


def test_a_background_stream_that_fails_says_so_once(client, up):
    """Before the first event, and after it; also to those who come later."""
    up.clear()
    refusal = up.reply("POST", "/v1/chat/completions", status=400, body=canned.dumps({"error": {
        "message": "Too odd.", "type": "invalid_request_error", "param": None, "code": None}}).encode())
    events = list(client.responses.create(model=CHAT, input="One?", background=True, stream=True))
    assert [(e.type, e.sequence_number) for e in events] == [("response.created", 0), ("response.failed", 1)]
    assert events[0].response.status == "queued" and events[1].response.status == "failed" and "Too odd." in events[1].response.error.message
    made = events[0].response.id
    assert list(client.responses.retrieve(made, stream=True)) == events and client.responses.retrieve(made) == events[1].response
    assert [e.type for e in client.responses.retrieve(made, stream=True, starting_after=0)] == ["response.failed"]
    refusal.status, body = 200, canned.openai_stream(["Hel", "lo."])
    up.clear()
    up.reply("POST", "/v1/chat/completions", body=body, fault="rst", at=canned.event_starts(body)[2])
    events = list(client.responses.create(model=CHAT, input="One?", background=True, stream=True))
    assert [e.type for e in events].count("response.failed") == 1 and events[-1].type == "response.failed"
    assert [e.sequence_number for e in events] == list(range(len(events)))
    assert list(client.responses.retrieve(events[0].response.id, stream=True)) == events


def test_a_background_stream_is_resumed_by_the_numbers_that_its_provider_gave(client, up):
    def counted_from_ten(request):
        text = native_stream("Hello.").decode()
        for i in reversed(range(9)):
            text = text.replace(f'"sequence_number":{i}}}', f'"sequence_number":{10 + 2 * i}}}')
        return text.encode()
    up.clear()
    up.reply("POST", "/v1/responses", body=counted_from_ten)
    events = list(client.responses.create(model=NATIVE, input="One?", background=True, stream=True))
    assert [e.sequence_number for e in events] == list(range(10, 28, 2))
    made = events[0].response.id
    for after, first in ((3, 10), (10, 12), (13, 14), (24, 26), (26, None)):
        numbers = [e.sequence_number for e in client.responses.retrieve(made, stream=True, starting_after=after)]
        assert numbers == (list(range(first, 28, 2)) if first else [])


def test_a_stream_is_resumed_at_its_edges(client, gateway, up):
    """Behind the first event, the last one and one that never comes: while it is made, and when it has ended."""
    script = held(up)
    made = client.responses.create(model=CHAT, input="One?", background=True)
    script.wait_for_request().wait_held()
    followers = {}
    for after in (0, 3, 8, 9, 4294967295):
        c = http.client.HTTPConnection(*gateway.address, timeout=20)
        c.request("GET", f"/v1/responses/{made.id}?stream=true&starting_after={after}")
        followers[after] = c, c.getresponse()
    script.release()
    texts = {after: r.read().decode() for after, (c, r) in followers.items()}
    n = len(list(client.responses.retrieve(made.id, stream=True)))
    assert n == 10
    for after, text in texts.items():
        assert [e["sequence_number"] for e in events_of(text)] == list(range(after + 1, n)) and text.endswith("data: [DONE]\n\n")
        assert text_of(gateway, "GET", f"/v1/responses/{made.id}?stream=true&starting_after={after}") == (200, text)
        followers[after][0].close()
    for after in ("4294967296", "99999999999999999999", "+1", "1%20", "%31x", "01x"):
        assert call(gateway, "GET", f"/v1/responses/{made.id}?stream=true&starting_after={after}")[0] == 400, after


def test_more_events_than_are_kept_still_have_an_end(start_gateway, up, openai_client):
    """Of so many only how it ended is told, to those who follow and to those who come later."""
    client = openai_client(start_gateway(config(up, server={"max_response": "64KiB"})))
    up.clear()
    up.reply("POST", "/v1/chat/completions", body=canned.openai_stream(["x"] * 2000))
    events = list(client.responses.create(model=CHAT, input="One?", background=True, stream=True))
    assert events[-1].type == "response.completed" and events[-1].response.output_text == "x" * 2000
    again = list(client.responses.retrieve(events[-1].response.id, stream=True))
    assert [e.type for e in again] == ["response.completed"] and again[0].response == events[-1].response
    assert client.responses.retrieve(events[-1].response.id).output_text == "x" * 2000


def test_more_background_than_allowed_is_refused(start_gateway, up, openai_client):
    client = openai_client(start_gateway(config(up, responses={"max_background": 1})))
    script = held(up)
    made = client.responses.create(model=CHAT, input="One?", background=True)
    with pytest.raises(openai.RateLimitError):
        client.responses.create(model=CHAT, input="Two?", background=True)
    script.release()
    assert finished(client, made).status == "completed"
    assert finished(client, client.responses.create(model=CHAT, input="Two?", background=True)).status == "completed"


def test_what_a_stopped_gateway_could_not_finish_has_failed(start_gateway, up, openai_client):
    gateway = start_gateway(config(up, timeouts={"drain": "200ms"}))
    script = held(up)
    made = openai_client(gateway).responses.create(model=CHAT, input="One?", background=True)
    script.wait_for_request().wait_held()
    gateway.stop()
    script.release()
    gateway.start()
    lost = openai_client(gateway).responses.retrieve(made.id)
    assert lost.status == "failed" and lost.error.message


def test_what_a_gateway_that_crashed_was_making_has_failed_at_once(start_gateway, up, openai_client):
    gateway = start_gateway(config(up))
    script = held(up)
    made = openai_client(gateway).responses.create(model=CHAT, input="One?", background=True)
    script.wait_for_request().wait_held()
    gateway.kill()
    gateway.start()
    client = openai_client(gateway)
    lost = client.responses.retrieve(made.id)
    assert lost.status == "failed" and lost.error.message
    assert client.responses.cancel(made.id).status == "failed"
    for after in ({}, {"starting_after": 7}):       # its events are lost too, but not how it ended
        events = list(client.responses.retrieve(made.id, stream=True, **after))
        assert [(e.type, e.sequence_number) for e in events] == [("response.failed", 8 if after else 0)]
        assert events[0].response == lost
    script.release()


@pytest.mark.parametrize("stream", [False, True])
def test_whoever_has_an_id_finds_the_response_after_any_crash(start_gateway, up, stream):
    """The gateway is killed in the moment in which the answer with the id has arrived, before anybody asked the provider."""
    gateway = start_gateway(config(up))
    ids = []
    for _ in range(5):
        c = http.client.HTTPConnection(*gateway.address, timeout=20)
        c.request("POST", "/v1/responses", json.dumps({"model": CHAT, "input": "One?", "background": True, "stream": stream}))
        r = c.getresponse()
        if stream:
            text = b""
            while b"\n\n" not in text:
                text += r.read1()
        gateway.kill()
        ids.append(events_of(text.split(b"\n\n")[0].decode())[0]["response"]["id"] if stream else json.load(r)["id"])
        c.close()
        gateway.start()
        for response_id in ids:
            status, answer = call(gateway, "GET", f"/v1/responses/{response_id}")
            assert status == 200 and answer["status"] in ("failed", "completed"), (len(ids), answer)
            assert answer["status"] == "completed" or answer["error"]["code"] == "server_error"
    assert len(rows(gateway)) == 5


@contextlib.contextmanager
def locked(gateway):
    """Nothing can be written meanwhile (but it is tried for five seconds)."""
    db = sqlite3.connect(gateway.folder / "data" / "state.db", isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    yield
    db.close()


def says_within(connection, seconds):
    """What comes on it in so long a time, or b"" when it is nothing."""
    connection.sock.settimeout(seconds)
    try:
        return connection.sock.recv(1 << 16)
    except TimeoutError:
        return b""


@pytest.mark.threads
def test_how_a_background_response_ended_is_told_when_the_store_has_it(start_gateway, up):
    """Its last event, and what a cancelling is answered, wait: after a crash in that moment the response has failed, and nobody was
    told anything else."""
    gateway = start_gateway(config(up))
    script = held(up)
    made = [call(gateway, "POST", "/v1/responses", {"model": CHAT, "input": "One?", "background": True})[1]["id"] for _ in range(2)]
    hits = [script.wait_for_request() for _ in made]
    for hit in hits:
        hit.wait_held()
    follower, canceller = (http.client.HTTPConnection(*gateway.address, timeout=20) for _ in range(2))
    follower.request("GET", f"/v1/responses/{made[0]}?stream=true")
    text = b""
    while b"response.output_text.delta" not in text:
        text += says_within(follower, 10)
    with locked(gateway):
        canceller.request("POST", f"/v1/responses/{made[1]}/cancel")
        hits[1].wait_disconnect(5)
        script.release()
        while b"response.output_item.done" not in text:
            text += says_within(follower, 10)
        text += says_within(follower, 0.3)
        assert b"response.completed" not in text and says_within(canceller, 0.1) == b""
        gateway.kill()
    gateway.start()
    for response_id in made:
        assert call(gateway, "GET", f"/v1/responses/{response_id}")[1]["status"] == "failed"


def test_what_has_ended_has_ended_after_any_crash(start_gateway, up):
    """The gateway is killed in the moment in which the last event has arrived, or a poll has said so."""
    gateway = start_gateway(config(up))
    for streams in (True, False, True, False):
        status, text = text_of(gateway, "POST", "/v1/responses", {"model": CHAT, "input": "One?", "background": True, "stream": streams})
        response_id = events_of(text)[0]["response"]["id"] if streams else json.loads(text)["id"]
        while not streams and call(gateway, "GET", f"/v1/responses/{response_id}")[1]["status"] != "completed":
            pass
        gateway.kill()
        gateway.start()
        assert call(gateway, "GET", f"/v1/responses/{response_id}")[1]["status"] == "completed"
        assert "response.completed" in text_of(gateway, "GET", f"/v1/responses/{response_id}?stream=true")[1]


def test_who_follows_a_response_that_cannot_be_kept_has_all_of_it(start_gateway, up, openai_client):
    """It is longer than the store; who polls is told that it was not kept."""
    gateway = start_gateway(config(up, store={"max_size": "1MiB"}))
    client = openai_client(gateway)
    up.clear()
    up.reply("POST", "/v1/chat/completions", body=canned.openai_stream(["x" * 100_000] * 12))
    events = list(client.responses.create(model=CHAT, input="One?", background=True, stream=True))
    assert events[-1].type == "response.completed" and len(events[-1].response.output_text) == 1_200_000
    polled = finished(client, client.responses.retrieve(events[0].response.id))
    assert polled.status == "failed" and "could not keep" in polled.error.message
    gateway.wait_log("response.not_kept")


def test_what_is_made_for_longer_than_it_is_kept_can_be_fetched_all_that_time(start_gateway, up, openai_client):
    client = openai_client(start_gateway(config(up, responses={"retention": "1s"})))
    script = held(up)
    made = client.responses.create(model=CHAT, input="One?", background=True)
    script.wait_for_request().wait_held()
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        assert client.responses.retrieve(made.id).status == "in_progress"
        assert len(list(client.responses.input_items.list(made.id))) == 1
    script.release()
    assert finished(client, made).output_text == "Hello."


@pytest.mark.threads
def test_a_client_that_leaves_before_it_knows_the_id_leaves_nothing(start_gateway, up):
    """The database is locked, so that the answer has to wait."""
    gateway = start_gateway(config(up))
    call(gateway, "POST", "/v1/responses", {"model": CHAT, "input": "One?"})
    n = len(up.requests)
    with sqlite3.connect(gateway.folder / "data" / "state.db", isolation_level=None) as db:
        db.execute("BEGIN IMMEDIATE")
        c = http.client.HTTPConnection(*gateway.address, timeout=20)
        c.request("POST", "/v1/responses", json.dumps({"model": CHAT, "input": "One?", "background": True}))
        with pytest.raises(TimeoutError):
            c.sock.settimeout(0.3)
            c.getresponse()
        c.close()
        gateway.wait_access(lambda r: r["end"] == "client_gone")
        db.execute("ROLLBACK")
    call(gateway, "POST", "/v1/responses", {"model": CHAT, "input": "Two?"})        # the store has done what was asked before
    wait_until(lambda: len(rows(gateway)) == 2, what="the two answers that were given")
    assert len(up.requests) == n + 1, "the provider was not asked for what nobody can fetch"


def test_background_needs_a_store_that_works(start_gateway, up, openai_client):
    gateway = start_gateway(config(up))
    client = openai_client(gateway)
    client.responses.create(model=CHAT, input="One?")
    wait_until(lambda: rows(gateway), what="the answer in the store")
    n = len(up.requests)
    db = sqlite3.connect(gateway.folder / "data" / "state.db", isolation_level=None)
    db.execute("DROP TABLE turns")
    with pytest.raises(openai.InternalServerError) as e:
        client.responses.create(model=CHAT, input="One?", background=True)
    assert e.value.status_code == 503 and len(up.requests) == n
    db.close()


@pytest.fixture
def both(start_gateway, up, tmp_path):
    """Two gateways that keep their state in one place, as while one takes over from the other."""
    store = {"path": str(tmp_path / "shared" / "state.db")}
    return start_gateway(config(up, store=store)), start_gateway(config(up, store=store))


def test_the_successor_cancels_what_the_one_before_still_makes(both, up, openai_client):
    old, new = map(openai_client, both)
    script = held(up)
    made = old.responses.create(model=CHAT, input="One?", background=True)
    hit = script.wait_for_request()
    hit.wait_held()
    assert new.responses.retrieve(made.id).status in ("queued", "in_progress")      # its maker lives
    with pytest.raises(openai.ConflictError) as e:
        list(new.with_options(max_retries=0).responses.retrieve(made.id, stream=True))
    assert "Poll it" in e.value.message
    assert new.responses.cancel(made.id).status == "cancelled"
    hit.wait_disconnect(5)
    assert [c.responses.retrieve(made.id).status for c in (old, new)] == ["cancelled"] * 2
    script.release()


def test_what_ended_before_it_was_cancelled_elsewhere_stays_so(both, up, openai_client):
    old, new = map(openai_client, both)
    script = held(up)
    made = old.responses.create(model=CHAT, input="One?", background=True)
    script.wait_for_request().wait_held()
    script.release()
    assert finished(new, made).status == "completed"
    assert new.responses.cancel(made.id).status == "completed"
    assert [e.type for e in new.responses.retrieve(made.id, stream=True)][-1] == "response.completed"


def test_the_successor_deletes_what_the_one_before_still_makes(both, up, openai_client):
    old, new = map(openai_client, both)
    script = held(up)
    made = old.responses.create(model=CHAT, input="One?", background=True)
    hit = script.wait_for_request()
    hit.wait_held()
    new.responses.delete(made.id)
    hit.wait_disconnect(5)
    script.release()
    with pytest.raises(openai.NotFoundError):
        new.responses.retrieve(made.id)


def test_a_drain_lets_background_responses_finish(start_gateway, up, openai_client):
    gateway = start_gateway(config(up))
    script = held(up)
    made = openai_client(gateway).responses.create(model=CHAT, input="One?", background=True)
    script.wait_for_request().wait_held()
    gateway.signal(signal.SIGTERM)
    gateway.wait_log('"?drain')
    script.release()
    gateway.wait_exit()
    gateway.stop()
    gateway.start()
    assert openai_client(gateway).responses.retrieve(made.id).output_text == "Hello."


@pytest.mark.threads
def test_workers_share_what_is_under_way(start_gateway, up):
    """Each connection may meet another worker: all of them answer for a response that one of them makes."""
    gateway = start_gateway(config(up, server={"workers": 4}))
    script = held(up)
    status, made = call(gateway, "POST", "/v1/responses", {"model": CHAT, "input": "One?", "background": True})
    script.wait_for_request().wait_held()
    for _ in range(12):
        status, seen = call(gateway, "GET", f"/v1/responses/{made['id']}")
        assert status == 200 and seen["status"] in ("queued", "in_progress")
    followers = []
    for _ in range(8):
        c = http.client.HTTPConnection(*gateway.address, timeout=20)
        c.request("GET", f"/v1/responses/{made['id']}?stream=true&starting_after=1")
        followers.append((c, c.getresponse()))      # the head is there at once, whatever the upstream does
    script.release()
    streams = [(r.read(), c.close())[0] for c, r in followers]
    assert len(set(streams)) == 1 and b"response.completed" in streams[0] and streams[0].endswith(b"data: [DONE]\n\n")
    assert b'"sequence_number":1,' not in streams[0] and b'"sequence_number":2' in streams[0]


@pytest.mark.threads
def test_any_worker_cancels_what_another_makes(start_gateway, up):
    gateway = start_gateway(config(up, server={"workers": 4}))
    for _ in range(4):
        script = held(up)
        _, made = call(gateway, "POST", "/v1/responses", {"model": CHAT, "input": "One?", "background": True})
        script.wait_for_request().wait_held()
        status, seen = call(gateway, "POST", f"/v1/responses/{made['id']}/cancel")
        assert status == 200 and seen["status"] == "cancelled"
        script.hits[0].wait_disconnect(2)
        script.release()


def text_of(gateway, method, path, body=None):
    """On a connection of its own."""
    c = http.client.HTTPConnection(*gateway.address, timeout=20)
    c.request(method, path, json.dumps(body) if body is not None else None, {"content-type": "application/json"})
    r = c.getresponse()
    text = r.read()
    c.close()
    return r.status, text.decode()


def call(gateway, method, path, body=None):
    status, text = text_of(gateway, method, path, body)
    return status, json.loads(text)


# ---- by the specifications ------------------------------------------------------------------------------------------------


def events_of(text):
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]


@pytest.mark.usefixtures("need_recordings")
@pytest.mark.parametrize("model", [CHAT, CLAUDE])
def test_whatever_is_kept_or_made_in_the_background_is_valid(gateway, up, model):
    def post(path="/v1/responses", **body):
        status, answer = call(gateway, "POST", path, {"model": model, **body})
        assert status == 200
        return answer

    def get(rest):
        status, answer = call(gateway, "GET", f"/v1/responses/{rest}")
        assert status == 200
        return answer
    one = post(input="One?", tools=[{"type": "function", "name": "f"}], metadata={"a": "b"})
    two = post(input=[{"role": "user", "content": "Two?"}], previous_response_id=one["id"])
    queued = post(input="Three?", background=True, previous_response_id=two["id"], truncation="auto")
    while (done := get(queued["id"]))["status"] in ("queued", "in_progress"):
        pass
    for answer in (one, two, queued, done, get(one["id"]), get(two["id"])):
        assert responses_spec.resource_problem(answer) is None
    assert queued["previous_response_id"] == done["previous_response_id"] == two["id"] and queued["truncation"] == "auto"
    page = get(f"{done['id']}/input_items?order=asc")
    assert page["object"] == "list" and len(page["data"]) == 5 and page["first_id"] == page["data"][0]["id"]
    assert len({i["id"] for i in page["data"]}) == 5 and page == get(f"{done['id']}/input_items?order=asc")
    for item in page["data"]:
        assert responses_spec._worst("openai", "ItemResource", item) is None
    short = post("/v1/responses/compact", previous_response_id=done["id"])
    assert responses_spec._worst("openai", "CompactResource", short) is None
    assert responses_spec._worst("openresponses", "CompactResource", short) is None


@pytest.mark.usefixtures("need_recordings")
def test_events_made_in_the_background_are_valid(gateway, up):
    status, text = text_of(gateway, "POST", "/v1/responses", {"model": CLAUDE, "input": "One?", "background": True, "stream": True})
    events = events_of(text)
    assert status == 200 and [responses_spec.event_problem(e) for e in events] == [None] * len(events)
    assert [e["sequence_number"] for e in events] == list(range(len(events))) and text.endswith("data: [DONE]\n\n")
    assert text_of(gateway, "GET", f"/v1/responses/{events[0]['response']['id']}?stream=true") == (200, text)


@pytest.mark.usefixtures("need_recordings")
def test_what_did_not_end_well_is_valid_too(gateway, up):
    up.clear()
    up.reply("POST", "/v1/chat/completions", status=500, body=b"oops")
    _, made = call(gateway, "POST", "/v1/responses", {"model": CHAT, "input": "One?", "background": True})
    while (failed := call(gateway, "GET", f"/v1/responses/{made['id']}")[1])["status"] in ("queued", "in_progress"):
        pass
    assert failed["status"] == "failed" and responses_spec.resource_problem(failed) is None
    script = held(up)
    _, made = call(gateway, "POST", "/v1/responses", {"model": CHAT, "input": "One?", "background": True})
    _, cancelled = call(gateway, "POST", f"/v1/responses/{made['id']}/cancel")
    assert cancelled["status"] == "cancelled" and responses_spec.resource_problem(cancelled) is None
    script.release()
