/* conf/value.h - the texts of values: durations, sizes, truth. Pure. */
#ifndef GW_CONF_VALUE_H
#define GW_CONF_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/* "250ms", "30s", "1.5m", "1h"; a bare number is seconds. */
bool value_duration(struct str s, uint64_t *ret_ms);
/* "4096", "64KiB", "1.5MiB", "1GiB". */
bool value_size(struct str s, uint64_t *ret_bytes);
/* true false yes no on off 1 0, in any case. */
bool value_bool(struct str s, bool *ret);

#endif
