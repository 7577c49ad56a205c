/* admin/admin.c - health, readiness, and a line about what this is.
 *
 * Readiness says whether this gateway takes traffic, not whether every provider is well: one provider's outage must
 * not pull all gateways out of a load balancer. Each provider's state is told, to those who may know.
 */
#include "admin/admin.h"

#include "base/clock.h"
#include "engine/engine.h"
#include "json/write.h"
#include "policy/auth.h"
#include "upstream/health.h"

enum { BODY_MAX = 1024 * 1024 };

static void respond_json(struct http_request *r, int status, struct buf *body)
{
	const struct http_field fields[] = {
		{ STR("content-type"), STR("application/json") },
		{ STR("cache-control"), STR("no-store") },
	};

	http_respond(r, status, fields, 2, buf_str(body));
	buf_done(body);
}

static void answer_health(struct http_request *r)
{
	struct buf body;

	buf_init(&body, BODY_MAX);
	buf_puts(&body, "{\"status\":\"ok\"}");
	respond_json(r, 200, &body);
}

static void answer_about(struct http_request *r)
{
	struct buf body;

	buf_init(&body, BODY_MAX);
	buf_puts(&body, "{\"name\":\"llm-gateway\",\"version\":\"" GW_VERSION
			"\",\"endpoints\":[\"/v1/chat/completions\",\"/v1/messages\",\"/v1/"
			"messages/count_tokens\","
			"\"/v1/models\",\"/health\",\"/ready\"]}");
	respond_json(r, 200, &body);
}

static const char *provider_state(const struct health_state *h)
{
	if (!h->asked)
		return "unknown";
	return h->failures == 0 ? "ok" : "failing";
}

static void put_engine(struct jw *w, struct http_request *r, const struct admin_facts *f,
		       struct str account)
{
	struct engine_model_status *models;
	unsigned n;

	if (!f->engine || engine_status(f->engine, http_request_arena(r), &models, &n) != RC_OK)
		return;
	jw_key(w, "models");
	jw_arr(w);
	for (unsigned i = 0; i < n; i++) {
		if (!str_eq(models[i].account, account))
			continue;
		jw_obj(w);
		jw_kstr(w, "name", models[i].model);
		jw_kcstr(w, "state", engine_state_name(models[i].state));
		jw_ki64(w, "restarts", models[i].restarts);
		if (str_present(models[i].message))
			jw_kstr(w, "message", models[i].message);
		jw_end_obj(w);
	}
	jw_end_arr(w);
}

static void put_providers(struct jw *w, struct http_request *r, const struct admin_facts *f)
{
	jw_key(w, "providers");
	jw_obj(w);
	for (unsigned i = 0; i < f->snapshot->n_accounts; i++) {
		const struct account *a = &f->snapshot->accounts[i];
		struct health_state h = health_get(f->health, a->name);

		jw_key_str(w, a->name);
		jw_obj(w);
		jw_kcstr(w, "type", a->kind->name);
		jw_kcstr(w, "state", provider_state(&h));
		if (h.failures > 0) {
			jw_ki64(w, "failures", h.failures);
			jw_kcstr(w, "error", h.error);
			jw_ki64(w, "since", h.since_s);
		}
		if (a->n_local > 0)
			put_engine(w, r, f, a->name);
		jw_end_obj(w);
	}
	jw_end_obj(w);
}

static void answer_ready(struct http_request *r, const struct admin_facts *f)
{
	struct principal who;
	struct ir_error ignored;
	bool may_know = auth_check(f->snapshot, http_request_head(r), &who, &ignored) == RC_OK;
	struct buf body;
	struct jw w = jw_on(&body);

	buf_init(&body, BODY_MAX);
	jw_obj(&w);
	jw_kcstr(&w, "status", f->draining ? "draining" : "ready");
	if (may_know)
		put_providers(&w, r, f);
	jw_end_obj(&w);
	respond_json(r, f->draining ? 503 : 200, &body);
}

bool admin_answer(struct http_request *r, const struct admin_facts *f)
{
	const struct http_head *h = http_request_head(r);

	if (h->method != HTTP_GET && h->method != HTTP_HEAD)
		return false;
	if (str_eq(h->path, STR("/health")) || str_eq(h->path, STR("/healthz")))
		answer_health(r);
	else if (str_eq(h->path, STR("/ready")) || str_eq(h->path, STR("/readyz")))
		answer_ready(r, f);
	else if (str_eq(h->path, STR("/")))
		answer_about(r);
	else
		return false;
	return true;
}
