/*
 * The call of native_batch.go into libkv: a batch, packed, is one crossing from Go to C. As native.h, on which it builds,
 * it owns nothing.
 */
#ifndef KVSTORE_NATIVE_BATCH_H
#define KVSTORE_NATIVE_BATCH_H

#include "native.h"

enum { KVGO_PUT, KVGO_DELETE, KVGO_EXPIRE };

/* One change. The bytes of its key, and behind them those of its value, follow those of the change before. */
typedef struct {
    size_t key_len, value_len;
    int64_t ttl_ms, expire_at_ms;
    uint64_t version;
    int32_t condition, kind;
} kvgo_change_t;

/* What writing came to. `failed` is the change that a negative status without an error, or KV_CONFLICT, is about. */
typedef struct {
    kv_error_t *err;
    uint64_t applied, missing, failed;
    kv_status_t status;
} kvgo_written_t;

static inline kv_status_t kvgo_batch_add(kv_batch_t *batch, const kvgo_change_t *change, const char *bytes)
{
    const char *value = bytes + change->key_len;
    kv_set_options_t options = KV_SET_OPTIONS_INIT;
    switch (change->kind) {
    case KVGO_DELETE:
        return kv_batch_del(batch, bytes, change->key_len);
    case KVGO_EXPIRE:
        return kv_batch_expire(batch, bytes, change->key_len, change->ttl_ms);
    }
    if (change->condition == KV_IF_ANY && change->expire_at_ms == 0) {
        return kv_batch_set(batch, bytes, change->key_len, value, change->value_len, change->ttl_ms);
    }
    options.ttl_ms = change->ttl_ms;
    options.expire_at_ms = change->expire_at_ms;
    options.condition = change->condition;
    options.version = change->version;
    return kv_batch_set_with(batch, bytes, change->key_len, value, change->value_len, &options);
}

static inline void kvgo_write(kvgo_store_t *store, const kvgo_change_t *changes, size_t count, const char *bytes,
                              char *answer)
{
    kvgo_written_t *written = (kvgo_written_t *)(void *)answer;
    kv_batch_result_t result = KV_BATCH_RESULT_INIT;
    kv_batch_t *batch = kv_batch_new();
    size_t i;
    if (bytes == NULL) {
        bytes = ""; /* there are none, and nothing may be added to NULL */
    }
    written->err = NULL;
    written->status = batch == NULL ? KV_ERR_NO_MEMORY : KV_OK;
    for (i = 0; i < count && written->status == KV_OK; i++) {
        written->failed = i;
        written->status = kvgo_batch_add(batch, &changes[i], bytes);
        bytes += changes[i].key_len + changes[i].value_len;
    }
    if (written->status == KV_OK) {
        written->status = kv_write(kvgo_store(store), batch, &result, &written->err);
        written->applied = result.applied;
        written->missing = result.missing;
        written->failed = result.failed_index;
    }
    kv_batch_free(batch);
}

#endif
