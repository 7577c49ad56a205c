/* protocols/gemini/relay.c - bodies and streams that pass as they are.
 *
 * The one hard thing: what other vendors' models left in the conversation. We showed their proofs to this client in the place
 * of signatures, as carriers, and their calls bear no signature at all; the vendor refuses both. Only a body that
 * holds such a thing is rewritten. */
#include "protocols/gemini/gemini.h"

#include "ir/carrier.h"
#include "protocols/glance.h"

/* Documented for conversations that another model began; the base64 of "skip_thought_signature_validator". */
#define DUMMY STR("c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=")

static bool forces_tool(struct arena *a, const struct json_want *config)
{
	const json *v = config->first == '{' ? json_parse(a, config->value, NULL) : NULL;

	return str_eq(json_str(gm_get(gm_get(v, "functionCallingConfig"), "mode")), STR("ANY"));
}

int gm_peek(struct arena *a, const struct request_line *line, struct str body,
	    struct request_peek *ret, struct err *reterr)
{
	enum { PROVIDER, CAMEL, SNAKE, N };
	struct json_want w[N] = {
		[PROVIDER] = { .key = "provider" },
		[CAMEL] = { .key = "toolConfig" },
		[SNAKE] = { .key = "tool_config" },
	};
	int rc = json_scan(body, w, N, reterr);

	if (rc)
		return rc;
	*ret = (struct request_peek){
		.body = body,
		.include_usage = true,
		.model = gm_model_name(line->arg),
		.stream = line->op == IR_OP_GENERATE && line->variant == GM_STREAM,
		.framing = gm_wants_sse(line->query) ? FRAMING_SSE : FRAMING_JSON_ARRAY,
		.provider_at = w[PROVIDER],
	};
	if (!ret->model.len)
		return err_param(reterr, RC_INVALID, "model", "the path names no model");
	if (w[PROVIDER].first == '"') {
		ret->provider_pin = json_unquote(a, w[PROVIDER].value);
		if (!str_present(ret->provider_pin))
			return err_set(reterr, RC_NOMEM, "out of memory");
	}
	ret->forces_tool = forces_tool(a, &w[CAMEL]) || forces_tool(a, &w[SNAKE]);
	return RC_OK;
}

/* --- rewriting --- */

struct rewrite {
	struct jw w;
	const struct request_peek *peek;
	const struct patch_options *o;
	bool proofs; /* take foreign proofs out, give calls without one the dummy */
};

static void put_value(struct jw *w, const json *v)
{
	jw_raw(w, STR(""));
	json_write(w->out, v);
}

/* Another vendor's proof, which this vendor refuses, is named where it is left out. */
static void lose_proof(const struct rewrite *r, const json *part)
{
	if (r->o->losses && ir_carrier_is(json_str(gm_get(part, "thoughtSignature"))))
		ir_loss(r->o->losses, STR("reasoning_content"));
}

static bool foreign_thought(const json *part)
{
	return json_bool(gm_get(part, "thought"), false) &&
	       ir_carrier_is(json_str(gm_get(part, "thoughtSignature")));
}

/* `first`: it is the first call of its turn. */
static void put_part(struct rewrite *r, const json *part, bool first)
{
	struct json_iter it = json_iter(part);
	struct str signature = json_str(gm_get(part, "thoughtSignature"));
	bool own = signature.len && !ir_carrier_is(signature);

	jw_obj(&r->w);
	while (json_next(&it)) {
		if (gm_is(it.key, "thoughtSignature") && !own)
			continue;
		jw_key_str(&r->w, it.key);
		put_value(&r->w, it.val);
	}
	if (!own && first && gm_is_third(r->o->model))
		jw_kstr(&r->w, "thoughtSignature", DUMMY);
	jw_end_obj(&r->w);
}

