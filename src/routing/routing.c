/* routing/routing.c - from the name of a model to the places that may answer.
 *
 * One function a rule, tried in order; each says how many targets it found. The hard thing is names that
 * fit two rules: "openai/gpt-4o" is the model gpt-4o of the provider openai, unless openrouter was pinned or no
 * provider is called openai, and then it is what openrouter lists under that very name. */
#include "routing/routing.h"

#include "base/buf.h"
#include "providers/models.h"

struct work {
	const struct snapshot *s;
	const struct catalog *catalog;
	const struct route_facts *f;
	struct arena *arena;
	struct route *ret;
	unsigned cap;
	bool nomem;
};

const char *route_rule_name(enum route_rule r)
{
	switch (r) {
	case ROUTE_BY_PIN:
		return "pin";
	case ROUTE_BY_ALIAS:
		return "alias";
	case ROUTE_BY_PROVIDER_NAME:
		return "provider_name";
	case ROUTE_BY_LIST:
		return "list";
	case ROUTE_BY_PREFIX:
		return "prefix";
	case ROUTE_BY_DEFAULT:
		return "default";
	}
	return "";
}

/* --- what an account has --- */

static const struct local_model *local_by_name(const struct account *acc, struct str model)
{
	for (unsigned i = 0; i < acc->n_local; i++)
		if (str_eq(acc->local[i].name, model))
			return &acc->local[i];
	return NULL;
}

static const struct catalog_list *list_of(const struct catalog *c, const struct account *acc)
{
	for (unsigned i = 0; c && i < c->n_lists; i++)
		if (str_eq(c->lists[i].account, acc->name))
			return &c->lists[i];
	return NULL;
}

/* The name by which the account lists `model` but for ":latest"; absent when it does not. */
static struct str listed_latest(const struct work *w, const struct account *acc, struct str model)
{
	const struct catalog_list *found = list_of(w->catalog, acc);

	for (unsigned i = 0; i < acc->n_local; i++)
		if (ir_same_model(acc->local[i].name, model))
			return acc->local[i].name;
	for (unsigned i = 0; i < acc->n_models; i++)
		if (ir_same_model(acc->models[i], model))
			return acc->models[i];
	for (unsigned i = 0; found && i < found->n_ids; i++)
		if (ir_same_model(found->ids[i], model))
			return found->ids[i];
	return STR_NONE;
}

/* The alias of that name, or of the same but for ":latest"; NULL. */
static const struct model_alias *alias_of(const struct work *w)
{
	const struct model_alias *exact = snapshot_alias(w->s, w->f->model);

	for (unsigned i = 0; !exact && i < w->s->n_aliases; i++)
		if (ir_same_model(w->s->aliases[i].name, w->f->model))
			return &w->s->aliases[i];
	return exact;
}

static bool lists(const struct work *w, const struct account *acc, struct str model)
{
	const struct catalog_list *found = list_of(w->catalog, acc);

	if (local_by_name(acc, model))
		return true;
	for (unsigned i = 0; i < acc->n_models; i++)
		if (str_eq(acc->models[i], model))
			return true;
	for (unsigned i = 0; found && i < found->n_ids; i++)
		if (str_eq(found->ids[i], model))
			return true;
	return false;
}

/* Whether that model of the account's can be asked for that in this protocol. */
static bool does(const struct account *acc, struct str model, const struct protocol *p,
		 enum ir_op op)
{
	const struct provider *kind = acc->kind;

	if (p == &protocol_openai_completions && (acc->quirks & QUIRK_NO_COMPLETIONS))
		return false;
	if (op == IR_OP_EMBED)
		return p->embed;
	return (op != IR_OP_GENERATE && op != IR_OP_COUNT_TOKENS) || !kind->model_speaks ||
	       kind->model_speaks(model, p);
}

/* To count tokens the client's own protocol will do unless it is known that the provider has no such operation there; of others
 * it must be known that it has. */
static bool counts(const struct account *acc, const struct protocol *p, const struct route_facts *f)
{
	enum count_form form = account_counts(acc, p);

	return p == f->protocol ? form != COUNT_NEVER : form > COUNT_UNKNOWN;
}

/* Which of its protocols an account is asked in: the client's own, so that bytes can be passed on, else the first that knows
 * the operation, and of those rather one that has a place for all that is asked; NULL when none does. Tokens that it does not count are
 * estimated as of a request in the first. */
static const struct protocol *protocol_for(const struct account *acc, struct str model,
					   const struct route_facts *f)
{
	const struct protocol *first = NULL, *counter = NULL;
	bool count = f->op == IR_OP_COUNT_TOKENS, gap = f->needs & IR_NEED_GAP;

	for (unsigned i = 0; i < PROVIDER_MAX_PROTOCOLS && acc->speaks[i]; i++) {
		const struct protocol *p = acc->speaks[i];
		bool able = does(acc, model, p, f->op);

		if (able && p == f->protocol && (!count || counts(acc, p, f)))
			return p;
		if (able && !counter && count && counts(acc, p, f))
			counter = p;
		if (able && (!first || (gap && p->fills_gaps && !first->fills_gaps)))
			first = p;
	}
	return counter ? counter : first;
}

