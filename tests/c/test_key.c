/* Calls on single keys and the read of many: outcomes, and outputs that are written only with the
 * status that promises them. */

#include "check.h"

static void set_get_del(kv_store_t *store) {
  kv_value_t *value = (kv_value_t *)store; /* not written unless found */
  CHECK_STATUS(kv_get(store, "k", 1, &value), KV_NOT_FOUND);
  CHECK(value == (kv_value_t *)store);
  CHECK_STATUS(set_text(store, "k", "one"), KV_OK);
  CHECK_VALUE(store, "k", "one");
  CHECK_STATUS(set_text(store, "k", "two"), KV_OK);
  CHECK_VALUE(store, "k", "two");
  CHECK_STATUS(exists(store, "k"), KV_OK);
  CHECK_STATUS(kv_del(store, "k", 1), KV_OK);
  CHECK_STATUS(kv_del(store, "k", 1), KV_NOT_FOUND);
  CHECK_STATUS(exists(store, "k"), KV_NOT_FOUND);
}

static void any_bytes(kv_store_t *store) {
  static const unsigned char key[] = {0, 255, 0, 10, 128};
  kv_value_t *value = NULL;
  CHECK_STATUS(kv_set(store, key, sizeof key, "a\0b", 3, 0), KV_OK);
  CHECK_STATUS(kv_set(store, key, 1, "short", 5, 0), KV_OK);
  CHECK_STATUS(kv_get(store, key, sizeof key, &value), KV_OK);
  CHECK_INT(kv_value_len(value), 3);
  CHECK(memcmp(kv_value_data(value), "a\0b", 3) == 0);
  kv_value_free(value);

  /* The empty key and the empty value, with and without a pointer. */
  CHECK_STATUS(kv_set(store, NULL, 0, NULL, 0, 0), KV_OK);
  CHECK_STATUS(kv_get(store, "", 0, &value), KV_OK);
  CHECK_INT(kv_value_len(value), 0);
  CHECK(kv_value_data(value) != NULL);
  kv_value_free(value);
  CHECK_STATUS(kv_del(store, "", 0), KV_OK);
}

static void get_into(kv_store_t *store) {
  char buffer[8] = "untouch";
  size_t len = 99;
  CHECK_STATUS(kv_get_into(store, "k", 1, buffer, sizeof buffer, &len), KV_NOT_FOUND);
  CHECK_INT(len, 99);
  CHECK_STATUS(set_text(store, "k", "four"), KV_OK);
  CHECK_STATUS(kv_get_into(store, "k", 1, buffer, 3, &len), KV_SHORT_BUFFER);
  CHECK_INT(len, 4);
  CHECK(strcmp(buffer, "untouch") == 0);
  CHECK_STATUS(kv_get_into(store, "k", 1, NULL, 0, &len), KV_SHORT_BUFFER);
  CHECK_INT(len, 4);
  CHECK_STATUS(kv_get_into(store, "k", 1, buffer, 4, &len), KV_OK);
  CHECK(memcmp(buffer, "fouruch", 8) == 0);
  CHECK_STATUS(set_text(store, "k", ""), KV_OK);
  CHECK_STATUS(kv_get_into(store, "k", 1, NULL, 0, &len), KV_OK);
  CHECK_INT(len, 0);
  CHECK_STATUS(kv_del(store, "k", 1), KV_OK);
}

static kv_status_t set_if(kv_store_t *store, const char *value, int32_t condition,
                          uint64_t version, uint64_t *out_version) {
  kv_set_options_t options = KV_SET_OPTIONS_INIT;
  kv_set_result_t result = KV_SET_RESULT_INIT;
  kv_status_t status;
  options.condition = condition;
  options.version = version;
  result.version = *out_version;
  status = kv_set_with(store, "k", 1, value, strlen(value), &options, &result);
  *out_version = result.version;
  CHECK_INT(result.struct_size, sizeof result);
  return status;
}

static void conditions(kv_store_t *store) {
  uint64_t version = 77, first;
  CHECK_STATUS(set_if(store, "x", KV_IF_PRESENT, 0, &version), KV_NOT_FOUND);
  CHECK_STATUS(set_if(store, "x", KV_IF_VERSION, 1, &version), KV_NOT_FOUND);
  CHECK_INT(version, 77);
  CHECK_STATUS(set_if(store, "one", KV_IF_ABSENT, 0, &version), KV_OK);
  CHECK(version != 77 && version != 0);
  first = version;
  CHECK_STATUS(set_if(store, "x", KV_IF_ABSENT, 0, &version), KV_EXISTS);
  CHECK(version == first);
  CHECK_STATUS(set_if(store, "two", KV_IF_VERSION, first, &version), KV_OK);
  CHECK(version > first);
  CHECK_STATUS(set_if(store, "x", KV_IF_VERSION, first, &first), KV_CONFLICT);
  CHECK_STATUS(set_if(store, "three", KV_IF_PRESENT, 0, &version), KV_OK);
  CHECK_STATUS(set_if(store, "four", KV_IF_ANY, 0, &version), KV_OK);
  CHECK_VALUE(store, "k", "four");

  CHECK_STATUS(kv_del_if(store, "k", 1, first), KV_CONFLICT);
  CHECK_STATUS(kv_del_if(store, "k", 1, version), KV_OK);
  CHECK_STATUS(kv_del_if(store, "k", 1, version), KV_NOT_FOUND);

  /* No options are the defaults, and nobody has to take the version. */
  CHECK_STATUS(kv_set_with(store, "k", 1, "five", 4, NULL, NULL), KV_OK);
  CHECK_VALUE(store, "k", "five");
  CHECK_STATUS(kv_del(store, "k", 1), KV_OK);
}

