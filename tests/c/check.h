/* What every test here shares: checks that name the line and end the program, and the few moves that
 * nearly every test makes. C99 and POSIX, no library beside libkv. Included first. */

#ifndef KV_TEST_CHECK_H
#define KV_TEST_CHECK_H

#define _POSIX_C_SOURCE 200809L

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kv.h"

/* Memory checkers slow a program down; a test that is about amounts does less under them. */
#if defined(KV_TEST_VALGRIND)
#define KV_TEST_SLOW 20
#elif defined(KV_TEST_ASAN)
#define KV_TEST_SLOW 4
#else
#define KV_TEST_SLOW 1
#endif

#define CHECK(condition)                                                               \
  do {                                                                                 \
    if (!(condition)) {                                                                \
      fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);   \
      exit(1);                                                                         \
    }                                                                                  \
  } while (0)

#define CHECK_STATUS(call, expected) check_status(__FILE__, __LINE__, #call, (call), (expected))
#define CHECK_INT(got, expected) \
  check_int(__FILE__, __LINE__, #got, (int64_t)(got), (int64_t)(expected))
#define CHECK_TEXT_HAS(text, part) check_text_has(__FILE__, __LINE__, (text), (part))

static inline void check_status(const char *file, int line, const char *call, kv_status_t got,
                                kv_status_t expected) {
  if (got != expected) {
    fprintf(stderr, "%s:%d: %s is %s, expected %s\n", file, line, call, kv_status_name(got),
            kv_status_name(expected));
    exit(1);
  }
}

static inline void check_int(const char *file, int line, const char *what, int64_t got,
                             int64_t expected) {
  if (got != expected) {
    fprintf(stderr, "%s:%d: %s is %" PRId64 ", expected %" PRId64 "\n", file, line, what, got,
            expected);
    exit(1);
  }
}

/* Ends a child by becoming something else, so that no checker looks for leaks in it: what the threads of
 * its parent own is lost there on purpose. */
static inline void end_child(int fine) {
  const char *program = fine ? "/bin/true" : "/bin/false";
  execl(program, program, (char *)NULL);
  abort();
}

static inline void check_text_has(const char *file, int line, const char *text, const char *part) {
  if (text == NULL || strstr(text, part) == NULL) {
    fprintf(stderr, "%s:%d: \"%s\" does not contain \"%s\"\n", file, line, text ? text : "(NULL)",
            part);
    exit(1);
  }
}

/* Opens a store in memory with options given as names and values, ended by NULL. */
static inline kv_store_t *open_store(const char *name, ...) {
  kv_store_t *store = NULL;
  kv_error_t *err = NULL;
  kv_options_t *options = kv_options_new();
  va_list rest;
  CHECK(options != NULL);
  va_start(rest, name);
  while (name != NULL) {
    const char *value = va_arg(rest, const char *);
    if (kv_options_set(options, name, value, &err) != KV_OK) {
      fprintf(stderr, "option %s=%s: %s\n", name, value, kv_error_message(err));
      exit(1);
    }
    name = va_arg(rest, const char *);
  }
  va_end(rest);
  if (kv_open(NULL, options, &store, &err) != KV_OK) {
    fprintf(stderr, "kv_open: %s\n", kv_error_message(err));
    exit(1);
  }
  kv_options_free(options);
  CHECK(store != NULL && err == NULL);
  return store;
}

static inline void close_store(kv_store_t *store) {
  kv_error_t *err = NULL;
  CHECK_STATUS(kv_close(store, &err), KV_OK);
  CHECK(err == NULL);
}

/* Keys and values of most tests are plain text. */
static inline kv_status_t set_text(kv_store_t *store, const char *key, const char *value) {
  return kv_set(store, key, strlen(key), value, strlen(value), KV_TTL_DEFAULT);
}

static inline kv_status_t exists(kv_store_t *store, const char *key) {
  return kv_exists(store, key, strlen(key));
}

#define CHECK_VALUE(store, key, expected) check_value(__FILE__, __LINE__, store, key, expected)

static inline void check_value(const char *file, int line, kv_store_t *store, const char *key,
                               const char *expected) {
  kv_value_t *value = NULL;
  kv_status_t status = kv_get(store, key, strlen(key), &value);
  size_t len = kv_value_len(value);
  if (status != KV_OK || len != strlen(expected) ||
      memcmp(kv_value_data(value), expected, len) != 0) {
    fprintf(stderr, "%s:%d: value of \"%s\" is %s, \"%.*s\", expected \"%s\"\n", file, line, key,
            kv_status_name(status), (int)len, value ? (const char *)kv_value_data(value) : "",
            expected);
    exit(1);
  }
  kv_value_free(value);
}

static inline int64_t unix_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static inline void sleep_ms(int64_t ms) {
  struct timespec rest;
  rest.tv_sec = (time_t)(ms / 1000);
  rest.tv_nsec = (long)(ms % 1000) * 1000000;
  while (nanosleep(&rest, &rest) != 0) {
  }
}

#endif /* KV_TEST_CHECK_H */
