/* Scans through kv.h: the object itself, mistakes, and its life beside the store's. What scans give is
 * in tests/conformance/scan.kvt. */

#include "check.h"

static void fill(kv_store_t *store, int count) {
  char key[16];
  for (int n = 0; n < count; n++) {
    snprintf(key, sizeof key, "k%04d", n);
    CHECK_STATUS(set_text(store, key, "v"), KV_OK);
  }
}

static void mistakes(kv_store_t *store) {
  kv_scan_options_t options = KV_SCAN_OPTIONS_INIT;
  kv_entry_t entry = KV_ENTRY_INIT;
  kv_scan_t *scan = NULL;
  CHECK_STATUS(kv_scan(NULL, &options, &scan), KV_ERR_INVALID);
  CHECK_STATUS(kv_scan(store, &options, NULL), KV_ERR_INVALID);
  CHECK_STATUS(kv_scan_next(NULL, &entry), KV_ERR_INVALID);
  kv_scan_free(NULL);
  options.order = 3;
  CHECK_STATUS(kv_scan(store, &options, &scan), KV_ERR_INVALID);
  options = (kv_scan_options_t)KV_SCAN_OPTIONS_INIT;
  options.prefix.len = 1;
  CHECK_STATUS(kv_scan(store, &options, &scan), KV_ERR_INVALID);
  options = (kv_scan_options_t)KV_SCAN_OPTIONS_INIT;
  options.struct_size = offsetof(kv_scan_options_t, keys_only);
  CHECK_STATUS(kv_scan(store, &options, &scan), KV_ERR_INVALID);
  options = (kv_scan_options_t)KV_SCAN_OPTIONS_INIT;
  options.reserved = 1;
  CHECK_STATUS(kv_scan(store, &options, &scan), KV_ERR_INVALID);
  CHECK(scan == NULL);

  CHECK_STATUS(kv_scan(store, NULL, &scan), KV_OK);
  CHECK_STATUS(kv_scan_next(scan, NULL), KV_ERR_INVALID);
  entry.struct_size = 8;
  CHECK_STATUS(kv_scan_next(scan, &entry), KV_ERR_INVALID);
  kv_scan_free(scan);
}

static void a_newer_struct(kv_store_t *store) {
  struct {
    kv_scan_options_t known;
    uint64_t later;
  } options = {KV_SCAN_OPTIONS_INIT, 0};
  kv_scan_t *scan = NULL;
  options.known.struct_size = sizeof options;
  CHECK_STATUS(kv_scan(store, &options.known, &scan), KV_OK);
  kv_scan_free(scan);
  options.later = 1;
  CHECK_STATUS(kv_scan(store, &options.known, &scan), KV_ERR_UNSUPPORTED);
}

/* A program that was compiled before there was `point_in_time`. */
static void an_older_struct(kv_store_t *store) {
  kv_scan_options_t options = KV_SCAN_OPTIONS_INIT;
  kv_entry_t entry = KV_ENTRY_INIT;
  kv_scan_t *scan = NULL;
  options.struct_size = offsetof(kv_scan_options_t, point_in_time);
  options.limit = 1;
  options.order = KV_ORDER_ASC;
  options.point_in_time = options.reserved = -1; /* nothing that it knows of */
  CHECK_STATUS(kv_scan(store, &options, &scan), KV_OK);
  CHECK_STATUS(kv_scan_next(scan, &entry), KV_OK);
  CHECK_STATUS(kv_scan_next(scan, &entry), KV_DONE);
  kv_scan_free(scan);
}

/* Every entry but the first, which has come, is changed under a scan in each order. */
static void one_moment_is_shown(int32_t order) {
  kv_scan_options_t options = KV_SCAN_OPTIONS_INIT;
  kv_entry_t entry = KV_ENTRY_INIT;
  kv_store_t *store = open_store(NULL);
  kv_scan_t *scan = NULL;
  char key[16];
  int count = 1;
  fill(store, 200);
  options.order = order;
  options.point_in_time = 1;
  CHECK_STATUS(kv_scan(store, &options, &scan), KV_OK);
  CHECK_STATUS(kv_scan_next(scan, &entry), KV_OK);
  for (int n = 0; n < 400; n++) {
    snprintf(key, sizeof key, "k%04d", n);
    if (n % 3 == 0) {
      CHECK_STATUS(kv_del(store, key, strlen(key)), n < 200 ? KV_OK : KV_NOT_FOUND);
    } else {
      CHECK_STATUS(set_text(store, key, "later"), KV_OK);
    }
  }
  while (kv_scan_next(scan, &entry) == KV_OK) {
    CHECK(entry.value.len == 1 && *(const char *)entry.value.data == 'v');
    count++;
  }
  CHECK_STATUS(kv_scan_next(scan, &entry), KV_DONE);
  CHECK_INT(count, 200);
  kv_scan_free(scan);
  close_store(store);
}

