/* Removal callbacks: which entries they are told of, why, on which thread, and how they end. */

#include "check.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

/* What a callback was told, and a gate that it waits at. */
typedef struct {
  pthread_mutex_t lock;
  pthread_cond_t moved;
  char text[8192]; /* "2 key=value\n" for each */
  int count;
  int closed; /* calls wait while this is set */
  int finalized;
  kv_store_t *store; /* for callbacks that call it */
  pthread_t thread;
} record_t;

static record_t *new_record(void) {
  record_t *record = (record_t *)calloc(1, sizeof *record);
  CHECK(record != NULL);
  pthread_mutex_init(&record->lock, NULL);
  pthread_cond_init(&record->moved, NULL);
  return record;
}

static void free_record(record_t *record) {
  pthread_mutex_destroy(&record->lock);
  pthread_cond_destroy(&record->moved);
  free(record);
}

static void on_remove(void *user_data, uint32_t change, const void *key, size_t key_len,
                      const void *value, size_t value_len) {
  record_t *record = (record_t *)user_data;
  char line[256];
  CHECK(key != NULL && value != NULL);
  snprintf(line, sizeof line, "%u %.*s=%.*s\n", (unsigned)change, (int)key_len, (const char *)key,
           (int)value_len, (const char *)value);
  pthread_mutex_lock(&record->lock);
  CHECK(!record->finalized);
  strncat(record->text, line, sizeof record->text - strlen(record->text) - 1);
  record->count++;
  record->thread = pthread_self();
  pthread_cond_broadcast(&record->moved);
  while (record->closed) {
    pthread_cond_wait(&record->moved, &record->lock);
  }
  pthread_mutex_unlock(&record->lock);
}

static void finalize(void *user_data) {
  record_t *record = (record_t *)user_data;
  pthread_mutex_lock(&record->lock);
  record->finalized++;
  pthread_mutex_unlock(&record->lock);
}

static void set_gate(record_t *record, int closed) {
  pthread_mutex_lock(&record->lock);
  record->closed = closed;
  pthread_cond_broadcast(&record->moved);
  pthread_mutex_unlock(&record->lock);
}

static void wait_for(record_t *record, int count) {
  pthread_mutex_lock(&record->lock);
  while (record->count < count) {
    pthread_cond_wait(&record->moved, &record->lock);
  }
  pthread_mutex_unlock(&record->lock);
}

static kv_options_t *options_with(const char *name, const char *value) {
  kv_options_t *options = kv_options_new();
  CHECK(options != NULL);
  if (name != NULL) {
    CHECK_STATUS(kv_options_set(options, name, value, NULL), KV_OK);
  }
  return options;
}

/* Opens a store whose removals are recorded, and frees its options. */
static kv_store_t *open_recorded(record_t *record, uint32_t changes, const char *name,
                                 const char *value) {
  kv_options_t *options = options_with(name, value);
  kv_store_t *store = NULL;
  CHECK_STATUS(kv_options_on_remove(options, changes, on_remove, record, finalize), KV_OK);
  CHECK_STATUS(kv_open(NULL, options, &store, NULL), KV_OK);
  kv_options_free(options);
  CHECK(record->finalized == 0);
  record->store = store;
  return store;
}

/* Closing tells all that waits, so afterwards the record is complete. */
static void check_told(kv_store_t *store, record_t *record, const char *expected) {
  close_store(store);
  CHECK_INT(record->finalized, 1);
  if (strcmp(record->text, expected) != 0) {
    fprintf(stderr, "told:\n%sexpected:\n%s", record->text, expected);
    exit(1);
  }
  free_record(record);
}

static void every_cause_is_told(void) {
  record_t *record = new_record();
  kv_store_t *store = open_recorded(record, 0, "eviction", "random");
  int64_t number = 0;
  size_t len = 0;
  CHECK_STATUS(set_text(store, "a", "1"), KV_OK);
  CHECK_STATUS(set_text(store, "a", "2"), KV_OK);
  CHECK_STATUS(kv_incr(store, "a", 1, 5, 0, &number), KV_OK);
  CHECK_STATUS(kv_append(store, "a", 1, "0", 1, &len), KV_OK);
  CHECK_STATUS(kv_expire(store, "a", 1, 60000), KV_OK);
  CHECK_STATUS(kv_del(store, "a", 1), KV_OK);
  CHECK_STATUS(kv_set(store, "b", 1, "", 0, 1), KV_OK);
  wait_for(record, 5); /* expired, and freed by the store's own thread */
  CHECK_STATUS(set_text(store, "c", "3"), KV_OK);
  CHECK_STATUS(kv_expire(store, "c", 1, 0), KV_OK);
  CHECK_STATUS(set_text(store, "", "4"), KV_OK);
  CHECK_STATUS(kv_configure(store, "max_entries", "1", NULL), KV_OK);
  CHECK_STATUS(set_text(store, "d", "5"), KV_OK);
  CHECK_STATUS(kv_clear(store), KV_OK);
  check_told(store, record,
             "32 a=1\n32 a=2\n32 a=7\n2 a=70\n4 b=\n2 c=3\n8 =4\n16 d=5\n");
}

