/* The operations of conformance cases, each one call of kv.h. */

#include "kvt_call.h"

bool add_number(call_t *call, const char *name, int64_t number) {
  kvt_answer_t *answer = call->answer;
  CHECK(answer->number_count < KVT_NUMBERS);
  answer->numbers[answer->number_count].name = name;
  answer->numbers[answer->number_count].number = number;
  answer->number_count++;
  return true;
}

/* Keeps a copy of bytes for the rest of the line. NULL is a hole. */
bool add_bytes(call_t *call, const void *data, size_t len) {
  kvt_answer_t *answer = call->answer;
  char *copy = kvt_alloc(call->run, len + 1);
  CHECK(answer->byte_count < KVT_WORDS);
  answer->bytes[answer->byte_count].is_hole = data == NULL;
  if (data != NULL) {
    memcpy(copy, data, len);
  }
  answer->bytes[answer->byte_count].data = copy;
  answer->bytes[answer->byte_count].len = len;
  answer->byte_count++;
  return true;
}

/* Takes over a value: adds its bytes and frees it. */
static bool add_value(call_t *call, kv_value_t *value) {
  if (value != NULL) {
    add_bytes(call, kv_value_data(value), kv_value_len(value));
    kv_value_free(value);
  }
  return true;
}

void take_message(kvt_answer_t *answer, kv_error_t *err) {
  snprintf(answer->message, sizeof answer->message, "%s", kv_error_message(err));
  kv_error_free(err);
}

static const kvt_word_t *named(const call_t *call, const char *name) {
  for (int n = 1; n < call->count; n++) {
    if (call->words[n].name != NULL && strcmp(call->words[n].name, name) == 0) {
      return &call->words[n];
    }
  }
  return NULL;
}

