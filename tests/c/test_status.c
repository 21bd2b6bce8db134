/* Statuses, versions, and errors that are not there. */

#include "check.h"

static void names_and_messages(void) {
  static const struct {
    kv_status_t status;
    const char *name;
  } table[] = {
      {KV_OK, "KV_OK"},
      {KV_NOT_FOUND, "KV_NOT_FOUND"},
      {KV_EXISTS, "KV_EXISTS"},
      {KV_CONFLICT, "KV_CONFLICT"},
      {KV_DONE, "KV_DONE"},
      {KV_TIMEOUT, "KV_TIMEOUT"},
      {KV_SHORT_BUFFER, "KV_SHORT_BUFFER"},
      {KV_LAGGED, "KV_LAGGED"},
      {KV_ERR_INVALID, "KV_ERR_INVALID"},
      {KV_ERR_TOO_LARGE, "KV_ERR_TOO_LARGE"},
      {KV_ERR_FULL, "KV_ERR_FULL"},
      {KV_ERR_TYPE, "KV_ERR_TYPE"},
      {KV_ERR_NO_SPACE, "KV_ERR_NO_SPACE"},
      {KV_ERR_IO, "KV_ERR_IO"},
      {KV_ERR_CORRUPT, "KV_ERR_CORRUPT"},
      {KV_ERR_LOCKED, "KV_ERR_LOCKED"},
      {KV_ERR_CLOSED, "KV_ERR_CLOSED"},
      {KV_ERR_POISONED, "KV_ERR_POISONED"},
      {KV_ERR_UNSUPPORTED, "KV_ERR_UNSUPPORTED"},
      {KV_ERR_FORKED, "KV_ERR_FORKED"},
      {KV_ERR_NO_MEMORY, "KV_ERR_NO_MEMORY"},
      {KV_ERR_PANIC, "KV_ERR_PANIC"},
      {KV_ERR_UNAVAILABLE, "KV_ERR_UNAVAILABLE"},
      {KV_ERR_CROSS_SLOT, "KV_ERR_CROSS_SLOT"},
  };
  /* Outcomes count up from 0, errors down from -1, without a gap. */
  size_t count = sizeof table / sizeof table[0];
  for (size_t n = 0; n < count; n++) {
    kv_status_t expected = n < 8 ? (kv_status_t)n : 7 - (kv_status_t)n;
    CHECK_INT(table[n].status, expected);
    CHECK(strcmp(kv_status_name(table[n].status), table[n].name) == 0);
    CHECK(strlen(kv_status_message(table[n].status)) > 0);
  }
  static const kv_status_t foreign[] = {8, -17, INT32_MAX, INT32_MIN};
  for (size_t n = 0; n < 4; n++) {
    CHECK(strcmp(kv_status_name(foreign[n]), "KV_UNKNOWN") == 0);
    CHECK(strlen(kv_status_message(foreign[n])) > 0);
  }
  CHECK(kv_status_name(KV_OK) == kv_status_name(KV_OK));
}

static void versions(void) {
  unsigned major, minor, patch;
  CHECK_INT(kv_abi_version(), KV_ABI_VERSION);
  CHECK_INT(kv_version_number(), KV_VERSION_NUMBER);
  CHECK(sscanf(kv_version(), "%u.%u.%u", &major, &minor, &patch) == 3);
  CHECK_INT(major * 1000000 + minor * 1000 + patch, KV_VERSION_NUMBER);
}

static void no_error(void) {
  CHECK_STATUS(kv_error_status(NULL), KV_OK);
  CHECK_INT(kv_error_os_code(NULL), 0);
  CHECK(strcmp(kv_error_message(NULL), "") == 0);
  kv_error_free(NULL);
}

static void an_error(void) {
  kv_error_t *err = NULL;
  CHECK_STATUS(kv_options_set(NULL, "shards", "2", &err), KV_ERR_INVALID);
  CHECK_STATUS(kv_error_status(err), KV_ERR_INVALID);
  CHECK_INT(kv_error_os_code(err), 0);
  CHECK_TEXT_HAS(kv_error_message(err), "kv_options_new");
  kv_error_free(err);
}

int main(void) {
  names_and_messages();
  versions();
  no_error();
  an_error();
  return 0;
}
