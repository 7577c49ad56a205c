/* store/sqlite.c - turns in one SQLite file: the statements and the calls (the file itself: sqlite_file.c).
 *
 * The hard thing is what a call leaves behind when it fails: nothing. A call for itself is a transaction; in a batch it is a savepoint
 * of the batch's, and SQLite may roll back all of that by itself.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/sqlite_impl.h"

enum { EVICT_AT_ONCE = 16 };

#define BEFORE(start)                                                                \
	"WITH RECURSIVE c(id, previous, n) AS (" start " UNION ALL"                  \
	" SELECT t.id, t.previous, c.n + 1 FROM c JOIN turns t ON t.id = c.previous" \
	" AND t.owner = ?2 WHERE c.n < 4096) "

const char *const sqlite_queries[N_QUERIES] = {
	[Q_BEGIN] = "BEGIN IMMEDIATE",
	[Q_COMMIT] = "COMMIT",
	[Q_ROLLBACK] = "ROLLBACK",
	[Q_SAVE] = "SAVEPOINT one",
	[Q_RELEASE] = "RELEASE one",
	[Q_UNDO] = "ROLLBACK TO one",
	[Q_OWNER] = "SELECT owner = ?2, bytes, alive_until_s > 0 FROM turns WHERE id = ?1",
	[Q_PUT] = "INSERT INTO turns (id, owner, previous, created_s, expires_s, alive_until_s, "
		  "bytes,"
		  " answer, input, events, maker, runner) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8,"
		  " ?9, ?10, ?11, ?12)"
		  " ON CONFLICT(id) DO UPDATE SET previous = ?3, created_s = ?4, expires_s = ?5,"
		  " alive_until_s = ?6, bytes = ?7, answer = ?8, input = ?9, events = ?10, maker = "
		  "?11, runner = ?12",
	[Q_ITEM] = "INSERT OR IGNORE INTO items (turn, id, owner, made) VALUES (?1, ?2, ?3, ?4)",
	[Q_DROP_ITEMS] = "DELETE FROM items WHERE turn = ?1",
	[Q_KEEP] = BEFORE(
		"SELECT id, previous, 0 FROM turns WHERE id = ?1 AND owner = ?2") "UPDATE turns "
										  "SET keep_s = ?3 "
										  "WHERE keep_s < "
										  "?3 AND id IN "
										  "(SELECT id FROM "
										  "c)",
	[Q_BEAT] = ("UPDATE turns SET alive_until_s = ?3, expires_s = max(expires_s, ?3)"
		    " WHERE id = ?1 AND owner = ?2 AND alive_until_s > 0"
		    " RETURNING CASE WHEN expires_s = ?3 THEN previous END"),
	[Q_GET] = "SELECT id, owner, previous, created_s, expires_s, alive_until_s, answer, input, "
		  "events, maker, runner"
		  " FROM turns WHERE id = ?1 AND owner = ?2 AND expires_s > ?3",
	[Q_CHAIN] = BEFORE(
		"SELECT id, previous, 0 FROM turns WHERE id = ?1 AND owner = ?2"
		" AND expires_s > ?3") "SELECT t.id, t.owner, t.previous, t.created_s, "
				       "t.expires_s, t.alive_until_s, t.answer, t.input,"
				       " NULL, t.maker, t.runner FROM c JOIN turns t ON t.id = "
				       "c.id ORDER BY c.n DESC",
	[Q_FIND] =
		"SELECT id, owner, previous, created_s, expires_s, alive_until_s, answer, "
		"input, NULL, maker, runner FROM turns WHERE rowid = coalesce("
		"(SELECT t.rowid FROM items i JOIN turns t ON t.id = i.turn WHERE i.owner = ?2"
		" AND i.id = ?1 AND t.expires_s > ?3 ORDER BY i.made DESC, t.rowid DESC LIMIT 1),"
		" (SELECT rowid FROM turns WHERE id = ?1 AND owner = ?2 AND expires_s > ?3))",
	[Q_HIDE] = "UPDATE turns SET expires_s = 0 WHERE id = ?1 AND owner = ?2 AND expires_s > ?3",
	[Q_DROP_IF_ALONE] = "DELETE FROM turns WHERE id = ?1 AND owner = ?2 AND expires_s <= ?3"
			    " AND NOT EXISTS (SELECT 1 FROM turns t WHERE t.previous = ?1)"
			    " RETURNING previous",
	[Q_SWEEP] = "DELETE FROM turns WHERE max(expires_s, keep_s) <= ?1 AND alive_until_s <= ?1",
	[Q_TOTAL] = "SELECT coalesce(sum(bytes), 0) FROM turns",
	[Q_EVICT] = "DELETE FROM turns WHERE id IN (SELECT id FROM turns"
		    " ORDER BY max(expires_s, keep_s) LIMIT ?1) RETURNING bytes",
};

/* --- errors --- */

