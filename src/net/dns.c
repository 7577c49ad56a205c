/* net/dns.c - a small cache before getaddrinfo().
 *
 * The hard thing is lifetimes: a look-up cannot be recalled from the thread pool, so an entry
 * that is being looked up outlives its cache, and those who asked may have gone by then.
 */
#include "net/dns.h"

#include <netdb.h>
#include <stdlib.h>
#include <string.h>

enum {
	ENTRIES_MAX = 256,
	STALE_MS = 2000, /* how long addresses stay in use after a refresh that failed */
};

struct dns_entry {
	struct list node; /* in dns.entries, last used first */
	struct dns *owner;
	uv_getaddrinfo_t req;
	bool asking;
	uint64_t expires_at_ms;
	struct dns_addrs addrs;
	struct list waiting; /* dns_query */
	size_t name_len;
	char name[]; /* NUL-terminated */
};

struct dns {
	struct loop *loop;
	struct list entries;
	unsigned n_entries, n_asking;
	uint64_t ttl_ms, lookups;
	struct dns_addrs literal;
	bool closed;
	struct loop_dead dead;
};

struct dns *dns_new(struct loop *l, uint64_t ttl_ms)
{
	struct dns *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->loop = l;
	d->ttl_ms = ttl_ms;
	list_init(&d->entries);
	return d;
}

static void entry_free(struct dns_entry *e)
{
	list_remove(&e->node);
	e->owner->n_entries--;
	free(e);
}

static void dns_free(struct loop_dead *dead)
{
	struct dns *d = LIST_ENTRY(dead, struct dns, dead);

	LIST_EACH_SAFE (&d->entries, it, tmp)
		entry_free(LIST_ENTRY(it, struct dns_entry, node));
	free(d);
}

void dns_close(struct dns *d)
{
	if (!d || d->closed)
		return;
	d->closed = true;
	LIST_EACH (&d->entries, it) {
		struct dns_entry *e = LIST_ENTRY(it, struct dns_entry, node);

		/* fails when a thread has it already; then we wait */
		if (e->asking)
			uv_cancel((uv_req_t *)&e->req);
	}
	if (!d->n_asking)
		loop_free_later(d->loop, &d->dead, dns_free);
}

static bool parse_literal(struct str host, struct dns_addrs *ret)
{
	char text[INET6_ADDRSTRLEN];

	if (host.len == 0 || host.len >= sizeof(text))
		return false;
	memcpy(text, host.ptr, host.len);
	text[host.len] = '\0';
	memset(ret, 0, sizeof(*ret));
	ret->n = 1;
	return uv_ip4_addr(text, 0, &ret->addr[0].v4) == 0 ||
	       uv_ip6_addr(text, 0, &ret->addr[0].v6) == 0;
}

static struct dns_entry *find(struct dns *d, struct str host)
{
	LIST_EACH (&d->entries, it) {
		struct dns_entry *e = LIST_ENTRY(it, struct dns_entry, node);

		if (str_eq(host, (struct str){ e->name, e->name_len })) {
			list_remove(&e->node);
			list_prepend(&d->entries, &e->node);
			return e;
		}
	}
	return NULL;
}

/* Drops the entry that was unused longest and that nobody waits for. */
static void make_room(struct dns *d)
{
	for (struct list *it = d->entries.prev; it != &d->entries; it = it->prev) {
		struct dns_entry *e = LIST_ENTRY(it, struct dns_entry, node);

		if (!e->asking) {
			entry_free(e);
			return;
		}
	}
}

static struct dns_entry *find_or_add(struct dns *d, struct str host)
{
	struct dns_entry *e = find(d, host);

	if (e || host.len == 0 || host.len > DNS_NAME_MAX)
		return e;
	if (d->n_entries >= ENTRIES_MAX)
		make_room(d);
	e = calloc(1, sizeof(*e) + host.len + 1);
	if (!e)
		return NULL;
	e->owner = d;
	e->name_len = host.len;
	memcpy(e->name, host.ptr, host.len);
	list_init(&e->waiting);
	list_prepend(&d->entries, &e->node);
	d->n_entries++;
	return e;
}

