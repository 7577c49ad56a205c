// The vendors' SDKs as readers of answers that are held in hand: for each, what the SDK makes of it, one JSON line.
//
// stdin: one JSON line each: {front, stream, kind: the content type, body: base64}. stdout: {text, reasoning, calls, cites, usage}, or
// {error} where the SDK refuses it. No request leaves the process: the SDKs' fetch is given the bytes.

import { createInterface } from "node:readline";

import Anthropic from "@anthropic-ai/sdk";
import { GoogleGenAI } from "@google/genai";
import { Ollama } from "ollama";
import OpenAI from "openai";

let held;
globalThis.fetch = async () => new Response(held.bytes, { status: 200, headers: { "content-type": held.kind } });

const base = "http://held.test";
const openai = new OpenAI({ baseURL: `${base}/v1`, apiKey: "k", maxRetries: 0, fetch: globalThis.fetch });
const claude = new Anthropic({ baseURL: base, apiKey: "k", authToken: null, maxRetries: 0, fetch: globalThis.fetch });
const google = new GoogleGenAI({ apiKey: "k", httpOptions: { baseUrl: base } });
const ollama = new Ollama({ host: base, fetch: globalThis.fetch });
const HI = [{ role: "user", content: "Hi" }];

const parsed = (text) => {
	try {
		return text.trim() ? JSON.parse(text) : {};
	} catch {
		return text;
	}
};

const collect = async (stream) => {
	const out = [];
	for await (const chunk of stream)
		out.push(chunk);
	return out;
};

