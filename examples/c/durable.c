/* A store that outlives its process: writes orders into a directory, each one safe before its number is
 * printed, and goes on behind the last one when it is started again.
 *
 *     cc durable.c $(pkg-config --cflags --libs libkv) -o durable
 *     ./durable DIRECTORY COUNT        writes so many orders
 *     ./durable DIRECTORY              writes until it is killed
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kv.h"

static int failed(const char *what, kv_error_t *error) {
    fprintf(stderr, "%s: %s\n", what, kv_error_message(error));
    kv_error_free(error);
    return 1;
}

int main(int argc, char **argv) {
    kv_store_t *store = NULL;
    kv_error_t *error = NULL;
    kv_options_t *options = kv_options_new();
    uint64_t number = 0, end = UINT64_MAX;
    kv_status_t status;

    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: %s DIRECTORY [COUNT]\n", argv[0]);
        return 2;
    }
    /* "always": a write is on the disk before the call returns. The directory is made if it is missing. */
    status = kv_options_set(options, "sync", "always", &error);
    if (status == KV_OK) status = kv_open(argv[1], options, &store, &error);
    kv_options_free(options);
    if (status != KV_OK) return failed("open", error);

    /* Every order there was is there again. */
    kv_len(store, &number);
    if (argc == 3) end = number + strtoull(argv[2], NULL, 10);
    for (; number < end; number++) {
        char key[40], value[40];
        int key_len = snprintf(key, sizeof key, "order:%" PRIu64, number);
        int value_len = snprintf(value, sizeof value, "%" PRIu64 " books", number % 10);

        status = kv_set(store, key, (size_t)key_len, value, (size_t)value_len, KV_TTL_DEFAULT);
        if (status == KV_ERR_IO || status == KV_ERR_POISONED) {
            /* Not acknowledged: after the next opening it is there or not. */
            if (kv_last_fault(store, &error) == KV_OK) failed("set", error);
            kv_close(store, NULL);
            return 1;
        }
        if (status != KV_OK) {
            fprintf(stderr, "set: %s\n", kv_status_message(status));
            kv_close(store, NULL);
            return 1;
        }
        printf("%" PRIu64 "\n", number);
        fflush(stdout);
    }

    /* Closing flushes and can fail, like every call that has to do with a disk. */
    if (kv_close(store, &error) != KV_OK) return failed("close", error);
    return 0;
}
