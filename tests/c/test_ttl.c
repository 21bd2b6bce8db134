/* Times to live: the special numbers, absolute deadlines, and what moves or keeps a deadline. */

#include "check.h"

#define TEN_MINUTES 600000

static int64_t ttl_of(kv_store_t *store, const char *key) {
  int64_t ttl_ms = -1;
  CHECK_STATUS(kv_ttl(store, key, strlen(key), &ttl_ms), KV_OK);
  return ttl_ms;
}

static int64_t deadline_of(kv_store_t *store, const char *key) {
  kv_value_info_t info = KV_VALUE_INFO_INIT;
  kv_value_t *value = NULL;
  CHECK_STATUS(kv_get(store, key, strlen(key), &value), KV_OK);
  CHECK_STATUS(kv_value_info(value, &info), KV_OK);
  kv_value_free(value);
  return info.expire_at_ms;
}

static void special_numbers(void) {
  kv_store_t *store = open_store("default_ttl", "10m", NULL);
  int64_t before;
  CHECK_STATUS(kv_set(store, "d", 1, "v", 1, KV_TTL_DEFAULT), KV_OK);
  CHECK(ttl_of(store, "d") > 0 && ttl_of(store, "d") <= TEN_MINUTES);
  CHECK_STATUS(kv_set(store, "n", 1, "v", 1, KV_TTL_NONE), KV_OK);
  CHECK(ttl_of(store, "n") == KV_TTL_NONE);
  CHECK(deadline_of(store, "n") == KV_TTL_NONE);
  CHECK_STATUS(kv_set(store, "n", 1, "w", 1, KV_TTL_KEEP), KV_OK);
  CHECK(ttl_of(store, "n") == KV_TTL_NONE);

  before = deadline_of(store, "d");
  CHECK_STATUS(kv_set(store, "d", 1, "w", 1, KV_TTL_KEEP), KV_OK);
  CHECK_INT(deadline_of(store, "d"), before);
  CHECK_STATUS(kv_set(store, "k", 1, "v", 1, KV_TTL_KEEP), KV_OK);
  CHECK(ttl_of(store, "k") <= TEN_MINUTES);

  CHECK_STATUS(kv_set(store, "x", 1, "v", 1, -1), KV_ERR_INVALID);
  CHECK_STATUS(kv_set(store, "x", 1, "v", 1, INT64_MIN + 1), KV_ERR_INVALID);
  CHECK_STATUS(exists(store, "x"), KV_NOT_FOUND);
  CHECK_STATUS(kv_set(store, "far", 3, "v", 1, INT64_MAX - 1), KV_OK);
  CHECK(ttl_of(store, "far") == KV_TTL_NONE);
  close_store(store);
}

static void absolute_deadlines(void) {
  kv_store_t *store = open_store(NULL);
  kv_set_options_t options = KV_SET_OPTIONS_INIT;
  options.expire_at_ms = unix_ms() + TEN_MINUTES;
  options.ttl_ms = 1; /* not used beside a deadline */
  CHECK_STATUS(kv_set_with(store, "k", 1, "v", 1, &options, NULL), KV_OK);
  CHECK_INT(deadline_of(store, "k"), options.expire_at_ms);
  options.expire_at_ms = 1; /* passed long ago: stored and gone */
  CHECK_STATUS(kv_set_with(store, "k", 1, "v", 1, &options, NULL), KV_OK);
  CHECK_STATUS(exists(store, "k"), KV_NOT_FOUND);
  options.expire_at_ms = -1;
  CHECK_STATUS(kv_set_with(store, "k", 1, "v", 1, &options, NULL), KV_ERR_INVALID);
  close_store(store);
}