static void take(kv_store_t *store) {
  kv_value_t *value = NULL;
  CHECK_STATUS(kv_take(store, "k", 1, &value), KV_NOT_FOUND);
  CHECK(value == NULL);
  CHECK_STATUS(set_text(store, "k", "once"), KV_OK);
  CHECK_STATUS(kv_take(store, "k", 1, &value), KV_OK);
  CHECK(kv_value_len(value) == 4 && memcmp(kv_value_data(value), "once", 4) == 0);
  kv_value_free(value);
  CHECK_STATUS(exists(store, "k"), KV_NOT_FOUND);
}

static void incr_and_append(kv_store_t *store) {
  int64_t number = 0;
  size_t len = 0;
  CHECK_STATUS(kv_incr(store, "n", 1, 5, KV_TTL_DEFAULT, &number), KV_OK);
  CHECK_INT(number, 5);
  CHECK_STATUS(kv_incr(store, "n", 1, -7, KV_TTL_KEEP, NULL), KV_OK);
  CHECK_VALUE(store, "n", "-2");
  CHECK_STATUS(set_text(store, "n", "9223372036854775807"), KV_OK);
  CHECK_STATUS(kv_incr(store, "n", 1, 1, KV_TTL_DEFAULT, &number), KV_ERR_TYPE);
  CHECK_INT(number, 5);
  CHECK_VALUE(store, "n", "9223372036854775807");
  CHECK_STATUS(kv_incr(store, "n", 1, 1, -5, &number), KV_ERR_INVALID);

  CHECK_STATUS(kv_append(store, "n", 1, "a", 1, &len), KV_OK);
  CHECK_INT(len, 20);
  CHECK_STATUS(kv_incr(store, "n", 1, 1, KV_TTL_DEFAULT, NULL), KV_ERR_TYPE);
  CHECK_STATUS(kv_append(store, "a", 1, "ab", 2, NULL), KV_OK);
  CHECK_STATUS(kv_append(store, "a", 1, NULL, 0, &len), KV_OK);
  CHECK_INT(len, 2);
  CHECK_VALUE(store, "a", "ab");
  CHECK_STATUS(kv_clear(store), KV_OK);
}

static void get_many(kv_store_t *store) {
  kv_slice_t keys[4] = {{"a", 1}, {"gone", 4}, {NULL, 0}, {"a", 1}};
  kv_value_t *values[4];
  memset(values, 0xff, sizeof values);
  CHECK_STATUS(set_text(store, "a", "1"), KV_OK);
  CHECK_STATUS(set_text(store, "", "empty"), KV_OK);
  CHECK_STATUS(kv_get_many(store, keys, 4, values), KV_OK);
  CHECK(kv_value_len(values[0]) == 1 && values[1] == NULL);
  CHECK(kv_value_len(values[2]) == 5 && kv_value_len(values[3]) == 1);
  kv_values_free(values, 4);
  CHECK(values[0] == NULL && values[3] == NULL);

  /* An error clears everything, also what stood there before. */
  memset(values, 0xff, sizeof values);
  keys[3].data = NULL;
  CHECK_STATUS(kv_get_many(store, keys, 4, values), KV_ERR_INVALID);
  for (int n = 0; n < 4; n++) {
    CHECK(values[n] == NULL);
  }
  CHECK_STATUS(kv_get_many(store, NULL, 0, NULL), KV_OK);
  CHECK_STATUS(kv_clear(store), KV_OK);
}

static void all_of_the_store(kv_store_t *store) {
  uint64_t count = 99;
  CHECK_STATUS(kv_len(store, &count), KV_OK);
  CHECK_INT(count, 0);
  CHECK_STATUS(set_text(store, "a", "1"), KV_OK);
  CHECK_STATUS(set_text(store, "b", "2"), KV_OK);
  CHECK_STATUS(kv_len(store, &count), KV_OK);
  CHECK_INT(count, 2);
  CHECK_STATUS(kv_clear(store), KV_OK);
  CHECK_STATUS(kv_len(store, &count), KV_OK);
  CHECK_INT(count, 0);
}

