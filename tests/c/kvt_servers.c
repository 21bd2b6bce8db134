/* Conformance cases on servers: where those are, and which features a store there has. */

#include "kvt.h"

/* What a case may need. Without a capability every store has it. C has no iterator over keys alone. */
static const struct {
  const char *name;
  uint64_t capability;
} features[] = {
    {"set_many", 0},
    {"batch", 0},
    {"scan", 0},
    {"get_into", 0},
    {"last_fault", 0},
    {"raw_ttl", 0},
    {"wide_ttl", 0},
    {"far_deadline", 0},
    {"keys", 0},
    {"location", 0},
    {"servers", 0},
    {"watch", KV_CAN_WATCH},
    {"history", KV_CAN_WATCH_HISTORY},
    {"versions", KV_CAN_VERSIONS},
    {"del_if", KV_CAN_VERSIONS},
    {"order", KV_CAN_SCAN_IN_ORDER},
    {"moment", KV_CAN_SCAN_EXACTLY},
    {"files", KV_CAN_SNAPSHOT},
    {"directory", KV_CAN_SNAPSHOT},
    {"engine", KV_CAN_EVICT},
};

/* Reads where the servers are, and asks a store there what it can do. */
void kvt_find_servers(kvt_run_t *run) {
  kv_store_t *store = NULL;
  kv_error_t *err = NULL;
  run->servers = getenv("KV_SERVERS");
  run->at = getenv("KV_AT");
  run->capabilities = UINT64_MAX;
  if (run->at == NULL) {
    return;
  }
  if (kv_open(run->at, NULL, &store, &err) != KV_OK) {
    fprintf(stderr, "cannot open KV_AT: %s\n", kv_error_message(err));
    exit(1);
  }
  CHECK_STATUS(kv_capabilities(store, &run->capabilities), KV_OK);
  CHECK_STATUS(kv_close(store, NULL), KV_OK);
}

bool kvt_has(kvt_run_t *run, const char *feature, bool *known) {
  for (size_t n = 0; n < sizeof features / sizeof features[0]; n++) {
    if (strcmp(features[n].name, feature) == 0) {
      *known = true;
      if (strcmp(feature, "keys") == 0) {
        return false;
      }
      if (strcmp(feature, "servers") == 0) {
        return run->servers != NULL;
      }
      /* Such a case says itself where its store is. */
      if (strcmp(feature, "location") == 0) {
        return run->at == NULL;
      }
      return (features[n].capability & run->capabilities) == features[n].capability;
    }
  }
  *known = false;
  return false;
}

/* Where a case opens a store that says nothing of it: NULL, which is in memory, or a place of its own on the server. */
const char *kvt_own_place(kvt_run_t *run) {
  static const char query[] = "/?prefix={c.}:";
  size_t size;
  char *place;
  if (run->at == NULL) {
    return NULL;
  }
  size = strlen(run->at) + sizeof query + strlen(run->name);
  place = kvt_alloc(run, size);
  snprintf(place, size, "%s/?prefix={c.%s}:", run->at, run->name);
  return place;
}

/* A text with one name of a server, in braces, filled in. */
static const char *fill(kvt_run_t *run, const char *text, const char *name, size_t name_len,
                        const char *place, size_t place_len) {
  const char *at = text;
  char *filled;
  size_t before, size;
  while ((at = strchr(at, '{')) != NULL) {
    if (strncmp(at + 1, name, name_len) == 0 && at[1 + name_len] == '}') {
      break;
    }
    at++;
  }
  if (at == NULL) {
    return text;
  }
  before = (size_t)(at - text);
  size = strlen(text) + place_len + 1;
  filled = kvt_alloc(run, size);
  snprintf(filled, size, "%.*s%.*s%s", (int)before, text, (int)place_len, place,
           at + name_len + 2);
  return filled;
}

const char *kvt_fill_servers(kvt_run_t *run, const char *text) {
  const char *each = run->servers;
  while (each != NULL && *each != '\0') {
    size_t len = strcspn(each, " "), name_len = strcspn(each, "=");
    CHECK(name_len < len);
    text = fill(run, text, each, name_len, each + name_len + 1, len - name_len - 1);
    each += len + strspn(each + len, " ");
  }
  return text;
}
