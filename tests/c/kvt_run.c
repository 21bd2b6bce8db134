/* Runs conformance cases line by line, and compares what came with what is written. */

#include "kvt.h"

#include <ctype.h>

/* Always false, so that a caller can return it. */
bool kvt_fail(kvt_run_t *run, const char *format, ...) {
  if (!run->failed) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(run->failure, sizeof run->failure, format, arguments);
    va_end(arguments);
    run->failed = true;
    if (!run->must_fail) {
      fprintf(stderr, "%s:%d: case %s: %s\n", run->file, run->line, run->name, run->failure);
    }
  }
  return false;
}

bool kvt_let(kvt_run_t *run, const char *name, int64_t number) {
  int n = 0;
  while (n < run->variable_count && strcmp(run->variables[n].name, name) != 0) {
    n++;
  }
  if (n == KVT_VARIABLES || strlen(name) >= KVT_NAME) {
    return kvt_fail(run, "too many variables, or too long a name: %s", name);
  }
  if (n == run->variable_count) {
    run->variable_count++;
    strcpy(run->variables[n].name, name);
  }
  run->variables[n].number = number;
  return true;
}

/* What is written behind `name=`: a number, a range, a bound, or a variable to keep it in. */
static bool compare_number(kvt_run_t *run, const kvt_word_t *word, int64_t got) {
  const char *range = strstr(word->text, "..");
  int64_t low, high;
  bool holds;
  if (word->text[0] == '?') {
    return kvt_let(run, word->text + 1, got);
  }
  if (word->text[0] == '>' || word->text[0] == '<') {
    if (!kvt_number(run, word->text + 1, &low)) {
      return false;
    }
    holds = word->text[0] == '>' ? got > low : got < low;
  } else if (range != NULL) {
    char *first = kvt_alloc(run, (size_t)(range - word->text) + 1);
    memcpy(first, word->text, (size_t)(range - word->text));
    first[range - word->text] = '\0';
    if (!kvt_number(run, first, &low) || !kvt_number(run, range + 2, &high)) {
      return false;
    }
    holds = low <= got && got <= high;
  } else {
    if (!kvt_number(run, word->text, &low)) {
      return false;
    }
    holds = got == low;
  }
  return holds || kvt_fail(run, "expected %s=%s, got %" PRId64, word->name, word->text, got);
}

static bool compare_named(kvt_run_t *run, const kvt_word_t *word, const kvt_answer_t *answer) {
  if (strcmp(word->name, "message") == 0) {
    return strstr(answer->message, word->text) != NULL ||
           kvt_fail(run, "expected a message with \"%s\", got \"%s\"", word->text, answer->message);
  }
  for (int n = 0; n < answer->number_count; n++) {
    if (strcmp(answer->numbers[n].name, word->name) == 0) {
      return compare_number(run, word, answer->numbers[n].number);
    }
  }
  return kvt_fail(run, "the answer has no %s", word->name);
}

/* The beginning of some bytes, in a form that can be printed. */
static const char *show(kvt_run_t *run, const char *data, size_t len) {
  size_t shown = len < 60 ? len : 60;
  char *text = kvt_alloc(run, shown * 4 + 32), *end = text;
  *end++ = '"';
  for (size_t n = 0; n < shown; n++) {
    unsigned char byte = (unsigned char)data[n];
    end += sprintf(end, isprint(byte) && byte < 128 ? "%c" : "\\x%02x", byte);
  }
  sprintf(end, shown < len ? "\"... of %zu bytes" : "\"", len);
  return text;
}

static bool compare_bytes(kvt_run_t *run, const kvt_word_t *word, const kvt_answer_t *answer,
                          int n) {
  bool hole = kvt_is(word, "-");
  if (!hole && !word->is_bytes) {
    return kvt_fail(run, "not a result: %s", word->text);
  }
  if (n >= answer->byte_count) {
    return kvt_fail(run, "expected more values than the %d that came", answer->byte_count);
  }
  if (hole != answer->bytes[n].is_hole) {
    return kvt_fail(run, "value %d: expected %s", n + 1, hole ? "none" : "one");
  }
  if (!hole && (word->len != answer->bytes[n].len ||
                memcmp(word->text, answer->bytes[n].data, word->len) != 0)) {
    return kvt_fail(run, "value %d: expected %s, got %s", n + 1, show(run, word->text, word->len),
                    show(run, answer->bytes[n].data, answer->bytes[n].len));
  }
  return true;
}

static bool compare(kvt_run_t *run, const kvt_word_t *words, int count,
                    const kvt_answer_t *answer) {
  const char *got = kv_status_name(answer->status) + strlen("KV_");
  int listed = 0;
  if (count == 0 || words[0].name != NULL || words[0].is_bytes) {
    return kvt_fail(run, "no status behind the arrow");
  }
  if (strcmp(words[0].text, got) != 0) {
    return kvt_fail(run, "expected %s, got %s %s", words[0].text, got, answer->message);
  }
  for (int n = 1; n < count; n++) {
    if (words[n].name != NULL ? !compare_named(run, &words[n], answer)
                              : !compare_bytes(run, &words[n], answer, listed++)) {
      return false;
    }
  }
  if (answer->bytes_are_all && listed != answer->byte_count) {
    return kvt_fail(run, "expected %d values, got %d", listed, answer->byte_count);
  }
  return true;
}

