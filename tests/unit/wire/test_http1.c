/* tests/unit/wire/test_http1.c - mirrors src/wire/http1*.c.
 *
 * Rule under test: what a message means, or why it is refused, is the same however its bytes
 * are cut and wherever its owner pauses. Each case is a text in and the tape of all
 * callbacks out; it is played whole, cut at every place, byte by byte, and with a pause
 * at every callback.
 */
#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "check.h"
#include "wire/http1.h"

static const struct http1_limits roomy = {
	.max_target = 8192, .max_head = 65536, .max_fields = 100, .max_chunk_ext = 64
};

/* --- the tape --- */

struct tape {
	struct buf out;
	bool pausing;
	bool in_body; /* pieces of one body are written as one */
	unsigned calls;
};

static void end_body(struct tape *t)
{
	if (t->in_body)
		buf_puts(&t->out, "]");
	t->in_body = false;
}

static void put_flag(struct buf *out, bool on, const char *name)
{
	if (on)
		buf_printf(out, " %s", name);
}

static enum http1_next on_head(void *user, const struct http_head *h)
{
	struct tape *t = user;

	t->calls++;
	end_body(t);
	if (h->status)
		buf_printf(&t->out, "%d '%.*s'", h->status, STR_ARG(h->reason));
	else
		buf_printf(&t->out, "%.*s(%d) %.*s", STR_ARG(h->method_text), h->method,
			   STR_ARG(h->path));
	if (h->query.ptr)
		buf_printf(&t->out, " ?%.*s", STR_ARG(h->query));
	buf_printf(&t->out, " 1.%d", h->minor);
	if (h->content_length >= 0)
		buf_printf(&t->out, " cl=%lld", (long long)h->content_length);
	put_flag(&t->out, h->chunked, "chunked");
	put_flag(&t->out, !h->keep_alive, "close");
	put_flag(&t->out, h->expect_continue, "expect");
	put_flag(&t->out, h->expect_unknown, "expect?");
	put_flag(&t->out, h->upgrade, "upgrade");
	for (unsigned i = 0; i < h->n_fields; i++)
		buf_printf(&t->out, " {%.*s=%.*s}", STR_ARG(h->fields[i].name),
			   STR_ARG(h->fields[i].value));
	return t->pausing ? HTTP1_PAUSE : HTTP1_GO;
}

static enum http1_next on_body(void *user, struct str bytes)
{
	struct tape *t = user;

	t->calls++;
	if (!t->in_body)
		buf_puts(&t->out, " [");
	t->in_body = true;
	buf_put(&t->out, bytes);
	return t->pausing ? HTTP1_PAUSE : HTTP1_GO;
}

static void on_end(void *user)
{
	struct tape *t = user;

	t->calls++;
	end_body(t);
	buf_puts(&t->out, " END ");
}

static const struct http1_callbacks callbacks = { on_head, on_body, on_end };

/* Feeds all of `bytes`, as an owner does: again after each end of a message and each pause. */
static void feed_all(struct http1_parser *p, struct tape *t, struct str bytes)
{
	char *copy = malloc(bytes.len ? bytes.len
				      : 1); /* ends where the slice ends: ASan sees one byte more */
	size_t n, done = 0;
	unsigned calls;

	memcpy(copy, bytes.ptr, bytes.len);
	do {
		calls = t->calls;
		n = http1_feed(p, (struct str){ copy + done, bytes.len - done });
		done += n;
		assert_true(done <= bytes.len);
	} while (!http1_error(p) && (n || t->calls != calls));
	assert_true(http1_error(p) || done == bytes.len);
	free(copy);
}

struct way {
	size_t cut;  /* > 0: one cut there */
	size_t step; /* > 0: pieces of that size */
	bool pausing;
};

static const char *play(struct buf *out, enum http1_side side, const struct http1_limits *limits,
			struct str in, bool head, bool eof, struct way way)
{
	struct tape t = { .pausing = way.pausing };
	struct http1_parser *p = http1_new(side, limits, &callbacks, &t);

	buf_init(&t.out, 1 << 22);
	if (head)
		http1_expect(p, HTTP_HEAD);
	if (way.step) {
		for (size_t i = 0; i < in.len && !http1_error(p); i += way.step)
			feed_all(p, &t,
				 (struct str){ in.ptr + i,
					       in.len - i < way.step ? in.len - i : way.step });
	} else {
		feed_all(p, &t, (struct str){ in.ptr, way.cut ? way.cut : in.len });
		if (way.cut && !http1_error(p))
			feed_all(p, &t, str_from_offset(in, way.cut));
	}
	if (eof)
		http1_eof(p);
	end_body(&t);
	if (http1_error(p))
		buf_printf(&t.out, "!%d", http1_error_status(http1_error(p)));
	else if (http1_in_message(p))
		buf_puts(&t.out, "...");
	buf_putc(&t.out, '\0');
	assert_true(buf_ok(&t.out));
	http1_free(p);
	*out = t.out;
	return buf_str(out).ptr;
}

static unsigned wrong; /* plays of this test that went otherwise; no_wrong() ends it */

static void expect_same(enum http1_side side, const struct http1_limits *limits, struct str in,
			bool head, bool eof, const char *want, struct way way)
{
	struct buf out;
	const char *got = play(&out, side, limits, in, head, eof, way);

	if (strcmp(got, want) != 0 && wrong++ < 20)
		print_error("input: %.*s\ncut %zu step %zu pausing %d\ngot  %s\nwant %s\n",
			    STR_ARG(in), way.cut, way.step, way.pausing, got, want);
	buf_done(&out);
}

static void no_wrong(void)
{
	unsigned n = wrong;

	wrong = 0;
	assert_int_equal(n, 0);
}