/* Can the account do what the request needs? Only where that is known for certain. */
static bool fits(const struct work *w, const struct account *acc)
{
	return !(w->f->needs & IR_NEED_SCHEMA) || !(acc->quirks & QUIRK_NO_JSON_SCHEMA);
}

/* --- targets --- */

static void add(struct work *w, const struct account *acc, struct str model)
{
	struct route *r = w->ret;
	unsigned cap = w->cap ? w->cap * 2 : 4;
	struct target *t = r->targets;
	bool local = acc->kind == &provider_local;
	const struct local_model *m = local ? local_by_name(acc, model) : NULL;
	const struct protocol *protocol = protocol_for(acc, model, w->f);

	if (local && !m)
		return;
	if (r->n_targets == w->cap) {
		t = arena_grow(w->arena, t, w->cap * sizeof(*t), cap * sizeof(*t));
		if (!t) {
			w->nomem = true;
			return;
		}
		r->targets = t;
		w->cap = cap;
	}
	r->targets[r->n_targets++] = (struct target){
		.account = acc,
		.local = m,
		.model = model,
		.relay = protocol && protocol == w->f->protocol,
		.protocol = protocol,
	};
}

static unsigned rank(const struct work *w, const struct target *t)
{
	return (fits(w, t->account) ? 0 : 2) + (t->relay ? 0 : 1);
}

/* Equal targets: the ones that can, then those that allow relay, then as configured. Few: insertion sort, stable. */
static void order(struct work *w)
{
	struct target *t = w->ret->targets;

	for (unsigned i = 1; i < w->ret->n_targets; i++) {
		struct target x = t[i];
		unsigned at = i;

		for (; at > 0 && rank(w, &t[at - 1]) > rank(w, &x); at--)
			t[at] = t[at - 1];
		t[at] = x;
	}
}

/* --- the rules --- */

static void by_alias(struct work *w, const struct model_alias *alias, const struct account *only)
{
	for (unsigned i = 0; i < alias->n_targets; i++)
		if (!only || alias->targets[i].account == only)
			add(w, alias->targets[i].account, alias->targets[i].model);
}

/* "name/rest" with the account's own name, unless it lists the whole as a model. */
static struct str without_own_name(const struct work *w, const struct account *acc,
				   struct str model)
{
	struct str rest = str_from_offset(model, acc->name.len + 1);

	if (model.len <= acc->name.len + 1 || !str_starts(model, acc->name) ||
	    model.ptr[acc->name.len] != '/' || lists(w, acc, model))
		return model;
	return rest;
}

static void by_pin(struct work *w, const struct account *acc)
{
	const struct model_alias *alias = alias_of(w);

	if (alias)
		by_alias(w, alias, acc);
	if (!w->ret->n_targets)
		add(w, acc, without_own_name(w, acc, w->f->model));
}

static void by_provider_name(struct work *w)
{
	struct str rest = w->f->model, name = str_cut(&rest, '/');
	const struct account *acc =
		str_present(rest) && rest.len ? snapshot_account(w->s, name) : NULL;

	if (acc)
		add(w, acc, without_own_name(w, acc, w->f->model));
}

static void by_list(struct work *w)
{
	for (unsigned i = 0; i < w->s->n_accounts; i++)
		if (lists(w, &w->s->accounts[i], w->f->model))
			add(w, &w->s->accounts[i], w->f->model);
	for (unsigned i = 0, none = !w->ret->n_targets; none && i < w->s->n_accounts; i++) {
		struct str name = listed_latest(w, &w->s->accounts[i], w->f->model);

		if (str_present(name))
			add(w, &w->s->accounts[i], name);
	}
	order(w);
}

static void by_prefix(struct work *w)
{
	for (unsigned i = 0; i < w->s->n_accounts; i++)
		if (account_has_prefix(&w->s->accounts[i], w->f->model))
			add(w, &w->s->accounts[i], w->f->model);
	order(w);
}

/* A local provider serves any name with its first model: that is what being the default means for it. */
static void by_default(struct work *w)
{
	const struct account *acc = w->s->default_account;

	if (acc && acc->kind == &provider_local && acc->n_local)
		add(w, acc, acc->local[0].name);
	else if (acc)
		add(w, acc, w->f->model);
}

