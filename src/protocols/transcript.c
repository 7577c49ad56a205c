/* protocols/transcript.c - the words of one turn, without what could be taken for the mark of another.
 *
 * The hard thing is that a mark may come in two parts of a message, so all its parts are one text before it is looked at. */
#include "protocols/transcript.h"

#include "json/write.h"

enum { WORDS_MAX = 256 << 20 };

static int refuse(const struct transcript *t, const char *what)
{
	return err_param(t->reterr, RC_UNSUPPORTED, "messages",
			 "this model goes on with a text, and cannot be given %s", what);
}

static int add_part(const struct transcript *t, const struct ir_message *m, const struct ir_part *p,
		    struct buf *words)
{
	if (p->cache != IR_CACHE_NONE)
		ir_loss(t->losses, STR("cache_control"));
	switch (p->kind) {
	case IR_PART_TEXT:
	case IR_PART_REFUSAL:
		if (str_present(p->citations))
			ir_loss(t->losses, STR("citations"));
		buf_put(words, p->text);
		return RC_OK;
	case IR_PART_REASONING:
		ir_loss(t->losses, STR("reasoning_content"));
		return RC_OK;
	case IR_PART_IMAGE:
		if (m->role != IR_ROLE_ASSISTANT)
			return refuse(t, "an image");
		ir_loss(t->losses, STR("image")); /* that the model drew */
		return RC_OK;
	case IR_PART_FILE:
		return refuse(t, "a file");
	case IR_PART_AUDIO:
		return refuse(t, "a recording");
	case IR_PART_TOOL_CALL:
	case IR_PART_TOOL_RESULT:
		return refuse(t, "calls of tools");
	case IR_PART_OPAQUE:
		if (!ir_part_is_item(p))
			return refuse(t, "a vendor's own block");
		ir_loss(t->losses, p->name);
		return RC_OK;
	}
	return RC_INVALID;
}

static bool is_mark(const struct transcript *t, struct str s)
{
	for (const char *const *m = t->marks; m && *m; m++)
		if (str_starts(s, str_from(*m)))
			return true;
	return false;
}

static void put_words(const struct transcript *t, struct str words, bool behind_blank_line)
{
	unsigned newlines = behind_blank_line ? 2 : 0;
	size_t said = 0;

	for (size_t i = 0; i < words.len; i++) {
		if (words.ptr[i] == '\n') {
			newlines++;
			continue;
		}
		if (newlines >= 2 && is_mark(t, str_from_offset(words, i))) {
			json_escape(t->out, (struct str){ words.ptr + said, i - said });
			buf_putc(t->out, ' ');
			said = i;
		}
		newlines = 0;
	}
	json_escape(t->out, str_from_offset(words, said));
}

bool transcript_is_silent(const struct ir_message *m)
{
	for (unsigned i = 0; i < m->n_parts; i++) {
		const struct ir_part *p = &m->parts[i];
		bool unsaid =
			p->kind == IR_PART_IMAGE || (p->kind == IR_PART_TEXT && p->text.len == 0);

		if (!(unsaid && m->role == IR_ROLE_ASSISTANT) && !ir_part_is_item(p))
			return false;
	}
	return m->n_parts > 0;
}

bool transcript_goes_on(const struct ir_request *r)
{
	unsigned n = r->n_messages;

	while (n && transcript_is_silent(&r->messages[n - 1]))
		n--;
	return n && r->messages[n - 1].role == IR_ROLE_ASSISTANT;
}

int transcript_words(const struct transcript *t, const struct ir_message *m, bool behind_blank_line)
{
	struct buf words;
	int rc = RC_OK;

	if (m->name.len)
		ir_loss(t->losses, STR("name"));
	buf_init(&words, WORDS_MAX);
	for (unsigned k = 0; !rc && k < m->n_parts; k++)
		rc = add_part(t, m, &m->parts[k], &words);
	if (!rc && !buf_ok(&words))
		rc = err_set(t->reterr, RC_NOMEM, "the request needs more memory than it may use");
	if (!rc)
		put_words(t, buf_str(&words), behind_blank_line);
	buf_done(&words);
	return rc;
}
