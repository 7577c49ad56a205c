/* store/sqlite_impl.h - the SQLite backend as its two files see it; nobody else includes this. */
#ifndef GW_STORE_SQLITE_IMPL_H
#define GW_STORE_SQLITE_IMPL_H

#include <sqlite3.h>
#include <stdbool.h>

#include "store/backend.h"
#include "store/items.h"

enum { SQLITE_PATH_BYTES = 4096, SQLITE_SCRATCH_MAX = 1 << 30 };

enum query {
	Q_BEGIN,
	Q_COMMIT,
	Q_ROLLBACK,
	Q_SAVE,
	Q_RELEASE,
	Q_UNDO,
	Q_OWNER,
	Q_PUT,
	Q_ITEM,
	Q_DROP_ITEMS,
	Q_KEEP,
	Q_BEAT,
	Q_GET,
	Q_CHAIN,
	Q_FIND,
	Q_HIDE,
	Q_DROP_IF_ALONE,
	Q_SWEEP,
	Q_TOTAL,
	Q_EVICT,
	N_QUERIES
};

extern const char *const sqlite_queries[N_QUERIES];

struct sqlite {
	sqlite3 *db;
	sqlite3_stmt *statements[N_QUERIES];
	int64_t bytes, max_bytes;
	int64_t runner; /* tells this process from all others that work on the file; 0: nothing does */
	int runners;    /* a file of which each process holds its own byte locked; -1: none */
	bool ready;     /* the database is open */
	bool outlasting; /* commits wait for the disk */
	bool batch; /* between begin and end: what else is a transaction is a part of that one */
	char path[SQLITE_PATH_BYTES];
};

/* --- sqlite.c: the statements --- */

/* What SQLite's last error means, in a sentence that says what to do. */
int sqlite_fail(struct sqlite *q, struct err *reterr);
void sqlite_bind_str(sqlite3_stmt *s, int at, struct str text);
void sqlite_done(sqlite3_stmt *s);
/* One that gives no rows. */
int sqlite_run(struct sqlite *q, sqlite3_stmt *s, struct err *reterr);
/* A column's bytes, until the next step; "" for NULL. */
struct str sqlite_peek(sqlite3_stmt *s, int at);
/* `s`: Q_ITEM. */
int sqlite_insert_items(struct sqlite *q, sqlite3_stmt *s, const struct stored_turn *t,
			const struct item_id *ids, unsigned n, struct err *reterr);

/* --- sqlite_file.c: the file --- */

/* The folder and the file, for their user alone; SQLite gives its side files the same mode. */
int sqlite_make_file(struct sqlite *q, bool *ret_empty, struct err *reterr);
/* Says to all others that work on the file that this process lives. */
void sqlite_lock_runner(struct sqlite *q);
/* Before every call: the file may have been empty so far. */
int sqlite_be_ready(struct sqlite *q, struct err *reterr);
void sqlite_close_database(struct sqlite *q);
/* What is kept is counted anew. */
int sqlite_read_total(struct sqlite *q, struct err *reterr);

#endif
