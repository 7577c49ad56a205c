/* exchange/websocket_steer.c - `response.steer`: input for a response while it is made, which no provider is given here.
 *
 * OpenAI takes it for some of its models, and on a WebSocket only; a provider is asked by HTTP, where the protocol has no such thing.
 * Its own answer to that is steering_not_supported, with the input to be sent when the response has ended. What else can be wrong
 * with such a message is told first.
 */
#include "exchange/websocket_impl.h"

static struct websocket_turn *turn_of(struct websocket_client *c, struct str response_id)
{
	LIST_EACH (&c->lanes, it) {
		struct websocket_turn *t = LIST_ENTRY(it, struct lane, node)->turn;

		if (t && str_present(t->response_id) && str_eq(t->response_id, response_id))
			return t;
	}
	return NULL;
}

static bool has_ended(struct websocket_client *c, struct str response_id)
{
	struct recent_turn *t = recent_find(&c->recent, response_id);

	recent_unref(t);
	return t;
}

static void put_failed(struct buf *out, struct websocket_client *c, const struct socket_steer *s,
		       const struct err *e)
{
	struct websocket_turn *t = turn_of(c, s->previous);
	const char *code = "response_not_found";
	struct str message = STR("No response of that id is made on this WebSocket.");

	if (e->msg[0]) {
		code = "invalid_input";
		message = str_from(e->msg);
	} else if (t) {
		code = "steering_not_supported";
		message =
			STR("This response cannot be steered. Send the input in a response.create "
			    "when it has ended.");
	} else if (has_ended(c, s->previous)) {
		code = "response_already_completed";
		message = STR("The response has ended. Send the input in a response.create.");
	}
	socket_put_steer_failed(out, s, code, message, t ? t->next_number : 0,
				t ? t->lane->name : STR_NONE);
	if (t) { /* it takes a number of that response's events */
		t->next_number++;
		t->shift++;
	}
}

void websocket_steer(struct websocket_client *c, struct str text)
{
	struct arena *a = arena_new(c->env->snapshot->server.arena_max);
	struct socket_steer s;
	struct err e = { 0 };
	struct buf out;
	int rc = a ? socket_steer_read(a, text, &s, &e) : err_set(&e, RC_NOMEM, "out of memory");

	buf_init(&out, SIZE_MAX / 4); /* as long as the input that is given back */
	if (rc == RC_OK)
		put_failed(&out, c, &s, &e);
	else
		socket_put_own_error(&out, &(struct socket_own_error){
						   .status = rc == RC_NOMEM ? 503 : 400,
						   .code = rc == RC_NOMEM ? "server_error"
									  : "invalid_input",
						   .param = e.param[0] ? e.param : NULL,
						   .message = str_from(e.msg),
					   });
	if (buf_ok(&out))
		http_websocket_send(c->ws, buf_str(&out));
	buf_done(&out);
	http_websocket_flush(c->ws);
	arena_free(a);
}
