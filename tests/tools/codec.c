/* tests/tools/codec.c - the codecs on the command line, for tests that are not written in C.
 *
 *	codec events  PROTOCOL [STEP]         a stream on stdin -> its events, one JSON line each
 *	codec body    PROTOCOL                a whole answer -> its events
 *	codec tap     PROTOCOL [hide-usage]   a stream -> what a relay passes on, then a line "#{...}" with what it read
 *	codec stream  PROTOCOL CLIENT [SEED [REQUEST]]  a stream or body of PROTOCOL -> a stream as a client of CLIENT gets it
 *	codec steps   PROTOCOL CLIENT [SEED [REQUEST]]  a stream -> for each event a line with it and what a client of CLIENT gets at once
 *	codec whole   PROTOCOL CLIENT [SEED [REQUEST]]  a stream or body of PROTOCOL -> one whole answer for a client of CLIENT
 *	codec lost    PROTOCOL CLIENT [SEED [REQUEST]]  the same, but what x-llm-gateway-dropped says of it
 *	codec request PROTOCOL UPSTREAM [MODEL KIND]  a request -> {"body", "dropped"} as an upstream of UPSTREAM gets it: MODEL
 *	                                      at a provider of KIND, else one without a name
 *	codec embed-request PROTOCOL UPSTREAM [VARIANT]  the same of a request for embeddings
 *	codec embed   PROTOCOL CLIENT         an answer with embeddings -> one for a client of CLIENT, in numbers
 *	codec embed64 PROTOCOL CLIENT         the same in base64
 *
 * Events end in {"end": "ok" | what went wrong}; a stream or answer that went wrong in "#failed: why". STEP: feed so many
 * bytes at a time; SEED: feed a stream in random pieces (0: not); REQUEST: a file with what the client asked. With --many in front stdin holds many inputs, each as its length in decimal, a newline
 * and its bytes, and so do the results on stdout. Exit 0 unless it was used wrongly.
 */
#include <stdio.h>
#include <stdlib.h>

#include "ir/forced_tool.h"
#include "providers/provider.h"
#include "tape.h"

struct job {
	const struct protocol *p, *other; /* other: of the client or the upstream; may be NULL */
	uint64_t step, seed;
	bool hide_usage;
	struct str model;            /* the target's; absent: any */
	struct buf asked;            /* the client's request; empty: unknown */
	const struct provider *kind; /* the target's; may be NULL */
};

/* Text of a whole body, or of a stream? */
static bool is_body(const struct protocol *p, struct str in)
{
	struct str t = str_trim(in);

	if (p->framing == FRAMING_NDJSON) /* lines are objects too, but several */
		return json_scan(t, NULL, 0, NULL) == RC_OK;
	return t.len && (t.ptr[0] == '{' || t.ptr[0] == '[');
}

static const char *why(const struct feed *f)
{
	return f->breach ? f->breach : f->err.msg[0] ? f->err.msg : "failed";
}

static void write_events(const struct job *job, struct str in, bool body, struct buf *out)
{
	struct tape t;
	struct feed f = { .p = job->p, .sink = &t.sink };
	struct jw w;
	int rc;

	tape_init(&t);
	rc = body ? feed_body(&f, in) : feed_stream(&f, in, (size_t)job->step);
	buf_put(out, buf_str(&t.text));
	tape_done(&t);
	w = jw_on(out);
	jw_obj(&w);
	jw_kcstr(&w, "end", rc == 0 ? "ok" : why(&f));
	jw_ki64(&w, "rc", rc);
	jw_end_obj(&w);
	buf_putc(out, '\n');
}

static void run_events(const struct job *job, struct str in, struct buf *out)
{
	write_events(job, in, false, out);
}

static void run_body(const struct job *job, struct str in, struct buf *out)
{
	write_events(job, in, true, out);
}

static unsigned tap_stream(const struct job *job, struct relay_tap *tap, struct str in,
			   struct buf *out)
{
	struct arena *scratch = arena_new(TAPE_ARENA);
	struct framer framer;
	struct frame ev;
	unsigned flags = 0;
	size_t used;

	framer_init(&framer, job->p->framing, TAPE_MAX);
	while (framer_next(&framer, in, &ev, &used) == FRAMER_FRAME) {
		unsigned one = job->p->tap_event(tap, scratch, &ev);

		flags |= one;
		if (!(one & TAP_DROP))
			buf_put(out, one & TAP_EDIT ? tap->edited : ev.raw);
		if (one & TAP_EDIT)
			buf_put(out, tap->edited_rest);
		in = str_from_offset(in, used);
		arena_reset(scratch);
	}
	buf_put(out, in); /* the torn rest passes too */
	framer_done(&framer);
	arena_free(scratch);
	return flags;
}

