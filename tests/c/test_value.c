/* Values in the caller's hands: they keep their bytes, whatever happens to the key or the store. */

#include "check.h"

static kv_value_t *get(kv_store_t *store, const char *key) {
  kv_value_t *value = NULL;
  CHECK_STATUS(kv_get(store, key, strlen(key), &value), KV_OK);
  CHECK(value != NULL);
  return value;
}

static void they_outlive_key_and_store(void) {
  /* One that is small, and one that is large enough to be shared with the store. */
  enum { LARGE = 1 << 20 };
  kv_store_t *store = open_store(NULL);
  char *bytes = malloc(LARGE);
  kv_value_t *small, *large, *again;
  CHECK(bytes != NULL);
  memset(bytes, 'x', LARGE);
  CHECK_STATUS(set_text(store, "small", "bytes"), KV_OK);
  CHECK_STATUS(kv_set(store, "large", 5, bytes, LARGE, 0), KV_OK);
  small = get(store, "small");
  large = get(store, "large");
  again = get(store, "large");

  CHECK_STATUS(set_text(store, "small", "other"), KV_OK);
  CHECK_STATUS(kv_append(store, "large", 5, "y", 1, NULL), KV_OK);
  CHECK_STATUS(kv_clear(store), KV_OK);
  CHECK(kv_value_len(small) == 5 && memcmp(kv_value_data(small), "bytes", 5) == 0);
  close_store(store);
  kv_value_free(again);
  CHECK(kv_value_len(small) == 5 && memcmp(kv_value_data(small), "bytes", 5) == 0);
  CHECK(kv_value_len(large) == LARGE && memcmp(kv_value_data(large), bytes, LARGE) == 0);
  kv_value_free(small);
  kv_value_free(large);
  free(bytes);
}

static void they_tell_what_is_known_of_them(void) {
  kv_store_t *store = open_store(NULL);
  kv_set_options_t options = KV_SET_OPTIONS_INIT;
  kv_set_result_t result = KV_SET_RESULT_INIT;
  kv_value_info_t info = KV_VALUE_INFO_INIT;
  kv_value_t *value;
  options.expire_at_ms = unix_ms() + 600000;
  CHECK_STATUS(kv_set_with(store, "k", 1, "v", 1, &options, &result), KV_OK);
  value = get(store, "k");
  CHECK_STATUS(kv_value_info(value, &info), KV_OK);
  CHECK_INT(info.struct_size, sizeof info);
  CHECK(info.version == result.version);
  CHECK_INT(info.expire_at_ms, options.expire_at_ms);
  CHECK_INT(info.created_at_ms, -1);
  CHECK_INT(info.hits, 0);

  /* What it tells is of the moment it was read. */
  CHECK_STATUS(kv_persist(store, "k", 1), KV_OK);
  CHECK_STATUS(kv_value_info(value, &info), KV_OK);
  CHECK_INT(info.expire_at_ms, options.expire_at_ms);
  kv_value_free(value);
  value = get(store, "k");
  CHECK_STATUS(kv_value_info(value, &info), KV_OK);
  CHECK(info.expire_at_ms == KV_TTL_NONE && info.version > result.version);
  kv_value_free(value);
  close_store(store);
}

static void entry_stats(void) {
  kv_store_t *store = open_store("entry_stats", "true", NULL);
  kv_value_info_t info = KV_VALUE_INFO_INIT;
  kv_value_t *value;
  CHECK_STATUS(set_text(store, "k", "v"), KV_OK);
  kv_value_free(get(store, "k"));
  value = get(store, "k");
  CHECK_STATUS(kv_value_info(value, &info), KV_OK);
  CHECK(info.created_at_ms > 1500000000000 && info.hits > 0);
  kv_value_free(value);
  close_store(store);
}

static void what_callers_hold_is_counted(void) {
  enum { LARGE = 1 << 20 };
  kv_store_t *store = open_store(NULL);
  kv_stats_t stats = KV_STATS_INIT;
  char *bytes = calloc(1, LARGE);
  kv_value_t *value;
  CHECK(bytes != NULL);
  CHECK_STATUS(kv_set(store, "k", 1, bytes, LARGE, 0), KV_OK);
  value = get(store, "k");
  CHECK_STATUS(kv_del(store, "k", 1), KV_OK);
  CHECK_STATUS(kv_stats(store, &stats), KV_OK);
  CHECK(stats.pinned_bytes >= LARGE);
  kv_value_free(value);
  CHECK_STATUS(kv_stats(store, &stats), KV_OK);
  CHECK_INT(stats.pinned_bytes, 0);
  close_store(store);
  free(bytes);
}

static void nothing_is_fine_to_free(void) {
  kv_value_t *none[2] = {NULL, NULL};
  kv_value_free(NULL);
  kv_values_free(NULL, 0);
  kv_values_free(NULL, 3);
  kv_values_free(none, 2);
  CHECK(kv_value_data(NULL) == NULL);
  CHECK_INT(kv_value_len(NULL), 0);
}

int main(void) {
  they_outlive_key_and_store();
  they_tell_what_is_known_of_them();
  entry_stats();
  what_callers_hold_is_counted();
  nothing_is_fine_to_free();
  return 0;
}
