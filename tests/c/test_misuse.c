/* Mistakes of the caller: NULL where something is needed, structs of wrong sizes, numbers that mean
 * nothing, pointers that are not aligned, handles of stores that were shut down. */

#include "every_call.h"

#include <stddef.h>

static void no_store(void) {
  for (int n = 0; n < EVERY_CALL; n++) {
    kv_status_t status = every_call[n].call(NULL);
    if (status != KV_ERR_INVALID) {
      fprintf(stderr, "%s(NULL) is %s\n", every_call[n].name, kv_status_name(status));
      exit(1);
    }
  }
  CHECK_STATUS(kv_close(NULL, NULL), KV_OK);

  kv_error_t *err = NULL;
  CHECK_STATUS(kv_configure(NULL, "max_entries", "1", &err), KV_ERR_INVALID);
  CHECK_TEXT_HAS(kv_error_message(err), "kv_open");
  kv_error_free(err);
}

static void no_bytes(kv_store_t *store) {
  kv_value_t *value = NULL;
  size_t len;
  int64_t number;
  CHECK_STATUS(kv_set(store, NULL, 1, "v", 1, 0), KV_ERR_INVALID);
  CHECK_STATUS(kv_set(store, "k", 1, NULL, 1, 0), KV_ERR_INVALID);
  CHECK_STATUS(kv_set_with(store, NULL, 1, "v", 1, NULL, NULL), KV_ERR_INVALID);
  CHECK_STATUS(kv_set_with(store, "k", 1, NULL, 1, NULL, NULL), KV_ERR_INVALID);
  CHECK_STATUS(kv_get(store, NULL, 1, &value), KV_ERR_INVALID);
  CHECK_STATUS(kv_get_into(store, NULL, 1, NULL, 0, &len), KV_ERR_INVALID);
  CHECK_STATUS(kv_get_into(store, "k", 1, NULL, 1, &len), KV_ERR_INVALID);
  CHECK_STATUS(kv_take(store, NULL, 1, &value), KV_ERR_INVALID);
  CHECK_STATUS(kv_del(store, NULL, 1), KV_ERR_INVALID);
  CHECK_STATUS(kv_del_if(store, NULL, 1, 1), KV_ERR_INVALID);
  CHECK_STATUS(kv_exists(store, NULL, 1), KV_ERR_INVALID);
  CHECK_STATUS(kv_incr(store, NULL, 1, 1, 0, &number), KV_ERR_INVALID);
  CHECK_STATUS(kv_append(store, NULL, 1, "v", 1, &len), KV_ERR_INVALID);
  CHECK_STATUS(kv_append(store, "k", 1, NULL, 1, &len), KV_ERR_INVALID);
  CHECK_STATUS(kv_expire(store, NULL, 1, 1), KV_ERR_INVALID);
  CHECK_STATUS(kv_expire_at(store, NULL, 1, 1), KV_ERR_INVALID);
  CHECK_STATUS(kv_persist(store, NULL, 1), KV_ERR_INVALID);
  CHECK_STATUS(kv_ttl(store, NULL, 1, &number), KV_ERR_INVALID);
  CHECK_STATUS(exists(store, "k"), KV_NOT_FOUND);
}

