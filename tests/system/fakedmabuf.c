/* Stands in for /dev/udmabuf and the dma heaps on a kernel without them: anonymous memory instead of dma-bufs, which
 * is all that libcamera's virtual pipeline needs. gcc -shared -fPIC -o libfakedmabuf.so fakedmabuf.c -ldl; LD_PRELOAD */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/udmabuf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int is_allocator(const char *path) {
  return path && (!strcmp(path, "/dev/udmabuf") || !strncmp(path, "/dev/dma_heap/", 14));
}

#define OPEN(name)                                                          \
  int name(const char *path, int flags, ...) {                              \
    static int (*real)(const char *, int, ...);                             \
    mode_t mode = 0;                                                        \
    if (flags & (O_CREAT | __O_TMPFILE)) {                                  \
      va_list list;                                                         \
      va_start(list, flags);                                                \
      mode = va_arg(list, mode_t);                                          \
      va_end(list);                                                         \
    }                                                                       \
    if (is_allocator(path)) return memfd_create("allocator", MFD_CLOEXEC);  \
    if (!real) real = dlsym(RTLD_NEXT, #name);                              \
    return real(path, flags, mode);                                         \
  }
OPEN(open)
OPEN(open64)

int ioctl(int fd, unsigned long request, ...) {
  static int (*real)(int, unsigned long, ...);
  va_list list;
  va_start(list, request);
  void *argument = va_arg(list, void *);
  va_end(list);
  if (!real) real = dlsym(RTLD_NEXT, "ioctl");
  switch ((unsigned)request) {
    case (unsigned)UDMABUF_CREATE:
      return fcntl((int)((struct udmabuf_create *)argument)->memfd, F_DUPFD_CLOEXEC, 0);
    case (unsigned)DMA_HEAP_IOCTL_ALLOC: {
      struct dma_heap_allocation_data *heap = argument;
      int memory = memfd_create("buffer", MFD_CLOEXEC);
      if (memory < 0 || ftruncate(memory, heap->len) < 0) return -1;
      heap->fd = memory;
      return 0;
    }
    case (unsigned)DMA_BUF_SET_NAME_A:
    case (unsigned)DMA_BUF_SET_NAME_B:
      return 0;
    case (unsigned)DMA_BUF_IOCTL_SYNC: {
      int result = real(fd, request, argument);
      return result < 0 && (errno == ENOTTY || errno == EINVAL) ? 0 : result;
    }
  }
  return real(fd, request, argument);
}
