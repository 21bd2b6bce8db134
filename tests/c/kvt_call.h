/* What the files with the operations of conformance cases share: the call at hand, and moves that most
 * of them make. */

#ifndef KV_TEST_KVT_CALL_H
#define KV_TEST_KVT_CALL_H

#include "kvt.h"

/* One operation: its words, positional ones before named ones, and where its answer goes. */
typedef struct {
  kvt_run_t *run;
  const kvt_word_t *words;
  int count;
  kvt_answer_t *answer;
} call_t;

/* kvt_ops.c */
bool add_number(call_t *call, const char *name, int64_t number);
bool add_bytes(call_t *call, const void *data, size_t len);
void take_message(kvt_answer_t *answer, kv_error_t *err);
bool shape(const call_t *call, const char *positional, const char *allowed);
bool ttl_of(const call_t *call, int64_t *ttl_ms);

/* kvt_many.c */
bool op_get_many(call_t *call);
bool op_set_many(call_t *call);
bool op_del_many(call_t *call);

/* kvt_group.c */
bool op_write(call_t *call);
bool op_scan(call_t *call);

/* kvt_files.c */
bool op_files(call_t *call);

/* kvt_told.c */
bool listen(call_t *call, const kvt_word_t *causes, kv_options_t *options, kv_status_t *status);
bool op_removed(call_t *call);

/* kvt_watch.c */
bool op_watch(call_t *call);

#endif /* KV_TEST_KVT_CALL_H */
