/* Watches: what they see, waiting with and without a descriptor, lagging, and every way to end. */

#include "check.h"

#include <poll.h>
#include <pthread.h>
#ifdef __linux__
#include <sys/epoll.h>
#endif
#include <sys/wait.h>
#include <unistd.h>

static kv_watch_t *watch_from(kv_store_t *store, const char *keys, int32_t exact, uint64_t from) {
  kv_watch_options_t options = KV_WATCH_OPTIONS_INIT;
  kv_watch_t *watch = NULL;
  options.key_or_prefix.data = keys;
  options.key_or_prefix.len = strlen(keys);
  options.exact = exact;
  options.from_revision = from;
  CHECK_STATUS(kv_watch(store, &options, &watch), KV_OK);
  CHECK(watch != NULL);
  return watch;
}

/* Checks the next event, which is there already. */
static kv_event_t next_is(kv_watch_t *watch, uint32_t change, const char *key, const char *value) {
  kv_event_t event = KV_EVENT_INIT;
  CHECK_STATUS(kv_watch_next(watch, 0, &event), KV_OK);
  CHECK_INT(event.struct_size, sizeof event);
  CHECK_INT(event.change, change);
  CHECK(event.key.data != NULL && event.value.data != NULL);
  CHECK(event.key.len == strlen(key) && memcmp(event.key.data, key, event.key.len) == 0);
  CHECK(event.value.len == strlen(value) && memcmp(event.value.data, value, event.value.len) == 0);
  CHECK(event.lagged == 0 && event.reserved == 0 && event.revision > 0);
  return event;
}

static void nothing_waits(kv_watch_t *watch) {
  kv_event_t event = KV_EVENT_INIT;
  event.revision = 99;
  CHECK_STATUS(kv_watch_next(watch, 0, &event), KV_TIMEOUT);
  CHECK_INT(event.revision, 99);
}

static void sees_changes(void) {
  kv_store_t *store = open_store("shards", "1", NULL);
  kv_watch_t *all = NULL, *one, *users, *past;
  kv_event_t event;
  int64_t at_ms = (int64_t)time(NULL) * 1000 + 600000;
  CHECK_STATUS(kv_watch(store, NULL, &all), KV_OK);
  one = watch_from(store, "user:1", 1, 0);
  users = watch_from(store, "user:", 0, 0);
  CHECK_STATUS(kv_set(store, "user:1", 6, "Ada", 3, 0), KV_OK);
  CHECK_STATUS(kv_expire_at(store, "user:1", 6, at_ms), KV_OK);
  CHECK_STATUS(kv_set(store, "user:10", 7, "Eve", 3, 0), KV_OK);
  CHECK_STATUS(kv_set(store, "other", 5, "", 0, 0), KV_OK);
  CHECK_STATUS(kv_del(store, "user:1", 6), KV_OK);
  CHECK_STATUS(kv_clear(store), KV_OK);

  event = next_is(all, KV_CHANGE_SET, "user:1", "Ada");
  CHECK_INT(event.revision, 1);
  CHECK_INT(event.expire_at_ms, KV_TTL_NONE);
  event = next_is(all, KV_CHANGE_TOUCHED, "user:1", "");
  CHECK_INT(event.expire_at_ms, at_ms);
  next_is(all, KV_CHANGE_SET, "user:10", "Eve");
  next_is(all, KV_CHANGE_SET, "other", "");
  next_is(all, KV_CHANGE_DELETED, "user:1", "");
  event = next_is(all, KV_CHANGE_CLEARED, "", "");
  CHECK_INT(event.revision, 6);
  nothing_waits(all);

  next_is(one, KV_CHANGE_SET, "user:1", "Ada");
  next_is(one, KV_CHANGE_TOUCHED, "user:1", "");
  next_is(one, KV_CHANGE_DELETED, "user:1", "");
  next_is(one, KV_CHANGE_CLEARED, "", "");
  nothing_waits(one);
  next_is(users, KV_CHANGE_SET, "user:1", "Ada");
  next_is(users, KV_CHANGE_TOUCHED, "user:1", "");
  next_is(users, KV_CHANGE_SET, "user:10", "Eve");

  past = watch_from(store, "", 0, 5);
  next_is(past, KV_CHANGE_DELETED, "user:1", "");
  next_is(past, KV_CHANGE_CLEARED, "", "");
  nothing_waits(past);
  kv_watch_free(all);
  kv_watch_free(one);
  kv_watch_free(users);
  kv_watch_free(past);
  CHECK_STATUS(kv_close(store, NULL), KV_OK);
}

