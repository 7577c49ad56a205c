/* tests/unit/net/test_dial.c - mirrors src/net/dns.c and dial.c. Addresses are put into the
 * cache by hand where a name must have several. */
#include "rig.h"

#include "net/dial.h"

struct fixture {
	struct rig rig;
	struct arena *arena;
	struct dns *dns;
	struct host host;
	struct origin origin;
};

struct result {
	struct stream *stream;
	unsigned n_opens, n_fails;
	enum dial_failure failure;
	char detail[200];
	uint64_t over_at_ms;
};

static void on_open(void *user, struct stream *s)
{
	struct result *r = user;

	r->n_opens++;
	r->stream = s;
	r->over_at_ms = now_ms();
}

static void on_fail(void *user, enum dial_failure f, struct str detail)
{
	struct result *r = user;

	r->n_fails++;
	r->failure = f;
	r->over_at_ms = now_ms();
	snprintf(r->detail, sizeof(r->detail), "%.*s", STR_ARG(detail));
}

static const struct dial_events events = { .on_open = on_open, .on_fail = on_fail };

static void up(struct fixture *f, uint64_t ttl_ms)
{
	*f = (struct fixture){ .arena = arena_new(64 * 1024) };
	rig_init(&f->rig);
	f->dns = dns_new(&f->rig.loop, ttl_ms);
	assert_non_null(f->dns);
	host_init(&f->host, &f->rig);
}

static void down(struct fixture *f)
{
	host_done(&f->host);
	dns_close(f->dns);
	arena_free(f->arena);
	rig_done(&f->rig);
}

static void aim(struct fixture *f, const char *host, uint16_t port)
{
	struct str url = arena_printf(f->arena, "http://%s:%u", host, (unsigned)port);

	assert_int_equal(origin_parse(f->arena, url, STR_NONE, true, STR_NONE, &f->origin, NULL),
			 RC_OK);
}

static void name_has(struct fixture *f, const char *name, const char *const *ips, unsigned n)
{
	struct dns_addrs a = { .n = n };

	for (unsigned i = 0; i < n; i++)
		assert_int_equal(uv_ip4_addr(ips[i], 0, &a.addr[i].v4), 0);
	assert_true(dns_put(f->dns, str_from(name), &a));
}

/* A listening socket whose queue is full: connecting to it hangs. */
static uint16_t black_hole(const char *ip, uint16_t port, int fds[4])
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);

	uv_ip4_addr(ip, port, &a);
	fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(fds[0], (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fds[0], 0), 0);
	assert_int_equal(getsockname(fds[0], (struct sockaddr *)&a, &len), 0);
	for (int i = 1; i < 4; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)!connect(fds[i], (struct sockaddr *)&a, sizeof(a));
	}
	return ntohs(a.sin_port);
}

static void fill(int fds[4])
{
	for (int i = 0; i < 4; i++)
		close(fds[i]);
}

static void a_literal_needs_no_look_up(void **state)
{
	struct result r = { .stream = NULL };
	struct fixture f;

	up(&f, 1000);
	aim(&f, "127.0.0.1", listener_port(f.host.listener));
	assert_non_null(dial_start(&f.rig.loop, f.dns, &f.origin, 5000, &events, &r));
	assert_int_equal(r.n_opens, 0);
	RUN_UNTIL(&f.rig, r.n_opens == 1 && f.host.n_peers == 1);
	assert_int_equal(dns_lookups(f.dns), 0);
	stream_close(r.stream);
	assert_non_null(dns_known(f.dns, STR("::1")));
	assert_null(dns_known(f.dns, STR("127.0.0.1.nip")));
	down(&f);
}

static void many_who_ask_at_once_cause_one_look_up(void **state)
{
	struct result r[10] = { { .stream = NULL } };
	struct fixture f;

	up(&f, 60 * 1000);
	aim(&f, "localhost", listener_port(f.host.listener));
	for (int i = 0; i < 10; i++)
		assert_non_null(dial_start(&f.rig.loop, f.dns, &f.origin, 5000, &events, &r[i]));
	for (int i = 0; i < 10; i++) {
		RUN_UNTIL(&f.rig, r[i].n_opens == 1);
		stream_close(r[i].stream);
	}
	assert_int_equal(dns_lookups(f.dns), 1);
	down(&f);
}

static void an_answer_is_remembered_for_its_time(void **state)
{
	struct fixture f;

	up(&f, 40);
	name_has(&f, "name.test", (const char *const[]){ "127.0.0.1" }, 1);
	assert_non_null(dns_known(f.dns, STR("name.test")));
	RUN_UNTIL(&f.rig, !dns_known(f.dns, STR("name.test")));
	down(&f);
}

struct waiter {
	struct dns_query q;
	unsigned n;
	unsigned n_addrs;
	bool failed;
};

static void told(struct dns_query *q, const struct dns_addrs *addrs, struct str detail)
{
	struct waiter *w = LIST_ENTRY(q, struct waiter, q);

	w->n++;
	w->failed = addrs == NULL;
	w->n_addrs = addrs ? addrs->n : 0;
	assert_true(addrs || detail.len > 0);
}

static void when_a_refresh_fails_the_old_addresses_are_used_on(void **state)
{
	struct waiter w = { .q.fn = told };
	struct fixture f;

	up(&f, 1);
	name_has(&f, "name.invalid", (const char *const[]){ "127.0.0.1" }, 1);
	RUN_UNTIL(&f.rig, !dns_known(f.dns, STR("name.invalid")));
	assert_true(dns_ask(f.dns, STR("name.invalid"), &w.q));
	RUN_UNTIL(&f.rig, w.n == 1);
	assert_false(w.failed);
	assert_int_equal(w.n_addrs, 1);
	down(&f);
}

