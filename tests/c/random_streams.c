/* Random calls on scans, watches and statistics: their children live across other calls, and their store's end. */

#include "random.h"

static void begin_scan(world_t *world) {
  kv_scan_options_t options = KV_SCAN_OPTIONS_INIT;
  const slot_t *slot = some_slot(world);
  options.order = (int32_t)below(world, 3);
  options.limit = below(world, 2) == 0 ? 0 : below(world, 60);
  options.keys_only = (int32_t)below(world, 2);
  options.point_in_time = below(world, 4) == 0;
  if (below(world, 2) == 0) {
    options.prefix.data = slot->key;
    options.prefix.len = slot->key_len < 2 ? slot->key_len : 2;
  }
  EXPECT(world, kv_scan(world->store, below(world, 4) == 0 ? NULL : &options, &world->scan), KV_OK);
}

static void step_scan(world_t *world) {
  kv_entry_t entry = KV_ENTRY_INIT;
  kv_status_t status = CALL(world, kv_scan_next(world->scan, &entry));
  if (status == KV_OK) {
    CHECK(entry.key.data != NULL && entry.value.data != NULL && entry.version > 0);
    return;
  }
  /* A scan of one moment is over once the store was cleared. */
  CHECK(status == KV_DONE || status == KV_CONFLICT);
  kv_scan_free(world->scan);
  world->scan = NULL;
}

/* A whole scan gives every entry of the model, and no other. */
static void whole_scan(world_t *world) {
  kv_scan_options_t options = KV_SCAN_OPTIONS_INIT;
  kv_entry_t entry = KV_ENTRY_INIT;
  kv_scan_t *scan = NULL;
  size_t seen = 0, there = 0;
  kv_status_t status;
  options.order = (int32_t)below(world, 3);
  for (size_t n = 0; n < KEYS; n++) {
    there += world->slots[n].value != NULL;
  }
  EXPECT(world, kv_scan(world->store, &options, &scan), KV_OK);
  while ((status = CALL(world, kv_scan_next(scan, &entry))) == KV_OK) {
    const slot_t *slot = NULL;
    for (size_t n = 0; n < KEYS && slot == NULL; n++) {
      slot_t *one = &world->slots[n];
      slot = same_bytes(one->key, one->key_len, entry.key.data, entry.key.len) ? one : NULL;
    }
    CHECK(slot != NULL && slot->value != NULL && slot_is(slot, entry.value.data, entry.value.len));
    seen++;
  }
  CHECK_STATUS(status, KV_DONE);
  CHECK(seen == there);
  kv_scan_free(scan);
}

static void begin_watch(world_t *world) {
  kv_watch_options_t options = KV_WATCH_OPTIONS_INIT;
  const slot_t *slot = some_slot(world);
  options.key_or_prefix.data = slot->key;
  options.key_or_prefix.len = slot->key_len < 1 ? slot->key_len : 1;
  options.changes = below(world, 2) == 0 ? 0 : KV_CHANGE_SET | KV_CHANGE_DELETED;
  options.exact = (int32_t)below(world, 2);
  EXPECT(world, kv_watch(world->store, below(world, 2) == 0 ? NULL : &options, &world->watch),
         KV_OK);
  world->watched = 0;
  if (below(world, 4) == 0) {
    CHECK(CALL(world, kv_watch_fd(world->watch)) >= 0);
  }
}

static void step_watch(world_t *world) {
  for (size_t left = below(world, 40); left > 0; left--) {
    kv_event_t event = KV_EVENT_INIT;
    kv_status_t status = CALL(world, kv_watch_next(world->watch, 0, &event));
    if (status == KV_TIMEOUT) {
      break;
    }
    CHECK(status == KV_OK || status == KV_LAGGED);
    CHECK(event.revision > world->watched && event.key.data != NULL);
    /* After a lag the revision is that of the event to come. */
    world->watched = event.revision - (status == KV_LAGGED);
  }
  if (below(world, 50) == 0) {
    kv_event_t event = KV_EVENT_INIT;
    kv_watch_cancel(world->watch);
    EXPECT(world, kv_watch_next(world->watch, -1, &event), KV_DONE);
    kv_watch_free(world->watch);
    world->watch = NULL;
  }
}

void random_stream_call(world_t *world) {
  switch (below(world, 32)) {
    case 0:
      whole_scan(world);
      return;
    case 1:
      kv_scan_free(world->scan);
      world->scan = NULL;
      return;
    default:
      break;
  }
  if (below(world, 2) == 0) {
    if (world->scan == NULL) {
      begin_scan(world);
    } else {
      step_scan(world);
    }
  } else if (world->watch == NULL) {
    begin_watch(world);
  } else {
    step_watch(world);
  }
}

void random_statistics_call(world_t *world) {
  kv_stats_t stats = KV_STATS_INIT;
  kv_latency_t latency = KV_LATENCY_INIT;
  uint64_t number = 0;
  char *text = NULL;
  kv_error_t *fault = NULL;
  switch (below(world, 10)) {
    case 0:
      EXPECT(world, kv_stats(world->store, &stats), KV_OK);
      CHECK(stats.entries <= KEYS && stats.gets == stats.hits + stats.misses);
      return;
    case 1:
      EXPECT(world, kv_shard_stats(world->store, 0, &stats), KV_OK);
      EXPECT(world, kv_shard_stats(world->store, 100000, &stats), KV_NOT_FOUND);
      return;
    case 2:
      EXPECT(world, kv_latency(world->store, (int32_t)(1 + below(world, 3)), &latency), KV_OK);
      return;
    case 3:
      EXPECT(world,
             kv_stats_text(world->store, below(world, 2) == 0 ? "json" : "prometheus", &text), KV_OK);
      CHECK(text != NULL && text[0] != '\0');
      kv_string_free(text);
      return;
    case 4:
      EXPECT(world, kv_len(world->store, &number), KV_OK);
      CHECK(number <= KEYS);
      return;
    case 5:
      EXPECT(world, kv_purge_expired(world->store, &number), KV_OK);
      return;
    case 6:
      EXPECT(world, kv_capabilities(world->store, &number), KV_OK);
      return;
    case 7:
      EXPECT(world, kv_recovery_report(world->store, &text), KV_OK);
      kv_string_free(text);
      return;
    case 8:
      EXPECT(world,
             kv_configure(world->store, "latency", below(world, 2) == 0 ? "sampled" : "off", NULL),
             KV_OK);
      return;
    default:
      /* There is none. */
      EXPECT(world, kv_last_fault(world->store, &fault), KV_NOT_FOUND);
      CHECK(fault == NULL);
      EXPECT(world, kv_sync(world->store, NULL), KV_OK);
  }
}