static void only_what_was_asked_for_is_told(void) {
  record_t *record = new_record();
  kv_store_t *store = open_recorded(record, KV_CHANGE_DELETED | KV_CHANGE_CLEARED, NULL, NULL);
  kv_set_options_t if_absent = KV_SET_OPTIONS_INIT;
  if_absent.condition = KV_IF_ABSENT;
  CHECK_STATUS(set_text(store, "a", "1"), KV_OK);
  CHECK_STATUS(set_text(store, "a", "2"), KV_OK);
  CHECK_STATUS(kv_set_with(store, "a", 1, "3", 1, &if_absent, NULL), KV_EXISTS);
  CHECK_STATUS(kv_del_if(store, "a", 1, 1), KV_CONFLICT);
  CHECK_STATUS(kv_del(store, "b", 1), KV_NOT_FOUND);
  CHECK_STATUS(kv_clear(store), KV_OK);
  CHECK_STATUS(set_text(store, "closing", "tells nothing"), KV_OK);
  check_told(store, record, "16 a=2\n");
}

static void large_values_are_told_whole(void) {
  record_t *record = new_record();
  kv_store_t *store = open_recorded(record, KV_CHANGE_REPLACED, NULL, NULL);
  char *large = (char *)malloc(100000);
  CHECK(large != NULL);
  memset(large, 'x', 100000);
  CHECK_STATUS(kv_set(store, "k", 1, large, 100000, 0), KV_OK);
  free(large);
  CHECK_STATUS(set_text(store, "k", "small"), KV_OK);
  wait_for(record, 1);
  CHECK_INT(strspn(record->text + strlen("32 k="), "x"), 255 - strlen("32 k="));
  record->text[0] = '\0';
  check_told(store, record, "");
}

static void a_slow_callback_delays_no_write(void) {
  record_t *record = new_record();
  kv_store_t *store = open_recorded(record, KV_CHANGE_DELETED, "callback_buffer", "2");
  kv_stats_t stats = KV_STATS_INIT;
  char key[2] = "0";
  set_gate(record, 1);
  CHECK_STATUS(set_text(store, "first", ""), KV_OK);
  CHECK_STATUS(kv_del(store, "first", 5), KV_OK);
  wait_for(record, 1);
  for (; key[0] <= '9'; key[0]++) {
    CHECK_STATUS(set_text(store, key, ""), KV_OK);
    CHECK_STATUS(kv_del(store, key, 1), KV_OK);
  }
  CHECK_STATUS(kv_stats(store, &stats), KV_OK);
  CHECK_INT(stats.callbacks_dropped, 8);
  CHECK(stats.pinned_bytes > 0);
  set_gate(record, 0);
  check_told(store, record, "2 first=\n2 0=\n2 1=\n");
}

static void calls_its_store(void *user_data, uint32_t change, const void *key, size_t key_len,
                            const void *value, size_t value_len) {
  record_t *record = (record_t *)user_data;
  kv_error_t *err = NULL;
  if (record->count++ > 0) {
    return;
  }
  CHECK_INT(change, KV_CHANGE_DELETED);
  CHECK_STATUS(kv_set(record->store, "copy", 4, value, value_len, 0), KV_OK);
  CHECK_STATUS(kv_exists(record->store, key, key_len), KV_NOT_FOUND);
  CHECK_STATUS(kv_shutdown(record->store, &err), KV_ERR_INVALID);
  CHECK_TEXT_HAS(kv_error_message(err), "callback");
  kv_error_free(err);
  CHECK_STATUS(kv_close(record->store, NULL), KV_ERR_INVALID);
  CHECK_STATUS(kv_del(record->store, "copy", 4), KV_OK);
  set_gate(record, 0);
}