int sqlite_fail(struct sqlite *q, struct err *reterr)
{
	int code = q->db ? sqlite3_extended_errcode(q->db) : SQLITE_NOMEM;
	const char *path = q->path;

	switch (code & 0xff) {
	case SQLITE_NOMEM:
		return err_set(reterr, RC_NOMEM, "out of memory");
	case SQLITE_FULL:
		return err_set(reterr, RC_IO, "%.160s: the disk is full", path);
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return err_set(
			reterr, RC_IO,
			"%.130s: may not be written; check the owner and mode of it and its folder",
			path);
	case SQLITE_CANTOPEN:
		return err_set(reterr, RC_IO, "%.130s: cannot be opened: %.80s", path,
			       sqlite3_errmsg(q->db));
	case SQLITE_NOTADB:
	case SQLITE_CORRUPT:
		return err_set(reterr, RC_IO,
			       "%.110s: is damaged or no store of the gateway; move it away to "
			       "begin a new one",
			       path);
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return err_set(reterr, RC_IO, "%.150s: another process holds it locked", path);
	default:
		return err_set(reterr, RC_IO, "%.130s: %.100s", path, sqlite3_errmsg(q->db));
	}
}

/* --- statements --- */

void sqlite_bind_str(sqlite3_stmt *s, int at, struct str text)
{
	if (str_present(text))
		sqlite3_bind_text64(s, at, text.ptr, text.len, SQLITE_STATIC, SQLITE_UTF8);
	else
		sqlite3_bind_null(s, at);
}

static void bind_blob(sqlite3_stmt *s, int at, struct str bytes)
{
	if (str_present(bytes))
		sqlite3_bind_blob64(s, at, bytes.ptr, bytes.len, SQLITE_STATIC);
	else
		sqlite3_bind_null(s, at);
}

/* ?1 id, ?2 owner, ?3 now */
static sqlite3_stmt *bound(struct sqlite *q, enum query which, const struct store_key *k)
{
	sqlite3_stmt *s = q->statements[which];

	sqlite_bind_str(s, 1, k->id);
	sqlite_bind_str(s, 2, k->owner);
	if (sqlite3_bind_parameter_count(s) >= 3)
		sqlite3_bind_int64(s, 3, k->now_s);
	return s;
}

void sqlite_done(sqlite3_stmt *s)
{
	sqlite3_reset(s);
	sqlite3_clear_bindings(s);
}

/* One that gives no rows. */
int sqlite_run(struct sqlite *q, sqlite3_stmt *s, struct err *reterr)
{
	int rc = sqlite3_step(s) == SQLITE_DONE ? RC_OK : sqlite_fail(q, reterr);

	sqlite_done(s);
	return rc;
}

static int plain(struct sqlite *q, enum query which, struct err *reterr)
{
	return sqlite_run(q, q->statements[which], reterr);
}

