/* Random calls on one key, held against the model. */

#include "random.h"

static void call_set(world_t *world, slot_t *slot) {
  size_t len;
  char *value = some_bytes(world, &len);
  int timed;
  int64_t ttl_ms = some_ttl(world, slot, &timed);
  EXPECT(world, kv_set(world->store, slot->key, slot->key_len, value, len, ttl_ms), KV_OK);
  slot_set(slot, value, len);
  slot->timed = timed;
}

/* What a condition on the key comes to. */
static kv_status_t outcome(const slot_t *slot, int32_t condition, int right) {
  switch (condition) {
    case KV_IF_ABSENT:
      return slot->value != NULL ? KV_EXISTS : KV_OK;
    case KV_IF_PRESENT:
      return slot->value != NULL ? KV_OK : KV_NOT_FOUND;
    case KV_IF_VERSION:
      return slot->value == NULL ? KV_NOT_FOUND : right ? KV_OK : KV_CONFLICT;
    default:
      return KV_OK;
  }
}

static void call_set_with(world_t *world, slot_t *slot) {
  kv_set_options_t options = KV_SET_OPTIONS_INIT;
  kv_set_result_t result = KV_SET_RESULT_INIT;
  size_t len;
  char *value = some_bytes(world, &len);
  int timed, right = below(world, 2) == 0, past = below(world, 8) == 0;
  kv_status_t expected;
  options.ttl_ms = some_ttl(world, slot, &timed);
  options.condition = (int32_t)below(world, 4);
  options.version = right ? version_of(world, slot) : UINT64_MAX;
  if (past) {
    options.ttl_ms = KV_TTL_DEFAULT;
    options.expire_at_ms = 1;
  }
  expected = outcome(slot, options.condition, right);
  EXPECT(world,
         kv_set_with(world->store, slot->key, slot->key_len, value, len, &options,
                     below(world, 4) == 0 ? NULL : &result),
         expected);
  if (expected != KV_OK) {
    free(value);
  } else if (past) {
    free(value);
    slot_clear(slot);
  } else {
    slot_set(slot, value, len);
    slot->timed = timed;
  }
}

/* Keeps a value for a while, in place of another one. */
static void hold(world_t *world, kv_value_t *value) {
  size_t place = below(world, HELD);
  kv_value_info_t info = KV_VALUE_INFO_INIT;
  EXPECT(world, kv_value_info(value, &info), KV_OK);
  kv_value_free(world->held[place]);
  world->held[place] = value;
}

static void call_get(world_t *world, slot_t *slot, int take) {
  kv_value_t *value = NULL;
  kv_status_t expected = slot->value != NULL ? KV_OK : KV_NOT_FOUND;
  if (take) {
    EXPECT(world, kv_take(world->store, slot->key, slot->key_len, &value), expected);
  } else {
    EXPECT(world, kv_get(world->store, slot->key, slot->key_len, &value), expected);
  }
  if (expected != KV_OK) {
    CHECK(value == NULL);
    return;
  }
  CHECK(slot_is(slot, kv_value_data(value), kv_value_len(value)));
  hold(world, value);
  if (take) {
    slot_clear(slot);
  }
}

static void call_get_into(world_t *world, slot_t *slot) {
  size_t capacity = below(world, 3) == 0 ? below(world, 200) : slot->len + below(world, 2);
  char *buffer = exactly(capacity);
  size_t len = SIZE_MAX;
  kv_status_t status =
      CALL(world, kv_get_into(world->store, slot->key, slot->key_len, buffer, capacity, &len));
  if (slot->value == NULL) {
    CHECK_STATUS(status, KV_NOT_FOUND);
    CHECK(len == SIZE_MAX);
  } else {
    CHECK_STATUS(status, slot->len <= capacity ? KV_OK : KV_SHORT_BUFFER);
    CHECK(len == slot->len);
    CHECK(status != KV_OK || slot_is(slot, buffer, len));
  }
  free(buffer);
}

static void call_del(world_t *world, slot_t *slot) {
  kv_status_t there = slot->value != NULL ? KV_OK : KV_NOT_FOUND;
  if (below(world, 2) == 0) {
    EXPECT(world, kv_del(world->store, slot->key, slot->key_len), there);
  } else if (below(world, 2) == 0) {
    uint64_t version = version_of(world, slot);
    EXPECT(world, kv_del_if(world->store, slot->key, slot->key_len, version), there);
  } else {
    EXPECT(world, kv_del_if(world->store, slot->key, slot->key_len, UINT64_MAX),
           there == KV_OK ? KV_CONFLICT : KV_NOT_FOUND);
    return;
  }
  slot_clear(slot);
}

