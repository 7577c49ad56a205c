/* tests/tools/codec.c - the codecs on the command line, for tests that are not written in C.
 *
 *	codec events  PROTOCOL [--split N]    a stream on stdin -> its events, one JSON line each
 *	codec body    PROTOCOL                a whole answer -> its events
 *	codec tap     PROTOCOL                a stream -> one line an event with the relay tap's flags, then what it read
 *	codec stream  PROTOCOL CLIENT         a stream of PROTOCOL -> the same as a client of CLIENT gets it
 *	codec whole   PROTOCOL CLIENT         a stream (or body) of PROTOCOL -> one whole answer for a client of CLIENT
 *	codec request PROTOCOL UPSTREAM       a request -> {"body", "dropped"} as an upstream of UPSTREAM gets it
 *
 * events and body close with {"end": "ok" | what went wrong}. Exit 0 unless it was used wrongly.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tape.h"

static struct str read_stdin(struct buf *b)
{
	char chunk[65536];
	size_t n;

	buf_init(b, TAPE_MAX);
	while ((n = fread(chunk, 1, sizeof(chunk), stdin)) > 0)
		buf_put(b, (struct str){ chunk, n });
	return buf_str(b);
}

static void show(struct str s)
{
	(void)fwrite(s.ptr, 1, s.len, stdout);
}

static void show_end(int rc, const struct feed *f)
{
	struct buf b;
	struct jw w;

	buf_init(&b, TAPE_MAX);
	w = jw_on(&b);
	jw_obj(&w);
	jw_kcstr(&w, "end",
		 rc == 0         ? "ok"
		 : f->breach     ? f->breach
		 : f->err.msg[0] ? f->err.msg
				 : "failed");
	jw_ki64(&w, "rc", rc);
	jw_end_obj(&w);
	buf_putc(&b, '\n');
	show(buf_str(&b));
	buf_done(&b);
}

/* Text that starts an SSE stream, or a body? */
static bool is_body(struct str in)
{
	struct str t = str_trim(in);

	return t.len && (t.ptr[0] == '{' || t.ptr[0] == '[');
}

static int run_events(const struct protocol *p, struct str in, bool body, size_t step)
{
	struct tape t;
	struct feed f = { .p = p, .sink = &t.sink };
	int rc;

	tape_init(&t);
	rc = body ? feed_body(&f, in) : feed_stream(&f, in, step);
	show(buf_str(&t.text));
	show_end(rc, &f);
	tape_done(&t);
	return 0;
}

static int run_tap(const struct protocol *p, struct str in, bool hide)
{
	struct arena *a = arena_new(TAPE_ARENA), *scratch = arena_new(TAPE_ARENA);
	struct relay_tap tap = { .arena = a, .hide_usage = hide, .usage = IR_USAGE_NONE };
	struct sse_parser sse;
	struct sse_event ev;
	struct buf out;
	struct jw w;
	size_t used;
	unsigned flags = 0;

	buf_init(&out, TAPE_MAX);
	sse_init(&sse, TAPE_MAX);
	if (is_body(in)) {
		flags = p->tap_body(&tap, scratch, in);
	} else {
		while (sse_next(&sse, in, &ev, &used) == SSE_EVENT) {
			unsigned one = p->tap_event(&tap, scratch, &ev);

			flags |= one;
			if (!(one & TAP_DROP))
				show(one & TAP_EDIT ? tap.edited : ev.raw);
			in = str_from_offset(in, used);
			arena_reset(scratch);
		}
		show(in);
	}
	w = jw_on(&out);
	buf_puts(&out, "\n#");
	jw_obj(&w);
	jw_ki64(&w, "flags", flags);
	tape_usage(&w, &tap.usage);
	jw_kbool(&w, "finished", tap.finished);
	jw_kcstr(&w, "stop", ir_stop_name(tap.stop));
	if (flags & TAP_ERROR)
		jw_kstr(&w, "error", tap.error.message);
	jw_end_obj(&w);
	buf_putc(&out, '\n');
	show(buf_str(&out));
	buf_done(&out);
	buf_done(&tap.scratch);
	sse_done(&sse);
	arena_free(scratch);
	arena_free(a);
	return 0;
}