static int start(struct sqlite *q, struct err *reterr)
{
	return plain(q, q->batch ? Q_SAVE : Q_BEGIN, reterr);
}

/* Ends what start() began, either way. SQLite may have rolled all back by itself, a batch around it too. */
static int end(struct sqlite *q, int rc, struct err *reterr)
{
	if (q->batch && sqlite3_get_autocommit(q->db))
		return rc;
	if (q->batch) {
		if (rc != RC_OK)
			(void)plain(q, Q_UNDO, NULL);
		return plain(q, Q_RELEASE, rc == RC_OK ? reterr : NULL) == RC_OK ? rc : RC_IO;
	}
	if (rc == RC_OK)
		rc = plain(q, Q_COMMIT, reterr);
	if (rc != RC_OK && !sqlite3_get_autocommit(q->db))
		(void)plain(q, Q_ROLLBACK, NULL);
	return rc;
}

static bool column(struct arena *a, sqlite3_stmt *s, int at, struct str *ret)
{
	const void *p = sqlite3_column_blob(s, at);
	struct str bytes = { p, (size_t)sqlite3_column_bytes(s, at) };

	*ret = STR_NONE;
	if (sqlite3_column_type(s, at) == SQLITE_NULL)
		return true;
	*ret = arena_dup(a, p ? bytes : STR(""));
	return str_present(*ret);
}

struct str sqlite_peek(sqlite3_stmt *s, int at)
{
	const void *p = sqlite3_column_blob(s, at);

	return p ? (struct str){ p, (size_t)sqlite3_column_bytes(s, at) } : STR("");
}

int sqlite_insert_items(struct sqlite *q, sqlite3_stmt *s, const struct stored_turn *t,
			const struct item_id *ids, unsigned n, struct err *reterr)
{
	int rc = RC_OK;

	for (unsigned i = 0; i < n && rc == RC_OK; i++) {
		sqlite_bind_str(s, 1, t->id);
		sqlite_bind_str(s, 2, ids[i].id);
		sqlite_bind_str(s, 3, t->owner);
		sqlite3_bind_int(s, 4, ids[i].made);
		rc = sqlite_run(q, s, reterr);
	}
	return rc;
}

/* The process that was making it is no more: its lock is free. Where locks cannot be had nobody knows. */
static bool runner_is_gone(const struct sqlite *q, int64_t runner)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = runner, .l_len = 1 };

	return runner && runner != q->runner && q->runners >= 0 &&
	       fcntl(q->runners, F_OFD_GETLK, &l) == 0 && l.l_type == F_UNLCK;
}

static int read_row(struct sqlite *q, struct arena *a, sqlite3_stmt *s, struct stored_turn *t)
{
	t->created_s = sqlite3_column_int64(s, 3);
	t->expires_s = sqlite3_column_int64(s, 4);
	t->alive_until_s = sqlite3_column_int64(s, 5);
	if (t->alive_until_s && runner_is_gone(q, sqlite3_column_int64(s, 10)))
		t->alive_until_s = 1;
	return column(a, s, 0, &t->id) && column(a, s, 1, &t->owner) &&
			       column(a, s, 2, &t->previous) && column(a, s, 6, &t->answer) &&
			       column(a, s, 7, &t->input) && column(a, s, 8, &t->events) &&
			       column(a, s, 9, &t->maker)
		       ? RC_OK
		       : RC_NOMEM;
}

/* --- opening --- */

static void close_sqlite(void *b)
{
	struct sqlite *q = b;

	sqlite_close_database(q);
	if (q->runners >= 0)
		close(q->runners);
	free(q);
}

