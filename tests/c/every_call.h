/* Every function of kv.h that takes a store, called with arguments that are in order, so that a test
 * can say one thing about all of them. kv_close is left to the test, since it ends the handle.
 * A test of the library's Rust side holds this list against kv.h. */

#ifndef KV_TEST_EVERY_CALL_H
#define KV_TEST_EVERY_CALL_H

#include "check.h"

/* What a call does once the store was poisoned or shut down. RECALLS answers whatever happened. */
enum { READS, WRITES, STOPS, TELLS, RECALLS };

typedef struct {
  const char *name;
  int kind;
  kv_status_t (*call)(kv_store_t *store);
} every_call_t;

static inline kv_status_t call_configure(kv_store_t *store) {
  return kv_configure(store, "max_entries", "1000000", NULL);
}

static inline kv_status_t call_last_fault(kv_store_t *store) {
  kv_error_t *fault = NULL;
  kv_status_t status = kv_last_fault(store, &fault);
  kv_error_free(fault);
  return status;
}

static inline kv_status_t call_shutdown(kv_store_t *store) { return kv_shutdown(store, NULL); }

static inline kv_status_t call_set(kv_store_t *store) { return kv_set(store, "k", 1, "v", 1, 0); }

static inline kv_status_t call_set_with(kv_store_t *store) {
  kv_set_options_t options = KV_SET_OPTIONS_INIT;
  return kv_set_with(store, "k", 1, "v", 1, &options, NULL);
}

static inline kv_status_t call_get(kv_store_t *store) {
  kv_value_t *value = NULL;
  kv_status_t status = kv_get(store, "k", 1, &value);
  kv_value_free(value);
  return status;
}

static inline kv_status_t call_get_into(kv_store_t *store) {
  char buffer[16];
  size_t len;
  return kv_get_into(store, "k", 1, buffer, sizeof buffer, &len);
}

static inline kv_status_t call_take(kv_store_t *store) {
  kv_value_t *value = NULL;
  kv_status_t status = kv_take(store, "k", 1, &value);
  kv_value_free(value);
  return status;
}

static inline kv_status_t call_del(kv_store_t *store) { return kv_del(store, "k", 1); }

static inline kv_status_t call_del_if(kv_store_t *store) { return kv_del_if(store, "k", 1, 1); }

static inline kv_status_t call_exists(kv_store_t *store) { return kv_exists(store, "k", 1); }

static inline kv_status_t call_incr(kv_store_t *store) {
  return kv_incr(store, "n", 1, 1, 0, NULL);
}

static inline kv_status_t call_append(kv_store_t *store) {
  return kv_append(store, "k", 1, "v", 1, NULL);
}

static inline kv_status_t call_expire(kv_store_t *store) {
  return kv_expire(store, "k", 1, 600000);
}

static inline kv_status_t call_expire_at(kv_store_t *store) {
  return kv_expire_at(store, "k", 1, KV_TTL_NONE);
}

static inline kv_status_t call_persist(kv_store_t *store) { return kv_persist(store, "k", 1); }

static inline kv_status_t call_ttl(kv_store_t *store) {
  int64_t ttl_ms;
  return kv_ttl(store, "k", 1, &ttl_ms);
}

static inline kv_status_t call_get_many(kv_store_t *store) {
  kv_slice_t key = {"k", 1};
  kv_value_t *value = NULL;
  kv_status_t status = kv_get_many(store, &key, 1, &value);
  kv_value_free(value);
  return status;
}

static inline kv_status_t call_get_packed(kv_store_t *store) {
  const size_t key_len = 1;
  char buffer[16];
  kv_span_t span;
  size_t len;
  return kv_get_packed(store, "k", &key_len, 1, buffer, sizeof buffer, &span, &len, NULL);
}

static inline kv_status_t call_set_packed(kv_store_t *store) {
  const size_t len = 1;
  return kv_set_packed(store, "k", &len, "v", &len, 1, KV_TTL_DEFAULT, NULL);
}

static inline kv_status_t call_del_packed(kv_store_t *store) {
  const size_t key_len = 1;
  return kv_del_packed(store, "k", &key_len, 1, NULL, NULL);
}

static inline kv_status_t call_write(kv_store_t *store) {
  kv_batch_t *batch = kv_batch_new();
  kv_batch_set(batch, "k", 1, "v", 1, KV_TTL_DEFAULT);
  kv_status_t status = kv_write(store, batch, NULL, NULL);
  kv_batch_free(batch);
  return status;
}

