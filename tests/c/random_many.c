/* Random calls on many keys at once, packed and in batches, held against the model. */

#include "random.h"

/* Some keys, which may come twice, in every form that a call wants them in. */
typedef struct {
  size_t count;
  slot_t *slots[MOST];
  kv_slice_t *slices;
  char *run;
  size_t *lens;
} chosen_t;

static void choose(world_t *world, chosen_t *chosen) {
  size_t bytes = 0;
  chosen->count = below(world, MOST + 1);
  chosen->slices = (kv_slice_t *)(void *)exactly(chosen->count * sizeof *chosen->slices);
  chosen->lens = (size_t *)(void *)exactly(chosen->count * sizeof *chosen->lens);
  for (size_t n = 0; n < chosen->count; n++) {
    slot_t *slot = chosen->slots[n] = some_slot(world);
    chosen->slices[n].data = slot->key;
    chosen->slices[n].len = chosen->lens[n] = slot->key_len;
    bytes += slot->key_len;
  }
  chosen->run = exactly(bytes);
  bytes = 0;
  for (size_t n = 0; n < chosen->count; n++) {
    if (chosen->lens[n] > 0) {
      memcpy(chosen->run + bytes, chosen->slots[n]->key, chosen->lens[n]);
      bytes += chosen->lens[n];
    }
  }
}

static void forget(chosen_t *chosen) {
  free(chosen->slices);
  free(chosen->run);
  free(chosen->lens);
}

static void call_get_many(world_t *world, const chosen_t *chosen) {
  kv_value_t **values = (kv_value_t **)(void *)exactly(chosen->count * sizeof *values);
  EXPECT(world, kv_get_many(world->store, chosen->slices, chosen->count, values), KV_OK);
  for (size_t n = 0; n < chosen->count; n++) {
    const slot_t *slot = chosen->slots[n];
    CHECK((values[n] != NULL) == (slot->value != NULL));
    CHECK(values[n] == NULL || slot_is(slot, kv_value_data(values[n]), kv_value_len(values[n])));
  }
  kv_values_free(values, chosen->count);
  free(values);
}

static void call_get_packed(world_t *world, const chosen_t *chosen) {
  kv_span_t *spans = (kv_span_t *)(void *)exactly(chosen->count * sizeof *spans);
  size_t need = 0, capacity, len = SIZE_MAX;
  char *buffer;
  for (size_t n = 0; n < chosen->count; n++) {
    need += chosen->slots[n]->value != NULL ? chosen->slots[n]->len : 0;
  }
  capacity = below(world, 2) == 0 ? need : below(world, need + 2);
  buffer = exactly(capacity);
  EXPECT(world,
         kv_get_packed(world->store, chosen->run, chosen->lens, chosen->count, buffer, capacity,
                       spans, &len, NULL),
         need <= capacity ? KV_OK : KV_SHORT_BUFFER);
  CHECK(len == need);
  for (size_t n = 0; n < chosen->count; n++) {
    const slot_t *slot = chosen->slots[n];
    CHECK((spans[n].len == KV_SPAN_NONE) == (slot->value == NULL));
    CHECK(slot->value == NULL || spans[n].len == slot->len);
    if (slot->value != NULL && spans[n].offset != KV_SPAN_NONE) {
      CHECK(spans[n].offset <= capacity && slot->len <= capacity - spans[n].offset);
      CHECK(slot->len == 0 || slot_is(slot, buffer + spans[n].offset, slot->len));
    }
  }
  free(buffer);
  free(spans);
}

static void call_set_packed(world_t *world, const chosen_t *chosen) {
  size_t *lens = (size_t *)(void *)exactly(chosen->count * sizeof *lens), bytes = 0;
  char *values[MOST], *run;
  for (size_t n = 0; n < chosen->count; n++) {
    values[n] = some_bytes(world, &lens[n]);
    bytes += lens[n];
  }
  run = exactly(bytes);
  bytes = 0;
  for (size_t n = 0; n < chosen->count; n++) {
    if (lens[n] > 0) {
      memcpy(run + bytes, values[n], lens[n]);
      bytes += lens[n];
    }
  }
  EXPECT(world,
         kv_set_packed(world->store, chosen->run, chosen->lens, run, lens, chosen->count, FAR_MS,
                       NULL),
         KV_OK);
  for (size_t n = 0; n < chosen->count; n++) {
    slot_set(chosen->slots[n], values[n], lens[n]);
    chosen->slots[n]->timed = 1;
  }
  free(run);
  free(lens);
}

static void call_del_packed(world_t *world, const chosen_t *chosen) {
  uint64_t count = UINT64_MAX, there = 0;
  for (size_t n = 0; n < chosen->count; n++) {
    there += chosen->slots[n]->value != NULL;
    slot_clear(chosen->slots[n]);
  }
  EXPECT(world,
         kv_del_packed(world->store, chosen->run, chosen->lens, chosen->count, &count, NULL), KV_OK);
  CHECK(count == there);
}

/* Adds one change to a batch and makes it in the model, which is to be thrown away if the batch fails. */
static void add_change(world_t *world, kv_batch_t *batch, slot_t *slot) {
  size_t len;
  char *value;
  switch (below(world, 4)) {
    case 0:
      EXPECT(world, kv_batch_del(batch, slot->key, slot->key_len), KV_OK);
      slot_clear(slot);
      return;
    case 1:
      EXPECT(world, kv_batch_expire(batch, slot->key, slot->key_len, FAR_MS), KV_OK);
      slot->timed = 1;
      return;
    default:
      value = some_bytes(world, &len);
      EXPECT(world, kv_batch_set(batch, slot->key, slot->key_len, value, len, KV_TTL_NONE), KV_OK);
      slot_set(slot, value, len);
      slot->timed = 0;
  }
}

static void call_write(world_t *world, const chosen_t *chosen) {
  kv_batch_t *batch = CALL(world, kv_batch_new());
  kv_batch_result_t result = KV_BATCH_RESULT_INIT;
  CHECK(batch != NULL);
  if (below(world, 4) == 0) {
    /* A condition that does not hold, behind other changes: nothing of it is done. */
    kv_set_options_t options = KV_SET_OPTIONS_INIT;
    options.condition = KV_IF_VERSION;
    options.version = UINT64_MAX;
    for (size_t n = 0; n < chosen->count; n++) {
      EXPECT(world, kv_batch_del(batch, chosen->slots[n]->key, chosen->slots[n]->key_len), KV_OK);
    }
    EXPECT(world, kv_batch_set_with(batch, "never", 5, NULL, 0, &options), KV_OK);
    EXPECT(world, kv_write(world->store, batch, &result, NULL), KV_CONFLICT);
    CHECK(result.failed_index == chosen->count);
    kv_batch_clear(batch);
  } else {
    for (size_t n = 0; n < chosen->count; n++) {
      add_change(world, batch, chosen->slots[n]);
    }
    CHECK(kv_batch_len(batch) == chosen->count);
    EXPECT(world, kv_write(world->store, batch, below(world, 4) == 0 ? NULL : &result, NULL), KV_OK);
  }
  kv_batch_free(batch);
}

void random_many_call(world_t *world) {
  chosen_t chosen;
  choose(world, &chosen);
  switch (below(world, 8)) {
    case 0:
    case 1:
      call_get_many(world, &chosen);
      break;
    case 2:
    case 3:
      call_get_packed(world, &chosen);
      break;
    case 4:
      call_set_packed(world, &chosen);
      break;
    case 5:
      call_del_packed(world, &chosen);
      break;
    default:
      call_write(world, &chosen);
  }
  forget(&chosen);
}
