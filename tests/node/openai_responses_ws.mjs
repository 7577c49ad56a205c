// openai, responses over a WebSocket, one for each request.

import OpenAI from "openai";
import { ResponsesWS } from "openai/resources/responses/ws";

import { requestOf, see } from "./openai_responses.mjs";

const client = new OpenAI({ baseURL: `${process.env.GATEWAY}/v1`, apiKey: "sk-test-client" });

export const hasIds = true;
export const unknownModel = 400;

export async function ask(asked) {
	const socket = new ResponsesWS(client);
	try {
		const response = await turn(socket, requestOf(asked));
		// Over HTTP the SDK adds this itself.
		const parts = response.output.filter((i) => i.type === "message").flatMap((i) => i.content);
		return see({ ...response, output_text: parts.map((p) => p.text ?? "").join("") });
	} finally {
		socket.close();
	}
}

function turn(socket, request) {
	let before = "";
	return new Promise((resolve, reject) => {
		const fail = (e) => reject(Object.assign(e, { before }));
		socket.on("response.output_text.delta", (event) => (before += event.delta));
		socket.on("response.completed", (event) => resolve(event.response));
		socket.on("response.incomplete", (event) => resolve(event.response));
		socket.on("response.failed", (event) => fail(new Error(event.response.error.message)));
		socket.on("error", fail);
		socket.send({ type: "response.create", ...request });
	});
}

export function fault(e) {
	const event = e.error; // the envelope, if one came
	return {
		status: event?.status,
		message: event?.error.message ?? e.message,
		headers: event?.headers && new Headers(event.headers),
		before: e.before,
	};
}
