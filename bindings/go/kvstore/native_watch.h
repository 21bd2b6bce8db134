/*
 * The calls of native_watch.go into libkv. Owns nothing; see native.h.
 */
#ifndef KVSTORE_NATIVE_WATCH_H
#define KVSTORE_NATIVE_WATCH_H

#include "native.h"

/* `watch` is the caller's to free. */
typedef struct {
    kv_status_t status;
    kv_watch_t *watch;
} kvgo_watch_t;

/* The bytes are valid until the next call on the watch. */
typedef struct {
    kv_status_t status;
    uint32_t change;
    const char *key, *value;
    size_t key_len, value_len;
    uint64_t revision, lagged;
    int64_t expire_at_ms;
} kvgo_event_t;

static inline kvgo_watch_t kvgo_watch(kvgo_store_t *store, const char *key, size_t key_len, int32_t exact,
                                      uint64_t from_revision, uint32_t changes)
{
    kv_watch_options_t options = KV_WATCH_OPTIONS_INIT;
    kvgo_watch_t answer = {KV_OK, NULL};
    options.key_or_prefix.data = key;
    options.key_or_prefix.len = key_len;
    options.exact = exact;
    options.from_revision = from_revision;
    options.changes = changes;
    answer.status = kv_watch(kvgo_store(store), &options, &answer.watch);
    return answer;
}

static inline kvgo_event_t kvgo_watch_next(kv_watch_t *watch, int64_t timeout_ms)
{
    kv_event_t event = KV_EVENT_INIT;
    kvgo_event_t answer = {KV_OK, 0, NULL, NULL, 0, 0, 0, 0, 0};
    answer.status = kv_watch_next(watch, timeout_ms, &event);
    answer.change = event.change;
    answer.key = event.key.data;
    answer.key_len = event.key.len;
    answer.value = event.value.data;
    answer.value_len = event.value.len;
    answer.revision = event.revision;
    answer.lagged = event.lagged;
    answer.expire_at_ms = event.expire_at_ms;
    return answer;
}

#endif
