// ollama, chat.

import { Ollama } from "ollama";

const client = new Ollama({ host: process.env.GATEWAY });
const STOPS = { stop: "end", length: "length" };

export const hasIds = false;

function messages({ words, system, history, image }) {
	const out = system ? [{ role: "system", content: system }] : [];
	out.push({ role: "user", content: words, ...(image ? { images: [image] } : {}) });
	if (history) {
		out.push(history.first.message);
		out.push(...history.results.map((r) => ({ role: "tool", tool_name: r.name, content: r.output })));
	}
	return out;
}

export async function ask(asked) {
	const request = { model: asked.model, messages: messages(asked), options: { num_predict: asked.limit } };
	if (asked.tools)
		request.tools = asked.tools.map((f) => ({ type: "function", function: f }));
	if (asked.schema)
		request.format = asked.schema;
	const chunks = [];
	try {
		if (asked.stream)
			for await (const chunk of await client.chat({ ...request, stream: true }))
				chunks.push(chunk);
		else
			chunks.push(await client.chat(request));
	} catch (e) {
		throw Object.assign(e, { before: text(chunks) });
	}
	return see(chunks);
}

const text = (chunks) => chunks.map((c) => c.message.content).join("");

function see(chunks) {
	const last = chunks.at(-1);
	const calls = chunks.flatMap((c) => c.message.tool_calls ?? []);
	const stop = STOPS[last.done_reason];
	return {
		text: text(chunks),
		calls: calls.map(({ function: f }) => ({ name: f.name, input: f.arguments })),
		stop: stop === "end" && calls.length ? "tools" : stop,
		usage: [last.prompt_eval_count, last.eval_count],
		thinking: chunks.map((c) => c.message.thinking ?? "").join(""),
		message: { role: "assistant", content: text(chunks), ...(calls.length ? { tool_calls: calls } : {}) },
	};
}

export async function embed(model, input) {
	return (await client.embed({ model, input })).embeddings;
}

export function fault(e) {
	return { status: e.status_code, message: e.message, before: e.before };
}
