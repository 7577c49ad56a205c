/* ir/grammar.c - passes events on as long as they keep to the grammar of ir/event.h.
 *
 * The one loosened place is ERROR: it may come at any time before the end, also before START and inside a block,
 * because that is when upstreams fail. */
#include "ir/grammar.h"

static int breach(struct ir_grammar *g, const char *what)
{
	g->breach = what;
	return RC_INVALID;
}

static bool delta_fits(enum ir_block_kind block, enum ir_delta_kind delta)
{
	switch (delta) {
	case IR_DELTA_TEXT:
		return block == IR_BLOCK_TEXT || block == IR_BLOCK_REASONING ||
		       block == IR_BLOCK_REFUSAL;
	case IR_DELTA_ARGUMENTS:
		return block == IR_BLOCK_TOOL_CALL;
	case IR_DELTA_SIGNATURE:
	case IR_DELTA_REDACTED:
		return block == IR_BLOCK_REASONING;
	case IR_DELTA_CITATION:
		return block == IR_BLOCK_TEXT;
	case IR_DELTA_RAW:
		return block == IR_BLOCK_OPAQUE;
	}
	return false;
}

static int check_open(struct ir_grammar *g, const struct ir_event *ev)
{
	if (g->open)
		return breach(g, "OPEN while a block is open");
	if (ev->index != g->next_index)
		return breach(g, "OPEN with an index out of order");
	if (ev->block == IR_BLOCK_TOOL_CALL && (ev->id.len == 0 || ev->name.len == 0))
		return breach(g, "OPEN of a tool call without id or name");
	g->next_index++;
	g->open = true;
	g->sealed = false;
	g->block = ev->block;
	return RC_OK;
}

static int check_inside(struct ir_grammar *g, const struct ir_event *ev)
{
	if (!g->open)
		return breach(g, "DELTA or CLOSE without an open block");
	if (ev->index + 1 != g->next_index || ev->block != g->block)
		return breach(g, "DELTA or CLOSE of another block than the open one");
	if (ev->kind == IR_CLOSE) {
		g->open = false;
		return RC_OK;
	}
	if (!delta_fits(g->block, ev->delta))
		return breach(g, "DELTA of a kind that its block cannot hold");
	if (g->sealed)
		return breach(g, "DELTA after the signature");
	g->sealed = ev->delta == IR_DELTA_SIGNATURE;
	return RC_OK;
}

static int check(struct ir_grammar *g, const struct ir_event *ev)
{
	if (g->ended)
		return breach(g, "an event after the end");
	if (ev->kind == IR_PING)
		return RC_OK;
	if (ev->kind != IR_ERROR && ev->kind != IR_START && !g->started)
		return breach(g, "an event before START");

	switch (ev->kind) {
	case IR_START:
		if (g->started)
			return breach(g, "a second START");
		g->started = true;
		return RC_OK;
	case IR_OPEN:
		return check_open(g, ev);
	case IR_DELTA:
	case IR_CLOSE:
		return check_inside(g, ev);
	case IR_USAGE:
		return g->open ? breach(g, "USAGE inside a block") : RC_OK;
	case IR_FINISH:
		if (g->open)
			return breach(g, "FINISH inside a block");
		g->ended = true;
		return RC_OK;
	case IR_ERROR:
		if (!ev->error)
			return breach(g, "ERROR without its error");
		g->ended = true;
		return RC_OK;
	case IR_PING:
		return RC_OK;
	}
	return breach(g, "an unknown event");
}

static int grammar_event(struct ir_sink *self, const struct ir_event *ev)
{
	struct ir_grammar *g = (struct ir_grammar *)self;
	int rc = check(g, ev);

	return rc ? rc : ir_emit(g->next, ev);
}

void ir_grammar_init(struct ir_grammar *g, struct ir_sink *next)
{
	*g = (struct ir_grammar){ .sink.event = grammar_event, .next = next };
}