static void run_tap(const struct job *job, struct str in, struct buf *out)
{
	struct arena *a = arena_new(TAPE_ARENA);
	struct relay_tap tap = { .arena = a,
				 .hide_usage = job->hide_usage,
				 .usage = IR_USAGE_NONE };
	unsigned flags = is_body(job->p, in) ? job->p->tap_body(&tap, a, in)
					     : tap_stream(job, &tap, in, out);
	struct jw w;

	buf_puts(out, "\n#");
	w = jw_on(out);
	jw_obj(&w);
	jw_ki64(&w, "flags", flags);
	tape_usage(&w, &tap.usage);
	jw_kbool(&w, "finished", tap.finished);
	if (flags & TAP_ERROR)
		jw_kstr(&w, "error", tap.error.message);
	jw_end_obj(&w);
	buf_done(&tap.scratch);
	arena_free(a);
}

/* What the client asked, NULL where that is not said; a request that is none is told of in the result. */
static const struct ir_request *asked(struct arena *a, const struct job *job, struct buf *out)
{
	const struct request_line line = { .op = IR_OP_GENERATE, .arg = STR("model-1") };
	struct err err = { .msg = "" };
	struct ir_request *r = NULL;

	if (buf_len(&job->asked) &&
	    job->other->decode_request(a, &line, buf_str(&job->asked), &r, &err))
		buf_printf(out, "#failed: %s\n", err.msg);
	return r;
}

static void run_stream(const struct job *job, struct str in, struct buf *out)
{
	struct arena *a = arena_new(TAPE_ARENA);
	struct client_tape c;
	struct feed f = {
		.p = job->p, .sink = &c.fit.sink, .seed = job->seed, .request = asked(a, job, out)
	};

	client_init_asking(&c, job->other, true, f.request);
	if (is_body(job->p, in) ? feed_body(&f, in) : feed_stream(&f, in, 0))
		buf_printf(&c.out, "#failed: %s", why(&f));
	buf_put(out, buf_str(&c.out));
	client_done(&c);
	arena_free(a);
}

struct steps {
	struct feed f;
	struct client_tape client;
	struct buf *out;
};

static void write_step(struct steps *s, struct str event)
{
	struct jw w = jw_on(s->out);

	jw_obj(&w);
	jw_kstr(&w, "event", event);
	jw_kstr(&w, "told", buf_str(&s->client.out));
	jw_end_obj(&w);
	buf_putc(s->out, '\n');
	buf_reset(&s->client.out);
}

static void step_fed(struct feed *f, const struct frame *ev)
{
	write_step((struct steps *)f, ev->raw);
}

static void run_steps(const struct job *job, struct str in, struct buf *out)
{
	struct arena *a = arena_new(TAPE_ARENA);
	struct steps s = {
		.f = { .p = job->p,
		       .sink = &s.client.fit.sink,
		       .seed = job->seed,
		       .request = asked(a, job, out),
		       .fed = step_fed },
		.out = out,
	};

	client_init_asking(&s.client, job->other, true, s.f.request);
	if (feed_stream(&s.f, in, 0))
		buf_printf(out, "#failed: %s\n", why(&s.f));
	write_step(&s, STR("")); /* at the stream's end */
	client_done(&s.client);
	arena_free(a);
}

/* A whole answer into `fold`, and what a client of the other protocol does not get of it. Of `f` the request is set. */
static int fold_answer(struct arena *a, const struct job *job, struct str in, struct ir_fold *fold,
		       struct ir_losses *losses, struct feed *f)
{
	struct ir_fit fit;

	f->p = job->p;
	f->sink = &fit.sink;
	f->seed = job->seed;
	ir_losses_init(losses, a);
	ir_fold_init(fold, a);
	ir_fit_init(&fit, a, job->other->name, job->other->pictures, f->request, losses,
		    &fold->sink);
	return is_body(job->p, in) ? feed_body(f, in) : feed_stream(f, in, 0);
}

static void run_whole(const struct job *job, struct str in, struct buf *out)
{
	struct arena *a = arena_new(TAPE_ARENA);
	struct encoder_options o = { .arena = a,
				     .id = STR("id-1"),
				     .model = STR("model-1"),
				     .created_s = 1700000000,
				     .request = asked(a, job, out) };
	struct ir_losses losses;
	struct ir_fold fold;
	struct feed f = { .request = o.request };
	int rc = fold_answer(a, job, in, &fold, &losses, &f), status;

	if (!rc && fold.failed)
		job->other->encode_error(&fold.error, STR("req-1"), out, &status);
	else if (!rc)
		rc = job->other->encode_response(&o, &fold.response, out);
	if (rc)
		buf_printf(out, "#failed: %s", why(&f));
	arena_free(a);
}