static bool run_call(kvt_run_t *run, const kvt_word_t *words, int count) {
  static kvt_answer_t answer;
  int arrow = 0;
  while (arrow < count && !kvt_is(&words[arrow], "->")) {
    arrow++;
  }
  if (arrow == count) {
    return kvt_fail(run, "no arrow, and no word that begins a line: %s", words[0].text);
  }
  memset(&answer, 0, sizeof answer);
  run->wants_version = false;
  for (int n = arrow + 1; n < count; n++) {
    run->wants_version |= words[n].name != NULL && strcmp(words[n].name, "version") == 0;
  }
  return kvt_call(run, words, arrow, &answer) &&
         compare(run, words + arrow + 1, count - arrow - 1, &answer);
}

/* Lets a case off that needs what is not here; a feature nobody knows is a mistake. */
static bool run_needs(kvt_run_t *run, const kvt_word_t *words, int count) {
  for (int n = 1; n < count; n++) {
    bool known;
    run->skipped |= !kvt_has(run, words[n].text, &known);
    if (!known) {
      run->skipped = false;
      return kvt_fail(run, "no such feature: %s", words[n].text);
    }
  }
  return true;
}

static bool run_let(kvt_run_t *run, const kvt_word_t *words, int count) {
  int64_t number;
  if (count != 3 || words[1].text[0] != '$') {
    return kvt_fail(run, "use: let $NAME NUMBER");
  }
  return kvt_number(run, words[2].text, &number) && kvt_let(run, words[1].text + 1, number);
}

static bool run_wait(kvt_run_t *run, const kvt_word_t *words, int count) {
  int64_t ms;
  if (count != 2 || !kvt_number(run, words[1].text, &ms)) {
    return kvt_fail(run, "use: wait MS");
  }
  sleep_ms(ms + 1);
  return true;
}

static void end_case(kvt_run_t *run) {
  if (!run->in_case) {
    return;
  }
  if (run->store != NULL) {
    kv_status_t status = kv_close(run->store, NULL);
    run->store = NULL;
    if (status != KV_OK) {
      kvt_fail(run, "closing the store is %s", kv_status_name(status));
    }
  }
  kvt_free_watch(run);
  kvt_free_told(run);
  kvt_remove_folder(run);
  run->cases++;
  run->skips += run->skipped;
  if (run->must_fail && !run->failed && !run->skipped) {
    fprintf(stderr, "%s: case %s should have been refused\n", run->file, run->name);
    run->failures++;
  }
  run->failures += run->failed && !run->must_fail;
  run->in_case = false;
}

static bool begin_case(kvt_run_t *run, const kvt_word_t *words, int count) {
  end_case(run);
  run->in_case = true;
  run->skipped = run->failed = false;
  run->variable_count = 0;
  if (count != 2 || strlen(words[1].text) >= sizeof run->name) {
    return kvt_fail(run, "use: case NAME");
  }
  strcpy(run->name, words[1].text);
  return true;
}

static void run_line(kvt_run_t *run, const char *line) {
  kvt_word_t words[KVT_WORDS];
  int count;
  /* What follows a failure, or stands in a case that is let off, is not run. */
  if ((run->skipped || run->failed) && strncmp(line, "case ", 5) != 0) {
    return;
  }
  if (!kvt_cut(run, line, words, &count) || count == 0) {
    return;
  }
  if (kvt_is(&words[0], "case")) {
    begin_case(run, words, count);
  } else if (!run->in_case) {
    run->in_case = true;
    kvt_fail(run, "a line before the first case");
  } else if (kvt_is(&words[0], "needs")) {
    run_needs(run, words, count);
  } else if (kvt_is(&words[0], "let")) {
    run_let(run, words, count);
  } else if (kvt_is(&words[0], "wait")) {
    run_wait(run, words, count);
  } else {
    run_call(run, words, count);
  }
}

void kvt_run_file(kvt_run_t *run, const char *path) {
  static char line[1 << 16];
  FILE *file = fopen(path, "rb");
  if (file == NULL) {
    fprintf(stderr, "cannot open %s\n", path);
    exit(1);
  }
  run->file = path;
  run->line = 0;
  strcpy(run->name, "(none)");
  run->skipped = run->failed = false;
  while (fgets(line, sizeof line, file) != NULL) {
    char *text = line + strspn(line, " ");
    size_t len = strlen(text);
    while (len > 0 && strchr(" \n", text[len - 1]) != NULL) {
      text[--len] = '\0';
    }
    run->line++;
    if (len > 0 && text[0] != '#') {
      run_line(run, text);
    }
    kvt_free_line(run);
  }
  fclose(file);
  end_case(run);
}
