/* A libkv that was built without KV_REMOTE: a store on a server is refused in words that say how to get one, without
 * what the location keeps secret; all else is as ever. Linked to the build with planted panics, which is such a one. */

#include "check.h"

static void a_server_is_refused(const char *location) {
  kv_store_t *store = NULL;
  kv_error_t *err = NULL;
  CHECK_STATUS(kv_open(location, NULL, &store, &err), KV_ERR_UNSUPPORTED);
  CHECK(store == NULL);
  CHECK_TEXT_HAS(kv_error_message(err), "feature `remote`");
  CHECK_TEXT_HAS(kv_error_message(err), "KV_REMOTE=ON");
  CHECK(strstr(kv_error_message(err), "hush") == NULL);
  kv_error_free(err);
}

static void its_options_are_known(void) {
  kv_options_t *options = kv_options_new();
  CHECK_STATUS(kv_options_set(options, "prefix", "app:", NULL), KV_OK);
  kv_options_free(options);
}

static void capabilities_are_told(void) {
  kv_store_t *store = open_store(NULL);
  uint64_t can = 0;
  CHECK_STATUS(kv_capabilities(store, &can), KV_OK);
  CHECK((can & KV_CAN_VERSIONS) != 0 && (can & KV_CAN_READ_NEAR) == 0);
  close_store(store);
}

int main(void) {
  a_server_is_refused("valkey://me:hush@127.0.0.1:1");
  a_server_is_refused("valkey-cluster://127.0.0.1:1,127.0.0.1:2/?prefix=app:&near=1MiB");
  its_options_are_known();
  capabilities_are_told();
  return 0;
}