static void run_lost(const struct job *job, struct str in, struct buf *out)
{
	struct arena *a = arena_new(TAPE_ARENA);
	struct ir_losses losses;
	struct ir_fold fold;
	struct feed f = { .request = asked(a, job, out) };

	if (fold_answer(a, job, in, &fold, &losses, &f))
		buf_printf(out, "#failed: %s", why(&f));
	else
		buf_put(out, ir_losses_text(&losses));
	arena_free(a);
}

static void put_request(struct buf *out, int rc, const struct err *err, const struct buf *body,
			const struct ir_losses *losses)
{
	struct jw w = jw_on(out);

	jw_obj(&w);
	if (rc) {
		jw_kcstr(&w, "error", err->msg);
		jw_kcstr(&w, "param", err->param);
	} else {
		jw_kraw(&w, "body", buf_str(body));
		jw_kstr(&w, "dropped", ir_losses_text(losses));
	}
	jw_end_obj(&w);
}

/* The target as the gateway would know it. */
static struct request_target target_of(const struct job *job)
{
	struct request_target t = {
		.model = str_present(job->model) ? job->model : STR("model-1"),
		.default_max_tokens = 4096,
		.budget = { 0, 0, 1024, 2048, 8192, 16384, 32768, 65536 },
	};
	struct model_wants wants = { .max_output = 0 };

	if (job->kind) {
		t.quirks = job->kind->quirks;
		if (job->kind->wants)
			wants = job->kind->wants(t.model);
		t.adaptive_thinking = wants.adaptive_thinking;
		t.sampling = wants.sampling;
	}
	return t;
}

/* What goes up for a decoded request, a forced call included where the target cannot force one; of several prompts the first, as the
 * others do. */
static int encode_request(struct arena *a, const struct job *job, const struct ir_request *r,
			  struct buf *body, struct ir_losses *losses, struct err *err)
{
	const struct request_target target = target_of(job);
	struct ir_request one, forced, plain;

	if (r->n_prompts > 1) {
		ir_request_prompt(r, 0, &one);
		r = &one;
	}
	if (ir_forces_tool(r) && (target.quirks & QUIRK_FORCED_TOOL_AS_SCHEMA)) {
		int rc = ir_forced_tool_request(a, r, &forced, err);

		if (rc)
			return rc;
		r = &forced;
	}
	if (ir_refuses_sampling(target.sampling, r)) {
		ir_without_sampling(r, &plain, losses);
		r = &plain;
	}
	return job->other->encode_request(a, r, &target, body, losses, err);
}

static void run_request(const struct job *job, struct str in, struct buf *out)
{
	struct arena *a = arena_new(TAPE_ARENA);
	struct ir_request *r;
	struct ir_losses losses;
	struct err err = { .msg = "" };
	struct buf body;
	/* Where the path names the model: that of the answers. */
	const struct request_line line = { .op = IR_OP_GENERATE, .arg = STR("model-1") };
	int rc = job->p->decode_request(a, &line, in, &r, &err);

	buf_init(&body, TAPE_MAX);
	ir_losses_init(&losses, a);
	if (!rc)
		rc = encode_request(a, job, r, &body, &losses, &err);
	if (!rc)
		ir_lose_unknown(&losses, r);
	put_request(out, rc, &err, &body, &losses);
	buf_done(&body);
	arena_free(a);
}

static void run_embed_request(const struct job *job, struct str in, struct buf *out)
{
	const struct request_line line = { .op = IR_OP_EMBED,
					   .variant = (unsigned)job->seed,
					   .arg = STR("model-1") };
	const struct request_target target = { .model = STR("model-1") };
	struct arena *a = arena_new(TAPE_ARENA);
	struct ir_embed_request *r;
	struct ir_losses losses;
	struct err err = { .msg = "" };
	struct buf body;
	int rc = job->p->embed->decode_request(a, &line, in, &r, &err);

	buf_init(&body, TAPE_MAX);
	ir_losses_init(&losses, a);
	if (!rc)
		rc = job->other->embed->encode_request(a, r, &target, &body, &losses, &err);
	put_request(out, rc, &err, &body, &losses);
	buf_done(&body);
	arena_free(a);
}