static void a_callback_may_call_its_store_but_not_close_it(void) {
  record_t *record = new_record();
  kv_options_t *options = options_with(NULL, NULL);
  kv_store_t *store = NULL;
  CHECK_STATUS(kv_options_on_remove(options, 0, calls_its_store, record, NULL), KV_OK);
  CHECK_STATUS(kv_open(NULL, options, &store, NULL), KV_OK);
  kv_options_free(options);
  record->store = store;
  record->closed = 1;
  CHECK_STATUS(set_text(store, "k", "v"), KV_OK);
  CHECK_STATUS(kv_del(store, "k", 1), KV_OK);
  pthread_mutex_lock(&record->lock);
  while (record->closed) {
    pthread_cond_wait(&record->moved, &record->lock);
  }
  pthread_mutex_unlock(&record->lock);
  CHECK_STATUS(kv_shutdown(store, NULL), KV_OK);
  CHECK_STATUS(kv_shutdown(store, NULL), KV_OK);
  close_store(store);
  CHECK_INT(record->count, 2); /* its own removal was told too */
  free_record(record);
}

static void finalize_comes_once_and_last(void) {
  record_t *replaced = new_record(), *record = new_record();
  kv_options_t *options = options_with(NULL, NULL);
  kv_store_t *first = NULL, *second = NULL;
  CHECK_STATUS(kv_options_on_remove(options, 0, on_remove, replaced, finalize), KV_OK);
  CHECK_STATUS(kv_options_on_remove(options, 0, on_remove, record, finalize), KV_OK);
  CHECK_INT(replaced->finalized, 1);
  CHECK_STATUS(kv_open(NULL, options, &first, NULL), KV_OK);
  CHECK_STATUS(kv_open(NULL, options, &second, NULL), KV_OK);
  close_store(first);
  CHECK_INT(record->finalized, 0);
  kv_options_free(options);
  CHECK_STATUS(kv_shutdown(second, NULL), KV_OK);
  CHECK_INT(record->finalized, 0);
  close_store(second);
  CHECK_INT(record->finalized, 1);
  CHECK_INT(record->count, 0);
  free_record(replaced);
  free_record(record);
}

static void wrong_arguments_change_nothing(void) {
  record_t *record = new_record();
  kv_options_t *options = options_with(NULL, NULL);
  const uint32_t wrong[] = {KV_CHANGE_SET, KV_CHANGE_TOUCHED, KV_CHANGE_SET | KV_CHANGE_EVICTED,
                            128, UINT32_MAX};
  size_t i;
  for (i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    CHECK_STATUS(kv_options_on_remove(options, wrong[i], on_remove, record, finalize),
                 KV_ERR_INVALID);
  }
  CHECK_STATUS(kv_options_on_remove(options, 0, NULL, record, finalize), KV_ERR_INVALID);
  CHECK_STATUS(kv_options_on_remove(NULL, 0, on_remove, record, finalize), KV_ERR_INVALID);
  kv_options_free(options);
  CHECK_INT(record->finalized, 0);
  free_record(record);
}

static void a_child_of_fork_leaves_the_callback_alone(void) {
  record_t *record = new_record();
  kv_store_t *store = open_recorded(record, 0, NULL, NULL);
  int status = 0;
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    alarm(60);
    CHECK_STATUS(kv_shutdown(store, NULL), KV_ERR_FORKED);
    CHECK_STATUS(kv_close(store, NULL), KV_ERR_FORKED);
    CHECK_INT(record->finalized, 0);
    /* Another program in its place: the store stays behind in here, which a leak checker would see. */
    execl("/bin/true", "true", (char *)NULL);
    abort();
  }
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  CHECK_STATUS(set_text(store, "k", "v"), KV_OK);
  CHECK_STATUS(kv_del(store, "k", 1), KV_OK);
  wait_for(record, 1);
  CHECK(!pthread_equal(record->thread, pthread_self()));
  check_told(store, record, "2 k=v\n");
}

int main(void) {
  every_cause_is_told();
  only_what_was_asked_for_is_told();
  large_values_are_told_whole();
  a_slow_callback_delays_no_write();
  a_callback_may_call_its_store_but_not_close_it();
  finalize_comes_once_and_last();
  wrong_arguments_change_nothing();
  a_child_of_fork_leaves_the_callback_alone();
  return 0;
}