static void try_rules(struct work *w)
{
	const struct model_alias *alias = alias_of(w);

	for (int r = ROUTE_BY_ALIAS; r <= ROUTE_BY_DEFAULT && !w->ret->n_targets; r++) {
		w->ret->rule = (enum route_rule)r;
		switch ((enum route_rule)r) {
		case ROUTE_BY_PIN:
			break;
		case ROUTE_BY_ALIAS:
			if (alias)
				by_alias(w, alias, NULL);
			break;
		case ROUTE_BY_PROVIDER_NAME:
			by_provider_name(w);
			break;
		case ROUTE_BY_LIST:
			by_list(w);
			break;
		case ROUTE_BY_PREFIX:
			by_prefix(w);
			break;
		case ROUTE_BY_DEFAULT:
			by_default(w);
			break;
		}
	}
}

/* --- saying no --- */

static int refuse(struct work *w, int rc, struct ir_error *reterr, enum ir_error_kind kind,
		  struct str code, struct str param, struct str message)
{
	*reterr = (struct ir_error){
		.kind = kind,
		.code = code,
		.param = param,
		.message = message.ptr ? message : STR("The request cannot be routed."),
		.retry_after_ms = -1,
	};
	return rc;
}

/* At most so much of a name that a client made up is repeated to it. */
static struct str clip(struct str s)
{
	return s.len > 120 ? (struct str){ s.ptr, 120 } : s;
}

static int unknown_pin(struct work *w, struct ir_error *reterr)
{
	struct str pin = clip(w->f->pin);
	struct buf b;
	int rc;

	buf_init(&b, 4096);
	buf_printf(&b, "There is no provider '%.*s' here.", STR_ARG(pin));
	for (unsigned i = 0; i < w->s->n_accounts && i < 20; i++)
		buf_printf(&b, "%s'%.*s'",
			   i ? ", " : " Configured: ", STR_ARG(w->s->accounts[i].name));
	rc = refuse(w, RC_INVALID, reterr, IR_ERR_INVALID_REQUEST, STR("unknown_provider"),
		    STR("provider"), arena_dup(w->arena, buf_str(&b)));
	buf_done(&b);
	return rc;
}

enum { N_NEAR = 3 };

struct near {
	struct str name;
	unsigned distance;
};

enum { FAR = 8 };

/* Distance for the purpose of guessing what was meant: FAR when half of it would have to change, small for names
 * that hold the other. */
static unsigned guess(struct str asked, struct str name)
{
	unsigned d = str_distance(asked, name, FAR);

	if (asked.len >= 3 && name.len >= 3 &&
	    (str_find(name, asked) >= 0 || str_find(asked, name) >= 0))
		return d < 3 ? d : 3;
	return d * 2 > asked.len + 1 ? FAR : d;
}

static unsigned nearest(struct work *w, struct near near[N_NEAR])
{
	struct model_info *models;
	unsigned n_models, n = 0;

	if (routing_models(w->s, w->catalog, w->f->principal, w->arena, &models, &n_models))
		return 0;
	for (unsigned i = 0; i < n_models; i++) {
		unsigned d = guess(clip(w->f->model), models[i].id), at = n;

		if (d >= FAR)
			continue;
		while (at > 0 && near[at - 1].distance > d)
			at--;
		if (at == N_NEAR)
			continue;
		if (n < N_NEAR)
			n++;
		for (unsigned k = n - 1; k > at; k--)
			near[k] = near[k - 1];
		near[at] = (struct near){ models[i].id, d };
	}
	return n;
}

static int not_found(struct work *w, struct ir_error *reterr)
{
	struct near near[N_NEAR];
	unsigned n = nearest(w, near);
	struct str model = clip(w->f->model);
	struct buf b;
	int rc;

	buf_init(&b, 4096);
	buf_printf(&b, "The model '%.*s' does not exist here.", STR_ARG(model));
	for (unsigned i = 0; i < n; i++)
		buf_printf(&b, "%s'%.*s'",
			   i == 0       ? " Did you mean "
			   : i + 1 == n ? " or "
					: ", ",
			   STR_ARG(near[i].name));
	buf_puts(&b, n ? "? GET /v1/models lists all." : " GET /v1/models lists what does.");
	rc = refuse(w, RC_NOTFOUND, reterr, IR_ERR_MODEL_NOT_FOUND, STR("model_not_found"),
		    STR("model"), arena_dup(w->arena, buf_str(&b)));
	buf_done(&b);
	return rc;
}

int routing_resolve(const struct snapshot *s, const struct catalog *catalog,
		    const struct route_facts *f, struct arena *a, struct route *ret,
		    struct ir_error *reterr)
{
	struct work w = { .s = s, .catalog = catalog, .f = f, .arena = a, .ret = ret };
	const struct account *pinned = f->pin.len ? snapshot_account(s, f->pin) : NULL;