static int open_sqlite(const struct store_options *o, void **ret, struct err *reterr)
{
	struct sqlite *q = calloc(1, sizeof(*q));
	bool empty;
	int rc;

	if (!q)
		return err_set(reterr, RC_NOMEM, "out of memory");
	if (o->path.len >= sizeof(q->path)) {
		free(q);
		return err_set(reterr, RC_INVALID, "the store's path is too long");
	}
	memcpy(q->path, o->path.ptr, o->path.len);
	q->max_bytes = (int64_t)o->max_bytes;
	q->runners = -1;
	rc = sqlite_make_file(q, &empty, reterr);
	if (rc == RC_OK && !empty)
		rc = sqlite_be_ready(q, reterr);
	if (rc == RC_OK) {
		sqlite_lock_runner(q);
		*ret = q;
	} else {
		close_sqlite(q);
	}
	return rc;
}

/* --- the calls --- */

static int make_room(struct sqlite *q, int64_t bytes, struct err *reterr)
{
	while (q->bytes + bytes > q->max_bytes) {
		sqlite3_stmt *s = q->statements[Q_EVICT];
		int64_t before = q->bytes;
		int rc;

		sqlite3_bind_int64(s, 1, EVICT_AT_ONCE);
		while ((rc = sqlite3_step(s)) == SQLITE_ROW)
			q->bytes -= sqlite3_column_int64(s, 0);
		rc = rc == SQLITE_DONE ? RC_OK : sqlite_fail(q, reterr);
		sqlite_done(s);
		if (rc != RC_OK)
			return rc;
		if (q->bytes == before) /* nothing left: what we counted was not so */
			q->bytes = 0;
	}
	return RC_OK;
}

/* Whether there is such a turn of the same owner, and how long it is. */
static int look_for_old(struct sqlite *q, const struct store_key *k, bool ends, int64_t *ret_bytes,
			struct err *reterr)
{
	sqlite3_stmt *s = bound(q, Q_OWNER, k);
	int step = sqlite3_step(s), rc = RC_OK;

	*ret_bytes = 0;
	if (step == SQLITE_ROW && !sqlite3_column_int(s, 0))
		rc = err_set(reterr, RC_INVALID, "the id is taken");
	else if (ends && (step == SQLITE_DONE || (step == SQLITE_ROW && !sqlite3_column_int(s, 2))))
		rc = RC_NOTFOUND;
	else if (step == SQLITE_ROW)
		*ret_bytes = sqlite3_column_int64(s, 1);
	else if (step != SQLITE_DONE)
		rc = sqlite_fail(q, reterr);
	sqlite_done(s);
	return rc;
}

static int insert(struct sqlite *q, const struct stored_turn *t, int64_t bytes, struct err *reterr)
{
	sqlite3_stmt *s = q->statements[Q_PUT];

	sqlite_bind_str(s, 1, t->id);
	sqlite_bind_str(s, 2, t->owner);
	sqlite_bind_str(s, 3, t->previous);
	sqlite3_bind_int64(s, 4, t->created_s);
	sqlite3_bind_int64(s, 5, t->expires_s);
	sqlite3_bind_int64(s, 6, t->alive_until_s);
	sqlite3_bind_int64(s, 7, bytes);
	bind_blob(s, 8, t->answer);
	bind_blob(s, 9, t->input);
	bind_blob(s, 10, t->events);
	sqlite_bind_str(s, 11, t->maker);
	sqlite3_bind_int64(s, 12, t->alive_until_s ? q->runner : 0);
	return sqlite_run(q, s, reterr);
}

/* In WAL mode a commit is in the hands of the system, so that it outlasts the process. Only FULL waits for the disk, which takes
 * milliseconds. */
static int set_outlasting(struct sqlite *q, bool on, struct err *reterr)
{
	if (q->outlasting == on)
		return RC_OK;
	if (sqlite3_exec(q->db, on ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL",
			 NULL, NULL, NULL) != SQLITE_OK)
		return sqlite_fail(q, reterr);
	q->outlasting = on;
	return RC_OK;
}

static int begin_batch(void *b, bool outlasts, struct err *reterr)
{
	struct sqlite *q = b;
	int rc = sqlite_be_ready(q, reterr);

	if (rc == RC_OK)
		rc = set_outlasting(q, outlasts, reterr);
	if (rc == RC_OK)
		rc = plain(q, Q_BEGIN, reterr);
	q->batch = rc == RC_OK;
	return rc;
}

