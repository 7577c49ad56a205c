/* app/catalog.c - asks each provider for its models, one call a provider, and publishes what came.
 *
 * A round asks all providers at once, page after page; with each list that has come whole a new catalog is built from it and from
 * what is known of the others, and handed out: nobody's models wait for a provider that is slow or away.
 */
#include "app/catalog.h"

#include <stdlib.h>

#include "base/log.h"
#include "upstream/health.h"

enum {
	ROUND_MS = 10 * 60 * 1000,
	RETRY_MS = 60 * 1000, /* when some provider could not be asked */
	LIST_MAX = 16 * 1024 * 1024,
	CATALOG_MAX = 64 * 1024 * 1024,
	CALL_ARENA_MAX = 64 * 1024 * 1024,
	PAGES_MAX = 100, /* of one provider's list */
};

struct catalog_box *catalog_ref(struct catalog_box *c)
{
	if (c)
		atomic_fetch_add(&c->refs, 1);
	return c;
}

struct catalog_box *catalog_unref(struct catalog_box *c)
{
	if (c && atomic_fetch_sub(&c->refs, 1) == 1)
		arena_free(c->arena);
	return NULL;
}

static struct catalog_box *catalog_new(unsigned max_lists)
{
	struct arena *a = arena_new(CATALOG_MAX);
	struct catalog_box *c = a ? arena_alloc(a, sizeof(*c)) : NULL;
	struct catalog_list *lists = c ? arena_array(a, max_lists + 1, sizeof(*lists)) : NULL;

	if (!lists) {
		arena_free(a);
		return NULL;
	}
	c->arena = a;
	c->catalog.lists = lists;
	atomic_init(&c->refs, 1);
	return c;
}

/* Copies one list in; what does not fit is left out. */
static void catalog_add(struct catalog_box *c, struct str account, const struct str *ids,
			unsigned n)
{
	struct catalog_list *l = (struct catalog_list *)&c->catalog.lists[c->catalog.n_lists];
	struct str *copies = arena_array(c->arena, n, sizeof(*copies));

	l->account = arena_dup(c->arena, account);
	if (!copies || !str_present(l->account))
		return;
	for (unsigned i = 0; i < n; i++) {
		copies[l->n_ids] = arena_dup(c->arena, ids[i]);
		if (str_present(copies[l->n_ids]))
			l->n_ids++;
	}
	l->ids = copies;
	c->catalog.n_lists++;
}

/* One provider being asked. */
struct ask {
	struct discovery *d;
	const struct account *account;
	struct arena *arena; /* of the current call; NULL: not being asked */
	struct upstream_request request;
	struct http_call *call;
	struct buf body;
	int status;
	struct str *ids; /* of all pages so far */
	unsigned n_ids, n_pages;
	bool whole; /* the last page has come */
};

struct discovery {
	struct discovery_options o;
	struct snapshot *snapshot;
	struct catalog_box *current;
	struct ask *asks;
	unsigned n_asks, pending, failed;
	struct deadline next;
	void (*closed)(void *user);
	void *closed_user;
};

static const struct catalog_list *last_list(const struct discovery *d, struct str account)
{
	for (unsigned i = 0; d->current && i < d->current->catalog.n_lists; i++)
		if (str_eq(d->current->catalog.lists[i].account, account))
			return &d->current->catalog.lists[i];
	return NULL;
}

static void publish(struct discovery *d)
{
	struct catalog_box *fresh = catalog_new(d->n_asks);

	for (unsigned i = 0; fresh && i < d->n_asks; i++) {
		struct ask *k = &d->asks[i];
		const struct catalog_list *old = last_list(d, k->account->name);

		if (k->whole && k->n_ids > 0)
			catalog_add(fresh, k->account->name, k->ids, k->n_ids);
		else if (old)
			catalog_add(fresh, old->account, old->ids, old->n_ids);
	}
	if (!fresh)
		return;
	catalog_unref(d->current);
	d->current = fresh;
	d->o.found(d->o.user, fresh);
}

static void release_ask(struct ask *k)
{
	buf_done(&k->body);
	k->arena = arena_free(k->arena);
	k->call = NULL;
	k->ids = NULL;
	k->n_ids = 0;
}

static void release_asks(struct discovery *d)
{
	for (unsigned i = 0; i < d->n_asks; i++) {
		if (d->asks[i].call)
			http_call_cancel(d->asks[i].call);
		release_ask(&d->asks[i]);
	}
	free(d->asks);
	d->asks = NULL;
	d->n_asks = d->pending = 0;
}

static void ask_over(struct ask *k, const char *failure)
{
	struct discovery *d = k->d;

	k->call = NULL;
	if (failure) {
		d->failed++;
		health_failed(d->o.health, k->account->name, failure);
		log_event(LOG_WARN, "discovery.failed",
			  "The provider could not be asked for its models.",
			  LF_STR("provider", k->account->name), LF_CSTR("reason", failure),
			  LF_INT("status", k->status));
	} else {
		health_ok(d->o.health, k->account->name);
		k->whole = true;
	}
	publish(d);
	if (--d->pending == 0)
		deadline_set(&d->next, d->failed ? RETRY_MS : ROUND_MS);
}

/* Nothing of a list that did not come whole counts. */
static void give_up(struct ask *k, const char *failure)
{
	k->n_ids = 0;
	ask_over(k, failure);
}

static void on_head(void *user, const struct http_head *head)
{
	((struct ask *)user)->status = head->status;
}