static void every_way(enum http1_side side, const struct http1_limits *limits, struct str in,
		      bool head, bool eof, const char *want)
{
	unsigned before = wrong;

	expect_same(side, limits, in, head, eof, want, (struct way){ 0 });
	if (wrong != before)
		return; /* said once is enough */
	expect_same(side, limits, in, head, eof, want, (struct way){ .pausing = true });
	expect_same(side, limits, in, head, eof, want, (struct way){ .step = 1 });
	expect_same(side, limits, in, head, eof, want, (struct way){ .step = 1, .pausing = true });
	expect_same(side, limits, in, head, eof, want, (struct way){ .step = 3, .pausing = true });
	for (size_t cut = 1; cut < in.len; cut++)
		expect_same(side, limits, in, head, eof, want, (struct way){ .cut = cut });
}

struct row {
	struct str in;
	const char *want;
	bool head, eof;
};

static void play_rows(enum http1_side side, const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		every_way(side, &roomy, rows[i].in, rows[i].head, rows[i].eof, rows[i].want);
	no_wrong();
}

#define ROWS(side, rows) play_rows(side, rows, sizeof(rows) / sizeof((rows)[0]))
#define IN(text) .in = STR_INIT(text)
#define H "Host: a\r\n"

/* --- requests that are fine --- */

