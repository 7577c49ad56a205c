/* cli/cli.h - the command line: `llm-gateway COMMAND [ARGS]`, one file per command group, all in commands.def.
 *
 * Exit status: 0 done, 1 failed, 2 used wrongly, 3 refused by configuration. Errors go to stderr and say what to do.
 */
#ifndef GW_CLI_CLI_H
#define GW_CLI_CLI_H

#include <stdbool.h>

#include "conf/conf.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_CONFIG = 3 };

/* What `serve` needs of the layer above, which owns the daemon. */
struct cli_serve {
	struct conf_sources sources;
	bool takeover; /* listen beside a gateway that is already there */
};

/* What a command gets. */
struct cli {
	int argc; /* the command's own arguments; argv[0] is the command's name */
	char **argv;
	int (*serve)(const struct cli_serve *o);
};

struct cli_command {
	const char *name;    /* "serve", "server status": one or two words */
	const char *summary; /* one line */
	const char *usage;   /* options and an example, for --help */
	int (*run)(const struct cli *c);
};

/* All of it: finds the command and runs it. */
int cli_main(int argc, char **argv, int (*serve)(const struct cli_serve *o));

/* --- for the commands --- */

/* One option of a command: --name VALUE, --name=VALUE, or a flag. */
struct cli_option {
	const char *name;   /* without dashes */
	const char **value; /* where its value goes; NULL for a flag */
	bool *flag;
};
/* Reads options and at most `max_words` words (into `words`). Prints what is wrong and returns -1; otherwise the number of words. */
int cli_parse(const struct cli *c, const struct cli_option *options, unsigned n_options,
	      const char **words, unsigned max_words);
/* The sources of the configuration as the common options give them. */
/* What is wrong with these sources, printed. The exit status. */
int cli_check_sources(const struct conf_sources *src, bool json);

struct conf_sources cli_sources(const char *config, const char *listen, const char *data_dir);

#define X(id, name, summary, usage) int cli_##id(const struct cli *c);
#include "cli/commands.def"
#undef X

#endif
