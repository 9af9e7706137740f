/* Writes down, for LD_PRELOAD, what a program does to the files below $WATCHED, in order, into $WRITTEN. A record is
   a letter, an inode, a number, a length (int64 each but the letter) and so many bytes:

   C opened for creation: 1 if truncated, path     W written: offset, data     T truncated: size
   S synced                D a folder synced: path  R renamed: old NUL new      U unlinked: path */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static int record_fd = -1;

__attribute__((constructor)) static void begin(void) {
    const char *name = getenv("WRITTEN");
    if (name) record_fd = syscall(SYS_openat, AT_FDCWD, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void record(char what, int64_t inode, int64_t number, const void *data, int64_t size) {
    static __thread char *buffer;
    buffer = realloc(buffer, size + 25);
    buffer[0] = what;
    memcpy(buffer + 1, &inode, 8);
    memcpy(buffer + 9, &number, 8);
    memcpy(buffer + 17, &size, 8);
    memcpy(buffer + 25, data, size);
    syscall(SYS_write, record_fd, buffer, size + 25);
}

static int is_watched(const char *path) {
    const char *root = getenv("WATCHED");
    return record_fd >= 0 && root && strncmp(path, root, strlen(root)) == 0;
}

/* The path and state of an open file that is watched. */
static int watched(int fd, char *path, struct stat *state) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, PATH_MAX - 1);
    if (n < 0) return 0;
    path[n] = 0;
    return is_watched(path) && fstat(fd, state) == 0;
}

static int opened(int folder, const char *name, int flags, mode_t mode) {
    int fd = syscall(SYS_openat, folder, name, flags, mode);
    char path[PATH_MAX];
    struct stat state;
    if (fd >= 0 && flags & (O_CREAT | O_TRUNC) && watched(fd, path, &state))
        record('C', state.st_ino, !!(flags & O_TRUNC), path, strlen(path));
    return fd;
}

#define MODE(last) \
    va_list more;  \
    va_start(more, last); \
    mode_t mode = va_arg(more, mode_t); \
    va_end(more);

int open(const char *name, int flags, ...) { MODE(flags) return opened(AT_FDCWD, name, flags, mode); }
int open64(const char *name, int flags, ...) { MODE(flags) return opened(AT_FDCWD, name, flags, mode); }
int openat(int folder, const char *name, int flags, ...) { MODE(flags) return opened(folder, name, flags, mode); }
int openat64(int folder, const char *name, int flags, ...) { MODE(flags) return opened(folder, name, flags, mode); }

static void put(int fd, const void *data, size_t size, off_t at) {
    char path[PATH_MAX];
    struct stat state;
    int ours = watched(fd, path, &state);
    if (ours && at < 0) at = fcntl(fd, F_GETFL) & O_APPEND ? state.st_size : lseek(fd, 0, SEEK_CUR);
    if (ours) record('W', state.st_ino, at, data, size);
}

ssize_t write(int fd, const void *data, size_t size) {
    put(fd, data, size, -1);
    return syscall(SYS_write, fd, data, size);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    put(fd, data, size, at);
    return syscall(SYS_pwrite64, fd, data, size, at);
}

int ftruncate64(int fd, off64_t size) {
    char path[PATH_MAX];
    struct stat state;
    if (watched(fd, path, &state)) record('T', state.st_ino, size, "", 0);
    return syscall(SYS_ftruncate, fd, size);
}

static int synced(long number, int fd) {
    char path[PATH_MAX];
    struct stat state;
    int code = syscall(number, fd);
    if (watched(fd, path, &state)) {
        if (S_ISDIR(state.st_mode)) record('D', 0, 0, path, strlen(path));
        else record('S', state.st_ino, 0, "", 0);
    }
    return code;
}

int fsync(int fd) { return synced(SYS_fsync, fd); }
int fdatasync(int fd) { return synced(SYS_fdatasync, fd); }

int rename(const char *old, const char *new) {
    char both[2 * PATH_MAX];
    int n = snprintf(both, sizeof both, "%s%c%s", old, 0, new);
    if (is_watched(old)) record('R', 0, 0, both, n);
    return syscall(SYS_renameat2, AT_FDCWD, old, AT_FDCWD, new, 0);
}

int unlink(const char *path) {
    if (is_watched(path)) record('U', 0, 0, path, strlen(path));
    return syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}
