/*
 * The calls that native.go makes into libkv, each one crossing from Go to C.
 *
 * Owns nothing. What is here and not in Go saves time on every call: several C calls become one from Go,
 * and pointers point to `char`, for which cgo emits no run-time check (a `void *` might lead to further
 * pointers).
 * Only kv.h is used, as any C program would.
 */
#ifndef KVSTORE_NATIVE_H
#define KVSTORE_NATIVE_H

#include <kv.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A kv_store_t, under a name that tells cgo that it leads to no Go pointers. */
typedef struct {
    char opaque;
} kvgo_store_t;

static inline kv_store_t *kvgo_store(kvgo_store_t *store)
{
    return (kv_store_t *)(void *)store;
}

typedef struct {
    kv_status_t status;
    uint64_t number;
} kvgo_number_t;

/* `value` is the caller's to free, and holds `data`; or it is NULL, and the bytes are in the caller's buffer. */
typedef struct {
    kv_value_t *value;
    const char *data;
    size_t len;
    kv_status_t status;
} kvgo_read_t;

typedef struct {
    kvgo_read_t read;
    kv_value_info_t info;
} kvgo_entry_t;

typedef struct {
    kv_status_t status;
    kv_error_t *err;
} kvgo_fault_t;

typedef struct {
    kvgo_store_t *store;
    kv_error_t *err;
    kv_status_t status;
} kvgo_opened_t;

typedef struct {
    kv_status_t status;
    kv_stats_t stats;
} kvgo_stats_t;

typedef struct {
    kv_status_t status;
    kv_latency_t latency;
} kvgo_latency_t;

typedef struct {
    kv_status_t status;
    char *text;
} kvgo_text_t;

static inline kv_status_t kvgo_set(kvgo_store_t *store, const char *key, size_t key_len, const char *value,
                                   size_t value_len, int64_t ttl_ms)
{
    return kv_set(kvgo_store(store), key, key_len, value, value_len, ttl_ms);
}

static inline kvgo_number_t kvgo_set_with(kvgo_store_t *store, const char *key, size_t key_len, const char *value,
                                          size_t value_len, int64_t ttl_ms, int64_t expire_at_ms, int32_t condition,
                                          uint64_t version)
{
    kv_set_options_t options = KV_SET_OPTIONS_INIT;
    kv_set_result_t result = KV_SET_RESULT_INIT;
    kvgo_number_t answer;
    options.ttl_ms = ttl_ms;
    options.expire_at_ms = expire_at_ms;
    options.condition = condition;
    options.version = version;
    answer.status = kv_set_with(kvgo_store(store), key, key_len, value, value_len, &options, &result);
    answer.number = result.version;
    return answer;
}

/* Copies a value into the buffer and frees it, or hands it over where it does not fit. */
static inline kvgo_read_t kvgo_hand_over(kv_status_t status, kv_value_t *value, char *buffer, size_t capacity)
{
    kvgo_read_t read = {NULL, NULL, 0, status};
    if (status != KV_OK) {
        return read;
    }
    read.len = kv_value_len(value);
    if (read.len > capacity) {
        read.value = value;
        read.data = (const char *)kv_value_data(value);
        return read;
    }
    if (read.len > 0) {
        memcpy(buffer, kv_value_data(value), read.len);
    }
    kv_value_free(value);
    return read;
}

/* A value too large for the buffer is fetched again as a handle: the retry then cannot be too small once more. This one
 * writes its answer through a pointer, to a kvgo_read_t: a result costs cgo two calls more, and here they count. */
static inline void kvgo_get(kvgo_store_t *store, const char *key, size_t key_len, char *buffer, size_t capacity,
                            char *answer)
{
    kvgo_read_t *read = (kvgo_read_t *)(void *)answer;
    read->status = kv_get_into(kvgo_store(store), key, key_len, buffer, capacity, &read->len);
    if (read->status == KV_SHORT_BUFFER) {
        kv_value_t *value = NULL;
        kv_status_t status = kv_get(kvgo_store(store), key, key_len, &value);
        *read = kvgo_hand_over(status, value, buffer, capacity);
    }
}

