/* policy/conversation_impl.h - what the files of policy/conversation.h share; nobody else includes this. */
#ifndef GW_POLICY_CONVERSATION_IMPL_H
#define GW_POLICY_CONVERSATION_IMPL_H

#include "json/write.h"
#include "policy/conversation.h"

/* How the ids of our own responses begin. */
#define TURN_PREFIX "resp_"

enum { TURN_ITEMS_MAX = 1 << 30 };

struct str turn_item_id(const json *item);
/* The short form of a content, as one part. */
void turn_put_text_content(struct jw *w, bool assistant, struct str text);
/* One more of a list; nothing where that reader could not use it. */
void turn_put_kept_item(struct buf *out, bool *comma, const json *item, enum turn_reader reader);

#endif