static void embed(const struct job *job, struct str in, bool base64, struct buf *out)
{
	struct arena *a = arena_new(TAPE_ARENA);
	struct ir_embed_request r = { .base64 = true }; /* either form is taken */
	struct ir_embed_response *e;
	struct err err = { .msg = "" };
	int rc = job->p->embed->decode_response(a, &r, in, &e, &err);

	r.base64 = base64;
	if (!rc)
		rc = job->other->embed->encode_response(&r, e, STR("model-1"), out);
	if (rc)
		buf_printf(out, "#failed: %s", err.msg);
	arena_free(a);
}

static void run_embed(const struct job *job, struct str in, struct buf *out)
{
	embed(job, in, false, out);
}

static void run_embed64(const struct job *job, struct str in, struct buf *out)
{
	embed(job, in, true, out);
}

static const struct mode {
	const char *name;
	void (*run)(const struct job *job, struct str in, struct buf *out);
	bool needs_other;
} modes[] = {
	{ "events", run_events, false },
	{ "body", run_body, false },
	{ "tap", run_tap, false },
	{ "stream", run_stream, true },
	{ "steps", run_steps, true },
	{ "whole", run_whole, true },
	{ "lost", run_lost, true },
	{ "request", run_request, true },
	{ "embed-request", run_embed_request, true },
	{ "embed", run_embed, true },
	{ "embed64", run_embed64, true },
};

static const struct mode *find_mode(const char *name)
{
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		if (strcmp(modes[i].name, name) == 0)
			return &modes[i];
	}
	return NULL;
}

static void show(struct buf *b)
{
	(void)fwrite(buf_str(b).ptr, 1, buf_len(b), stdout);
	buf_reset(b);
}

/* Each input, as --many says; false when the lengths do not fit. */
static bool run_many(const struct mode *mode, const struct job *job, struct str in, struct buf *out)
{
	while (in.len) {
		struct str length = str_cut(&in, '\n');
		uint64_t n;

		if (!str_to_u64(length, &n) || n > in.len)
			return false;
		mode->run(job, (struct str){ in.ptr, (size_t)n }, out);
		printf("%zu\n", buf_len(out));
		show(out);
		in = str_from_offset(in, (size_t)n);
	}
	return true;
}

static int usage(void)
{
	fputs("usage: codec [--many] "
	      "events|body|tap|stream|steps|whole|lost|request|embed-request|embed|embed64 "
	      "PROTOCOL "
	      "[OTHER "
	      "[SEED] | "
	      "STEP | "
	      "hide-usage] < input\n",
	      stderr);
	return 2;
}

static bool read_file(const char *path, struct buf *to)
{
	char chunk[65536];
	FILE *f = fopen(path, "rb");
	size_t n;

	while (f && (n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		buf_put(to, (struct str){ chunk, n });
	return f && fclose(f) == 0;
}

/* What stands behind the protocol; false when it is nothing we know. */
static bool read_rest(const struct mode *mode, char **args, struct job *job)
{
	if (!args[0])
		return true;
	job->other = protocol_find(str_from(args[0]));
	job->hide_usage = strcmp(args[0], "hide-usage") == 0;
	if (!job->other && !job->hide_usage && !str_to_u64(str_from(args[0]), &job->step))
		return false;
	if (!args[1])
		return true;
	if (mode->run != run_request)
		return str_to_u64(str_from(args[1]), &job->seed) &&
		       (!args[2] || read_file(args[2], &job->asked));
	job->model = str_from(args[1]);
	job->kind = args[2] ? provider_find(str_from(args[2])) : NULL;
	return job->kind || !args[2];
}

int main(int argc, char **argv)
{
	bool many = argc > 1 && strcmp(argv[1], "--many") == 0;
	char **args = argv + many, chunk[65536];
	const struct mode *mode;
	struct job job = { .step = 0 };
	struct buf in, out;
	size_t n;

	buf_init(&job.asked, TAPE_MAX);
	if (argc - many < 3)
		return usage();
	mode = find_mode(args[1]);
	job.p = protocol_find(str_from(args[2]));
	if (!mode || !job.p || !read_rest(mode, args + 3, &job) ||
	    (mode->needs_other && !job.other))
		return usage();
	buf_init(&in, 1u << 30);
	buf_init(&out, 1u << 30);
	while ((n = fread(chunk, 1, sizeof(chunk), stdin)) > 0)
		buf_put(&in, (struct str){ chunk, n });
	if (!many)
		mode->run(&job, buf_str(&in), &out);
	else if (!run_many(mode, &job, buf_str(&in), &out))
		return usage();
	show(&out);
	buf_done(&in);
	buf_done(&out);
	buf_done(&job.asked);
	return 0;
}
