/* http/client_trust.c - TLS contexts by the certificates they trust.
 *
 * The hard thing is that reading those takes tens of milliseconds: it is done on the thread pool,
 * connections wait, and the client may be gone when it is done.
 */
#include <stdlib.h>

#include "http/client_parts.h"

static void trust_free(struct trust *t)
{
	tls_ctx_free(t->ctx);
	free(t);
}

/* On a thread of the pool: nothing else touches the trust meanwhile but its lists. */
static void make(uv_work_t *work)
{
	struct trust *t = LIST_ENTRY(work, struct trust, work);
	struct str ca_file = t->has_ca ? (struct str){ t->ca_file, t->ca_len } : STR_NONE;

	t->ctx = tls_client_ctx(ca_file, t->verify, &t->err);
}

static void made(uv_work_t *work, int status)
{
	struct trust *t = LIST_ENTRY(work, struct trust, work);
	struct http_client *c = t->client;
	struct list waiting;

	t->client = NULL;
	if (!c) {
		trust_free(t);
		return;
	}
	if (status < 0 && !t->ctx)
		(void)err_set(&t->err, RC_IO, "%s", uv_strerror(status));
	/* Who fails leaves; who goes on may be closed by the callbacks of another. */
	list_append(&t->waiting, &waiting);
	list_remove(&t->waiting);
	if (!t->ctx)
		list_remove(&t->node); /* the next one tries again */
	while (!list_empty(&waiting)) {
		struct conn *conn = LIST_ENTRY(waiting.next, struct conn, trust_node);

		list_remove(&conn->trust_node);
		conn_trusted(conn, t->ctx, str_from(t->err.msg));
	}
	if (!t->ctx)
		trust_free(t);
}

struct trust *trust_find(struct http_client *c, const struct origin *o)
{
	struct trust *t;

	LIST_EACH (&c->trusts, it) {
		t = LIST_ENTRY(it, struct trust, node);
		if (t->verify == o->tls_verify && t->has_ca == str_present(o->ca_file) &&
		    str_eq(o->ca_file, (struct str){ t->ca_file, t->ca_len }))
			return t;
	}
	t = calloc(1, sizeof(*t) + o->ca_file.len + 1);
	if (!t)
		return NULL;
	t->client = c;
	t->verify = o->tls_verify;
	t->has_ca = str_present(o->ca_file);
	t->ca_len = o->ca_file.len;
	if (t->ca_len)
		memcpy(t->ca_file, o->ca_file.ptr, t->ca_len);
	list_init(&t->waiting);
	list_append(&c->trusts, &t->node);
	uv_queue_work(&c->loop->uv, &t->work, make, made); /* fails only without a callback */
	return t;
}

void trust_drop_all(struct http_client *c)
{
	LIST_EACH_SAFE (&c->trusts, it, tmp) {
		struct trust *t = LIST_ENTRY(it, struct trust, node);

		list_remove(it);
		if (t->client)
			t->client = NULL; /* being made: made() ends it */
		else
			trust_free(t);
	}
}
