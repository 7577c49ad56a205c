/* store/sqlite.c - turns in one SQLite file.
 *
 * The file belongs to its user alone (0600), is written ahead (WAL), and may be open in two processes while one takes
 * over from the other. The hard thing is what a file can be: missing, not ours, damaged, of a later version, not
 * writable, on a full disk. Each gets a sentence that says what to do, and nothing is ever repaired by deleting.
 *
 * `user_version` counts the steps of `migrations` that were made. A file with nothing in it yet is opened by SQLite with the
 * first call only: a gateway that keeps no answers does not pay for its pages (1 MiB).
 */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/backend.h"

enum { BUSY_MS = 5000, EVICT_AT_ONCE = 16, PATH_BYTES = 4096 };

static const char *const migrations[] = {
	"CREATE TABLE turns ("
	" id TEXT PRIMARY KEY, owner TEXT NOT NULL, previous TEXT,"
	" created_s INTEGER NOT NULL, expires_s INTEGER NOT NULL,"
	" keep_s INTEGER NOT NULL DEFAULT 0, alive_until_s INTEGER NOT NULL,"
	" bytes INTEGER NOT NULL, answer BLOB, input BLOB, events BLOB);"
	"CREATE INDEX turns_previous ON turns(previous) WHERE previous IS NOT NULL;"
	"CREATE INDEX turns_end ON turns(max(expires_s, keep_s));",
	"ALTER TABLE turns ADD COLUMN maker TEXT;"
	"ALTER TABLE turns ADD COLUMN runner INTEGER NOT NULL DEFAULT 0;",
};
enum { VERSION = sizeof(migrations) / sizeof(*migrations) };

#define BEFORE(start)                                                                \
	"WITH RECURSIVE c(id, previous, n) AS (" start " UNION ALL"                  \
	" SELECT t.id, t.previous, c.n + 1 FROM c JOIN turns t ON t.id = c.previous" \
	" AND t.owner = ?2 WHERE c.n < 4096) "

enum query {
	Q_BEGIN,
	Q_COMMIT,
	Q_ROLLBACK,
	Q_SAVE,
	Q_RELEASE,
	Q_UNDO,
	Q_OWNER,
	Q_PUT,
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

static const char *const queries[N_QUERIES] = {
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
	[Q_KEEP] = BEFORE(
		"SELECT id, previous, 0 FROM turns WHERE id = ?1 AND owner = ?2") "UPDATE turns "
										  "SET keep_s = ?3 "
										  "WHERE keep_s < "
										  "?3 AND id IN "
										  "(SELECT id FROM "
										  "c)",
	[Q_BEAT] = "UPDATE turns SET alive_until_s = ?3 WHERE id = ?1 AND owner = ?2"
		   " AND alive_until_s > 0",
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
		"SELECT id, owner, previous, created_s, expires_s, alive_until_s, answer, input, "
		"NULL, maker, runner FROM turns WHERE owner = ?2 AND expires_s > ?3 ORDER BY rowid "
		"DESC",
	[Q_HIDE] = "UPDATE turns SET expires_s = 0 WHERE id = ?1 AND owner = ?2 AND expires_s > ?3",
	[Q_DROP_IF_ALONE] = "DELETE FROM turns WHERE id = ?1 AND owner = ?2 AND expires_s <= ?3"
			    " AND NOT EXISTS (SELECT 1 FROM turns t WHERE t.previous = ?1)"
			    " RETURNING previous",
	[Q_SWEEP] = "DELETE FROM turns WHERE max(expires_s, keep_s) <= ?1 AND alive_until_s <= ?1",
	[Q_TOTAL] = "SELECT coalesce(sum(bytes), 0) FROM turns",
	[Q_EVICT] = "DELETE FROM turns WHERE id IN (SELECT id FROM turns"
		    " ORDER BY max(expires_s, keep_s) LIMIT ?1) RETURNING bytes",
};

struct sqlite {
	sqlite3 *db;
	sqlite3_stmt *statements[N_QUERIES];
	int64_t bytes, max_bytes;
	int64_t runner; /* tells this process from all others that work on the file; 0: nothing does */
	int runners;    /* a file of which each process holds its own byte locked; -1: none */
	bool ready;     /* the database is open */
	bool batch; /* between begin and end: what else is a transaction is a part of that one */
	char path[PATH_BYTES];
};

/* --- errors --- */

static int fail(struct sqlite *q, struct err *reterr)
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

static void bind_text(sqlite3_stmt *s, int at, struct str text)
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

