/* base/log.h - the log: one line an event, JSON or plain, never blocking a loop.
 *
 * Lines are put into a bounded buffer under a short lock and written by a
 * thread of the log's own; when the target is slow or full, lines are dropped
 * and counted, and the count is logged when it recovers. Before log_open() and
 * after log_close() lines go to stderr directly. Any thread may log.
 *
 * One of the few places with global state (the one sink of the process).
 * I/O-free layers never log; the others log an event once, where it is handled.
 */
#ifndef GW_BASE_LOG_H
#define GW_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_JSON, LOG_TEXT };

struct log_options {
	enum log_level level;
	enum log_format format;
	const char *path; /* NULL: stderr */
};

int log_open(const struct log_options *o, struct err *reterr) MUST_CHECK;
/* SIGUSR1: reopens `path`. A failure keeps the old file and is logged. */
void log_reopen(void);
void log_set_level(enum log_level level);
/* Writes what is buffered and ends the thread. */
void log_close(void);
uint64_t log_dropped(void);

bool log_enabled(enum log_level level);

/* A field of a line. Keys are literals. Values are escaped as needed. */
struct log_field {
	struct str key;
	enum { LOG_F_STR, LOG_F_INT, LOG_F_BOOL, LOG_F_RAW } kind;
	struct str s; /* STR; RAW: ready JSON */
	int64_t i;
};

#define LF_STR(k, v) ((struct log_field){ .key = STR(k), .kind = LOG_F_STR, .s = (v) })
#define LF_CSTR(k, v) ((struct log_field){ .key = STR(k), .kind = LOG_F_STR, .s = str_from(v) })
#define LF_INT(k, v) ((struct log_field){ .key = STR(k), .kind = LOG_F_INT, .i = (int64_t)(v) })
#define LF_BOOL(k, v) ((struct log_field){ .key = STR(k), .kind = LOG_F_BOOL, .i = (v) })

/* `event` is a short constant name ("listener.open"); `msg` a sentence or NULL. A field whose STR value is
 * absent is left out. */
void log_fields(enum log_level level, const char *event, const char *msg,
		const struct log_field *fields, unsigned n);

#define log_event(level, event, msg, ...)                                             \
	do {                                                                          \
		if (log_enabled(level)) {                                             \
			const struct log_field log_fs_[] = { __VA_ARGS__ };           \
			log_fields(level, event, msg, log_fs_,                        \
				   (unsigned)(sizeof(log_fs_) / sizeof(log_fs_[0]))); \
		}                                                                     \
	} while (0)

#endif
