/* store/sqlite_file.c - the file of the SQLite backend: made, opened, brought to this version.
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
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/sqlite_impl.h"

enum { BUSY_MS = 5000 };

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
	/* The items of the turns that are there already: index_all(). Whoever deletes a turn, of whatever version, its items go along. */
	"CREATE TABLE items (turn TEXT NOT NULL, id TEXT NOT NULL, owner TEXT NOT NULL,"
	" made INTEGER NOT NULL, PRIMARY KEY (turn, id)) WITHOUT ROWID;"
	"CREATE INDEX items_id ON items(owner, id);"
	"CREATE TRIGGER turns_deleted AFTER DELETE ON turns BEGIN"
	" DELETE FROM items WHERE turn = old.id; END;",
};
enum { VERSION = sizeof(migrations) / sizeof(*migrations), VERSION_ITEMS = 3 };

int sqlite_make_file(struct sqlite *q, bool *ret_empty, struct err *reterr)
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
void sqlite_lock_runner(struct sqlite *q)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
	char path[SQLITE_PATH_BYTES + 16];
	uint64_t number;

	(void)snprintf(path, sizeof(path), "%s-runners", q->path);
	q->runners = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	sqlite3_randomness(sizeof(number), &number);
	l.l_start = (off_t)(number >> 2 | 1);
	if (q->runners >= 0 && fcntl(q->runners, F_OFD_SETLK, &l) == 0)
		q->runner = l.l_start;
}

/* Every turn's items, where they stand in no table yet. */
static int index_all(struct sqlite *q, struct err *reterr)
{
	sqlite3_stmt *all = NULL, *add = NULL;
	struct arena *a = arena_new(SQLITE_SCRATCH_MAX);
	int rc = a ? RC_OK : err_set(reterr, RC_NOMEM, "out of memory"), step = SQLITE_DONE;

	if (rc == RC_OK &&
	    (sqlite3_prepare_v2(q->db, "SELECT id, owner, answer, input FROM turns", -1, &all,
				NULL) != SQLITE_OK ||
	     sqlite3_prepare_v2(q->db, sqlite_queries[Q_ITEM], -1, &add, NULL) != SQLITE_OK))
		rc = sqlite_fail(q, reterr);
	while (rc == RC_OK && (step = sqlite3_step(all)) == SQLITE_ROW) {
		struct stored_turn t = { .id = sqlite_peek(all, 0),
					 .owner = sqlite_peek(all, 1),
					 .answer = sqlite_peek(all, 2),
					 .input = sqlite_peek(all, 3) };
		struct item_id *ids;
		unsigned n = turn_item_ids(a, &t, &ids);

		rc = sqlite_insert_items(q, add, &t, ids, n, reterr);
		arena_reset(a);
	}
	if (rc == RC_OK && step != SQLITE_DONE)
		rc = sqlite_fail(q, reterr);
	sqlite3_finalize(all);
	sqlite3_finalize(add);
	arena_free(a);
	return rc;
}

static int migrate(struct sqlite *q, struct err *reterr)
{
	sqlite3_stmt *s = NULL;
	char set[64];
	int version = -1;

	/* Locked from the look to the last step: two processes may begin at once. */
	if (sqlite3_exec(q->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(q->db, "PRAGMA user_version", -1, &s, NULL) != SQLITE_OK)
		return sqlite_fail(q, reterr);
	if (sqlite3_step(s) == SQLITE_ROW)
		version = sqlite3_column_int(s, 0);
	sqlite3_finalize(s);
	if (version < 0)
		return sqlite_fail(q, reterr);
	if (version > VERSION)
		return err_set(reterr, RC_IO,
			       "%.100s: was written by a later version of the gateway (schema %d, "
			       "this one knows %d)",
			       q->path, version, VERSION);
	for (; version < VERSION; version++) {
		if (sqlite3_exec(q->db, migrations[version], NULL, NULL, NULL) != SQLITE_OK)
			return sqlite_fail(q, reterr);
		if (version + 1 == VERSION_ITEMS && index_all(q, reterr) != RC_OK)
			return RC_IO;
	}
	(void)snprintf(set, sizeof(set), "PRAGMA user_version = %d; COMMIT", VERSION);
	return sqlite3_exec(q->db, set, NULL, NULL, NULL) == SQLITE_OK ? RC_OK
								       : sqlite_fail(q, reterr);
}

int sqlite_read_total(struct sqlite *q, struct err *reterr)
{
	sqlite3_stmt *s = q->statements[Q_TOTAL];
	int rc = RC_OK;

	if (sqlite3_step(s) == SQLITE_ROW)
		q->bytes = sqlite3_column_int64(s, 0);
	else
		rc = sqlite_fail(q, reterr);
	sqlite_done(s);
	return rc;
}

static int open_database(struct sqlite *q, struct err *reterr)
{
	static const char settings[] =
		"PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;"
		"PRAGMA synchronous = NORMAL; PRAGMA secure_delete = ON;";
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;

	if (sqlite3_open_v2(q->path, &q->db, flags, NULL) != SQLITE_OK)
		return sqlite_fail(q, reterr);
	sqlite3_busy_timeout(q->db, BUSY_MS);
	if (sqlite3_exec(q->db, settings, NULL, NULL, NULL) != SQLITE_OK)
		return sqlite_fail(q, reterr);
	if (migrate(q, reterr) != RC_OK)
		return RC_IO;
	for (unsigned i = 0; i < N_QUERIES; i++)
		if (sqlite3_prepare_v3(q->db, sqlite_queries[i], -1, SQLITE_PREPARE_PERSISTENT,
				       &q->statements[i], NULL) != SQLITE_OK)
			return sqlite_fail(q, reterr);
	return sqlite_read_total(q, reterr);
}

void sqlite_close_database(struct sqlite *q)
{
	for (unsigned i = 0; i < N_QUERIES; i++) {
		sqlite3_finalize(q->statements[i]);
		q->statements[i] = NULL;
	}
	if (q->db)
		sqlite3_close(q->db);
	q->db = NULL;
	q->ready = q->outlasting = false;
}

int sqlite_be_ready(struct sqlite *q, struct err *reterr)
{
	int rc = RC_OK;

	if (!q->ready) {
		rc = open_database(q, reterr);
		q->ready = rc == RC_OK;
	}
	if (!q->ready)
		sqlite_close_database(q);
	return rc;
}
