/* protocols/media.h - what pictures and documents are, by their first bytes. */
#ifndef GW_PROTOCOLS_MEDIA_H
#define GW_PROTOCOLS_MEDIA_H

#include "base/arena.h"
#include "base/str.h"

/* The type of data in base64 as its first bytes tell it (trap 53); absent when they say nothing we know. */
struct str media_sniff(struct arena *a, struct str base64);

#endif
