/* Random calls of nearly every function, mistakes among them, held against a model of the store. What a memory checker
 * is to find, it finds here or nowhere.
 *
 *     test_c_random [CALLS [SEED]]
 *
 * `cargo xtask calls` makes ten million of them. The same numbers make the same calls. */

#include "random.h"

char *exactly(size_t len) {
  char *memory = len == 0 ? NULL : malloc(len);
  CHECK(len == 0 || memory != NULL);
  return memory;
}

/* No byte of it is a digit, so only kv_incr makes numbers. */
char *some_bytes(world_t *world, size_t *len) {
  size_t most = below(world, 32) == 0 ? LONGEST_VALUE / 2 : below(world, 4) == 0 ? 700 : 60;
  char *bytes = exactly(*len = below(world, most));
  uint64_t seed = next_random(world);
  for (size_t n = 0; n < *len; n++) {
    bytes[n] = (char)(128 | ((seed >> n % 8 * 8) + n));
  }
  return bytes;
}

void slot_set(slot_t *slot, char *value, size_t len) {
  slot_clear(slot);
  slot->value = value != NULL ? value : calloc(1, 1);
  slot->len = len;
  CHECK(slot->value != NULL);
}

void slot_clear(slot_t *slot) {
  free(slot->value);
  slot->value = NULL;
  slot->len = 0;
}

int64_t some_ttl(world_t *world, const slot_t *slot, int *timed) {
  *timed = 0;
  switch (below(world, 4)) {
    case 0:
      return KV_TTL_DEFAULT;
    case 1:
      return KV_TTL_NONE;
    case 2:
      *timed = 1;
      return FAR_MS;
    default:
      *timed = slot->value != NULL && slot->timed;
      return KV_TTL_KEEP;
  }
}

uint64_t version_of(world_t *world, const slot_t *slot) {
  kv_value_t *value = NULL;
  kv_value_info_t info = KV_VALUE_INFO_INIT;
  if (CALL(world, kv_get(world->store, slot->key, slot->key_len, &value)) != KV_OK) {
    return 0;
  }
  EXPECT(world, kv_value_info(value, &info), KV_OK);
  kv_value_free(value);
  return info.version;
}

/* Opens an empty store; they differ in what they keep of an entry. */
static void begin_store(world_t *world) {
  static const char *const options[][2] = {
      {"eviction", "none"}, {"eviction", "lru"},     {"eviction", "s3fifo"},   {"eviction", "tinylfu"},
      {"shards", "1"},      {"entry_stats", "true"}, {"ordered_index", "true"}, {"metrics", "false"}};
  size_t choice = below(world, sizeof options / sizeof options[0]);
  world->store = open_store(options[choice][0], options[choice][1], NULL);
  for (size_t n = 0; n < KEYS; n++) {
    slot_clear(&world->slots[n]);
  }
}

static void free_children(world_t *world) {
  kv_scan_free(world->scan);
  kv_watch_free(world->watch);
  world->scan = NULL;
  world->watch = NULL;
  kv_values_free(world->held, HELD);
}

/* Children may be freed before their store or after it; values are read after it, too. */
static void end_store(world_t *world) {
  const slot_t *slot = some_slot(world);
  int before = below(world, 2) == 0;
  if (before) {
    free_children(world);
  }
  if (below(world, 2) == 0) {
    kv_entry_t entry = KV_ENTRY_INIT;
    kv_event_t event = KV_EVENT_INIT;
    EXPECT(world, kv_shutdown(world->store, NULL), KV_OK);
    EXPECT(world, kv_exists(world->store, slot->key, slot->key_len), KV_ERR_CLOSED);
    EXPECT(world, kv_set(world->store, slot->key, slot->key_len, "v", 1, 0), KV_ERR_CLOSED);
    if (world->scan != NULL) {
      CHECK(CALL(world, kv_scan_next(world->scan, &entry)) != KV_OK);
    }
    if (world->watch != NULL) {
      EXPECT(world, kv_watch_next(world->watch, -1, &event), KV_ERR_CLOSED);
    }
  }
  EXPECT(world, kv_close(world->store, NULL), KV_OK);
  world->store = NULL;
  for (size_t n = 0; n < HELD; n++) {
    const unsigned char *bytes = kv_value_data(world->held[n]);
    unsigned sum = 0;
    for (size_t at = 0; at < kv_value_len(world->held[n]); at++) {
      sum += bytes[at];
    }
    /* A value of some_bytes has its high bits, one of kv_incr its digits. */
    CHECK(sum >= kv_value_len(world->held[n]));
  }
  if (!before) {
    free_children(world);
  }
}

static void some_call(world_t *world) {
  size_t choice = below(world, 5000);
  if (choice == 0) {
    end_store(world);
    begin_store(world);
  } else if (choice < 5) {
    EXPECT(world, kv_clear(world->store), KV_OK);
    for (size_t n = 0; n < KEYS; n++) {
      slot_clear(&world->slots[n]);
    }
  } else if (choice < 150) {
    random_mistake(world);
  } else if (choice < 300) {
    random_statistics_call(world);
  } else if (choice < 700) {
    random_stream_call(world);
  } else if (choice < 1200) {
    random_many_call(world);
  } else {
    random_key_call(world);
  }
}

static void begin(world_t *world, uint64_t seed) {
  memset(world, 0, sizeof *world);
  world->random = seed;
  for (size_t n = 0; n < KEYS; n++) {
    slot_t *slot = &world->slots[n];
    /* The first key is empty; the others have lengths all over, and differ in every byte. */
    slot->key_len = n == 0 ? 0 : 1 + n * 37 % LONGEST_KEY;
    slot->key = exactly(slot->key_len);
    if (n > 0) {
      memset(slot->key, (int)n, slot->key_len);
    }
  }
  begin_store(world);
}

static void end(world_t *world) {
  end_store(world);
  for (size_t n = 0; n < KEYS; n++) {
    slot_clear(&world->slots[n]);
    free(world->slots[n].key);
  }
}

int main(int count, char **arguments) {
  uint64_t calls = count > 1 ? strtoull(arguments[1], NULL, 10) : 100000 / KV_TEST_SLOW;
  uint64_t seed = count > 2 ? strtoull(arguments[2], NULL, 10) : 1;
  world_t world;
  begin(&world, seed);
  while (world.calls < calls) {
    some_call(&world);
  }
  end(&world);
  printf("%" PRIu64 " calls with seed %" PRIu64 "\n", world.calls, seed);
  return 0;
}
