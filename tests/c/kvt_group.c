/* The operations of conformance cases that write batches and scan. */

#include "kvt_call.h"

static bool is_change(const kvt_word_t *word) {
  return kvt_is(word, "set") || kvt_is(word, "del") || kvt_is(word, "expire");
}

/* The options of a set in a batch; false if a word is none of them. */
static bool set_options(call_t *call, const kvt_word_t *word, kv_set_options_t *options) {
  int64_t number = 0;
  if (word->name == NULL) {
    return kvt_fail(call->run, "%s is no option of a set", word->text);
  }
  if (strcmp(word->name, "if") == 0) {
    options->condition = strcmp(word->text, "absent") == 0 ? KV_IF_ABSENT : KV_IF_PRESENT;
    return true;
  }
  if (strcmp(word->name, "ttl") == 0 && strcmp(word->text, "none") == 0) {
    options->ttl_ms = KV_TTL_NONE;
    return true;
  }
  if (strcmp(word->name, "ttl") == 0 && strcmp(word->text, "keep") == 0) {
    options->ttl_ms = KV_TTL_KEEP;
    return true;
  }
  if (!kvt_number(call->run, word->text, &number)) {
    return false;
  }
  if (strcmp(word->name, "ttl") == 0) {
    options->ttl_ms = number;
  } else if (strcmp(word->name, "at") == 0) {
    options->expire_at_ms = number;
  } else if (strcmp(word->name, "if_version") == 0) {
    options->condition = KV_IF_VERSION;
    options->version = (uint64_t)number;
  } else {
    return kvt_fail(call->run, "write does not take %s", word->name);
  }
  return true;
}

/* Adds the change that begins at a word, and says how many words it has; 0 if something is wrong. A
 * refusal of the change becomes the answer. */
static int add_change(call_t *call, kv_batch_t *batch, const kvt_word_t *words, int count) {
  kv_set_options_t options = KV_SET_OPTIONS_INIT;
  const kvt_word_t *key = &words[1], *second = &words[2];
  int64_t ttl_ms = 0;
  int used = kvt_is(&words[0], "del") ? 2 : 3;
  bool fits = count >= used && key->is_bytes && key->name == NULL;
  kv_status_t *status = &call->answer->status;
  if (fits && kvt_is(&words[0], "del")) {
    *status = kv_batch_del(batch, key->text, key->len);
  } else if (fits && kvt_is(&words[0], "expire") && kvt_number(call->run, second->text, &ttl_ms)) {
    *status = kv_batch_expire(batch, key->text, key->len, ttl_ms);
  } else if (fits && kvt_is(&words[0], "set") && second->is_bytes) {
    while (used < count && !is_change(&words[used])) {
      if (!set_options(call, &words[used++], &options)) {
        return 0;
      }
    }
    bool is_plain = options.expire_at_ms == 0 && options.condition == KV_IF_ANY;
    *status = is_plain ? kv_batch_set(batch, key->text, key->len, second->text, second->len,
                                      options.ttl_ms)
                       : kv_batch_set_with(batch, key->text, key->len, second->text, second->len,
                                           &options);
  } else {
    kvt_fail(call->run, "write does not take these words: %s", words[0].text);
    return 0;
  }
  return used;
}

bool op_write(call_t *call) {
  kv_batch_t *batch = kv_batch_new();
  kv_batch_result_t result = KV_BATCH_RESULT_INIT;
  kv_error_t *err = NULL;
  size_t changes = 0;
  int at = 1;
  call->answer->status = KV_OK;
  while (at < call->count && call->answer->status == KV_OK) {
    int used = add_change(call, batch, call->words + at, call->count - at);
    if (used == 0) {
      kv_batch_free(batch);
      return false;
    }
    changes += call->answer->status == KV_OK;
    at += used;
  }
  CHECK(kv_batch_len(batch) == changes);
  if (call->answer->status == KV_OK) {
    call->answer->status = kv_write(call->run->store, batch, &result, &err);
    take_message(call->answer, err);
  }
  kv_batch_free(batch);
  if (call->answer->status == KV_CONFLICT) {
    return add_number(call, "failed", (int64_t)result.failed_index);
  }
  return call->answer->status != KV_OK || (add_number(call, "applied", (int64_t)result.applied) &&
                                           add_number(call, "missing", (int64_t)result.missing));
}

