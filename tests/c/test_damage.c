/* Files of stores that are not open: damage is described, and what is left is saved. Backups of open
 * stores come back. Opening tells how far it has come. */

#include "check.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_MAX_LEN = 700, KEYS = 100 };

/* The directory of this program, and paths in it. */
static char home[] = "damage_XXXXXX";

static void path_in(char *path, const char *name) { snprintf(path, PATH_MAX_LEN, "%s/%s", home, name); }

static void remove_tree(const char *path) {
  DIR *listing = opendir(path);
  struct dirent *entry;
  if (listing == NULL) {
    CHECK(unlink(path) == 0);
    return;
  }
  while ((entry = readdir(listing)) != NULL) {
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
      char inner[PATH_MAX_LEN];
      CHECK(snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name) < PATH_MAX_LEN);
      remove_tree(inner);
    }
  }
  closedir(listing);
  CHECK(rmdir(path) == 0);
}

static kv_store_t *open_at(const char *path, const kv_options_t *options) {
  kv_store_t *store = NULL;
  kv_error_t *err = NULL;
  if (kv_open(path, options, &store, &err) != KV_OK) {
    fprintf(stderr, "kv_open: %s\n", kv_error_message(err));
    exit(1);
  }
  return store;
}

static void expect_count(kv_store_t *store, uint64_t expected) {
  uint64_t count = 0;
  CHECK_STATUS(kv_len(store, &count), KV_OK);
  CHECK(count == expected);
}

/* KEYS keys, half of them in a snapshot and all in the log. */
static void make_store(const char *path) {
  kv_store_t *store = open_at(path, NULL);
  char key[16], value[500];
  memset(value, 'v', sizeof value);
  for (int n = 0; n < KEYS; n++) {
    int len = snprintf(key, sizeof key, "key %d", n);
    CHECK_STATUS(kv_set(store, key, (size_t)len, value, sizeof value, 0), KV_OK);
    if (n == KEYS / 2) {
      CHECK_STATUS(kv_snapshot(store, NULL, NULL, NULL, NULL), KV_OK);
    }
  }
  close_store(store);
}

/* Flips a bit in the middle of the last segment of a log. */
static void damage(const char *directory) {
  char newest[PATH_MAX_LEN] = "";
  DIR *listing = opendir(directory);
  struct dirent *entry;
  CHECK(listing != NULL);
  while ((entry = readdir(listing)) != NULL) {
    char path[PATH_MAX_LEN];
    CHECK(snprintf(path, sizeof path, "%s/%s", directory, entry->d_name) < PATH_MAX_LEN);
    if (strncmp(entry->d_name, "wal-", 4) == 0 && strcmp(path, newest) > 0) {
      strcpy(newest, path);
    }
  }
  closedir(listing);
  struct stat about;
  CHECK(stat(newest, &about) == 0);
  FILE *file = fopen(newest, "r+b");
  CHECK(file != NULL);
  CHECK(fseek(file, (long)about.st_size / 2, SEEK_SET) == 0);
  int byte = fgetc(file);
  CHECK(fseek(file, (long)about.st_size / 2, SEEK_SET) == 0);
  CHECK(fputc(byte ^ 1, file) != EOF && fclose(file) == 0);
}

static void check_report(char *report, const char *part) {
  CHECK(report != NULL);
  if (strstr(report, part) == NULL) {
    fprintf(stderr, "%s is not in %s\n", part, report);
    exit(1);
  }
  kv_string_free(report);
}

static void damaged_and_saved(void) {
  char data[PATH_MAX_LEN], rescue[PATH_MAX_LEN], *report = NULL;
  kv_error_t *err = NULL;
  path_in(data, "damaged");
  path_in(rescue, "rescue");
  make_store(data);
  CHECK_STATUS(kv_verify(data, &report, NULL), KV_OK);
  check_report(report, "{\"sound\":true,");

  damage(data);
  kv_store_t *store = NULL;
  CHECK_STATUS(kv_open(data, NULL, &store, NULL), KV_ERR_CORRUPT);
  report = NULL;
  CHECK_STATUS(kv_verify(data, &report, &err), KV_OK);
  CHECK(strstr(report, "\"harmless\":false") != NULL && strstr(report, "\"offset\":") != NULL);
  check_report(report, "{\"sound\":false,");

  report = NULL;
  CHECK_STATUS(kv_salvage(data, rescue, &report, &err), KV_OK);
  CHECK(strstr(report, "\"may_be_back\":true") != NULL);
  check_report(report, "the records from there to offset ");
  store = open_at(rescue, NULL);
  CHECK_STATUS(exists(store, "key 99"), KV_OK);
  uint64_t count = 0;
  CHECK_STATUS(kv_len(store, &count), KV_OK);
  CHECK(count >= KEYS - 10 && count < KEYS);
  report = NULL;
  CHECK_STATUS(kv_verify(rescue, &report, &err), KV_ERR_LOCKED);
  kv_error_free(err);
  close_store(store);

  err = NULL;
  CHECK_STATUS(kv_salvage(data, rescue, &report, &err), KV_ERR_INVALID);
  CHECK(strstr(kv_error_message(err), "not empty") != NULL);
  kv_error_free(err);
  CHECK(report == NULL);
}

