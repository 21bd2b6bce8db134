/*
 * The calls of native_scan.go into libkv. See native.h.
 *
 * Owns: a scan and the entry it has come to. One call takes many entries, because a call for each would cost more than
 * the scan does.
 */
#ifndef KVSTORE_NATIVE_SCAN_H
#define KVSTORE_NATIVE_SCAN_H

#include "native.h"
#include <stdlib.h>

typedef struct {
    kv_scan_t *scan;
    kv_entry_t next;
    /* Not zero if `next` is an entry that had no room in the last buffer. */
    int waits;
} kvgo_scan_t;

/* `scan` is the caller's to free. */
typedef struct {
    kvgo_scan_t *scan;
    kv_status_t status;
} kvgo_scanning_t;

/* An entry whose key and value lie in the buffer, behind those of the entry before. */
typedef struct {
    size_t key_len, value_len;
    uint64_t version;
    int64_t expire_at_ms;
} kvgo_found_t;

/* `count` entries are there, whatever the status. With KV_SHORT_BUFFER there are none, and the next one has `needed`
 * bytes. */
typedef struct {
    size_t count, needed;
    kv_status_t status;
} kvgo_filled_t;

static inline kvgo_scanning_t kvgo_scan(kvgo_store_t *store, const char *prefix, size_t prefix_len, const char *start,
                                        size_t start_len, const char *end, size_t end_len, uint64_t limit,
                                        int32_t order, int32_t keys_only, int32_t point_in_time)
{
    kv_scan_options_t options = KV_SCAN_OPTIONS_INIT;
    kv_entry_t none = KV_ENTRY_INIT;
    kvgo_scanning_t answer = {NULL, KV_ERR_NO_MEMORY};
    kvgo_scan_t *scan = (kvgo_scan_t *)malloc(sizeof *scan);
    if (scan == NULL) {
        return answer;
    }
    options.prefix.data = prefix;
    options.prefix.len = prefix_len;
    options.start.data = start;
    options.start.len = start_len;
    options.end.data = end;
    options.end.len = end_len;
    options.limit = limit;
    options.order = order;
    options.keys_only = keys_only;
    options.point_in_time = point_in_time;
    scan->scan = NULL;
    scan->next = none;
    scan->waits = 0;
    answer.status = kv_scan(kvgo_store(store), &options, &scan->scan);
    if (answer.status != KV_OK) {
        free(scan);
        return answer;
    }
    answer.scan = scan;
    return answer;
}

/* Takes entries while there are any and they fit. */
static inline void kvgo_scan_fill(kvgo_scan_t *scan, char *buffer, size_t capacity, kvgo_found_t *found, size_t count,
                                  char *answer)
{
    kvgo_filled_t *filled = (kvgo_filled_t *)(void *)answer;
    filled->count = 0;
    filled->needed = 0;
    filled->status = KV_OK;
    while (filled->count < count) {
        kvgo_found_t *one = &found[filled->count];
        if (!scan->waits) {
            filled->status = kv_scan_next(scan->scan, &scan->next);
            if (filled->status != KV_OK) {
                return;
            }
        }
        scan->waits = scan->next.key.len > capacity || scan->next.value.len > capacity - scan->next.key.len;
        if (scan->waits) {
            if (filled->count == 0) {
                filled->needed = scan->next.key.len + scan->next.value.len;
                filled->status = KV_SHORT_BUFFER;
            }
            return;
        }
        one->key_len = scan->next.key.len;
        one->value_len = scan->next.value.len;
        one->version = scan->next.version;
        one->expire_at_ms = scan->next.expire_at_ms;
        memcpy(buffer, scan->next.key.data, one->key_len);
        memcpy(buffer + one->key_len, scan->next.value.data, one->value_len);
        buffer += one->key_len + one->value_len;
        capacity -= one->key_len + one->value_len;
        filled->count++;
    }
}

static inline void kvgo_scan_free(kvgo_scan_t *scan)
{
    kv_scan_free(scan->scan);
    free(scan);
}

#endif
