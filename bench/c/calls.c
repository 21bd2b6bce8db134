/*
 * The measured loops in C: each calls one function of libkv.so for every key of a run, as a C program would, and says
 * how many of the calls did what they should. kvbench takes the time around a whole loop, so that what crosses from
 * Rust to C once a loop counts for nothing. src/c_abi.rs declares the same functions.
 */
#include <kv.h>

#define KEY_BYTES 16
#define BUFFER_BYTES 128
#define SET_EVERY 20

kv_store_t *calls_open(void)
{
    kv_store_t *store = NULL;
    return kv_open(NULL, NULL, &store, NULL) == KV_OK ? store : NULL;
}

void calls_close(kv_store_t *store)
{
    kv_close(store, NULL);
}

static int set(kv_store_t *store, const char *key, const char *value, size_t value_len, int64_t ttl_ms)
{
    return kv_set(store, key, KEY_BYTES, value, value_len, ttl_ms) == KV_OK;
}

static int get_into(kv_store_t *store, const char *key)
{
    char buffer[BUFFER_BYTES];
    size_t len = 0;
    return kv_get_into(store, key, KEY_BYTES, buffer, sizeof buffer, &len) == KV_OK;
}

size_t calls_set(kv_store_t *store, const char *keys, size_t count, const char *value, size_t value_len,
                 int64_t ttl_ms)
{
    size_t done = 0, i;
    for (i = 0; i < count; i++)
        done += set(store, keys + i * KEY_BYTES, value, value_len, ttl_ms);
    return done;
}

size_t calls_get_into(kv_store_t *store, const char *keys, size_t count)
{
    size_t done = 0, i;
    for (i = 0; i < count; i++)
        done += get_into(store, keys + i * KEY_BYTES);
    return done;
}

size_t calls_get(kv_store_t *store, const char *keys, size_t count)
{
    size_t done = 0, i;
    for (i = 0; i < count; i++) {
        kv_value_t *value = NULL;
        done += kv_get(store, keys + i * KEY_BYTES, KEY_BYTES, &value) == KV_OK;
        kv_value_free(value);
    }
    return done;
}

size_t calls_mix(kv_store_t *store, const char *keys, size_t count, const char *value, size_t value_len,
                 int64_t ttl_ms)
{
    size_t done = 0, i;
    for (i = 0; i < count; i++) {
        const char *key = keys + i * KEY_BYTES;
        done += i % SET_EVERY == 0 ? set(store, key, value, value_len, ttl_ms) : get_into(store, key);
    }
    return done;
}
