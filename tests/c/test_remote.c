/* Stores on a server: what opening one refuses without asking anybody, and how C says it. The calls themselves are
 * cases of conformance, run where there are servers. */

#include "check.h"

static void places_that_are_refused(void) {
  kv_store_t *store = NULL;
  kv_error_t *err = NULL;
  CHECK_STATUS(kv_open("valkey-sentinel://localhost", NULL, &store, &err), KV_ERR_UNSUPPORTED);
  CHECK_TEXT_HAS(kv_error_message(err), "valkey-cluster://");
  kv_error_free(err);
  CHECK_STATUS(kv_open("valkey://localhost:1?timeout=1s", NULL, &store, &err), KV_ERR_UNAVAILABLE);
  kv_error_free(err);
  CHECK_STATUS(kv_open("valkey://a:1,b:2", NULL, &store, NULL), KV_ERR_INVALID);
  CHECK(store == NULL);
}

int main(void) {
  places_that_are_refused();
  return 0;
}