static int end_batch(void *b, struct err *reterr)
{
	struct sqlite *q = b;
	int rc;

	q->batch = false;
	if (sqlite3_get_autocommit(q->db))
		rc = err_set(reterr, RC_IO, "%.150s: a transaction was rolled back", q->path);
	else
		rc = end(q, RC_OK, reterr);
	if (rc != RC_OK)
		(void)sqlite_read_total(q, NULL); /* what was counted on the way is not there */
	return rc;
}

/* The items of a turn that was just put, in the place of those it had. */
static int put_items(struct sqlite *q, const struct stored_turn *t, const struct item_id *ids,
		     unsigned n, bool had, struct err *reterr)
{
	int rc = RC_OK;

	if (had) {
		sqlite_bind_str(q->statements[Q_DROP_ITEMS], 1, t->id);
		rc = sqlite_run(q, q->statements[Q_DROP_ITEMS], reterr);
	}
	return rc == RC_OK ? sqlite_insert_items(q, q->statements[Q_ITEM], t, ids, n, reterr) : rc;
}

static int put_with_items(struct sqlite *q, const struct stored_turn *t, const struct item_id *ids,
			  unsigned n, struct err *reterr)
{
	struct store_key k = { .id = t->id, .owner = t->owner };
	struct store_key before = { .id = t->previous, .owner = t->owner, .now_s = t->expires_s };
	int64_t bytes = (int64_t)(store_turn_bytes(t) + item_ids_bytes(ids, n)), old, total;
	int rc;

	if (bytes > q->max_bytes)
		return err_set(reterr, RC_TOOBIG, "one turn is longer than all that may be kept");
	rc = sqlite_be_ready(q, reterr);
	if (rc == RC_OK)
		rc = start(q, reterr);
	if (rc != RC_OK)
		return rc;
	total = q->bytes;
	rc = look_for_old(q, &k, t->ends, &old, reterr);
	if (rc == RC_OK)
		rc = make_room(q, bytes - old, reterr);
	if (rc == RC_OK)
		rc = insert(q, t, bytes, reterr);
	if (rc == RC_OK)
		rc = put_items(q, t, ids, n, old > 0, reterr);
	if (rc == RC_OK && str_present(t->previous))
		rc = sqlite_run(q, bound(q, Q_KEEP, &before), reterr);
	rc = end(q, rc, reterr);
	q->bytes = rc == RC_OK ? q->bytes + bytes - old : total;
	return rc;
}

static int put(void *b, const struct stored_turn *t, struct err *reterr)
{
	struct arena *a = arena_new(SQLITE_SCRATCH_MAX);
	struct item_id *ids;
	unsigned n;
	int rc;

	if (!a)
		return err_set(reterr, RC_NOMEM, "out of memory");
	n = turn_item_ids(a, t, &ids);
	rc = put_with_items(b, t, ids, n, reterr);
	arena_free(a);
	return rc;
}

/* To k->now_s; with what it continues, where that is later than it would have expired. */
static int move_on(struct sqlite *q, const struct store_key *k, struct err *reterr)
{
	sqlite3_stmt *s = bound(q, Q_BEAT, k);
	struct store_key before = *k;
	struct arena *a = arena_new(SQLITE_SCRATCH_MAX);
	int step = sqlite3_step(s), rc = RC_OK;

	if (step == SQLITE_DONE)
		rc = RC_NOTFOUND;
	else if (step != SQLITE_ROW)
		rc = sqlite_fail(q, reterr);
	else if (!a || !column(a, s, 0, &before.id))
		rc = err_set(reterr, RC_NOMEM, "out of memory");
	else if (sqlite3_step(s) != SQLITE_DONE)
		rc = sqlite_fail(q, reterr);
	sqlite_done(s);
	if (rc == RC_OK && str_present(before.id))
		rc = sqlite_run(q, bound(q, Q_KEEP, &before), reterr);
	arena_free(a);
	return rc;
}

