/* cli/serve.c - `serve`: reads the command line; the daemon itself is the layer above. */
#include "cli/cli.h"

int cli_serve(const struct cli *c)
{
	const char *config = NULL, *listen = NULL, *data_dir = NULL;
	struct cli_serve o = { 0 };
	bool check = false;
	const struct cli_option options[] = {
		{ "config", &config, NULL },       { "listen", &listen, NULL },
		{ "data-dir", &data_dir, NULL },   { "check", NULL, &check },
		{ "takeover", NULL, &o.takeover },
	};

	if (cli_parse(c, options, sizeof(options) / sizeof(options[0]), NULL, 0) < 0)
		return EXIT_USAGE;
	o.sources = cli_sources(config, listen, data_dir);
	return check ? cli_check_sources(&o.sources, false) : c->serve(&o);
}
