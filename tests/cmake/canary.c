/* Makes the mistake it is asked for, which a memory checker must notice; without one, it exits with 0. */
#include "kv.h"

#include <stdio.h>
#include <string.h>

static volatile char seen;

/* The store no longer has the value, so freeing it frees the bytes. */
static int use_after_free(kv_store_t *store) {
  kv_value_t *value = NULL;
  const char *bytes;
  if (kv_take(store, "key", 3, &value) != KV_OK) return 1;
  bytes = kv_value_data(value);
  kv_value_free(value);
  seen = bytes[0];
  return 0;
}

static int leak(kv_store_t *store) {
  kv_value_t *value = NULL;
  if (kv_take(store, "key", 3, &value) != KV_OK) return 1;
  value = NULL;
  return value != NULL;
}

/* Overwrites what the stack still remembers of a leaked pointer. */
static void forget(void) {
  volatile char stack[4096];
  memset((void *)stack, 0, sizeof stack);
  seen = stack[seen & 1];
}

int main(int argc, char **argv) {
  kv_store_t *store = NULL;
  char value[256] = "value";
  int wrong = 0;
  if (argc != 2 || kv_open(NULL, NULL, &store, NULL) != KV_OK) return 0;
  if (kv_set(store, "key", 3, value, sizeof value, KV_TTL_NONE) != KV_OK) return 0;
  if (strcmp(argv[1], "use_after_free") == 0) wrong = use_after_free(store);
  if (strcmp(argv[1], "leak") == 0) wrong = leak(store);
  forget();
  if (kv_close(store, NULL) != KV_OK) wrong = 1;
  /* What goes wrong here must not look like a checker that is awake. */
  if (wrong) fprintf(stderr, "the canary is broken\n");
  return 0;
}
