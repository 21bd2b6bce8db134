/* Quickstart: open a store in memory, write, read, count, expire, look at the numbers, close.
 *
 *     cc quickstart.c $(pkg-config --cflags --libs libkv) -o quickstart
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kv.h"

/* An example may end at the first surprise; a program would pass the status on. */
static void must(kv_status_t status, const char *what) {
    if (status < 0) {
        fprintf(stderr, "%s: %s: %s\n", what, kv_status_name(status), kv_status_message(status));
        exit(1);
    }
}

static kv_store_t *open_store(void) {
    kv_store_t *store = NULL;
    kv_error_t *error = NULL;
    kv_options_t *options = kv_options_new();
    kv_status_t status = kv_options_set(options, "max_memory", "64MiB", &error);

    if (status == KV_OK) status = kv_open(NULL, options, &store, &error); /* NULL: in memory */
    if (status != KV_OK) {
        fprintf(stderr, "open: %s\n", kv_error_message(error));
        kv_error_free(error);
        exit(1);
    }
    kv_options_free(options); /* the store keeps what it needs */
    return store;
}

int main(void) {
    const char *name = "user:1";
    kv_store_t *store = open_store();
    kv_value_t *value = NULL;
    kv_stats_t stats = KV_STATS_INIT;
    int64_t visits = 0, left_ms = 0;
    char small[64];
    size_t length = 0;

    /* Keys and values are bytes and a length. This one lives for 30 minutes. */
    must(kv_set(store, name, strlen(name), "Ada", 3, 30 * 60 * 1000), "set");

    /* A value is yours until you free it, whatever happens to the key. It is not terminated. */
    if (kv_get(store, name, strlen(name), &value) == KV_OK) {
        printf("%s is %.*s\n", name, (int)kv_value_len(value), (const char *)kv_value_data(value));
        kv_value_free(value);
    }

    /* Or copy it into a buffer of your own; that allocates nothing. */
    if (kv_get_into(store, name, strlen(name), small, sizeof small, &length) == KV_OK) {
        printf("it has %zu bytes\n", length);
    }

    must(kv_ttl(store, name, strlen(name), &left_ms), "ttl");
    printf("it expires: %s\n", left_ms == KV_TTL_NONE ? "never" : left_ms > 0 ? "within 30 minutes" : "now");

    /* Counters are decimal text; a missing one starts at 0. */
    must(kv_incr(store, "visits", 6, 1, KV_TTL_NONE, &visits), "incr");
    must(kv_incr(store, "visits", 6, 1, KV_TTL_NONE, &visits), "incr");
    printf("visits: %" PRId64 "\n", visits);

    /* "Not there" is an answer, not an error. */
    must(kv_del(store, name, strlen(name)), "del");
    printf("after del: %s\n", kv_status_name(kv_exists(store, name, strlen(name))));

    must(kv_stats(store, &stats), "stats");
    printf("%" PRIu64 " entries in %s bytes\n", stats.entries, stats.memory_bytes > 0 ? "a few" : "no");

    must(kv_close(store, NULL), "close");
    return 0;
}
