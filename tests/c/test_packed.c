/* Many keys in one call, packed: where values go, what a short buffer says, that a mistake or an
 * error leaves nothing half done, and that threads may share all of it. */

#include "check.h"

#include <pthread.h>

enum { MANY = 300, ROOM = 64 * 1024 };

/* Strings, packed as kv.h wants them. */
typedef struct {
  char bytes[ROOM];
  size_t lens[MANY];
  size_t count, used;
} packed_t;

static void pack(packed_t *all, const void *data, size_t len) {
  CHECK(all->count < MANY && all->used + len <= sizeof all->bytes);
  memcpy(all->bytes + all->used, data, len);
  all->lens[all->count++] = len;
  all->used += len;
}

static packed_t *packed(const char *const *texts, size_t count) {
  packed_t *all = calloc(1, sizeof *all);
  CHECK(all != NULL);
  for (size_t n = 0; n < count; n++) {
    pack(all, texts[n], strlen(texts[n]));
  }
  return all;
}

#define PACKED(...)                                  \
  packed((const char *const[]){__VA_ARGS__},         \
         sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

/* What kv_get_packed answered. */
typedef struct {
  char buffer[ROOM];
  kv_span_t spans[MANY];
  size_t len;
  kv_error_t *err;
  kv_status_t status;
} answer_t;

static answer_t *get(kv_store_t *store, const packed_t *keys, size_t capacity) {
  answer_t *answer = malloc(sizeof *answer);
  CHECK(answer != NULL && capacity < sizeof answer->buffer);
  memset(answer, 0xa5, sizeof *answer);
  answer->err = NULL;
  answer->status = kv_get_packed(store, keys->bytes, keys->lens, keys->count, answer->buffer,
                                 capacity, answer->spans, &answer->len, &answer->err);
  CHECK(answer->buffer[capacity] == (char)0xa5);
  CHECK((answer->status < 0) == (answer->err != NULL));
  return answer;
}

static void check_at(const answer_t *answer, size_t index, const char *expected) {
  const kv_span_t *span = &answer->spans[index];
  if (expected == NULL) {
    CHECK(span->offset == KV_SPAN_NONE && span->len == KV_SPAN_NONE);
    return;
  }
  CHECK_INT(span->len, strlen(expected));
  CHECK(memcmp(answer->buffer + span->offset, expected, span->len) == 0);
}

static void set(kv_store_t *store, packed_t *keys, packed_t *values, kv_status_t expected) {
  CHECK_INT(keys->count, values->count);
  CHECK_STATUS(kv_set_packed(store, keys->bytes, keys->lens, values->bytes, values->lens,
                             keys->count, KV_TTL_DEFAULT, NULL),
               expected);
  free(keys);
  free(values);
}

static void round_trip(kv_store_t *store) {
  packed_t *keys = PACKED("a", "", "bc", "gone", "a");
  answer_t *answer;
  uint64_t count = 99;
  set(store, PACKED("a", "bc", "", "bc"), PACKED("1", "first", "empty key", ""), KV_OK);
  answer = get(store, keys, 100);
  CHECK_STATUS(answer->status, KV_OK);
  CHECK_INT(answer->len, 1 + 9 + 0 + 1);
  check_at(answer, 0, "1");
  check_at(answer, 1, "empty key");
  check_at(answer, 2, ""); /* empty is not absent; of two values for a key the last one stays */
  CHECK(answer->spans[2].offset <= answer->len);
  check_at(answer, 3, NULL);
  check_at(answer, 4, "1");
  CHECK(answer->spans[0].offset != answer->spans[4].offset);
  CHECK(answer->spans[5].len == (size_t)0xa5a5a5a5a5a5a5a5);
  free(answer);

  CHECK_STATUS(kv_del_packed(store, keys->bytes, keys->lens, keys->count, &count, NULL), KV_OK);
  CHECK_INT(count, 3); /* one is absent, one comes twice */
  CHECK_STATUS(kv_del_packed(store, keys->bytes, keys->lens, keys->count, NULL, NULL), KV_OK);
  answer = get(store, keys, 0);
  CHECK_STATUS(answer->status, KV_OK);
  CHECK_INT(answer->len, 0);
  check_at(answer, 0, NULL);
  free(answer);
  free(keys);
}

static void nothing_at_all(kv_store_t *store) {
  const size_t empty[2] = {0, 0};
  kv_span_t spans[2];
  size_t len = 99;
  uint64_t count = 99;
  CHECK_STATUS(kv_get_packed(store, NULL, NULL, 0, NULL, 0, NULL, &len, NULL), KV_OK);
  CHECK_INT(len, 0);
  CHECK_STATUS(kv_set_packed(store, NULL, NULL, NULL, NULL, 0, 0, NULL), KV_OK);
  CHECK_STATUS(kv_set_packed(store, NULL, NULL, NULL, NULL, 0, -1, NULL), KV_ERR_INVALID);
  CHECK_STATUS(kv_del_packed(store, NULL, NULL, 0, &count, NULL), KV_OK);
  CHECK_INT(count, 0);

  /* Empty keys and values have no bytes, so there need not be any. */
  CHECK_STATUS(kv_set_packed(store, NULL, empty, NULL, empty, 2, 0, NULL), KV_OK);
  CHECK_STATUS(kv_get_packed(store, NULL, empty, 2, NULL, 0, spans, &len, NULL), KV_OK);
  CHECK(len == 0 && spans[0].offset == 0 && spans[0].len == 0 && spans[1].len == 0);
  CHECK_STATUS(kv_del_packed(store, NULL, empty, 2, &count, NULL), KV_OK);
  CHECK_INT(count, 1);
}

static void a_short_buffer(kv_store_t *store) {
  packed_t *keys = PACKED("long", "short", "gone", "none");
  answer_t *answer;
  set(store, PACKED("long", "short", "none"), PACKED("0123456789", "abc", ""), KV_OK);
  answer = get(store, keys, 12);
  CHECK_STATUS(answer->status, KV_SHORT_BUFFER);
  CHECK_INT(answer->len, 13);
  check_at(answer, 2, NULL);
  CHECK(answer->spans[3].len == 0 && answer->spans[3].offset != KV_SPAN_NONE);
  /* One of the two found room, whichever came first, and the other tells its length. */
  CHECK(answer->spans[0].len == 10 && answer->spans[1].len == 3);
  if (answer->spans[0].offset == KV_SPAN_NONE) {
    check_at(answer, 1, "abc");
  } else {
    CHECK(answer->spans[1].offset == KV_SPAN_NONE);
    check_at(answer, 0, "0123456789");
  }
  free(answer);
  answer = get(store, keys, 0);
  CHECK_STATUS(answer->status, KV_SHORT_BUFFER);
  CHECK_INT(answer->len, 13);
  CHECK(answer->spans[0].offset == KV_SPAN_NONE && answer->spans[1].offset == KV_SPAN_NONE);
  CHECK(answer->spans[3].offset == 0 && answer->spans[3].len == 0);
  free(answer);
  answer = get(store, keys, 13);
  CHECK_STATUS(answer->status, KV_OK);
  check_at(answer, 0, "0123456789");
  check_at(answer, 1, "abc");
  free(answer);
  free(keys);
}

static void an_error_leaves_nothing(void) {
  kv_store_t *store = open_store("max_key_bytes", "4", "max_value_bytes", "4", NULL);
  packed_t *keys = PACKED("a", "12345", "b");
  answer_t *answer;
  uint64_t count = 99;
  kv_error_t *err = NULL;
  set(store, PACKED("a", "b"), PACKED("1", "2"), KV_OK);
  answer = get(store, keys, 100);
  CHECK_STATUS(answer->status, KV_ERR_TOO_LARGE);
  CHECK_STATUS(kv_error_status(answer->err), KV_ERR_TOO_LARGE);
  CHECK(answer->len == (size_t)0xa5a5a5a5a5a5a5a5);
  for (size_t n = 0; n < 3; n++) {
    check_at(answer, n, NULL);
  }
  kv_error_free(answer->err);
  free(answer);

  CHECK_STATUS(kv_del_packed(store, keys->bytes, keys->lens, 3, &count, &err), KV_ERR_TOO_LARGE);
  CHECK(err != NULL && count == 99);
  kv_error_free(err);
  free(keys);
  set(store, PACKED("a", "12345"), PACKED("x", "x"), KV_ERR_TOO_LARGE);
  set(store, PACKED("a", "c"), PACKED("x", "12345"), KV_ERR_TOO_LARGE);
  CHECK_VALUE(store, "a", "1");
  CHECK_VALUE(store, "b", "2");
  CHECK_STATUS(exists(store, "c"), KV_NOT_FOUND);

  CHECK_STATUS(kv_configure(store, "max_entries", "3", NULL), KV_OK);
  set(store, PACKED("a", "c", "d"), PACKED("x", "x", "x"), KV_ERR_FULL);
  CHECK_VALUE(store, "a", "1");
  set(store, PACKED("a", "b", "c"), PACKED("x", "y", "z"), KV_OK);
  CHECK_VALUE(store, "c", "z");
  close_store(store);
}

static void mistakes(kv_store_t *store) {
  const size_t lens[2] = {1, 1}, far[2] = {1, SIZE_MAX}, sum[2] = {1, SIZE_MAX / 2};
  const char *two = "kv";
  kv_span_t spans[2] = {{7, 7}, {7, 7}};
  char buffer[8] = "x";
  size_t len = 99;
  uint64_t count = 99;
  kv_error_t *err = NULL;
#define GET(keys, lens, count, buffer, capacity, spans, len) \
  kv_get_packed(store, keys, lens, count, buffer, capacity, spans, len, NULL)
  CHECK_STATUS(GET(NULL, lens, 2, buffer, 8, spans, &len), KV_ERR_INVALID);
  CHECK(spans[0].offset == KV_SPAN_NONE && spans[1].len == KV_SPAN_NONE);
  CHECK_STATUS(GET(two, NULL, 2, buffer, 8, spans, &len), KV_ERR_INVALID);
  CHECK_STATUS(GET(two, lens, 2, NULL, 8, spans, &len), KV_ERR_INVALID);
  CHECK_STATUS(GET(two, lens, 2, buffer, 8, NULL, &len), KV_ERR_INVALID);
  CHECK_STATUS(GET(two, lens, 2, buffer, 8, spans, NULL), KV_ERR_INVALID);
  CHECK_STATUS(GET(two, lens, SIZE_MAX, buffer, 8, NULL, &len), KV_ERR_INVALID);
#undef GET
  CHECK(len == 99 && buffer[0] == 'x');

  CHECK_STATUS(kv_set_packed(store, NULL, lens, two, lens, 2, 0, NULL), KV_ERR_INVALID);
  CHECK_STATUS(kv_set_packed(store, two, NULL, two, lens, 2, 0, NULL), KV_ERR_INVALID);
  CHECK_STATUS(kv_set_packed(store, two, lens, two, NULL, 2, 0, NULL), KV_ERR_INVALID);
  CHECK_STATUS(kv_set_packed(store, two, lens, NULL, lens, 2, 0, &err), KV_ERR_INVALID);
  CHECK_TEXT_HAS(kv_error_message(err), "value 0");
  kv_error_free(err);
  CHECK_STATUS(kv_set_packed(store, two, lens, two, lens, 2, -1, NULL), KV_ERR_INVALID);
  CHECK_STATUS(kv_set_packed(store, two, lens, two, lens, SIZE_MAX, 0, NULL), KV_ERR_INVALID);
  CHECK_STATUS(kv_set_packed(store, two, lens, two, far, 2, 0, &err), KV_ERR_TOO_LARGE);
  CHECK_TEXT_HAS(kv_error_message(err), "value 1");
  kv_error_free(err);

  CHECK_STATUS(kv_del_packed(store, NULL, lens, 2, &count, NULL), KV_ERR_INVALID);
  CHECK_STATUS(kv_del_packed(store, two, NULL, 2, &count, NULL), KV_ERR_INVALID);
  CHECK_STATUS(kv_del_packed(store, two, sum, 2, &count, &err), KV_ERR_TOO_LARGE);
  CHECK_TEXT_HAS(kv_error_message(err), "key 1");
  kv_error_free(err);
  CHECK_INT(count, 99);
  CHECK_STATUS(exists(store, "k"), KV_NOT_FOUND);
}

static void one_ttl_for_all(kv_store_t *store) {
  packed_t *keys = PACKED("t1", "t2");
  int64_t left;
  CHECK_STATUS(kv_set_packed(store, keys->bytes, keys->lens, keys->bytes, keys->lens, 2, 600000,
                             NULL),
               KV_OK);
  for (int n = 0; n < 2; n++) {
    CHECK_STATUS(kv_ttl(store, n == 0 ? "t1" : "t2", 2, &left), KV_OK);
    CHECK(left > 0 && left <= 600000);
  }
  CHECK_STATUS(kv_set_packed(store, keys->bytes, keys->lens, keys->bytes, keys->lens, 2,
                             KV_TTL_KEEP, NULL),
               KV_OK);
  CHECK_STATUS(kv_ttl(store, "t1", 2, &left), KV_OK);
  CHECK(left > 0 && left <= 600000);
  free(keys);
}

/* Pointers of other languages need not be aligned. */
static void unaligned(kv_store_t *store) {
  char memory[sizeof(size_t) + sizeof(kv_span_t) + sizeof(uint64_t) + 3];
  const size_t len = 1;
  size_t *lens = (size_t *)(void *)(memory + 1), *out_len;
  kv_span_t *spans = (kv_span_t *)(void *)(memory + 1 + sizeof len), span;
  char buffer[4];
  size_t got;
  out_len = (size_t *)(void *)(memory + 1 + sizeof len + sizeof span);
  memcpy(lens, &len, sizeof len);
  CHECK_STATUS(kv_set_packed(store, "u", lens, "v", lens, 1, 0, NULL), KV_OK);
  CHECK_STATUS(kv_get_packed(store, "u", lens, 1, buffer, 4, spans, out_len, NULL), KV_OK);
  memcpy(&span, spans, sizeof span);
  memcpy(&got, out_len, sizeof got);
  CHECK(span.offset == 0 && span.len == 1 && got == 1 && buffer[0] == 'v');
}

/* Readers see all of a set or nothing of it, key by key, and whole values always. */
typedef struct {
  kv_store_t *store;
  packed_t *keys;
  int seed;
} worker_t;

static void *write_and_read(void *data) {
  worker_t *worker = data;
  packed_t *values = calloc(1, sizeof *values);
  CHECK(values != NULL);
  for (int round = 0; round < 400 / KV_TEST_SLOW; round++) {
    char value[64];
    int len = (worker->seed + round) % 50 + 1;
    answer_t *answer;
    memset(value, 'a' + len % 26, sizeof value);
    values->count = values->used = 0;
    for (size_t n = 0; n < worker->keys->count; n++) {
      pack(values, value, (size_t)len);
    }
    CHECK_STATUS(kv_set_packed(worker->store, worker->keys->bytes, worker->keys->lens,
                               values->bytes, values->lens, values->count, 0, NULL),
                 KV_OK);
    answer = get(worker->store, worker->keys, ROOM - 1);
    CHECK_STATUS(answer->status, KV_OK);
    for (size_t n = 0; n < worker->keys->count; n++) {
      const kv_span_t *span = &answer->spans[n];
      if (span->len == KV_SPAN_NONE) {
        continue; /* deleted by the other */
      }
      CHECK(span->len >= 1 && span->len <= 50);
      for (size_t at = 0; at < span->len; at++) {
        CHECK_INT(answer->buffer[span->offset + at], 'a' + (int)span->len % 26);
      }
    }
    free(answer);
    if (round % 8 == 0) {
      CHECK_STATUS(kv_del_packed(worker->store, worker->keys->bytes, worker->keys->lens,
                                 worker->keys->count, NULL, NULL),
                   KV_OK);
    }
  }
  free(values);
  return NULL;
}

static void threads(kv_store_t *store) {
  pthread_t others[3];
  worker_t workers[3];
  packed_t *keys = PACKED("shared");
  for (int n = 1; n < 100; n++) {
    char key[16];
    pack(keys, key, (size_t)sprintf(key, "shared%d", n));
  }
  for (int n = 0; n < 3; n++) {
    workers[n].store = store;
    workers[n].keys = keys;
    workers[n].seed = n * 7;
    CHECK(pthread_create(&others[n], NULL, write_and_read, &workers[n]) == 0);
  }
  for (int n = 0; n < 3; n++) {
    CHECK(pthread_join(others[n], NULL) == 0);
  }
  free(keys);
}

int main(void) {
  kv_store_t *store = open_store(NULL);
  round_trip(store);
  nothing_at_all(store);
  a_short_buffer(store);
  mistakes(store);
  one_ttl_for_all(store);
  unaligned(store);
  threads(store);
  close_store(store);
  an_error_leaves_nothing();
  return 0;
}
