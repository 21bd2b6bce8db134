/* The directory of a conformance case, and the operations on a store's files. */

#include "kvt_call.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

static const char placeholder[] = "{dir}";

const char *kvt_path(kvt_run_t *run, const char *text) {
  const char *at = strstr(text, placeholder);
  size_t before, size = strlen(text) + sizeof run->folder;
  char *path;
  if (at == NULL) {
    return text;
  }
  if (run->folder[0] == '\0') {
    strcpy(run->folder, "conformance_XXXXXX");
    if (mkdtemp(run->folder) == NULL) {
      run->folder[0] = '\0';
      kvt_fail(run, "no directory can be made for the case");
      return NULL;
    }
  }
  path = kvt_alloc(run, size);
  before = (size_t)(at - text);
  snprintf(path, size, "%.*s%s%s", (int)before, text, run->folder,
           at + sizeof placeholder - 1);
  return path;
}

static void remove_all(const char *path) {
  DIR *listing = opendir(path);
  struct dirent *entry;
  char inner[KVT_TEXT];
  struct stat about;
  CHECK(listing != NULL);
  while ((entry = readdir(listing)) != NULL) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
      continue;
    }
    int len = snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
    CHECK(len > 0 && (size_t)len < sizeof inner && lstat(inner, &about) == 0);
    if (S_ISDIR(about.st_mode)) {
      remove_all(inner);
    } else {
      CHECK(unlink(inner) == 0);
    }
  }
  closedir(listing);
  CHECK(rmdir(path) == 0);
}

void kvt_remove_folder(kvt_run_t *run) {
  if (run->folder[0] != '\0') {
    remove_all(run->folder);
    run->folder[0] = '\0';
  }
}

/* The path in quotes that the call has; NULL with `*fine` if it has none. */
static const char *path_of(call_t *call, bool *fine) {
  *fine = true;
  if (call->count == 1) {
    return NULL;
  }
  *fine = shape(call, "b", "");
  if (*fine) {
    const char *path = kvt_path(call->run, call->words[1].text);
    *fine = path != NULL;
    return path;
  }
  return NULL;
}

static bool recovery(call_t *call) {
  static const char *const names[] = {"snapshot_revision", "last_revision", "records",
                                      "discarded_bytes"};
  char *json = NULL;
  bool fine = true;
  call->answer->status = kv_recovery_report(call->run->store, &json);
  for (size_t n = 0; n < sizeof names / sizeof names[0] && json != NULL && fine; n++) {
    char member[40];
    int len = snprintf(member, sizeof member, "\"%s\":", names[n]);
    const char *at = strstr(json, member);
    fine = at == NULL ? kvt_fail(call->run, "the report has no %s", names[n])
                      : add_number(call, names[n], strtoll(at + len, NULL, 10));
  }
  kv_string_free(json);
  return fine;
}

bool op_files(call_t *call) {
  const kvt_word_t *operation = &call->words[0];
  kv_snapshot_info_t info = KV_SNAPSHOT_INFO_INIT;
  kv_store_t *store = call->run->store;
  kv_error_t *err = NULL;
  bool fine;
  const char *path = path_of(call, &fine);
  if (!fine) {
    return false;
  }
  if (kvt_is(operation, "recovery")) {
    return recovery(call);
  }
  if (kvt_is(operation, "sync")) {
    call->answer->status = kv_sync(store, &err);
  } else if (kvt_is(operation, "restore")) {
    call->answer->status = kv_restore(store, path, &err);
  } else {
    call->answer->status = kv_snapshot(store, path, &info, NULL, &err);
    fine = add_number(call, "entries", (int64_t)info.entries);
  }
  take_message(call->answer, err);
  return fine;
}