static void put_content(struct rewrite *r, const json *content)
{
	struct json_iter it = json_iter(content), parts;
	bool called = false;

	jw_obj(&r->w);
	while (json_next(&it)) {
		jw_key_str(&r->w, it.key);
		if (!str_eq(it.key, STR("parts")) || !json_is_arr(it.val)) {
			put_value(&r->w, it.val);
			continue;
		}
		jw_arr(&r->w);
		parts = json_iter(it.val);
		while (json_next(&parts)) {
			bool call = gm_get(parts.val, "functionCall") != NULL;

			lose_proof(r, parts.val);
			if (foreign_thought(parts.val))
				continue;
			if (json_is_obj(parts.val))
				put_part(r, parts.val, call && !called);
			else
				put_value(&r->w, parts.val);
			called |= call;
		}
		jw_end_arr(&r->w);
	}
	jw_end_obj(&r->w);
}

static void put_model_name(struct rewrite *r)
{
	buf_puts(r->w.out, "\"models/");
	json_escape(r->w.out, r->o->model);
	buf_putc(r->w.out, '"');
}

/* The request, or one inside it: where a model is named and where contents stand. */
static void put_request(struct rewrite *r, const json *v, bool top)
{
	struct json_iter it = json_iter(v), inner;

	jw_obj(&r->w);
	while (json_next(&it)) {
		if (top && r->o->strip_provider && str_eq(it.key, STR("provider")))
			continue;
		jw_key_str(&r->w, it.key);
		if (str_eq(it.key, STR("model")) && json_is_str(it.val)) {
			jw_raw(&r->w, STR(""));
			put_model_name(r);
		} else if (top && gm_is(it.key, "generateContentRequest") && json_is_obj(it.val)) {
			put_request(r, it.val, false);
		} else if ((top && str_eq(it.key, STR("requests")) && json_is_arr(it.val)) ||
			   (r->proofs && str_eq(it.key, STR("contents")) && json_is_arr(it.val))) {
			jw_arr(&r->w);
			inner = json_iter(it.val);
			while (json_next(&inner)) {
				if (!json_is_obj(inner.val))
					put_value(&r->w, inner.val);
				else if (it.key.len == strlen("contents") && it.key.ptr[0] == 'c')
					put_content(r, inner.val);
				else
					put_request(r, inner.val, false);
			}
			jw_end_arr(&r->w);
		} else {
			put_value(&r->w, it.val);
		}
	}
	jw_end_obj(&r->w);
}

/* What in a request may be reason to write it anew. */
enum {
	HOLDS_MODEL = 1u << 0,
	HOLDS_CARRIER = 1u << 1 | 1u << 2,
	HOLDS_SIGNATURE = 1u << 3 | 1u << 4,
	HOLDS_CALL = 1u << 5 | 1u << 6,
};

static unsigned holds(struct str body)
{
	static const struct str signs[] = {
		STR_INIT("\"model\""),
		STR_INIT("\"" IR_CARRIER_MARK),
		STR_INIT("\"" IR_CARRIER_MARK64),
		STR_INIT("\"thoughtSignature\""),
		STR_INIT("\"thought_signature\""),
		STR_INIT("\"functionCall\""),
		STR_INIT("\"function_call\""),
	};

	return glance_strings(body, signs, sizeof(signs) / sizeof(*signs));
}

int gm_patch(struct arena *a, const struct request_peek *peek, const struct patch_options *o,
	     struct buf *out)
{
	struct rewrite r = { .w = jw_on(out), .peek = peek, .o = o };
	unsigned held = holds(peek->body), n = 0;
	struct json_edit edit;

	/* Calls that bear no signature were made by no Gemini. */
	r.proofs = held & HOLDS_CARRIER ||
		   (held & HOLDS_CALL && !(held & HOLDS_SIGNATURE) && gm_is_third(o->model));
	if (r.proofs || (!str_eq(o->model, peek->model) && held & HOLDS_MODEL)) {
		const json *root = json_parse(a, peek->body, NULL);

		if (!root)
			return RC_NOMEM; /* peek found it valid */
		put_request(&r, root, true);
		return buf_ok(out) ? RC_OK : RC_NOMEM;
	}
	if (o->strip_provider && str_present(peek->provider_at.value)) {
		edit = json_edit_remove(peek->body, peek->provider_at.member);
		n = 1;
	}
	json_patch(out, peek->body, &edit, n);
	return buf_ok(out) ? RC_OK : RC_NOMEM;
}