static void on_body(void *user, struct str bytes)
{
	buf_put(&((struct ask *)user)->body, bytes);
}

static const char *status_failure(int status)
{
	if (status == 401 || status == 403)
		return "credential_refused";
	return status >= 500 ? "status_5xx" : "no_model_list";
}

static bool add_page(struct ask *k, const struct str *ids, unsigned n)
{
	struct str *all = arena_array(k->arena, k->n_ids + n + 1, sizeof(*all));

	if (!all)
		return false;
	if (k->n_ids)
		memcpy(all, k->ids, k->n_ids * sizeof(*all));
	if (n)
		memcpy(all + k->n_ids, ids, n * sizeof(*all));
	k->ids = all;
	k->n_ids += n;
	return true;
}

static bool ask_page(struct ask *k, struct str query);

/* A page that cannot be asked for is a failure, and the list that was there before stays: half a list would take models away. */
static void page_over(struct ask *k, struct str next)
{
	if (!str_present(next))
		ask_over(k, NULL);
	else if (++k->n_pages == PAGES_MAX || !ask_page(k, next))
		give_up(k, "too_many_pages");
}

static void on_end(void *user)
{
	struct ask *k = user;
	const struct protocol *p = k->account->speaks[0];
	struct str *ids, next = STR_NONE;
	struct err e;
	unsigned n;

	if (k->status != 200) {
		give_up(k, status_failure(k->status));
		return;
	}
	if (!buf_ok(&k->body) ||
	    p->decode_models(k->arena, buf_str(&k->body), &ids, &n, &e) != RC_OK ||
	    !add_page(k, ids, n)) {
		give_up(k, "no_model_list");
		return;
	}
	if (p->next_models)
		next = p->next_models(k->arena, buf_str(&k->body));
	page_over(k, next);
}

static void on_error(void *user, enum http_failure f, struct str detail)
{
	(void)detail;
	give_up(user, http_failure_name(f));
}

static const struct http_call_events ask_events = {
	.on_head = on_head,
	.on_body = on_body,
	.on_end = on_end,
	.on_error = on_error,
};

static struct str with_query(struct arena *a, struct str path, struct str query)
{
	bool more = str_find(path, STR("?")) >= 0;

	return arena_printf(a, "%.*s%s%.*s", STR_ARG(path), more ? "&" : "?", STR_ARG(query));
}

/* The first page, or with a query the one behind the last. */
static bool ask_page(struct ask *k, struct str query)
{
	struct prepare_options p = { .account = k->account,
				     .protocol = k->account->speaks[0],
				     .op = IR_OP_LIST_MODELS };
	struct http_call_options o = { .origin = &k->account->origin,
				       .deadlines = k->d->snapshot->deadlines };

	k->status = 0;
	buf_done(&k->body);
	buf_init(&k->body, LIST_MAX);
	k->request = (struct upstream_request){ 0 };
	if (k->account->kind->prepare(k->arena, &p, &k->request, NULL) != RC_OK)
		return false;
	if (str_present(query))
		k->request.path = with_query(k->arena, k->request.path, query);
	if (!str_present(k->request.path))
		return false;
	o.method = k->request.method;
	o.path = k->request.path;
	o.fields = k->request.fields;
	o.n_fields = k->request.n_fields;
	k->call = http_call_start(k->d->o.client, &o, &ask_events, k);
	return k->call != NULL;
}

static bool ask_one(struct ask *k)
{
	k->arena = arena_new(CALL_ARENA_MAX);
	return k->arena && ask_page(k, STR_NONE);
}

static bool can_be_asked(const struct account *a)
{
	return a->discover && a->n_local == 0 && a->speaks[0] && a->speaks[0]->decode_models;
}

static void begin_round(struct discovery *d)
{
	const struct snapshot *s = d->snapshot;

	release_asks(d);
	d->failed = 0;
	d->asks = calloc(s->n_accounts + 1, sizeof(*d->asks));
	for (unsigned i = 0; d->asks && i < s->n_accounts; i++) {
		struct ask *k = &d->asks[d->n_asks];

		if (!can_be_asked(&s->accounts[i]))
			continue;
		*k = (struct ask){ .d = d, .account = &s->accounts[i] };
		d->n_asks++;
		if (ask_one(k))
			d->pending++;
	}
	if (d->pending == 0)
		deadline_set(&d->next, ROUND_MS);
}

static void next_round(struct deadline *next)
{
	begin_round(LIST_ENTRY(next, struct discovery, next));
}

struct discovery *discovery_new(const struct discovery_options *o)
{
	struct discovery *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->o = *o;
	deadline_init(&d->next, o->loop, next_round);
	return d;
}

void discovery_start(struct discovery *d, struct snapshot *s)
{
	release_asks(d);
	snapshot_unref(d->snapshot);
	d->snapshot = snapshot_ref(s);
	begin_round(d);
}

static void deadline_closed(struct deadline *next)
{
	struct discovery *d = LIST_ENTRY(next, struct discovery, next);
	void (*closed)(void *user) = d->closed;
	void *user = d->closed_user;

	catalog_unref(d->current);
	snapshot_unref(d->snapshot);
	free(d);
	closed(user);
}

void discovery_close(struct discovery *d, void (*closed)(void *user), void *user)
{
	release_asks(d);
	d->closed = closed;
	d->closed_user = user;
	deadline_close(&d->next, deadline_closed);
}
