/* ir/losses.c - the list of what got lost on the way to a target. */
#include "ir/losses.h"

#include "json/json.h"

/* Extras bring names of the client's choosing into a response header: both are bounded. */
enum { LOSS_MAX_NAME = 64, LOSS_MAX_NAMES = 64 };

void ir_losses_init(struct ir_losses *l, struct arena *a)
{
	*l = (struct ir_losses){ .arena = a };
}

void ir_losses_forget(struct ir_losses *l, struct str name)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < l->n; i++)
		if (!str_eq(l->names[i], name))
			l->names[kept++] = l->names[i];
	l->n = kept;
}

void ir_loss(struct ir_losses *l, struct str name)
{
	struct str copy;

	if (name.len > LOSS_MAX_NAME)
		name.len = LOSS_MAX_NAME;
	if (l->failed || l->n >= LOSS_MAX_NAMES || name.len == 0)
		return;
	for (unsigned i = 0; i < l->n; i++) {
		if (str_eq(l->names[i], name))
			return;
	}
	if (l->n == l->cap) {
		unsigned cap = l->cap ? l->cap * 2 : 8;
		struct str *names = arena_grow(l->arena, l->names, l->cap * sizeof(*names),
					       cap * sizeof(*names));

		if (!names) {
			l->failed = true;
			return;
		}
		l->names = names;
		l->cap = cap;
	}
	copy = arena_dup(l->arena, name);
	if (!copy.ptr) {
		l->failed = true;
		return;
	}
	l->names[l->n++] = copy;
}

void ir_lose_tool_words(struct ir_losses *l, const struct ir_tool *t)
{
	if (str_present(t->custom_format))
		ir_loss(l, STR("tools.format"));
}

void ir_lose_format_words(struct ir_losses *l, const struct ir_format *f)
{
	if (f->description.len)
		ir_loss(l, STR("response_format.description"));
}

void ir_lose_unknown(struct ir_losses *l, const struct ir_request *r)
{
	for (unsigned i = 0; i < r->n_unknown; i++)
		ir_loss(l, r->unknown[i]);
}

/* A number that is none at all counts as one that says something. */
static bool is_zero(struct str number)
{
	double v;

	return !str_present(number) || (json_text_f64(number, &v) && v == 0);
}

void ir_lose_fields_but(struct ir_losses *l, const struct ir_request *r, uint64_t taken)
{
#define X(field, name, said)                      \
	if (!(taken & IR_FIELD(field)) && (said)) \
		ir_loss(l, STR(name));
#include "ir/request_fields.def"
#undef X
}

struct str ir_losses_text(const struct ir_losses *l)
{
	size_t room = 0;
	char *to, *at;

	for (unsigned i = 0; i < l->n; i++)
		room += l->names[i].len + 2;
	if (room == 0)
		return STR_NONE;
	at = to = arena_alloc_raw(l->arena, room);
	if (!to)
		return STR_NONE;
	for (unsigned i = 0; i < l->n; i++) {
		if (at != to) {
			*at++ = ',';
			*at++ = ' ';
		}
		for (size_t k = 0; k < l->names[i].len; k++) {
			char c = l->names[i].ptr[k];

			if (c > ' ' && c < 0x7f && c != ',')
				*at++ = c;
		}
	}
	return (struct str){ to, (size_t)(at - to) };
}
