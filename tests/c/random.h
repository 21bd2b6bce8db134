/* Random calls on a store beside a model of it: what test_random.c and its parts share.
 *
 * The model has some keys of different lengths and, for each, the bytes that the store must have. Deadlines are far away
 * or past, so that no answer depends on the clock. Whatever a call is given lies in memory of exactly its size, so that a
 * memory checker sees a byte too much. The same seed makes the same calls. */

#ifndef KV_TEST_RANDOM_H
#define KV_TEST_RANDOM_H

#include "check.h"

enum { KEYS = 48, LONGEST_KEY = 300, LONGEST_VALUE = 12000, HELD = 16, MOST = 12, FAR_MS = 600000 };

/* What the model knows of a key. */
typedef struct {
  char *key;
  size_t key_len;
  char *value; /* NULL if the key is absent */
  size_t len;
  int timed;
} slot_t;

typedef struct {
  uint64_t random;
  uint64_t calls;
  kv_store_t *store;
  slot_t slots[KEYS];
  kv_value_t *held[HELD]; /* values that outlive what is done to their keys, and their store */
  kv_scan_t *scan;
  kv_watch_t *watch;
  uint64_t watched; /* the revision of the last event */
} world_t;

/* Counts a call. */
#define CALL(world, call) ((world)->calls++, (call))
#define EXPECT(world, call, expected) \
  check_status(__FILE__, __LINE__, #call, CALL(world, call), (expected))

static inline uint64_t next_random(world_t *world) {
  /* Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014. */
  uint64_t z = world->random += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

/* A number below `bound`. */
static inline size_t below(world_t *world, size_t bound) {
  return (size_t)(next_random(world) % bound);
}

static inline slot_t *some_slot(world_t *world) { return &world->slots[below(world, KEYS)]; }

/* Memory of exactly this size; NULL for none, which is how the interface wants it. */
char *exactly(size_t len);

/* Bytes that nobody expects, mostly few. Their number goes to `len`. */
char *some_bytes(world_t *world, size_t *len);

/* The model learns that a key has a value, and takes the bytes over, or that it has none. */
void slot_set(slot_t *slot, char *value, size_t len);
void slot_clear(slot_t *slot);

/* Whether bytes are the same. Either may be NULL if there are none. */
static inline int same_bytes(const void *one, size_t one_len, const void *other, size_t other_len) {
  return one_len == other_len && (one_len == 0 || memcmp(one, other, one_len) == 0);
}

/* Whether bytes are those that the model has. */
static inline int slot_is(const slot_t *slot, const void *data, size_t len) {
  return slot->value != NULL && same_bytes(slot->value, slot->len, data, len);
}

/* A TTL that kv_set takes, and what it makes of a key's deadline. */
int64_t some_ttl(world_t *world, const slot_t *slot, int *timed);

/* The version that a key has; 0 if it is absent. */
uint64_t version_of(world_t *world, const slot_t *slot);

/* The parts: each makes one call or a few, and checks the answers. */
void random_key_call(world_t *world);
void random_many_call(world_t *world);
void random_stream_call(world_t *world);
void random_statistics_call(world_t *world);
void random_mistake(world_t *world);

#endif /* KV_TEST_RANDOM_H */
