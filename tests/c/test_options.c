/* Options, opening and reconfiguring. What each option accepts is a matter of the conformance cases;
 * here it is how C says it. */

#include "check.h"

static void every_option_takes_its_default(void) {
  static const char *const table[][2] = {
      {"persistence", "none"},      {"sync", "interval"},         {"sync_interval", "1s"},
      {"snapshot_interval", "5m"},  {"snapshot_keep", "2"},       {"wal_segment_bytes", "64MiB"},
      {"compression", "none"},      {"create", "true"},           {"eviction", "none"},
      {"max_entries", "0"},         {"max_memory", "0"},          {"metrics", "true"},
      {"max_key_bytes", "65535"},   {"max_value_bytes", "512MiB"}, {"default_ttl", "0"},
      {"ttl_jitter", "0"},          {"cleanup_interval", "100ms"}, {"shards", "4"},
      {"entry_stats", "false"},     {"ordered_index", "false"},   {"watch_buffer", "65536"},
      {"watch_buffer_bytes", "64MiB"}, {"scan_buffer_bytes", "64MiB"},
      {"wal_bytes_max", "1GiB"},
  };
  kv_options_t *options = kv_options_new();
  kv_store_t *store = NULL;
  CHECK(options != NULL);
  for (size_t n = 0; n < sizeof table / sizeof table[0]; n++) {
    kv_error_t *err = NULL;
    kv_status_t status = kv_options_set(options, table[n][0], table[n][1], &err);
    if (status != KV_OK) {
      fprintf(stderr, "%s=%s: %s\n", table[n][0], table[n][1], kv_error_message(err));
    }
    CHECK_STATUS(status, KV_OK);
    CHECK(err == NULL);
  }
  CHECK_STATUS(kv_open(NULL, options, &store, NULL), KV_OK);
  kv_options_free(options);
  close_store(store);
}

static void a_refusal_names_the_thing_and_the_remedy(void) {
  kv_options_t *options = kv_options_new();
  kv_error_t *err = NULL;

  CHECK_STATUS(kv_options_set(options, "max_memry", "1MiB", &err), KV_ERR_UNSUPPORTED);
  CHECK_STATUS(kv_error_status(err), KV_ERR_UNSUPPORTED);
  CHECK_TEXT_HAS(kv_error_message(err), "max_memry");
  CHECK_TEXT_HAS(kv_error_message(err), "max_memory");
  kv_error_free(err);

  err = NULL;
  CHECK_STATUS(kv_options_set(options, "shards", "three", &err), KV_ERR_INVALID);
  CHECK_TEXT_HAS(kv_error_message(err), "shards");
  CHECK_TEXT_HAS(kv_error_message(err), "three");
  kv_error_free(err);

  /* Nobody has to ask for the error. */
  CHECK_STATUS(kv_options_set(options, "shards", "three", NULL), KV_ERR_INVALID);
  CHECK_STATUS(kv_options_set(options, "ordered_index", "true", NULL), KV_OK);
  kv_options_free(options);
}

static void texts_that_are_none(void) {
  kv_options_t *options = kv_options_new();
  kv_error_t *err = NULL;
  CHECK_STATUS(kv_options_set(options, NULL, "1", NULL), KV_ERR_INVALID);
  CHECK_STATUS(kv_options_set(options, "shards", NULL, NULL), KV_ERR_INVALID);
  CHECK_STATUS(kv_options_set(NULL, NULL, NULL, NULL), KV_ERR_INVALID);
  CHECK_STATUS(kv_options_set(options, "sh\xff", "1", &err), KV_ERR_INVALID);
  CHECK_TEXT_HAS(kv_error_message(err), "UTF-8");
  kv_error_free(err);
  kv_options_free(options);
  kv_options_free(NULL);
}

static void options_are_copied(void) {
  kv_options_t *options = kv_options_new();
  kv_store_t *one = NULL, *two = NULL;
  CHECK_STATUS(kv_options_set(options, "max_entries", "1", NULL), KV_OK);
  CHECK_STATUS(kv_open(NULL, options, &one, NULL), KV_OK);
  CHECK_STATUS(kv_options_set(options, "max_entries", "2", NULL), KV_OK);
  CHECK_STATUS(kv_open(":memory:", options, &two, NULL), KV_OK);
  kv_options_free(options);
  CHECK_STATUS(set_text(one, "a", ""), KV_OK);
  CHECK_STATUS(set_text(one, "b", ""), KV_ERR_FULL);
  CHECK_STATUS(set_text(two, "a", ""), KV_OK);
  CHECK_STATUS(set_text(two, "b", ""), KV_OK);
  CHECK_STATUS(set_text(two, "c", ""), KV_ERR_FULL);
  close_store(one);
  close_store(two);
}

static void locations(void) {
  kv_options_t *options = kv_options_new();
  kv_store_t *store = NULL;
  kv_error_t *err = NULL;

  /* What a location says wins over the object. */
  CHECK_STATUS(kv_options_set(options, "max_entries", "5", NULL), KV_OK);
  CHECK_STATUS(kv_open("kv::memory:?max_entries=1", options, &store, NULL), KV_OK);
  kv_options_free(options);
  CHECK_STATUS(set_text(store, "a", ""), KV_OK);
  CHECK_STATUS(set_text(store, "b", ""), KV_ERR_FULL);
  close_store(store);

  store = NULL;
  CHECK_STATUS(kv_open("kv::memory:?max_entries=many", NULL, &store, NULL), KV_ERR_INVALID);
  CHECK_STATUS(kv_open("caf\xe9", NULL, &store, NULL), KV_ERR_INVALID);
  CHECK(store == NULL);
  CHECK_STATUS(kv_open(NULL, NULL, NULL, &err), KV_ERR_INVALID);
  kv_error_free(err);
}

static void reconfiguring(void) {
  kv_store_t *store = open_store("max_entries", "1", NULL);
  kv_error_t *err = NULL;
  CHECK_STATUS(set_text(store, "a", ""), KV_OK);
  CHECK_STATUS(set_text(store, "b", ""), KV_ERR_FULL);
  CHECK_STATUS(kv_configure(store, "max_entries", "2", &err), KV_OK);
  CHECK(err == NULL);
  CHECK_STATUS(set_text(store, "b", ""), KV_OK);

  CHECK_STATUS(kv_configure(store, "max_entries", "1", &err), KV_ERR_FULL);
  CHECK_STATUS(kv_error_status(err), KV_ERR_FULL);
  kv_error_free(err);
  err = NULL;
  CHECK_STATUS(kv_configure(store, "shards", "2", &err), KV_ERR_UNSUPPORTED);
  CHECK_TEXT_HAS(kv_error_message(err), "shards");
  kv_error_free(err);
  CHECK_STATUS(kv_configure(store, "max_entrys", "2", NULL), KV_ERR_UNSUPPORTED);
  CHECK_STATUS(kv_configure(store, "max_entries", "-2", NULL), KV_ERR_INVALID);
  CHECK_STATUS(kv_configure(store, NULL, "2", NULL), KV_ERR_INVALID);
  CHECK_STATUS(kv_configure(store, "max_entries", NULL, NULL), KV_ERR_INVALID);
  close_store(store);
}

int main(void) {
  every_option_takes_its_default();
  a_refusal_names_the_thing_and_the_remedy();
  texts_that_are_none();
  options_are_copied();
  locations();
  reconfiguring();
  return 0;
}