/* --- the answer, read along --- */

static unsigned tap_error(struct relay_tap *t, struct str data)
{
	gm_decode_error(t->arena, 0, data, &t->error);
	return TAP_ERROR;
}

/* What an answer, or a piece of one, is looked through for, in one pass. */
enum { USAGE, STOP, BLOCKED, PARTS, ERROR, CANDIDATES, FEEDBACK, N_NAMES };

static void look_through(struct str data, struct glance_member found[N_NAMES])
{
	static const struct str names[N_NAMES] = {
		[USAGE] = STR_INIT("\"usageMetadata\""),
		[STOP] = STR_INIT("\"finishReason\""),
		[BLOCKED] = STR_INIT("\"blockReason\""),
		[PARTS] = STR_INIT("\"parts\""),
		[ERROR] = STR_INIT("\"error\""),
		[CANDIDATES] = STR_INIT("\"candidates\""),
		[FEEDBACK] = STR_INIT("\"promptFeedback\""),
	};

	for (unsigned i = 0; i < N_NAMES; i++)
		found[i].quoted = names[i];
	glance_members(data, found, N_NAMES);
}

/* Its usage. True: the answer's end was in it. */
static bool tap_text(struct relay_tap *t, struct arena *scratch, struct str data,
		     const struct glance_member found[N_NAMES])
{
	struct str usage = found[USAGE].value;

	if (usage.len && str_find(usage, STR("\"AUDIO\"")) >= 0)
		gm_usage_read(gm_get(json_parse(scratch, data, NULL), "usageMetadata"), &t->usage);
	else if (usage.len)
		gm_usage_glance(usage, &t->usage);
	return found[STOP].value.len > 1 || str_present(found[BLOCKED].value);
}

/* The list form ends with its bracket, and one without it is cut whatever was in it; an SSE stream just ends. */
static unsigned tap_bracket(struct relay_tap *t, const struct frame *ev)
{
	if (str_find(ev->raw, STR("]")) < 0)
		return 0;
	t->finished = t->meaningful;
	return TAP_END;
}

unsigned gm_tap_event(struct relay_tap *t, struct arena *scratch, const struct frame *ev)
{
	bool listed = ev->raw.len && ev->data.len && ev->data.ptr[0] == '{' &&
		      str_trim(ev->raw).ptr == ev->data.ptr;
	struct glance_member found[N_NAMES];

	if (ev->comment || !ev->data.len)
		return tap_bracket(t, ev);
	look_through(ev->data, found);
	if (str_present(found[ERROR].value) && gm_error_is(json_parse(scratch, ev->data, NULL)))
		return tap_error(t, ev->data);
	if (tap_text(t, scratch, ev->data, found)) {
		t->meaningful = true; /* of our own: the end was seen */
		t->finished = !listed;
		return TAP_MEANINGFUL;
	}
	return str_present(found[PARTS].value) ? TAP_MEANINGFUL : 0;
}

unsigned gm_tap_body(struct relay_tap *t, struct arena *scratch, struct str body)
{
	struct glance_member found[N_NAMES];
	const json *root;

	look_through(body, found);
	if (!glance_is_object(body) || str_present(found[ERROR].value) ||
	    (!str_present(found[CANDIDATES].value) && !str_present(found[FEEDBACK].value))) {
		root = json_parse(scratch, body, NULL);
		if (gm_error_is(root))
			return tap_error(t, body);
		if (!gm_get(root, "candidates") && !gm_get(root, "promptFeedback") &&
		    !gm_get(root, "totalTokens"))
			return 0;
	}
	t->finished = tap_text(t, scratch, body, found);
	return TAP_MEANINGFUL;
}
