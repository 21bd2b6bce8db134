/* What the removal callback of a conformance case is told, and the operation that lists it. */

#include "kvt_call.h"

#include <errno.h>
#include <pthread.h>

/* A case that waits longer has failed. */
enum { PATIENCE_S = 60 };

typedef struct {
  char *bytes;
  size_t len;
} told_word_t;

struct kvt_told {
  pthread_mutex_t lock;
  pthread_cond_t more;
  told_word_t *words; /* cause, key and value of each removal */
  size_t count, capacity;
};

static void tell_word(kvt_told_t *told, const void *bytes, size_t len) {
  told_word_t *word;
  if (told->count == told->capacity) {
    told->capacity = told->capacity * 2 + 48;
    told->words = realloc(told->words, told->capacity * sizeof *told->words);
    CHECK(told->words != NULL);
  }
  word = &told->words[told->count++];
  word->len = len;
  word->bytes = malloc(len + 1);
  CHECK(word->bytes != NULL);
  memcpy(word->bytes, bytes, len);
}

static const char *cause_name(uint32_t change) {
  switch (change) {
    case KV_CHANGE_DELETED: return "deleted";
    case KV_CHANGE_EXPIRED: return "expired";
    case KV_CHANGE_EVICTED: return "evicted";
    case KV_CHANGE_CLEARED: return "cleared";
    case KV_CHANGE_REPLACED: return "replaced";
    default: return "a number that is no cause";
  }
}

static void on_remove(void *user_data, uint32_t change, const void *key, size_t key_len,
                      const void *value, size_t value_len) {
  kvt_told_t *told = (kvt_told_t *)user_data;
  const char *cause = cause_name(change);
  pthread_mutex_lock(&told->lock);
  tell_word(told, cause, strlen(cause));
  tell_word(told, key, key_len);
  tell_word(told, value, value_len);
  pthread_cond_broadcast(&told->more);
  pthread_mutex_unlock(&told->lock);
}

/* Has the options tell a new list. */
bool listen(call_t *call, const kvt_word_t *causes, kv_options_t *options, kv_status_t *status) {
  kvt_told_t *told;
  int64_t mask;
  if (!kvt_number(call->run, causes->text, &mask)) {
    return false;
  }
  kvt_free_told(call->run);
  told = calloc(1, sizeof *told);
  CHECK(told != NULL);
  pthread_mutex_init(&told->lock, NULL);
  pthread_cond_init(&told->more, NULL);
  call->run->told = told;
  *status = kv_options_on_remove(options, (uint32_t)mask, on_remove, told, NULL);
  return true;
}

static void forget(kvt_told_t *told) {
  while (told->count > 0) {
    free(told->words[--told->count].bytes);
  }
}

/* Once the store is closed. */
void kvt_free_told(kvt_run_t *run) {
  kvt_told_t *told = run->told;
  if (told != NULL) {
    forget(told);
    free(told->words);
    pthread_mutex_destroy(&told->lock);
    pthread_cond_destroy(&told->more);
    free(told);
    run->told = NULL;
  }
}

/* Waits until so many removals were told, and lists all that were since the last time. */
bool op_removed(call_t *call) {
  kvt_told_t *told = call->run->told;
  struct timespec until;
  int64_t count;
  int waited = 0;
  if (!shape(call, "n", "") || !kvt_number(call->run, call->words[1].text, &count)) {
    return false;
  }
  if (told == NULL) {
    return kvt_fail(call->run, "the store was opened without on_remove");
  }
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += PATIENCE_S;
  pthread_mutex_lock(&told->lock);
  while (waited != ETIMEDOUT && (int64_t)told->count < count * 3) {
    waited = pthread_cond_timedwait(&told->more, &told->lock, &until);
  }
  for (size_t n = 0; n < told->count; n++) {
    add_bytes(call, told->words[n].bytes, told->words[n].len);
  }
  forget(told);
  pthread_mutex_unlock(&told->lock);
  call->answer->status = KV_OK;
  call->answer->bytes_are_all = true;
  return waited == 0 || kvt_fail(call->run, "only %d removals were told",
                                 call->answer->byte_count / 3);
}
