/* engine/launch.c - llama-server's command line, its environment and its socket. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/priv.h"

struct args {
	char numbers[5][24];
	char *argv[CHILD_MAX_ARGS];
	unsigned n;
};

static void arg(struct args *s, const char *a)
{
	if (s->n < CHILD_MAX_ARGS - 1)
		s->argv[s->n++] = (char *)a;
}

static void arg_number(struct args *s, unsigned slot, const char *name, int64_t v)
{
	if (v <= 0)
		return;
	snprintf(s->numbers[slot], sizeof(s->numbers[slot]), "%lld", (long long)v);
	arg(s, name);
	arg(s, s->numbers[slot]);
}

/* `context` is what one request may use; llama-server divides its -c among the slots. */
static int64_t total_context(const struct local_model *c)
{
	int64_t slots = c->parallel > 1 ? c->parallel : 1;

	return c->context > 0 && c->context <= INT32_MAX / slots ? c->context * slots : c->context;
}

static void make_args(struct args *s, const struct model *m, struct str program)
{
	const struct local_model *c = &m->conf;

	s->n = 0;
	arg(s, program.ptr);
	arg(s, "--host");
	arg(s, m->path);
	arg(s, "-m");
	arg(s, c->path.ptr);
	arg_number(s, 0, "-c", total_context(c));
	arg_number(s, 1, "-t", c->threads);
	arg_number(s, 2, "-np", c->parallel);
	/* Answers then name the model as clients do, not by its file's path. The engine would take a comma for two names. */
	if (str_chr(c->name, ',') < 0) {
		arg(s, "--alias");
		arg(s, c->name.ptr);
	}
	if (c->embeddings) {
		/* An input must fit into one batch, or it is an error 500. */
		arg(s, "--embeddings");
		arg_number(s, 3, "-b", c->context);
		arg_number(s, 4, "-ub", c->context);
	} else {
		arg(s, "--jinja"); /* without it older ones know no tools */
	}
	for (unsigned i = 0; i < c->n_extra_args; i++)
		arg(s, c->extra_args[i].ptr);
	s->argv[s->n] = NULL;
}

/* Wishes that not every version knows as an argument: an unknown argument ends llama-server, a variable does not. */
static const char *const soft_env[MODEL_EXTRA_ENV] = {
	"LLAMA_ARG_UI=0",
	"LLAMA_ARG_OFFLINE=1",
	"LLAMA_ARG_LOG_COLORS=off",
	NULL,
};

struct child *model_launch(struct model *m, struct str program, struct err *reterr)
{
	struct args s;

	uv_mutex_lock(&m->e->lock);
	snprintf(m->path, sizeof(m->path), "%s/m%u-%u.sock", m->e->dir.path, m->seq % 1000000u,
		 m->generation++ % 1000000u);
	uv_mutex_unlock(&m->e->lock);
	(void)unlink(m->path);
	m->origin = (struct origin){
		.host = STR("localhost"),
		.port = 80,
		.unix_path = str_from(m->path),
		.host_header = STR("localhost"),
		.base_path = STR(""),
		.tls_verify = true,
		.pool_key = str_from(m->path),
	};
	make_args(&s, m, program);
	return child_start(
		&(struct child_options){
			.loop = m->e->loop,
			.shim = m->e->shim,
			.argv = s.argv,
			.env = soft_env,
			.label = m->conf.name,
			.on_exit = model_on_exit,
			.user = m,
		},
		reterr);
}
