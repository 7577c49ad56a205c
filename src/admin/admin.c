/* admin/admin.c - health, readiness, and a line about what this is.
 *
 * Readiness says whether this gateway takes traffic, not whether every provider is well: one provider's outage must
 * not pull all gateways out of a load balancer. Each provider's state is told, to those who may know.
 */
#include "admin/admin.h"

#include "base/clock.h"
#include "engine/engine.h"
#include "exchange/exchange.h"
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

static void refuse_method(struct http_request *r)
{
	const struct http_head *h = http_request_head(r);
	struct http_field fields[] = { { STR("content-type"), STR_NONE },
				       { STR("allow"), STR("GET, HEAD") } };
	struct arena *a = http_request_arena(r);
	struct buf body;

	buf_init(&body, BODY_MAX);
	exchange_refuse(h, 405,
			arena_printf(a, "Method %.*s is not allowed for %.*s; use GET, HEAD.",
				     STR_ARG(h->method_text), STR_ARG(h->path)),
			a, &body, &fields[0].value, NULL);
	http_respond(r, 405, fields, 2, buf_str(&body));
	buf_done(&body);
}

enum place { PLACE_NONE, PLACE_HEALTH, PLACE_READY, PLACE_ABOUT };

static enum place place_of(struct str path)
{
	if (str_eq(path, STR("/health")) || str_eq(path, STR("/healthz")))
		return PLACE_HEALTH;
	if (str_eq(path, STR("/ready")) || str_eq(path, STR("/readyz")))
		return PLACE_READY;
	return str_eq(path, STR("/")) ? PLACE_ABOUT : PLACE_NONE;
}

bool admin_answer(struct http_request *r, const struct admin_facts *f)
{
	const struct http_head *h = http_request_head(r);
	enum place place = place_of(h->path);

	if (place == PLACE_NONE)
		return false;
	if (h->method != HTTP_GET && h->method != HTTP_HEAD)
		refuse_method(r);
	else if (place == PLACE_HEALTH)
		answer_health(r);
	else if (place == PLACE_READY)
		answer_ready(r, f);
	else
		answer_about(r);
	return true;
}
