/* engine/probe.c - asks a child whether it is well: llama-server's GET /health is 200 when the model is loaded. */
#include "engine/priv.h"

static void probe_head(void *user, const struct http_head *head)
{
	struct model *m = user;

	m->probe_good = head->status == 200;
}

static void probe_body(void *user, struct str bytes)
{
	(void)user;
	(void)bytes;
}

static void probe_end(void *user)
{
	struct model *m = user;

	m->probe = NULL;
	model_probed(m, m->probe_good);
}

static void probe_error(void *user, enum http_failure f, struct str detail)
{
	struct model *m = user;

	(void)f;
	(void)detail;
	m->probe = NULL;
	model_probed(m, false);
}

static const struct http_call_events probe_events = {
	.on_head = probe_head,
	.on_body = probe_body,
	.on_end = probe_end,
	.on_error = probe_error,
};

void model_probe(struct model *m)
{
	if (m->probe)
		return;
	m->probe_good = false;
	m->probe = http_call_start(m->e->http, &(struct http_call_options){
		.origin = &m->origin, .method = HTTP_GET, .path = STR("/health"), .no_replay = true,
		.deadlines = {
			.connect_ms = m->e->o.health_timeout_ms, .tls_ms = m->e->o.health_timeout_ms,
			.first_byte_ms = m->e->o.health_timeout_ms, .idle_ms = m->e->o.health_timeout_ms,
		},
	}, &probe_events, m);
	if (!m->probe) /* no memory for a probe says nothing about the child */
		model_probed(m, m->state == ENGINE_READY);
}

void model_probe_cancel(struct model *m)
{
	if (m->probe)
		http_call_cancel(m->probe);
	m->probe = NULL;
}
