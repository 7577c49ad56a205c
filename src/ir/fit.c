/* ir/fit.c - an answer's pictures, sounds and calls, for a client whose dialect may have no form for them.
 *
 * The hard thing is that a block's kind is told when it opens, and what this one is only by what comes in it: so the OPEN of an
 * opaque block waits for that. */
#include "ir/fit.h"

#include "base/buf.h"

enum { WORDS_MAX = 64 * 1024 };

/* "data:...;base64,AAAA": other forms of data nobody sends. */
static bool is_data(struct str url)
{
	ptrdiff_t comma = str_chr(url, ',');

	return str_istarts(url, STR("data:")) && comma > 0 && (size_t)comma + 1 < url.len &&
	       str_ends((struct str){ url.ptr, (size_t)comma }, STR(";base64"));
}

static bool is_web(struct str url)
{
	return str_istarts(url, STR("https://")) || str_istarts(url, STR("http://"));
}

/* Bytes that would end the address, or the line. */
static bool breaks_link(char c)
{
	return (unsigned char)c <= ' ' || strchr("()<>\"\\", c);
}

struct str ir_picture_words(struct arena *a, struct str url)
{
	static const char hex[] = "0123456789ABCDEF";
	struct str words = STR_NONE;
	struct buf b;

	if (!is_web(url))
		return STR_NONE;
	buf_init(&b, WORDS_MAX);
	buf_puts(&b, "![image](");
	for (size_t i = 0; i < url.len; i++) {
		unsigned char c = (unsigned char)url.ptr[i];

		if (breaks_link(url.ptr[i])) {
			buf_putc(&b, '%');
			buf_putc(&b, hex[c >> 4]);
			buf_putc(&b, hex[c & 15]);
		} else {
			buf_putc(&b, url.ptr[i]);
		}
	}
	buf_putc(&b, ')');
	if (buf_ok(&b))
		words = arena_dup(a, buf_str(&b));
	buf_done(&b);
	return words;
}

static bool holds_form(const struct ir_fit *f, struct str url)
{
	return (is_data(url) && (f->forms_ & IR_PICTURES_DATA)) ||
	       (is_web(url) && (f->forms_ & IR_PICTURES_URL));
}

/* What waited goes on, as a block of that kind. */
static int let_open(struct ir_fit *f, enum ir_block_kind kind)
{
	struct ir_event ev = f->held_;

	if (!f->holds_)
		return RC_OK;
	f->holds_ = false;
	ev.block = kind;
	if (kind == IR_BLOCK_TEXT)
		ev.origin = NULL;
	return ir_emit(f->next, &ev);
}

static int tell(struct ir_fit *f, const struct ir_event *ev, struct str words)
{
	struct ir_event text = { .kind = IR_DELTA,
				 .index = ev->index,
				 .block = IR_BLOCK_TEXT,
				 .delta = IR_DELTA_TEXT,
				 .text = words,
				 .usage = IR_USAGE_NONE };
	int rc = let_open(f, IR_BLOCK_TEXT);

	f->as_text_ = true;
	return rc ? rc : ir_emit(f->next, &text);
}

static int on_raw(struct ir_fit *f, const struct ir_event *ev)
{
	bool own = f->held_.origin && strcmp(f->held_.origin, f->client_) == 0;
	struct ir_event rest = *ev;
	struct str words = STR_NONE;
	int rc;

	if (!own && !holds_form(f, ev->picture)) {
		if (ev->picture.len && !f->json_)
			words = ir_picture_words(f->arena_, ev->picture);
		if (str_present(words))
			return tell(f, ev, words);
		if (ev->picture.len || ev->name.len)
			ir_loss(f->losses_, ev->name.len ? ev->name : STR("answer.image"));
		rest.picture = STR_NONE;
	}
	rc = let_open(f, IR_BLOCK_OPAQUE);
	return rc ? rc : ir_emit(f->next, &rest);
}

static int on_close(struct ir_fit *f, const struct ir_event *ev)
{
	struct ir_event close = *ev;
	int rc = let_open(f, IR_BLOCK_OPAQUE);

	if (f->as_text_)
		close.block = IR_BLOCK_TEXT;
	f->as_text_ = false;
	return rc ? rc : ir_emit(f->next, &close);
}

static int on_event(struct ir_sink *self, const struct ir_event *ev)
{
	struct ir_fit *f = (struct ir_fit *)self;

	if (ev->kind == IR_OPEN && ev->block == IR_BLOCK_TOOL_CALL && f->n_calls_++ > 0 &&
	    f->one_call_)
		ir_loss(f->losses_, STR("answer.tool_calls"));
	if (ev->block != IR_BLOCK_OPAQUE)
		return ir_emit(f->next, ev);
	switch (ev->kind) {
	case IR_OPEN:
		f->held_ = (struct ir_event){ .kind = IR_OPEN,
					      .index = ev->index,
					      .block = IR_BLOCK_OPAQUE,
					      .origin = ev->origin,
					      .usage = IR_USAGE_NONE };
		f->holds_ = true;
		return RC_OK;
	case IR_DELTA:
		return on_raw(f, ev);
	case IR_CLOSE:
		return on_close(f, ev);
	case IR_START:
	case IR_USAGE:
	case IR_FINISH:
	case IR_ERROR:
	case IR_PING:
		break;
	}
	return ir_emit(f->next, ev);
}

void ir_fit_init(struct ir_fit *f, struct arena *a, const char *client, unsigned forms,
		 const struct ir_request *request, struct ir_losses *losses, struct ir_sink *next)
{
	enum ir_format_kind format = request ? request->format.kind : IR_FORMAT_UNSET;

	*f = (struct ir_fit){ .sink = { on_event },
			      .next = next,
			      .arena_ = a,
			      .forms_ = forms,
			      .client_ = client,
			      .json_ = format == IR_FORMAT_JSON_OBJECT ||
				       format == IR_FORMAT_JSON_SCHEMA,
			      .one_call_ = request && request->one_call,
			      .losses_ = losses };
}