static inline kv_status_t call_scan(kv_store_t *store) {
  kv_scan_t *scan = NULL;
  kv_status_t status = kv_scan(store, NULL, &scan);
  kv_scan_free(scan);
  return status;
}

static inline kv_status_t call_len(kv_store_t *store) {
  uint64_t count;
  return kv_len(store, &count);
}

static inline kv_status_t call_capabilities(kv_store_t *store) {
  uint64_t capabilities;
  return kv_capabilities(store, &capabilities);
}

static inline kv_status_t call_clear(kv_store_t *store) { return kv_clear(store); }

static inline kv_status_t call_purge_expired(kv_store_t *store) {
  return kv_purge_expired(store, NULL);
}

static inline kv_status_t call_stats(kv_store_t *store) {
  kv_stats_t stats = KV_STATS_INIT;
  return kv_stats(store, &stats);
}

static inline kv_status_t call_shard_stats(kv_store_t *store) {
  kv_stats_t stats = KV_STATS_INIT;
  return kv_shard_stats(store, 0, &stats);
}

static inline kv_status_t call_latency(kv_store_t *store) {
  kv_latency_t latency = KV_LATENCY_INIT;
  return kv_latency(store, KV_TIMED_SET, &latency);
}

static inline kv_status_t call_stats_text(kv_store_t *store) {
  char *text = NULL;
  kv_status_t status = kv_stats_text(store, "json", &text);
  kv_string_free(text);
  return status;
}

static inline kv_status_t call_sync(kv_store_t *store) { return kv_sync(store, NULL); }

/* The file stays, and the next call replaces it. */
static inline kv_status_t call_snapshot(kv_store_t *store) {
  kv_snapshot_info_t info = KV_SNAPSHOT_INFO_INIT;
  return kv_snapshot(store, "every_call.kvs", &info, NULL, NULL);
}

/* The tests do not come so far that the file would be read. */
static inline kv_status_t call_restore(kv_store_t *store) {
  return kv_restore(store, "every_call.kvs", NULL);
}

static inline kv_status_t call_recovery_report(kv_store_t *store) {
  char *json = NULL;
  kv_status_t status = kv_recovery_report(store, &json);
  kv_string_free(json);
  return status;
}

static inline kv_status_t call_watch(kv_store_t *store) {
  kv_watch_t *watch = NULL;
  kv_status_t status = kv_watch(store, NULL, &watch);
  kv_watch_free(watch);
  return status;
}

static const every_call_t every_call[] = {
    {"kv_configure", WRITES, call_configure},
    {"kv_last_fault", TELLS, call_last_fault},
    {"kv_set", WRITES, call_set},
    {"kv_set_with", WRITES, call_set_with},
    {"kv_get", READS, call_get},
    {"kv_get_into", READS, call_get_into},
    {"kv_take", WRITES, call_take},
    {"kv_del", WRITES, call_del},
    {"kv_del_if", WRITES, call_del_if},
    {"kv_exists", READS, call_exists},
    {"kv_incr", WRITES, call_incr},
    {"kv_append", WRITES, call_append},
    {"kv_expire", WRITES, call_expire},
    {"kv_expire_at", WRITES, call_expire_at},
    {"kv_persist", WRITES, call_persist},
    {"kv_ttl", READS, call_ttl},
    {"kv_get_many", READS, call_get_many},
    {"kv_get_packed", READS, call_get_packed},
    {"kv_set_packed", WRITES, call_set_packed},
    {"kv_del_packed", WRITES, call_del_packed},
    {"kv_write", WRITES, call_write},
    {"kv_scan", READS, call_scan},
    {"kv_len", READS, call_len},
    {"kv_capabilities", RECALLS, call_capabilities},
    {"kv_clear", WRITES, call_clear},
    {"kv_purge_expired", WRITES, call_purge_expired},
    {"kv_sync", WRITES, call_sync},
    {"kv_snapshot", READS, call_snapshot},
    {"kv_restore", WRITES, call_restore},
    {"kv_recovery_report", RECALLS, call_recovery_report},
    {"kv_stats", READS, call_stats},
    {"kv_shard_stats", READS, call_shard_stats},
    {"kv_latency", READS, call_latency},
    {"kv_stats_text", READS, call_stats_text},
    {"kv_watch", READS, call_watch},
    {"kv_shutdown", STOPS, call_shutdown},
};

enum { EVERY_CALL = sizeof every_call / sizeof every_call[0] };

#endif /* KV_TEST_EVERY_CALL_H */