static bool is_one_of(const char *name, const char *names) {
  size_t len = strlen(name);
  for (const char *at = strstr(names, name); at != NULL; at = strstr(at + 1, name)) {
    if ((at == names || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0')) {
      return true;
    }
  }
  return false;
}

/* Whether the positional words are these, a `b` for bytes and an `n` for a number, and the named ones
 * behind them are among those allowed. */
bool shape(const call_t *call, const char *positional, const char *allowed) {
  const char *op = call->words[0].text;
  int needed = (int)strlen(positional);
  if (call->count <= needed) {
    return kvt_fail(call->run, "%s needs %d words", op, needed);
  }
  for (int n = 1; n < call->count; n++) {
    const kvt_word_t *word = &call->words[n];
    if (n <= needed && (word->name != NULL || word->is_bytes != (positional[n - 1] == 'b'))) {
      return kvt_fail(call->run, "word %d of %s is not what it takes: %s", n, op, word->text);
    }
    if (n > needed && (word->name == NULL || !is_one_of(word->name, allowed))) {
      return kvt_fail(call->run, "%s does not take %s", op, word->name ? word->name : word->text);
    }
  }
  return true;
}

/* A TTL in milliseconds, by name or number. */
bool ttl_of(const call_t *call, int64_t *ttl_ms) {
  const kvt_word_t *word = named(call, "ttl");
  *ttl_ms = KV_TTL_DEFAULT;
  if (word == NULL || strcmp(word->text, "default") == 0) {
    return true;
  }
  if (strcmp(word->text, "none") == 0 || strcmp(word->text, "keep") == 0) {
    *ttl_ms = word->text[0] == 'n' ? KV_TTL_NONE : KV_TTL_KEEP;
    return true;
  }
  return kvt_number(call->run, word->text, ttl_ms);
}

static bool op_open(call_t *call) {
  kvt_run_t *run = call->run;
  kv_options_t *options = kv_options_new();
  kv_error_t *err = NULL;
  const char *path = kvt_own_place(run);
  bool is_own = path != NULL;
  kv_status_t status = KV_OK;
  if (run->store != NULL && kv_close(run->store, NULL) != KV_OK) {
    kvt_fail(run, "the store before could not be closed");
  }
  run->store = NULL;
  kvt_free_watch(run);
  kvt_free_told(run);
  for (int n = 1; n < call->count && status == KV_OK; n++) {
    const kvt_word_t *word = &call->words[n];
    if (word->name == NULL) {
      kv_options_free(options);
      return kvt_fail(run, "open takes named words only");
    }
    if (strcmp(word->name, "at") == 0) {
      is_own = false;
      path = kvt_path(run, kvt_fill_servers(run, word->text));
      if (path == NULL) {
        kv_options_free(options);
        return false;
      }
    } else if (strcmp(word->name, "on_remove") == 0) {
      if (!listen(call, word, options, &status)) {
        kv_options_free(options);
        return false;
      }
    } else {
      status = kv_options_set(options, word->name, word->text, &err);
    }
  }
  if (status == KV_OK) {
    status = kv_open(path, options, &run->store, &err);
  }
  /* What an earlier run left there. */
  if (status == KV_OK && is_own) {
    status = kv_clear(run->store);
  }
  kv_options_free(options);
  call->answer->status = status;
  take_message(call->answer, err);
  return !run->failed;
}

static bool op_configure(call_t *call) {
  kv_error_t *err = NULL;
  if (call->count != 2 || call->words[1].name == NULL) {
    return kvt_fail(call->run, "use: configure OPTION=TEXT");
  }
  call->answer->status =
      kv_configure(call->run->store, call->words[1].name, call->words[1].text, &err);
  take_message(call->answer, err);
  return true;
}

/* Everything but a TTL asks for kv_set_with. */
static bool set_with(call_t *call, int64_t ttl_ms) {
  const kvt_word_t *at = named(call, "at"), *condition = named(call, "if");
  const kvt_word_t *version = named(call, "if_version");
  const kvt_word_t *key = &call->words[1], *value = &call->words[2];
  kv_set_options_t options = KV_SET_OPTIONS_INIT;
  kv_set_result_t result = KV_SET_RESULT_INIT;
  int64_t number = 0;
  options.ttl_ms = ttl_ms;
  if (at != NULL && !kvt_number(call->run, at->text, &options.expire_at_ms)) {
    return false;
  }
  if (condition != NULL) {
    bool absent = strcmp(condition->text, "absent") == 0;
    if (!absent && strcmp(condition->text, "present") != 0) {
      return kvt_fail(call->run, "no such condition: %s", condition->text);
    }
    options.condition = absent ? KV_IF_ABSENT : KV_IF_PRESENT;
  }
  if (version != NULL) {
    if (!kvt_number(call->run, version->text, &number)) {
      return false;
    }
    options.condition = KV_IF_VERSION;
    options.version = (uint64_t)number;
  }
  call->answer->status = kv_set_with(call->run->store, key->text, key->len, value->text,
                                     value->len, &options, &result);
  return call->answer->status != KV_OK || add_number(call, "version", (int64_t)result.version);
}

static bool op_set(call_t *call) {
  const kvt_word_t *key = &call->words[1], *value = &call->words[2];
  int64_t ttl_ms;
  if (!shape(call, "bb", "ttl at if if_version") || !ttl_of(call, &ttl_ms)) {
    return false;
  }
  if (named(call, "at") || named(call, "if") || named(call, "if_version") ||
      call->run->wants_version) {
    return set_with(call, ttl_ms);
  }
  call->answer->status =
      kv_set(call->run->store, key->text, key->len, value->text, value->len, ttl_ms);
  return true;
}

static bool op_fill(call_t *call) {
  const kvt_word_t *prefix = &call->words[1], *value = &call->words[3];
  int64_t ttl_ms, count, stored = 0;
  char *key;
  if (!shape(call, "bnb", "ttl") || !ttl_of(call, &ttl_ms) ||
      !kvt_number(call->run, call->words[2].text, &count)) {
    return false;
  }
  key = kvt_alloc(call->run, prefix->len + 24);
  memcpy(key, prefix->text, prefix->len);
  while (stored < count && call->answer->status == KV_OK) {
    size_t len = prefix->len + (size_t)sprintf(key + prefix->len, "%" PRId64, stored);
    call->answer->status =
        kv_set(call->run->store, key, len, value->text, value->len, ttl_ms);
    stored += call->answer->status == KV_OK;
  }
  return add_number(call, "count", stored);
}

static bool op_get(call_t *call) {
  const kvt_word_t *key = &call->words[1];
  kv_value_t *value = NULL;
  if (!shape(call, "b", "")) {
    return false;
  }
  call->answer->status = kvt_is(&call->words[0], "take")
                             ? kv_take(call->run->store, key->text, key->len, &value)
                             : kv_get(call->run->store, key->text, key->len, &value);
  return add_value(call, value);
}

static bool op_info(call_t *call) {
  const kvt_word_t *key = &call->words[1];
  kv_value_info_t info = KV_VALUE_INFO_INIT;
  kv_value_t *value = NULL;
  if (!shape(call, "b", "")) {
    return false;
  }
  call->answer->status = kv_get(call->run->store, key->text, key->len, &value);
  if (value != NULL) {
    CHECK_STATUS(kv_value_info(value, &info), KV_OK);
    add_number(call, "version", (int64_t)info.version);
    add_number(call, "expire_at", info.expire_at_ms);
    add_number(call, "created_at", info.created_at_ms);
    add_number(call, "hits", (int64_t)info.hits);
  }
  return add_value(call, value);
}

static bool op_get_into(call_t *call) {
  const kvt_word_t *key = &call->words[1];
  int64_t capacity;
  unsigned char *buffer;
  size_t len = 0;
  if (!shape(call, "bn", "") || !kvt_number(call->run, call->words[2].text, &capacity)) {
    return false;
  }
  buffer = kvt_alloc(call->run, (size_t)capacity + 1);
  memset(buffer, 0xa5, (size_t)capacity + 1);
  call->answer->status =
      kv_get_into(call->run->store, key->text, key->len, buffer, (size_t)capacity, &len);
  if (call->answer->status == KV_OK) {
    add_bytes(call, buffer, len);
  }
  for (size_t n = call->answer->status == KV_OK ? len : 0; n <= (size_t)capacity; n++) {
    if (buffer[n] != 0xa5) {
      return kvt_fail(call->run, "byte %zu of the buffer was written", n);
    }
  }
  return (call->answer->status != KV_OK && call->answer->status != KV_SHORT_BUFFER) ||
         add_number(call, "len", (int64_t)len);
}

/* The operations that take a key and answer with a status. */
static bool op_key(call_t *call) {
  const kvt_word_t *op = &call->words[0], *key = &call->words[1];
  kv_store_t *store = call->run->store;
  kv_status_t *status = &call->answer->status;
  if (!shape(call, "b", "")) {
    return false;
  }
  if (kvt_is(op, "del")) {
    *status = kv_del(store, key->text, key->len);
  } else if (kvt_is(op, "exists")) {
    *status = kv_exists(store, key->text, key->len);
  } else {
    *status = kv_persist(store, key->text, key->len);
  }
  return true;
}

/* The operations that take a key and a number and answer with a status. */
static bool op_key_number(call_t *call) {
  const kvt_word_t *op = &call->words[0], *key = &call->words[1];
  kv_store_t *store = call->run->store;
  kv_status_t *status = &call->answer->status;
  int64_t number;
  if (!shape(call, "bn", "") || !kvt_number(call->run, call->words[2].text, &number)) {
    return false;
  }
  if (kvt_is(op, "del_if")) {
    *status = kv_del_if(store, key->text, key->len, (uint64_t)number);
  } else if (kvt_is(op, "expire")) {
    *status = kv_expire(store, key->text, key->len, number);
  } else {
    *status = kv_expire_at(store, key->text, key->len, number);
  }
  return true;
}

static bool op_ttl(call_t *call) {
  const kvt_word_t *key = &call->words[1];
  int64_t ttl_ms = 0;
  if (!shape(call, "b", "")) {
    return false;
  }
  call->answer->status = kv_ttl(call->run->store, key->text, key->len, &ttl_ms);
  return call->answer->status != KV_OK || add_number(call, "ttl", ttl_ms);
}

static bool op_incr(call_t *call) {
  const kvt_word_t *key = &call->words[1];
  int64_t delta, ttl_ms, number = 0;
  if (!shape(call, "bn", "ttl") || !ttl_of(call, &ttl_ms) ||
      !kvt_number(call->run, call->words[2].text, &delta)) {
    return false;
  }
  call->answer->status = kv_incr(call->run->store, key->text, key->len, delta, ttl_ms, &number);
  return call->answer->status != KV_OK || add_number(call, "number", number);
}

static bool op_append(call_t *call) {
  const kvt_word_t *key = &call->words[1], *data = &call->words[2];
  size_t len = 0;
  if (!shape(call, "bb", "")) {
    return false;
  }
  call->answer->status =
      kv_append(call->run->store, key->text, key->len, data->text, data->len, &len);
  return call->answer->status != KV_OK || add_number(call, "len", (int64_t)len);
}

/* The operations on the whole store. */
static bool op_store(call_t *call) {
  const kvt_word_t *op = &call->words[0];
  kv_store_t *store = call->run->store;
  kv_status_t *status = &call->answer->status;
  kv_error_t *err = NULL;
  uint64_t count = 0;
  if (!shape(call, "", "")) {
    return false;
  }
  if (kvt_is(op, "len")) {
    *status = kv_len(store, &count);
  } else if (kvt_is(op, "purge_expired")) {
    *status = kv_purge_expired(store, &count);
  } else if (kvt_is(op, "clear")) {
    *status = kv_clear(store);
  } else if (kvt_is(op, "last_fault")) {
    *status = kv_last_fault(store, &err);
  } else {
    *status = kv_shutdown(store, &err);
  }
  take_message(call->answer, err);
  return *status != KV_OK || add_number(call, "count", (int64_t)count);
}

static bool op_stats(call_t *call) {
  kv_stats_t stats = KV_STATS_INIT;
  if (!shape(call, "", "")) {
    return false;
  }
  call->answer->status = kv_stats(call->run->store, &stats);
#define FIELD(name) add_number(call, #name, (int64_t)stats.name)
  return call->answer->status != KV_OK ||
         (FIELD(entries) && FIELD(expiring_entries) && FIELD(expired_pending) &&
          FIELD(key_bytes) && FIELD(value_bytes) && FIELD(memory_bytes) &&
          FIELD(resident_bytes) && FIELD(pinned_bytes) && FIELD(gets) && FIELD(hits) &&
          FIELD(misses) && FIELD(sets) && FIELD(deletes) && FIELD(expired) && FIELD(evicted) &&
          FIELD(callbacks_dropped) && FIELD(wal_bytes) && FIELD(wal_syncs) && FIELD(snapshots) &&
          FIELD(revision) && FIELD(index_bytes) && FIELD(entry_bytes) && FIELD(large_bytes) &&
          FIELD(expiry_bytes) && FIELD(policy_bytes) && FIELD(order_bytes) &&
          FIELD(callback_bytes) && FIELD(watch_bytes) && FIELD(wal_buffer_bytes) &&
          FIELD(expiring_in_1s) && FIELD(expiring_in_10s) && FIELD(expiring_in_1m) &&
          FIELD(expiring_in_10m) && FIELD(near_hits) && FIELD(near_fills) &&
          FIELD(near_invalidations) && FIELD(near_drops));
#undef FIELD
}

bool kvt_call(kvt_run_t *run, const kvt_word_t *words, int count, kvt_answer_t *answer) {
  static const struct {
    const char *name;
    bool (*run)(call_t *);
  } table[] = {
      {"open", op_open},         {"configure", op_configure}, {"set", op_set},
      {"fill", op_fill},         {"get", op_get},             {"take", op_get},
      {"info", op_info},         {"get_into", op_get_into},   {"get_many", op_get_many},
      {"set_many", op_set_many}, {"del_many", op_del_many},
      {"del", op_key},           {"exists", op_key},          {"persist", op_key},
      {"del_if", op_key_number}, {"expire", op_key_number},   {"expire_at", op_key_number},
      {"ttl", op_ttl},           {"incr", op_incr},           {"append", op_append},
      {"len", op_store},         {"clear", op_store},         {"purge_expired", op_store},
      {"last_fault", op_store},  {"shutdown", op_store},      {"stats", op_stats},
      {"removed", op_removed},   {"sync", op_files},          {"snapshot", op_files},
      {"restore", op_files},     {"recovery", op_files},      {"watch", op_watch},
      {"event", op_watch},       {"cancel", op_watch},        {"write", op_write},
      {"scan", op_scan},
  };
  call_t call = {run, words, count, answer};
  for (size_t n = 0; n < sizeof table / sizeof table[0]; n++) {
    if (count > 0 && kvt_is(&words[0], table[n].name)) {
      if (run->store == NULL && table[n].run != op_open) {
        return kvt_fail(run, "no store is open");
      }
      return table[n].run(&call);
    }
  }
  return kvt_fail(run, "no such operation: %s", count > 0 ? words[0].text : "(nothing)");
}
