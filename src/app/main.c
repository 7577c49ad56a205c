/* app/main.c - where it begins. */
#include <signal.h>
#include <string.h>

#include "app/serve.h"
#include "cli/cli.h"
#include "engine/shim.h"

int main(int argc, char **argv)
{
	/* Before anything else exists: this process is to become a local model's engine. */
	if (argc > 1 && strcmp(argv[1], "engine-exec") == 0)
		return engine_shim_main(argc, argv);
	signal(SIGPIPE, SIG_IGN); /* allowed here: no loop yet */
	return cli_main(argc, argv, serve);
}