static void says_what_it_missed(void) {
  kv_store_t *store = open_store("watch_buffer", "4", NULL);
  kv_watch_t *slow = watch_from(store, "", 0, 0), *early, *late;
  kv_event_t event = KV_EVENT_INIT;
  for (int n = 0; n < 10; n++) {
    CHECK_STATUS(kv_set(store, "k", 1, "v", 1, 0), KV_OK);
  }
  CHECK_STATUS(kv_watch_next(slow, -1, &event), KV_LAGGED);
  CHECK(event.revision == 7 && event.lagged == 6 && event.change == 0);
  CHECK(event.key.len == 0 && event.key.data != NULL);
  CHECK_INT(next_is(slow, KV_CHANGE_SET, "k", "v").revision, 7);
  early = watch_from(store, "", 0, 1);
  late = watch_from(store, "", 0, 1000);
  CHECK_STATUS(kv_watch_next(early, 0, &event), KV_LAGGED);
  CHECK_INT(event.revision, 7);
  CHECK_STATUS(kv_watch_next(late, 0, &event), KV_LAGGED);
  CHECK_INT(event.revision, 11);
  nothing_waits(late);
  kv_watch_free(slow);
  kv_watch_free(early);
  kv_watch_free(late);
  CHECK_STATUS(kv_close(store, NULL), KV_OK);
}

static void misuse(void) {
  kv_store_t *store = open_store(NULL, NULL);
  kv_watch_options_t options = KV_WATCH_OPTIONS_INIT;
  kv_watch_t *watch = NULL;
  kv_event_t event = KV_EVENT_INIT;
  CHECK_STATUS(kv_watch(NULL, NULL, &watch), KV_ERR_INVALID);
  CHECK_STATUS(kv_watch(store, NULL, NULL), KV_ERR_INVALID);
  options.struct_size = 8;
  CHECK_STATUS(kv_watch(store, &options, &watch), KV_ERR_INVALID);
  options.struct_size = sizeof options;
  options.changes = KV_CHANGE_REPLACED;
  CHECK_STATUS(kv_watch(store, &options, &watch), KV_ERR_INVALID);
  options.changes = 128;
  CHECK_STATUS(kv_watch(store, &options, &watch), KV_ERR_INVALID);
  options.changes = 0;
  options.key_or_prefix.len = 3;
  CHECK_STATUS(kv_watch(store, &options, &watch), KV_ERR_INVALID);
  CHECK(watch == NULL);
  CHECK_STATUS(kv_watch_next(NULL, 0, &event), KV_ERR_INVALID);
  CHECK_INT(kv_watch_fd(NULL), -1);
  kv_watch_cancel(NULL);
  kv_watch_free(NULL);
  CHECK_STATUS(kv_watch(store, NULL, &watch), KV_OK);
  CHECK_STATUS(kv_set(store, "k", 1, "v", 1, 0), KV_OK);
  CHECK_STATUS(kv_watch_next(watch, 0, NULL), KV_ERR_INVALID);
  event.struct_size = 8;
  CHECK_STATUS(kv_watch_next(watch, 0, &event), KV_ERR_INVALID);
  next_is(watch, KV_CHANGE_SET, "k", "v");
  kv_watch_free(watch);
  CHECK_STATUS(kv_close(store, NULL), KV_OK);
}

static int readable(int fd) {
  struct pollfd asked = {fd, POLLIN, 0};
  int ready = poll(&asked, 1, 0);
  CHECK(ready >= 0 && (asked.revents & ~POLLIN) == 0);
  return ready;
}

