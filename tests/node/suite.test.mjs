// One vendor's SDK against the gateway: each case asks for a subject at a kind of provider, whole or streamed.
//
// What is to be tested comes from outside, so that the caller can count it: GATEWAY is the address, SDK names the module beside
// this file, CASES is a list of {name, subject, kind or model, way}. The scripted providers answer by the words of the request,
// which name the case. An SDK is a module with ask(), what a subject needs of it, and fault().

import assert from "node:assert/strict";
import { test } from "node:test";

const sdk = await import(`./${process.env.SDK}.mjs`);
const USAGE = [21, 9];

const weather = {
	name: "weather",
	description: "Tells the weather.",
	parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false },
};
const city = {
	name: "weather",
	description: "Tells the weather.",
	parameters: { type: "object", properties: { city: { type: "string", enum: ["Bonn", "Ulm"] } }, required: ["city"], additionalProperties: false },
};
const time = { name: "time", description: "Tells the time.", parameters: { type: "object", properties: {} } };

// What was asked, in words common to all SDKs; each module makes its own request of it.
function ask(c, more = {}) {
	return sdk.ask({ model: c.model ?? `at-${c.kind}`, stream: c.way === "stream", words: `Please. case=${c.name};`, limit: 500, ...more });
}

async function fails(c, more) {
	try {
		await ask(c, more);
	} catch (e) {
		return sdk.fault(e);
	}
	assert.fail("the SDK saw no fault");
}

function said(seen, text, calls = [], stop = calls.length ? "tools" : "end") {
	assert.equal(seen.text, text);
	assert.deepEqual(seen.calls.map(({ name, input }) => [name, input]), calls);
	assert.equal(seen.stop, stop);
	if (sdk.hasIds)
		assert.equal(new Set(seen.calls.map((call) => call.id).filter(Boolean)).size, calls.length, "an id each");
}

const TEXT = "Hello, wörld. 🌍 And so on.";
const CALL = [["weather", { city: "Köln" }]];

// A subject whose provider says TEXT, in a form that is unusual but has a meaning; the same for calls.
const text = async (c) => {
	const seen = await ask(c);
	said(seen, TEXT);
	assert.deepEqual(seen.usage, USAGE);
};
const textWithoutUsage = async (c) => said(await ask(c), TEXT);
const call = async (c) => said(await ask(c, { tools: [weather, time] }), "Let me see.", CALL);
const emptyCall = async (c) => said(await ask(c, { tools: [weather, time] }), "", [["time", {}]]);
const twoCalls = async (c) => said(await ask(c, { tools: [weather, time] }), "", [...CALL, ["time", {}]]);

const cut = async (c) => {
	const fault = await fails(c);
	if (c.way === "stream")
		assert.ok(fault.before && TEXT.startsWith(fault.before), `before it: ${fault.before}`);
};

