"""Every quirk of src/protocols/quirks.def by what it does: a provider with it and one without get the same request of a client of another
dialect, and what differs is what the quirk's line says. A new quirk without a test here is found by the last one.
"""

import json
import re

import pytest

from lib import canned, recordings
from lib.gateway import CHECKOUT

HI = [{"role": "user", "content": "Hi"}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
TOOL = {"name": "weather", "description": "d", "input_schema": SCHEMA}
CALLED = [*HI, {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_01A", "name": "weather", "input": {"city": "Ulm"}}]},
          {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_01A", "content": "Rain"}]}]
THINKING = {"type": "enabled", "budget_tokens": 2048}
BEGUN = [*HI, {"role": "assistant", "content": "He"}]
MARK = "\0"     # stands for "not there"

QUIRKS = re.findall(r'^X\([A-Z_]+, "([a-z_]+)"', (CHECKOUT / "src" / "protocols" / "quirks.def").read_text(), re.M)


WITH = {"reasoning_field": ["send_reasoning"]}      # what it is the name of is sent back by that alone


class Both:
    """A provider without a quirk, and one with it."""

    def __init__(self, gateway, up, quirk):
        self.gateway, self.up, self.names = gateway, up, ("plain", quirk.replace("_", "-"))

    def ask(self, path, request, n=2, expect=200):
        """[(what the provider got, what was dropped, the answer)], without the quirk and with it."""
        out = []
        for name in self.names[:n]:
            self.up.clear()
            for where in ("chat/completions", "completions"):
                self.up.reply("POST", f"/v1/{where}", body=self.answer)
            before = len(self.up.requests)
            model = {} if "{model}" in path else {"model": f"{name}/m"}
            answer = self.gateway.request("POST", path.replace("{model}", f"{name}/m"), [("content-type", "application/json")],
                                          canned.dumps({**request, **model}).encode())
            wanted = expect if name == self.names[1] else 200
            assert answer.status == wanted, (name, answer.status, answer.body)
            body = json.loads(self.up.requests[-1].body) if len(self.up.requests) > before else None
            out.append((body, (answer.headers.get("x-llm-gateway-dropped") or "").split(", "), answer.body))
        return out

    def answer(self, request):
        body = request.json()
        if "prompt" in body:
            return canned.dumps({"id": "c", "object": "text_completion", "created": 1, "model": "m", "usage": canned.openai_usage(),
                                 "choices": [{"text": "on", "index": 0, "logprobs": None, "finish_reason": "stop"}]}).encode()
        if body.get("stream"):
            return canned.openai_stream(("Hel", "lo"))
        last = body["messages"][-1]
        if self.names[1] == "repeats-prefill" and last["role"] == "assistant":
            return canned.openai_answer(last["content"] + "llo")
        return canned.openai_answer('{"city":"Ulm"}' if body.get("response_format") else "Hello.")

    def claude(self, messages=HI, **more):
        return self.ask("/v1/messages", {"max_tokens": 9000, "messages": messages, **more})

    def members(self, *path, request=None, ask=None):
        """A member of the bodies: (without the quirk, with it)."""
        out = []
        for body, _, _ in ask or self.claude(**(request or {})):
            for step in path:
                body = body.get(step, MARK) if isinstance(body, dict) else body[step] if isinstance(body, list) else MARK
            out.append(body)
        return tuple(out)


@pytest.fixture(scope="module")
def up(module_faultd):
    return module_faultd()


@pytest.fixture(scope="module")
def gateway(start_module_gateway, up):
    one = {"type": "openai-compatible", "base_url": f"{up.origin}/v1", "discover": False}
    return start_module_gateway({"providers": {"plain": one, **{q.replace("_", "-"): {**one, "quirks": [q, *WITH.get(q, ())]} for q in QUIRKS}}})


def no_stream_options(b):
    assert b.members("stream_options", request={"stream": True}) == ({"include_usage": True}, MARK)


def max_tokens(b):
    assert b.members("max_tokens") == (MARK, 9000) and b.members("max_completion_tokens") == (9000, MARK)


def no_completions(b):
    plain, quirky = b.ask("/v1/completions", {"prompt": "Go", "max_tokens": 3})
    assert "prompt" in plain[0] and quirky[0]["messages"] == [{"role": "user", "content": "Go"}]


def no_developer_role(b):
    asked = b.ask("/v1/responses", {"input": [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "Hi"},
                                              {"role": "developer", "content": "Now."}], "store": False})
    assert [{m["role"] for m in body["messages"]} for body, _, _ in asked] == [{"developer", "user"}, {"system", "user"}]


def reasoning_field(b):
    turn = {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm.", "signature": ""}, *CALLED[1]["content"]]}
    asked = b.claude([HI[0], turn, CALLED[2]], tools=[TOOL])
    assert b.members("messages", 1, "reasoning", ask=asked) == (MARK, "Hm.")
    assert b.members("messages", 1, "reasoning_content", ask=asked) == (MARK, MARK)


def send_reasoning(b):
    turn = {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm.", "signature": ""}, *CALLED[1]["content"]]}
    assert b.members("messages", 1, "reasoning_content", request={"messages": [HI[0], turn, CALLED[2]], "tools": [TOOL]}) == (MARK, "Hm.")


def no_json_schema(b):
    wish = {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}
    assert b.members("response_format", "type", request=wish) == ("json_schema", "json_object")


def no_null_content(b):
    assert b.members("messages", 1, "content", request={"messages": CALLED, "tools": [TOOL]}) == (None, "")


def no_parallel_tool_calls(b):
    wish = {"tools": [TOOL], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}
    assert b.members("parallel_tool_calls", request=wish) == (False, MARK)
    assert "parallel_tool_calls" in b.claude(**wish)[1][1]


def forced_tool_as_schema(b):
    plain, quirky = b.claude(tools=[TOOL], tool_choice={"type": "any"})
    assert plain[0]["tool_choice"] == "required" and quirky[0]["response_format"]["type"] == "json_schema"
    assert json.loads(quirky[2])["content"][0]["input"] == {"city": "Ulm"}


def top_k(b):
    assert b.members("top_k", request={"top_k": 7}) == (MARK, 7)


def repeats_prefill(b):
    texts = [json.loads(answer)["content"][0]["text"] for _, _, answer in b.claude(BEGUN)]
    assert texts == ["Hello", "llo"]        # both providers repeat it; of one it is known


def no_reasoning_effort(b):
    assert b.members("reasoning_effort", request={"thinking": THINKING}) != (MARK, MARK)
    assert b.members("reasoning_effort", request={"thinking": THINKING})[1] == MARK


def text_content(b):
    parts = [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]
    plain, quirky = b.members("messages", 0, "content", request={"messages": parts})
    assert isinstance(plain, list) and isinstance(quirky, str) and quirky.startswith("a") and quirky.endswith("b")


def allowed_tools(b):
    tools = [{"type": "function", "name": n, "parameters": SCHEMA, "strict": False} for n in ("weather", "time")]
    choice = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "time"}]}
    plain, quirky = b.ask("/v1/responses", {"input": "Hi", "tools": tools, "tool_choice": choice, "store": False})
    assert [len(body["tools"]) for body in (plain[0], quirky[0])] == [1, 2]
    assert quirky[0]["tool_choice"]["type"] == "allowed_tools"


def prefix(b):
    assert b.members("messages", 1, "prefix", request={"messages": BEGUN}) == (MARK, True)


def thinking_type(b):
    assert b.members("thinking", request={"thinking": THINKING}) == (MARK, {"type": "enabled"})


def enable_thinking(b):
    assert b.members("enable_thinking", request={"thinking": THINKING}) == (MARK, True)
    assert b.members("thinking_budget", request={"thinking": THINKING}) == (MARK, 2048)
    forced = {"thinking": {"type": "enabled", "budget_tokens": 2048}, "tools": [TOOL], "tool_choice": {"type": "any"}}
    assert b.members("enable_thinking", request=forced) == (MARK, False)


def short_tool_ids(b):
    plain, quirky = b.members("messages", 2, "tool_call_id", request={"messages": CALLED, "tools": [TOOL]})
    assert plain == "toolu_01A" and re.fullmatch("[A-Za-z0-9]{9}", quirky)


def core_fields(b):
    plain, quirky = b.claude(metadata={"user_id": "u"})
    assert plain[0]["user"] == "u" and "user" not in quirky[0] and "user" in quirky[1]
    known = {"metadata": {"a": "b"}, "prompt_cache_key": "k", "text": {"verbosity": "low"}, "input": "Hi", "store": False}
    plain, quirky = b.ask("/v1/responses", known)
    assert plain[0]["verbosity"] == "low" and "verbosity" not in quirky[0] and "verbosity" in quirky[1]
    assert [(body["metadata"], body["prompt_cache_key"]) for body in (plain[0], quirky[0])] == [({"a": "b"}, "k")] * 2


def random_seed(b):
    asked = b.ask("/v1beta/models/{model}:generateContent", {"contents": [{"parts": [{"text": "Hi"}]}], "generationConfig": {"seed": 5}})
    assert b.members("seed", ask=asked) == (5, MARK) and b.members("random_seed", ask=asked) == (MARK, 5)


def google_signatures(b):
    turn = {"role": "assistant", "content": [{"type": "thinking", "thinking": "", "signature": "lgw1.gemini.c2ln"}, *CALLED[1]["content"]]}
    asked = b.claude([HI[0], turn, CALLED[2]], tools=[TOOL])
    proof = {"google": {"thought_signature": "c2ln"}}
    assert b.members("messages", 1, "tool_calls", 0, "extra_content", ask=asked) == (MARK, proof)


def custom_tools(b):
    asked = b.ask("/v1/responses", {"input": "Hi", "tools": [{"type": "custom", "name": "patch"}], "store": False})
    assert b.members("tools", 0, "type", ask=asked) == ("function", "custom")


def one_answer(b):
    wish = {"contents": [{"parts": [{"text": "Hi"}]}], "generationConfig": {"candidateCount": 2}}
    plain, quirky = b.ask("/v1beta/models/{model}:generateContent", wish, expect=400)
    assert plain[0]["n"] == 2 and quirky[0] is None and b"one answer" in quirky[2]


def no_logprobs(b):
    wish = {"generationConfig": {"responseLogprobs": True, "logprobs": 2}, "contents": [{"parts": [{"text": "Hi"}]}]}
    asked = b.ask("/v1beta/models/{model}:generateContent", wish)
    assert b.members("top_logprobs", ask=asked) == (2, MARK) and b.members("logprobs", ask=asked) == (True, MARK)
    assert {"logprobs", "top_logprobs"} <= set(asked[1][1])


def assistant_images(b):
    url = "data:image/png;base64,iVBORw0KGgo="
    turn = {"role": "model", "parts": [{"text": "Here"}, {"inlineData": {"mimeType": "image/png", "data": url.partition(",")[2]}}]}
    users = [{"role": "user", "parts": [{"text": text}]} for text in ("Draw", "Bluer")]
    plain, quirky = b.ask("/v1beta/models/{model}:generateContent",
                          {"contents": [users[0], turn, users[1]], "generationConfig": {"responseModalities": ["TEXT", "IMAGE"]}})
    image = {"type": "image_url", "image_url": {"url": url}}
    assert quirky[0]["messages"][1:] == [{"role": "assistant", "content": "Here", "images": [image]}, {"role": "user", "content": "Bluer"}]
    assert plain[0]["messages"][1] == {"role": "assistant", "content": "Here"} and image in plain[0]["messages"][2]["content"]
    assert quirky[0]["modalities"] == ["text", "image"] and "modalities" not in plain[0]
    assert (plain[1], quirky[1]) == (["modalities"], [""])


def strict_messages(b):
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    turn = {"role": "assistant", "tool_calls": [call], "reasoning_details": [{"type": "reasoning.text", "text": "Hm."}]}
    asked = b.ask("/v1/chat/completions", {"messages": [*HI, turn, {"role": "tool", "tool_call_id": "c", "content": "x"}]})
    assert b.members("messages", 1, "reasoning_details", ask=asked) == (turn["reasoning_details"], MARK)
    assert b.members("messages", 1, "tool_calls", ask=asked) == ([call], [call])
    assert [dropped for _, dropped, _ in asked] == [[""], ["reasoning_content"]]


def count_at(b, path, answer):
    """[(tokens, whether that is an estimate, how often the provider was asked)], without the quirk and with it."""
    out = []
    for name in b.names:
        b.up.clear()
        script = b.up.reply("POST", path, body=json.dumps(answer).encode())
        counted = b.gateway.request("POST", "/v1/messages/count_tokens", [("content-type", "application/json")],
                                    json.dumps({"model": f"{name}/m", "messages": HI}).encode())
        out.append((counted.json()["input_tokens"], "x-llm-gateway-estimated" in counted.headers, len(script.hits)))
    return out


def counts_tokens(b):
    plain, quirky = count_at(b, "/v1/chat/completions/input_tokens", {"input_tokens": 4711})
    assert plain[0] < 100 and plain[1:] == (True, 0) and quirky == (4711, False, 1)


def tokenize(b):
    plain, quirky = count_at(b, "/tokenize", {"count": 4711, "max_model_len": 9999, "tokens": []})
    assert plain[0] < 100 and plain[1:] == (True, 0) and quirky == (4711, False, 1)


TOOLS = [TOOL, {**TOOL, "name": "time"}]


def no_named_tool(b):
    plain, quirky = b.claude(tools=TOOLS, tool_choice={"type": "tool", "name": "time"})
    assert plain[0]["tool_choice"]["function"]["name"] == "time" and len(plain[0]["tools"]) == 2
    assert quirky[0]["tool_choice"] == "required" and [t["function"]["name"] for t in quirky[0]["tools"]] == ["time"]


def auto_tool_choice(b):
    for choice in ({"type": "tool", "name": "time"}, {"type": "any"}):
        plain, quirky = b.claude(tools=TOOLS, tool_choice=choice)
        assert plain[0]["tool_choice"] != "auto" and (quirky[0]["tool_choice"], len(quirky[0]["tools"])) == ("auto", 2)
        assert "tool_choice" not in plain[1] and "tool_choice" in quirky[1]
    plain, quirky = b.claude(tools=TOOLS, tool_choice={"type": "none"})
    assert plain[0]["tool_choice"] == "none" and "tools" not in quirky[0] and "tool_choice" not in quirky[0]


@pytest.mark.parametrize("quirk", QUIRKS)
def test_a_quirk_does_what_its_line_says(gateway, up, quirk):
    globals()[quirk](Both(gateway, up, quirk))


PRESETS = (CHECKOUT / "src" / "providers" / "presets.def").read_text()


def test_every_vendor_of_the_list_has_a_preset():
    wanted = {"groq", "mistral", "xai", "openrouter", "together", "perplexity", "fireworks", "cerebras", "qwen", "moonshot", "zhipu", "vllm",
              "sglang", "lmstudio", "llamacpp"}
    assert wanted <= set(re.findall(r'^X\("(\w+)"', PRESETS, re.M))


# ---- what they rest on -------------------------------------------------------------------------------------------------------

FACTS = re.findall(r'^X\("([\w-]+)", (\w+), (\w+), "(.*)"\)$', (CHECKOUT / "src" / "providers" / "facts.def").read_text(), re.M)
# What a recording shows of a quirk: a member of the answers' messages, of the requests, or of the requests' messages.
SHOWN = {"REASONING_FIELD": ("answer", "reasoning"), "SEND_REASONING": ("turn", ("reasoning", "reasoning_content", "reasoning_details")),
         "THINKING_TYPE": ("request", "thinking"), "TOP_K": ("request", "top_k"), "PREFIX": ("turn", ("prefix",)),
         "SHORT_TOOL_IDS": ("answer", "tool_calls")}


def shows(r, place, name):
    body = json.loads(r.body) if r.body and not r.stream else {}
    if place == "request":
        return name in (r.req or {})
    if place == "turn":
        return any(n in m for m in (r.req or {}).get("messages", []) for n in name)
    return any(c.get("message", {}).get(name) for c in body.get("choices", []))


@pytest.mark.parametrize("owner, quirk, where", [(o, q, w) for o, q, ground, w in FACTS if ground == "RECORDED"])
def test_what_is_said_to_be_recorded_is(owner, quirk, where):
    if recordings.shared_dir() is None:
        pytest.skip(recordings.reason_missing())
    name, host = re.match(r"(\w+), ([\w.]+)", where).groups()
    found = [r for r in recordings.load(name) if host in r.uri and r.status == 200 and shows(r, *SHOWN[quirk])]
    assert found, (owner, quirk, where)