static void wakes_poll_and_epoll(void) {
#ifdef __linux__
  kv_store_t *store = open_store(NULL, NULL);
  kv_watch_t *watch = watch_from(store, "k", 0, 0);
  struct epoll_event interest = {EPOLLIN, {0}}, ready;
  int epoll = epoll_create1(0), fd = kv_watch_fd(watch);
  CHECK(fd >= 0 && epoll >= 0);
  CHECK_INT(kv_watch_fd(watch), fd);
  CHECK_INT(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &interest), 0);
  CHECK_INT(readable(fd), 0);
  CHECK_STATUS(kv_set(store, "other", 5, "v", 1, 0), KV_OK);
  CHECK_INT(readable(fd), 0);
  for (int round = 0; round < 3; round++) {
    CHECK_STATUS(kv_set(store, "k1", 2, "v", 1, 0), KV_OK);
    CHECK_STATUS(kv_set(store, "k2", 2, "w", 1, 0), KV_OK);
    CHECK_INT(epoll_wait(epoll, &ready, 1, -1), 1);
    CHECK_INT(epoll_wait(epoll, &ready, 1, 0), 1);
    next_is(watch, KV_CHANGE_SET, "k1", "v");
    CHECK_INT(readable(fd), 1);
    next_is(watch, KV_CHANGE_SET, "k2", "w");
    CHECK_INT(readable(fd), 0);
    CHECK_INT(epoll_wait(epoll, &ready, 1, 0), 0);
    nothing_waits(watch);
  }
  kv_watch_cancel(watch);
  CHECK_INT(readable(fd), 1);
  close(epoll);
  kv_watch_free(watch);
  CHECK_STATUS(kv_close(store, NULL), KV_OK);
#endif
}

typedef struct {
  kv_watch_t *watch;
  kv_status_t status;
} waiter_t;

static void *wait_for_the_end(void *data) {
  waiter_t *waiter = (waiter_t *)data;
  kv_event_t event = KV_EVENT_INIT;
  while ((waiter->status = kv_watch_next(waiter->watch, -1, &event)) == KV_OK) {
  }
  return NULL;
}

static void ends(void) {
  kv_store_t *store = open_store(NULL, NULL);
  waiter_t waiters[2] = {{NULL, KV_OK}, {NULL, KV_OK}};
  pthread_t threads[2];
  kv_event_t event = KV_EVENT_INIT;
  for (int n = 0; n < 2; n++) {
    waiters[n].watch = watch_from(store, "", 0, 0);
    CHECK_INT(pthread_create(&threads[n], NULL, wait_for_the_end, &waiters[n]), 0);
  }
  CHECK_STATUS(kv_set(store, "k", 1, "v", 1, 0), KV_OK);
  kv_watch_cancel(waiters[0].watch);
  CHECK_INT(pthread_join(threads[0], NULL), 0);
  CHECK_STATUS(waiters[0].status, KV_DONE);
  CHECK_STATUS(kv_watch_next(waiters[0].watch, -1, &event), KV_DONE);
  CHECK_STATUS(kv_close(store, NULL), KV_OK);
  CHECK_INT(pthread_join(threads[1], NULL), 0);
  CHECK_STATUS(waiters[1].status, KV_ERR_CLOSED);
  /* Watches that outlive their store. */
  CHECK_STATUS(kv_watch_next(waiters[1].watch, 0, &event), KV_ERR_CLOSED);
  kv_watch_cancel(waiters[1].watch);
  kv_watch_free(waiters[0].watch);
  kv_watch_free(waiters[1].watch);
}

/* Other threads hold the locks of store and watch while the process forks. */
static void is_left_alone_by_a_child(void) {
  kv_store_t *store = open_store(NULL, NULL);
  waiter_t waiter = {watch_from(store, "", 0, 0), KV_OK};
  kv_watch_t *idle = watch_from(store, "", 0, 0);
  pthread_t thread;
  int status = 0;
  pid_t child;
  CHECK_INT(pthread_create(&thread, NULL, wait_for_the_end, &waiter), 0);
  CHECK_STATUS(kv_set(store, "k", 1, "v", 1, 0), KV_OK);
  child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    alarm(300); /* a child that hangs ends, and is told of */
    kv_event_t event = KV_EVENT_INIT;
    int bad = kv_watch_next(waiter.watch, -1, &event) != KV_ERR_FORKED ||
              kv_watch_next(idle, -1, &event) != KV_ERR_FORKED || kv_watch_fd(idle) != -1;
    kv_watch_cancel(waiter.watch);
    kv_watch_cancel(idle);
    kv_watch_free(idle);
    end_child(!bad);
  }
  CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
  next_is(idle, KV_CHANGE_SET, "k", "v");
  kv_watch_cancel(waiter.watch);
  CHECK_INT(pthread_join(thread, NULL), 0);
  CHECK_STATUS(waiter.status, KV_DONE);
  kv_watch_free(waiter.watch);
  kv_watch_free(idle);
  CHECK_STATUS(kv_close(store, NULL), KV_OK);
}

int main(void) {
  sees_changes();
  says_what_it_missed();
  misuse();
  wakes_poll_and_epoll();
  ends();
  is_left_alone_by_a_child();
  return 0;
}
