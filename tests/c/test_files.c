/* A store in a directory: what was acknowledged is there again, in the next life, after a kill, and
 * from a snapshot; one opener at a time; a damaged file is named. */

#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATH_MAX_LEN = 600 };

/* A directory of its own for each test, below the one the tests run in. */
static const char *fresh_directory(const char *name) {
  static char path[PATH_MAX_LEN];
  snprintf(path, sizeof path, "files_%s_XXXXXX", name);
  CHECK(mkdtemp(path) != NULL);
  return path;
}

static const char *in_directory(const char *directory, const char *name) {
  static char path[2 * PATH_MAX_LEN];
  snprintf(path, sizeof path, "%s/%s", directory, name);
  return path;
}

static void remove_directory(const char *directory) {
  DIR *listing = opendir(directory);
  struct dirent *entry;
  CHECK(listing != NULL);
  while ((entry = readdir(listing)) != NULL) {
    if (entry->d_name[0] != '.') {
      CHECK(unlink(in_directory(directory, entry->d_name)) == 0);
    }
  }
  closedir(listing);
  CHECK(rmdir(directory) == 0);
}

static kv_store_t *open_at(const char *path, const char *sync) {
  kv_store_t *store = NULL;
  kv_error_t *err = NULL;
  kv_options_t *options = kv_options_new();
  CHECK_STATUS(kv_options_set(options, "sync", sync, NULL), KV_OK);
  if (kv_open(path, options, &store, &err) != KV_OK) {
    fprintf(stderr, "kv_open: %s\n", kv_error_message(err));
    exit(1);
  }
  kv_options_free(options);
  return store;
}

static void written_is_there_again(void) {
  const char *directory = fresh_directory("again");
  const char *modes[] = {"always", "interval", "never"};
  char *report = NULL;
  kv_store_t *store;
  for (int n = 0; n < 3; n++) {
    char key[16];
    store = open_at(directory, modes[n]);
    CHECK_INT(snprintf(key, sizeof key, "k%d", n), 2);
    CHECK_STATUS(set_text(store, key, modes[n]), KV_OK);
    CHECK_STATUS(set_text(store, "gone", ""), KV_OK);
    CHECK_STATUS(kv_del(store, "gone", 4), KV_OK);
    CHECK_STATUS(kv_set(store, "short", 5, "", 0, 1), KV_OK);
    CHECK_STATUS(kv_expire(store, key, 2, 600000), KV_OK);
    close_store(store);
  }
  sleep_ms(5);

  store = open_at(directory, "interval");
  CHECK_VALUE(store, "k0", "always");
  CHECK_VALUE(store, "k1", "interval");
  CHECK_VALUE(store, "k2", "never");
  CHECK_STATUS(exists(store, "gone"), KV_NOT_FOUND);
  CHECK_STATUS(exists(store, "short"), KV_NOT_FOUND);
  int64_t ttl_ms = 0;
  CHECK_STATUS(kv_ttl(store, "k0", 2, &ttl_ms), KV_OK);
  CHECK(ttl_ms > 0 && ttl_ms <= 600000);

  CHECK_STATUS(kv_recovery_report(store, &report), KV_OK);
  CHECK_TEXT_HAS(report, "\"last_revision\"");
  CHECK_TEXT_HAS(report, "\"discarded_bytes\":0");
  kv_string_free(report);
  CHECK_STATUS(kv_shutdown(store, NULL), KV_OK);
  CHECK_STATUS(kv_recovery_report(store, &report), KV_OK);
  kv_string_free(report);
  close_store(store);
  remove_directory(directory);
}

static void options_of_a_location(void) {
  const char *directory = fresh_directory("location");
  char location[2 * PATH_MAX_LEN];
  kv_store_t *store = NULL;
  kv_error_t *err = NULL;
  snprintf(location, sizeof location, "kv:%s?max_entries=1&sync=always", directory);
  CHECK_STATUS(kv_open(location, NULL, &store, NULL), KV_OK);
  CHECK_STATUS(set_text(store, "a", "1"), KV_OK);
  CHECK_STATUS(set_text(store, "b", "2"), KV_ERR_FULL);
  close_store(store);
  store = open_at(directory, "always");
  CHECK_VALUE(store, "a", "1");
  CHECK_STATUS(exists(store, "b"), KV_NOT_FOUND);
  close_store(store);

  snprintf(location, sizeof location, "kv:%s/missing?create=false", directory);
  store = NULL;
  CHECK_STATUS(kv_open(location, NULL, &store, &err), KV_ERR_INVALID);
  CHECK(store == NULL);
  CHECK_TEXT_HAS(kv_error_message(err), "missing");
  kv_error_free(err);
  CHECK(access(in_directory(directory, "missing"), F_OK) != 0);
  remove_directory(directory);
}

