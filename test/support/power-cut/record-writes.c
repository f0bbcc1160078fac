/*
 * Records what a process does to the files of one folder, in order, so that a power cut can be simulated at any moment of it. It is loaded
 * ahead of the C library (LD_PRELOAD). WRITES_OF names the folder, absolute; WRITES_TO the file that the records are appended to.
 *
 * A record is: one byte of kind, then little-endian inode (8 bytes), offset or size (8), length of data (4), and the data. See records.ts.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { NAMED = 1, WRITTEN, RESIZED, SYNCED, RENAMED, REMOVED, FOLDER, LINKED };

enum { MAX_FDS = 65536 };

static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
static int records = -1;
static const char *folder;
/* Inode of each descriptor of the folder; 0 for all others. */
static uint64_t inode_of[MAX_FDS];

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("WRITES_TO");
  folder = getenv("WRITES_OF");
  if (path == NULL || folder == NULL) return;
  records = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

/* A record that cannot be written would make every test of it meaningless. */
static void record(enum kind kind, uint64_t inode, uint64_t at, const void *data, uint32_t length) {
  if (records < 0) return;
  uint8_t head[21];
  head[0] = (uint8_t)kind;
  memcpy(head + 1, &inode, 8);
  memcpy(head + 9, &at, 8);
  memcpy(head + 17, &length, 4);
  struct iovec parts[2] = {{head, sizeof head}, {(void *)data, length}};
  ssize_t written = syscall(SYS_writev, records, parts, 2);
  if (written != (ssize_t)(sizeof head + length)) abort();
}

static int is_ours(const char *path) { return folder != NULL && strncmp(path, folder, strlen(folder)) == 0; }

/* libuv closes some descriptors by a system call of its own, and the number may be a socket's by now. */
static uint64_t tracked(int fd) {
  if (fd < 0 || fd >= MAX_FDS || inode_of[fd] == 0) return 0;
  struct stat found;
  int before = errno;
  if (fstat(fd, &found) != 0 || found.st_ino != inode_of[fd] || !(S_ISREG(found.st_mode) || S_ISDIR(found.st_mode))) {
    inode_of[fd] = 0;
  }
  errno = before;
  return inode_of[fd];
}

static int opened(int fd, const char *path) {
  struct stat found;
  int before = errno;
  if (fd >= 0 && fd < MAX_FDS && is_ours(path) && fstat(fd, &found) == 0) {
    inode_of[fd] = found.st_ino;
    record(S_ISDIR(found.st_mode) ? FOLDER : NAMED, found.st_ino, (uint64_t)found.st_size, path, (uint32_t)strlen(path));
  }
  errno = before;
  return fd;
}

#define REAL(name) \
  static __typeof__(&name) real; \
  if (real == NULL) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

#define ALONE(result, call, then) \
  pthread_mutex_lock(&one_at_a_time); \
  result = call; \
  then; \
  pthread_mutex_unlock(&one_at_a_time)

#define MODE_OF(flags) \
  mode_t mode = 0; \
  if ((flags) & (O_CREAT | O_TMPFILE)) { \
    va_list rest; \
    va_start(rest, flags); \
    mode = va_arg(rest, mode_t); \
    va_end(rest); \
  }

int open(const char *path, int flags, ...) {
  MODE_OF(flags)
  REAL(open);
  int fd;
  ALONE(fd, real(path, flags, mode), opened(fd, path));
  return fd;
}

int open64(const char *path, int flags, ...) {
  MODE_OF(flags)
  REAL(open64);
  int fd;
  ALONE(fd, real(path, flags, mode), opened(fd, path));
  return fd;
}

int openat(int directory, const char *path, int flags, ...) {
  MODE_OF(flags)
  REAL(openat);
  int fd;
  ALONE(fd, real(directory, path, flags, mode), opened(fd, path));
  return fd;
}

int openat64(int directory, const char *path, int flags, ...) {
  MODE_OF(flags)
  REAL(openat64);
  int fd;
  ALONE(fd, real(directory, path, flags, mode), opened(fd, path));
  return fd;
}

int close(int fd) {
  REAL(close);
  int result;
  ALONE(result, (fd >= 0 && fd < MAX_FDS ? (inode_of[fd] = 0) : 0, real(fd)), );
  return result;
}

static void wrote(int fd, off_t at, const void *bytes, ssize_t count) {
  if (count > 0 && tracked(fd)) record(WRITTEN, tracked(fd), (uint64_t)at, bytes, (uint32_t)count);
}

ssize_t write(int fd, const void *bytes, size_t count) {
  REAL(write);
  ssize_t written;
  if (!tracked(fd)) return real(fd, bytes, count);
  ALONE(written, real(fd, bytes, count), wrote(fd, lseek(fd, 0, SEEK_CUR) - written, bytes, written));
  return written;
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) {
  REAL(pwrite);
  ssize_t written;
  ALONE(written, real(fd, bytes, count, at), wrote(fd, at, bytes, written));
  return written;
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
  REAL(pwrite64);
  ssize_t written;
  ALONE(written, real(fd, bytes, count, at), wrote(fd, at, bytes, written));
  return written;
}

/* The service writes nothing in several parts; what begins to must not go by unseen. */
ssize_t writev(int fd, const struct iovec *parts, int count) {
  REAL(writev);
  if (tracked(fd)) abort();
  return real(fd, parts, count);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
  REAL(pwritev);
  if (tracked(fd)) abort();
  return real(fd, parts, count, at);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at) {
  REAL(pwritev64);
  if (tracked(fd)) abort();
  return real(fd, parts, count, at);
}

int ftruncate(int fd, off_t size) {
  REAL(ftruncate);
  int result;
  ALONE(result, real(fd, size), if (result == 0 && tracked(fd)) record(RESIZED, tracked(fd), (uint64_t)size, NULL, 0));
  return result;
}

int ftruncate64(int fd, off64_t size) {
  REAL(ftruncate64);
  int result;
  ALONE(result, real(fd, size), if (result == 0 && tracked(fd)) record(RESIZED, tracked(fd), (uint64_t)size, NULL, 0));
  return result;
}

int fsync(int fd) {
  REAL(fsync);
  int result;
  ALONE(result, real(fd), if (result == 0 && tracked(fd)) record(SYNCED, tracked(fd), 0, NULL, 0));
  return result;
}

int fdatasync(int fd) {
  REAL(fdatasync);
  int result;
  ALONE(result, real(fd), if (result == 0 && tracked(fd)) record(SYNCED, tracked(fd), 0, NULL, 0));
  return result;
}

/* Both names, with a zero byte between. */
static void named_anew(enum kind kind, const char *from, const char *to) {
  if (!is_ours(from) && !is_ours(to)) return;
  char names[2 * PATH_MAX];
  int length = snprintf(names, sizeof names, "%s%c%s", from, 0, to);
  record(kind, 0, 0, names, (uint32_t)length);
}

int rename(const char *from, const char *to) {
  REAL(rename);
  int result;
  ALONE(result, real(from, to), if (result == 0) named_anew(RENAMED, from, to));
  return result;
}

int link(const char *from, const char *to) {
  REAL(link);
  int result;
  ALONE(result, real(from, to), if (result == 0) named_anew(LINKED, from, to));
  return result;
}

int unlink(const char *path) {
  REAL(unlink);
  int result;
  ALONE(result, real(path), if (result == 0 && is_ours(path)) record(REMOVED, 0, 0, path, (uint32_t)strlen(path)));
  return result;
}