static int beat(void *b, const struct store_key *k, int64_t alive_until_s, struct err *reterr)
{
	const struct store_key alive = { k->owner, k->id, alive_until_s };
	struct sqlite *q = b;
	int rc = sqlite_be_ready(q, reterr);

	if (rc == RC_OK)
		rc = start(q, reterr);
	return rc == RC_OK ? end(q, move_on(q, &alive, reterr), reterr) : rc;
}

static int get(void *b, const struct store_key *k, struct arena *a, struct stored_turn *ret,
	       struct err *reterr)
{
	struct sqlite *q = b;
	sqlite3_stmt *s;
	int rc;

	if (sqlite_be_ready(q, reterr) != RC_OK)
		return RC_IO;
	s = bound(q, Q_GET, k);
	switch (sqlite3_step(s)) {
	case SQLITE_ROW:
		rc = read_row(q, a, s, ret);
		break;
	case SQLITE_DONE:
		rc = RC_NOTFOUND;
		break;
	default:
		rc = sqlite_fail(q, reterr);
		break;
	}
	sqlite_done(s);
	return rc;
}

static int read_chain(struct sqlite *q, sqlite3_stmt *s, size_t max_bytes, struct arena *a,
		      struct stored_turn **ret, unsigned *ret_n, struct err *reterr)
{
	struct stored_turn *turns = NULL;
	unsigned n = 0, cap = 0;
	size_t bytes = 0;
	int step;

	while ((step = sqlite3_step(s)) == SQLITE_ROW) {
		if (n == cap) {
			unsigned more = cap ? cap * 2 : 16;

			turns = arena_grow(a, turns, cap * sizeof(*turns), more * sizeof(*turns));
			if (!turns)
				return RC_NOMEM;
			cap = more;
		}
		bytes += (size_t)sqlite3_column_bytes(s, 6) + (size_t)sqlite3_column_bytes(s, 7);
		if (bytes > max_bytes || n >= STORE_CHAIN_MAX)
			return err_set(reterr, RC_TOOBIG, "the conversation is too long");
		turns[n] = (struct stored_turn){ .id = STR_NONE };
		if (read_row(q, a, s, &turns[n++]) != RC_OK)
			return RC_NOMEM;
	}
	if (step != SQLITE_DONE)
		return sqlite_fail(q, reterr);
	*ret = turns;
	*ret_n = n;
	return n == 0 || str_present(turns[0].previous) ? RC_NOTFOUND : RC_OK;
}

static int chain(void *b, const struct store_key *k, size_t max_bytes, struct arena *a,
		 struct stored_turn **ret, unsigned *ret_n, struct err *reterr)
{
	struct sqlite *q = b;
	sqlite3_stmt *s;
	int rc;

	if (sqlite_be_ready(q, reterr) != RC_OK)
		return RC_IO;
	s = bound(q, Q_CHAIN, k);
	rc = read_chain(q, s, max_bytes, a, ret, ret_n, reterr);
	sqlite_done(s);
	return rc;
}

/* One more turn, unless it is there already. */
static int find_one(struct sqlite *q, sqlite3_stmt *s, size_t *io_max, struct arena *a,
		    struct stored_turn **ret, unsigned *ret_n, unsigned *io_cap, struct err *reterr)
{
	int step = sqlite3_step(s);
	size_t bytes;

