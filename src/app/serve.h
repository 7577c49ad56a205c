/* app/serve.h - the daemon: wiring, reload, drain. */
#ifndef GW_APP_SERVE_H
#define GW_APP_SERVE_H

#include "cli/cli.h"

/* Runs until told to end. Returns the exit status. */
int serve(const struct cli_serve *o);

#endif