static inline kvgo_read_t kvgo_take(kvgo_store_t *store, const char *key, size_t key_len, char *buffer, size_t capacity)
{
    kv_value_t *value = NULL;
    kv_status_t status = kv_take(kvgo_store(store), key, key_len, &value);
    return kvgo_hand_over(status, value, buffer, capacity);
}

static inline kvgo_entry_t kvgo_entry(kvgo_store_t *store, const char *key, size_t key_len, char *buffer,
                                      size_t capacity)
{
    kv_value_info_t info = KV_VALUE_INFO_INIT;
    kv_value_t *value = NULL;
    kvgo_entry_t entry;
    kv_status_t status = kv_get(kvgo_store(store), key, key_len, &value);
    if (status == KV_OK) {
        status = kv_value_info(value, &info);
        if (status != KV_OK) {
            kv_value_free(value);
        }
    }
    entry.read = kvgo_hand_over(status, value, buffer, capacity);
    entry.info = info;
    return entry;
}

static inline kv_status_t kvgo_del(kvgo_store_t *store, const char *key, size_t key_len)
{
    return kv_del(kvgo_store(store), key, key_len);
}

static inline kv_status_t kvgo_del_if(kvgo_store_t *store, const char *key, size_t key_len, uint64_t version)
{
    return kv_del_if(kvgo_store(store), key, key_len, version);
}

static inline kv_status_t kvgo_exists(kvgo_store_t *store, const char *key, size_t key_len)
{
    return kv_exists(kvgo_store(store), key, key_len);
}

static inline kvgo_number_t kvgo_incr(kvgo_store_t *store, const char *key, size_t key_len, int64_t delta,
                                      int64_t ttl_ms)
{
    int64_t number = 0;
    kvgo_number_t answer;
    answer.status = kv_incr(kvgo_store(store), key, key_len, delta, ttl_ms, &number);
    answer.number = (uint64_t)number;
    return answer;
}

static inline kvgo_number_t kvgo_append(kvgo_store_t *store, const char *key, size_t key_len, const char *data,
                                        size_t data_len)
{
    size_t len = 0;
    kvgo_number_t answer;
    answer.status = kv_append(kvgo_store(store), key, key_len, data, data_len, &len);
    answer.number = len;
    return answer;
}

static inline kv_status_t kvgo_expire(kvgo_store_t *store, const char *key, size_t key_len, int64_t ttl_ms)
{
    return kv_expire(kvgo_store(store), key, key_len, ttl_ms);
}

static inline kv_status_t kvgo_expire_at(kvgo_store_t *store, const char *key, size_t key_len, int64_t unix_ms)
{
    return kv_expire_at(kvgo_store(store), key, key_len, unix_ms);
}

static inline kv_status_t kvgo_persist(kvgo_store_t *store, const char *key, size_t key_len)
{
    return kv_persist(kvgo_store(store), key, key_len);
}

static inline kvgo_number_t kvgo_ttl(kvgo_store_t *store, const char *key, size_t key_len)
{
    int64_t ttl_ms = 0;
    kvgo_number_t answer;
    answer.status = kv_ttl(kvgo_store(store), key, key_len, &ttl_ms);
    answer.number = (uint64_t)ttl_ms;
    return answer;
}

static inline kvgo_number_t kvgo_len(kvgo_store_t *store)
{
    kvgo_number_t answer = {KV_OK, 0};
    answer.status = kv_len(kvgo_store(store), &answer.number);
    return answer;
}

static inline kv_status_t kvgo_clear(kvgo_store_t *store)
{
    return kv_clear(kvgo_store(store));
}

static inline kvgo_number_t kvgo_purge_expired(kvgo_store_t *store)
{
    kvgo_number_t answer = {KV_OK, 0};
    answer.status = kv_purge_expired(kvgo_store(store), &answer.number);
    return answer;
}

static inline kvgo_number_t kvgo_capabilities(kvgo_store_t *store)
{
    kvgo_number_t answer = {KV_OK, 0};
    answer.status = kv_capabilities(kvgo_store(store), &answer.number);
    return answer;
}

