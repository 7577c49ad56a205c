/* protocols/openai_chat/relay.c - bodies that pass as they are, but for what their reader would refuse.
 *
 * Turns that other vendors' models made hold their reasoning and its proofs, and what they drew, in members that OpenAI, Groq,
 * Mistral and others do not have: they refuse a request that brings them back. Servers that have them want them, so only who is known to be
 * strict is spared, and of the names for reasoning gets the one it has. The other way round OpenAI's own role `developer` is refused by most
 * others, who call it `system` (trap 36). */
#include "ir/drawn.h"
#include "protocols/glance.h"
#include "protocols/openai_chat/openai_chat.h"

/* A member of an assistant's message, or of a call in it, that brings reasoning back. */
static bool is_refused(struct str key, unsigned quirks)
{
	if (str_eq(key, STR("extra_content")))
		return !(quirks & QUIRK_GOOGLE_SIGNATURES);
	if (str_eq(key, STR("reasoning")))
		return !(quirks & (QUIRK_SEND_REASONING | QUIRK_REASONING_FIELD));
	if (!str_eq(key, STR("reasoning_details")) && !str_eq(key, STR("reasoning_content")))
		return false;
	/* Who has the one name does not know the other. */
	return !(quirks & QUIRK_SEND_REASONING) || (quirks & QUIRK_REASONING_FIELD);
}

static bool is_empty(const json *v)
{
	return json_is_null(v) || (json_is_str(v) && json_str(v).len == 0) ||
	       ((json_is_arr(v) || json_is_obj(v)) && json_len(v) == 0);
}

/* `images` of a message, in the order in which they came: one at least has an address. */
struct drawn {
	const json *images;
	struct drawn *next;
};

struct cut {
	struct jw w;
	struct arena *arena;
	const struct patch_options *o;
	struct drawn *first, **last; /* what waits for a turn of the user */
	bool done;                   /* something was left out */
	bool failed;                 /* memory ran out */
};

static void put_value(struct cut *c, const json *v)
{
	jw_raw(&c->w, STR("")); /* the comma */
	json_write(c->w.out, v);
}

static void put_object(struct cut *c, const json *v, bool call);

static void put_calls(struct cut *c, const json *calls)
{
	struct json_iter it = json_iter(calls);

	jw_arr(&c->w);
	while (json_next(&it)) {
		if (json_is_obj(it.val))
			put_object(c, it.val, true);
		else
			put_value(c, it.val);
	}
	jw_end_arr(&c->w);
}

static void keep_images(struct cut *c, const json *images)
{
	struct drawn *d = arena_alloc(c->arena, sizeof(*d));
	struct json_iter it = json_iter(images);
	size_t n = 0;

	c->done = true;
	c->failed = c->failed || !d;
	while (json_next(&it)) {
		if (oc_image_url(it.val).len)
			n++;
		else if (c->o->losses) /* OpenAI refuses an empty address */
			ir_loss(c->o->losses, STR("image"));
	}
	if (!d || !n)
		return;
	*d = (struct drawn){ .images = images };
	*c->last = d;
	c->last = &d->next;
}

static bool has(const json *message, const char *key)
{
	const json *v = json_get(message, str_from(key));

	return v && !is_empty(v);
}

/* Texts that are all empty say nothing either. */
static bool has_words(const json *content)
{
	struct json_iter it = json_iter(content);

	if (!json_is_arr(content))
		return content && !is_empty(content);
	while (json_next(&it)) {
		const json *text = json_get(it.val, STR("text"));

		if (!text || !is_empty(text))
			return true;
	}
	return false;
}

/* Nothing is left of the assistant's turn without what it drew: some refuse that (ir/drawn.h). */
static bool only_drew(const struct cut *c, const json *message)
{
	return !(c->o->quirks & QUIRK_ASSISTANT_IMAGES) && has(message, "images") &&
	       !has_words(json_get(message, STR("content"))) && !has(message, "tool_calls") &&
	       !has(message, "function_call") && !has(message, "refusal") && !has(message, "audio");
}

/* An assistant's message, or a call. */
static void put_object(struct cut *c, const json *v, bool call)
{
	struct json_iter it = json_iter(v);
	bool silent = !call && only_drew(c, v);

	jw_obj(&c->w);
	while (json_next(&it)) {
		if (!call && str_eq(it.key, STR("images")) &&
		    !(c->o->quirks & QUIRK_ASSISTANT_IMAGES)) {
			keep_images(c, it.val);
			continue;
		}
		if (silent && str_eq(it.key, STR("content")))
			continue;
		if (is_refused(it.key, c->o->quirks)) {
			c->done = true;
			if (c->o->losses && !is_empty(it.val))
				ir_loss(c->o->losses, STR("reasoning_content"));
			continue;
		}
		jw_key_str(&c->w, it.key);
		if (str_eq(it.key, STR("tool_calls")) && json_is_arr(it.val))
			put_calls(c, it.val);
		else
			put_value(c, it.val);
	}
	if (silent)
		jw_kcstr(&c->w, "content", IR_DRAWN_PICTURE);
	jw_end_obj(&c->w);
}

