/* One half of a cache that two programs share: computes prices and publishes them as a snapshot, which
 * reader.py, in Python, loads into a store of its own.
 *
 *     cc writer.c $(pkg-config --cflags --libs libkv) -o writer
 *     ./writer FILE ROUNDS
 *
 * Both programs have everything in memory and wait for nobody: no server, no socket, no lock. The file is
 * replaced in one step, and shows one moment of the store. It also outlives this program, which begins
 * where the last one ended.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kv.h"

#define PRICES 1000
#define AN_HOUR_MS (60 * 60 * 1000)

static int failed(const char *what, kv_status_t status, kv_error_t *error) {
    fprintf(stderr, "%s: %s\n", what, error != NULL ? kv_error_message(error) : kv_status_message(status));
    kv_error_free(error);
    return 1;
}

/* Every price of a round is set in one batch, so that no snapshot shows half a round. Deadlines are points
 * in time: a price that has an hour left here has an hour left in the reader. */
static kv_status_t compute(kv_store_t *store, kv_batch_t *batch, int64_t round, kv_error_t **error) {
    char key[40], value[60];
    int key_len, value_len, n;
    kv_status_t status = KV_OK;

    kv_batch_clear(batch);
    for (n = 0; n < PRICES && status == KV_OK; n++) {
        key_len = snprintf(key, sizeof key, "price:%d", n);
        value_len = snprintf(value, sizeof value, "%" PRId64 " in round %" PRId64, (n + round) % 100, round);
        status = kv_batch_set(batch, key, (size_t)key_len, value, (size_t)value_len, AN_HOUR_MS);
    }
    value_len = snprintf(value, sizeof value, "%" PRId64, round);
    if (status == KV_OK) status = kv_batch_set(batch, "round", 5, value, (size_t)value_len, KV_TTL_NONE);
    return status == KV_OK ? kv_write(store, batch, NULL, error) : status;
}

static kv_status_t publish(kv_store_t *store, const char *file, int64_t rounds, kv_error_t **error) {
    kv_batch_t *batch = kv_batch_new();
    kv_snapshot_info_t info = KV_SNAPSHOT_INFO_INIT;
    int64_t first = 0, round;
    /* Adding nothing reads the counter: 0 in a new store. */
    kv_status_t status = kv_incr(store, "round", 5, 0, KV_TTL_NONE, &first);

    for (round = first + 1; round <= first + rounds && status == KV_OK; round++) {
        status = compute(store, batch, round, error);
        if (status == KV_OK) status = kv_snapshot(store, file, &info, NULL, error);
        if (status == KV_OK) printf("round %" PRId64 ": %" PRIu64 " entries\n", round, info.entries);
    }
    kv_batch_free(batch);
    return status;
}

int main(int argc, char **argv) {
    kv_store_t *store = NULL;
    kv_error_t *error = NULL;
    FILE *there;
    kv_status_t status;

    if (argc != 3) {
        fprintf(stderr, "usage: %s FILE ROUNDS\n", argv[0]);
        return 2;
    }
    status = kv_open(NULL, NULL, &store, &error); /* NULL: in memory, with every option's default */
    if (status != KV_OK) return failed("open", status, error);

    there = fopen(argv[1], "rb");
    if (there != NULL) {
        fclose(there);
        status = kv_restore(store, argv[1], &error);
        if (status != KV_OK) return failed("restore", status, error);
    }
    status = publish(store, argv[1], strtoll(argv[2], NULL, 10), &error);
    if (status != KV_OK) return failed("publish", status, error);
    return kv_close(store, NULL) == KV_OK ? 0 : 1;
}
