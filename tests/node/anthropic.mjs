// @anthropic-ai/sdk, messages. Streams are read with the SDK's own accumulator.

import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic({ baseURL: process.env.GATEWAY, apiKey: "sk-ant-test-client", authToken: null, maxRetries: 0 });
const STOPS = { end_turn: "end", max_tokens: "length", tool_use: "tools" };

export const hasIds = true;

function messages({ words, history, image }) {
	const picture = { type: "image", source: { type: "base64", media_type: "image/png", data: image } };
	const out = [{ role: "user", content: image ? [{ type: "text", text: words }, picture] : words }];
	if (history) {
		out.push({ role: "assistant", content: history.first.message.content });
		out.push({ role: "user", content: history.results.map((r) => (
			{ type: "tool_result", tool_use_id: r.id, content: r.output })) });
	}
	return out;
}

export async function ask(asked) {
	const request = { model: asked.model, max_tokens: asked.limit, messages: messages(asked) };
	if (asked.system)
		request.system = asked.system;
	if (asked.tools)
		request.tools = asked.tools.map(({ parameters, ...f }) => ({ ...f, input_schema: parameters }));
	if (asked.force)
		request.tool_choice = { type: "any" };
	if (asked.schema)
		request.output_config = { format: { type: "json_schema", schema: asked.schema } };
	return see(asked.stream ? await streamed(request) : await client.messages.create(request));
}

async function streamed(request) {
	let before = "";
	const stream = client.messages.stream(request);
	stream.on("text", (delta) => (before += delta));
	try {
		return await stream.finalMessage();
	} catch (e) {
		throw Object.assign(e, { before });
	}
}

function see(message) {
	return {
		text: message.content.filter((b) => b.type === "text").map((b) => b.text).join(""),
		calls: message.content.filter((b) => b.type === "tool_use").map(({ id, name, input }) => ({ id, name, input })),
		stop: STOPS[message.stop_reason],
		usage: [message.usage.input_tokens, message.usage.output_tokens],
		thinking: message.content.filter((b) => b.type === "thinking").map((b) => b.thinking).join(""),
		message,
	};
}

export function fault(e) {
	return { status: e.status, message: e.message, headers: e.headers, before: e.before };
}
