/* loop/loop.c - turns of one thread over libuv.
 *
 * The hard thing is the end of a turn: libuv calls a prepare handle after the callbacks of a
 * turn and before it waits again, when nothing of ours is on the stack. There the dead are
 * buried, again and again until none is left, because the loop may then sleep for long.
 */
#include "loop/loop.h"

#include <assert.h>
#include <signal.h>
#include <stdlib.h>

struct post {
	struct list node;
	void (*fn)(void *arg);
	void *arg;
};

static void run_posted(struct loop *l)
{
	struct list todo;

	list_init(&todo);
	uv_mutex_lock(&l->posted_lock_);
	if (!list_empty(&l->posted_)) {
		list_append(&l->posted_, &todo); /* todo becomes the sentinel of the whole ring */
		list_remove(&l->posted_);
	}
	uv_mutex_unlock(&l->posted_lock_);

	while (!list_empty(&todo)) {
		struct post *p = LIST_ENTRY(todo.next, struct post, node);

		list_remove(&p->node);
		p->fn(p->arg);
		free(p);
	}
}

static void bury_dead(struct loop *l)
{
	while (!list_empty(&l->dead_)) {
		struct loop_dead *d = LIST_ENTRY(l->dead_.next, struct loop_dead, node);

		list_remove(&d->node);
		d->fn(d);
	}
}

static void on_wake(uv_async_t *wake)
{
	run_posted(LIST_ENTRY(wake, struct loop, wake_));
}

static void on_turn(uv_prepare_t *turn)
{
	bury_dead(LIST_ENTRY(turn, struct loop, turn_));
}

int loop_init(struct loop *l, struct err *reterr)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	int rc;

	/* Of the whole process: a peer that left is a return value. */
	sigaction(SIGPIPE, &ignore, NULL);
	*l = (struct loop){ 0 };
	list_init(&l->posted_);
	list_init(&l->dead_);
	l->read_buf = malloc(LOOP_READ_BUF);
	if (!l->read_buf)
		return err_set(reterr, RC_NOMEM, "no memory for an event loop");
	rc = uv_mutex_init(&l->posted_lock_);
	if (rc < 0)
		goto no_mutex;
	rc = uv_loop_init(&l->uv);
	if (rc < 0)
		goto no_loop;
	rc = uv_async_init(&l->uv, &l->wake_, on_wake);
	if (rc < 0)
		goto no_wake;
	uv_prepare_init(&l->uv, &l->turn_);
	uv_prepare_start(&l->turn_, on_turn);
	return RC_OK;

no_wake:
	uv_run(&l->uv, UV_RUN_NOWAIT);
	uv_loop_close(&l->uv);
no_loop:
	uv_mutex_destroy(&l->posted_lock_);
no_mutex:
	free(l->read_buf);
	l->read_buf = NULL;
	return err_set(reterr, RC_IO, "cannot start an event loop: %s", uv_strerror(rc));
}

void loop_run(struct loop *l)
{
	uv_run(&l->uv, UV_RUN_DEFAULT);
}

void loop_stop(struct loop *l)
{
	uv_stop(&l->uv);
}

static void close_left(uv_handle_t *h, void *arg)
{
	(void)arg;
	if (!uv_is_closing(h))
		uv_close(h, NULL);
}

void loop_done(struct loop *l)
{
	run_posted(l);
	bury_dead(l);
	/* What owners have begun to close comes to its end here; it may leave more dead behind. */
	for (int i = 0; i < 4; i++) {
		uv_run(&l->uv, UV_RUN_NOWAIT);
		bury_dead(l);
	}
	do {
		bury_dead(l);
		run_posted(l);
		uv_walk(&l->uv, close_left, NULL);
		uv_run(&l->uv, UV_RUN_DEFAULT);
	} while (!list_empty(&l->dead_) || uv_loop_alive(&l->uv));
	int rc = uv_loop_close(&l->uv);

	assert(rc == 0);
	(void)rc;
	uv_mutex_destroy(&l->posted_lock_);
	free(l->read_buf);
	l->read_buf = NULL;
}

int loop_post(struct loop *l, void (*fn)(void *arg), void *arg)
{
	struct post *p = malloc(sizeof(*p));

	if (!p)
		return RC_NOMEM;
	p->fn = fn;
	p->arg = arg;
	uv_mutex_lock(&l->posted_lock_);
	list_append(&l->posted_, &p->node);
	uv_mutex_unlock(&l->posted_lock_);
	uv_async_send(&l->wake_);
	return RC_OK;
}

void loop_free_later(struct loop *l, struct loop_dead *dead, void (*fn)(struct loop_dead *self))
{
	dead->fn = fn;
	list_append(&l->dead_, &dead->node);
}
