/* loop/loop.h - one event loop of one thread, over libuv.
 *
 * Everything that lives on a loop is touched only by its thread; other threads reach it by
 * loop_post(). Nothing that may still be on the call stack is freed directly: loop_free_later()
 * ends it when the turn is over.
 */
#ifndef GW_LOOP_LOOP_H
#define GW_LOOP_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/err.h"
#include "base/list.h"

enum { LOOP_READ_BUF = 64 * 1024 };

struct loop {
	uv_loop_t uv;
	/* LOOP_READ_BUF bytes, shared by all reads of this loop: valid only inside a read callback */
	char *read_buf;
	/* private */
	uv_async_t wake_;
	uv_prepare_t turn_;
	uv_mutex_t posted_lock_;
	struct list posted_, dead_;
};

/* Also makes the process ignore SIGPIPE. */
int loop_init(struct loop *l, struct err *reterr) MUST_CHECK;
/* Runs until loop_stop(). */
void loop_run(struct loop *l);
/* From the loop's own thread. */
void loop_stop(struct loop *l);
/* After loop_run() returned: runs what was posted and what is dead, closes what is left, frees. */
void loop_done(struct loop *l);

static inline uint64_t loop_now_ms(const struct loop *l)
{
	return uv_now(&l->uv);
}

/* Runs `fn(arg)` on the loop's thread. From any thread. RC_NOMEM on failure. */
int loop_post(struct loop *l, void (*fn)(void *arg), void *arg) MUST_CHECK;

/* Runs `fn` once the stack is empty, before the loop waits again; embed the node in the dying
 * object. Also the way to put off what must not happen inside the caller. At most once until
 * `fn` ran. */
struct loop_dead {
	struct list node;
	void (*fn)(struct loop_dead *self);
};
void loop_free_later(struct loop *l, struct loop_dead *dead, void (*fn)(struct loop_dead *self));

/* --- deadlines: cheap to move forward (no heap work while the new time is later) --- */

struct deadline {
	uv_timer_t timer;
	struct loop *loop;
	uint64_t at_ms;   /* loop_now_ms() based; 0: not set */
	uint64_t due_ms_; /* when the timer underneath fires: at_ms or before; 0: it does not run */
	void (*fn)(struct deadline *self);
	void (*closed_)(struct deadline *self);
};

void deadline_init(struct deadline *d, struct loop *l, void (*fn)(struct deadline *self));
/* Fires once `in_ms` from now unless moved or cleared before. */
void deadline_set(struct deadline *d, uint64_t in_ms);
void deadline_clear(struct deadline *d);
/* Ends it; `closed` (may be NULL) runs when the memory may be reused. */
void deadline_close(struct deadline *d, void (*closed)(struct deadline *self));

#endif