static void too_much_changes_under_a_moment(void) {
  kv_scan_options_t options = KV_SCAN_OPTIONS_INIT;
  kv_entry_t entry = KV_ENTRY_INIT;
  kv_store_t *store = open_store("scan_buffer_bytes", "1KiB", NULL);
  kv_scan_t *scan = NULL;
  fill(store, 200);
  options.order = KV_ORDER_ASC;
  options.point_in_time = 1;
  CHECK_STATUS(kv_scan(store, &options, &scan), KV_OK);
  fill(store, 200);
  CHECK_STATUS(kv_scan_next(scan, &entry), KV_CONFLICT);
  CHECK_STATUS(kv_scan_next(scan, &entry), KV_CONFLICT);
  kv_scan_free(scan);
  close_store(store);
}

static void entries_come_in_order(kv_store_t *store) {
  kv_scan_options_t options = KV_SCAN_OPTIONS_INIT;
  kv_entry_t entry = KV_ENTRY_INIT;
  kv_scan_t *scan = NULL;
  char prefix[] = "k00";
  int count = 0;
  options.prefix.data = prefix;
  options.prefix.len = 3;
  options.order = KV_ORDER_ASC;
  CHECK_STATUS(kv_scan(store, &options, &scan), KV_OK);
  memset(prefix, 'x', sizeof prefix); /* it was copied */
  while (kv_scan_next(scan, &entry) == KV_OK) {
    char expected[16];
    snprintf(expected, sizeof expected, "k%04d", count++);
    CHECK_INT(entry.key.len, 5);
    CHECK(memcmp(entry.key.data, expected, 5) == 0);
    CHECK(entry.value.len == 1 && *(const char *)entry.value.data == 'v');
    CHECK(entry.version > 0);
    CHECK_INT(entry.expire_at_ms, KV_TTL_NONE);
  }
  CHECK_INT(count, 100);
  CHECK_STATUS(kv_scan_next(scan, &entry), KV_DONE);
  kv_scan_free(scan);
}

static void empty_values_have_an_address(kv_store_t *store) {
  kv_scan_options_t options = KV_SCAN_OPTIONS_INIT;
  kv_entry_t entry = KV_ENTRY_INIT;
  kv_scan_t *scan = NULL;
  options.keys_only = 1;
  options.limit = 1;
  CHECK_STATUS(kv_scan(store, &options, &scan), KV_OK);
  CHECK_STATUS(kv_scan_next(scan, &entry), KV_OK);
  CHECK(entry.value.data != NULL && entry.value.len == 0);
  CHECK_STATUS(kv_scan_next(scan, &entry), KV_DONE);
  kv_scan_free(scan);
}

static void a_scan_may_outlive_its_store(void) {
  kv_store_t *store = open_store(NULL);
  kv_entry_t entry = KV_ENTRY_INIT;
  kv_scan_t *scan = NULL, *unused = NULL;
  fill(store, 200);
  CHECK_STATUS(kv_scan(store, NULL, &scan), KV_OK);
  CHECK_STATUS(kv_scan(store, NULL, &unused), KV_OK);
  CHECK_STATUS(kv_scan_next(scan, &entry), KV_OK);
  close_store(store);
  CHECK_STATUS(kv_scan_next(scan, &entry), KV_ERR_CLOSED);
  CHECK_STATUS(kv_scan_next(scan, &entry), KV_ERR_CLOSED);
  kv_scan_free(scan);
  kv_scan_free(unused);
}

static void a_restore_ends_it(kv_store_t *store) {
  kv_entry_t entry = KV_ENTRY_INIT;
  kv_scan_t *scan = NULL;
  CHECK_STATUS(kv_snapshot(store, "scan_test.kvs", NULL, NULL, NULL), KV_OK);
  CHECK_STATUS(kv_scan(store, NULL, &scan), KV_OK);
  CHECK_STATUS(kv_scan_next(scan, &entry), KV_OK);
  CHECK_STATUS(kv_restore(store, "scan_test.kvs", NULL), KV_OK);
  CHECK_STATUS(kv_scan_next(scan, &entry), KV_CONFLICT);
  CHECK_STATUS(kv_scan_next(scan, &entry), KV_CONFLICT);
  kv_scan_free(scan);
  CHECK_INT(remove("scan_test.kvs"), 0);
}

int main(void) {
  const char *const indexed[] = {"false", "true"};
  for (int n = 0; n < 2; n++) {
    kv_store_t *store = open_store("ordered_index", indexed[n], NULL);
    fill(store, 200);
    mistakes(store);
    a_newer_struct(store);
    an_older_struct(store);
    entries_come_in_order(store);
    empty_values_have_an_address(store);
    a_restore_ends_it(store);
    close_store(store);
  }
  one_moment_is_shown(KV_ORDER_NONE);
  one_moment_is_shown(KV_ORDER_ASC);
  one_moment_is_shown(KV_ORDER_DESC);
  too_much_changes_under_a_moment();
  a_scan_may_outlive_its_store();
  return 0;
}