static void one_opener(void) {
  const char *directory = fresh_directory("locked");
  kv_store_t *first = open_at(directory, "interval");
  kv_store_t *second = NULL;
  kv_error_t *err = NULL;
  CHECK_STATUS(kv_open(directory, NULL, &second, &err), KV_ERR_LOCKED);
  CHECK(second == NULL);
  CHECK_TEXT_HAS(kv_error_message(err), directory);
  kv_error_free(err);

  /* Another process is another opener. */
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    alarm(300); /* a child that hangs ends, and is told of */
    kv_status_t status = kv_open(directory, NULL, &second, NULL);
    end_child(status == KV_ERR_LOCKED);
  }
  int outcome = 0;
  CHECK(waitpid(child, &outcome, 0) == child);
  CHECK(WIFEXITED(outcome) && WEXITSTATUS(outcome) == 0);

  CHECK_STATUS(set_text(first, "k", "v"), KV_OK);
  CHECK_STATUS(kv_shutdown(first, NULL), KV_OK);
  second = open_at(directory, "interval");
  CHECK_VALUE(second, "k", "v");
  close_store(first);
  close_store(second);
  remove_directory(directory);
}

/* A child that lives on must not keep the lock of a store that its parent closed. */
static void a_child_keeps_no_lock(void) {
  const char *directory = fresh_directory("fork");
  kv_store_t *store = open_at(directory, "always");
  int life[2];
  CHECK(pipe(life) == 0);
  CHECK_STATUS(set_text(store, "k", "parent"), KV_OK);
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    alarm(300); /* a child that hangs ends, and is told of */
    char byte;
    close(life[1]);
    int fine = kv_sync(store, NULL) == KV_ERR_FORKED &&
               kv_snapshot(store, NULL, NULL, NULL, NULL) == KV_ERR_FORKED &&
               kv_restore(store, "x", NULL) == KV_ERR_FORKED &&
               kv_close(store, NULL) == KV_ERR_FORKED;
    /* Until the parent has seen what it wants to see. */
    while (read(life[0], &byte, 1) > 0) {
    }
    end_child(fine);
  }
  close(life[0]);
  CHECK_STATUS(set_text(store, "k2", "parent"), KV_OK);
  close_store(store);
  store = open_at(directory, "always");
  CHECK_VALUE(store, "k", "parent");
  CHECK_VALUE(store, "k2", "parent");
  close(life[1]);
  int outcome = 0;
  CHECK(waitpid(child, &outcome, 0) == child);
  CHECK(WIFEXITED(outcome) && WEXITSTATUS(outcome) == 0);
  close_store(store);
  remove_directory(directory);
}

static void snapshots(void) {
  const char *directory = fresh_directory("snapshot");
  kv_snapshot_info_t info = KV_SNAPSHOT_INFO_INIT;
  char *path = NULL;
  int64_t before = unix_ms();
  kv_store_t *store = open_at(directory, "interval");
  CHECK_STATUS(set_text(store, "a", "1"), KV_OK);
  CHECK_STATUS(kv_set(store, "b", 1, "2", 1, 600000), KV_OK);
  CHECK_STATUS(kv_snapshot(store, NULL, &info, &path, NULL), KV_OK);
  CHECK_INT(info.entries, 2);
  CHECK(info.bytes > 0 && info.revision >= 2 && info.seconds >= 0);
  CHECK(info.created_at_ms >= before - 1000 && info.created_at_ms <= unix_ms() + 1000);
  CHECK_TEXT_HAS(path, directory);

  CHECK_STATUS(set_text(store, "a", "changed"), KV_OK);
  CHECK_STATUS(set_text(store, "c", "3"), KV_OK);
  CHECK_STATUS(kv_restore(store, path, NULL), KV_OK);
  CHECK_VALUE(store, "a", "1");
  CHECK_VALUE(store, "b", "2");
  CHECK_STATUS(exists(store, "c"), KV_NOT_FOUND);
  int64_t ttl_ms = 0;
  CHECK_STATUS(kv_ttl(store, "b", 1, &ttl_ms), KV_OK);
  CHECK(ttl_ms > 0 && ttl_ms <= 600000);
  kv_string_free(path);

  kv_stats_t stats = KV_STATS_INIT;
  CHECK_STATUS(kv_stats(store, &stats), KV_OK);
  CHECK(stats.snapshots >= 1);
  CHECK(stats.wal_bytes > 0);
  CHECK(stats.wal_syncs > 0);

  /* What a restore brought is there in the next life, too. */
  close_store(store);
  store = open_at(directory, "interval");
  CHECK_VALUE(store, "a", "1");
  CHECK_STATUS(exists(store, "c"), KV_NOT_FOUND);
  close_store(store);
  remove_directory(directory);
}

