/* tests/unit/engine/test_rundir.c - mirrors src/engine/rundir.c: the private directory, and whose may be swept. */
#include "check.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utime.h>

#include "engine/rundir.h"

static char base[64];

static int fresh(void **state)
{
	snprintf(base, sizeof(base), "/tmp/gw-rundir-XXXXXX");
	return mkdtemp(base) ? 0 : -1;
}

static int clear(void **state)
{
	return rmdir(base); /* fails when a test left something behind */
}

static bool exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static void put(const char *dir, const char *name)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
}

static void private_and_removed(void **state)
{
	struct rundir d;
	struct stat st;
	struct err e;

	assert_int_equal(rundir_init(&d, base, &e), RC_OK);
	assert_int_equal(stat(d.path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	put(d.path, "m0-0.sock");
	char kept[RUNDIR_PATH];
	memcpy(kept, d.path, sizeof(kept));
	rundir_done(&d);
	assert_false(exists(kept));
	rundir_done(&d);
}

static void a_living_gateways_directory_stays(void **state)
{
	struct rundir d, other;
	struct err e;

	assert_int_equal(rundir_init(&d, base, &e), RC_OK);
	put(d.path, "m0-0.sock");
	assert_int_equal(utime(d.path, &(struct utimbuf){ 1000, 1000 }),
			 0); /* old, but its lock is held */
	assert_int_equal(rundir_init(&other, base, &e), RC_OK);
	assert_true(exists(d.path));
	rundir_done(&other);
	rundir_done(&d);
}

static void a_dead_gateways_directory_goes(void **state)
{
	char dead[96], newborn[96], locked[96], foreign[96], other[96];
	struct rundir d;
	struct err e;

	snprintf(dead, sizeof(dead), "%s/llm-gateway-1-aaaaaa", base);
	snprintf(newborn, sizeof(newborn), "%s/llm-gateway-2-bbbbbb", base);
	snprintf(locked, sizeof(locked), "%s/llm-gateway-3-cccccc", base);
	snprintf(foreign, sizeof(foreign), "%s/llm-gateway-4-dddddd", base);
	snprintf(other, sizeof(other), "%s/something", base);
	mkdir(dead, 0700);
	mkdir(newborn, 0700);
	mkdir(locked, 0700);
	mkdir(foreign, 0700);
	mkdir(other, 0700);
	put(dead, "lock");
	put(dead, "m0-0.sock");
	put(locked, "m1.sock"); /* died before it had its lock */
	put(foreign, "lock");
	put(foreign, "notes.txt"); /* not ours: nothing of that is deleted */
	assert_int_equal(utime(locked, &(struct utimbuf){ 1000, 1000 }), 0);
	assert_int_equal(rundir_init(&d, base, &e), RC_OK);
	assert_false(exists(dead));
	assert_true(exists(newborn));
	assert_false(exists(locked));
	assert_true(exists(foreign));
	assert_true(exists(other));
	snprintf(other + strlen(base), sizeof(other) - strlen(base),
		 "/llm-gateway-4-dddddd/notes.txt");
	assert_int_equal(unlink(other), 0);
	rundir_done(&d);
	rmdir(newborn);
	rmdir(foreign);
	snprintf(other + strlen(base), sizeof(other) - strlen(base), "/something");
	rmdir(other);
}

static void a_link_is_not_followed(void **state)
{
	char target[96], link[96], file[128];
	struct rundir d;
	struct err e;

	snprintf(target, sizeof(target), "%s/precious", base);
	snprintf(link, sizeof(link), "%s/llm-gateway-5-eeeeee", base);
	snprintf(file, sizeof(file), "%s/x.sock", target);
	mkdir(target, 0700);
	put(target, "x.sock");
	put(target, "lock");
	assert_int_equal(symlink(target, link), 0);
	assert_int_equal(rundir_init(&d, base, &e), RC_OK);
	assert_true(exists(file));
	rundir_done(&d);
	unlink(file);
	unlink(link);
	snprintf(file, sizeof(file), "%s/lock", target);
	unlink(file);
	rmdir(target);
}

static void too_long_a_base_is_an_error(void **state)
{
	char longer[192];
	struct rundir d;
	struct err e;

	snprintf(longer, sizeof(longer), "%s/%080d", base, 0);
	assert_int_equal(rundir_init(&d, longer, &e), RC_TOOBIG);
	rundir_done(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(private_and_removed, fresh, clear),
		cmocka_unit_test_setup_teardown(a_living_gateways_directory_stays, fresh, clear),
		cmocka_unit_test_setup_teardown(a_dead_gateways_directory_goes, fresh, clear),
		cmocka_unit_test_setup_teardown(a_link_is_not_followed, fresh, clear),
		cmocka_unit_test_setup_teardown(too_long_a_base_is_an_error, fresh, clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
