/*
 * What the rig `errors` runs while system calls fail: opens a directory through kv.h, does the
 * operations from FROM to TO, and says on its standard output what it is about to do and what that
 * answered. `torture/src/rigs/errors.rs` has the same operations as a model.
 *
 *     worker DIR SYNC FROM TO close|leave
 *
 * Each line is written at once, so that nothing that was answered is lost with this process.
 */
#include <kv.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void say(const char *what, int number, int status) {
  char line[64];
  int len = snprintf(line, sizeof line, "%s %d %d\n", what, number, status);
  if (write(1, line, (size_t)len) != len) _exit(2);
}

/* A value that names its operation; every seventh one is long. */
static size_t fill(char *value, int number) {
  size_t len = number % 7 == 3 ? 20000 : 8 + (size_t)(number * 397 % 900);
  int head = snprintf(value, 32, "%d:", number);
  for (size_t at = (size_t)head; at < len; at++) value[at] = 'v';
  return len;
}

static kv_status_t set_batch(kv_store_t *store, const char *value, size_t len) {
  const size_t key_lens[3] = {2, 2, 2};
  const size_t value_lens[3] = {len, len, len};
  char *values = malloc(3 * len);
  if (values == NULL) _exit(2);
  for (int at = 0; at < 3; at++) memcpy(values + (size_t)at * len, value, len);
  kv_status_t status =
      kv_set_packed(store, "b0b1b2", key_lens, values, value_lens, 3, KV_TTL_DEFAULT, NULL);
  free(values);
  return status;
}

static kv_status_t operate(kv_store_t *store, int number) {
  static char value[32768];
  char key[16];
  size_t len = fill(value, number);
  size_t key_len = (size_t)snprintf(key, sizeof key, "k%d", number % 4);
  int64_t sum;
  switch (number % 6) {
    case 0:
    case 1: return kv_set(store, key, key_len, value, len, KV_TTL_DEFAULT);
    case 2: return kv_append(store, key, key_len, value, len, NULL);
    case 3: return set_batch(store, value, len);
    case 4: return kv_del(store, key, key_len);
    default: return kv_incr(store, "sum", 3, 1, KV_TTL_DEFAULT, &sum);
  }
}

int main(int count, char **words) {
  if (count != 6) return 2;
  kv_options_t *options = kv_options_new();
  kv_store_t *store = NULL;
  kv_options_set(options, "sync", words[2], NULL);
  kv_options_set(options, "wal_segment_bytes", "64KiB", NULL);
  kv_options_set(options, "shards", "2", NULL);
  kv_status_t status = kv_open(words[1], options, &store, NULL);
  kv_options_free(options);
  say("open", 0, status);
  if (status != KV_OK) return 0;
  for (int number = atoi(words[3]); number < atoi(words[4]); number++) {
    say("begin", number, 0);
    say("end", number, operate(store, number));
    if (number % 10 == 7) say("snapshot", number, kv_snapshot(store, NULL, NULL, NULL, NULL));
    if (number % 10 == 2) say("sync", number, kv_sync(store, NULL));
  }
  if (strcmp(words[5], "leave") == 0) _exit(0);
  say("close", 0, kv_close(store, NULL));
  return 0;
}