	if (step == SQLITE_DONE)
		return RC_OK;
	if (step != SQLITE_ROW)
		return sqlite_fail(q, reterr);
	if (store_turns_have(*ret, *ret_n, sqlite_peek(s, 0)))
		return RC_OK;
	bytes = (size_t)sqlite3_column_bytes(s, 6) + (size_t)sqlite3_column_bytes(s, 7);
	if (bytes > *io_max)
		return err_set(reterr, RC_TOOBIG, "what is referred to is too long");
	*io_max -= bytes;
	if (!store_turns_grow(a, ret, *ret_n, io_cap))
		return RC_NOMEM;
	(*ret)[*ret_n] = (struct stored_turn){ .id = STR_NONE };
	return read_row(q, a, s, &(*ret)[(*ret_n)++]);
}

static int find(void *b, const struct store_key *k, const struct store_ids *ids, size_t max_bytes,
		struct arena *a, struct stored_turn **ret, unsigned *ret_n, struct err *reterr)
{
	struct sqlite *q = b;
	struct store_key one = *k;
	unsigned cap = 0;
	int rc = sqlite_be_ready(q, reterr);

	for (unsigned i = 0; i < ids->n && rc == RC_OK; i++) {
		sqlite3_stmt *s;

		one.id = ids->ids[i];
		s = bound(q, Q_FIND, &one);
		rc = find_one(q, s, &max_bytes, a, ret, ret_n, &cap, reterr);
		sqlite_done(s);
	}
	return rc;
}

/* This one, and those before it that were only waiting for it. */
static int drop_alone(struct sqlite *q, const struct store_key *key, struct err *reterr)
{
	struct arena *a = arena_new(STORE_CHAIN_MAX * 512);
	struct store_key k = *key;
	int step = SQLITE_ROW, rc = a ? RC_OK : err_set(reterr, RC_NOMEM, "out of memory");

	while (rc == RC_OK && step == SQLITE_ROW && str_present(k.id)) {
		sqlite3_stmt *s = bound(q, Q_DROP_IF_ALONE, &k);
		struct str previous = STR_NONE;

		step = sqlite3_step(s);
		if (step == SQLITE_ROW) {
			rc = column(a, s, 0, &previous) ? RC_OK : RC_NOMEM;
			if (rc == RC_OK && sqlite3_step(s) != SQLITE_DONE)
				rc = sqlite_fail(q, reterr);
		} else if (step != SQLITE_DONE) {
			rc = sqlite_fail(q, reterr);
		}
		sqlite_done(s);
		k.id = previous;
	}
	arena_free(a);
	return rc;
}

static int remove_turn(void *b, const struct store_key *k, struct err *reterr)
{
	struct sqlite *q = b;
	int rc = sqlite_be_ready(q, reterr);

	if (rc == RC_OK)
		rc = start(q, reterr);
	if (rc != RC_OK)
		return rc;
	rc = sqlite_run(q, bound(q, Q_HIDE, k), reterr);
	if (rc == RC_OK && sqlite3_changes(q->db) == 0)
		rc = RC_NOTFOUND;
	if (rc == RC_OK)
		rc = drop_alone(q, k, reterr);
	return end(q, rc, reterr);
}

static int sweep(void *b, int64_t now_s, struct err *reterr)
{
	struct sqlite *q = b;
	sqlite3_stmt *s = q->statements[Q_SWEEP];
	int rc;

	if (!q->ready)
		return RC_OK;
	sqlite3_bind_int64(s, 1, now_s);
	rc = sqlite_run(q, s, reterr);
	if (rc == RC_OK && sqlite3_changes(q->db) > 0 &&
	    sqlite3_exec(q->db, "PRAGMA incremental_vacuum(1000)", NULL, NULL, NULL) != SQLITE_OK)
		rc = sqlite_fail(q, reterr);
	return rc == RC_OK ? sqlite_read_total(q, reterr) : rc;
}

const struct store_backend store_sqlite = {
	.name = "sqlite",
	.open = open_sqlite,
	.close = close_sqlite,
	.begin = begin_batch,
	.end = end_batch,
	.put = put,
	.beat = beat,
	.get = get,
	.chain = chain,
	.find = find,
	.remove = remove_turn,
	.sweep = sweep,
};
