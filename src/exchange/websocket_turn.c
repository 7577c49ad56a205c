/* exchange/websocket_turn.c - one message of a client on a WebSocket and its answer: read, and sent as events; see websocket.h.
 *
 * The hard thing is the end: a turn must have one, whatever the stream said, and it comes from deep inside the path, so that the next
 * turn must not begin there (websocket.c does that when the stack is empty).
 */
#include "exchange/websocket_impl.h"

#include "json/scan.h"

struct websocket_turn *websocket_turn_new(struct websocket_client *c, struct lane *lane,
					  struct exchange *x, struct arena *a)
{
	const struct snapshot *s = c->env->snapshot;
	struct websocket_turn *t = arena_alloc(a, sizeof(*t));

	if (!t)
		return NULL;
	t->client = c;
	t->lane = lane;
	t->x = x;
	t->message.generate = true;
	buf_init(&t->out, 2 * s->max_response + s->max_event);
	framer_init(&t->framer, FRAMING_SSE, t->out.max);
	return t;
}

/* The exchange is over; its memory, and so the turn's, lives on to the end of the loop's turn. */
void websocket_turn_over(struct websocket_turn *t)
{
	if (t->failed && str_present(t->message.previous))
		recent_forget_shown_by(&t->client->recent, t->message.previous, t->lane);
	framer_done(&t->framer);
	buf_done(&t->out);
	websocket_lane_free(t->client, t->lane);
}

/* --- of the exchange --- */

int websocket_read_message(struct websocket_turn *t, struct err *reterr)
{
	struct exchange *x = t->x;
	int rc = socket_message_read(x->arena, x->peek.body, &t->message, reterr);

	if (rc == RC_OK)
		x->peek.body = t->message.body;
	return rc;
}

bool websocket_generates(const struct websocket_turn *t)
{
	return t->message.generate;
}

struct str websocket_peer(const struct websocket_turn *t)
{
	return t->client->peer;
}

struct recent *websocket_recent(struct websocket_turn *t)
{
	return &t->client->recent;
}

void websocket_show(struct websocket_turn *t, struct recent_turn *made)
{
	recent_show(&t->client->recent, made, t->lane, t->x->snapshot->responses.max_context);
}

/* --- the answer --- */

static void send_text(struct websocket_turn *t, struct buf *text)
{
	if (buf_ok(text))
		http_websocket_send(t->client->ws, buf_str(text));
	buf_done(text);
}

void websocket_respond(struct websocket_turn *t, int status, const struct http_field *fields,
		       unsigned n, struct str body)
{
	struct arena *a = t->x->arena;
	struct buf text;

	buf_init(&text, SIZE_MAX / 4); /* as long as the error is */
	socket_put_error(&text, a, status, body, socket_headers(a, fields, n), t->lane->name);
	send_text(t, &text);
	http_websocket_flush(t->client->ws);
	t->failed = true;
	websocket_turn_over(t);
}

void websocket_head(struct websocket_turn *t, const struct http_field *fields, unsigned n)
{
	t->headers = socket_headers(t->x->arena, fields, n);
}

struct buf *websocket_buf(struct websocket_turn *t)
{
	return &t->out;
}

static struct str event_type(struct websocket_turn *t, const struct frame *f)
{
	if (str_present(f->name))
		return f->name;
	return json_unquote(t->x->arena, turn_get(f->data, "type"));
}

/* The response's id and the number of its first event, for whoever wants to say something to it. */
static void note_created(struct websocket_turn *t, struct str data)
{
	struct str response = turn_get(data, "response");
	struct str id = str_present(response) ? turn_get(response, "id") : STR_NONE;

	if (str_present(id))
		t->response_id = arena_dup(t->x->arena, json_unquote(t->x->arena, id));
	t->next_number = job_event_number(data, 0);
}

static void send_event(struct websocket_turn *t, const struct frame *f)
{
	struct str type;
	struct buf text;

	if (!str_present(f->data) || str_eq(f->data, STR("[DONE]")))
		return;
	type = event_type(t, f);
	if (str_eq(type, STR("error"))) { /* response.failed says it again, if it comes */
		t->error = arena_dup(t->x->arena, f->data);
		t->shift--;
		return;
	}
	if (str_eq(type, STR("response.created")))
		note_created(t, f->data);
	t->failed |= str_eq(type, STR("response.failed"));
	t->ended |= t->failed || str_eq(type, STR("response.completed")) ||
		    str_eq(type, STR("response.incomplete"));
	buf_init(&text, SIZE_MAX / 4);
	socket_put_event(&text, t->x->arena, f->data, t->headers, t->lane->name, t->shift);
	send_text(t, &text);
	t->headers = STR_NONE;
	t->next_number++;
}

static void send_events(struct websocket_turn *t)
{
	struct frame f;
	size_t used;

	while (framer_next(&t->framer, buf_str(&t->out), &f, &used) == FRAMER_FRAME) {
		send_event(t, &f);
		buf_consume(&t->out, used);
	}
}

void websocket_flush(struct websocket_turn *t)
{
	send_events(t);
	http_websocket_flush(t->client->ws);
}

size_t websocket_pending(const struct websocket_turn *t)
{
	return http_websocket_pending(t->client->ws);
}

void websocket_end(struct websocket_turn *t)
{
	struct buf text;

	send_events(t);
	if (!t->ended) {
		t->failed = true;
		buf_init(&text, SIZE_MAX / 4);
		socket_put_error_event(&text, t->x->arena,
				       str_present(t->error) ? t->error : STR("{}"), t->next_number,
				       t->lane->name);
		send_text(t, &text);
	}
	http_websocket_flush(t->client->ws);
	websocket_turn_over(t);
}
