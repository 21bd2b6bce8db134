/* page_cache: replays a trace of page requests against libkv as a cache, and prints what happened.
 *
 *     page_cache TRACE        one decimal page number a line
 *
 * Each page is looked up; on a miss it is stored with a TTL. Every third page shows a price and may be
 * served only until prices change; the others live for an hour. Prices change after every 12,000
 * requests, an era: price pages get a short TTL, and at the end of the era the program waits until the
 * last one has run out.
 *
 * Every count that is printed depends on the trace alone, never on the speed of the machine:
 *   - No page may expire in the middle of its era. All price pages have the same TTL, so the one stored
 *     first expires first. If it was stored once and is still there after the era's last request, no
 *     lookup missed a page that had expired. Otherwise the machine was too slow for this TTL: the run
 *     does not count, and the program starts over with twice the TTL.
 *   - No price page may live into the next era. The one stored last expires last, so the next era starts
 *     when that one is gone.
 * The store alone says what has expired. The program's own clock only measures the time of a call. */

#define _POSIX_C_SOURCE 199309L

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <kv.h>

#define ERA_REQUESTS 12000
#define PRICE_EVERY 3
#define HOUR_MS 3600000
#define FIRST_TTL_MS 250
#define LAST_TTL_MS 60000
#define BODY_MAX 2000

typedef struct page {
  char key[24];
  size_t key_len;
  char *body;
  size_t body_len;
} page_t;

/* The requests, and every page they may ask for, rendered before the clock runs. */
typedef struct trace {
  uint32_t *requests;
  size_t len;
  page_t *pages;
  size_t page_count;
} trace_t;

typedef struct counts {
  uint64_t hits, misses, served_bytes, nanoseconds;
} counts_t;

/* A failure nobody can handle here. */
static void die(const char *what, const char *why) {
  fprintf(stderr, "page_cache: %s: %s\n", what, why);
  exit(1);
}

static void check(const char *what, kv_status_t status) {
  if (status != KV_OK) die(what, kv_status_message(status));
}

static void *allocate(void *old, size_t count, size_t size) {
  void *memory = realloc(old, count * size);
  if (memory == NULL) die("the trace", "does not fit into memory");
  return memory;
}

static trace_t read_trace(const char *path) {
  trace_t trace = {NULL, 0, NULL, 0};
  size_t capacity = 0;
  uint32_t page;
  FILE *file = fopen(path, "r");
  if (file == NULL) die(path, "cannot be opened");
  while (fscanf(file, "%" SCNu32, &page) == 1) {
    if (trace.len == capacity) {
      capacity = capacity == 0 ? 1024 : 2 * capacity;
      trace.requests = allocate(trace.requests, capacity, sizeof *trace.requests);
    }
    trace.requests[trace.len++] = page;
    if (page >= trace.page_count) trace.page_count = (size_t)page + 1;
  }
  if (!feof(file)) die(path, "has a line that is no page number");
  fclose(file);
  if (trace.len == 0) die(path, "is empty");
  return trace;
}

/* Stands for a web server's templates: each page has its own length and letters. */
static void render_pages(trace_t *trace) {
  size_t i;
  trace->pages = allocate(NULL, trace->page_count, sizeof *trace->pages);
  for (i = 0; i < trace->page_count; i++) {
    page_t *page = &trace->pages[i];
    page->key_len = (size_t)snprintf(page->key, sizeof page->key, "page:%zu", i);
    page->body_len = 200 + i * 7919 % 1800;
    page->body = allocate(NULL, page->body_len, 1);
    memset(page->body, 'a' + (int)(i % 26), page->body_len);
  }
}

static void free_trace(trace_t *trace) {
  size_t i;
  for (i = 0; i < trace->page_count; i++) free(trace->pages[i].body);
  free(trace->pages);
  free(trace->requests);
}

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int is_cached(kv_store_t *store, const page_t *page) {
  kv_status_t status = kv_exists(store, page->key, page->key_len);
  if (status != KV_NOT_FOUND) check("kv_exists", status);
  return status == KV_OK;
}

