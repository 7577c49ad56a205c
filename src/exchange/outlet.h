/* exchange/outlet.h - where an exchange's answer goes: to its client, by HTTP or on a WebSocket, or to a job when it runs in the
 * background.
 *
 * The path does not care which: it writes, flushes and ends here. What is said of http_respond_*() (http/server.h) holds for
 * these. A job never lags behind, so nothing is pending there.
 */
#ifndef GW_EXCHANGE_OUTLET_H
#define GW_EXCHANGE_OUTLET_H

#include "exchange/job.h"
#include "exchange/websocket.h"
#include "http/server.h"

/* One of the three. */
struct outlet {
	struct http_request *request;
	struct websocket_turn *ws;
	struct job *job;
};

static inline void outlet_respond(struct outlet o, int status, const struct http_field *fields,
				  unsigned n, struct str body)
{
	if (o.request)
		http_respond(o.request, status, fields, n, body);
	else if (o.ws)
		websocket_respond(o.ws, status, fields, n, body);
	else
		job_end(o.job, body);
}

static inline void outlet_head(struct outlet o, int status, const struct http_field *fields,
			       unsigned n)
{
	if (o.request)
		http_respond_head(o.request, status, fields, n);
	else if (o.ws)
		websocket_head(o.ws, fields, n);
}

static inline struct buf *outlet_buf(struct outlet o)
{
	return o.request ? http_respond_buf(o.request)
	       : o.ws    ? websocket_buf(o.ws)
			 : job_buf(o.job);
}

static inline void outlet_write(struct outlet o, struct str bytes)
{
	if (o.request)
		http_respond_write(o.request, bytes);
	else
		buf_put(outlet_buf(o), bytes);
}

static inline void outlet_flush(struct outlet o)
{
	if (o.request)
		http_respond_flush(o.request);
	else if (o.ws)
		websocket_flush(o.ws);
	else
		job_flush(o.job);
}

static inline size_t outlet_pending(struct outlet o)
{
	return o.request ? http_respond_pending(o.request) : o.ws ? websocket_pending(o.ws) : 0;
}

/* `trailers` go to HTTP's clients: nobody else has a place for them. */
static inline void outlet_end_with(struct outlet o, const struct http_field *trailers, unsigned n)
{
	if (o.request)
		http_respond_end_with(o.request, trailers, n);
	else if (o.ws)
		websocket_end(o.ws);
	else
		job_end(o.job, STR_NONE);
}

static inline void outlet_end(struct outlet o)
{
	outlet_end_with(o, NULL, 0);
}

static inline void outlet_abort(struct outlet o)
{
	if (o.request)
		http_respond_abort(o.request);
	else
		outlet_end(o);
}

#endif
