/* Exact deadlines: keys whose deadlines are spread over two seconds, polled by four threads. No key is
 * seen at or after its deadline, none is gone before it. Afterwards all memory comes back soon.
 *
 * The clock here is the store's own, read through kv_ttl of a key whose deadline is known, so that
 * neither rounding nor a step of the wall clock can matter, and a machine that stands still for a
 * while only makes the test see less. */

#include "check.h"

#include <pthread.h>

enum { THREADS = 4, KEYS = 100000 / KV_TEST_SLOW, SPREAD_MS = 2000, CLEANUP_MS = 100 };

/* What a store that was full and is empty again may keep ready, beyond one that was never full. */
enum { SPARE_BYTES = 4096 };

static kv_store_t *store;
static int64_t beacon_at_ms;
static int64_t deadlines[KEYS];
static int seen[THREADS], gone[THREADS];

/* Milliseconds of the store's clock. The beacon's deadline is a year away. */
static int64_t store_now(void) {
  int64_t ttl_ms = 0;
  CHECK_STATUS(kv_ttl(store, "beacon", 6, &ttl_ms), KV_OK);
  return beacon_at_ms - ttl_ms;
}

static void set_at(const char *key, size_t key_len, int64_t at_ms) {
  kv_set_options_t options = KV_SET_OPTIONS_INIT;
  options.expire_at_ms = at_ms;
  CHECK_STATUS(kv_set_with(store, key, key_len, "value", 5, &options, NULL), KV_OK);
}

static void light_beacon(void) {
  beacon_at_ms = unix_ms() + INT64_C(365) * 24 * 3600 * 1000;
  set_at("beacon", 6, beacon_at_ms);
}

/* Reads one key by one of three ways. */
static kv_status_t look(int n, int way) {
  char key[16], buffer[8];
  size_t len = (size_t)snprintf(key, sizeof key, "key%d", n);
  size_t value_len;
  int64_t ttl_ms;
  switch (way % 3) {
    case 0:
      return kv_get_into(store, key, len, buffer, sizeof buffer, &value_len);
    case 1:
      return kv_exists(store, key, len);
    default:
      return kv_ttl(store, key, len, &ttl_ms);
  }
}

static void *poll_keys(void *thread) {
  int own = (int)(intptr_t)thread;
  int pass = 0, left;
  int64_t before, after = store_now();
  do {
    left = 0;
    for (int n = own; n < KEYS; n += THREADS) {
      kv_status_t status;
      before = after;
      status = look(n, n + pass);
      after = store_now();
      if (status == KV_OK) {
        left++;
        seen[own]++;
        if (deadlines[n] <= before) {
          fprintf(stderr, "key%d was seen %" PRId64 " ms after its deadline\n", n,
                  before - deadlines[n]);
          exit(1);
        }
      } else {
        CHECK_STATUS(status, KV_NOT_FOUND);
        gone[own]++;
        if (deadlines[n] > after) {
          fprintf(stderr, "key%d was gone %" PRId64 " ms before its deadline\n", n,
                  deadlines[n] - after);
          exit(1);
        }
      }
    }
    pass++;
  } while (left > 0);
  return NULL;
}

static void fill(int64_t first_ms) {
  char key[16];
  for (int n = 0; n < KEYS; n++) {
    size_t len = (size_t)snprintf(key, sizeof key, "key%d", n);
    /* An order that has nothing to do with the order of deadlines. */
    deadlines[n] = first_ms + (int64_t)n * 7919 % SPREAD_MS;
    set_at(key, len, deadlines[n]);
  }
}

static void every_deadline_is_exact(void) {
  pthread_t threads[THREADS];
  int all_seen = 0, all_gone = 0;
  store = open_store("cleanup_interval", "100ms", NULL);
  light_beacon();
  fill(store_now() + 500);
  for (intptr_t n = 0; n < THREADS; n++) {
    CHECK(pthread_create(&threads[n], NULL, poll_keys, (void *)n) == 0);
  }
  for (int n = 0; n < THREADS; n++) {
    CHECK(pthread_join(threads[n], NULL) == 0);
    all_seen += seen[n];
    all_gone += gone[n];
  }
  printf("%d keys, %d looks saw one, %d found it gone\n", KEYS, all_seen, all_gone);
  CHECK(all_gone >= KEYS);
  close_store(store);
}

/* How long after the last deadline everything was freed. */
static int64_t lateness_of_freeing(uint64_t empty_bytes) {
  kv_stats_t stats = KV_STATS_INIT;
  int64_t last_ms = store_now() + SPREAD_MS + 500, lateness;
  fill(last_ms - SPREAD_MS + 1);
  do {
    sleep_ms(1);
    CHECK_STATUS(kv_stats(store, &stats), KV_OK);
    lateness = store_now() - last_ms;
    if (lateness > 300000) {
      fprintf(stderr, "five minutes after the last deadline: entries=%" PRIu64 ", memory_bytes=%" PRIu64
              " where an empty store has %" PRIu64 "\n", stats.entries, stats.memory_bytes,
              empty_bytes);
      exit(1);
    }
  } while (stats.entries > 1 || stats.memory_bytes > empty_bytes + SPARE_BYTES);
  CHECK_INT(stats.expired_pending, 0);
  return lateness;
}

/* How soon is measured by kvcore's example ttl_reclaim. */
static void memory_comes_back(void) {
  kv_stats_t stats = KV_STATS_INIT;
  store = open_store("cleanup_interval", "100ms", NULL);
  light_beacon();
  CHECK_STATUS(kv_stats(store, &stats), KV_OK);
  printf("all memory was back %" PRId64 " ms after the last deadline\n", lateness_of_freeing(stats.memory_bytes));
  close_store(store);
}

int main(void) {
  every_deadline_is_exact();
  memory_comes_back();
  return 0;
}