const subjects = {
	text,
	call,
	empty_call: emptyCall,
	two_calls: twoCalls,

	async tool_round_trip(c) {
		const first = await ask(c, { tools: [weather, time] });
		said(first, "", [["weather", { city: "Bonn" }], ["weather", { city: "Ulm" }]]);
		const results = [{ ...first.calls[0], output: "Rain" }, { ...first.calls[1], output: "Sun" }];
		said(await ask(c, { tools: [weather, time], history: { first, results } }), "Rain and sun.");
	},

	async forced_tool(c) {
		said(await ask(c, { tools: [city], force: true }), "", [["weather", { city: "Bonn" }]]);
	},

	async image(c) {
		said(await ask(c, { image: "iVBORw0KGgo=" }), "A dot.");
	},

	async structured(c) {
		said(await ask(c, { schema: weather.parameters }), '{"city":"Ulm"}');
	},

	async reasoning(c) {
		const seen = await ask(c);
		said(seen, TEXT);
		assert.equal(seen.thinking, "Hm, let me see.");
	},

	async vectors(c) {
		const texts = [`rain case=${c.name};`, "sun in Ulm"];
		assert.deepEqual(await sdk.embed(`at-${c.kind}`, texts), [[0.5, -1, 0.25], [2, 3, -0.125]]);
	},

	async system(c) {
		said(await ask(c, { system: "Be brief." }), "Brief.");
	},

	async max_tokens(c) {
		const seen = await ask(c, { limit: 33 });
		assert.equal(seen.text, "It is a long");
		assert.equal(seen.stop, "length");
	},

	async error_400(c) {
		const fault = await fails(c);
		assert.equal(fault.status, 400);
		assert.match(fault.message, /It was so\./);
	},

	async error_429(c) {
		const fault = await fails(c);
		assert.equal(fault.status, 429);
		assert.match(fault.message, /It was so\./);
		assert.equal(fault.headers?.get("retry-after") ?? "7", "7");
	},

	async error_500(c) {
		const fault = await fails(c);
		assert.equal(fault.status, 500);
		assert.match(fault.message, /It was so\./);
	},

	async error_overloaded(c) {
		const fault = await fails(c);
		assert.ok([503, 529].includes(fault.status), `status ${fault.status}`);
		assert.match(fault.message, /It was so\./);
	},

	async error_during(c) {
		const fault = await fails(c);
		assert.ok("Hello, ".startsWith(fault.before.slice(0, 7)) && fault.before, `before it: ${fault.before}`);
		assert.match(fault.message, /It broke\./);
	},

	cut,

	async unknown_model(c) {
		const fault = await fails(c, { model: "at-opneai" });
		assert.ok(fault.status === 404 || (sdk.unknownModel === 400 && fault.status === 400), `status ${fault.status}`);
		assert.match(fault.message, /at-openai/);
	},

	// The wire, not the words: the same answer in other pieces.
	crlf: text,
	bytewise: text,
	comments: text,

	// Faults of a provider that have one meaning only; the gateway gives the SDK the form it knows.
	no_role: text,
	role_in_every_delta: text,
	no_done: text,
	usage_with_the_choice: text,
	no_usage: textWithoutUsage,
	finish_eos: text,
	call_without_index: call,
	calls_both_index_0: twoCalls,
	call_without_arguments: emptyCall,
	call_in_one_delta: call,
	no_event_lines: text,
	first_index_1: text,
	two_starts: text,
	no_usage_at_start: async (c) => said(await ask(c), TEXT),
	done_at_the_end: text,
	last_event_unended: cut,
	event_lines: text,
	blank_lines: text,
	call_id_given: call,

	// A real model says what it likes: the form of its answer counts, never its words.
	async says_something(c) {
		const seen = await ask(c, { limit: 8 });
		assert.ok(seen.text && ["length", "end"].includes(seen.stop), `${seen.stop}: ${seen.text}`);
		assert.ok(seen.usage[0] > 5 && seen.usage[1] > 0 && seen.usage[1] <= 8, `usage ${seen.usage}`);
	},

	async must_call(c) {
		const seen = await ask(c, { tools: [city], force: true, limit: 80 });
		assert.equal(seen.stop, "tools");
		assert.equal(seen.text, "");
		assert.deepEqual(seen.calls.map((call) => call.name), ["weather"]);
		assert.ok(["Bonn", "Ulm"].includes(seen.calls[0].input.city));
	},

	async in_a_form(c) {
		const seen = await ask(c, { schema: city.parameters, limit: 40 });
		assert.ok(["Bonn", "Ulm"].includes(JSON.parse(seen.text).city), seen.text);
	},

	async embeds(c) {
		const vectors = await sdk.embed(c.model, ["rain in Bonn", "sun in Ulm"]);
		assert.deepEqual(vectors.map((v) => v.length), [576, 576]);
		assert.ok(vectors.flat().every((x) => Number.isFinite(x)));
		assert.notDeepEqual(vectors[0], vectors[1]);
	},
};

for (const c of JSON.parse(process.env.CASES))
	test(c.name, async () => {
		assert.ok(subjects[c.subject], `no subject ${c.subject}`);
		await subjects[c.subject](c);
	});
