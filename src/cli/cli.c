/* cli/cli.c - finding the command, reading its options, and help. */
#include "cli/cli.h"

#include <stdio.h>
#include <unistd.h>

extern char **environ;

static const struct cli_command commands[] = {
#define X(id, name, summary, usage) { name, summary, usage, cli_##id },
#include "cli/commands.def"
#undef X
};

enum { N_COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static void print_help(FILE *to)
{
	fputs("usage: llm-gateway COMMAND [ARGS]\n\n"
	      "One daemon between LLM clients and LLM providers, in the protocols they already "
	      "speak.\n\n"
	      "Commands:\n",
	      to);
	for (unsigned i = 0; i < N_COMMANDS; i++)
		fprintf(to, "  %-14s  %s\n", commands[i].name, commands[i].summary);
	fputs("\nEach command explains itself: llm-gateway COMMAND --help\n\n"
	      "Example:\n  llm-gateway serve\n",
	      to);
}

/* How many of the words a command's name takes; 0: it is not this one. */
static int name_words(const struct cli_command *c, int argc, char **argv)
{
	struct str rest = str_from(c->name);
	int n = 0;

	while (str_present(rest)) {
		struct str word = str_cut(&rest, ' ');

		if (n >= argc || !str_eq(word, str_from(argv[n])))
			return 0;
		n++;
	}
	return n;
}

static bool asks_for_help(int argc, char **argv)
{
	for (int i = 0; i < argc; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return true;
	return false;
}

static int unknown(const char *word)
{
	const char *nearest = NULL;
	unsigned best = 4;

	for (unsigned i = 0; i < N_COMMANDS; i++) {
		unsigned d = str_distance(str_from(word), str_from(commands[i].name), best);

		if (d < best) {
			best = d;
			nearest = commands[i].name;
		}
	}
	fprintf(stderr, "llm-gateway: there is no command \"%s\".", word);
	if (nearest)
		fprintf(stderr, " Did you mean \"%s\"?", nearest);
	fputs(" See llm-gateway --help.\n", stderr);
	return EXIT_USAGE;
}

int cli_main(int argc, char **argv, int (*serve)(const struct cli_serve *o))
{
	if (argc < 2) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--version") == 0)
		return cli_version(&(struct cli){ .argc = 1, .argv = argv + 1 });
	for (unsigned i = 0; i < N_COMMANDS; i++) {
		int words = name_words(&commands[i], argc - 1, argv + 1);
		struct cli c = { .argc = argc - words, .argv = argv + words, .serve = serve };

		if (words == 0)
			continue;
		if (asks_for_help(c.argc - 1, c.argv + 1)) {
			fputs(commands[i].usage, stdout);
			return EXIT_OK;
		}
		return commands[i].run(&c);
	}
	if (asks_for_help(1, argv + 1) || strcmp(argv[1], "help") == 0) {
		print_help(stdout);
		return EXIT_OK;
	}
	return unknown(argv[1]);
}

static const struct cli_option *find_option(const struct cli_option *options, unsigned n,
					    struct str name)
{
	for (unsigned i = 0; i < n; i++)
		if (str_eq(name, str_from(options[i].name)))
			return &options[i];
	return NULL;
}

/* Reads the option at argv[*i]; moves *i over its value. */
static int read_option(const struct cli *c, int *i, const struct cli_option *options, unsigned n)
{
	struct str value = str_from(c->argv[*i] + 2);
	struct str name = str_cut(&value, '=');
	const struct cli_option *o = find_option(options, n, name);

	if (!o) {
		fprintf(stderr,
			"llm-gateway %s: unknown option --%.*s. See llm-gateway %s --help.\n",
			c->argv[0], STR_ARG(name), c->argv[0]);
		return -1;
	}
	if (o->flag) {
		*o->flag = true;
		return 0;
	}
	if (!str_present(value) && *i + 1 < c->argc)
		value = str_from(c->argv[++*i]);
	if (!str_present(value)) {
		fprintf(stderr, "llm-gateway %s: --%s needs a value.\n", c->argv[0], o->name);
		return -1;
	}
	*o->value = value.ptr; /* the rest of an argv word: ends in NUL */
	return 0;
}

int cli_parse(const struct cli *c, const struct cli_option *options, unsigned n_options,
	      const char **words, unsigned max_words)
{
	unsigned n = 0;

	for (int i = 1; i < c->argc; i++) {
		if (c->argv[i][0] == '-' && c->argv[i][1] == '-' && c->argv[i][2]) {
			if (read_option(c, &i, options, n_options) < 0)
				return -1;
			continue;
		}
		if (n == max_words) {
			fprintf(stderr,
				"llm-gateway %s: unexpected \"%s\". See llm-gateway %s --help.\n",
				c->argv[0], c->argv[i], c->argv[0]);
			return -1;
		}
		words[n++] = c->argv[i];
	}
	return (int)n;
}

struct conf_sources cli_sources(const char *config, const char *listen, const char *data_dir)
{
	return (struct conf_sources){
		.file = str_from(config),
		.listen = str_from(listen),
		.data_dir = str_from(data_dir),
		.environment = (const char *const *)environ,
	};
}
