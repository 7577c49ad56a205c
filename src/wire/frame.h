/* wire/frame.h - one piece of a streamed answer, whatever the stream is cut by.
 *
 *	SSE          event: NAME LF data: {...} LF LF        OpenAI, Anthropic, Gemini with alt=sse
 *	NDJSON       {...} LF                                Ollama
 *	JSON array   [ {...} , {...} ]                       Gemini without alt=sse
 */
#ifndef GW_WIRE_FRAME_H
#define GW_WIRE_FRAME_H

#include <stdbool.h>

#include "base/str.h"

enum framing { FRAMING_SSE, FRAMING_NDJSON, FRAMING_JSON_ARRAY };

/* Slices of the bytes it was cut from. */
struct frame {
	struct str name; /* SSE: the `event:` field; absent when there is none or it is empty */
	struct str
		data; /* the payload; absent when there is none (a comment, the array's brackets) */
	struct str raw; /* all its bytes, delimiters included: the frames' raws are the stream */
	bool comment;   /* nothing but delimiters or comment lines */
};

#endif
