"""Faults on a request's path that only show when two things meet: long streams, odd upstreams, leaving clients."""

import time

import pytest

from lib import canned
from lib.canned import dumps, sse

CHAT = "/v1/chat/completions"


def one_provider(up, **more):
    return {"providers": {"up": {"type": "openai-compatible", "base_url": f"{up.origin}/v1", "default": True,
                                 "discover": False}}, **more}


def chat(gateway, stream=False, **more):
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], **more}
    return gateway.request("POST", CHAT, json_body={**body, "stream": True} if stream else body)


def test_reading_along_with_a_long_relayed_stream_does_not_pile_up(start_gateway, upstream):
    """Chunks that all name their usage are all parsed: 40 MB of them, far more in parsed form, and the last one counts."""
    filler = "[" + "0," * 32000 + "0]"
    chunk = sse('{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"x"}}],"x":%s,'
                '"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}' % filler)
    small = canned.openai_chunk({"content": "y"}, usage=canned.openai_usage()) * 1500
    last = small + canned.openai_chunk({}, "stop") + canned.openai_chunk(usage=canned.openai_usage(11, 4711), choices=[])
    upstream.reply("POST", CHAT, body=chunk * 600 + last + b"data: [DONE]\n\n")
    gateway = start_gateway(one_provider(upstream))
    assert chat(gateway, stream=True, stream_options={"include_usage": True}).end == "complete"
    assert gateway.wait_access()[0]["output_tokens"] == 4711


def test_an_upstream_that_talks_on_after_its_end_is_left_soon(start_gateway, upstream):
    body = canned.openai_stream()
    more = {len(body) + 3 * i: 0.3 for i in range(30)}
    script = upstream.reply("POST", CHAT, body=body + b":\n\n" * 30, delays=more)
    gateway = start_gateway(one_provider(upstream))
    assert chat(gateway, stream=True).end == "complete"
    hit = script.wait_for_request()
    hit.wait_disconnect(4)


def test_an_error_answer_without_an_end_is_an_error_answer(start_gateway, upstream):
    upstream.reply("POST", CHAT, status=503, content_type="text/plain", body=b"x" * 400_000, fault="stall", at=300_000)
    gateway = start_gateway(one_provider(upstream))
    began = time.monotonic()
    assert chat(gateway).status == 503
    assert time.monotonic() - began < 5


def test_a_target_that_cannot_take_the_request_does_not_hide_why_the_one_before_failed(start_gateway, upstream, faultd):
    other = faultd()
    upstream.reply("POST", "/v1/messages", status=529, body=canned.anthropic_error("Overloaded", "overloaded_error"))
    gateway = start_gateway({
        "providers": {"a": {"type": "anthropic", "base_url": upstream.origin, "api_key": "sk-up", "discover": False},
                      "b": {"type": "openai-compatible", "base_url": f"{other.origin}/v1", "discover": False}},
        "models": [{"name": "both", "targets": [{"provider": "a", "model": "m"}, {"provider": "b", "model": "m"}]}],
        "strict_parameters": True})
    body = {"model": "both", "max_tokens": 9, "top_k": 3, "messages": [{"role": "user", "content": "Hi"}]}
    response = gateway.request("POST", "/v1/messages", json_body=body)
    assert (response.status, response.json()["error"]["type"]) == (529, "overloaded_error")


def test_the_record_of_a_client_that_left_says_who_it_was(start_gateway, upstream):
    script = upstream.reply("POST", CHAT, answer="never")
    gateway = start_gateway(one_provider(upstream))
    with gateway.connect() as client:
        name = "%s:%d" % client.sock.getsockname()
        client.request("POST", CHAT, json_body={"model": "m", "messages": []})
        script.wait_for_request()
    record = gateway.wait_access()[0]
    assert (record["end"], record["client"]) == ("client_gone", name)


def test_bar_17_a_stream_whose_beginning_cannot_be_held_is_no_answer(start_gateway, upstream):
    """What stands before the first meaningful event is kept back, within bounds; never is a part of it lost unnoticed."""
    begin = canned.anthropic_start()
    noise = canned.sse(dumps({"type": "ping", "x": "y" * 8_000_000}), event="ping") * 9
    upstream.reply("POST", "/v1/messages", body=begin + noise + canned.anthropic_stream()[len(begin):])
    gateway = start_gateway({"providers": {"a": {"type": "anthropic", "base_url": upstream.origin, "api_key": "sk-up",
                                                 "default": True, "discover": False}}})
    body = {"model": "m", "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
    response = gateway.request("POST", "/v1/messages", json_body=body)
    assert response.status == 502


@pytest.mark.parametrize("size", [65000, 65536 - 8])
def test_bar_26_an_event_of_the_longest_kind_passes_whatever_follows_it(start_gateway, upstream, size):
    """max_event bounds one event, not the bytes that one read brought."""
    chunk = sse('{"choices":[{"index":0,"delta":{"content":"%s"}}]}' % ("x" * (size - 60)))
    body = chunk + canned.openai_chunk({"content": "y"}) * 300 + canned.openai_stream()
    upstream.reply("POST", CHAT, body=body, holds=(), split=[len(chunk) - 1000], gap=0.1)
    gateway = start_gateway(one_provider(upstream, server={"max_event": "64KiB"}))
    response = chat(gateway, stream=True)
    assert (response.status, response.end) == (200, "complete")


def test_bar_35_a_reload_says_what_of_the_upstream_connections_takes_a_restart(start_gateway, upstream):
    """The clients of the workers keep the limits they were made with, so no reload may claim to have changed them."""
    gateway = start_gateway(one_provider(upstream))
    gateway.reload(one_provider(upstream, upstream={"pool_size": 7, "dns_ttl": "9s"}))
    for option in ("pool_size", "dns_ttl"):
        gateway.wait_log(f"upstream.{option} has changed; that takes a restart")
