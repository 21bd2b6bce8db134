/* Batches through kv.h: the object itself, mistakes, and what kv_write tells. What batches mean is in
 * tests/conformance/batch.kvt. */

#include "check.h"

static void the_object(void) {
  kv_batch_t *batch = kv_batch_new();
  CHECK(batch != NULL);
  CHECK_INT(kv_batch_len(batch), 0);
  CHECK_STATUS(kv_batch_set(batch, "a", 1, "1", 1, KV_TTL_DEFAULT), KV_OK);
  CHECK_STATUS(kv_batch_set_with(batch, NULL, 0, NULL, 0, NULL), KV_OK);
  CHECK_STATUS(kv_batch_del(batch, "b", 1), KV_OK);
  CHECK_STATUS(kv_batch_expire(batch, "c", 1, 60000), KV_OK);
  CHECK_INT(kv_batch_len(batch), 4);
  kv_batch_clear(batch);
  CHECK_INT(kv_batch_len(batch), 0);
  kv_batch_free(batch);
  CHECK_INT(kv_batch_len(NULL), 0);
  kv_batch_clear(NULL);
  kv_batch_free(NULL);
}

static void mistakes(kv_store_t *store) {
  kv_batch_t *batch = kv_batch_new();
  kv_set_options_t options = KV_SET_OPTIONS_INIT;
  kv_error_t *err = NULL;
  CHECK_STATUS(kv_batch_set(NULL, "k", 1, "v", 1, 0), KV_ERR_INVALID);
  CHECK_STATUS(kv_batch_set_with(NULL, "k", 1, "v", 1, NULL), KV_ERR_INVALID);
  CHECK_STATUS(kv_batch_del(NULL, "k", 1), KV_ERR_INVALID);
  CHECK_STATUS(kv_batch_expire(NULL, "k", 1, 1), KV_ERR_INVALID);
  CHECK_STATUS(kv_batch_set(batch, NULL, 1, "v", 1, 0), KV_ERR_INVALID);
  CHECK_STATUS(kv_batch_set(batch, "k", 1, NULL, 1, 0), KV_ERR_INVALID);
  CHECK_STATUS(kv_batch_set(batch, "k", 1, "v", SIZE_MAX, 0), KV_ERR_TOO_LARGE);
  CHECK_STATUS(kv_batch_set(batch, "k", 1, "v", 1, -5), KV_ERR_INVALID);
  CHECK_STATUS(kv_batch_del(batch, NULL, 1), KV_ERR_INVALID);
  CHECK_STATUS(kv_batch_expire(batch, NULL, 1, 1), KV_ERR_INVALID);
  options.condition = 9;
  CHECK_STATUS(kv_batch_set_with(batch, "k", 1, "v", 1, &options), KV_ERR_INVALID);
  options = (kv_set_options_t)KV_SET_OPTIONS_INIT;
  options.struct_size = 8;
  CHECK_STATUS(kv_batch_set_with(batch, "k", 1, "v", 1, &options), KV_ERR_INVALID);
  CHECK_INT(kv_batch_len(batch), 0);

  CHECK_STATUS(kv_write(store, NULL, NULL, &err), KV_ERR_INVALID);
  CHECK_TEXT_HAS(kv_error_message(err), "kv_batch_new");
  kv_error_free(err);
  CHECK_STATUS(kv_write(NULL, batch, NULL, NULL), KV_ERR_INVALID);
  kv_batch_free(batch);
}

static void what_it_tells(kv_store_t *store) {
  kv_batch_t *batch = kv_batch_new();
  kv_batch_result_t result = KV_BATCH_RESULT_INIT;
  kv_set_options_t absent = KV_SET_OPTIONS_INIT;
  absent.condition = KV_IF_ABSENT;
  kv_batch_set(batch, "a", 1, "1", 1, KV_TTL_DEFAULT);
  kv_batch_del(batch, "gone", 4);
  kv_batch_set_with(batch, "b", 1, "2", 1, &absent);
  CHECK_STATUS(kv_write(store, batch, &result, NULL), KV_OK);
  CHECK_INT(result.applied, 2);
  CHECK_INT(result.missing, 1);
  CHECK_VALUE(store, "b", "2");

  /* The same batch again: now the condition fails. */
  CHECK_STATUS(kv_del(store, "a", 1), KV_OK);
  CHECK_STATUS(kv_write(store, batch, &result, NULL), KV_CONFLICT);
  CHECK_INT(result.failed_index, 2);
  CHECK_INT(result.applied, 0);
  CHECK_STATUS(exists(store, "a"), KV_NOT_FOUND);
  CHECK_STATUS(kv_write(store, batch, NULL, NULL), KV_CONFLICT);

  /* A struct that is too small is refused before anything happens. */
  kv_batch_clear(batch);
  kv_batch_set(batch, "c", 1, "3", 1, KV_TTL_DEFAULT);
  result.struct_size = 8;
  CHECK_STATUS(kv_write(store, batch, &result, NULL), KV_ERR_INVALID);
  CHECK_STATUS(exists(store, "c"), KV_NOT_FOUND);
  kv_batch_free(batch);
}

static void a_larger_struct_is_filled_up(kv_store_t *store) {
  struct {
    kv_batch_result_t known;
    uint64_t later;
  } result = {KV_BATCH_RESULT_INIT, 7};
  kv_batch_t *batch = kv_batch_new();
  result.known.struct_size = sizeof result;
  CHECK_STATUS(kv_write(store, batch, &result.known, NULL), KV_OK);
  CHECK_INT(result.later, 0);
  CHECK_INT(result.known.struct_size, sizeof result);
  kv_batch_free(batch);
}

int main(void) {
  kv_store_t *store = open_store(NULL);
  the_object();
  mistakes(store);
  what_it_tells(store);
  a_larger_struct_is_filled_up(store);
  close_store(store);
  return 0;
}
