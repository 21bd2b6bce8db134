/* Login sessions: what a web server keeps for each visitor.
 *
 *   - a session lives for 20 minutes from its last request (kv_expire on every one);
 *   - it is changed by compare and swap, so two requests at once lose nothing (KV_IF_VERSION);
 *   - logging out returns the last state and removes it in one step (kv_take).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kv.h"

#define SESSION_TTL_MS (20 * 60 * 1000)

static void fail(const char *what, kv_status_t status) {
    fprintf(stderr, "%s: %s: %s\n", what, kv_status_name(status), kv_status_message(status));
    exit(1);
}

/* Makes a new session. The id must not be taken: KV_IF_ABSENT makes that certain, without asking first. */
static void session_create(kv_store_t *store, const char *id, const char *state) {
    kv_set_options_t options = KV_SET_OPTIONS_INIT;
    kv_status_t status;

    options.condition = KV_IF_ABSENT;
    options.ttl_ms = SESSION_TTL_MS;
    status = kv_set_with(store, id, strlen(id), state, strlen(state), &options, NULL);
    if (status != KV_OK) fail("session_create", status);
}

/* Every request: is there such a session? Then it lives for another 20 minutes. */
static int session_touch(kv_store_t *store, const char *id) {
    kv_status_t status = kv_expire(store, id, strlen(id), SESSION_TTL_MS);

    if (status < 0) fail("session_touch", status);
    return status == KV_OK;
}

/* Adds an item to the state; if another request changed it in the meantime, reads it again. */
static int session_add(kv_store_t *store, const char *id, const char *item) {
    for (;;) {
        kv_value_t *value = NULL;
        kv_value_info_t info = KV_VALUE_INFO_INIT;
        kv_set_options_t options = KV_SET_OPTIONS_INIT;
        char state[256];
        int length;
        kv_status_t status = kv_get(store, id, strlen(id), &value);

        if (status == KV_NOT_FOUND) return 0; /* expired, or logged out */
        if (status != KV_OK) fail("kv_get", status);
        status = kv_value_info(value, &info);
        if (status != KV_OK) fail("kv_value_info", status);
        length = snprintf(state, sizeof state, "%.*s,%s", (int)kv_value_len(value),
                          (const char *)kv_value_data(value), item);
        kv_value_free(value);
        if (length < 0 || (size_t)length >= sizeof state) fail("session_add", KV_ERR_TOO_LARGE);

        options.condition = KV_IF_VERSION;
        options.version = info.version;
        options.ttl_ms = KV_TTL_KEEP;
        status = kv_set_with(store, id, strlen(id), state, (size_t)length, &options, NULL);
        if (status == KV_OK) return 1;
        if (status < 0) fail("kv_set_with", status);
        /* KV_CONFLICT: somebody was quicker. KV_NOT_FOUND: it is gone; the next kv_get says so. */
    }
}

/* Ends it and prints what it held. */
static void session_end(kv_store_t *store, const char *id) {
    kv_value_t *value = NULL;
    kv_status_t status = kv_take(store, id, strlen(id), &value);

    if (status != KV_OK) fail("session_end", status);
    printf("logged out: %.*s\n", (int)kv_value_len(value), (const char *)kv_value_data(value));
    kv_value_free(value);
}

int main(void) {
    const char *id = "session:7f3a";
    kv_store_t *store = NULL;
    kv_error_t *error = NULL;

    if (kv_open(":memory:", NULL, &store, &error) != KV_OK) {
        fprintf(stderr, "open: %s\n", kv_error_message(error));
        kv_error_free(error);
        return 1;
    }

    session_create(store, id, "user=ada");
    printf("touch: %s\n", session_touch(store, id) ? "alive" : "gone");
    printf("add: %s\n", session_add(store, id, "cart=book") ? "done" : "gone");
    printf("add: %s\n", session_add(store, id, "cart=lamp") ? "done" : "gone");
    session_end(store, id);
    printf("touch: %s\n", session_touch(store, id) ? "alive" : "gone");

    return kv_close(store, NULL) == KV_OK ? 0 : 1;
}
