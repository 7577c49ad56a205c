// openai, chat completions. Streams are read with the SDK's own accumulator.

import OpenAI from "openai";

const client = new OpenAI({ baseURL: `${process.env.GATEWAY}/v1`, apiKey: "sk-test-client", maxRetries: 0 });
const STOPS = { stop: "end", length: "length", tool_calls: "tools" };

export const hasIds = true;

function messages({ words, system, history, image }) {
	const out = system ? [{ role: "system", content: system }] : [];
	const picture = { type: "image_url", image_url: { url: `data:image/png;base64,${image}` } };
	out.push({ role: "user", content: image ? [{ type: "text", text: words }, picture] : words });
	if (history) {
		out.push(history.first.message);
		out.push(...history.results.map((r) => ({ role: "tool", tool_call_id: r.id, content: r.output })));
	}
	return out;
}

export async function ask(asked) {
	const request = { model: asked.model, max_completion_tokens: asked.limit, messages: messages(asked) };
	if (asked.tools)
		request.tools = asked.tools.map((f) => ({ type: "function", function: f }));
	if (asked.force)
		request.tool_choice = "required";
	if (asked.schema)
		request.response_format = { type: "json_schema", json_schema: { name: "answer", strict: true, schema: asked.schema } };
	return see(asked.stream ? await streamed(request) : await client.chat.completions.create(request));
}

async function streamed(request) {
	let before = "", thinking = "";
	const stream = client.chat.completions.stream({ ...request, stream_options: { include_usage: true } });
	stream.on("content", (delta) => (before += delta));
	stream.on("chunk", (chunk) => (thinking += chunk.choices[0]?.delta.reasoning_content ?? ""));
	try {
		const completion = await stream.finalChatCompletion();
		// What it does not know it does not put together.
		if (thinking)
			completion.choices[0].message.reasoning_content = thinking;
		return completion;
	} catch (e) {
		// The accumulator refuses an answer cut short by the limit; what it holds is whole all the same.
		if (e.name === "LengthFinishReasonError" || /length limit/.test(e.message))
			return stream.currentChatCompletionSnapshot;
		throw Object.assign(e, { before });
	}
}

function see(completion) {
	const [{ message, finish_reason }] = completion.choices;
	return {
		text: message.content ?? "",
		calls: (message.tool_calls ?? []).map((c) => ({ id: c.id, name: c.function.name, input: JSON.parse(c.function.arguments) })),
		stop: STOPS[finish_reason],
		usage: [completion.usage?.prompt_tokens, completion.usage?.completion_tokens],
		thinking: message.reasoning_content ?? "",
		message,
	};
}

export async function embed(model, input) {
	return (await client.embeddings.create({ model, input })).data.map((d) => d.embedding);
}

export function fault(e) {
	return { status: e.status, message: e.message, headers: e.headers, before: e.before };
}