/* A message of the developer, of the system now. */
static void put_renamed(struct cut *c, const json *message)
{
	struct json_iter it = json_iter(message);

	jw_obj(&c->w);
	while (json_next(&it)) {
		jw_key_str(&c->w, it.key);
		if (str_eq(it.key, STR("role")))
			jw_str(&c->w, STR("system"));
		else
			put_value(c, it.val);
	}
	jw_end_obj(&c->w);
	c->done = true;
}

static void put_text(struct cut *c, struct str text)
{
	jw_obj(&c->w);
	jw_kcstr(&c->w, "type", "text");
	jw_kstr(&c->w, "text", text);
	jw_end_obj(&c->w);
}

/* What was drawn before, and what the user says. */
static void put_content(struct cut *c, const json *content)
{
	struct json_iter parts = json_iter(content);

	jw_arr(&c->w);
	put_text(c, STR(IR_DRAWN_LINE));
	for (; c->first; c->first = c->first->next) {
		struct json_iter it = json_iter(c->first->images);

		while (json_next(&it)) {
			if (!oc_image_url(it.val).len)
				continue;
			jw_obj(&c->w);
			jw_kcstr(&c->w, "type", "image_url");
			jw_key(&c->w, "image_url");
			jw_obj(&c->w);
			jw_kstr(&c->w, "url", oc_image_url(it.val));
			jw_end_obj(&c->w);
			jw_end_obj(&c->w);
		}
	}
	c->last = &c->first;
	if (json_str(content).len)
		put_text(c, json_str(content));
	while (json_is_arr(content) && json_next(&parts))
		put_value(c, parts.val);
	jw_end_arr(&c->w);
}

/* The user's turn, with what the model drew in the one before (ir/drawn.h). */
static void put_user(struct cut *c, const json *v)
{
	struct json_iter it = json_iter(v);

	jw_obj(&c->w);
	while (json_next(&it)) {
		jw_key_str(&c->w, it.key);
		if (str_eq(it.key, STR("content")) && c->first)
			put_content(c, it.val);
		else
			put_value(c, it.val);
	}
	jw_end_obj(&c->w);
}

static void put_message(struct cut *c, const json *message)
{
	struct str role = json_str(json_get(message, STR("role")));

	if ((c->o->quirks & QUIRK_STRICT_MESSAGES) && str_eq(role, STR("assistant")))
		put_object(c, message, false);
	else if ((c->o->quirks & QUIRK_NO_DEVELOPER_ROLE) && str_eq(role, STR("developer")))
		put_renamed(c, message);
	else if (c->first && str_eq(role, STR("user")))
		put_user(c, message);
	else
		put_value(c, message);
}

/* The list of messages as its reader takes it; absent when it is that already or memory is out. */
static struct str mended(struct arena *a, const struct patch_options *o, struct str messages)
{
	struct json_iter it = json_iter(json_parse(a, messages, NULL));
	struct cut c = { .arena = a, .o = o };
	struct str text = STR_NONE;
	struct buf b;

	buf_init(&b, OC_TEXT_MAX);
	c.w = jw_on(&b);
	c.last = &c.first;
	jw_arr(&c.w);
	while (json_next(&it))
		put_message(&c, it.val);
	jw_end_arr(&c.w);
	if (c.first && o->losses) /* nobody speaks after it */
		ir_loss(o->losses, STR("image"));
	if (c.done && !c.failed && buf_ok(&b))
		text = arena_dup(a, buf_str(&b));
	buf_done(&b);
	return text;
}

/* Something stands in the body, wherever, that may have to be mended. */
static bool may_need_mending(struct str body, unsigned quirks)
{
	static const struct str reasoning[] = {
		STR_INIT("\"reasoning_content\""),
		STR_INIT("\"reasoning_details\""),
		STR_INIT("\"reasoning\""),
		STR_INIT("\"extra_content\""),
		STR_INIT("\"images\""),
	};
	static const struct str developer[] = { STR_INIT("\"developer\"") };

	return ((quirks & QUIRK_STRICT_MESSAGES) &&
		glance_strings(body, reasoning, sizeof(reasoning) / sizeof(*reasoning))) ||
	       ((quirks & QUIRK_NO_DEVELOPER_ROLE) && glance_strings(body, developer, 1));
}

int oc_patch_chat(struct arena *a, const struct request_peek *peek, const struct patch_options *o,
		  struct buf *out)
{
	if (!may_need_mending(peek->body, o->quirks))
		return oc_patch(a, peek, o, out);
	return oc_patch_list(a, peek, o, "messages", mended, out);
}

bool oc_needs_encoder(const struct request_peek *peek, unsigned quirks)
{
	static const struct str schema[] = { STR_INIT("\"json_schema\"") };

	return (quirks & QUIRK_NO_JSON_SCHEMA) && glance_strings(peek->body, schema, 1);
}