static inline kvgo_stats_t kvgo_stats(kvgo_store_t *store)
{
    kv_stats_t stats = KV_STATS_INIT;
    kvgo_stats_t answer;
    answer.status = kv_stats(kvgo_store(store), &stats);
    answer.stats = stats;
    return answer;
}

static inline kvgo_stats_t kvgo_shard_stats(kvgo_store_t *store, size_t shard)
{
    kv_stats_t stats = KV_STATS_INIT;
    kvgo_stats_t answer;
    answer.status = kv_shard_stats(kvgo_store(store), shard, &stats);
    answer.stats = stats;
    return answer;
}

static inline kvgo_latency_t kvgo_latency(kvgo_store_t *store, int32_t timed)
{
    kv_latency_t latency = KV_LATENCY_INIT;
    kvgo_latency_t answer;
    answer.status = kv_latency(kvgo_store(store), timed, &latency);
    answer.latency = latency;
    return answer;
}

static inline kvgo_text_t kvgo_stats_text(kvgo_store_t *store, const char *format)
{
    kvgo_text_t answer = {KV_OK, NULL};
    answer.status = kv_stats_text(kvgo_store(store), format, &answer.text);
    return answer;
}

static inline kvgo_fault_t kvgo_options_set(kv_options_t *options, const char *name, const char *value)
{
    kvgo_fault_t fault = {KV_OK, NULL};
    fault.status = kv_options_set(options, name, value, &fault.err);
    return fault;
}

/* Go functions, which cgo exports. `listener` is a number that stands for a Go value. */
void kvgoRemoved(uintptr_t listener, uint32_t change, char *key, size_t key_len, char *value, size_t value_len);
void kvgoFinalize(uintptr_t listener);

static inline void kvgo_removed(void *listener, uint32_t change, const void *key, size_t key_len, const void *value,
                                size_t value_len)
{
    kvgoRemoved((uintptr_t)listener, change, (char *)(uintptr_t)key, key_len, (char *)(uintptr_t)value, value_len);
}

static inline void kvgo_finalize(void *listener)
{
    kvgoFinalize((uintptr_t)listener);
}

static inline kv_status_t kvgo_options_on_remove(kv_options_t *options, uint32_t changes, uintptr_t listener)
{
    return kv_options_on_remove(options, changes, kvgo_removed, (void *)listener, kvgo_finalize);
}

void kvgoProgress(uintptr_t listener, uint32_t phase, uint64_t done_bytes, uint64_t total_bytes);

static inline void kvgo_progress(void *listener, uint32_t phase, uint64_t done_bytes, uint64_t total_bytes)
{
    kvgoProgress((uintptr_t)listener, phase, done_bytes, total_bytes);
}

static inline kv_status_t kvgo_options_on_progress(kv_options_t *options, uintptr_t listener)
{
    return kv_options_on_progress(options, kvgo_progress, (void *)listener, kvgo_finalize);
}

static inline kvgo_opened_t kvgo_open(const char *location, const kv_options_t *options)
{
    kvgo_opened_t opened = {NULL, NULL, KV_OK};
    kv_store_t *store = NULL;
    opened.status = kv_open(location, options, &store, &opened.err);
    opened.store = (kvgo_store_t *)(void *)store;
    return opened;
}

static inline kvgo_fault_t kvgo_configure(kvgo_store_t *store, const char *name, const char *value)
{
    kvgo_fault_t fault = {KV_OK, NULL};
    fault.status = kv_configure(kvgo_store(store), name, value, &fault.err);
    return fault;
}

static inline kvgo_fault_t kvgo_last_fault(kvgo_store_t *store)
{
    kvgo_fault_t fault = {KV_OK, NULL};
    fault.status = kv_last_fault(kvgo_store(store), &fault.err);
    return fault;
}

static inline kvgo_fault_t kvgo_shutdown(kvgo_store_t *store)
{
    kvgo_fault_t fault = {KV_OK, NULL};
    fault.status = kv_shutdown(kvgo_store(store), &fault.err);
    return fault;
}

static inline kvgo_fault_t kvgo_close(kvgo_store_t *store)
{
    kvgo_fault_t fault = {KV_OK, NULL};
    fault.status = kv_close(kvgo_store(store), &fault.err);
    return fault;
}

#endif