static void a_snapshot_of_memory(void) {
  const char *directory = fresh_directory("memory");
  char file[2 * PATH_MAX_LEN];
  kv_snapshot_info_t info = KV_SNAPSHOT_INFO_INIT;
  kv_error_t *err = NULL;
  char *path = NULL;
  kv_store_t *store = open_store(NULL);
  snprintf(file, sizeof file, "%s", in_directory(directory, "memory.kvs"));
  CHECK_STATUS(set_text(store, "a", "1"), KV_OK);
  CHECK_STATUS(kv_sync(store, &err), KV_OK);
  CHECK(err == NULL);
  CHECK_STATUS(kv_snapshot(store, NULL, NULL, NULL, &err), KV_ERR_UNSUPPORTED);
  CHECK_TEXT_HAS(kv_error_message(err), "path");
  kv_error_free(err);
  err = NULL;
  CHECK_STATUS(kv_snapshot(store, file, &info, &path, NULL), KV_OK);
  CHECK_INT(info.entries, 1);
  CHECK(strcmp(path, file) == 0);
  kv_string_free(path);
  path = NULL;
  CHECK_STATUS(kv_recovery_report(store, &path), KV_OK);
  CHECK_TEXT_HAS(path, "\"last_revision\":0");
  kv_string_free(path);
  close_store(store);

  store = open_store("max_entries", "10", NULL);
  CHECK_STATUS(set_text(store, "other", ""), KV_OK);
  CHECK_STATUS(kv_restore(store, file, NULL), KV_OK);
  CHECK_VALUE(store, "a", "1");
  CHECK_STATUS(exists(store, "other"), KV_NOT_FOUND);
  close_store(store);
  remove_directory(directory);
}

static void refused_arguments(void) {
  const char *directory = fresh_directory("refused");
  kv_store_t *store = open_store("max_entries", "1", NULL);
  kv_snapshot_info_t small = KV_SNAPSHOT_INFO_INIT;
  struct {
    kv_snapshot_info_t known;
    uint64_t unknown;
  } large = {KV_SNAPSHOT_INFO_INIT, 7};
  kv_error_t *err = NULL;
  char file[2 * PATH_MAX_LEN];
  char *path = NULL;
  snprintf(file, sizeof file, "%s", in_directory(directory, "one.kvs"));
  CHECK_STATUS(set_text(store, "a", "1"), KV_OK);

  small.struct_size = sizeof small - 1;
  CHECK_STATUS(kv_snapshot(store, file, &small, &path, &err), KV_ERR_INVALID);
  CHECK_TEXT_HAS(kv_error_message(err), "struct_size");
  kv_error_free(err);
  err = NULL;
  CHECK(path == NULL && access(file, F_OK) != 0);
  CHECK_STATUS(kv_snapshot(store, "caf\xe9", NULL, NULL, NULL), KV_ERR_INVALID);
  CHECK_STATUS(kv_snapshot(NULL, file, NULL, NULL, NULL), KV_ERR_INVALID);
  CHECK(access(file, F_OK) != 0);
  large.known.struct_size = sizeof large;
  CHECK_STATUS(kv_snapshot(store, file, &large.known, NULL, NULL), KV_OK);
  CHECK_INT(large.known.entries, 1);
  CHECK_INT(large.unknown, 0);

  CHECK_STATUS(kv_sync(NULL, &err), KV_ERR_INVALID);
  kv_error_free(err);
  err = NULL;
  CHECK_STATUS(kv_restore(store, NULL, &err), KV_ERR_INVALID);
  CHECK_TEXT_HAS(kv_error_message(err), "path");
  kv_error_free(err);
  err = NULL;
  CHECK_STATUS(kv_restore(store, in_directory(directory, "none"), &err), KV_ERR_IO);
  CHECK(kv_error_os_code(err) != 0);
  kv_error_free(err);
  CHECK_STATUS(kv_recovery_report(store, NULL), KV_ERR_INVALID);
  CHECK_STATUS(kv_recovery_report(NULL, &path), KV_ERR_INVALID);
  CHECK_VALUE(store, "a", "1");
  close_store(store);
  remove_directory(directory);
}