static int run_stream(const struct protocol *p, const struct protocol *client, struct str in)
{
	struct client_tape c;
	struct feed f = { .p = p, .sink = &c.sink };
	int rc;

	client_init(&c, client, true);
	rc = is_body(in) ? feed_body(&f, in) : feed_stream(&f, in, 0);
	show(buf_str(&c.out));
	if (rc)
		fprintf(stderr, "%s\n", f.breach ? f.breach : f.err.msg);
	client_done(&c);
	return rc ? 1 : 0;
}

static int run_whole(const struct protocol *p, const struct protocol *client, struct str in)
{
	struct arena *a = arena_new(TAPE_ARENA);
	struct encoder_options o = {
		.arena = a, .id = STR("id-1"), .model = STR("model-1"), .created_s = 1700000000
	};
	struct ir_fold fold;
	struct feed f = { .p = p, .sink = &fold.sink };
	struct buf out;
	int rc, status;

	ir_fold_init(&fold, a);
	buf_init(&out, TAPE_MAX);
	rc = is_body(in) ? feed_body(&f, in) : feed_stream(&f, in, 0);
	if (!rc && fold.failed)
		client->encode_error(&fold.error, STR("req-1"), &out, &status);
	else if (!rc)
		rc = client->encode_response(&o, &fold.response, &out);
	show(buf_str(&out));
	if (rc)
		fprintf(stderr, "%s\n", f.breach ? f.breach : f.err.msg);
	buf_done(&out);
	arena_free(a);
	return rc ? 1 : 0;
}

static int run_request(const struct protocol *p, const struct protocol *upstream, struct str in)
{
	struct arena *a = arena_new(TAPE_ARENA);
	struct request_target target = { .model = STR("model-1"),
					 .default_max_tokens = 4096,
					 .budget = { 0, 0, 1024, 2048, 8192, 16384, 32768,
						     65536 } };
	struct ir_request *r;
	struct ir_losses losses;
	struct err err = { .msg = "" };
	struct buf body, out;
	struct jw w;
	int rc = p->decode_request(a, in, &r, &err);

	buf_init(&body, TAPE_MAX);
	buf_init(&out, TAPE_MAX);
	ir_losses_init(&losses, a);
	if (!rc)
		rc = upstream->encode_request(a, r, &target, &body, &losses, &err);
	w = jw_on(&out);
	jw_obj(&w);
	if (rc) {
		jw_kcstr(&w, "error", err.msg);
		jw_kcstr(&w, "param", err.param);
	} else {
		jw_kraw(&w, "body", buf_str(&body));
		jw_kstr(&w, "dropped", ir_losses_text(&losses));
	}
	jw_end_obj(&w);
	buf_putc(&out, '\n');
	show(buf_str(&out));
	buf_done(&out);
	buf_done(&body);
	arena_free(a);
	return 0;
}

static int usage(void)
{
	fputs("usage: codec events|body|tap|stream|whole|request PROTOCOL [OTHER | --split N | "
	      "--hide-usage] < input\n",
	      stderr);
	return 2;
}

int main(int argc, char **argv)
{
	const struct protocol *p, *other = NULL;
	struct str mode, in;
	uint64_t step = 0;
	struct buf b;
	int rc;

	if (argc < 3)
		return usage();
	mode = str_from(argv[1]);
	p = protocol_find(str_from(argv[2]));
	if (argc == 4)
		other = protocol_find(str_from(argv[3]));
	if (argc == 5 && !str_to_u64(str_from(argv[4]), &step))
		return usage();
	if (!p)
		return usage();
	in = read_stdin(&b);
	if (str_eq(mode, STR("events")) || str_eq(mode, STR("body")))
		rc = run_events(p, in, mode.len == 4, (size_t)step);
	else if (str_eq(mode, STR("tap")))
		rc = run_tap(p, in, argc == 4);
	else if (!other)
		rc = usage();
	else if (str_eq(mode, STR("stream")))
		rc = run_stream(p, other, in);
	else if (str_eq(mode, STR("whole")))
		rc = run_whole(p, other, in);
	else if (str_eq(mode, STR("request")))
		rc = run_request(p, other, in);
	else
		rc = usage();
	buf_done(&b);
	return rc;
}
