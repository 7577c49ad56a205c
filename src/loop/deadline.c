/* loop/deadline.c - deadlines that are moved far more often than they fire.
 *
 * The timer underneath may run early, never late: moving the deadline later only writes at_ms,
 * and the timer, when it fires too soon, is set again for the rest. So a keep-alive connection
 * costs two heap operations per timeout and not per request.
 */
#include <assert.h>

#include "loop/loop.h"

static void on_timer(uv_timer_t *timer);

static void arm(struct deadline *d, uint64_t now)
{
	d->due_ms_ = d->at_ms;
	uv_timer_start(&d->timer, on_timer, d->at_ms > now ? d->at_ms - now : 0, 0);
}

static void on_timer(uv_timer_t *timer)
{
	struct deadline *d = LIST_ENTRY(timer, struct deadline, timer);
	uint64_t now = loop_now_ms(d->loop);

	d->due_ms_ = 0;
	if (!d->at_ms)
		return;
	if (now < d->at_ms) {
		arm(d, now);
		return;
	}
	d->at_ms = 0;
	d->fn(d);
}

void deadline_init(struct deadline *d, struct loop *l, void (*fn)(struct deadline *self))
{
	d->loop = l;
	d->at_ms = d->due_ms_ = 0;
	d->fn = fn;
	uv_timer_init(&l->uv, &d->timer);
}

void deadline_set(struct deadline *d, uint64_t in_ms)
{
	uint64_t now = loop_now_ms(d->loop);

	assert(!uv_is_closing((uv_handle_t *)&d->timer));
	d->at_ms = now + in_ms;
	if (!d->at_ms) /* 0 means "not set" */
		d->at_ms = 1;
	if (!d->due_ms_ || d->due_ms_ > d->at_ms)
		arm(d, now);
}

void deadline_clear(struct deadline *d)
{
	d->at_ms = 0;
}

static void on_closed(uv_handle_t *handle)
{
	struct deadline *d = LIST_ENTRY(handle, struct deadline, timer);

	if (d->closed_)
		d->closed_(d);
}

void deadline_close(struct deadline *d, void (*closed)(struct deadline *self))
{
	d->at_ms = 0;
	d->closed_ = closed;
	uv_close((uv_handle_t *)&d->timer, on_closed);
}
