/*
 * The calls of native_files.go into libkv. Owns nothing; see native.h.
 */
#ifndef KVSTORE_NATIVE_FILES_H
#define KVSTORE_NATIVE_FILES_H

#include "native.h"

/* `path` is the caller's to free. */
typedef struct {
    kv_status_t status;
    kv_snapshot_info_t info;
    char *path;
    kv_error_t *err;
} kvgo_snapshot_t;

/* `text` is the caller's to free. */
typedef struct {
    kv_status_t status;
    char *text;
    kv_error_t *err;
} kvgo_report_t;

static inline kvgo_report_t kvgo_verify(const char *path)
{
    kvgo_report_t answer = {KV_OK, NULL, NULL};
    answer.status = kv_verify(path, &answer.text, &answer.err);
    return answer;
}

static inline kvgo_report_t kvgo_salvage(const char *from, const char *to)
{
    kvgo_report_t answer = {KV_OK, NULL, NULL};
    answer.status = kv_salvage(from, to, &answer.text, &answer.err);
    return answer;
}

static inline kvgo_fault_t kvgo_sync(kvgo_store_t *store)
{
    kvgo_fault_t fault = {KV_OK, NULL};
    fault.status = kv_sync(kvgo_store(store), &fault.err);
    return fault;
}

static inline kvgo_snapshot_t kvgo_snapshot(kvgo_store_t *store, const char *path)
{
    kvgo_snapshot_t answer = {KV_OK, KV_SNAPSHOT_INFO_INIT, NULL, NULL};
    answer.status = kv_snapshot(kvgo_store(store), path, &answer.info, &answer.path, &answer.err);
    return answer;
}

static inline kvgo_fault_t kvgo_restore(kvgo_store_t *store, const char *path)
{
    kvgo_fault_t fault = {KV_OK, NULL};
    fault.status = kv_restore(kvgo_store(store), path, &fault.err);
    return fault;
}

static inline kvgo_text_t kvgo_recovery_report(kvgo_store_t *store)
{
    kvgo_text_t answer = {KV_OK, NULL};
    answer.status = kv_recovery_report(kvgo_store(store), &answer.text);
    return answer;
}

#endif