static void no_output(kv_store_t *store) {
  kv_slice_t key = {"k", 1};
  kv_value_t *value = NULL;
  CHECK_STATUS(set_text(store, "k", "v"), KV_OK);
  CHECK_STATUS(kv_get(store, "k", 1, NULL), KV_ERR_INVALID);
  CHECK_STATUS(kv_get_into(store, "k", 1, NULL, 0, NULL), KV_ERR_INVALID);
  CHECK_STATUS(kv_take(store, "k", 1, NULL), KV_ERR_INVALID);
  CHECK_STATUS(kv_ttl(store, "k", 1, NULL), KV_ERR_INVALID);
  CHECK_STATUS(kv_len(store, NULL), KV_ERR_INVALID);
  CHECK_STATUS(kv_stats(store, NULL), KV_ERR_INVALID);
  CHECK_STATUS(kv_stats_text(store, "json", NULL), KV_ERR_INVALID);
  CHECK_STATUS(kv_last_fault(store, NULL), KV_ERR_INVALID);
  CHECK_STATUS(kv_get_many(store, &key, 1, NULL), KV_ERR_INVALID);
  CHECK_STATUS(kv_get_many(store, NULL, 1, &value), KV_ERR_INVALID);
  CHECK_STATUS(kv_value_info(NULL, NULL), KV_ERR_INVALID);
  CHECK_VALUE(store, "k", "v");

  CHECK_STATUS(kv_get(store, "k", 1, &value), KV_OK);
  CHECK_STATUS(kv_value_info(value, NULL), KV_ERR_INVALID);
  kv_value_free(value);
  CHECK_STATUS(kv_del(store, "k", 1), KV_OK);
}

/* What a program built against a newer header would pass. */
typedef struct {
  kv_set_options_t known;
  uint64_t later;
} newer_options_t;

typedef struct {
  kv_stats_t known;
  uint64_t later[3];
} newer_stats_t;

static kv_status_t set_with(kv_store_t *store, const kv_set_options_t *options) {
  return kv_set_with(store, "k", 1, "v", 1, options, NULL);
}

static void sizes_of_inputs(kv_store_t *store) {
  newer_options_t newer = {KV_SET_OPTIONS_INIT, 0};
  kv_set_options_t options = KV_SET_OPTIONS_INIT;
  newer.known.struct_size = sizeof newer;
  CHECK_STATUS(set_with(store, &newer.known), KV_OK);
  newer.later = 1;
  CHECK_STATUS(set_with(store, &newer.known), KV_ERR_UNSUPPORTED);
  newer.later = (uint64_t)1 << 63;
  CHECK_STATUS(set_with(store, &newer.known), KV_ERR_UNSUPPORTED);
  newer.known.struct_size = sizeof newer.known;
  CHECK_STATUS(set_with(store, &newer.known), KV_OK);

  options.struct_size = sizeof options - 1;
  CHECK_STATUS(set_with(store, &options), KV_ERR_INVALID);
  options.struct_size = 0;
  CHECK_STATUS(set_with(store, &options), KV_ERR_INVALID);
  options.struct_size = SIZE_MAX;
  CHECK_STATUS(set_with(store, &options), KV_ERR_INVALID);
}

static void sizes_of_outputs(kv_store_t *store) {
  newer_stats_t newer;
  kv_stats_t stats = KV_STATS_INIT;
  kv_set_result_t result = KV_SET_RESULT_INIT;
  kv_value_info_t info = KV_VALUE_INFO_INIT;
  kv_value_t *value = NULL;

  /* What the library does not know is filled with zeros. */
  memset(&newer, 0xff, sizeof newer);
  newer.known.struct_size = sizeof newer;
  CHECK_STATUS(kv_stats(store, &newer.known), KV_OK);
  CHECK_INT(newer.known.struct_size, sizeof newer);
  CHECK(newer.known.revision != UINT64_MAX);
  CHECK(newer.later[0] == 0 && newer.later[1] == 0 && newer.later[2] == 0);

  /* A program of an older header gets what that header had, and nothing behind it. */
  stats.struct_size = offsetof(kv_stats_t, index_bytes);
  stats.index_bytes = 99;
  CHECK_STATUS(kv_stats(store, &stats), KV_OK);
  CHECK_INT(stats.struct_size, offsetof(kv_stats_t, index_bytes));
  CHECK_INT(stats.index_bytes, 99);

  /* No header ever had less. */
  stats.struct_size -= 8;
  stats.entries = 99;
  CHECK_STATUS(kv_stats(store, &stats), KV_ERR_INVALID);
  CHECK_INT(stats.entries, 99);

  /* A result that cannot be given is refused before anything is stored. */
  CHECK_STATUS(set_text(store, "k", "before"), KV_OK);
  result.struct_size = 8;
  CHECK_STATUS(kv_set_with(store, "k", 1, "after", 5, NULL, &result), KV_ERR_INVALID);
  CHECK_VALUE(store, "k", "before");

  CHECK_STATUS(kv_get(store, "k", 1, &value), KV_OK);
  info.struct_size = 0;
  CHECK_STATUS(kv_value_info(value, &info), KV_ERR_INVALID);
  kv_value_free(value);
}

