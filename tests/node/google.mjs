// @google/genai, generateContent and its stream.

import { GoogleGenAI } from "@google/genai";

const client = new GoogleGenAI({ apiKey: "test-client", httpOptions: { baseUrl: process.env.GATEWAY } });
const STOPS = { STOP: "end", MAX_TOKENS: "length" };

export const hasIds = false;

function contents({ words, history, image }) {
	const picture = image ? [{ inlineData: { mimeType: "image/png", data: image } }] : [];
	const out = [{ role: "user", parts: [{ text: words }, ...picture] }];
	if (history) {
		out.push({ role: "model", parts: history.first.parts });
		out.push({ role: "user", parts: history.results.map((r) => (
			{ functionResponse: { ...(r.id ? { id: r.id } : {}), name: r.name, response: { output: r.output } } })) });
	}
	return out;
}

export async function ask(asked) {
	const config = { maxOutputTokens: asked.limit };
	if (asked.system)
		config.systemInstruction = asked.system;
	if (asked.tools)
		config.tools = [{ functionDeclarations: asked.tools.map(({ parameters, ...f }) => ({ ...f, parametersJsonSchema: parameters })) }];
	if (asked.force)
		config.toolConfig = { functionCallingConfig: { mode: "ANY" } };
	if (asked.schema)
		Object.assign(config, { responseMimeType: "application/json", responseJsonSchema: asked.schema });
	const request = { model: asked.model, contents: contents(asked), config };
	const chunks = [];
	try {
		if (asked.stream)
			for await (const chunk of await client.models.generateContentStream(request))
				chunks.push(chunk);
		else
			chunks.push(await client.models.generateContent(request));
		return see(chunks);
	} catch (e) {
		throw Object.assign(e, { before: text(chunks) });
	}
}

const text = (chunks) => parts(chunks).map((p) => (p.thought ? "" : p.text ?? "")).join("");
const parts = (chunks) => chunks.flatMap((c) => c.candidates?.[0]?.content?.parts ?? []);

function see(chunks) {
	const finishes = chunks.map((c) => c.candidates?.[0]?.finishReason).filter(Boolean);
	// This SDK says nothing of a stream that simply ends; whoever uses it looks at the reason.
	if (finishes.length !== 1)
		throw new Error(`${finishes.length} finish reasons`);
	const calls = parts(chunks).filter((p) => p.functionCall).map(({ functionCall: c }) => ({ id: c.id, name: c.name, input: c.args ?? {} }));
	const usage = chunks.at(-1).usageMetadata;
	const stop = STOPS[finishes[0]];
	return {
		text: text(chunks),
		calls,
		stop: stop === "end" && calls.length ? "tools" : stop,
		usage: [usage?.promptTokenCount, usage?.candidatesTokenCount],
		thinking: parts(chunks).map((p) => (p.thought ? p.text ?? "" : "")).join(""),
		parts: parts(chunks),
	};
}

export async function embed(model, contents) {
	return (await client.models.embedContent({ model, contents })).embeddings.map((e) => e.values);
}

export function fault(e) {
	return { status: e.status, message: e.message, before: e.before };
}