static void requests_mean_the_same_however_cut(void **state)
{
	static const struct row rows[] = {
		{ IN("GET / HTTP/1.1\r\n" H "\r\n"), "GET(0) / 1.1 {Host=a} END " },
		{ IN("\r\nGET / HTTP/1.1\r\n" H "\r\n"), "GET(0) / 1.1 {Host=a} END " },
		{ IN("GET /p?a=1?b HTTP/1.1\r\n" H "\r\n"), "GET(0) /p ?a=1?b 1.1 {Host=a} END " },
		{ IN("GET /p? HTTP/1.1\r\n" H "\r\n"), "GET(0) /p ? 1.1 {Host=a} END " },
		{ IN("GET //x HTTP/1.1\r\n" H "\r\n"), "GET(0) //x 1.1 {Host=a} END " },
		{ IN("GET / HTTP/1.0\r\n\r\n"), "GET(0) / 1.0 close END " },
		{ IN("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
		  "GET(0) / 1.0 {Connection=keep-alive} END " },
		{ IN("GET / HTTP/1.1\r\n" H "connection: foo, Close\r\n\r\n"),
		  "GET(0) / 1.1 close {Host=a} {connection=foo, Close} END " },
		{ IN("OPTIONS * HTTP/1.1\r\n" H "\r\n"), "OPTIONS(5) * 1.1 {Host=a} END " },
		{ IN("TRACE / HTTP/1.1\r\n" H "\r\n"), "TRACE(7) / 1.1 {Host=a} END " },
		{ IN("HEAD / HTTP/1.1\r\nhost:[::1]:80\r\n\r\n"),
		  "HEAD(1) / 1.1 {host=[::1]:80} END " },
		{ IN("GET / HTTP/1.1\r\nHost:\r\n\r\n"), "GET(0) / 1.1 {Host=} END " },
		{ IN("POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello"),
		  "POST(2) / 1.1 cl=5 {Host=a} {Content-Length=5} [hello] END " },
		{ IN("POST / HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n"),
		  "POST(2) / 1.1 cl=0 {Host=a} {Content-Length=0} END " },
		{ IN("POST / HTTP/1.1\r\n" H "Content-Length: \t5  \r\n\r\nhello"),
		  "POST(2) / 1.1 cl=5 {Host=a} {Content-Length=5} [hello] END " },
		{ IN("POST / HTTP/1.1\r\n" H "\r\n"), "POST(2) / 1.1 {Host=a} END " },
		{ IN("POST / HTTP/1.1\r\n" H
		     "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;x=y\r\n!\r\n0\r\n\r\n"),
		  "POST(2) / 1.1 chunked {Host=a} {Transfer-Encoding=chunked} [hello!] END " },
		{ IN("POST / HTTP/1.1\r\n" H
		     "transfer-encoding:CHUNKED\r\n\r\nA\r\n0123456789\r\n00\r\nX: "
		     "y\r\nZ:\r\n\r\n"),
		  "POST(2) / 1.1 chunked {Host=a} {transfer-encoding=CHUNKED} [0123456789] END " },
		{ IN("POST / HTTP/1.1\r\n" H "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\nx"),
		  "POST(2) / 1.1 cl=1 expect {Host=a} {Expect=100-Continue} {Content-Length=1} [x] "
		  "END " },
		{ IN("POST / HTTP/1.1\r\n" H "Expect: more\r\nContent-Length: 1\r\n\r\nx"),
		  "POST(2) / 1.1 cl=1 expect? {Host=a} {Expect=more} {Content-Length=1} [x] END " },
		{ IN("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx"),
		  "POST(2) / 1.0 cl=1 close {Expect=100-continue} {Content-Length=1} [x] END " },
		{ IN("GET / HTTP/1.1\r\n" H
		     "Upgrade: websocket\r\nConnection: Upgrade\r\n\r\nGET /2 HTTP/1.1\r\n" H
		     "\r\n"),
		  "GET(0) / 1.1 upgrade {Host=a} {Upgrade=websocket} {Connection=Upgrade} END "
		  "GET(0) /2 1.1 {Host=a} END " },
		{ IN("GET / HTTP/1.1\r\n" H "A: b\xc3\xa9\tc d \r\nB:\r\nC: \r\n\r\n"),
		  "GET(0) / 1.1 {Host=a} {A=b\xc3\xa9\tc d} {B=} {C=} END " },
		{ IN("GET /1 HTTP/1.1\r\n" H "\r\n\r\nPOST /2 HTTP/1.1\r\n" H
		     "Content-Length: 2\r\n\r\nhiGET /3 HTTP/1.1\r\n" H "\r\n"),
		  "GET(0) /1 1.1 {Host=a} END POST(2) /2 1.1 cl=2 {Host=a} {Content-Length=2} [hi] "
		  "END "
		  "GET(0) /3 1.1 {Host=a} END " },
		{ IN("POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhel"),
		  "POST(2) / 1.1 cl=5 {Host=a} {Content-Length=5} [hel]..." },
		{ IN("POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhel"),
		  "POST(2) / 1.1 cl=5 {Host=a} {Content-Length=5} [hel]!400", .eof = true },
		{ IN("GET / HTT"), "!400", .eof = true },
		{ IN("\r\n"), "", .eof = true },
		{ IN("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"),
		  "POST(2) / 1.1 chunked {Host=a} {Transfer-Encoding=chunked} [x]!400",
		  .eof = true },
	};

	ROWS(HTTP1_REQUESTS, rows);
}

/* --- R21: what is refused, before anything is handed out --- */

static void R21_framing_that_two_readers_could_read_differently_is_refused(void **state)
{
#define CL(v) "POST / HTTP/1.1\r\n" H "Content-Length:" v "\r\n\r\nhello"
#define TE(v) "POST / HTTP/1.1\r\n" H "Transfer-Encoding:" v "\r\n\r\n0\r\n\r\n"
	static const struct row rows[] = {
		{ IN(CL(" +5")), "!400" },
		{ IN(CL(" -5")), "!400" },
		{ IN(CL(" 0x5")), "!400" },
		{ IN(CL(" 5,5")), "!400" },
		{ IN(CL(" 5, 5")), "!400" },
		{ IN(CL(" 5 5")), "!400" },
		{ IN(CL(" 5;")), "!400" },
		{ IN(CL(" ")), "!400" },
		{ IN(CL("")), "!400" },
		{ IN(CL(" 5.0")), "!400" },
		{ IN(CL(" 5e0")), "!400" },
		{ IN(CL(" \"5\"")), "!400" },
		{ IN(CL(" \v5")), "!400" },
		{ IN(CL(" 5\f")), "!400" },
		{ IN(CL(" five")), "!400" },
		{ IN(CL(" 9223372036854775808")), "!400" },
		{ IN(CL(" 18446744073709551616")), "!400" },
		{ IN(CL(" 99999999999999999999999999999")), "!400" },
		{ IN(CL(" 5\r\nContent-Length: 5")), "!400" },
		{ IN(CL(" 5\r\ncontent-length: 6")), "!400" },
		{ IN(CL(" 5\r\nTransfer-Encoding: chunked")), "!400" },
		{ IN("POST / HTTP/1.1\r\n" H
		     "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
		  "!400" },
		{ IN("POST / HTTP/1.1\r\n" H
		     "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n"),
		  "!400" },
		{ IN("POST / HTTP/1.1\r\n" H
		     "Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello"),
		  "!400" },
		{ IN(TE(" chunked\r\nTransfer-Encoding: chunked")), "!400" },
		{ IN("POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
		  "!400" },
		{ IN(TE(" gzip, chunked")), "!501" },
		{ IN(TE(" chunked, chunked")), "!400" },
		{ IN(TE(" xchunked")), "!501" },
		{ IN(TE(" chunkedx")), "!501" },
		{ IN(TE(" chunked;q=1")), "!501" },
		{ IN(TE(" chunked,")), "!400" },
		{ IN(TE(" ,chunked")), "!501" },
		{ IN(TE(" \"chunked\"")), "!501" },
		{ IN(TE(" identity")), "!501" },
		{ IN(TE(" gzip")), "!501" },
		{ IN(TE("")), "!501" },
		{ IN(TE(" chunked, identity")), "!400" },
	};

	ROWS(HTTP1_REQUESTS, rows);
}

static void R21_heads_that_are_not_exactly_http_are_refused(void **state)
{
#define LINE(l) "GET / HTTP/1.1\r\n" H l "\r\n\r\n"
	static const struct row rows[] = {
		/* fields */
		{ IN(LINE("A: b\r\n c")), "!400" },
		{ IN(LINE("A: b\r\n\tc")), "!400" },
		{ IN("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), "!400" },
		{ IN(LINE("A : b")), "!400" },
		{ IN(LINE("A\t: b")), "!400" },
		{ IN(LINE(": b")), "!400" },
		{ IN(LINE("A b: c")), "!400" },
		{ IN(LINE("A")), "!400" },
		{ IN(LINE("A\": c")), "!400" },
		{ IN(LINE("Transfer-Encoding : chunked")), "!400" },
		{ IN(LINE("Content-Length\t: 5")), "!400" },
		{ IN(LINE("A: b\0c")), "!400" },
		{ IN(LINE("A\0: b")), "!400" },
		{ IN(LINE("A: b\1c")), "!400" },
		{ IN(LINE("A: b\x7f")), "!400" },
		{ IN(LINE("A: b\rc")), "!400" },
		{ IN(LINE("A: b\nC: d")), "!400" },
		{ IN(LINE("A\xc3\xa9: b")), "!400" },
		/* line ends */
		{ IN("GET / HTTP/1.1\n" H "\r\n"), "!400" },
		{ IN("GET / HTTP/1.1\r" H "\r\n"), "!400" },
		{ IN("GET / HTTP/1.1\r\nHost: a\n\r\n"), "!400" },
		{ IN("GET / HTTP/1.1\r\nHost: a\r\r\n"), "!400" },
		{ IN("GET / HTTP/1.1\r\nHost: a\r\n\n"), "!400" },
		{ IN("\nGET / HTTP/1.1\r\n" H "\r\n"), "!400" },
		{ IN("\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n"), "!400" },
		{ IN("\rGET / HTTP/1.1\r\n" H "\r\n"), "!400" },
		/* Host */
		{ IN("GET / HTTP/1.1\r\n\r\n"), "!400" },
		{ IN("GET / HTTP/1.1\r\n" H H "\r\n"), "!400" },
		{ IN("GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nhOST: b\r\n\r\n"), "!400" },
		{ IN("GET / HTTP/1.0\r\n" H H "\r\n"), "!400" },
		{ IN("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), "!400" },
		{ IN("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"), "!400" },
		{ IN("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), "!400" },
		{ IN("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"), "!400" },
		/* targets (R1: none of them may name a host) */
		{ IN("GET http://b/ HTTP/1.1\r\n" H "\r\n"), "!400" },
		{ IN("GET https://a/v1 HTTP/1.1\r\n" H "\r\n"), "!400" },
		{ IN("GET b:443 HTTP/1.1\r\n" H "\r\n"), "!400" },
		{ IN("GET * HTTP/1.1\r\n" H "\r\n"), "!400" },
		{ IN("GET x HTTP/1.1\r\n" H "\r\n"), "!400" },
		{ IN("GET /a#b HTTP/1.1\r\n" H "\r\n"), "!400" },
		{ IN("GET /a b HTTP/1.1\r\n" H "\r\n"), "!400" },
		{ IN("GET /a\tb HTTP/1.1\r\n" H "\r\n"), "!400" },
		{ IN("GET /\0 HTTP/1.1\r\n" H "\r\n"), "!400" },
		{ IN("GET /\x80 HTTP/1.1\r\n" H "\r\n"), "!400" },
		{ IN("GET /\x7f HTTP/1.1\r\n" H "\r\n"), "!400" },
		/* the request line */
		{ IN("GET  / HTTP/1.1\r\n" H "\r\n"), "!400" },
		{ IN("GET\t/ HTTP/1.1\r\n" H "\r\n"), "!400" },
		{ IN("GET /  HTTP/1.1\r\n" H "\r\n"), "!400" },
		{ IN("GET / HTTP/1.1 \r\n" H "\r\n"), "!505" },
		{ IN(" GET / HTTP/1.1\r\n" H "\r\n"), "!400" },
		{ IN("GET / http/1.1\r\n" H "\r\n"), "!400" },
		{ IN("GET HTTP/1.1\r\n" H "\r\n"), "!400" },
		{ IN("GET / HTTP/1.11\r\n" H "\r\n"), "!505" },
		{ IN("GET / RTSP/1.0\r\n" H "\r\n"), "!400" },
		{ IN("SOURCE / ICE/1.0\r\n" H "\r\n"), "!400" },
		{ IN("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), "!400" },
		{ IN("{\"model\":1}"), "!400" },
		/* methods */
		{ IN("CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n"), "!501" },
		{ IN("CONNECT / HTTP/1.1\r\n" H "\r\n"), "!501" },
		{ IN("FOO / HTTP/1.1\r\n" H "\r\n"), "!501" },
		{ IN("get / HTTP/1.1\r\n" H "\r\n"), "!501" },
		{ IN("GETT / HTTP/1.1\r\n" H "\r\n"), "!501" },
		/* versions */
		{ IN("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "!505" },
		{ IN("PRI * HTTP/2.0\r\n?\r\n\r\n"), "!505" },
		{ IN("GET / HTTP/2.0\r\n" H "\r\n"), "!505" },
		{ IN("GET / HTTP/1.2\r\n" H "\r\n"), "!505" },
		{ IN("GET / HTTP/0.9\r\n" H "\r\n"), "!505" },
		{ IN("GET / HTTP/3.0\r\n" H "\r\n"), "!505" },
	};

	ROWS(HTTP1_REQUESTS, rows);
}

static void R21_chunks_that_are_not_exactly_right_are_refused(void **state)
{
#define CH(body) "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n" body
#define CHEAD "POST(2) / 1.1 chunked {Host=a} {Transfer-Encoding=chunked}"
	static const struct row rows[] = {
		{ IN(CH("+5\r\nhello\r\n0\r\n\r\n")), CHEAD "!400" },
		{ IN(CH("-5\r\nhello\r\n0\r\n\r\n")), CHEAD "!400" },
		{ IN(CH("0x5\r\nhello\r\n0\r\n\r\n")), CHEAD "!400" },
		{ IN(CH(" 5\r\nhello\r\n0\r\n\r\n")), CHEAD "!400" },
		{ IN(CH("5 \r\nhello\r\n0\r\n\r\n")), CHEAD "!400" },
		{ IN(CH("5\nhello\r\n0\r\n\r\n")), CHEAD "!400" },
		{ IN(CH("5\rhello\r\n0\r\n\r\n")), CHEAD "!400" },
		{ IN(CH("\r\nhello\r\n0\r\n\r\n")), CHEAD "!400" },
		{ IN(CH("g\r\nhello\r\n0\r\n\r\n")), CHEAD "!400" },
		{ IN(CH("5;\0\r\nhello\r\n0\r\n\r\n")), CHEAD "!400" },
		{ IN(CH("5;a\nb\r\nhello\r\n0\r\n\r\n")), CHEAD "!400" },
		{ IN(CH("5\r\nhello0\r\n\r\n")), CHEAD " [hello]!400" },
		{ IN(CH("5\r\nhello\n0\r\n\r\n")), CHEAD " [hello]!400" },
		{ IN(CH("5\r\nhello!\r\n0\r\n\r\n")), CHEAD " [hello]!400" },
		{ IN(CH("10000000000000000\r\nhello\r\n0\r\n\r\n")), CHEAD "!400" },
		{ IN(CH("fffffffffffffffff\r\nhello\r\n0\r\n\r\n")), CHEAD "!400" },
		{ IN(CH("0\r\nX : y\r\n\r\n")), CHEAD "!400" },
		{ IN(CH("0\r\nX: y\n\r\n")), CHEAD "!400" },
		{ IN(CH("0\r\nX: y\r\n z\r\n\r\n")), CHEAD "!400" },
		{ IN(CH("0\r\n\n")), CHEAD "!400" },
		/* 65 bytes of extensions in all, where 64 are allowed */
		{ IN(CH("1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nx\r\n1;"
			"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\ny\r\n1;c\r\nz\r\n0\r\n\r\n")),
		  CHEAD " [xy]!400" },
		{ IN(CH("1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nx\r\n1;"
			"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\ny\r\n1\r\nz\r\n0\r\n\r\n")),
		  CHEAD " [xyz] END " },
	};

	ROWS(HTTP1_REQUESTS, rows);
}

/* --- responses --- */

static void responses_mean_the_same_however_cut(void **state)
{
#define R "HTTP/1.1 200 OK\r\n"
	static const struct row rows[] = {
		{ IN(R "Content-Length: 2\r\n\r\nhi"),
		  "200 'OK' 1.1 cl=2 {Content-Length=2} [hi] END " },
		{ IN(R "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nT: u\r\n\r\n"),
		  "200 'OK' 1.1 chunked {Transfer-Encoding=chunked} [hi] END " },
		{ IN(R "\r\nhi"), "200 'OK' 1.1 close [hi]..." },
		{ IN(R "\r\nhi"), "200 'OK' 1.1 close [hi] END ", .eof = true },
		{ IN(R "\r\n"), "200 'OK' 1.1 close END ", .eof = true },
		{ IN("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nhi"),
		  "200 'OK' 1.0 close {Connection=keep-alive} [hi] END ", .eof = true },
		{ IN("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi"),
		  "200 'OK' 1.0 cl=2 {Connection=keep-alive} {Content-Length=2} [hi] END " },
		{ IN("HTTP/1.1 204 No Content\r\n\r\n"), "204 'No Content' 1.1 END " },
		{ IN("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n" R
		     "Content-Length: 1\r\n\r\nx"),
		  "204 'No Content' 1.1 cl=5 {Content-Length=5} END 200 'OK' 1.1 cl=1 "
		  "{Content-Length=1} [x] END " },
		{ IN("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
		  "304 'Not Modified' 1.1 cl=5 {Content-Length=5} END " },
		{ IN(R "Content-Length: 5\r\n\r\n"), "200 'OK' 1.1 cl=5 {Content-Length=5} END ",
		  .head = true },
		{ IN(R "Transfer-Encoding: chunked\r\n\r\n"),
		  "200 'OK' 1.1 chunked {Transfer-Encoding=chunked} END ", .head = true },
		{ IN(R "\r\n"), "200 'OK' 1.1 END ", .head = true },
		{ IN("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n" R
		     "Content-Length: 1\r\n\r\nx"),
		  "100 'Continue' 1.1103 'Early' 1.1 {Link=x}200 'OK' 1.1 cl=1 {Content-Length=1} "
		  "[x] END " },
		{ IN("HTTP/1.1 199 x\r\nContent-Length: 5\r\n\r\n" R "Content-Length: 1\r\n\r\nx"),
		  "199 'x' 1.1 cl=5 {Content-Length=5}200 'OK' 1.1 cl=1 {Content-Length=1} [x] "
		  "END " },
		{ IN("HTTP/1.1 100 Continue\r\n\r\n"), "100 'Continue' 1.1!400", .eof = true },
		{ IN("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n"),
		  "200 '' 1.1 cl=0 {Content-Length=0} END " },
		{ IN("HTTP/1.1 429 Too Many Requests, sorry\r\nContent-Length: 0\r\n\r\n"),
		  "429 'Too Many Requests, sorry' 1.1 cl=0 {Content-Length=0} END " },
		{ IN("HTTP/1.1 529 \r\nContent-Length: 0\r\n\r\n"),
		  "529 '' 1.1 cl=0 {Content-Length=0} END " },
		{ IN(R "Connection: upgrade\r\nUpgrade: h2\r\nContent-Length: 1\r\n\r\nx"),
		  "200 'OK' 1.1 cl=1 upgrade {Connection=upgrade} {Upgrade=h2} {Content-Length=1} "
		  "[x] END " },
		{ IN(R "Content-Length: 3\r\n\r\nhi"),
		  "200 'OK' 1.1 cl=3 {Content-Length=3} [hi]!400", .eof = true },
	};

	ROWS(HTTP1_RESPONSES, rows);
}

static void R21_responses_that_are_not_exactly_right_are_refused(void **state)
{
	static const struct row rows[] = {
		{ IN(R "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"), "!400" },
		{ IN(R "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"), "!400" },
		{ IN(R "Content-Length: 5\r\nContent-Length: 5\r\n\r\n"), "!400" },
		{ IN(R "Content-Length: 5,5\r\n\r\n"), "!400" },
		{ IN(R "Content-Length: +5\r\n\r\n"), "!400" },
		{ IN(R "Content-Length: -1\r\n\r\n"), "!400" },
		{ IN(R "Transfer-Encoding: gzip\r\n\r\n"), "!501" },
		{ IN(R "Transfer-Encoding: gzip, chunked\r\n\r\n"), "!501" },
		{ IN("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), "!400" },
		{ IN("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: "
		     "upgrade\r\n\r\n"),
		  "!400" },
		{ IN("HTTP/1.1 600 x\r\n\r\n"), "!400" },
		{ IN("HTTP/1.1 099 x\r\n\r\n"), "!400" },
		{ IN("HTTP/1.1 20 x\r\n\r\n"), "!400" },
		{ IN("HTTP/1.1 2000 x\r\n\r\n"), "!400" },
		{ IN("HTTP/1.1 -20 x\r\n\r\n"), "!400" },
		{ IN("HTTP/1.1  200 x\r\n\r\n"), "!400" },
		{ IN("HTTP/1.1\t200 x\r\n\r\n"), "!505" },
		{ IN("HTTP/2.0 200 OK\r\n\r\n"), "!505" },
		{ IN("ICY 200 OK\r\n\r\n"), "!400" },
		{ IN("RTSP/1.0 200 OK\r\n\r\n"), "!400" },
		{ IN("<html>"), "!400" },
		{ IN("\r\n" R "\r\n"), "!400" },
		{ IN(R "A: b\r\n c\r\n\r\n"), "!400" },
		{ IN(R "A : b\r\n\r\n"), "!400" },
		{ IN(R "A: b\nC: d\r\n\r\n"), "!400" },
		{ IN("HTTP/1.1 200 OK\nA: b\r\n\r\n"), "!400" },
		{ IN(R "A: b\0\r\n\r\n"), "!400" },
		{ IN("HTTP/1.1 200 O\0K\r\n\r\n"), "!400" },
	};

	ROWS(HTTP1_RESPONSES, rows);
}

static void interim_responses_are_counted(void **state)
{
	struct buf in, want;

	for (int n = 8; n <= 9; n++) {
		buf_init(&in, 4096);
		buf_init(&want, 4096);
		for (int i = 0; i < n; i++) {
			buf_puts(&in, "HTTP/1.1 103 x\r\n\r\n");
			if (i < 8)
				buf_puts(&want, "103 'x' 1.1");
		}
		buf_puts(&in, R "Content-Length: 0\r\n\r\n");
		buf_puts(&want, n == 8 ? "200 'OK' 1.1 cl=0 {Content-Length=0} END " : "!400");
		buf_putc(&want, '\0');
		every_way(HTTP1_RESPONSES, &roomy, buf_str(&in), false, false, buf_str(&want).ptr);
		buf_done(&in);
		buf_done(&want);
	}
	no_wrong();
}

/* --- limits --- */

static void bar_11_limits_hold_to_the_byte(void **state)
{
	static const struct http1_limits tight = {
		.max_target = 10, .max_head = 80, .max_fields = 3, .max_chunk_ext = 4
	};
	static const struct row rows[] = {
		{ IN("GET /123456789 HTTP/1.1\r\n" H "\r\n"),
		  "GET(0) /123456789 1.1 {Host=a} END " },
		{ IN("GET /1234567890 HTTP/1.1\r\n" H "\r\n"), "!414" },
		{ IN("GET /1234567890\x01 HTTP/1.1\r\n" H "\r\n"), "!414" },
		{ IN("GET /12345678\x01 HTTP/1.1\r\n" H "\r\n"), "!400" },
		{ IN("GET "
		     "/1234567890123456789012345678901234567890123456789012345678901234567890123456"
		     "7890"),
		  "!414" },
		{ IN("GET / HTTP/1.1\r\n" H "A: b\r\nC: d\r\n\r\n"),
		  "GET(0) / 1.1 {Host=a} {A=b} {C=d} END " },
		{ IN("GET / HTTP/1.1\r\n" H "A: b\r\nC: d\r\nE: f\r\n\r\n"), "!431" },
		{ IN("GET / HTTP/1.1\r\n" H "A: b\r\nC: d\r\nE f\r\n\r\n"), "!400" },
		/* 80 bytes, 81 bytes */
		{ IN("GET / HTTP/1.1\r\n" H
		     "A: 123456789012345678901234567890123456789012345678\r\n\r\n"),
		  "GET(0) / 1.1 {Host=a} {A=123456789012345678901234567890123456789012345678} "
		  "END " },
		{ IN("GET / HTTP/1.1\r\n" H
		     "A: 1234567890123456789012345678901234567890123456789\r\n\r\n"),
		  "!431" },
		{ IN("GET / HTTP/1.1\r\n" H
		     "A: 1234567890123456789012345678901234567890123456789012345\r\n \x01"),
		  "!431" },
		/* what stands behind a head does not count for it */
		{ IN("POST / HTTP/1.1\r\n" H "Content-Length: "
		     "60\r\n\r\n123456789012345678901234567890123456789012345678901234567890"),
		  "POST(2) / 1.1 cl=60 {Host=a} {Content-Length=60} "
		  "[123456789012345678901234567890123456789012345678901234567890] END " },
		/* trailers are held to the same */
		{ IN("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\n"
		     "A: "
		     "12345678901234567890123456789012345678901234567890123456789012345678901234567"
		     "890\r\n\r\n"),
		  "POST(2) / 1.1 chunked {Host=a} {Transfer-Encoding=chunked}!431" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		every_way(HTTP1_REQUESTS, &tight, rows[i].in, false, false, rows[i].want);
	no_wrong();
}

/* More fields than http1_feed() has room for on its stack, cut anywhere. */
static void many_fields_survive_any_cut(void **state)
{
	static const struct http1_limits wide = {
		.max_target = 8192, .max_head = 65536, .max_fields = 1000, .max_chunk_ext = 64
	};
	struct buf in, want;

	buf_init(&in, 65536);
	buf_init(&want, 65536);
	buf_puts(&in, "GET / HTTP/1.1\r\nHost: a\r\n");
	buf_puts(&want, "GET(0) / 1.1 {Host=a}");
	for (int i = 0; i < 200; i++) {
		buf_printf(&in, "N%d: v%d\r\n", i, i * i);
		buf_printf(&want, " {N%d=v%d}", i, i * i);
	}
	buf_puts(&in, "\r\n");
	buf_puts(&want, " END ");
	buf_putc(&want, '\0');
	for (size_t cut = 1; cut < buf_len(&in); cut += 7)
		expect_same(HTTP1_REQUESTS, &wide, buf_str(&in), false, false, buf_str(&want).ptr,
			    (struct way){ .cut = cut });
	expect_same(HTTP1_REQUESTS, &wide, buf_str(&in), false, false, buf_str(&want).ptr,
		    (struct way){ .step = 1 });
	expect_same(HTTP1_REQUESTS, &wide, buf_str(&in), false, false, buf_str(&want).ptr,
		    (struct way){ 0 });
	buf_done(&in);
	buf_done(&want);
	no_wrong();
}

/* bar 4: 1 MiB costs the same by the byte, whichever state it is spent in. */
static void bar_04_one_mebibyte_byte_by_byte_is_linear(void **state)
{
	static const struct http1_limits huge = { .max_target = 4 << 20,
						  .max_head = 4 << 20,
						  .max_fields = 100,
						  .max_chunk_ext = 4 << 20 };
	static const char *const starts[] = {
		"GET /",
		"GET / HTTP/1.1\r\nHost: ",
		"GET / HTTP/1.1\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: ",
	};

	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		struct tape t = { 0 };
		struct http1_parser *p = http1_new(HTTP1_REQUESTS, &huge, &callbacks, &t);
		uint64_t began = check_cpu_ms();
		size_t read = 0;

		buf_init(&t.out, 4 << 20);
		http1_feed(p, str_from(starts[i]));
		for (int k = 0; k < 1 << 20; k++)
			read += http1_feed(p, STR("a"));
		assert_int_equal(read, 1 << 20);
		assert_int_equal(http1_error(p), HTTP1_OK);
		/* A quadratic parser takes minutes; this takes some 50 ms, and 1 s with sanitizers. */
		assert_true(check_cpu_ms() - began < 10000);
		http1_free(p);
		buf_done(&t.out);
	}
}

/* --- torture: random damage to good messages never depends on the cut --- */

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

static void damaged_messages_mean_the_same_however_cut(void **state)
{
	static const struct str good[] = {
		STR_INIT("POST /v1/x?k=v HTTP/1.1\r\nHost: a.b\r\nTransfer-Encoding: "
			 "chunked\r\nConnection: close\r\n\r\n"
			 "5;e=f\r\nhello\r\n3\r\nxyz\r\n0\r\nT: u\r\n\r\nGET / HTTP/1.1\r\nHost: "
			 "c\r\n\r\n"),
		STR_INIT("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\nExpect: "
			 "100-continue\r\n\r\n1234567"),
		STR_INIT("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: "
			 "text/event-stream\r\n"
			 "Transfer-Encoding: chunked\r\n\r\nA\r\ndata: {}\n\n\r\n0\r\n\r\n"),
		STR_INIT("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nUpgrade: x\r\nConnection: "
			 "upgrade\r\n\r\nabc"),
	};
	static const char spice[] = "\r\n \t:;,0159aAfFxX/?#*+-\0\x7f\x80\xff\"H";
	static const struct http1_limits tight = {
		.max_target = 20, .max_head = 120, .max_fields = 4, .max_chunk_ext = 4
	};
	uint32_t seed = 20261121;

	for (int round = 0; round < 4000; round++) {
		struct str from = good[round % 4];
		enum http1_side side = round % 4 < 2 ? HTTP1_REQUESTS : HTTP1_RESPONSES;
		const struct http1_limits *limits = round % 3 ? &roomy : &tight;
		char in[512];
		size_t len = from.len;
		struct buf out;

		memcpy(in, from.ptr, len);
		for (uint32_t n = 1 + next_random(&seed) % 3; n; n--) {
			size_t at = next_random(&seed) % len;
			char c = spice[next_random(&seed) % (sizeof(spice) - 1)];

			switch (next_random(&seed) % 3) {
			case 0:
				in[at] = c;
				break;
			case 1:
				memmove(in + at + 1, in + at, len - at);
				in[at] = c;
				len++;
				break;
			default:
				memmove(in + at, in + at + 1, len - at - 1);
				len--;
			}
		}
		play(&out, side, limits, (struct str){ in, len }, false, true, (struct way){ 0 });
		for (int way = 0; way < 6; way++) {
			struct way w = { .step = way == 0,
					 .cut = way ? 1 + next_random(&seed) % (len - 1) : 0,
					 .pausing = way & 1 };

			expect_same(side, limits, (struct str){ in, len }, false, true,
				    buf_str(&out).ptr, w);
		}
		buf_done(&out);
	}
	no_wrong();
}

/* --- the parser's life --- */

static void a_refusal_is_final(void **state)
{
	struct tape t = { 0 };
	struct http1_parser *p = http1_new(HTTP1_REQUESTS, &roomy, &callbacks, &t);

	buf_init(&t.out, 4096);
	http1_feed(p, STR("GET / HTTP/9\r\n"));
	assert_int_equal(http1_error(p), HTTP1_E_VERSION);
	assert_int_equal(http1_feed(p, STR("GET / HTTP/1.1\r\nHost: a\r\n\r\n")), 0);
	assert_int_equal(http1_eof(p), HTTP1_E_VERSION);
	assert_int_equal(t.calls, 0);
	http1_free(p);
	assert_null(http1_free(NULL));
	buf_done(&t.out);
}

/* Pipelined bytes are left to the owner: one message a feed. */
static void a_feed_ends_with_the_message(void **state)
{
	struct tape t = { 0 };
	struct http1_parser *p = http1_new(HTTP1_REQUESTS, &roomy, &callbacks, &t);
	struct str in = STR("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n");

	buf_init(&t.out, 4096);
	assert_false(http1_in_message(p));
	assert_int_equal(http1_feed(p, in), in.len / 2);
	assert_false(http1_in_message(p));
	CHECK_STR(buf_str(&t.out), "GET(0) /1 1.1 {Host=a} END ");
	assert_int_equal(http1_feed(p, STR("G")), 1);
	assert_true(http1_in_message(p));
	http1_free(p);
	buf_done(&t.out);
}

/* on_head may stop the parser: the body is not read before its owner wants it (R17). */
static void R17_a_pause_after_the_head_leaves_the_body_unread(void **state)
{
	struct tape t = { .pausing = true };
	struct http1_parser *p = http1_new(HTTP1_REQUESTS, &roomy, &callbacks, &t);
	struct str head = STR("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n");

	buf_init(&t.out, 4096);
	assert_int_equal(
		http1_feed(p, STR("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")),
		head.len);
	assert_int_equal(t.calls, 1);
	assert_int_equal(http1_feed(p, STR("hi")), 2);
	assert_int_equal(http1_feed(p, STR("")), 0);
	CHECK_STR(buf_str(&t.out), "POST(2) / 1.1 cl=2 {Host=a} {Content-Length=2} [hi] END ");
	http1_free(p);
	buf_done(&t.out);
}

static void every_error_has_a_status_and_a_sentence(void **state)
{
	for (enum http1_error e = HTTP1_E_SYNTAX; e <= HTTP1_E_EOF; e++) {
		assert_in_range(http1_error_status(e), 400, 599);
		assert_true(strlen(http1_error_text(e)) > 10);
	}
}

/* --- fields and writing --- */

static void fields_are_found_by_name_and_token(void **state)
{
	struct http_field f[] = {
		{ STR_INIT("Accept"), STR_INIT("a/b") },
		{ STR_INIT("Connection"), STR_INIT("x , Keep-Alive") },
		{ STR_INIT("accept"), STR_INIT("second") },
		{ STR_INIT("connection"), STR_INIT("close") },
	};
	struct http_head h = { .fields = f, .n_fields = 4 };

	CHECK_STR(http_field_get(&h, STR("ACCEPT")), "a/b");
	assert_null(http_field_get(&h, STR("Accep")).ptr);
	assert_true(http_field_has_token(&h, STR("connection"), STR("keep-alive")));
	assert_true(http_field_has_token(&h, STR("connection"), STR("close")));
	assert_false(http_field_has_token(&h, STR("connection"), STR("keep")));
	assert_false(http_field_has_token(&h, STR("connection"), STR("")));
}

/* A head that was read knows which names it has not, in whatever case they are asked for. */
static void names_that_are_there_are_never_taken_for_absent(void **state)
{
	static const struct str names[] = {
		STR_INIT("X-Request-ID"),
		STR_INIT("ANTHROPIC-VERSION"),
		STR_INIT("a"),
		STR_INIT("content-Type"),
		STR_INIT("x_y.Z"),
		STR_INIT("~~"),
	};
	char lower[32];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct http_field f = { names[i], STR("v") };
		struct http_head h = { .fields = &f,
				       .n_fields = 1,
				       .no_names = ~http_name_bit(names[i]) };

		for (size_t k = 0; k < names[i].len; k++)
			lower[k] = names[i].ptr[k] >= 'A' && names[i].ptr[k] <= 'Z'
					   ? (char)(names[i].ptr[k] | 0x20)
					   : names[i].ptr[k];
		CHECK_STR(http_field_get(&h, names[i]), "v");
		CHECK_STR(http_field_get(&h, (struct str){ lower, names[i].len }), "v");
		assert_null(http_field_get(&h, STR("other")).ptr);
	}
}

static void R20_names_and_values_that_could_break_out_are_seen(void **state)
{
	static const struct str bad_values[] = {
		STR_INIT("a\r\nb"), STR_INIT("a\rb"),  STR_INIT("a\nb"),
		STR_INIT("\0"),     STR_INIT("a\x7f"), STR_INIT("\x1b[0m"),
	};
	static const struct str bad_names[] = {
		STR_INIT(""),         STR_INIT("a b"), STR_INIT("a:"),   STR_INIT("a\r"),
		STR_INIT("\xc3\xa9"), STR_INIT("(x)"), STR_INIT("a\0b"),
	};

	for (size_t i = 0; i < sizeof(bad_values) / sizeof(bad_values[0]); i++)
		assert_false(http_value_ok(bad_values[i]));
	for (size_t i = 0; i < sizeof(bad_names) / sizeof(bad_names[0]); i++)
		assert_false(http_token_ok(bad_names[i]));
	assert_true(http_value_ok(STR("")));
	assert_true(http_value_ok(STR("a b\tc \xc3\xa9!")));
	assert_true(http_token_ok(STR("x-LLM_gateway.1~")));
}

static void messages_are_written_as_they_are_read(void **state)
{
	struct buf out;

	buf_init(&out, 4096);
	http1_put_status(&out, 200);
	http1_put_field(&out, STR("A"), STR("b c"));
	http1_put_field(&out, STR("E"), STR(""));
	CHECK_STR(buf_str(&out), "HTTP/1.1 200 OK\r\nA: b c\r\nE: \r\n");
	buf_reset(&out);
	http1_put_chunk_head(&out, 1);
	http1_put_chunk_head(&out, 0xabc10);
	buf_put(&out, http1_last_chunk);
	CHECK_STR(buf_str(&out), "1\r\nabc10\r\n0\r\n\r\n");
	buf_reset(&out);
	http1_put_status(&out, 529);
	http1_put_status(&out, 599);
	CHECK_STR(buf_str(&out), "HTTP/1.1 529 Overloaded\r\nHTTP/1.1 599 Unknown\r\n");
	CHECK_STR(http_reason(100), "Continue");
	CHECK_STR(http_reason(431), "Request Header Fields Too Large");
	buf_done(&out);
}

static void R20_a_path_segment_stays_one_segment(void **state)
{
	struct buf out;

	buf_init(&out, 4096);
	http_put_segment(&out, STR("gpt-4o_1.5~x"));
	buf_putc(&out, ' ');
	http_put_segment(&out, STR("a/b?c#d%e f\r\n\xc3\xa9"));
	buf_putc(&out, ' ');
	http_put_segment(&out, STR(".."));
	buf_putc(&out, ' ');
	http_put_segment(&out, STR("../x"));
	CHECK_STR(buf_str(&out), "gpt-4o_1.5~x a%2Fb%3Fc%23d%25e%20f%0D%0A%C3%A9 %2E%2E ..%2Fx");
	buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_mean_the_same_however_cut),
		cmocka_unit_test(R21_framing_that_two_readers_could_read_differently_is_refused),
		cmocka_unit_test(R21_heads_that_are_not_exactly_http_are_refused),
		cmocka_unit_test(R21_chunks_that_are_not_exactly_right_are_refused),
		cmocka_unit_test(responses_mean_the_same_however_cut),
		cmocka_unit_test(R21_responses_that_are_not_exactly_right_are_refused),
		cmocka_unit_test(interim_responses_are_counted),
		cmocka_unit_test(bar_11_limits_hold_to_the_byte),
		cmocka_unit_test(many_fields_survive_any_cut),
		cmocka_unit_test(bar_04_one_mebibyte_byte_by_byte_is_linear),
		cmocka_unit_test(damaged_messages_mean_the_same_however_cut),
		cmocka_unit_test(a_refusal_is_final),
		cmocka_unit_test(a_feed_ends_with_the_message),
		cmocka_unit_test(R17_a_pause_after_the_head_leaves_the_body_unread),
		cmocka_unit_test(every_error_has_a_status_and_a_sentence),
		cmocka_unit_test(fields_are_found_by_name_and_token),
		cmocka_unit_test(names_that_are_there_are_never_taken_for_absent),
		cmocka_unit_test(R20_names_and_values_that_could_break_out_are_seen),
		cmocka_unit_test(messages_are_written_as_they_are_read),
		cmocka_unit_test(R20_a_path_segment_stays_one_segment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
