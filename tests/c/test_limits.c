/* Limits: lengths, entries and memory. What is refused changes nothing. */

#include "check.h"

static void lengths_of_keys(void) {
  kv_store_t *store = open_store(NULL);
  char *key = calloc(1, 65536);
  kv_value_t *value = NULL;
  kv_slice_t slice;
  kv_span_t span;
  size_t len;
  int64_t number;
  CHECK(key != NULL);
  CHECK_STATUS(kv_set(store, key, 65535, "v", 1, 0), KV_OK);
  CHECK_STATUS(kv_exists(store, key, 65535), KV_OK);

  CHECK_STATUS(kv_set(store, key, 65536, "v", 1, 0), KV_ERR_TOO_LARGE);
  CHECK_STATUS(kv_set_with(store, key, 65536, "v", 1, NULL, NULL), KV_ERR_TOO_LARGE);
  CHECK_STATUS(kv_get(store, key, 65536, &value), KV_ERR_TOO_LARGE);
  CHECK_STATUS(kv_get_into(store, key, 65536, NULL, 0, &len), KV_ERR_TOO_LARGE);
  CHECK_STATUS(kv_take(store, key, 65536, &value), KV_ERR_TOO_LARGE);
  CHECK_STATUS(kv_del(store, key, 65536), KV_ERR_TOO_LARGE);
  CHECK_STATUS(kv_del_if(store, key, 65536, 1), KV_ERR_TOO_LARGE);
  CHECK_STATUS(kv_exists(store, key, 65536), KV_ERR_TOO_LARGE);
  CHECK_STATUS(kv_incr(store, key, 65536, 1, 0, &number), KV_ERR_TOO_LARGE);
  CHECK_STATUS(kv_append(store, key, 65536, "v", 1, &len), KV_ERR_TOO_LARGE);
  CHECK_STATUS(kv_expire(store, key, 65536, 1), KV_ERR_TOO_LARGE);
  CHECK_STATUS(kv_expire_at(store, key, 65536, 1), KV_ERR_TOO_LARGE);
  CHECK_STATUS(kv_persist(store, key, 65536), KV_ERR_TOO_LARGE);
  CHECK_STATUS(kv_ttl(store, key, 65536, &number), KV_ERR_TOO_LARGE);
  slice.data = key;
  slice.len = 65536;
  CHECK_STATUS(kv_get_many(store, &slice, 1, &value), KV_ERR_TOO_LARGE);
  CHECK_STATUS(kv_get_packed(store, key, &slice.len, 1, NULL, 0, &span, &len, NULL),
               KV_ERR_TOO_LARGE);
  CHECK_STATUS(kv_set_packed(store, key, &slice.len, key, &slice.len, 1, 0, NULL),
               KV_ERR_TOO_LARGE);
  CHECK_STATUS(kv_del_packed(store, key, &slice.len, 1, NULL, NULL), KV_ERR_TOO_LARGE);

  /* A length that no memory has is refused before anything there is read. */
  CHECK_STATUS(kv_set(store, key, SIZE_MAX, "v", 1, 0), KV_ERR_TOO_LARGE);
  CHECK_STATUS(kv_set(store, "k", 1, key, SIZE_MAX, 0), KV_ERR_TOO_LARGE);
  CHECK_STATUS(kv_set(store, "k", 1, key, SIZE_MAX / 4, 0), KV_ERR_TOO_LARGE);
  CHECK_STATUS(kv_append(store, "k", 1, key, SIZE_MAX / 4, NULL), KV_ERR_TOO_LARGE);
  CHECK_STATUS(exists(store, "k"), KV_NOT_FOUND);
  close_store(store);
  free(key);
}

static void lengths_of_values(void) {
  kv_store_t *store = open_store("max_value_bytes", "10", "max_key_bytes", "3", NULL);
  CHECK_STATUS(set_text(store, "k", "0123456789"), KV_OK);
  CHECK_STATUS(set_text(store, "k", "0123456789a"), KV_ERR_TOO_LARGE);
  CHECK_STATUS(kv_append(store, "k", 1, "a", 1, NULL), KV_ERR_TOO_LARGE);
  CHECK_VALUE(store, "k", "0123456789");
  CHECK_STATUS(set_text(store, "four", "v"), KV_ERR_TOO_LARGE);
  close_store(store);
}

static void numbers_of_entries(void) {
  kv_store_t *store = open_store("max_entries", "2", NULL);
  CHECK_STATUS(set_text(store, "a", "1"), KV_OK);
  CHECK_STATUS(set_text(store, "b", "1"), KV_OK);
  CHECK_STATUS(set_text(store, "c", "1"), KV_ERR_FULL);
  CHECK_STATUS(kv_incr(store, "c", 1, 1, 0, NULL), KV_ERR_FULL);
  CHECK_STATUS(kv_append(store, "c", 1, "x", 1, NULL), KV_ERR_FULL);
  CHECK_STATUS(exists(store, "c"), KV_NOT_FOUND);
  CHECK_STATUS(set_text(store, "a", "2"), KV_OK);
  CHECK_STATUS(kv_incr(store, "b", 1, 1, 0, NULL), KV_OK);
  CHECK_STATUS(kv_del(store, "a", 1), KV_OK);
  CHECK_STATUS(set_text(store, "c", "1"), KV_OK);
  close_store(store);
}

static void amounts_of_memory(void) {
  kv_store_t *store = open_store("max_memory", "1MiB", NULL);
  static char value[4096];
  char key[16];
  kv_stats_t stats = KV_STATS_INIT;
  kv_status_t status = KV_OK;
  char *huge = calloc(1, 2 << 20);
  int stored = 0;
  CHECK(huge != NULL);
  CHECK_STATUS(kv_set(store, "huge", 4, huge, 2 << 20, 0), KV_ERR_TOO_LARGE);
  free(huge);
  while (status == KV_OK && stored < 1000) {
    int len = snprintf(key, sizeof key, "key%d", stored);
    status = kv_set(store, key, (size_t)len, value, sizeof value, 0);
    stored += status == KV_OK;
    CHECK_STATUS(kv_stats(store, &stats), KV_OK);
    CHECK(stats.memory_bytes <= 1 << 20);
  }
  CHECK_STATUS(status, KV_ERR_FULL);
  CHECK(stored > 100 && stored < 256);
  CHECK_INT(stats.entries, stored);
  CHECK_STATUS(kv_del(store, "key0", 4), KV_OK);
  CHECK_STATUS(kv_set(store, key, strlen(key), value, sizeof value, 0), KV_OK);
  close_store(store);
}

static void eviction_makes_room(void) {
  kv_store_t *store = open_store("max_entries", "100", "eviction", "random", NULL);
  kv_stats_t stats = KV_STATS_INIT;
  char key[16];
  for (int n = 0; n < 1000; n++) {
    int len = snprintf(key, sizeof key, "key%d", n);
    CHECK_STATUS(kv_set(store, key, (size_t)len, "v", 1, 0), KV_OK);
    CHECK_STATUS(kv_exists(store, key, (size_t)len), KV_OK);
  }
  CHECK_STATUS(kv_stats(store, &stats), KV_OK);
  CHECK(stats.entries <= 100);
  CHECK_INT(stats.evicted, 1000 - (int64_t)stats.entries);
  close_store(store);
}

int main(void) {
  lengths_of_keys();
  lengths_of_values();
  numbers_of_entries();
  amounts_of_memory();
  eviction_makes_room();
  return 0;
}
