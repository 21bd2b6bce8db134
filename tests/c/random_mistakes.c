/* Random mistakes of the caller. Each is refused, changes nothing, and leaves outputs as they were. */

#include "random.h"

static void no_store(world_t *world, const slot_t *slot) {
  kv_value_t *value = NULL;
  uint64_t count = 7;
  EXPECT(world, kv_get(NULL, slot->key, slot->key_len, &value), KV_ERR_INVALID);
  EXPECT(world, kv_set(NULL, slot->key, slot->key_len, "v", 1, 0), KV_ERR_INVALID);
  EXPECT(world, kv_len(NULL, &count), KV_ERR_INVALID);
  EXPECT(world, kv_write(NULL, NULL, NULL, NULL), KV_ERR_INVALID);
  CHECK(value == NULL && count == 7);
}

static void no_bytes(world_t *world) {
  char buffer[8];
  size_t len = 7;
  size_t some = 1 + below(world, 1000);
  EXPECT(world, kv_set(world->store, NULL, some, "v", 1, 0), KV_ERR_INVALID);
  EXPECT(world, kv_set(world->store, "k", 1, NULL, some, 0), KV_ERR_INVALID);
  EXPECT(world, kv_append(world->store, "k", 1, NULL, some, &len), KV_ERR_INVALID);
  EXPECT(world, kv_get_into(world->store, NULL, some, buffer, sizeof buffer, &len), KV_ERR_INVALID);
  EXPECT(world, kv_get_into(world->store, "k", 1, NULL, some, &len), KV_ERR_INVALID);
  EXPECT(world, kv_del(world->store, NULL, some), KV_ERR_INVALID);
  CHECK(len == 7);
}

static void no_place_for_the_answer(world_t *world, const slot_t *slot) {
  kv_slice_t slice = {slot->key, slot->key_len};
  EXPECT(world, kv_get(world->store, slot->key, slot->key_len, NULL), KV_ERR_INVALID);
  EXPECT(world, kv_take(world->store, slot->key, slot->key_len, NULL), KV_ERR_INVALID);
  EXPECT(world, kv_ttl(world->store, slot->key, slot->key_len, NULL), KV_ERR_INVALID);
  EXPECT(world, kv_get_many(world->store, &slice, 1, NULL), KV_ERR_INVALID);
  EXPECT(world, kv_scan(world->store, NULL, NULL), KV_ERR_INVALID);
  EXPECT(world, kv_watch(world->store, NULL, NULL), KV_ERR_INVALID);
  EXPECT(world, kv_stats(world->store, NULL), KV_ERR_INVALID);
  EXPECT(world, kv_stats_text(world->store, "json", NULL), KV_ERR_INVALID);
}

static void too_long(world_t *world) {
  size_t len = 65536 + below(world, 1000);
  char *key = exactly(len);
  kv_slice_t slices[2] = {{"k", 1}, {NULL, 0}};
  kv_value_t *values[2] = {NULL, NULL};
  memset(key, 'k', len);
  slices[1].data = key;
  slices[1].len = len;
  EXPECT(world, kv_set(world->store, key, len, "v", 1, 0), KV_ERR_TOO_LARGE);
  EXPECT(world, kv_exists(world->store, key, len), KV_ERR_TOO_LARGE);
  EXPECT(world, kv_get_many(world->store, slices, 2, values), KV_ERR_TOO_LARGE);
  CHECK(values[0] == NULL && values[1] == NULL);
  EXPECT(world, kv_set(world->store, key, SIZE_MAX - below(world, 99), "v", 1, 0), KV_ERR_TOO_LARGE);
  free(key);
}