/* Flips one bit in the middle of what is not zero. */
static void damage(const char *file) {
  FILE *stream = fopen(file, "r+b");
  long last = 0, at = 0;
  int byte;
  CHECK(stream != NULL);
  while ((byte = fgetc(stream)) != EOF) {
    at++;
    if (byte != 0) {
      last = at;
    }
  }
  CHECK(last > 0 && fseek(stream, last / 2, SEEK_SET) == 0);
  byte = fgetc(stream);
  CHECK(byte != EOF && fseek(stream, last / 2, SEEK_SET) == 0);
  CHECK(fputc(byte ^ 4, stream) != EOF && fclose(stream) == 0);
}

static void a_damaged_file_is_named(void) {
  const char *directory = fresh_directory("damaged");
  char file[2 * PATH_MAX_LEN];
  kv_store_t *store = open_at(directory, "always");
  kv_error_t *err = NULL;
  char name[300] = "";
  for (int n = 0; n < 100; n++) {
    char key[16];
    snprintf(key, sizeof key, "key %d", n);
    CHECK_STATUS(set_text(store, key, "a value that takes some room"), KV_OK);
  }
  snprintf(file, sizeof file, "%s", in_directory(directory, "copy.kvs"));
  CHECK_STATUS(kv_snapshot(store, file, NULL, NULL, NULL), KV_OK);
  damage(file);
  CHECK_STATUS(kv_restore(store, file, &err), KV_ERR_CORRUPT);
  CHECK_TEXT_HAS(kv_error_message(err), "copy.kvs");
  kv_error_free(err);
  err = NULL;
  CHECK_VALUE(store, "key 7", "a value that takes some room");
  CHECK_STATUS(set_text(store, "more", "1"), KV_OK);
  close_store(store);

  DIR *listing = opendir(directory);
  struct dirent *entry;
  CHECK(listing != NULL);
  while ((entry = readdir(listing)) != NULL) {
    if (strncmp(entry->d_name, "wal-", 4) == 0 && strcmp(entry->d_name, name) > 0) {
      struct stat about;
      if (stat(in_directory(directory, entry->d_name), &about) == 0 && about.st_size > 1000) {
        snprintf(name, sizeof name, "%s", entry->d_name);
      }
    }
  }
  closedir(listing);
  CHECK(name[0] != '\0');
  damage(in_directory(directory, name));
  store = NULL;
  CHECK_STATUS(kv_open(directory, NULL, &store, &err), KV_ERR_CORRUPT);
  CHECK(store == NULL);
  CHECK_TEXT_HAS(kv_error_message(err), name);
  kv_error_free(err);
  remove_directory(directory);
}

/* Writes numbers until it is killed, and says each one only after it was acknowledged. */
static void write_until_killed(const char *directory, int out) {
  kv_store_t *store = open_at(directory, "always");
  for (uint32_t n = 0;; n++) {
    char key[16];
    int len = snprintf(key, sizeof key, "%u", (unsigned)n);
    if (kv_set(store, key, (size_t)len, key, (size_t)len, 0) != KV_OK ||
        write(out, &n, sizeof n) != (ssize_t)sizeof n) {
      _exit(1);
    }
  }
}

static void killed_writers_lose_nothing(void) {
  const char *directory = fresh_directory("killed");
  int64_t total = 0;
  for (int round = 0; round < 3; round++) {
    int said[2];
    uint32_t number, last = 0, count = 0;
    CHECK(pipe(said) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
      alarm(300); /* a child that hangs ends, and is told of */
      close(said[0]);
      write_until_killed(directory, said[1]);
    }
    close(said[1]);
    while (count < 50 && read(said[0], &number, sizeof number) == (ssize_t)sizeof number) {
      last = number;
      count++;
    }
    CHECK(kill(child, SIGKILL) == 0);
    while (read(said[0], &number, sizeof number) == (ssize_t)sizeof number) {
      last = number;
      count++;
    }
    close(said[0]);
    int outcome = 0;
    CHECK(waitpid(child, &outcome, 0) == child);
    CHECK(WIFSIGNALED(outcome) && WTERMSIG(outcome) == SIGKILL);
    CHECK(count >= 50 && count == last + 1);

    kv_store_t *store = open_at(directory, "always");
    for (uint32_t n = 0; n <= last; n++) {
      char key[16];
      snprintf(key, sizeof key, "%u", (unsigned)n);
      CHECK_VALUE(store, key, key);
    }
    CHECK_STATUS(kv_clear(store), KV_OK);
    close_store(store);
    total += count;
  }
  CHECK(total >= 150);
  remove_directory(directory);
}

int main(void) {
  /* First, because it forks, and a child should inherit no other store. */
  killed_writers_lose_nothing();
  written_is_there_again();
  options_of_a_location();
  one_opener();
  a_child_keeps_no_lock();
  snapshots();
  a_snapshot_of_memory();
  refused_arguments();
  a_damaged_file_is_named();
  return 0;
}