const readers = {
	async "openai-chat"(stream) {
		const request = { model: "m", messages: HI };
		if (!stream)
			return ofChat((await openai.chat.completions.create(request)), "");
		let thinking = "";
		const cites = [];
		const events = openai.chat.completions.stream({ ...request, stream_options: { include_usage: true } });
		// What this SDK does not know it does not put together.
		events.on("chunk", (c) => {
			thinking += c.choices[0]?.delta.reasoning_content ?? "";
			cites.push(...(c.choices[0]?.delta.annotations ?? []));
		});
		let completion;
		try {
			completion = await events.finalChatCompletion();
		} catch (e) {
			if (!/length limit|content filter/i.test(e.message))
				throw e;
			completion = events.currentChatCompletionSnapshot;
		}
		return { ...ofChat(completion, thinking), cites: cites.map((a) => a.url_citation.url) };
	},

	async "openai-responses"(stream) {
		const request = { model: "m", input: "Hi", store: false };
		const r = stream ? await openai.responses.stream(request).finalResponse() : await openai.responses.create(request);
		const parts = r.output.filter((i) => i.type === "message").flatMap((i) => i.content);
		const thoughts = r.output.filter((i) => i.type === "reasoning");
		const calls = r.output.filter((i) => i.type === "function_call");
		const cut = r.status === "incomplete" && r.incomplete_details.reason;
		return {
			text: parts.map((p) => p.text ?? p.refusal).join(""),
			reasoning: thoughts.map((i) => i.content?.length ? i.content.map((p) => p.text).join("") : i.summary.map((p) => p.text).join("\n\n")).join(""),
			calls: calls.map((c) => [c.name, parsed(c.arguments)]),
			cites: parts.flatMap((p) => p.annotations ?? []).filter((a) => a.type === "url_citation").map((a) => a.url),
			stop: cut ? { max_output_tokens: "length", content_filter: "refusal" }[cut]
				: calls.length ? "tools" : parts.some((p) => p.type === "refusal") ? "refusal" : "end",
			usage: [r.usage.input_tokens, r.usage.output_tokens, r.usage.input_tokens_details.cached_tokens, r.usage.output_tokens_details.reasoning_tokens],
		};
	},

	async "anthropic-messages"(stream) {
		const request = { model: "m", max_tokens: 1000, messages: HI };
		const m = stream ? await claude.messages.stream(request).finalMessage() : await claude.messages.create(request);
		const texts = m.content.filter((b) => b.type === "text");
		const cached = m.usage.cache_read_input_tokens ?? 0;
		return {
			text: texts.map((b) => b.text).join(""),
			reasoning: m.content.filter((b) => b.type === "thinking").map((b) => b.thinking).join(""),
			calls: m.content.filter((b) => b.type === "tool_use").map((b) => [b.name, b.input]),
			cites: texts.flatMap((b) => b.citations ?? []).map((c) => c.url),
			stop: { end_turn: "end", stop_sequence: "end", max_tokens: "length", tool_use: "tools", refusal: "refusal", pause_turn: "end",
				model_context_window_exceeded: "length" }[m.stop_reason],
			usage: [m.usage.input_tokens + cached + (m.usage.cache_creation_input_tokens ?? 0), m.usage.output_tokens, cached,
				m.usage.output_tokens_details?.thinking_tokens ?? 0],
		};
	},

	async gemini(stream) {
		const request = { model: "m", contents: "Hi" };
		const chunks = stream ? await collect(await google.models.generateContentStream(request)) : [await google.models.generateContent(request)];
		const candidates = chunks.map((c) => c.candidates?.[0]).filter(Boolean);
		const parts = candidates.flatMap((c) => c.content?.parts ?? []);
		const calls = parts.filter((p) => p.functionCall).map((p) => [p.functionCall.name, p.functionCall.args ?? {}]);
		const finish = candidates.map((c) => c.finishReason).filter(Boolean).at(-1);
		const usage = chunks.map((c) => c.usageMetadata).filter(Boolean).at(-1);
		const thought = usage.thoughtsTokenCount ?? 0;
		const stop = { STOP: "end", MAX_TOKENS: "length", SAFETY: "refusal", RECITATION: "refusal" }[finish];
		return {
			text: parts.filter((p) => !p.thought).map((p) => p.text ?? "").join(""),
			reasoning: parts.filter((p) => p.thought).map((p) => p.text ?? "").join(""),
			calls,
			cites: candidates.flatMap((c) => c.groundingMetadata?.groundingChunks ?? []).map((c) => c.web.uri),
			stop: stop === "end" && calls.length ? "tools" : stop,
			usage: [usage.promptTokenCount, (usage.candidatesTokenCount ?? 0) + thought, usage.cachedContentTokenCount ?? 0, thought],
		};
	},

	async "ollama-chat"(stream) {
		const request = { model: "m", messages: HI };
		const parts = stream ? await collect(await ollama.chat({ ...request, stream: true })) : [await ollama.chat(request)];
		const calls = parts.flatMap((p) => p.message.tool_calls ?? []).map((c) => [c.function.name, c.function.arguments]);
		const last = parts.at(-1);
		return {
			text: parts.map((p) => p.message.content ?? "").join(""),
			reasoning: parts.map((p) => p.message.thinking ?? "").join(""),
			calls,
			cites: [],
			stop: last.done_reason === "length" ? "length" : calls.length ? "tools" : "end",
			usage: [last.prompt_eval_count, last.eval_count, 0, 0],
		};
	},
};

function ofChat(completion, thinking) {
	const [{ message, finish_reason }] = completion.choices;
	const stop = { stop: "end", length: "length", tool_calls: "tools", content_filter: "refusal" }[finish_reason];
	const u = completion.usage;
	return {
		text: (message.content ?? "") + (message.refusal ?? ""),
		reasoning: message.reasoning_content && !thinking ? message.reasoning_content : thinking,
		calls: (message.tool_calls ?? []).map((c) => [c.function.name, parsed(c.function.arguments)]),
		cites: (message.annotations ?? []).map((a) => a.url_citation.url),
		stop: stop === "end" && message.refusal ? "refusal" : stop,
		usage: [u.prompt_tokens, u.completion_tokens, u.prompt_tokens_details?.cached_tokens ?? 0, u.completion_tokens_details?.reasoning_tokens ?? 0],
	};
}

for await (const line of createInterface({ input: process.stdin })) {
	const { front, stream, kind, body } = JSON.parse(line);
	held = { kind, bytes: Buffer.from(body, "base64") };
	try {
		console.log(JSON.stringify(await readers[front](stream)));
	} catch (e) {
		console.log(JSON.stringify({ error: `${e.name}: ${e.message}` }));
	}
}