static void moving_a_deadline(void) {
  kv_store_t *store = open_store(NULL);
  int64_t ttl_ms = 7, at = unix_ms() + TEN_MINUTES;
  CHECK_STATUS(kv_expire(store, "k", 1, 5), KV_NOT_FOUND);
  CHECK_STATUS(kv_expire_at(store, "k", 1, at), KV_NOT_FOUND);
  CHECK_STATUS(kv_persist(store, "k", 1), KV_NOT_FOUND);
  CHECK_STATUS(kv_ttl(store, "k", 1, &ttl_ms), KV_NOT_FOUND);
  CHECK_INT(ttl_ms, 7);

  CHECK_STATUS(set_text(store, "k", "v"), KV_OK);
  CHECK(ttl_of(store, "k") == KV_TTL_NONE);
  CHECK_STATUS(kv_persist(store, "k", 1), KV_OK);
  CHECK_STATUS(kv_expire(store, "k", 1, TEN_MINUTES), KV_OK);
  CHECK(ttl_of(store, "k") > 0 && ttl_of(store, "k") <= TEN_MINUTES);
  CHECK_STATUS(kv_expire_at(store, "k", 1, at + 5), KV_OK);
  CHECK_INT(deadline_of(store, "k"), at + 5);
  CHECK_STATUS(kv_append(store, "k", 1, "w", 1, NULL), KV_OK);
  CHECK_INT(deadline_of(store, "k"), at + 5);
  CHECK_STATUS(kv_persist(store, "k", 1), KV_OK);
  CHECK(ttl_of(store, "k") == KV_TTL_NONE);
  CHECK_STATUS(kv_expire(store, "k", 1, TEN_MINUTES), KV_OK);
  CHECK_STATUS(kv_expire(store, "k", 1, KV_TTL_NONE), KV_OK);
  CHECK(ttl_of(store, "k") == KV_TTL_NONE);
  CHECK_STATUS(kv_expire(store, "k", 1, 0), KV_OK);
  CHECK_STATUS(kv_expire(store, "k", 1, 0), KV_NOT_FOUND);

  CHECK_STATUS(set_text(store, "k", "v"), KV_OK);
  CHECK_STATUS(kv_expire(store, "k", 1, -5), KV_OK);
  CHECK_STATUS(exists(store, "k"), KV_NOT_FOUND);
  CHECK_STATUS(set_text(store, "k", "v"), KV_OK);
  CHECK_STATUS(kv_expire_at(store, "k", 1, at - 2 * TEN_MINUTES), KV_OK);
  CHECK_STATUS(exists(store, "k"), KV_NOT_FOUND);
  close_store(store);
}

static void numbers_keep_their_deadline(void) {
  kv_store_t *store = open_store(NULL);
  int64_t before;
  CHECK_STATUS(kv_incr(store, "n", 1, 1, TEN_MINUTES, NULL), KV_OK);
  before = deadline_of(store, "n");
  CHECK_STATUS(kv_incr(store, "n", 1, 1, KV_TTL_DEFAULT, NULL), KV_OK);
  CHECK_INT(deadline_of(store, "n"), before);
  CHECK_STATUS(kv_incr(store, "n", 1, 1, KV_TTL_NONE, NULL), KV_OK);
  CHECK(ttl_of(store, "n") == KV_TTL_NONE);
  close_store(store);
}

static void what_expired_is_gone_and_freed(void) {
  kv_store_t *store = open_store("cleanup_interval", "1h", NULL);
  kv_stats_t stats = KV_STATS_INIT;
  uint64_t freed = 0;
  CHECK_STATUS(kv_set(store, "k", 1, "v", 1, 1), KV_OK);
  sleep_ms(20);
  CHECK_STATUS(exists(store, "k"), KV_NOT_FOUND);
  CHECK_STATUS(kv_del(store, "k", 1), KV_NOT_FOUND);
  CHECK_STATUS(kv_purge_expired(store, &freed), KV_OK);
  CHECK_STATUS(kv_stats(store, &stats), KV_OK);
  CHECK_INT(stats.entries, 0);
  CHECK_INT(stats.expired, 1);
  CHECK(freed <= 1);
  CHECK_STATUS(kv_purge_expired(store, NULL), KV_OK);
  close_store(store);
}

int main(void) {
  special_numbers();
  absolute_deadlines();
  moving_a_deadline();
  numbers_keep_their_deadline();
  what_expired_is_gone_and_freed();
  return 0;
}
