/* One program for every place: a ticket office that runs in memory, in a directory, on a server and on a cluster. Only
 * the location that it is given differs.
 *
 *     cc anywhere.c $(pkg-config --cflags --libs libkv) -o anywhere
 *     ./anywhere tickets.d
 *     ./anywhere 'valkey://127.0.0.1:6379/?prefix=tickets:'
 *     ./anywhere 'valkey-cluster://h1:7000,h2:7001/?prefix=tickets:&near=64MiB'
 *
 * What it does to run anywhere: the keys that change together share a hash tag, {order:1}; it asks what the store can do
 * before it relies on it; and it takes "no answer" and "outcome unknown" for what they are.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kv.h"

#define RESERVED_MS (10 * 60 * 1000)

static int failed(const char *what, kv_status_t status, kv_error_t *error) {
    fprintf(stderr, "%s: %s\n", what, error ? kv_error_message(error) : kv_status_message(status));
    kv_error_free(error);
    return 1;
}

/* Reserves a seat for ten minutes, unless somebody has it. */
static kv_status_t reserve(kv_store_t *store, const char *seat, const char *who) {
    kv_set_options_t options = KV_SET_OPTIONS_INIT;
    options.condition = KV_IF_ABSENT;
    options.ttl_ms = RESERVED_MS;
    return kv_set_with(store, seat, strlen(seat), who, strlen(who), &options, NULL);
}

/* Sells it: the order and its state appear together, or not at all. */
static kv_status_t sell(kv_store_t *store, const char *who, kv_error_t **error) {
    static const char buyer[] = "{order:1}:buyer", state[] = "{order:1}:state";
    kv_batch_t *batch = kv_batch_new();
    kv_status_t status;

    if (batch == NULL) return KV_ERR_NO_MEMORY;
    status = kv_batch_set(batch, buyer, sizeof buyer - 1, who, strlen(who), KV_TTL_NONE);
    if (status == KV_OK) status = kv_batch_set(batch, state, sizeof state - 1, "paid", 4, KV_TTL_NONE);
    if (status == KV_OK) status = kv_write(store, batch, NULL, error);
    kv_batch_free(batch);
    return status;
}

/* Counts the entries of the order. Servers give a key at least once, so that what has to be exact is not counted so. */
static kv_status_t show_order(kv_store_t *store) {
    kv_scan_options_t options = KV_SCAN_OPTIONS_INIT;
    kv_entry_t entry = KV_ENTRY_INIT;
    kv_scan_t *scan = NULL;
    kv_status_t status;
    int has_buyer = 0, is_paid = 0;

    options.prefix.data = "{order:1}:";
    options.prefix.len = strlen("{order:1}:");
    status = kv_scan(store, &options, &scan);
    while (status == KV_OK && (status = kv_scan_next(scan, &entry)) == KV_OK) {
        has_buyer |= entry.value.len == 3 && memcmp(entry.value.data, "ada", 3) == 0;
        is_paid |= entry.value.len == 4 && memcmp(entry.value.data, "paid", 4) == 0;
    }
    kv_scan_free(scan);
    printf("the order is %s by %s\n", is_paid ? "paid" : "open", has_buyer ? "ada" : "nobody");
    return status == KV_DONE ? KV_OK : status;
}

static int run(kv_store_t *store) {
    static const char *const made[] = {"seat:7", "visitors", "{order:1}:buyer", "{order:1}:state"};
    kv_error_t *error = NULL;
    kv_status_t status;
    uint64_t can = 0;
    int64_t visitors = 0;

    status = kv_incr(store, "visitors", 8, 1, KV_TTL_NONE, &visitors);
    if (status == KV_ERR_IO) {
        /* Of a store on servers: the reply was lost. Counting again might count twice. */
        fprintf(stderr, "whether this visitor was counted is unknown\n");
    } else if (status != KV_OK) {
        return failed("incr", status, NULL);
    }
    printf("visitors: %" PRId64 "\n", visitors);

    status = reserve(store, "seat:7", "ada");
    if (status < 0) return failed("reserve", status, NULL);
    printf("ada reserves seat 7: %s\n", status == KV_OK ? "done" : "taken");
    status = reserve(store, "seat:7", "bob");
    if (status < 0) return failed("reserve", status, NULL);
    printf("bob reserves seat 7: %s\n", status == KV_OK ? "done" : "taken");

    status = sell(store, "ada", &error);
    if (status != KV_OK) return failed("sell", status, error);
    status = show_order(store);
    if (status != KV_OK) return failed("scan", status, NULL);

    /* How safe a write is, a server says in its own configuration. */
    status = kv_capabilities(store, &can);
    if (status == KV_OK && (can & KV_CAN_SNAPSHOT)) status = kv_sync(store, &error);
    if (status != KV_OK) return failed("sync", status, error);

    for (size_t n = 0; n < sizeof made / sizeof made[0]; n++) {
        status = kv_del(store, made[n], strlen(made[n]));
        if (status < 0) return failed("del", status, NULL);
    }
    return 0;
}

int main(int argc, char **argv) {
    kv_store_t *store = NULL;
    kv_error_t *error = NULL;
    kv_status_t status;
    int result;

    if (argc != 2) {
        fprintf(stderr, "usage: %s LOCATION\n", argv[0]);
        return 2;
    }
    status = kv_open(argv[1], NULL, &store, &error);
    if (status != KV_OK) return failed("open", status, error);
    result = run(store);
    status = kv_close(store, &error);
    return status == KV_OK ? result : failed("close", status, error);
}