static void statistics(kv_store_t *store) {
  kv_stats_t stats = KV_STATS_INIT;
  char *text = NULL;
  CHECK_STATUS(set_text(store, "key", "value"), KV_OK);
  CHECK_VALUE(store, "key", "value");
  CHECK_STATUS(kv_stats(store, &stats), KV_OK);
  CHECK_INT(stats.struct_size, sizeof stats);
  CHECK_INT(stats.entries, 1);
  CHECK_INT(stats.key_bytes, 3);
  CHECK_INT(stats.value_bytes, 5);
  CHECK(stats.memory_bytes > 8 && stats.hits > 0 && stats.gets == stats.hits + stats.misses);
  CHECK(stats.revision > 0);

  CHECK_STATUS(kv_stats_text(store, "json", &text), KV_OK);
  CHECK_TEXT_HAS(text, "\"entries\":1");
  kv_string_free(text);
  CHECK_STATUS(kv_stats_text(store, "prometheus", &text), KV_OK);
  CHECK_TEXT_HAS(text, "kv_entries 1\n");
  kv_string_free(text);
  text = NULL;
  CHECK(kv_stats_text(store, "xml", &text) < 0);
  CHECK_STATUS(kv_stats_text(store, NULL, &text), KV_ERR_INVALID);
  CHECK(text == NULL);
  kv_string_free(NULL);
}

/* The parts of the memory add up, and so do the shards. */
static void statistics_of_parts(kv_store_t *store) {
  kv_stats_t stats = KV_STATS_INIT;
  kv_stats_t shard = KV_STATS_INIT;
  uint64_t entries = 0, gets = 0, bytes = 0;
  size_t shards = 0;
  CHECK_STATUS(kv_stats(store, &stats), KV_OK);
  while (kv_shard_stats(store, shards, &shard) == KV_OK) {
    entries += shard.entries;
    gets += shard.gets;
    bytes += shard.memory_bytes;
    CHECK_INT(shard.revision, 0);
    shards++;
  }
  CHECK(shards > 0);
  CHECK_INT(entries, stats.entries);
  CHECK_INT(gets, stats.gets);
  CHECK_INT(bytes, stats.memory_bytes);
  CHECK_INT(bytes, stats.index_bytes + stats.entry_bytes + stats.large_bytes + stats.expiry_bytes +
                       stats.policy_bytes + stats.order_bytes);
  CHECK(stats.hit_ratio > 0.0 && stats.hit_ratio <= 1.0);
  CHECK_STATUS(kv_shard_stats(store, SIZE_MAX, &shard), KV_NOT_FOUND);
  CHECK_STATUS(kv_shard_stats(store, 0, NULL), KV_ERR_INVALID);
  CHECK_STATUS(kv_shard_stats(NULL, 0, &shard), KV_ERR_INVALID);
}

/* A program that was built before the struct grew gets what it knows and not a byte more. */
static void statistics_of_old_programs(kv_store_t *store) {
  kv_stats_t stats = KV_STATS_INIT;
  stats.struct_size = offsetof(kv_stats_t, index_bytes);
  stats.index_bytes = 99;
  CHECK_STATUS(kv_stats(store, &stats), KV_OK);
  CHECK(stats.revision > 0);
  CHECK_INT(stats.index_bytes, 99);
  stats.struct_size--;
  CHECK_STATUS(kv_stats(store, &stats), KV_ERR_INVALID);
}

static void latencies(kv_store_t *store) {
  kv_latency_t latency = KV_LATENCY_INIT;
  char *text = NULL;
  CHECK_STATUS(kv_latency(store, KV_TIMED_SET, &latency), KV_OK);
  CHECK_INT(latency.count, 0);
  CHECK_INT(latency.max_ns, 0);
  CHECK_STATUS(kv_configure(store, "latency", "full", NULL), KV_OK);
  CHECK_STATUS(set_text(store, "key", "value"), KV_OK);
  CHECK_VALUE(store, "key", "value");
  CHECK_STATUS(kv_configure(store, "latency", "off", NULL), KV_OK);
  CHECK_STATUS(set_text(store, "key", "value"), KV_OK);
  CHECK_STATUS(kv_latency(store, KV_TIMED_SET, &latency), KV_OK);
  CHECK_INT(latency.count, 1);
  CHECK(latency.sum_ns > 0 && latency.max_ns >= latency.sum_ns);
  CHECK(latency.p50_ns == latency.max_ns && latency.p999_ns == latency.max_ns);
  CHECK_STATUS(kv_stats_text(store, "prometheus", &text), KV_OK);
  CHECK_TEXT_HAS(text, "kv_latency_seconds_count{call=\"set\"} 1\n");
  kv_string_free(text);
  CHECK_STATUS(kv_latency(store, 0, &latency), KV_ERR_INVALID);
  CHECK_STATUS(kv_latency(store, 4, &latency), KV_ERR_INVALID);
  CHECK_STATUS(kv_latency(store, KV_TIMED_GET, NULL), KV_ERR_INVALID);
}

int main(void) {
  kv_store_t *store = open_store(NULL);
  set_get_del(store);
  any_bytes(store);
  get_into(store);
  conditions(store);
  take(store);
  incr_and_append(store);
  CHECK_STATUS(kv_clear(store), KV_OK);
  get_many(store);
  all_of_the_store(store);
  statistics(store);
  statistics_of_parts(store);
  statistics_of_old_programs(store);
  latencies(store);
  close_store(store);
  return 0;
}