static void call_incr(world_t *world, slot_t *slot) {
  char text[32];
  int64_t number = 0, before = 0, delta = (int64_t)below(world, 2000) - 1000;
  char *end = text;
  if (slot->value != NULL && slot->len < sizeof text) {
    memcpy(text, slot->value, slot->len);
    text[slot->len] = '\0';
    before = strtoll(text, &end, 10);
  }
  if (slot->value != NULL && (slot->len >= sizeof text || slot->len == 0 || end != text + slot->len ||
                              !(text[0] == '-' || (text[0] >= '0' && text[0] <= '9')))) {
    EXPECT(world, kv_incr(world->store, slot->key, slot->key_len, delta, 0, &number), KV_ERR_TYPE);
    return;
  }
  EXPECT(world, kv_incr(world->store, slot->key, slot->key_len, delta, 0, &number), KV_OK);
  CHECK_INT(number, before + delta);
  {
    int len = snprintf(text, sizeof text, "%" PRId64, number);
    char *value = exactly((size_t)len);
    int timed = slot->value != NULL && slot->timed;
    memcpy(value, text, (size_t)len);
    slot_set(slot, value, (size_t)len);
    slot->timed = timed;
  }
}

static void call_append(world_t *world, slot_t *slot) {
  size_t more, len = SIZE_MAX;
  char *data = some_bytes(world, &more);
  if (slot->len + more > LONGEST_VALUE) {
    free(data);
    call_del(world, slot);
    return;
  }
  EXPECT(world, kv_append(world->store, slot->key, slot->key_len, data, more, &len), KV_OK);
  {
    size_t before = slot->value != NULL ? slot->len : 0;
    int timed = slot->value != NULL && slot->timed;
    char *value = malloc(before + more + 1);
    CHECK(value != NULL && len == before + more);
    if (before > 0) {
      memcpy(value, slot->value, before);
    }
    if (more > 0) {
      memcpy(value + before, data, more);
    }
    slot_set(slot, value, len);
    slot->timed = timed;
  }
  free(data);
}

static void call_deadline(world_t *world, slot_t *slot) {
  kv_status_t there = slot->value != NULL ? KV_OK : KV_NOT_FOUND;
  int64_t left = 0;
  switch (below(world, 6)) {
    case 0:
      EXPECT(world, kv_expire(world->store, slot->key, slot->key_len, FAR_MS), there);
      slot->timed = 1;
      return;
    case 1:
      EXPECT(world, kv_expire_at(world->store, slot->key, slot->key_len, unix_ms() + FAR_MS), there);
      slot->timed = 1;
      return;
    case 2:
      EXPECT(world, kv_persist(world->store, slot->key, slot->key_len), there);
      slot->timed = 0;
      return;
    case 3:
      EXPECT(world, kv_expire(world->store, slot->key, slot->key_len, -(int64_t)below(world, 9)), there);
      slot_clear(slot);
      return;
    default:
      EXPECT(world, kv_ttl(world->store, slot->key, slot->key_len, &left), there);
      if (there == KV_OK) {
        CHECK(slot->timed ? left > 0 && left <= FAR_MS : left == KV_TTL_NONE);
      }
  }
}

void random_key_call(world_t *world) {
  slot_t *slot = some_slot(world);
  switch (below(world, 12)) {
    case 0:
    case 1:
      call_set(world, slot);
      return;
    case 2:
      call_set_with(world, slot);
      return;
    case 3:
    case 4:
      call_get(world, slot, 0);
      return;
    case 5:
    case 6:
      call_get_into(world, slot);
      return;
    case 7:
      EXPECT(world, kv_exists(world->store, slot->key, slot->key_len),
             slot->value != NULL ? KV_OK : KV_NOT_FOUND);
      return;
    case 8:
      call_append(world, slot);
      return;
    case 9:
      call_incr(world, slot);
      return;
    case 10:
      call_deadline(world, slot);
      return;
    default:
      if (below(world, 2) == 0) {
        call_get(world, slot, 1);
      } else {
        call_del(world, slot);
      }
  }
}
