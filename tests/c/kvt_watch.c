/* The watch of a conformance case: the operations that begin it, read it and cancel it. */

#include "kvt_call.h"

static const char *kind_name(uint32_t change) {
  switch (change) {
    case KV_CHANGE_SET: return "set";
    case KV_CHANGE_DELETED: return "deleted";
    case KV_CHANGE_EXPIRED: return "expired";
    case KV_CHANGE_EVICTED: return "evicted";
    case KV_CHANGE_CLEARED: return "cleared";
    case KV_CHANGE_TOUCHED: return "touched";
    default: return "a number that is no kind";
  }
}

void kvt_free_watch(kvt_run_t *run) {
  kv_watch_free(run->watch);
  run->watch = NULL;
}

static bool begin(call_t *call) {
  kv_watch_options_t options = KV_WATCH_OPTIONS_INIT;
  for (int n = 1; n < call->count; n++) {
    const kvt_word_t *word = &call->words[n];
    int64_t number = 0;
    if (word->is_bytes) {
      options.key_or_prefix.data = word->text;
      options.key_or_prefix.len = word->len;
      options.exact = strcmp(word->name, "key") == 0;
      continue;
    }
    if (!kvt_number(call->run, word->text, &number)) {
      return false;
    }
    if (strcmp(word->name, "from") == 0) {
      options.from_revision = (uint64_t)number;
    } else {
      options.changes = (uint32_t)number;
    }
  }
  kvt_free_watch(call->run);
  call->answer->status = kv_watch(call->run->store, &options, &call->run->watch);
  return true;
}

static bool next(call_t *call) {
  kv_event_t event = KV_EVENT_INIT;
  const char *kind;
  call->answer->status = kv_watch_next(call->run->watch, 0, &event);
  call->answer->bytes_are_all = true;
  if (call->answer->status == KV_LAGGED) {
    return add_number(call, "revision", (int64_t)event.revision) &&
           add_number(call, "lagged", (int64_t)event.lagged);
  }
  if (call->answer->status != KV_OK) {
    return true;
  }
  kind = kind_name(event.change);
  return add_bytes(call, kind, strlen(kind)) && add_bytes(call, event.key.data, event.key.len) &&
         add_bytes(call, event.value.data, event.value.len) &&
         add_number(call, "revision", (int64_t)event.revision) &&
         add_number(call, "expire_at", event.expire_at_ms);
}

bool op_watch(call_t *call) {
  const char *op = call->words[0].text;
  if (strcmp(op, "watch") == 0) {
    return shape(call, "", "key prefix from changes") && begin(call);
  }
  if (!shape(call, "", "")) {
    return false;
  }
  if (call->run->watch == NULL) {
    return kvt_fail(call->run, "there is no watch");
  }
  if (strcmp(op, "event") == 0) {
    return next(call);
  }
  kv_watch_cancel(call->run->watch);
  call->answer->status = KV_OK;
  return true;
}
