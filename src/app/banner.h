/* app/banner.h - what a person sees when the gateway starts on a terminal. */
#ifndef GW_APP_BANNER_H
#define GW_APP_BANNER_H

#include "conf/snapshot.h"

/* What is served and a request to paste, on stderr. */
void banner_print(const struct snapshot *s);

#endif
