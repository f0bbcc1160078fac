/*
 * Makes calls on the files below $FAULTS_DIR fail, for a process that is started with this in LD_PRELOAD. What fails is read from the
 * file $FAULTS_SWITCH at each call: `sync N` or `write N`, N being the errno; nothing does while the file is empty. A call that fails
 * does nothing. With `write` and EROFS a file cannot be opened for writing either. Reading, and writing to mapped memory, never fail.
 * failing-calls.ts compiles it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* System calls as such, as the functions of libc are replaced here. */
static int failure(const char *call) {
  const char *path = getenv("FAULTS_SWITCH");
  char text[64], name[16];
  int number = 0;
  if (path == NULL) return 0;
  long fd = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  long length = syscall(SYS_read, fd, text, sizeof text - 1);
  syscall(SYS_close, fd);
  if (length <= 0) return 0;
  text[length] = 0;
  if (sscanf(text, "%15s %d", name, &number) != 2 || strcmp(name, call) != 0) return 0;
  return number;
}

static int is_below(const char *path) {
  const char *dir = getenv("FAULTS_DIR");
  size_t length = dir == NULL ? 0 : strlen(dir);
  return length > 0 && strncmp(path, dir, length) == 0 && path[length] == '/';
}

static int is_below_fd(int fd) {
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  long length = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
  if (length <= 0) return 0;
  path[length] = 0;
  return is_below(path);
}

/* The errno with which the call on the file must fail, or 0. Leaves errno as it was. */
static int fault(const char *call, int fd) {
  int before = errno;
  int number = is_below_fd(fd) ? failure(call) : 0;
  errno = before;
  return number;
}

#define FAIL_AS(call, fd) \
  do { \
    int number = fault(call, fd); \
    if (number != 0) { \
      errno = number; \
      return -1; \
    } \
  } while (0)

int fsync(int fd) {
  FAIL_AS("sync", fd);
  return NEXT(fsync)(fd);
}

int fdatasync(int fd) {
  FAIL_AS("sync", fd);
  return NEXT(fdatasync)(fd);
}

ssize_t write(int fd, const void *bytes, size_t length) {
  FAIL_AS("write", fd);
  return NEXT(write)(fd, bytes, length);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  FAIL_AS("write", fd);
  return NEXT(writev)(fd, parts, count);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) {
  FAIL_AS("write", fd);
  return NEXT(pwrite)(fd, bytes, length, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) {
  FAIL_AS("write", fd);
  return NEXT(pwrite64)(fd, bytes, length, offset);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
  FAIL_AS("write", fd);
  return NEXT(pwritev)(fd, parts, count, offset);
}

int ftruncate(int fd, off_t length) {
  FAIL_AS("write", fd);
  return NEXT(ftruncate)(fd, length);
}

int ftruncate64(int fd, off64_t length) {
  FAIL_AS("write", fd);
  return NEXT(ftruncate64)(fd, length);
}

int fallocate(int fd, int mode, off_t offset, off_t length) {
  FAIL_AS("write", fd);
  return NEXT(fallocate)(fd, mode, offset, length);
}

int fallocate64(int fd, int mode, off64_t offset, off64_t length) {
  FAIL_AS("write", fd);
  return NEXT(fallocate64)(fd, mode, offset, length);
}

/* This one returns the errno. */
int posix_fallocate(int fd, off_t offset, off_t length) {
  int number = fault("write", fd);
  return number != 0 ? number : NEXT(posix_fallocate)(fd, offset, length);
}

static int cannot_open(const char *path, int flags) {
  int before = errno;
  int writes = (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)) != 0;
  int no = writes && is_below(path) && failure("write") == EROFS;
  errno = before;
  return no;
}

#define OPEN(name) \
  int name(const char *path, int flags, ...) { \
    va_list more; \
    va_start(more, flags); \
    int mode = flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(more, int) : 0; \
    va_end(more); \
    if (cannot_open(path, flags)) { \
      errno = EROFS; \
      return -1; \
    } \
    return NEXT(name)(path, flags, mode); \
  }

OPEN(open)
OPEN(open64)