	*ret = (struct route){ .rule = ROUTE_BY_PIN };
	if (f->pin.len && !pinned)
		return unknown_pin(&w, reterr);
	if (!f->model.len)
		return refuse(
			&w, RC_INVALID, reterr, IR_ERR_INVALID_REQUEST, STR("missing_model"),
			STR("model"),
			STR("The request names no model. GET /v1/models lists what there is."));
	if (pinned)
		by_pin(&w, pinned);
	else
		try_rules(&w);
	if (w.nomem)
		return refuse(&w, RC_NOMEM, reterr, IR_ERR_UNAVAILABLE, STR_NONE, STR_NONE,
			      STR("The gateway is out of memory. Try again."));
	return ret->n_targets ? RC_OK : not_found(&w, reterr);
}

/* --- listing --- */

struct listing {
	struct work w;
	struct model_info *models;
	unsigned n, cap;
	/* Open addressing over the ids, so that a catalog of thousands stays cheap. */
	unsigned *slots;
	unsigned n_slots;
};

/* True when `id` was not there yet. */
static bool first_of_its_name(struct listing *l, struct str id)
{
	unsigned at = (unsigned)hash_fnv(id) & (l->n_slots - 1);

	for (; l->slots[at]; at = (at + 1) & (l->n_slots - 1))
		if (str_eq(l->models[l->slots[at] - 1].id, id))
			return false;
	l->slots[at] = l->n + 1;
	return true;
}

static enum ir_tri can(const struct model_facts *f, enum model_can what)
{
	return f->can & what ? IR_TRUE : IR_FALSE;
}

/* `real`: the name that says most of what it is, an alias's first target. */
static void add_facts(struct model_info *m, struct str real)
{
	const struct model_facts *f = model_facts(real);

	if (!f)
		return;
	if (m->context <= 0)
		m->context = f->context;
	m->max_output = f->max_output;
	m->embeds = m->embeds || (f->can & MODEL_EMBEDS);
	m->vision = can(f, MODEL_VISION);
	m->tools = can(f, MODEL_TOOLS);
	m->reasoning = can(f, MODEL_REASONING);
	m->effort = can(f, MODEL_EFFORT);
}

static void list_one(struct listing *l, const struct principal *p, struct str id, struct str real,
		     struct str owner, const struct local_model *local)
{
	if ((p && !auth_model_allowed(p, id)) || l->n == l->cap || !first_of_its_name(l, id))
		return;
	l->models[l->n] = (struct model_info){ .id = id,
					       .owner = owner,
					       .context = local ? local->context : 0,
					       .embeds = local && local->embeddings };
	add_facts(&l->models[l->n++], real);
}

static void list_account(struct listing *l, const struct principal *p, const struct account *acc)
{
	const struct catalog_list *found = list_of(l->w.catalog, acc);

	for (unsigned i = 0; i < acc->n_local; i++)
		list_one(l, p, acc->local[i].name, STR(""), acc->name, &acc->local[i]);
	for (unsigned i = 0; i < acc->n_models; i++)
		list_one(l, p, acc->models[i], acc->models[i], acc->name, NULL);
	for (unsigned i = 0; found && i < found->n_ids; i++)
		list_one(l, p, found->ids[i], found->ids[i], acc->name, NULL);
}

/* Of several targets the first is what it usually is. */
static void list_alias(struct listing *l, const struct principal *p,
		       const struct model_alias *alias)
{
	bool any = alias->n_targets > 0;

	list_one(l, p, alias->name, any ? alias->targets[0].model : alias->name,
		 any ? alias->targets[0].account->name : STR("llm-gateway"), NULL);
}

static bool listing_init(struct listing *l, struct arena *a)
{
	const struct snapshot *s = l->w.s;

	l->cap = s->n_aliases;
	for (unsigned i = 0; i < s->n_accounts; i++) {
		const struct catalog_list *found = list_of(l->w.catalog, &s->accounts[i]);

		l->cap += s->accounts[i].n_local + s->accounts[i].n_models +
			  (found ? found->n_ids : 0);
	}
	for (l->n_slots = 16; l->n_slots < l->cap * 2;)
		l->n_slots *= 2;
	l->models = arena_array(a, l->cap ? l->cap : 1, sizeof(*l->models));
	l->slots = arena_array(a, l->n_slots, sizeof(*l->slots));
	return l->models && l->slots;
}

int routing_models(const struct snapshot *s, const struct catalog *catalog,
		   const struct principal *principal, struct arena *a, struct model_info **ret,
		   unsigned *ret_n)
{
	struct listing l = { .w = { .s = s, .catalog = catalog } };

	if (!listing_init(&l, a))
		return RC_NOMEM;
	for (unsigned i = 0; i < s->n_aliases; i++)
		list_alias(&l, principal, &s->aliases[i]);
	for (unsigned i = 0; i < s->n_accounts; i++)
		list_account(&l, principal, &s->accounts[i]);
	*ret = l.models;
	*ret_n = l.n;
	return RC_OK;
}
