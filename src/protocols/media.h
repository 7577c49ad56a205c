/* protocols/media.h - what pictures and documents are by their first bytes, data as URLs, and documents as text. */
#ifndef GW_PROTOCOLS_MEDIA_H
#define GW_PROTOCOLS_MEDIA_H

#include "base/arena.h"
#include "base/str.h"
#include "ir/request.h"

/* A text document as a model that knows only text should read it: what it is called and where it is from stand above it. Into
 * the arena; absent when memory is out. */
struct str media_document_text(struct arena *a, const struct ir_media *m);

/* The type of data in base64 as its first bytes tell it (trap 53); absent when they say nothing we know. */
struct str media_sniff(struct arena *a, struct str base64);

/* "data:image/png;base64,AAAA" -> mime and base64; any other text is a URL. */
void media_read_url(struct str url, struct ir_media *m);
/* By what the loss of an answer's data of that type is named: "answer.image", "answer.audio", "answer.video", else "answer.file". */
struct str media_lost(struct str mime);

/* The way back. Absent when memory is out. */
struct str media_data_url(struct arena *a, struct str mime, struct str base64);

#endif
