// openai, responses. Streams are read with the SDK's own accumulator.

import OpenAI from "openai";

const client = new OpenAI({ baseURL: `${process.env.GATEWAY}/v1`, apiKey: "sk-test-client", maxRetries: 0 });

export const hasIds = true;
export const unknownModel = 400;

function input({ words, history, image }) {
	const picture = { type: "input_image", image_url: `data:image/png;base64,${image}`, detail: "auto" };
	const out = [{ role: "user", content: image ? [{ type: "input_text", text: words }, picture] : words }];
	if (history) {
		out.push(...history.first.message.output);
		out.push(...history.results.map((r) => ({ type: "function_call_output", call_id: r.id, output: r.output })));
	}
	return out;
}

export function requestOf(asked) {
	const request = { model: asked.model, max_output_tokens: asked.limit, input: input(asked), store: false };
	if (asked.system)
		request.instructions = asked.system;
	if (asked.tools)
		request.tools = asked.tools.map((f) => ({ type: "function", strict: false, ...f }));
	if (asked.force)
		request.tool_choice = "required";
	if (asked.schema)
		request.text = { format: { type: "json_schema", name: "answer", strict: true, schema: asked.schema } };
	return request;
}

export async function ask(asked) {
	const request = requestOf(asked);
	return see(asked.stream ? await streamed(request) : await client.responses.create(request));
}

async function streamed(request) {
	let before = "";
	const stream = client.responses.stream(request);
	stream.on("response.output_text.delta", (event) => (before += event.delta));
	try {
		const response = await stream.finalResponse();
		// A stream that ends without its last event is no error to this SDK: the status tells.
		if (!["completed", "incomplete"].includes(response.status))
			throw new Error(`status ${response.status}: ${response.error?.message}`);
		return response;
	} catch (e) {
		throw Object.assign(e, { before });
	}
}

export function see(response) {
	const calls = response.output.filter((i) => i.type === "function_call");
	const length = response.status === "incomplete" && response.incomplete_details?.reason === "max_output_tokens";
	return {
		text: response.output_text,
		calls: calls.map((c) => ({ id: c.call_id, name: c.name, input: JSON.parse(c.arguments) })),
		stop: length ? "length" : calls.length ? "tools" : "end",
		usage: [response.usage?.input_tokens, response.usage?.output_tokens],
		thinking: response.output.filter((i) => i.type === "reasoning").flatMap((i) => i.content?.length ? i.content : i.summary).map((p) => p.text).join(""),
		message: response,
	};
}

export function fault(e) {
	return { status: e.status, message: e.message, headers: e.headers, before: e.before };
}