static bool scan_options(call_t *call, kv_scan_options_t *options) {
  for (int n = 1; n < call->count; n++) {
    const kvt_word_t *word = &call->words[n];
    kv_slice_t bytes = {word->text, word->len};
    int64_t number = 0;
    if (strcmp(word->name, "prefix") == 0) {
      options->prefix = bytes;
    } else if (strcmp(word->name, "start") == 0) {
      options->start = bytes;
    } else if (strcmp(word->name, "end") == 0) {
      options->end = bytes;
    } else if (strcmp(word->name, "order") == 0) {
      options->order = strcmp(word->text, "asc") == 0 ? KV_ORDER_ASC : KV_ORDER_DESC;
    } else if (!kvt_number(call->run, word->text, &number)) {
      return false;
    } else if (strcmp(word->name, "limit") == 0) {
      options->limit = (uint64_t)number;
    } else if (strcmp(word->name, "point_in_time") == 0) {
      options->point_in_time = (int32_t)number;
    } else {
      options->keys_only = (int32_t)number;
    }
  }
  return true;
}

/* One entry as a case lists it: its key, and the value behind. */
typedef struct {
  size_t key_len, value_len;
  char *bytes;
} kept_t;

static int by_key(const void *a, const void *b) {
  const kept_t *left = a, *right = b;
  size_t common = left->key_len < right->key_len ? left->key_len : right->key_len;
  int order = memcmp(left->bytes, right->bytes, common);
  return order != 0 ? order : (left->key_len > right->key_len) - (left->key_len < right->key_len);
}

/* In no order the entries are listed by their keys. */
bool op_scan(call_t *call) {
  kv_scan_options_t options = KV_SCAN_OPTIONS_INIT;
  kv_entry_t entry = KV_ENTRY_INIT;
  kv_scan_t *scan = NULL;
  kept_t kept[KVT_WORDS];
  size_t count = 0;
  if (!shape(call, "", "prefix start end limit order keys_only point_in_time") ||
      !scan_options(call, &options)) {
    return false;
  }
  kv_status_t *status = &call->answer->status;
  *status = kv_scan(call->run->store, &options, &scan);
  while (*status == KV_OK && (*status = kv_scan_next(scan, &entry)) == KV_OK) {
    CHECK(count < KVT_WORDS && entry.key.data != NULL && entry.value.data != NULL);
    kept_t *copy = &kept[count++];
    copy->key_len = entry.key.len;
    copy->value_len = entry.value.len;
    copy->bytes = kvt_alloc(call->run, entry.key.len + entry.value.len + 1);
    memcpy(copy->bytes, entry.key.data, entry.key.len);
    memcpy(copy->bytes + entry.key.len, entry.value.data, entry.value.len);
  }
  if (*status == KV_DONE) {
    CHECK_STATUS(kv_scan_next(scan, &entry), KV_DONE);
    *status = KV_OK;
  }
  kv_scan_free(scan);
  if (*status != KV_OK) {
    return true;
  }
  if (options.order == KV_ORDER_NONE) {
    qsort(kept, count, sizeof kept[0], by_key);
  }
  for (size_t n = 0; n < count; n++) {
    add_bytes(call, kept[n].bytes, kept[n].key_len);
    if (options.keys_only == 0) {
      add_bytes(call, kept[n].bytes + kept[n].key_len, kept[n].value_len);
    }
  }
  call->answer->bytes_are_all = true;
  return add_number(call, "count", (int64_t)count);
}
