/* tests/unit/loop/test_loop.c - mirrors src/loop/: posting from threads, the end of a turn,
 * deadlines. */
#include "rig.h"

/* --- posting --- */

enum { THREADS = 4, POSTS = 2000 };

struct poster {
	struct rig *rig;
	uv_thread_t thread;
	int n; /* next number to come; of the loop's thread */
	unsigned *n_total;
};

struct parcel {
	struct poster *poster;
	int n;
};

static void unpack(void *arg)
{
	struct parcel *p = arg;

	assert_int_equal(p->n, p->poster->n);
	p->poster->n++;
	++*p->poster->n_total;
	free(p);
}

static void post_many(void *arg)
{
	struct poster *poster = arg;

	for (int i = 0; i < POSTS; i++) {
		struct parcel *p = malloc(sizeof(*p));

		if (!p)
			abort();
		p->poster = poster;
		p->n = i;
		if (loop_post(&poster->rig->loop, unpack, p) != RC_OK)
			abort();
	}
}

static void posts_of_threads_all_run_each_in_its_order(void **state)
{
	struct poster posters[THREADS];
	unsigned n_total = 0;
	struct rig r;

	rig_init(&r);
	for (int i = 0; i < THREADS; i++) {
		posters[i] = (struct poster){ .rig = &r, .n_total = &n_total };
		assert_int_equal(uv_thread_create(&posters[i].thread, post_many, &posters[i]), 0);
	}
	RUN_UNTIL(&r, n_total == THREADS * POSTS);
	for (int i = 0; i < THREADS; i++)
		uv_thread_join(&posters[i].thread);
	rig_done(&r);
}

static void stop_it(void *arg)
{
	loop_stop(arg);
}

static void count_it(void *arg)
{
	++*(int *)arg;
}

static void stop_and_done_leave_nothing_posted_behind(void **state)
{
	struct rig r;
	int n = 0;

	rig_init(&r);
	assert_int_equal(loop_post(&r.loop, count_it, &n), RC_OK);
	assert_int_equal(loop_post(&r.loop, stop_it, &r.loop), RC_OK);
	loop_run(&r.loop);
	assert_int_equal(n, 1);
	assert_int_equal(loop_post(&r.loop, count_it, &n), RC_OK);
	rig_done(&r);
	assert_int_equal(n, 2);
}

struct alarm {
	struct deadline d;
	unsigned fired;
	uint64_t at_ms;
	bool closed;
};

static void ring(struct deadline *d)
{
	struct alarm *a = LIST_ENTRY(d, struct alarm, d);

	a->fired++;
	a->at_ms = now_ms();
}

static void alarm_closed(struct deadline *d)
{
	LIST_ENTRY(d, struct alarm, d)->closed = true;
}

/* --- the end of a turn --- */

struct mortal {
	struct loop_dead dead;
	struct loop *loop;
	bool *gone, *inside;
	struct mortal *then;
};

static void bury(struct loop_dead *d)
{
	struct mortal *m = LIST_ENTRY(d, struct mortal, dead);

	assert_false(*m->inside);
	*m->gone = true;
	if (m->then)
		loop_free_later(m->loop, &m->then->dead, bury);
	free(m);
}

struct scene {
	struct rig rig;
	bool inside, gone[2];
	struct deadline fire;
};

static struct mortal *mortal_new(struct scene *s, int which)
{
	struct mortal *m = calloc(1, sizeof(*m));

	assert_non_null(m);
	m->loop = &s->rig.loop;
	m->gone = &s->gone[which];
	m->inside = &s->inside;
	return m;
}

static void die_inside(struct deadline *d)
{
	struct scene *s = LIST_ENTRY(d, struct scene, fire);
	struct mortal *m = mortal_new(s, 0);

	m->then = mortal_new(s, 1);
	s->inside = true;
	loop_free_later(&s->rig.loop, &m->dead, bury);
	assert_false(s->gone[0]);
	s->inside = false;
}