static void refused(void) {
  char *report = NULL;
  char nothing[PATH_MAX_LEN], other[PATH_MAX_LEN];
  path_in(nothing, "nothing");
  path_in(other, "other");
  CHECK_STATUS(kv_verify(NULL, &report, NULL), KV_ERR_INVALID);
  CHECK_STATUS(kv_verify(nothing, NULL, NULL), KV_ERR_INVALID);
  CHECK_STATUS(kv_verify(nothing, &report, NULL), KV_ERR_INVALID);
  CHECK_STATUS(kv_verify(home, &report, NULL), KV_ERR_INVALID);
  CHECK_STATUS(kv_salvage(NULL, other, &report, NULL), KV_ERR_INVALID);
  CHECK_STATUS(kv_salvage(nothing, NULL, &report, NULL), KV_ERR_INVALID);
  CHECK_STATUS(kv_salvage(nothing, other, &report, NULL), KV_ERR_INVALID);
  CHECK(report == NULL);
}

static void a_backup_comes_back(void) {
  char data[PATH_MAX_LEN], elsewhere[PATH_MAX_LEN], backup[PATH_MAX_LEN], *report = NULL;
  path_in(data, "original");
  path_in(elsewhere, "elsewhere");
  path_in(backup, "backup.kvs");
  make_store(data);
  kv_store_t *store = open_at(data, NULL);
  kv_snapshot_info_t info = KV_SNAPSHOT_INFO_INIT;
  CHECK_STATUS(kv_snapshot(store, backup, &info, NULL, NULL), KV_OK);
  CHECK(info.entries == KEYS);
  CHECK_STATUS(kv_clear(store), KV_OK);
  CHECK_STATUS(set_text(store, "later", "x"), KV_OK);
  CHECK_STATUS(kv_restore(store, backup, NULL), KV_OK);
  expect_count(store, KEYS);
  close_store(store);
  store = open_at(data, NULL);
  expect_count(store, KEYS);
  close_store(store);
  store = open_at(elsewhere, NULL);
  CHECK_STATUS(kv_restore(store, backup, NULL), KV_OK);
  expect_count(store, KEYS);
  close_store(store);
  CHECK_STATUS(kv_verify(backup, &report, NULL), KV_OK);
  check_report(report, "{\"sound\":true,\"files\":1,");
}

/* A snapshot at a path without a directory is one in the current directory. */
static void a_backup_in_the_current_directory(void) {
  kv_store_t *store = open_at(NULL, NULL);
  CHECK_STATUS(set_text(store, "a", "1"), KV_OK);
  CHECK_STATUS(kv_snapshot(store, "damage_here.kvs", NULL, NULL, NULL), KV_OK);
  CHECK_STATUS(kv_restore(store, "damage_here.kvs", NULL), KV_OK);
  CHECK_VALUE(store, "a", "1");
  close_store(store);
  CHECK(unlink("damage_here.kvs") == 0);
}

typedef struct {
  int calls, finalized;
  uint32_t first_phase, last_phase;
  uint64_t first, last, total;
} told_t;

static void tell(void *user_data, uint32_t phase, uint64_t done_bytes, uint64_t total_bytes) {
  told_t *told = (told_t *)user_data;
  if (told->calls++ == 0) {
    told->first_phase = phase;
    told->first = done_bytes;
  }
  CHECK(done_bytes >= told->last && done_bytes <= total_bytes);
  told->last_phase = phase;
  told->last = done_bytes;
  told->total = total_bytes;
}

static void finalize(void *user_data) { ((told_t *)user_data)->finalized++; }

static void opening_tells_how_far_it_is(void) {
  char data[PATH_MAX_LEN];
  told_t told = {0, 0, 0, 0, 0, 0, 0};
  path_in(data, "progress");
  make_store(data);
  kv_options_t *options = kv_options_new();
  CHECK_STATUS(kv_options_on_progress(NULL, tell, &told, finalize), KV_ERR_INVALID);
  CHECK_STATUS(kv_options_on_progress(options, NULL, &told, finalize), KV_ERR_INVALID);
  CHECK_INT(told.finalized, 0);
  CHECK_STATUS(kv_options_on_progress(options, tell, &told, finalize), KV_OK);
  kv_store_t *store = open_at(data, options);
  expect_count(store, KEYS);
  CHECK(told.calls >= 4 && told.first == 0 && told.last == told.total && told.total > 0);
  CHECK(told.first_phase == KV_PHASE_SNAPSHOT && told.last_phase == KV_PHASE_LOG);
  int calls = told.calls;
  close_store(open_at(NULL, options));
  CHECK_INT(told.calls, calls);
  CHECK_INT(told.finalized, 0);
  /* An open store does not keep it. */
  kv_options_free(options);
  CHECK_INT(told.finalized, 1);
  close_store(store);
}

int main(void) {
  CHECK(mkdtemp(home) != NULL);
  refused();
  damaged_and_saved();
  a_backup_comes_back();
  a_backup_in_the_current_directory();
  opening_tells_how_far_it_is();
  remove_tree(home);
  return 0;
}