const struct dns_addrs *dns_known(struct dns *d, struct str host)
{
	if (parse_literal(host, &d->literal))
		return &d->literal;
	struct dns_entry *e = find(d, host);

	return e && e->addrs.n && loop_now_ms(d->loop) < e->expires_at_ms ? &e->addrs : NULL;
}

/* The resolver sorts by preference (RFC 6724); keep its first choice and alternate the families
 * after it. */
static void take_addrs(const struct addrinfo *found, struct dns_addrs *ret)
{
	const struct addrinfo *first = found, *second = found;
	int family = found ? found->ai_family : AF_UNSPEC;

	ret->n = 0;
	while (ret->n < DNS_ADDRS_MAX) {
		while (first && first->ai_family != family)
			first = first->ai_next;
		while (second && (second->ai_family == family ||
				  (second->ai_family != AF_INET && second->ai_family != AF_INET6)))
			second = second->ai_next;
		if (!first && !second)
			return;
		const struct addrinfo **next =
			(ret->n % 2 == 0 && first) || !second ? &first : &second;

		if ((*next)->ai_addrlen <= sizeof(ret->addr[0]))
			memcpy(&ret->addr[ret->n++], (*next)->ai_addr, (*next)->ai_addrlen);
		*next = (*next)->ai_next;
	}
}

static void tell(struct dns_entry *e, const struct dns_addrs *addrs, struct str detail)
{
	struct dns_addrs
		copy; /* a waiter may ask again at once, and so change the entry and its list */
	struct list told;

	if (addrs)
		copy = *addrs;
	list_append(&e->waiting, &told);
	list_remove(&e->waiting);
	while (!list_empty(&told)) {
		struct dns_query *q = LIST_ENTRY(told.next, struct dns_query, node);

		list_remove(&q->node);
		q->fn(q, addrs ? &copy : NULL, detail);
	}
}

static void on_answer(uv_getaddrinfo_t *req, int status, struct addrinfo *found)
{
	struct dns_entry *e = LIST_ENTRY(req, struct dns_entry, req);
	struct dns *d = e->owner;
	uint64_t now = loop_now_ms(d->loop);
	struct dns_addrs fresh = { .n = 0 };

	e->asking = false;
	d->n_asking--;
	if (status == 0)
		take_addrs(found, &fresh);
	uv_freeaddrinfo(found);
	if (d->closed) {
		if (!d->n_asking)
			loop_free_later(d->loop, &d->dead, dns_free);
		return;
	}
	if (fresh.n) {
		e->addrs = fresh;
		e->expires_at_ms = now + d->ttl_ms;
	} else if (e->addrs.n) {
		e->expires_at_ms = now + STALE_MS;
	}
	if (e->addrs.n)
		tell(e, &e->addrs, STR_NONE);
	else
		tell(e, NULL,
		     status ? str_from(uv_strerror(status)) : STR("the name has no address"));
}

bool dns_ask(struct dns *d, struct str host, struct dns_query *q)
{
	static const struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
					       .ai_flags = AI_ADDRCONFIG };
	struct dns_entry *e = find_or_add(d, host);

	if (!e || d->closed)
		return false;
	if (!e->asking) {
		if (uv_getaddrinfo(&d->loop->uv, &e->req, on_answer, e->name, NULL, &hints) < 0)
			return false;
		e->asking = true;
		d->n_asking++;
		d->lookups++;
	}
	list_append(&e->waiting, &q->node);
	return true;
}

void dns_forget(struct dns_query *q)
{
	if (q->node.next)
		list_remove(&q->node);
}

bool dns_put(struct dns *d, struct str host, const struct dns_addrs *addrs)
{
	struct dns_entry *e = find_or_add(d, host);

	if (!e)
		return false;
	e->addrs = *addrs;
	e->expires_at_ms = loop_now_ms(d->loop) + d->ttl_ms;
	return true;
}

uint64_t dns_lookups(const struct dns *d)
{
	return d->lookups;
}
