/* Runs the conformance cases through kv.h.
 *
 *     conformance DIRECTORY              every *.kvt file there; fails if a case does
 *     conformance --must-fail FILE       fails if a case of the file does not: the driver's own test
 *
 * On a server if KV_AT says which one, and with the cases about servers if KV_SERVERS names those they speak of.
 */

#include "kvt.h"

#include <dirent.h>

enum { FILES = 256 };

static int by_name(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The paths of all *.kvt files, sorted. */
static int list_files(const char *directory, char **paths) {
  int count = 0;
  struct dirent *entry;
  DIR *listing = opendir(directory);
  if (listing == NULL) {
    fprintf(stderr, "cannot read the directory %s\n", directory);
    exit(1);
  }
  while ((entry = readdir(listing)) != NULL) {
    size_t len = strlen(entry->d_name);
    if (len > 4 && strcmp(entry->d_name + len - 4, ".kvt") == 0) {
      size_t size = strlen(directory) + len + 2;
      CHECK(count < FILES);
      paths[count] = malloc(size);
      CHECK(paths[count] != NULL);
      snprintf(paths[count++], size, "%s/%s", directory, entry->d_name);
    }
  }
  closedir(listing);
  qsort(paths, (size_t)count, sizeof *paths, by_name);
  return count;
}

int main(int argc, char **argv) {
  static kvt_run_t run;
  char *paths[FILES];
  int files = 1;
  kvt_find_servers(&run);
  if (argc == 3 && strcmp(argv[1], "--must-fail") == 0) {
    run.must_fail = true;
    kvt_run_file(&run, argv[2]);
  } else if (argc == 2) {
    files = list_files(argv[1], paths);
    for (int n = 0; n < files; n++) {
      kvt_run_file(&run, paths[n]);
      free(paths[n]);
    }
  } else {
    fprintf(stderr, "usage: %s DIRECTORY | --must-fail FILE\n", argv[0]);
    return 2;
  }
  printf("%d cases in %d files: %d failed, %d skipped for want of a feature\n", run.cases,
         files, run.failures, run.skips);
  if (run.cases == 0) {
    fprintf(stderr, "there are no cases in %s\n", argv[argc - 1]);
    return 1;
  }
  return run.failures == 0 ? 0 : 1;
}
