/*
 * The packed calls that native_many.go makes into libkv, each one crossing from Go to C. As native.h, on which it
 * builds, it owns nothing.
 */
#ifndef KVSTORE_NATIVE_MANY_H
#define KVSTORE_NATIVE_MANY_H

#include "native.h"

/* What a packed call answered. It is written through a pointer, as kvgo_get's answer is. `number` is the bytes of all
 * values, or the count of deleted keys. */
typedef struct {
    kv_error_t *err;
    uint64_t number;
    kv_status_t status;
} kvgo_many_t;

static inline void kvgo_get_packed(kvgo_store_t *store, const char *keys, const size_t *key_lens, size_t count,
                                   char *buffer, size_t capacity, kv_span_t *spans, char *answer)
{
    kvgo_many_t *many = (kvgo_many_t *)(void *)answer;
    size_t len = 0;
    many->status = kv_get_packed(kvgo_store(store), keys, key_lens, count, buffer, capacity, spans, &len, &many->err);
    many->number = len;
}

static inline void kvgo_set_packed(kvgo_store_t *store, const char *keys, const size_t *key_lens, const char *values,
                                   const size_t *value_lens, size_t count, int64_t ttl_ms, char *answer)
{
    kvgo_many_t *many = (kvgo_many_t *)(void *)answer;
    many->status =
        kv_set_packed(kvgo_store(store), keys, key_lens, values, value_lens, count, ttl_ms, &many->err);
}

static inline void kvgo_del_packed(kvgo_store_t *store, const char *keys, const size_t *key_lens, size_t count,
                                   char *answer)
{
    kvgo_many_t *many = (kvgo_many_t *)(void *)answer;
    many->status = kv_del_packed(kvgo_store(store), keys, key_lens, count, &many->number, &many->err);
}

#endif
