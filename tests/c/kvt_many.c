/* The operations of conformance cases on many keys. */

#include "kvt_call.h"

/* Words as the packed calls of kv.h take them: every `step`th from `first` on. */
typedef struct {
  char *bytes;
  size_t lens[KVT_WORDS];
  size_t count;
} packed_t;

static packed_t pack(call_t *call, int first, int count, int step) {
  packed_t packed = {NULL, {0}, 0};
  size_t used = 0;
  for (int n = first; n < first + count; n += step) {
    packed.lens[packed.count++] = call->words[n].len;
    used += call->words[n].len;
  }
  packed.bytes = kvt_alloc(call->run, used + 1);
  used = 0;
  for (int n = first; n < first + count; n += step) {
    memcpy(packed.bytes + used, call->words[n].text, call->words[n].len);
    used += call->words[n].len;
  }
  return packed;
}

/* Every positional word, all of them bytes. */
static bool all_bytes(call_t *call, const char *allowed, size_t *count) {
  char kinds[KVT_WORDS + 1] = "";
  *count = 0;
  while ((int)*count + 1 < call->count && call->words[*count + 1].name == NULL) {
    kinds[(*count)++] = 'b';
  }
  return shape(call, kinds, allowed);
}

static void get_handles(call_t *call, size_t count) {
  kv_slice_t keys[KVT_WORDS] = {{NULL, 0}};
  kv_value_t *values[KVT_WORDS];
  for (size_t n = 0; n < count; n++) {
    keys[n].data = call->words[n + 1].text;
    keys[n].len = call->words[n + 1].len;
  }
  call->answer->status = kv_get_many(call->run->store, keys, count, values);
  for (size_t n = 0; n < count && call->answer->status == KV_OK; n++) {
    add_bytes(call, kv_value_data(values[n]), kv_value_len(values[n]));
  }
  kv_values_free(values, count);
}

static void get_packed(call_t *call, size_t count) {
  packed_t keys = pack(call, 1, (int)count, 1);
  kv_span_t spans[KVT_WORDS];
  size_t len = 1 << 20; /* more than nearly all lines need */
  char *buffer;
  do {
    size_t capacity = len;
    buffer = kvt_alloc(call->run, capacity);
    call->answer->status = kv_get_packed(call->run->store, keys.bytes, keys.lens, count, buffer,
                                         capacity, spans, &len, NULL);
  } while (call->answer->status == KV_SHORT_BUFFER);
  for (size_t n = 0; n < count && call->answer->status == KV_OK; n++) {
    CHECK((spans[n].offset == KV_SPAN_NONE) == (spans[n].len == KV_SPAN_NONE));
    add_bytes(call, spans[n].len == KV_SPAN_NONE ? NULL : buffer + spans[n].offset,
              spans[n].len == KV_SPAN_NONE ? 0 : spans[n].len);
  }
}

/* Reads through handles and packed, by turns. */
bool op_get_many(call_t *call) {
  static bool turn;
  size_t count;
  if (!all_bytes(call, "", &count)) {
    return false;
  }
  turn = !turn;
  if (turn) {
    get_handles(call, count);
  } else {
    get_packed(call, count);
  }
  call->answer->bytes_are_all = call->answer->status == KV_OK;
  return true;
}

bool op_set_many(call_t *call) {
  packed_t keys, values;
  kv_error_t *err = NULL;
  size_t count;
  int64_t ttl_ms;
  int first = 1;
  /* The TTL stands before the pairs. */
  while (first < call->count && call->words[first].name != NULL) {
    first++;
  }
  count = (size_t)(call->count - first);
  if (count % 2 != 0 || !ttl_of(call, &ttl_ms)) {
    return kvt_fail(call->run, "set_many takes pairs");
  }
  for (int n = first; n < call->count; n++) {
    if (call->words[n].name != NULL || !call->words[n].is_bytes) {
      return kvt_fail(call->run, "word %d of set_many is not what it takes", n);
    }
  }
  for (int n = 1; n < first; n++) {
    if (strcmp(call->words[n].name, "ttl") != 0) {
      return kvt_fail(call->run, "set_many does not take %s", call->words[n].name);
    }
  }
  keys = pack(call, first, (int)count, 2);
  values = pack(call, first + 1, (int)count - 1, 2);
  call->answer->status =
      kv_set_packed(call->run->store, keys.bytes, keys.lens, values.bytes, values.lens, keys.count,
                    ttl_ms, &err);
  take_message(call->answer, err);
  return true;
}

bool op_del_many(call_t *call) {
  packed_t keys;
  kv_error_t *err = NULL;
  size_t count;
  uint64_t deleted = 0;
  if (!all_bytes(call, "", &count)) {
    return false;
  }
  keys = pack(call, 1, (int)count, 1);
  call->answer->status =
      kv_del_packed(call->run->store, keys.bytes, keys.lens, count, &deleted, &err);
  take_message(call->answer, err);
  return call->answer->status != KV_OK || add_number(call, "count", (int64_t)deleted);
}