static void who_forgets_is_not_told_and_the_others_are(void **state)
{
	struct waiter a = { .q.fn = told }, b = { .q.fn = told };
	struct fixture f;

	up(&f, 1000);
	assert_true(dns_ask(f.dns, STR("name.invalid"), &a.q));
	assert_true(dns_ask(f.dns, STR("name.invalid"), &b.q));
	dns_forget(&a.q);
	RUN_UNTIL(&f.rig, b.n == 1);
	assert_true(b.failed);
	assert_int_equal(a.n, 0);
	/* an end with a look-up under way leaks nothing */
	assert_true(dns_ask(f.dns, STR("other.invalid"), &a.q));
	dns_forget(&a.q);
	down(&f);
}

static void an_address_that_refuses_makes_way_for_the_next_at_once(void **state)
{
	struct result r = { .stream = NULL };
	struct fixture f;
	uint64_t begun;

	up(&f, 1000);
	name_has(&f, "name.test", (const char *const[]){ "127.0.0.2", "127.0.0.3", "127.0.0.1" },
		 3);
	aim(&f, "name.test", listener_port(f.host.listener));
	begun = now_ms();
	assert_non_null(dial_start(&f.rig.loop, f.dns, &f.origin, 5000, &events, &r));
	RUN_UNTIL(&f.rig, r.n_opens == 1);
	assert_true(now_ms() - begun < 2 * DIAL_HEAD_START_MS);
	stream_close(r.stream);
	down(&f);
}

static void an_address_that_hangs_gets_its_head_start_and_then_company(void **state)
{
	struct result r = { .stream = NULL };
	struct fixture f;
	uint64_t begun;
	int fds[4];

	up(&f, 1000);
	uint16_t port = black_hole("127.0.0.2", listener_port(f.host.listener), fds);

	name_has(&f, "name.test", (const char *const[]){ "127.0.0.2", "127.0.0.1" }, 2);
	aim(&f, "name.test", port);
	begun = now_ms();
	assert_non_null(dial_start(&f.rig.loop, f.dns, &f.origin, 5000, &events, &r));
	RUN_UNTIL(&f.rig, r.n_opens == 1);
	assert_in_range(r.over_at_ms - begun, DIAL_HEAD_START_MS - 20, 4000);
	stream_close(r.stream);
	fill(fds);
	down(&f);
}

static void nobody_answers_in_time(void **state)
{
	struct result r = { .stream = NULL };
	struct fixture f;
	uint64_t begun;
	int fds[4];

	up(&f, 1000);
	aim(&f, "127.0.0.2", black_hole("127.0.0.2", 0, fds));
	begun = now_ms();
	assert_non_null(dial_start(&f.rig.loop, f.dns, &f.origin, 120, &events, &r));
	RUN_UNTIL(&f.rig, r.n_fails == 1);
	assert_int_equal(r.failure, DIAL_TIMEOUT);
	assert_in_range(r.over_at_ms - begun, 110, 3000);
	fill(fds);
	down(&f);
}

static void all_refuse(void **state)
{
	struct result r = { .stream = NULL };
	struct fixture f;

	up(&f, 1000);
	name_has(&f, "name.test", (const char *const[]){ "127.0.0.2", "127.0.0.3" }, 2);
	aim(&f, "name.test", listener_port(f.host.listener));
	assert_non_null(dial_start(&f.rig.loop, f.dns, &f.origin, 5000, &events, &r));
	RUN_UNTIL(&f.rig, r.n_fails == 1);
	assert_int_equal(r.failure, DIAL_REFUSED);
	assert_non_null(strstr(r.detail, "127.0.0.3"));
	assert_int_equal(r.n_opens, 0);
	down(&f);
}

static void bar_23_a_dial_may_be_cancelled_at_any_step(void **state)
{
	struct result r = { .stream = NULL };
	struct fixture f;
	int fds[4];

	up(&f, 1000);
	aim(&f, "127.0.0.2", black_hole("127.0.0.2", 0, fds));
	for (int turns = 0; turns < 4; turns++) {
		struct dial *d = dial_start(&f.rig.loop, f.dns, &f.origin, 5000, &events, &r);

		assert_non_null(d);
		rig_settle(&f.rig, turns);
		dial_cancel(d);
		dial_cancel(NULL);
		rig_settle(&f.rig, 3);
	}
	aim(&f, "name.invalid", 80);
	struct dial *d = dial_start(&f.rig.loop, f.dns, &f.origin, 5000, &events, &r);

	assert_non_null(d);
	rig_settle(&f.rig, 1); /* the look-up is under way */
	if (r.n_fails == 0) {  /* unless the resolver was that quick */
		dial_cancel(d);
		rig_settle(&f.rig, 50);
		assert_int_equal(r.n_fails, 0);
	}
	assert_int_equal(r.n_opens, 0);
	fill(fds);
	down(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_literal_needs_no_look_up),
		cmocka_unit_test(many_who_ask_at_once_cause_one_look_up),
		cmocka_unit_test(an_answer_is_remembered_for_its_time),
		cmocka_unit_test(when_a_refresh_fails_the_old_addresses_are_used_on),
		cmocka_unit_test(who_forgets_is_not_told_and_the_others_are),
		cmocka_unit_test(an_address_that_refuses_makes_way_for_the_next_at_once),
		cmocka_unit_test(an_address_that_hangs_gets_its_head_start_and_then_company),
		cmocka_unit_test(nobody_answers_in_time),
		cmocka_unit_test(all_refuse),
		cmocka_unit_test(bar_23_a_dial_may_be_cancelled_at_any_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