static void numbers_that_mean_nothing(kv_store_t *store) {
  kv_set_options_t options = KV_SET_OPTIONS_INIT;
  options.condition = 4;
  CHECK_STATUS(set_with(store, &options), KV_ERR_INVALID);
  options.condition = -1;
  CHECK_STATUS(set_with(store, &options), KV_ERR_INVALID);
  options.condition = KV_IF_ANY;
  options.reserved = 1;
  CHECK_STATUS(set_with(store, &options), KV_ERR_INVALID);
  options.reserved = 0;
  options.ttl_ms = -1;
  CHECK_STATUS(set_with(store, &options), KV_ERR_INVALID);
  CHECK_STATUS(kv_get_many(store, NULL, SIZE_MAX, NULL), KV_ERR_INVALID);
}

/* Foreign function interfaces of scripting languages hand out such pointers. */
static void pointers_that_are_not_aligned(kv_store_t *store) {
  static unsigned char memory[sizeof(kv_stats_t) + 8];
  unsigned char *odd = memory + 1;
  kv_stats_t stats = KV_STATS_INIT;
  uint64_t count;
  CHECK_STATUS(kv_clear(store), KV_OK);
  CHECK_STATUS(set_text(store, "k", "v"), KV_OK);
  CHECK_STATUS(kv_len(store, (uint64_t *)(void *)odd), KV_OK);
  memcpy(&count, odd, sizeof count);
  CHECK_INT(count, 1);
  memcpy(odd, &stats, sizeof stats);
  CHECK_STATUS(kv_stats(store, (kv_stats_t *)(void *)odd), KV_OK);
  memcpy(&stats, odd, sizeof stats);
  CHECK_INT(stats.entries, 1);
}

static void a_store_that_was_shut_down(void) {
  kv_store_t *store = open_store(NULL);
  kv_error_t *err = NULL;
  CHECK_STATUS(kv_shutdown(store, &err), KV_OK);
  CHECK_STATUS(kv_shutdown(store, &err), KV_OK);
  CHECK(err == NULL);
  for (int n = 0; n < EVERY_CALL; n++) {
    kv_status_t expected = KV_ERR_CLOSED;
    kv_status_t status = every_call[n].call(store);
    if (every_call[n].kind == STOPS || every_call[n].kind == RECALLS) {
      expected = KV_OK;
    } else if (every_call[n].kind == TELLS) {
      expected = KV_NOT_FOUND;
    }
    if (status != expected) {
      fprintf(stderr, "%s after kv_shutdown is %s\n", every_call[n].name, kv_status_name(status));
      exit(1);
    }
  }
  CHECK_STATUS(kv_configure(store, "max_entries", "1", &err), KV_ERR_CLOSED);
  CHECK_STATUS(kv_error_status(err), KV_ERR_CLOSED);
  kv_error_free(err);
  CHECK_STATUS(kv_close(store, NULL), KV_OK);
}

int main(void) {
  kv_store_t *store = open_store(NULL);
  no_store();
  no_bytes(store);
  no_output(store);
  sizes_of_inputs(store);
  sizes_of_outputs(store);
  numbers_that_mean_nothing(store);
  pointers_that_are_not_aligned(store);
  close_store(store);
  a_store_that_was_shut_down();
  return 0;
}
