/* A panic inside any call on a store is contained: the call answers KV_ERR_PANIC, the host lives,
 * writes are refused from then on, reads go on, and kv_last_fault tells what happened. Linked to a
 * build of libkv with the feature `planted-panics`. */

#include "every_call.h"

/* Exported by such builds only, therefore not in kv.h: the next call of this function panics. */
void kv_test_plant_panic(const char *function_name);

static kv_store_t *fresh_store(void) {
  kv_store_t *store = open_store(NULL);
  CHECK_STATUS(set_text(store, "k", "v"), KV_OK);
  CHECK_STATUS(set_text(store, "other", "stays"), KV_OK);
  return store;
}

static void check_fault(kv_store_t *store, const char *name) {
  kv_error_t *fault = NULL;
  CHECK_STATUS(kv_last_fault(store, &fault), KV_OK);
  CHECK_STATUS(kv_error_status(fault), KV_ERR_PANIC);
  CHECK_TEXT_HAS(kv_error_message(fault), name);
  CHECK_TEXT_HAS(kv_error_message(fault), "planted by a test");
  kv_error_free(fault);
}

/* What each function answers once the store is poisoned. */
static void check_poisoned(kv_store_t *store, const char *after) {
  for (int n = 0; n < EVERY_CALL; n++) {
    kv_status_t status;
    if (every_call[n].kind == STOPS) {
      continue;
    }
    status = every_call[n].call(store);
    if (every_call[n].kind == WRITES ? status != KV_ERR_POISONED : status != KV_OK) {
      fprintf(stderr, "after a panic in %s, %s is %s\n", after, every_call[n].name,
              kv_status_name(status));
      exit(1);
    }
  }
  CHECK_VALUE(store, "other", "stays");
}

static void each_function(void) {
  for (int n = 0; n < EVERY_CALL; n++) {
    kv_store_t *store = fresh_store();
    kv_test_plant_panic(every_call[n].name);
    kv_status_t status = every_call[n].call(store);
    if (status != KV_ERR_PANIC) {
      fprintf(stderr, "a panic in %s is %s\n", every_call[n].name, kv_status_name(status));
      exit(1);
    }
    check_fault(store, every_call[n].name);
    check_poisoned(store, every_call[n].name);
    CHECK_STATUS(kv_shutdown(store, NULL), KV_OK);
    CHECK_STATUS(kv_close(store, NULL), KV_OK);
  }
}

static void slow_calls_explain_it(void) {
  kv_store_t *store = fresh_store();
  kv_options_t *options = kv_options_new();
  kv_error_t *err = NULL;
  kv_test_plant_panic("kv_configure");
  CHECK_STATUS(kv_configure(store, "max_entries", "5", &err), KV_ERR_PANIC);
  CHECK_TEXT_HAS(kv_error_message(err), "kv_configure panicked: planted by a test");
  kv_error_free(err);

  /* Closing frees the handle all the same. */
  kv_test_plant_panic("kv_close");
  CHECK_STATUS(kv_close(store, &err), KV_ERR_PANIC);
  CHECK_STATUS(kv_error_status(err), KV_ERR_PANIC);
  kv_error_free(err);

  /* Calls without a store poison nothing. */
  store = NULL;
  kv_test_plant_panic("kv_open");
  CHECK_STATUS(kv_open(NULL, NULL, &store, &err), KV_ERR_PANIC);
  CHECK(store == NULL);
  kv_error_free(err);
  kv_test_plant_panic("kv_options_set");
  CHECK_STATUS(kv_options_set(options, "max_entries", "5", NULL), KV_ERR_PANIC);
  CHECK_STATUS(kv_options_set(options, "max_entries", "5", NULL), KV_OK);
  kv_test_plant_panic("kv_options_new");
  CHECK(kv_options_new() == NULL);
  kv_options_free(options);
}

static void outputs_stay_as_they_were(void) {
  kv_store_t *store = fresh_store();
  kv_slice_t key = {"k", 1};
  kv_value_t *value = (kv_value_t *)store;
  size_t len = 99;
  kv_span_t span = {0, 1};
  char buffer[2] = "x";
  kv_test_plant_panic("kv_get_into");
  CHECK_STATUS(kv_get_into(store, "k", 1, buffer, sizeof buffer, &len), KV_ERR_PANIC);
  CHECK(len == 99 && buffer[0] == 'x');
  kv_test_plant_panic("kv_get");
  CHECK_STATUS(kv_get(store, "k", 1, &value), KV_ERR_PANIC);
  CHECK(value == (kv_value_t *)store);
  kv_test_plant_panic("kv_get_many");
  CHECK_STATUS(kv_get_many(store, &key, 1, &value), KV_ERR_PANIC);
  CHECK(value == NULL);
  kv_test_plant_panic("kv_get_packed");
  CHECK_STATUS(kv_get_packed(store, "k", &key.len, 1, buffer, sizeof buffer, &span, &len, NULL),
               KV_ERR_PANIC);
  CHECK(len == 99 && span.offset == KV_SPAN_NONE && span.len == KV_SPAN_NONE);
  close_store(store);
}

static void values_and_texts(void) {
  kv_store_t *store = fresh_store();
  kv_value_t *value = NULL;
  kv_value_info_t info = KV_VALUE_INFO_INIT;
  CHECK_STATUS(kv_get(store, "k", 1, &value), KV_OK);
  kv_test_plant_panic("kv_value_info");
  CHECK_STATUS(kv_value_info(value, &info), KV_ERR_PANIC);
  kv_test_plant_panic("kv_value_len");
  CHECK_INT(kv_value_len(value), 0);
  kv_test_plant_panic("kv_value_data");
  CHECK(kv_value_data(value) == NULL);
  kv_test_plant_panic("kv_status_name");
  CHECK(strcmp(kv_status_name(KV_OK), "KV_UNKNOWN") == 0);
  kv_test_plant_panic(NULL);
  kv_value_free(value);
  CHECK_STATUS(set_text(store, "k", "w"), KV_OK);
  close_store(store);
}

int main(void) {
  each_function();
  slow_calls_explain_it();
  outputs_stay_as_they_were();
  values_and_texts();
  return 0;
}
