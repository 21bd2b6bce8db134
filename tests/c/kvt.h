/* The driver that runs tests/conformance through kv.h. Its README.md describes the format.
 *
 * kvt_words cuts lines into words and evaluates them, kvt_run runs cases and compares answers,
 * kvt_ops, kvt_many, kvt_group, kvt_files, kvt_told and kvt_watch make the calls, kvt_servers knows where servers are,
 * conformance.c finds the files. A function that returns a bool has told kvt_fail what is wrong when it returns false; the first complaint of a case is the one that is
 * kept. Memory of a line lives until the next one. */

#ifndef KV_TEST_KVT_H
#define KV_TEST_KVT_H

#include "check.h"

#include <stdbool.h>

enum { KVT_WORDS = 256, KVT_VARIABLES = 32, KVT_NUMBERS = 48, KVT_NAME = 32, KVT_TEXT = 1024, KVT_FOLDER = 64 };

typedef struct {
  const char *name; /* NULL if the word is not name=... */
  bool is_bytes;    /* in quotes, and `text` is what they stand for */
  const char *text; /* ended by a NUL that `len` does not count */
  size_t len;
} kvt_word_t;

/* What a call answered. */
typedef struct {
  kv_status_t status;
  char message[KVT_TEXT];
  struct {
    const char *name;
    int64_t number;
  } numbers[KVT_NUMBERS];
  int number_count;
  struct {
    bool is_hole;
    const char *data;
    size_t len;
  } bytes[KVT_WORDS];
  int byte_count;
  bool bytes_are_all; /* every one of them must be listed */
} kvt_answer_t;

typedef struct kvt_block kvt_block_t;
typedef struct kvt_told kvt_told_t;

typedef struct {
  /* Where it is. */
  const char *file;
  int line;
  char name[80];
  /* What the case has. */
  kv_store_t *store;
  kv_watch_t *watch; /* the one that was begun last; NULL before */
  kvt_told_t *told; /* what the store's callback is told; NULL without one */
  char folder[KVT_FOLDER]; /* what {dir} stands for; empty until it is asked for */
  struct {
    char name[KVT_NAME];
    int64_t number;
  } variables[KVT_VARIABLES];
  int variable_count;
  /* Where the stores are. */
  const char *at;        /* the server that cases run on; NULL for this process */
  const char *servers;   /* names and places, for the cases about servers; NULL if they are not told */
  uint64_t capabilities; /* those of a store there */
  bool wants_version; /* of the line: whether the version is among the results */
  kvt_block_t *blocks;
  /* How it goes. */
  bool in_case, skipped, failed;
  char failure[KVT_TEXT];
  int cases, skips, failures;
  bool must_fail; /* of all cases: they are planted, and each must be refused */
} kvt_run_t;

/* kvt_words.c */
void *kvt_alloc(kvt_run_t *run, size_t size);
void kvt_free_line(kvt_run_t *run);
bool kvt_cut(kvt_run_t *run, const char *line, kvt_word_t *words, int *count);
bool kvt_number(kvt_run_t *run, const char *text, int64_t *number);
bool kvt_is(const kvt_word_t *word, const char *plain);

/* kvt_run.c */
bool kvt_fail(kvt_run_t *run, const char *format, ...);
bool kvt_let(kvt_run_t *run, const char *name, int64_t number);
void kvt_run_file(kvt_run_t *run, const char *path);

/* kvt_ops.c */
bool kvt_call(kvt_run_t *run, const kvt_word_t *words, int count, kvt_answer_t *answer);

/* kvt_files.c */
const char *kvt_path(kvt_run_t *run, const char *text); /* with {dir} filled in; NULL if it cannot be */
void kvt_remove_folder(kvt_run_t *run);

/* kvt_servers.c */
void kvt_find_servers(kvt_run_t *run);
bool kvt_has(kvt_run_t *run, const char *feature, bool *known);
const char *kvt_own_place(kvt_run_t *run);
const char *kvt_fill_servers(kvt_run_t *run, const char *text);

/* kvt_told.c */
void kvt_free_told(kvt_run_t *run);

/* kvt_watch.c */
void kvt_free_watch(kvt_run_t *run);

#endif /* KV_TEST_KVT_H */
