/*
 * Makes system calls fail: loaded in front of the C library with LD_PRELOAD by the rigs `errors` and
 * `bits`. It counts calls that concern one directory, and lets one of them fail, or all from one on.
 *
 *     KV_FAULT_DIR      the directory, as the program names it
 *     KV_FAULT_CALLS    all, or sync for fsync and fdatasync alone
 *     KV_FAULT_AT       which call fails, from 1; 0: none
 *     KV_FAULT_ERRNO    with which error
 *     KV_FAULT_TIMES    how many fail from there on
 *     KV_FAULT_COUNT    a file that is told how many calls there were, when the program ends
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <unistd.h>

enum { FILES_MAX = 4096 };

static const char *directory;
static int syncs_only, error_number;
static unsigned long first, times;
static atomic_ulong calls;
static atomic_uchar ours[FILES_MAX];

static unsigned long number(const char *name) {
  const char *text = getenv(name);
  return text == NULL ? 0 : strtoul(text, NULL, 10);
}

__attribute__((constructor)) static void begin(void) {
  const char *which = getenv("KV_FAULT_CALLS");
  directory = getenv("KV_FAULT_DIR");
  syncs_only = which != NULL && strcmp(which, "sync") == 0;
  error_number = (int)number("KV_FAULT_ERRNO");
  first = number("KV_FAULT_AT");
  times = number("KV_FAULT_TIMES");
}

__attribute__((destructor)) static void end(void) {
  const char *path = getenv("KV_FAULT_COUNT");
  FILE *file = path == NULL ? NULL : fopen(path, "w");
  if (file == NULL) return;
  fprintf(file, "%lu\n", atomic_load(&calls));
  fclose(file);
}

static int is_ours(const char *path) {
  return directory != NULL && path != NULL && strncmp(path, directory, strlen(directory)) == 0;
}

static int is_our_file(int fd) { return fd >= 0 && fd < FILES_MAX && atomic_load(&ours[fd]); }

static void mark(int fd, int is) {
  if (fd >= 0 && fd < FILES_MAX) atomic_store(&ours[fd], (unsigned char)is);
}

/* Counts a call that concerns the directory; says whether it is to fail. */
static int fails(int concerned, int is_sync) {
  if (!concerned || (syncs_only && !is_sync)) return 0;
  unsigned long call = atomic_fetch_add(&calls, 1) + 1;
  if (first == 0 || call < first || call - first >= times) return 0;
  errno = error_number;
  return 1;
}

#define REAL(name) __typeof__(name) *real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

#define OPENS(name)                                  \
  int name(const char *path, int flags, ...) {       \
    REAL(name);                                      \
    va_list more;                                    \
    va_start(more, flags);                           \
    mode_t mode = va_arg(more, mode_t);              \
    va_end(more);                                    \
    if (fails(is_ours(path), 0)) return -1;          \
    int fd = real(path, flags, mode);                \
    mark(fd, is_ours(path));                         \
    return fd;                                       \
  }

OPENS(open)
OPENS(open64)

int close(int fd) {
  REAL(close);
  mark(fd, 0);
  return real(fd);
}

#define ON_FILE(type, name, is_sync, parameters, ...) \
  type name parameters {                              \
    REAL(name);                                       \
    if (fails(is_our_file(fd), is_sync)) return -1;   \
    return real(__VA_ARGS__);                         \
  }

ON_FILE(ssize_t, read, 0, (int fd, void *bytes, size_t len), fd, bytes, len)
ON_FILE(ssize_t, write, 0, (int fd, const void *bytes, size_t len), fd, bytes, len)
ON_FILE(ssize_t, pread64, 0, (int fd, void *bytes, size_t len, off64_t at), fd, bytes, len, at)
ON_FILE(ssize_t, pwrite64, 0, (int fd, const void *bytes, size_t len, off64_t at), fd, bytes, len, at)
ON_FILE(ssize_t, pread, 0, (int fd, void *bytes, size_t len, off_t at), fd, bytes, len, at)
ON_FILE(ssize_t, pwrite, 0, (int fd, const void *bytes, size_t len, off_t at), fd, bytes, len, at)
ON_FILE(int, fsync, 1, (int fd), fd)
ON_FILE(int, fdatasync, 1, (int fd), fd)
ON_FILE(int, ftruncate64, 0, (int fd, off64_t len), fd, len)
ON_FILE(int, fallocate64, 0, (int fd, int mode, off64_t at, off64_t len), fd, mode, at, len)
ON_FILE(int, flock, 0, (int fd, int how), fd, how)

#define ON_PATH(type, name, failed, parameters, ...) \
  type name parameters {                             \
    REAL(name);                                      \
    if (fails(is_ours(path), 0)) return failed;      \
    return real(__VA_ARGS__);                        \
  }

ON_PATH(int, rename, -1, (const char *path, const char *to), path, to)
ON_PATH(int, unlink, -1, (const char *path), path)
ON_PATH(int, mkdir, -1, (const char *path, mode_t mode), path, mode)
ON_PATH(DIR *, opendir, NULL, (const char *path), path)

/* The standard library of Rust asks for a file's length and kind with this call. */
int statx(int fd, const char *restrict path, int flags, unsigned mask, struct statx *restrict found) {
  REAL(statx);
  /* It also asks with no path at all, to learn whether the system has this call. The header says that
   * this cannot be, so the compiler must not know what is compared. */
  const char *volatile asked = path;
  if (asked == NULL) return real(fd, path, flags, mask, found);
  int is_file = *path == '\0';
  if (fails(is_file ? is_our_file(fd) : is_ours(path), 0)) return -1;
  return real(fd, path, flags, mask, found);
}