/* One request: true if the page had to be stored. */
static int request(kv_store_t *store, const page_t *page, int64_t ttl_ms, counts_t *counts) {
  char body[BODY_MAX];
  size_t len = 0;
  kv_status_t status = kv_get_into(store, page->key, page->key_len, body, sizeof body, &len);
  if (status == KV_NOT_FOUND) {
    check("kv_set", kv_set(store, page->key, page->key_len, page->body, page->body_len, ttl_ms));
    counts->misses++;
    return 1;
  }
  check("kv_get_into", status);
  if (len != page->body_len || memcmp(body, page->body, len) != 0) die(page->key, "holds another page's body");
  counts->hits++;
  counts->served_bytes += len;
  return 0;
}

/* Waits until a price page has run out, and frees what expired with it. */
static void end_era(kv_store_t *store, const page_t *last_price_page) {
  const struct timespec two_ms = {0, 2000000};
  uint64_t give_up = now_ns() + 2 * (uint64_t)LAST_TTL_MS * 1000000u, purged;
  while (is_cached(store, last_price_page)) {
    if (now_ns() > give_up) die("a price page", "outlived its TTL");
    nanosleep(&two_ms, NULL);
  }
  check("kv_purge_expired", kv_purge_expired(store, &purged));
}

/* Replays the whole trace; false if the machine was too slow for this TTL. */
static int replay(kv_store_t *store, const trace_t *trace, int64_t price_ttl_ms, counts_t *counts) {
  size_t i = 0;
  while (i < trace->len) {
    size_t end = trace->len - i > ERA_REQUESTS ? i + ERA_REQUESTS : trace->len;
    const page_t *first = NULL, *last = NULL;
    uint64_t start = now_ns();
    for (; i < end; i++) {
      uint32_t number = trace->requests[i];
      const page_t *page = &trace->pages[number];
      int price = number % PRICE_EVERY == 0;
      if (request(store, page, price ? price_ttl_ms : HOUR_MS, counts) && price) {
        if (page == first) return 0; /* stored twice in one era: it expired in between */
        if (first == NULL) first = page;
        last = page;
      }
    }
    counts->nanoseconds += now_ns() - start;
    if (first == NULL) continue;
    if (!is_cached(store, first)) return 0;
    end_era(store, last);
  }
  return 1;
}

static void print_counts(kv_store_t *store, const trace_t *trace, const counts_t *counts) {
  kv_stats_t stats = KV_STATS_INIT;
  uint64_t calls = trace->len + counts->misses;
  check("kv_stats", kv_stats(store, &stats));
  printf("requests %zu\n", trace->len);
  printf("hits %" PRIu64 "\n", counts->hits);
  printf("misses %" PRIu64 "\n", counts->misses);
  printf("served_bytes %" PRIu64 "\n", counts->served_bytes);
  printf("expired %" PRIu64 "\n", stats.expired);
  printf("live %" PRIu64 "\n", stats.entries);
  printf("payload_bytes %" PRIu64 "\n", stats.key_bytes + stats.value_bytes);
  printf("memory_bytes %" PRIu64 "\n", stats.memory_bytes);
  printf("ns_per_call %" PRIu64 "\n", counts->nanoseconds / calls);
}

int main(int argc, char **argv) {
  int64_t ttl_ms;
  trace_t trace;
  if (argc != 2) die("usage", "page_cache TRACE");
  trace = read_trace(argv[1]);
  render_pages(&trace);

  for (ttl_ms = FIRST_TTL_MS; ttl_ms <= LAST_TTL_MS; ttl_ms *= 2) {
    counts_t counts = {0, 0, 0, 0};
    kv_store_t *store = NULL;
    kv_error_t *error = NULL;
    int done;
    if (kv_open(NULL, NULL, &store, &error) != KV_OK) die("kv_open", kv_error_message(error));
    done = replay(store, &trace, ttl_ms, &counts);
    if (done) print_counts(store, &trace, &counts);
    check("kv_close", kv_close(store, NULL));
    if (done) {
      free_trace(&trace);
      return 0;
    }
    fprintf(stderr, "page_cache: an era took longer than %" PRId64 " ms; starting over\n", ttl_ms);
  }
  die("replay", "this machine is too slow for any TTL tried");
  return 1;
}
