/* net/dial.c - from a name to a connection.
 *
 * The hard thing is that several connects run at once and any of them, the timer, the resolver
 * or the owner may end the dial: dial_over() is the one way out.
 */
#include "net/dial.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

struct attempt {
	struct dial *dial;
	struct stream *stream; /* NULL when it failed or has won */
};

struct dial {
	struct loop *loop;
	struct dns *dns;
	const struct origin *origin;
	const struct dial_events *ev;
	void *user;
	struct dns_query query;
	struct dns_addrs addrs;
	struct attempt attempts[DNS_ADDRS_MAX];
	unsigned n_started, n_running;
	struct deadline head_start, whole;
	struct loop_dead first; /* the first step, outside of dial_start() */
	unsigned n_timers;
	bool asked, over;
	char detail[160]; /* of the last failure */
};

static void start_next(struct dial *d);

static void on_timer_closed(struct dial *d)
{
	if (--d->n_timers == 0)
		free(d);
}

static void on_head_start_closed(struct deadline *t)
{
	on_timer_closed(LIST_ENTRY(t, struct dial, head_start));
}

static void on_whole_closed(struct deadline *t)
{
	on_timer_closed(LIST_ENTRY(t, struct dial, whole));
}

static void dial_over(struct dial *d)
{
	d->over = true;
	list_remove(&d->first.node);
	dns_forget(&d->query);
	for (unsigned i = 0; i < d->n_started; i++) {
		if (d->attempts[i].stream)
			stream_close(d->attempts[i].stream);
		d->attempts[i].stream = NULL;
	}
	deadline_close(&d->head_start, on_head_start_closed);
	deadline_close(&d->whole, on_whole_closed);
}

static void fail(struct dial *d, enum dial_failure f, struct str detail)
{
	const struct dial_events *ev = d->ev;

	dial_over(d);
	ev->on_fail(d->user, f, detail); /* d is freed by its timers, later */
}

/* One address did not work: the next one now; none left and none running: that was it. */
static void attempt_failed(struct dial *d, unsigned which, int status)
{
	if (!str_present(d->origin->unix_path)) {
		const union dns_addr *a = &d->addrs.addr[which];
		char ip[INET6_ADDRSTRLEN] = "?";

		uv_inet_ntop(a->any.sa_family,
			     a->any.sa_family == AF_INET6 ? (const void *)&a->v6.sin6_addr
							  : (const void *)&a->v4.sin_addr,
			     ip, sizeof(ip));
		snprintf(d->detail, sizeof(d->detail), "%s port %u: %s", ip,
			 (unsigned)d->origin->port, uv_strerror(status));
	} else {
		snprintf(d->detail, sizeof(d->detail), "%s", uv_strerror(status));
	}
	if (d->n_started < d->addrs.n)
		start_next(d);
	else if (d->n_running == 0)
		fail(d, DIAL_REFUSED, str_from(d->detail));
}

static void on_open(void *user, int status, struct str detail)
{
	struct attempt *at = user;
	struct dial *d = at->dial;
	struct stream *s = at->stream;

	(void)detail;
	at->stream = NULL;
	d->n_running--;
	if (status < 0) {
		stream_close(s);
		attempt_failed(d, (unsigned)(at - d->attempts), status);
		return;
	}
	const struct dial_events *ev = d->ev;

	dial_over(d);
	ev->on_open(d->user, s);
}

static void ignore_read(void *user, struct str bytes)
{
	(void)user;
	(void)bytes;
}

static void ignore_status(void *user, int status)
{
	(void)user;
	(void)status;
}

static const struct stream_events attempt_events = {
	.on_read = ignore_read,
	.on_end = ignore_status,
	.on_written = ignore_status,
	.on_open = on_open,
};

static void start_next(struct dial *d)
{
	int status = UV_EINVAL;

	while (d->n_started < d->addrs.n) {
		struct attempt *at = &d->attempts[d->n_started];
		union dns_addr *a = &d->addrs.addr[d->n_started++];

		if (a->any.sa_family == AF_INET6)
			a->v6.sin6_port = htons(d->origin->port);
		else
			a->v4.sin_port = htons(d->origin->port);
		at->dial = d;
		at->stream = stream_connect(d->loop, &a->any, &attempt_events, at, &status);
		if (at->stream) {
			d->n_running++;
			if (d->n_started < d->addrs.n)
				deadline_set(&d->head_start, DIAL_HEAD_START_MS);
			return;
		}
	}
	attempt_failed(d, d->n_started - 1, status); /* none could even be tried */
}

static void on_head_start(struct deadline *t)
{
	struct dial *d = LIST_ENTRY(t, struct dial, head_start);

	if (d->n_started < d->addrs.n)
		start_next(d);
}

static void on_whole(struct deadline *t)
{
	struct dial *d = LIST_ENTRY(t, struct dial, whole);

	if (!d->detail[0])
		snprintf(d->detail, sizeof(d->detail), "%s",
			 d->asked && !d->n_started ? "the name was not resolved in time"
						   : "no answer in time");
	fail(d, DIAL_TIMEOUT, str_from(d->detail));
}

static void on_addrs(struct dns_query *q, const struct dns_addrs *addrs, struct str detail)
{
	struct dial *d = LIST_ENTRY(q, struct dial, query);

	if (!addrs) {
		fail(d, DIAL_DNS, detail);
		return;
	}
	d->addrs = *addrs;
	start_next(d);
}

static void start_unix(struct dial *d)
{
	struct attempt *at = &d->attempts[0];
	int status = UV_ENOMEM;
	char path[128];

	snprintf(path, sizeof(path), "%.*s", STR_ARG(d->origin->unix_path));
	at->dial = d;
	at->stream = stream_connect_unix(d->loop, path, &attempt_events, at, &status);
	d->n_started = 1;
	if (at->stream)
		d->n_running = 1;
	else
		attempt_failed(d, 0, status);
}

static void first_step(struct loop_dead *first)
{
	struct dial *d = LIST_ENTRY(first, struct dial, first);

	if (str_present(d->origin->unix_path)) {
		start_unix(d);
		return;
	}
	const struct dns_addrs *known = dns_known(d->dns, d->origin->host);

	if (known) {
		on_addrs(&d->query, known, STR_NONE);
		return;
	}
	d->asked = dns_ask(d->dns, d->origin->host, &d->query);
	if (!d->asked)
		fail(d, DIAL_DNS, STR("the look-up could not be started"));
}

struct dial *dial_start(struct loop *l, struct dns *dns, const struct origin *o,
			uint64_t timeout_ms, const struct dial_events *ev, void *user)
{
	struct dial *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->loop = l;
	d->dns = dns;
	d->origin = o;
	d->ev = ev;
	d->user = user;
	d->n_timers = 2;
	d->query.fn = on_addrs;
	list_init(&d->query.node);
	deadline_init(&d->head_start, l, on_head_start);
	deadline_init(&d->whole, l, on_whole);
	if (timeout_ms)
		deadline_set(&d->whole, timeout_ms);
	loop_free_later(l, &d->first, first_step);
	return d;
}

void dial_cancel(struct dial *d)
{
	if (d && !d->over)
		dial_over(d);
}