	bind_text(s, 1, k->id);
	bind_text(s, 2, k->owner);
	if (sqlite3_bind_parameter_count(s) >= 3)
		sqlite3_bind_int64(s, 3, k->now_s);
	return s;
}

static void done(sqlite3_stmt *s)
{
	sqlite3_reset(s);
	sqlite3_clear_bindings(s);
}

/* One that gives no rows. */
static int run(struct sqlite *q, sqlite3_stmt *s, struct err *reterr)
{
	int rc = sqlite3_step(s) == SQLITE_DONE ? RC_OK : fail(q, reterr);

	done(s);
	return rc;
}

static int plain(struct sqlite *q, enum query which, struct err *reterr)
{
	return run(q, q->statements[which], reterr);
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

/* The folder and the file, for their user alone; SQLite gives its side files the same mode. */
static int make_file(struct sqlite *q, bool *ret_empty, struct err *reterr)
{
	struct stat st;
	int fd;

	for (char *p = q->path + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		(void)mkdir(q->path, 0700); /* what is wrong with it the file will tell */
		*p = '/';
	}
	fd = open(q->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
	if (fd < 0)
		return err_set(reterr, RC_IO, "%.130s: cannot be opened: %.80s", q->path,
			       strerror(errno));
	*ret_empty = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0;
	close(fd);
	return RC_OK;
}

/* The lock goes with the process, however that ends. It is a file of its own: closing any descriptor of the database would take
 * SQLite's locks along. */
static void lock_runner(struct sqlite *q)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
	char path[PATH_BYTES + 16];
	uint64_t number;

	(void)snprintf(path, sizeof(path), "%s-runners", q->path);
	q->runners = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	sqlite3_randomness(sizeof(number), &number);
	l.l_start = (off_t)(number >> 2 | 1);
	if (q->runners >= 0 && fcntl(q->runners, F_OFD_SETLK, &l) == 0)
		q->runner = l.l_start;
}

static int migrate(struct sqlite *q, struct err *reterr)
{
	sqlite3_stmt *s = NULL;
	char set[64];
	int version = -1;

	/* Locked from the look to the last step: two processes may begin at once. */
	if (sqlite3_exec(q->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(q->db, "PRAGMA user_version", -1, &s, NULL) != SQLITE_OK)
		return fail(q, reterr);
	if (sqlite3_step(s) == SQLITE_ROW)
		version = sqlite3_column_int(s, 0);
	sqlite3_finalize(s);
	if (version < 0)
		return fail(q, reterr);
	if (version > VERSION)
		return err_set(reterr, RC_IO,
			       "%.100s: was written by a later version of the gateway (schema %d, "
			       "this one knows %d)",
			       q->path, version, VERSION);
	for (; version < VERSION; version++)
		if (sqlite3_exec(q->db, migrations[version], NULL, NULL, NULL) != SQLITE_OK)
			return fail(q, reterr);
	(void)snprintf(set, sizeof(set), "PRAGMA user_version = %d; COMMIT", VERSION);
	return sqlite3_exec(q->db, set, NULL, NULL, NULL) == SQLITE_OK ? RC_OK : fail(q, reterr);
}

static int read_total(struct sqlite *q, struct err *reterr)
{
	sqlite3_stmt *s = q->statements[Q_TOTAL];
	int rc = RC_OK;

	if (sqlite3_step(s) == SQLITE_ROW)
		q->bytes = sqlite3_column_int64(s, 0);
	else
		rc = fail(q, reterr);
	done(s);
	return rc;
}

static int open_database(struct sqlite *q, struct err *reterr)
{
	static const char settings[] =
		"PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;"
		"PRAGMA synchronous = NORMAL; PRAGMA secure_delete = ON;";
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;

	if (sqlite3_open_v2(q->path, &q->db, flags, NULL) != SQLITE_OK)
		return fail(q, reterr);
	sqlite3_busy_timeout(q->db, BUSY_MS);
	if (sqlite3_exec(q->db, settings, NULL, NULL, NULL) != SQLITE_OK)
		return fail(q, reterr);
	if (migrate(q, reterr) != RC_OK)
		return RC_IO;
	for (unsigned i = 0; i < N_QUERIES; i++)
		if (sqlite3_prepare_v3(q->db, queries[i], -1, SQLITE_PREPARE_PERSISTENT,
				       &q->statements[i], NULL) != SQLITE_OK)
			return fail(q, reterr);
	return read_total(q, reterr);
}

static void close_database(struct sqlite *q)
{
	for (unsigned i = 0; i < N_QUERIES; i++) {
		sqlite3_finalize(q->statements[i]);
		q->statements[i] = NULL;
	}
	if (q->db)
		sqlite3_close(q->db);
	q->db = NULL;
	q->ready = false;
}

/* Before every call: the file may have been empty so far. */
static int be_ready(struct sqlite *q, struct err *reterr)
{
	int rc = RC_OK;

	if (!q->ready) {
		rc = open_database(q, reterr);
		q->ready = rc == RC_OK;
	}
	if (!q->ready)
		close_database(q);
	return rc;
}

static void close_sqlite(void *b)
{
	struct sqlite *q = b;

	close_database(q);
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
	rc = make_file(q, &empty, reterr);
	if (rc == RC_OK && !empty)
		rc = be_ready(q, reterr);
	if (rc == RC_OK) {
		lock_runner(q);
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
		rc = rc == SQLITE_DONE ? RC_OK : fail(q, reterr);
		done(s);
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
		rc = fail(q, reterr);
	done(s);
	return rc;
}

static int insert(struct sqlite *q, const struct stored_turn *t, int64_t bytes, struct err *reterr)
{
	sqlite3_stmt *s = q->statements[Q_PUT];

	bind_text(s, 1, t->id);
	bind_text(s, 2, t->owner);
	bind_text(s, 3, t->previous);
	sqlite3_bind_int64(s, 4, t->created_s);
	sqlite3_bind_int64(s, 5, t->expires_s);
	sqlite3_bind_int64(s, 6, t->alive_until_s);
	sqlite3_bind_int64(s, 7, bytes);
	bind_blob(s, 8, t->answer);
	bind_blob(s, 9, t->input);
	bind_blob(s, 10, t->events);
	bind_text(s, 11, t->maker);
	sqlite3_bind_int64(s, 12, t->alive_until_s ? q->runner : 0);
	return run(q, s, reterr);
}

static int begin_batch(void *b, struct err *reterr)
{
	struct sqlite *q = b;
	int rc = be_ready(q, reterr);

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
		(void)read_total(q, NULL); /* what was counted on the way is not there */
	return rc;
}

static int put(void *b, const struct stored_turn *t, struct err *reterr)
{
	struct sqlite *q = b;
	struct store_key k = { .id = t->id, .owner = t->owner };
	struct store_key before = { .id = t->previous, .owner = t->owner, .now_s = t->expires_s };
	int64_t bytes = (int64_t)store_turn_bytes(t), old, total;
	int rc;

	if (bytes > q->max_bytes)
		return err_set(reterr, RC_TOOBIG, "one turn is longer than all that may be kept");
	rc = be_ready(q, reterr);
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
	if (rc == RC_OK && str_present(t->previous))
		rc = run(q, bound(q, Q_KEEP, &before), reterr);
	rc = end(q, rc, reterr);
	q->bytes = rc == RC_OK ? q->bytes + bytes - old : total;
	return rc;
}

static int beat(void *b, const struct store_key *k, int64_t alive_until_s, struct err *reterr)
{
	struct sqlite *q = b;
	sqlite3_stmt *s;

	if (be_ready(q, reterr) != RC_OK)
		return RC_IO;
	s = bound(q, Q_BEAT, k);
	sqlite3_bind_int64(s, 3, alive_until_s);
	if (run(q, s, reterr) != RC_OK)
		return RC_IO;
	return sqlite3_changes(q->db) ? RC_OK : RC_NOTFOUND;
}

static int get(void *b, const struct store_key *k, struct arena *a, struct stored_turn *ret,
	       struct err *reterr)
{
	struct sqlite *q = b;
	sqlite3_stmt *s;
	int rc;

	if (be_ready(q, reterr) != RC_OK)
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
		rc = fail(q, reterr);
		break;
	}
	done(s);
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
		return fail(q, reterr);
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

	if (be_ready(q, reterr) != RC_OK)
		return RC_IO;
	s = bound(q, Q_CHAIN, k);
	rc = read_chain(q, s, max_bytes, a, ret, ret_n, reterr);
	done(s);
	return rc;
}

static struct str peek_column(sqlite3_stmt *s, int at)
{
	const void *p = sqlite3_column_blob(s, at);

	return p ? (struct str){ p, (size_t)sqlite3_column_bytes(s, at) } : STR("");
}

static int find_rows(struct sqlite *q, sqlite3_stmt *s, struct store_texts *texts, size_t max_bytes,
		     struct arena *a, struct stored_turn **ret, unsigned *ret_n, struct err *reterr)
{
	unsigned cap = 0;
	int step = SQLITE_DONE;

	while (texts->left && (step = sqlite3_step(s)) == SQLITE_ROW) {
		struct str id = peek_column(s, 0), answer = peek_column(s, 6);
		struct str input = peek_column(s, 7);

		if (answer.len + input.len > max_bytes)
			return RC_OK;
		max_bytes -= answer.len + input.len;
		if (!store_texts_in(texts, id, answer, input))
			continue;
		if (!store_turns_grow(a, ret, *ret_n, &cap) ||
		    read_row(q, a, s, &(*ret)[*ret_n]) != RC_OK)
			return RC_NOMEM;
		++*ret_n;
	}
	return step == SQLITE_DONE || step == SQLITE_ROW ? RC_OK : fail(q, reterr);
}

/* Newest first, by the order in which they were put: no index is kept for what few clients ask. */
static int find(void *b, const struct store_key *k, struct store_texts *texts, size_t max_bytes,
		struct arena *a, struct stored_turn **ret, unsigned *ret_n, struct err *reterr)
{
	struct sqlite *q = b;
	sqlite3_stmt *s;
	int rc;

	if (be_ready(q, reterr) != RC_OK)
		return RC_IO;
	s = bound(q, Q_FIND, k);
	rc = find_rows(q, s, texts, max_bytes, a, ret, ret_n, reterr);
	done(s);
	return rc;
}

/* This one, and those before it that were only waiting for it. */
static int drop_alone(struct sqlite *q, const struct store_key *key, struct err *reterr)
{
	struct arena *a = arena_new(STORE_CHAIN_MAX * 512);
	struct store_key k = *key;
	int step = SQLITE_ROW, rc = a ? RC_OK : RC_NOMEM;

	while (rc == RC_OK && step == SQLITE_ROW && str_present(k.id)) {
		sqlite3_stmt *s = bound(q, Q_DROP_IF_ALONE, &k);
		struct str previous = STR_NONE;

		step = sqlite3_step(s);
		if (step == SQLITE_ROW) {
			rc = column(a, s, 0, &previous) ? RC_OK : RC_NOMEM;
			if (rc == RC_OK && sqlite3_step(s) != SQLITE_DONE)
				rc = fail(q, reterr);
		} else if (step != SQLITE_DONE) {
			rc = fail(q, reterr);
		}
		done(s);
		k.id = previous;
	}
	arena_free(a);
	return rc;
}

static int remove_turn(void *b, const struct store_key *k, struct err *reterr)
{
	struct sqlite *q = b;
	int rc = be_ready(q, reterr);

	if (rc == RC_OK)
		rc = start(q, reterr);
	if (rc != RC_OK)
		return rc;
	rc = run(q, bound(q, Q_HIDE, k), reterr);
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
	rc = run(q, s, reterr);
	if (rc == RC_OK && sqlite3_changes(q->db) > 0 &&
	    sqlite3_exec(q->db, "PRAGMA incremental_vacuum(1000)", NULL, NULL, NULL) != SQLITE_OK)
		rc = fail(q, reterr);
	return rc == RC_OK ? read_total(q, reterr) : rc;
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
