/* Words of a line of a conformance case: where they end, and what they stand for. */

#include "kvt.h"

#include <errno.h>

struct kvt_block {
  kvt_block_t *next;
};

/* Memory until the end of the line. */
void *kvt_alloc(kvt_run_t *run, size_t size) {
  kvt_block_t *block = malloc(sizeof *block + size);
  CHECK(block != NULL);
  block->next = run->blocks;
  run->blocks = block;
  return block + 1;
}

void kvt_free_line(kvt_run_t *run) {
  while (run->blocks != NULL) {
    kvt_block_t *block = run->blocks;
    run->blocks = block->next;
    free(block);
  }
}

bool kvt_is(const kvt_word_t *word, const char *plain) {
  return word->name == NULL && !word->is_bytes && strcmp(word->text, plain) == 0;
}

static int hex(char digit) {
  const char *digits = "0123456789abcdef";
  const char *found = strchr(digits, digit >= 'A' && digit <= 'F' ? digit + 32 : digit);
  return digit != '\0' && found != NULL ? (int)(found - digits) : -1;
}

/* One escaped or plain byte inside quotes; -1 if it is neither. */
static int one_byte(const char **at) {
  const char *text = *at;
  *at = text + 1;
  if (*text != '\\') {
    return (unsigned char)*text;
  }
  if (text[1] == '\\' || text[1] == '"') {
    *at = text + 2;
    return (unsigned char)text[1];
  }
  if (text[1] == 'x' && hex(text[2]) >= 0 && hex(text[3]) >= 0) {
    *at = text + 4;
    return hex(text[2]) * 16 + hex(text[3]);
  }
  return -1;
}

/* One quoted part with its count: "ab"*3. Grows `bytes`, which the line owns. */
static bool one_part(kvt_run_t *run, const char **at, char **bytes, size_t *len) {
  const char *text = *at;
  char *part = kvt_alloc(run, strlen(text) + 1);
  size_t part_len = 0, count = 1;
  char *grown;
  if (*text++ != '"') {
    return kvt_fail(run, "no quote where bytes should begin: %s", *at);
  }
  while (*text != '"') {
    int byte = *text == '\0' ? -1 : one_byte(&text);
    if (byte < 0) {
      return kvt_fail(run, "no end of the quotes, or a wrong escape: %s", *at);
    }
    part[part_len++] = (char)byte;
  }
  text++;
  if (*text == '*') {
    char *end;
    count = strtoul(text + 1, &end, 10);
    if (end == text + 1) {
      return kvt_fail(run, "no number behind the star: %s", *at);
    }
    text = end;
  }
  grown = kvt_alloc(run, *len + part_len * count + 1);
  memcpy(grown, *bytes, *len);
  for (size_t n = 0; n < count; n++) {
    memcpy(grown + *len + n * part_len, part, part_len);
  }
  *len += part_len * count;
  grown[*len] = '\0';
  *bytes = grown;
  *at = text;
  return true;
}

/* What quotes stand for: "a"*65534+"b". */
static bool bytes_word(kvt_run_t *run, const char *text, kvt_word_t *word) {
  char *bytes = kvt_alloc(run, 1);
  size_t len = 0;
  for (;;) {
    if (!one_part(run, &text, &bytes, &len)) {
      return false;
    }
    if (*text == '\0') {
      break;
    }
    if (*text++ != '+') {
      return kvt_fail(run, "something behind the quotes: %s", text - 1);
    }
  }
  word->is_bytes = true;
  word->text = bytes;
  word->len = len;
  return true;
}

static bool one_word(kvt_run_t *run, char *text, kvt_word_t *word) {
  char *equals = strchr(text, '=');
  memset(word, 0, sizeof *word);
  if (*text == '"') {
    return bytes_word(run, text, word);
  }
  if (equals != NULL && equals != text) {
    *equals = '\0';
    word->name = text;
    text = equals + 1;
    if (*text == '"') {
      return bytes_word(run, text, word);
    }
  }
  word->text = text;
  word->len = strlen(text);
  return true;
}

/* Cuts a line at spaces outside of quotes. */
bool kvt_cut(kvt_run_t *run, const char *line, kvt_word_t *words, int *count) {
  char *text = kvt_alloc(run, strlen(line) + 1);
  strcpy(text, line);
  *count = 0;
  for (;;) {
    char *begin;
    bool quoted = false, last;
    text += strspn(text, " ");
    if (*text == '\0') {
      return true;
    }
    begin = text;
    while (*text != '\0' && (quoted || *text != ' ')) {
      if (quoted && *text == '\\' && text[1] != '\0') {
        text++;
      } else if (*text == '"') {
        quoted = !quoted;
      }
      text++;
    }
    last = *text == '\0';
    *text = '\0';
    if (*count == KVT_WORDS) {
      return kvt_fail(run, "more than %d words", (int)KVT_WORDS);
    }
    if (!one_word(run, begin, &words[(*count)++])) {
      return false;
    }
    text += last ? 0 : 1;
  }
}

/* The part of a number that may have something added to it. Moves `text` behind it. */
static bool base_number(kvt_run_t *run, const char **text, int64_t *number) {
  char *end;
  if (strncmp(*text, "now", 3) == 0) {
    *number = unix_ms();
    *text += 3;
    return true;
  }
  if (strncmp(*text, "never", 5) == 0) {
    *number = INT64_MAX;
    *text += 5;
    return true;
  }
  if (**text == '$') {
    size_t len = strcspn(*text + 1, "+-.");
    for (int n = 0; n < run->variable_count; n++) {
      const char *name = run->variables[n].name;
      if (strlen(name) == len && strncmp(name, *text + 1, len) == 0) {
        *number = run->variables[n].number;
        *text += 1 + len;
        return true;
      }
    }
    return kvt_fail(run, "no variable of this name: %s", *text);
  }
  errno = 0;
  *number = strtoll(*text, &end, 10);
  if (end == *text || errno != 0) {
    return kvt_fail(run, "no number: %s", *text);
  }
  *text = end;
  return true;
}

/* A number: decimal, `now`, `never` or a variable, and maybe something to add. */
bool kvt_number(kvt_run_t *run, const char *text, int64_t *number) {
  const char *all = text;
  int64_t more = 0;
  if (!base_number(run, &text, number)) {
    return false;
  }
  if (*text == '+' || *text == '-') {
    char *end;
    errno = 0;
    more = strtoll(text, &end, 10);
    if (end == text || errno != 0) {
      return kvt_fail(run, "no number to add: %s", all);
    }
    text = end;
  }
  if (*text != '\0') {
    return kvt_fail(run, "something behind the number: %s", all);
  }
  *number += more;
  return true;
}
