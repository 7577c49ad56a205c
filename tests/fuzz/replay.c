/* tests/fuzz/replay.c - feeds a fuzz target every file of a corpus folder, each
 * whole and cut after every byte (up to a length where that stays quick): what once
 * broke a parser is tried again in every run of the tests, with any compiler.
 *
 * usage: replay_NAME CORPUS_FOLDER. An empty folder is a failure: it would test nothing.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CUT_MAX = 2048, FILE_MAX = 16 * 1024 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy of exactly `size` bytes on the heap, so that the sanitizer sees a read past the end. */
static void feed(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);

	if (!copy)
		abort();
	memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static int replay_file(const char *folder, const char *name)
{
	static uint8_t data[FILE_MAX];
	char path[4096];
	size_t size;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "rb");
	if (!f) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -1;
	}
	/* Said before, so that a crash names its file. */
	printf("# %s\n", name);
	fflush(stdout);
	size = fread(data, 1, sizeof(data), f);
	fclose(f);
	feed(data, size);
	for (size_t cut = 0; cut < size && cut < CUT_MAX; cut++)
		feed(data, cut);
	return 0;
}

int main(int argc, char **argv)
{
	struct dirent *entry;
	int files = 0, failed = 0;
	DIR *dir;

	if (argc != 2) {
		fprintf(stderr, "usage: %s CORPUS_FOLDER\n", argv[0]);
		return 2;
	}
	dir = opendir(argv[1]);
	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		files++;
		if (replay_file(argv[1], entry->d_name) != 0)
			failed++;
	}
	if (dir)
		closedir(dir);
	if (files == 0)
		fprintf(stderr, "no corpus in %s\n", argv[1]);
	printf("%s 1 - replay of %d files\n", files && !failed ? "ok" : "not ok", files);
	return files && !failed ? 0 : 1;
}