/* Structs as of another header: longer, with something that this library does not know; or shorter than any. */
static void sizes(world_t *world, const slot_t *slot) {
  struct {
    kv_set_options_t known;
    uint64_t later;
  } newer = {KV_SET_OPTIONS_INIT, 0};
  kv_stats_t stats = KV_STATS_INIT;
  kv_scan_options_t options = KV_SCAN_OPTIONS_INIT;
  kv_scan_t *scan = NULL;
  newer.known.struct_size = sizeof newer;
  newer.later = 1 + next_random(world) / 2;
  EXPECT(world, kv_set_with(world->store, slot->key, slot->key_len, "v", 1, &newer.known, NULL),
         KV_ERR_UNSUPPORTED);
  newer.known.struct_size = below(world, 16);
  EXPECT(world, kv_set_with(world->store, slot->key, slot->key_len, "v", 1, &newer.known, NULL),
         KV_ERR_INVALID);
  stats.struct_size = below(world, 16);
  EXPECT(world, kv_stats(world->store, &stats), KV_ERR_INVALID);
  options.struct_size = below(world, 16);
  EXPECT(world, kv_scan(world->store, &options, &scan), KV_ERR_INVALID);
  CHECK(scan == NULL);
}

static void numbers(world_t *world, const slot_t *slot) {
  kv_set_options_t options = KV_SET_OPTIONS_INIT;
  kv_watch_options_t watching = KV_WATCH_OPTIONS_INIT;
  kv_watch_t *watch = NULL;
  kv_latency_t latency = KV_LATENCY_INIT;
  char *text = NULL;
  options.condition = 4 + (int32_t)below(world, 1000);
  EXPECT(world, kv_set_with(world->store, slot->key, slot->key_len, "v", 1, &options, NULL),
         KV_ERR_INVALID);
  EXPECT(world, kv_set(world->store, slot->key, slot->key_len, "v", 1, -1 - (int64_t)below(world, 1000)),
         KV_ERR_INVALID);
  watching.changes = 1u << (7 + below(world, 20));
  EXPECT(world, kv_watch(world->store, &watching, &watch), KV_ERR_INVALID);
  EXPECT(world, kv_latency(world->store, 4 + (int32_t)below(world, 1000), &latency), KV_ERR_INVALID);
  EXPECT(world, kv_stats_text(world->store, "xml", &text), KV_ERR_UNSUPPORTED);
  CHECK(watch == NULL && text == NULL);
}

/* What has an error to explain gives one. */
static void explained(world_t *world) {
  kv_error_t *err = NULL;
  EXPECT(world, kv_configure(world->store, "no_such_option", "1", &err), KV_ERR_UNSUPPORTED);
  CHECK(kv_error_status(err) == KV_ERR_UNSUPPORTED && kv_error_message(err)[0] != '\0');
  kv_error_free(err);
  err = NULL;
  EXPECT(world, kv_configure(world->store, "max_entries", "many", &err), KV_ERR_INVALID);
  kv_error_free(err);
  err = NULL;
  EXPECT(world, kv_snapshot(world->store, NULL, NULL, NULL, &err), KV_ERR_UNSUPPORTED);
  kv_error_free(err);
}

/* NULL may be freed, asked and stopped. */
static void nothing(world_t *world) {
  kv_entry_t entry = KV_ENTRY_INIT;
  kv_event_t event = KV_EVENT_INIT;
  kv_value_free(NULL);
  kv_values_free(NULL, below(world, 9));
  kv_scan_free(NULL);
  kv_watch_free(NULL);
  kv_watch_cancel(NULL);
  kv_batch_free(NULL);
  kv_error_free(NULL);
  kv_string_free(NULL);
  EXPECT(world, kv_scan_next(NULL, &entry), KV_ERR_INVALID);
  EXPECT(world, kv_watch_next(NULL, 0, &event), KV_ERR_INVALID);
  CHECK(CALL(world, kv_value_len(NULL)) == 0 && CALL(world, kv_value_data(NULL)) == NULL);
  CHECK(CALL(world, kv_batch_len(NULL)) == 0 && CALL(world, kv_watch_fd(NULL)) == -1);
}

void random_mistake(world_t *world) {
  const slot_t *slot = some_slot(world);
  switch (below(world, 8)) {
    case 0:
      no_store(world, slot);
      return;
    case 1:
      no_bytes(world);
      return;
    case 2:
      no_place_for_the_answer(world, slot);
      return;
    case 3:
      too_long(world);
      return;
    case 4:
      sizes(world, slot);
      return;
    case 5:
      numbers(world, slot);
      return;
    case 6:
      explained(world);
      return;
    default:
      nothing(world);
  }
}
