/* One store, many threads: no update is lost, values may be read and freed anywhere, and kv_shutdown
 * may come at any moment. */

#include "check.h"

#include <pthread.h>

enum { THREADS = 8 };

static kv_store_t *store;

static void run(void *(*body)(void *)) {
  pthread_t threads[THREADS];
  for (intptr_t n = 0; n < THREADS; n++) {
    CHECK(pthread_create(&threads[n], NULL, body, (void *)n) == 0);
  }
  for (int n = 0; n < THREADS; n++) {
    CHECK(pthread_join(threads[n], NULL) == 0);
  }
}

static void *count(void *thread) {
  const int rounds = 20000 / KV_TEST_SLOW;
  char key[32];
  for (int n = 0; n < rounds; n++) {
    size_t len = (size_t)snprintf(key, sizeof key, "own-%d-%d", (int)(intptr_t)thread, n % 100);
    CHECK_STATUS(kv_incr(store, "shared", 6, 1, 0, NULL), KV_OK);
    CHECK_STATUS(kv_set(store, key, len, key, len, 0), KV_OK);
    CHECK_VALUE(store, key, key);
    if (n % 7 == 0) {
      CHECK_STATUS(kv_del(store, key, len), KV_OK);
      CHECK_STATUS(kv_exists(store, key, len), KV_NOT_FOUND);
    }
  }
  return NULL;
}

static void no_update_is_lost(void) {
  int64_t number = 0;
  store = open_store(NULL);
  run(count);
  CHECK_STATUS(kv_incr(store, "shared", 6, 0, 0, &number), KV_OK);
  CHECK_INT(number, THREADS * (20000 / KV_TEST_SLOW));
  close_store(store);
}

/* Every thread reads a value that another one replaces all the time: it is one or the other, whole. */
static void *replace_and_read(void *thread) {
  const int rounds = 4000 / KV_TEST_SLOW;
  char bytes[2000];
  char buffer[2000];
  memset(bytes, 'a' + (int)(intptr_t)thread, sizeof bytes);
  for (int n = 0; n < rounds; n++) {
    kv_value_t *value = NULL;
    size_t len = 0;
    const char *data;
    CHECK_STATUS(kv_set(store, "k", 1, bytes, sizeof bytes, 0), KV_OK);
    CHECK_STATUS(kv_get(store, "k", 1, &value), KV_OK);
    CHECK_INT(kv_value_len(value), sizeof bytes);
    data = kv_value_data(value);
    CHECK(data[0] >= 'a' && data[0] < 'a' + THREADS);
    CHECK(memcmp(data, data + 1, sizeof bytes - 1) == 0);
    kv_value_free(value);
    CHECK_STATUS(kv_get_into(store, "k", 1, buffer, sizeof buffer, &len), KV_OK);
    CHECK(memcmp(buffer, buffer + 1, sizeof buffer - 1) == 0);
  }
  return NULL;
}

static void values_are_whole(void) {
  store = open_store(NULL);
  run(replace_and_read);
  close_store(store);
}

/* Values read by one thread are freed by another. */
static kv_value_t *handed_over[THREADS];
static pthread_barrier_t barrier;

static void *hand_over(void *thread) {
  intptr_t own = (intptr_t)thread;
  for (int n = 0; n < 500 / KV_TEST_SLOW; n++) {
    kv_value_t *value = NULL;
    CHECK_STATUS(kv_get(store, "k", 1, &value), KV_OK);
    handed_over[own] = value;
    pthread_barrier_wait(&barrier);
    value = handed_over[(own + 1) % THREADS];
    CHECK_INT(kv_value_len(value), 5);
    kv_value_free(value);
    pthread_barrier_wait(&barrier);
  }
  return NULL;
}

static void values_may_be_freed_anywhere(void) {
  store = open_store(NULL);
  CHECK_STATUS(set_text(store, "k", "value"), KV_OK);
  CHECK(pthread_barrier_init(&barrier, NULL, THREADS) == 0);
  run(hand_over);
  CHECK(pthread_barrier_destroy(&barrier) == 0);
  close_store(store);
}

/* Threads work until the store says it is closed, one of them closes it, and all see it. */
static void *work_until_closed(void *thread) {
  const int when = 500 / KV_TEST_SLOW;
  for (int n = 0;; n++) {
    kv_status_t status = kv_incr(store, "n", 1, 1, 0, NULL);
    kv_value_t *value = NULL;
    if (status == KV_ERR_CLOSED) {
      CHECK_STATUS(kv_get(store, "n", 1, &value), KV_ERR_CLOSED);
      CHECK_STATUS(kv_shutdown(store, NULL), KV_OK);
      return NULL;
    }
    CHECK_STATUS(status, KV_OK);
    status = kv_get(store, "n", 1, &value);
    CHECK(status == KV_OK || status == KV_ERR_CLOSED);
    kv_value_free(value);
    if (thread == NULL && n == when) {
      CHECK_STATUS(kv_shutdown(store, NULL), KV_OK);
    }
  }
}

static void shutdown_beside_running_calls(void) {
  for (int n = 0; n < 20 / KV_TEST_SLOW + 1; n++) {
    store = open_store(NULL);
    run(work_until_closed);
    close_store(store);
  }
}

int main(void) {
  no_update_is_lost();
  values_are_whole();
  values_may_be_freed_anywhere();
  shutdown_beside_running_calls();
  return 0;
}