static void the_dead_go_after_the_callback_and_before_the_loop_sleeps(void **state)
{
	struct scene s = { .inside = false };
	struct alarm late = { .fired = 0 };

	rig_init(&s.rig);
	deadline_init(&s.fire, &s.rig.loop, die_inside);
	deadline_init(&late.d, &s.rig.loop, ring);
	deadline_set(&s.fire, 0);
	deadline_set(&late.d, 200);
	/* one turn: `fire`, the dead, and then a wait for `late`, which they must not see */
	uv_run(&s.rig.loop.uv, UV_RUN_ONCE);
	assert_true(s.gone[0] && s.gone[1]);
	deadline_close(&s.fire, NULL);
	deadline_close(&late.d, NULL);
	rig_done(&s.rig);
}

static void what_dies_last_is_buried_by_done(void **state)
{
	struct scene s = { .inside = false };
	struct mortal *m;

	rig_init(&s.rig);
	m = mortal_new(&s, 0);
	m->then = mortal_new(&s, 1);
	loop_free_later(&s.rig.loop, &m->dead, bury);
	rig_done(&s.rig);
	assert_true(s.gone[0] && s.gone[1]);
}

/* --- deadlines --- */

static void a_deadline_fires_once_and_not_before(void **state)
{
	struct alarm a = { .fired = 0 };
	struct rig r;
	uint64_t begin;

	rig_init(&r);
	deadline_init(&a.d, &r.loop, ring);
	begin = now_ms();
	uv_update_time(&r.loop.uv);
	deadline_set(&a.d, 40);
	RUN_UNTIL(&r, a.fired == 1);
	assert_in_range(a.at_ms - begin, 39, 2000);
	assert_int_equal(a.d.at_ms, 0);
	deadline_set(&a.d, 0);
	RUN_UNTIL(&r, a.fired == 2);
	deadline_close(&a.d, alarm_closed);
	RUN_UNTIL(&r, a.closed);
	rig_done(&r);
}

static void moving_a_deadline_later_does_no_heap_work(void **state)
{
	struct alarm a = { .fired = 0 };
	struct rig r;
	uint64_t begin = now_ms(), due;

	rig_init(&r);
	deadline_init(&a.d, &r.loop, ring);
	deadline_set(&a.d, 30);
	due = a.d.due_ms_;
	for (unsigned i = 0; i < 50; i++) {
		deadline_set(&a.d, 30 + i);
		assert_int_equal(a.d.due_ms_, due);
	}
	deadline_set(&a.d, 90);
	RUN_UNTIL(&r, a.fired);
	assert_in_range(a.at_ms - begin, 89, 2000);
	deadline_close(&a.d, NULL);
	rig_done(&r);
}

static void a_deadline_can_move_earlier(void **state)
{
	struct alarm a = { .fired = 0 };
	struct rig r;

	rig_init(&r);
	deadline_init(&a.d, &r.loop, ring);
	deadline_set(&a.d, 3600 * 1000);
	deadline_set(&a.d, 1);
	RUN_UNTIL(&r, a.fired);
	deadline_close(&a.d, NULL);
	rig_done(&r);
}

static void a_cleared_deadline_never_fires(void **state)
{
	struct alarm a = { .fired = 0 }, later = { .fired = 0 };
	struct rig r;

	rig_init(&r);
	deadline_init(&a.d, &r.loop, ring);
	deadline_init(&later.d, &r.loop, ring);
	deadline_set(&a.d, 10);
	deadline_clear(&a.d);
	deadline_set(&later.d, 40);
	RUN_UNTIL(&r, later.fired);
	assert_int_equal(a.fired, 0);
	deadline_set(&a.d, 1); /* and can be set again */
	RUN_UNTIL(&r, a.fired);
	deadline_close(&a.d, NULL);
	deadline_close(&later.d, NULL);
	rig_done(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(posts_of_threads_all_run_each_in_its_order),
		cmocka_unit_test(stop_and_done_leave_nothing_posted_behind),
		cmocka_unit_test(the_dead_go_after_the_callback_and_before_the_loop_sleeps),
		cmocka_unit_test(what_dies_last_is_buried_by_done),
		cmocka_unit_test(a_deadline_fires_once_and_not_before),
		cmocka_unit_test(moving_a_deadline_later_does_no_heap_work),
		cmocka_unit_test(a_deadline_can_move_earlier),
		cmocka_unit_test(a_cleared_deadline_never_fires),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
