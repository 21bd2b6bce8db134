/* Loads the library, uses it from 8 threads, unloads it while threads that ran its code end, again
 * and again. Run with the path of libkv; not linked to it. */

#include "check.h"

#include <dlfcn.h>
#include <pthread.h>

enum { THREADS = 8, CYCLES = 1000 };

static struct {
  kv_status_t (*open)(const char *, const kv_options_t *, kv_store_t **, kv_error_t **);
  kv_status_t (*close)(kv_store_t *, kv_error_t **);
  kv_status_t (*set)(kv_store_t *, const void *, size_t, const void *, size_t, int64_t);
  kv_status_t (*get)(kv_store_t *, const void *, size_t, kv_value_t **);
  size_t (*len)(const kv_value_t *);
  void (*free)(kv_value_t *);
} kv;

static kv_store_t *store;
static pthread_barrier_t used;   /* all threads are done with the store */
static pthread_barrier_t closed; /* the library was closed */

/* ISO C knows no cast from void * to a function; POSIX promises that the bytes are the same. */
static void find(void *library, const char *name, void *function) {
  void *symbol = dlsym(library, name);
  if (symbol == NULL) {
    fprintf(stderr, "%s is missing: %s\n", name, dlerror());
    exit(1);
  }
  memcpy(function, &symbol, sizeof symbol);
}

static void *use(void *thread) {
  char key[32];
  for (int n = 0; n < 20; n++) {
    kv_value_t *value = NULL;
    size_t len = (size_t)snprintf(key, sizeof key, "%d-%d", (int)(intptr_t)thread, n);
    CHECK(kv.set(store, key, len, key, len, 1000000) == KV_OK);
    CHECK(kv.get(store, key, len, &value) == KV_OK);
    CHECK(kv.len(value) == len);
    kv.free(value);
  }
  pthread_barrier_wait(&used);
  /* Half of the threads end around the time of dlclose, half surely behind it. */
  if ((intptr_t)thread % 2 == 0) {
    pthread_barrier_wait(&closed);
  }
  return NULL;
}

static void cycle(const char *path) {
  pthread_t threads[THREADS];
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) {
    fprintf(stderr, "%s\n", dlerror());
    exit(1);
  }
  find(library, "kv_open", &kv.open);
  find(library, "kv_close", &kv.close);
  find(library, "kv_set", &kv.set);
  find(library, "kv_get", &kv.get);
  find(library, "kv_value_len", &kv.len);
  find(library, "kv_value_free", &kv.free);
  CHECK(kv.open(NULL, NULL, &store, NULL) == KV_OK);
  for (intptr_t n = 0; n < THREADS; n++) {
    CHECK(pthread_create(&threads[n], NULL, use, (void *)n) == 0);
  }
  pthread_barrier_wait(&used);
  CHECK(kv.close(store, NULL) == KV_OK);
  CHECK(dlclose(library) == 0);
  pthread_barrier_wait(&closed);
  for (int n = 0; n < THREADS; n++) {
    CHECK(pthread_join(threads[n], NULL) == 0);
  }
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: %s PATH-OF-LIBKV\n", argv[0]);
    return 2;
  }
  CHECK(pthread_barrier_init(&used, NULL, THREADS + 1) == 0);
  CHECK(pthread_barrier_init(&closed, NULL, THREADS / 2 + 1) == 0);
  for (int n = 0; n < CYCLES / KV_TEST_SLOW; n++) {
    cycle(argv[1]);
  }
  return 0;
}
