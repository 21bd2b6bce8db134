/* Load on a remote store through kv.h, by many threads, until the input ends.
 *
 *     load LOCATION THREADS TIMEOUT_MS
 *
 * The first half of the threads uses the location as it is, the second half with ack_replicas=1. Each has
 * two keys of its own: it sets one to ever larger numbers and reads it back, and counts up the other. What is
 * wrong is told at once, as `fault TEXT`; `back THREAD UNIX_MS` tells that calls of a thread are answered
 * again after a while without; `at UNIX_MS...` when each thread was answered last. The tallies come at the end.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kv.h"

#define MOST_THREADS 64
/* A thread that was not answered for so long is told to be back. */
#define SILENCE_MS 250
/* What a call may take beyond its deadline: the time until its thread gets a processor. */
#define GRACE_MS 500

typedef struct {
    kv_store_t *store;
    int number, is_acked;
    /* Numbers of sets: tried, and acknowledged last. Increments: acknowledged, and perhaps done. */
    int64_t tried, acked, counted, unknown;
    int64_t calls, unavailable, worst_ms, before_ms;
    _Atomic int64_t answered_ms;
} load_t;

static load_t loads[MOST_THREADS];
static int64_t timeout_ms;
static atomic_bool is_over;
static pthread_mutex_t printing = PTHREAD_MUTEX_INITIALIZER;

static int64_t now_ms(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void tell(const char *what, int64_t first, int64_t second, int64_t third) {
    pthread_mutex_lock(&printing);
    printf(what, first, second, third);
    fflush(stdout);
    pthread_mutex_unlock(&printing);
}

static void begin(load_t *load) {
    load->before_ms = now_ms(CLOCK_MONOTONIC);
}

/* Judges a call, which was answered if it did not fail. A change whose reply was lost answers KV_ERR_IO. */
static void end(load_t *load, kv_status_t status, int may_be_unknown) {
    int64_t took_ms = now_ms(CLOCK_MONOTONIC) - load->before_ms;

    load->calls++;
    if (took_ms > load->worst_ms) load->worst_ms = took_ms;
    if (took_ms > timeout_ms + GRACE_MS) {
        tell("fault thread %" PRId64 ": a call took %" PRId64 " ms\n", load->number, took_ms, 0);
    }
    if (status == KV_OK || status == KV_NOT_FOUND) {
        int64_t at_ms = now_ms(CLOCK_REALTIME);
        if (at_ms - load->answered_ms > SILENCE_MS) tell("back %" PRId64 " %" PRId64 "\n", load->number, at_ms, 0);
        load->answered_ms = at_ms;
    } else if (status == KV_ERR_UNAVAILABLE) {
        load->unavailable++;
    } else if (status != KV_ERR_IO || !may_be_unknown) {
        tell("fault thread %" PRId64 ": a call answered %" PRId64 "\n", load->number, status, 0);
    }
}

static void set(load_t *load, const char *key) {
    char text[24];
    int len = snprintf(text, sizeof text, "%" PRId64, ++load->tried);
    kv_status_t status;

    begin(load);
    status = kv_set(load->store, key, strlen(key), text, (size_t)len, KV_TTL_DEFAULT);
    /* A plain set may be sent again, so only too few replicas leave it unknown. */
    end(load, status, load->is_acked);
    if (status == KV_OK) load->acked = load->tried;
}

static void get(load_t *load, const char *key) {
    char text[24] = "0";
    size_t len = 0;
    kv_status_t status;
    int64_t seen;

    begin(load);
    status = kv_get_into(load->store, key, strlen(key), text, sizeof text - 1, &len);
    end(load, status, 0);
    if (status != KV_OK && status != KV_NOT_FOUND) return;
    if (status == KV_OK && len < sizeof text) text[len] = '\0';
    seen = strtoll(text, NULL, 10);
    /* A master that was killed without having told its replica takes the last sets with it. */
    if (seen > load->tried || (load->is_acked && seen < load->acked)) {
        tell("fault thread %" PRId64 ": read %" PRId64 " behind %" PRId64 "\n", load->number, seen, load->acked);
    }
}

static void incr(load_t *load, const char *key) {
    int64_t sum = 0;
    kv_status_t status;

    begin(load);
    status = kv_incr(load->store, key, strlen(key), 1, KV_TTL_DEFAULT, &sum);
    end(load, status, 1);
    if (status == KV_OK) load->counted++;
    if (status == KV_ERR_IO) load->unknown++;
    if (status == KV_OK && sum > load->counted + load->unknown) {
        tell("fault thread %" PRId64 ": counted %" PRId64 " in %" PRId64 " times\n", load->number, sum,
             load->counted + load->unknown);
    }
}

static void *run(void *of) {
    load_t *load = of;
    char set_key[16], count_key[16];

    snprintf(set_key, sizeof set_key, "set%d", load->number);
    snprintf(count_key, sizeof count_key, "count%d", load->number);
    while (!atomic_load(&is_over)) {
        set(load, set_key);
        get(load, set_key);
        incr(load, count_key);
    }
    return NULL;
}

static void *watch(void *of) {
    int threads = *(int *)of;
    struct timespec pause = {0, 50 * 1000000};

    while (!atomic_load(&is_over)) {
        nanosleep(&pause, NULL);
        pthread_mutex_lock(&printing);
        printf("at");
        for (int number = 0; number < threads; number++) printf(" %" PRId64, loads[number].answered_ms);
        printf("\n");
        fflush(stdout);
        pthread_mutex_unlock(&printing);
    }
    return NULL;
}

static kv_store_t *opened(const char *location) {
    kv_store_t *store = NULL;
    kv_error_t *error = NULL;

    if (kv_open(location, NULL, &store, &error) != KV_OK) {
        fprintf(stderr, "%s\n", kv_error_message(error));
        exit(1);
    }
    return store;
}

int main(int argc, char **argv) {
    kv_store_t *stores[2];
    pthread_t running[MOST_THREADS], watching;
    char acked[1024];
    int threads = argc == 4 ? atoi(argv[2]) : 0;

    if (threads < 1 || threads > MOST_THREADS) return 2;
    timeout_ms = strtoll(argv[3], NULL, 10);
    snprintf(acked, sizeof acked, "%s&ack_replicas=1", argv[1]);
    stores[0] = opened(argv[1]);
    stores[1] = opened(acked);
    for (int number = 0; number < threads; number++) {
        load_t *load = &loads[number];
        load->number = number;
        load->is_acked = number >= threads / 2;
        load->store = stores[load->is_acked];
        load->answered_ms = now_ms(CLOCK_REALTIME);
        pthread_create(&running[number], NULL, run, load);
    }
    pthread_create(&watching, NULL, watch, &threads);
    while (getchar() != EOF) continue;
    atomic_store(&is_over, true);
    pthread_join(watching, NULL);
    for (int number = 0; number < threads; number++) {
        load_t *load = &loads[number];
        pthread_join(running[number], NULL);
        printf("thread %d %d %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 "\n",
               number, load->is_acked, load->tried, load->acked, load->counted, load->unknown, load->calls,
               load->unavailable, load->worst_ms);
    }
    kv_close(stores[0], NULL);
    kv_close(stores[1], NULL);
    return 0;
}
